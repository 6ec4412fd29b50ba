//! This crate beside its peers: the same work for each, in memory, on one core.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/Cargo.toml   # the table and the chart, in about a minute
//! … -- --long                                                    # longer and more rounds
//! … -- --rows=echo,JSON --peers=sansocket,tungstenite            # some rows, some peers: no files are written
//! … -- --test                                                    # all of it once, checked, not timed
//! … -- --idle                                                    # what 100,000 idle connections hold
//! … -- --strict                                                  # which rules each one keeps
//! … -- --limits                                                  # what unsafe code would gain
//! ```
//!
//! # How it is measured
//!
//! - Every end has a socket in memory that never waits (`wire.rs`): what is read is copied out of it, at most
//!   64 KiB at a time, and what is written is copied into it, as a kernel does. A stream is some 256 KiB of
//!   frames in one piece, so that reads cut frames where they will. A call of that socket costs no system call:
//!   who writes each frame by itself is favoured.
//! - Async peers are polled by hand, once, for a whole stream: no runtime costs them anything.
//! - Before any time is taken, every message of a pass is compared with what was sent, and every frame sent is
//!   read back, twice, with nothing of any implementation (`work.rs`). Masking keys and binary messages are random.
//! - Each row is run in rounds: in each one every peer has its turn of some milliseconds, in another order from
//!   round to round. A time is the median of the rounds, with the quartiles beside it; a ratio is the median of
//!   the ratios within the rounds. What is timed is the CPU time of the thread.
//! - The peers have their fastest features, the default target CPU and the system's allocator. Each is fed as
//!   its documentation or its own benchmark does it, and where buffers are the caller's choice with the size
//!   that suits it best; `notes` in each file under `peers/` says how, and where that helps it.
//! - The client's handshake is timed with the server's answer, whose own time is then taken off.
//! - uWebSockets is C++ and in no registry, and not run. Its column is its ratio to sockudo-ws's `Protocol`,
//!   once measured in one session with the same kind of work, times what `Protocol` takes here.
//! - Peers that check fewer rules than this crate are told apart: by breaking the rules and looking
//!   (`strict.rs`).

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

const USAGE: &str = "[--test | --long | --strict | --idle | --limits] [--rows=PART,…] [--peers=PART,…]";

fn main() {
    let (mut test, mut strict, mut idle) = (false, false, false);
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
            ("--limits", _) => return limits::table(),
            // What `--idle` starts.
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
        std::fs::write(format!("{here}/chart.svg"), report.chart()).unwrap();
    }
}
