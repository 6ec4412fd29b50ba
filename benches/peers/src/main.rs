//! This crate beside its peers: the same work for each, in memory, on one core.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/Cargo.toml   # the table and the chart: a minute
//! … -- --long                                                    # longer and more rounds
//! … -- --rows=echo,JSON --peers=sansocket,tungstenite            # some rows and peers; writes no files
//! … -- --test                                                    # all of it once, checked, not timed
//! … -- --idle                                                    # the memory of 100,000 idle connections
//! … -- --strict                                                  # which rules each peer enforces
//! … -- --limits                                                  # the gain of unsafe code
//! … -- --compression                                             # compressed messages; `--long`, `--rows` too
//! ```
//!
//! # How it is measured
//!
//! - Every connection has a socket in memory that never blocks (`wire.rs`). Reads copy out of it, at
//!   most 64 KiB at a time, and writes copy into it, as with a kernel. A stream is about 256 KiB of
//!   contiguous frames, so that reads cut frames at arbitrary places. The socket makes no system
//!   calls, which favours peers that write each frame separately.
//! - Async peers are polled by hand, once for a whole stream: there is no cost of a runtime.
//! - Before times are measured, every received message of a pass is compared with the original, and
//!   every sent frame is parsed, twice, by code of the benchmark (`work.rs`). Masking keys and binary
//!   messages are random.
//! - Each row is run in rounds. In each round every peer has a turn of some milliseconds; the order
//!   changes from round to round. A time is the median of the rounds, with the quartiles beside it; a
//!   ratio is the median of the ratios within the rounds. Times are CPU times of the thread.
//! - The peers have their fastest features, the default target CPU and the system's allocator. Each
//!   is used as in its documentation or its own benchmark. Where the caller chooses the size of
//!   buffers, it is the best one for the peer. `notes` in each file under `peers/` says how, and where
//!   that favours the peer.
//! - The client's handshake is timed together with the server's answer, whose time is subtracted.
//! - uWebSockets is C++, in no registry, and not run. Its column is its ratio to sockudo-ws's
//!   `Protocol`, measured once with the same kind of work, times the time of `Protocol` here.
//! - Peers that enforce fewer rules than this crate are marked; `strict.rs` breaks the rules to find
//!   out.

mod compression;
#[path = "../../corpus.rs"]
mod corpus;
mod heap;
mod idle;
mod limits;
mod measure;
mod peers;
mod report;
mod sansocket;
mod strict;
mod wire;
mod work;

use measure::{Effort, run};
use peers::Peer;
use std::time::Duration;

const USAGE: &str =
    "[--test | --strict | --idle | --limits] [--long] [--compression] [--rows=PART,…] [--peers=PART,…]";

fn main() {
    let (mut test, mut strict, mut idle, mut compression) = (false, false, false, false);
    let mut effort = Effort { rounds: 15, turn: Duration::from_millis(2), pass: 256 * 1024 };
    let (mut some_rows, mut some_peers) = (None, None);
    let mut arguments = std::env::args().skip(1);
    let peers = peers::all();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), argument.split_once('=')) {
            ("--test", _) => (test, effort.rounds, effort.pass) = (true, 0, 4 * 1024),
            ("--long", _) => (effort.rounds, effort.turn) = (41, Duration::from_millis(10)),
            ("--strict", _) => strict = true,
            ("--idle", _) => idle = true,
            ("--compression", _) => compression = true,
            ("--limits", _) => return limits::table(),
            // Started by `--idle`.
            ("--idle-of", _) => {
                let (name, most) = (arguments.next().unwrap(), arguments.next().unwrap());
                let peer = peers.iter().find(|peer| peer.name == name).unwrap();
                return idle::one(peer, most.parse().unwrap());
            }
            (_, Some(("--rows", parts))) => some_rows = Some(parts.to_owned()),
            (_, Some(("--peers", parts))) => some_peers = Some(parts.to_owned()),
            _ => {
                eprintln!("{USAGE}");
                std::process::exit(2);
            }
        }
    }
    let chosen = |name: &str, parts: &Option<String>| match parts {
        Some(parts) => parts.split(',').any(|part| name.contains(part)),
        None => true,
    };
    let peers: Vec<&Peer> = peers.iter().filter(|peer| chosen(peer.name, &some_peers)).collect();
    if strict {
        return strict::print(&peers);
    }
    if idle {
        return print!("{}", idle::table(&peers, idle::CONNECTIONS));
    }
    if compression || test {
        let table = compression::table(&effort, |name| chosen(name, &some_rows));
        if compression && !test && some_rows.is_none() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/compression.md"), table).unwrap();
        }
        if compression {
            return;
        }
    }
    let mut lines = Vec::new();
    let mut rows = work::rows();
    rows.retain(|row| chosen(&row.name, &some_rows));
    for rows in rows.chunk_by(|row, next| row.beside.is_some() && row.beside == next.beside) {
        for (row, results) in rows.iter().zip(run(rows, &peers, &effort)) {
            print!("{}", report::plain(row, &peers, &results));
            lines.push((row, results));
        }
    }
    if test {
        strict::test(&peers);
        return print!("{}", idle::table(&peers, 100));
    }
    let checking: Vec<bool> = peers.iter().map(|peer| strict::checks(peer)).collect();
    let report = report::Report { peers: &peers, checking: &checking, lines: &lines };
    println!("\n{}", report.short());
    if some_rows.is_none() && some_peers.is_none() {
        let here = env!("CARGO_MANIFEST_DIR");
        std::fs::write(
            format!("{here}/results.md"),
            report.whole(&effort, &idle::table(&peers, idle::CONNECTIONS)),
        )
        .unwrap();
        std::fs::write(format!("{here}/../../examples/figures/peers.svg"), report.chart()).unwrap();
    }
}
