//! Breaks rules of RFC 6455 to find out which of them each peer enforces, and so how comparable the
//! work is.

use crate::{peers::Peer, wire::Wire, work::frame};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::Relaxed,
};

/// Receives a stream as a server: returns whether the last message was delivered, or an error.
pub type Probe = fn(Wire) -> Result<bool, String>;

/// The message that follows each fault.
pub const LAST: &[u8] = b"the last message";

const KEY: Option<[u8; 4]> = Some([0x37, 0xFA, 0x21, 0x3D]);

/// Frames from a client with a fault, except for the first, each with a name.
fn faults() -> Vec<(&'static str, Vec<u8>)> {
    type Frame<'f> = (u8, Option<[u8; 4]>, &'f [u8]);
    let frames = |frames: &[Frame]| {
        let mut bytes = Vec::new();
        frames.iter().for_each(|&(first, key, payload)| frame(&mut bytes, first, key, payload));
        bytes
    };
    let raw = |header: &[u8], payload: &[u8]| [header, &[0; 4], payload].concat();
    vec![
        ("nothing wrong: a fragmented message and a Ping", {
            frames(&[(0x01, KEY, "Κόσ".as_bytes()), (0x89, KEY, b"ping"), (0x80, KEY, "με".as_bytes())])
        }),
        ("an unmasked frame", frames(&[(0x82, None, b"abcd")])),
        ("RSV1", frames(&[(0xC2, KEY, b"abcd")])),
        ("RSV2", frames(&[(0xA2, KEY, b"abcd")])),
        ("RSV3", frames(&[(0x92, KEY, b"abcd")])),
        ("reserved opcode 3", frames(&[(0x83, KEY, b"abcd")])),
        ("reserved opcode 11", frames(&[(0x8B, KEY, b"abcd")])),
        ("5 bytes as a 16-bit length", raw(&[0x82, 0xFE, 0, 5], b"abcde")),
        ("200 bytes as a 64-bit length", raw(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 200], &[b'a'; 200])),
        ("a length of 2^63", raw(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], b"")),
        ("a Ping of 126 bytes", frames(&[(0x89, KEY, &[b'a'; 126])])),
        ("a Pong of 126 bytes", frames(&[(0x8A, KEY, &[b'a'; 126])])),
        ("a fragmented Ping", frames(&[(0x09, KEY, b"ab"), (0x80, KEY, b"cd")])),
        ("a continuation outside a message", frames(&[(0x80, KEY, b"abcd")])),
        ("a message within a message", frames(&[(0x01, KEY, b"ab"), (0x81, KEY, b"cd")])),
        ("text that is not UTF-8", frames(&[(0x81, KEY, b"ab\xFFcd")])),
        ("a surrogate in text", frames(&[(0x81, KEY, b"ab\xED\xA0\x80cd")])),
        ("text that ends within a character", frames(&[(0x81, KEY, b"ab\xCE")])),
        ("fragmented text that ends within a character", frames(&[(0x01, KEY, b"ab\xCE"), (0x80, KEY, b"")])),
        ("… with bytes in the last fragment", frames(&[(0x01, KEY, b"ab"), (0x80, KEY, b"cd\xCE")])),
        ("fragmented text that is not UTF-8", frames(&[(0x01, KEY, b"ab\xCE"), (0x80, KEY, b"cd")])),
        ("text invalid in its first byte, cut there", raw(&[0x81, 0xFE, 0x40, 0], b"\xFF")),
        ("a Close with one byte", frames(&[(0x88, KEY, b"a")])),
        ("a Close with code 1005", frames(&[(0x88, KEY, &1005u16.to_be_bytes())])),
        ("a Close with code 999", frames(&[(0x88, KEY, &999u16.to_be_bytes())])),
        ("a Close whose reason is not UTF-8", frames(&[(0x88, KEY, b"\x03\xE8\xFF")])),
    ]
}

/// The peer's reaction.
fn verdict(probe: Probe, fault: &[u8]) -> &'static str {
    let mut bytes = fault.to_vec();
    // If a fault declares a longer payload than it has, this message is a part of that payload.
    frame(&mut bytes, 0x82, KEY, LAST);
    let (wire, ended) = Wire::once(&bytes);
    match catch_unwind(AssertUnwindSafe(|| probe(wire))) {
        Err(_) => "panics",
        Ok(Ok(true)) => "accepts",
        _ if ended.load(Relaxed) => "waits",
        Ok(Ok(false)) => "closes",
        Ok(Err(_)) => "refuses",
    }
}

/// The faults that a peer must refuse for its work to be comparable.
const MAIN: [&str; 8] = [
    "an unmasked frame",
    "RSV1",
    "RSV2",
    "RSV3",
    "reserved opcode 3",
    "reserved opcode 11",
    "text that is not UTF-8",
    "text that ends within a character",
];

/// Whether a peer refuses the main faults.
pub fn checks(peer: &Peer) -> bool {
    let main = faults().into_iter().filter(|(name, _)| MAIN.contains(name));
    peer.probe
        .is_none_or(|probe| main.map(|(_, fault)| verdict(probe, &fault)).all(|verdict| verdict == "refuses"))
}

/// Asserts that this crate refuses every fault, and that all peers accept the valid frames.
pub fn test(peers: &[&Peer]) {
    for peer in peers {
        for (at, (name, fault)) in faults().iter().enumerate() {
            let Some(probe) = peer.probe else { continue };
            match at {
                0 => assert_eq!(verdict(probe, fault), "accepts", "{}: {name}", peer.name),
                _ if peer.name == "sansocket" => assert_eq!(verdict(probe, fault), "refuses", "{name}"),
                _ => {}
            }
        }
    }
}

/// Prints a table of faults and peers.
pub fn print(peers: &[&Peer]) {
    let peers: Vec<_> = peers.iter().filter_map(|peer| Some((peer.name, peer.probe?))).collect();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    println!("| a client sends | {} |", peers.iter().map(|peer| peer.0).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(peers.len()));
    for (name, fault) in faults() {
        let verdicts: Vec<_> = peers.iter().map(|peer| verdict(peer.1, &fault)).collect();
        println!("| {name} | {} |", verdicts.join(" | "));
    }
    std::panic::set_hook(hook);
    println!(
        "\n`refuses`: an error before the end of the stream; `accepts`: the message after it is delivered; \
        `closes`: treated as a valid Close frame; `waits`: no error and no message before the end of \
        the stream."
    );
}
