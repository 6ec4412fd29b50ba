//! The crate beside its peers.
mod heap;
mod measure;
mod peers;
mod sansocket;
mod wire;
mod work;

use measure::{Effort, Measured, run};
use peers::Peer;
use std::time::Duration;
use work::Row;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name: &str| {
        let before = words.len();
        words.retain(|word| word != name);
        words.len() < before
    };
    let (test, long) = (flag("--test"), flag("--long"));
    let effort = match (test, long) {
        (true, _) => None,
        (_, true) => Some(Effort { rounds: 41, turn: Duration::from_millis(10) }),
        _ => Some(Effort { rounds: 15, turn: Duration::from_millis(2) }),
    };
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)).unwrap_or_default();
    let (only, among) = (option("--rows="), option("--peers="));
    let matches =
        |name: &str, words: &str| words.is_empty() || words.split(',').any(|word| name.contains(word));
    let peers = peers::all();
    let peers: Vec<&Peer> = peers.iter().filter(|peer| matches(peer.name, among)).collect();
    for row in work::rows().iter().filter(|row| matches(&row.name, only)) {
        let results = run(row, &peers, effort.as_ref());
        if effort.is_some() {
            print(row, &peers, &results);
        }
    }
}

fn print(row: &Row, peers: &[&Peer], results: &[Option<Measured>]) {
    println!("{}", row.name);
    for (peer, result) in peers.iter().zip(results) {
        if let Some(result) = result {
            let [low, median, high] = result.times;
            let ratio = results[0].as_ref().map_or(0.0, |own| own.ratio(result));
            println!(
                "    {:26} {median:10.1} [{low:.1}, {high:.1}] ratio {ratio:.2} allocations {:.2}",
                peer.name, result.allocations
            );
        }
    }
}
