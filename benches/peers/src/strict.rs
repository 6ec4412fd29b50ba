//! Which rules of RFC 6455 the peers keep, found out by breaking them: for the reader who wonders how much of
//! the same work it is.

use crate::{peers::Peer, wire::Wire, work::frame};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::Relaxed,
};

/// What a server's end of a connection does with a stream: whether it delivered the last message, or an error.
pub type Probe = fn(Wire) -> Result<bool, String>;

/// The message behind each fault.
pub const LAST: &[u8] = b"the last message";

const KEY: Option<[u8; 4]> = Some([0x37, 0xFA, 0x21, 0x3D]);

/// Whole frames of a client, each with a name.
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
        ("a continuation of nothing", frames(&[(0x80, KEY, b"abcd")])),
        ("a message within a message", frames(&[(0x01, KEY, b"ab"), (0x81, KEY, b"cd")])),
        ("text that is not UTF-8", frames(&[(0x81, KEY, b"ab\xFFcd")])),
        ("a surrogate in text", frames(&[(0x81, KEY, b"ab\xED\xA0\x80cd")])),
        ("text that ends within a character", frames(&[(0x81, KEY, b"ab\xCE")])),
        ("fragmented text that ends within a character", frames(&[(0x01, KEY, b"ab\xCE"), (0x80, KEY, b"")])),
        ("… with octets in the last fragment", frames(&[(0x01, KEY, b"ab"), (0x80, KEY, b"cd\xCE")])),
        ("fragmented text that is not UTF-8", frames(&[(0x01, KEY, b"ab\xCE"), (0x80, KEY, b"cd")])),
        ("text wrong in its first octet, cut there", raw(&[0x81, 0xFE, 0x40, 0], b"\xFF")),
        ("a Close with one byte", frames(&[(0x88, KEY, b"a")])),
        ("a Close with code 1005", frames(&[(0x88, KEY, &1005u16.to_be_bytes())])),
        ("a Close with code 999", frames(&[(0x88, KEY, &999u16.to_be_bytes())])),
        ("a Close whose reason is not UTF-8", frames(&[(0x88, KEY, b"\x03\xE8\xFF")])),
    ]
}

/// What the peer made of it.
fn verdict(probe: Probe, fault: &[u8]) -> &'static str {
    let mut bytes = fault.to_vec();
    // Where a payload is announced that never comes, nothing can stand behind it.
    frame(&mut bytes, 0x82, KEY, LAST);
    let (wire, ended) = Wire::once(&bytes);
    match catch_unwind(AssertUnwindSafe(|| probe(wire))) {
        Err(_) => "panics",
        Ok(Ok(true)) => "takes it",
        _ if ended.load(Relaxed) => "waits",
        Ok(Ok(false)) => "closes",
        Ok(Err(_)) => "refuses",
    }
}

/// The faults that whoever does the same work must find.
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

/// Whether a peer finds the main faults.
pub fn checks(peer: &Peer) -> bool {
    let main = faults().into_iter().filter(|(name, _)| MAIN.contains(name));
    peer.probe
        .is_none_or(|probe| main.map(|(_, fault)| verdict(probe, &fault)).all(|verdict| verdict == "refuses"))
}

/// Asserts that this crate refuses every fault, and nothing else, and that the others take what is right.
pub fn test(peers: &[&Peer]) {
    for peer in peers {
        for (at, (name, fault)) in faults().iter().enumerate() {
            let Some(probe) = peer.probe else { continue };
            match at {
                0 => assert_eq!(verdict(probe, fault), "takes it", "{}: {name}", peer.name),
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
        "\n`refuses`: an error before the end of the stream; `takes it`: the message behind it is delivered; `closes`: as \
        a Close frame that is well-formed; `waits`: no error, and nothing delivered, up to the end of the stream."
    );
}
