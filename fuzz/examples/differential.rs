//! Compares the crate with other implementations on streams made from a seed; `fuzz/differential`
//! runs it. `src/differential.rs` lists the accepted differences.

use sansocket_fuzz::differential::{Difference, Other, Tungstenite, compare};
use sansocket_fuzz::python::Python;
use sansocket_fuzz::streams;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let streams = numbers.next().unwrap_or(200_000);
    let seed = numbers.next().unwrap_or(1);
    let peers = std::env::var_os("SANSOCKET_PEERS").map(PathBuf::from);
    let peers =
        peers.expect("SANSOCKET_PEERS is the folder that sansocket-io/tests/interop/setup has filled");
    let python = |name| Python::start(name, &peers).unwrap_or_else(|error| panic!("{peers:?}: {error}"));
    let (websockets, wsproto) = (python("websockets"), python("wsproto"));
    let threads = [
        ("tungstenite", thread::spawn(move || run(Tungstenite, streams, seed))),
        ("websockets", thread::spawn(move || run(websockets, streams, seed))),
        ("wsproto", thread::spawn(move || run(wsproto, streams, seed))),
    ];
    for (name, thread) in threads {
        // The panic has printed the difference.
        let Ok(found) = thread.join() else { return ExitCode::FAILURE };
        let compared: u64 = found.values().sum();
        println!(
            "{name}: {compared} streams, {} with the same outcome; differences in the tables:",
            found.get(&None).unwrap_or(&0)
        );
        for (difference, times) in
            found.iter().filter_map(|(difference, times)| Some((difference.as_ref()?, times)))
        {
            println!("    {difference:?}: {times}");
        }
    }
    ExitCode::SUCCESS
}

/// The number of streams with each difference, and with none.
fn run(mut other: impl Other, streams: u64, seed: u64) -> BTreeMap<Option<Difference>, u64> {
    let mut found = BTreeMap::new();
    for case in (0..streams).map(|number| streams::case(seed, number)) {
        if !case.head || other.reads_heads() {
            *found.entry(compare(&case, &mut other)).or_default() += 1;
        }
    }
    found
}
