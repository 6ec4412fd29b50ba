//! Streams made from a seed: frames that mostly follow RFC 6455, and heads; most of them with
//! faults.

use crate::differential::Case;
use crate::{frames, heads};
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand::{RngExt, SeedableRng};

/// The case with this number: seven of eight are frames, one is a head.
pub fn case(seed: u64, number: u64) -> Case {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
    let client = rng.random();
    let head = number % 8 == 7;
    let stream = if head { head_stream(&mut rng, client) } else { frame_stream(&mut rng, !client) };
    Case { client, head, small: rng.random_ratio(1, 4), stream }
}

/// Lengths on both sides of each boundary in the protocol and in the limits of the comparison.
const LENGTHS: [usize; 17] = [0, 1, 2, 3, 5, 8, 20, 60, 124, 125, 126, 127, 131, 151, 255, 400, 2000];

/// Characters of each length in UTF-8.
const CHARACTERS: [&str; 10] =
    ["a", "z\n", "\0", "\u{80}", "é", "€", "\u{D7FF}", "\u{FFFF}", "😀", "\u{10FFFF}"];
/// Bytes on both sides of each boundary in table 3-7 of the Unicode standard.
const BYTES: [u8; 19] = [
    0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5,
    0xFE, 0xFF,
];

/// Frames, then up to three faults.
fn frame_stream(rng: &mut StdRng, masked: bool) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for _ in 0..rng.random_range(1..6) {
        message(rng, masked, &mut all);
    }
    if rng.random_ratio(1, 3) {
        all.push(close(rng, masked));
    }
    if rng.random_ratio(1, 5) {
        message(rng, masked, &mut all);
    }
    let faults = [0, 0, 1, 1, 1, 2, 3].choose(rng).copied().unwrap_or(0);
    for _ in 0..faults {
        add_fault(rng, masked, &mut all);
    }
    let mut stream = all.concat();
    match rng.random_range(0..8) {
        0 => stream.truncate(rng.random_range(0..=stream.len())),
        1 => edit(rng, &mut stream),
        _ => {}
    }
    stream
}

/// A control frame, or a message in one frame or in fragments with control frames between them.
fn message(rng: &mut StdRng, masked: bool, all: &mut Vec<Vec<u8>>) {
    if rng.random_ratio(1, 4) {
        return all.push(control(rng, masked));
    }
    let text: bool = rng.random();
    let payload = payload(rng, text);
    let mut cuts: Vec<usize> = Vec::new();
    if rng.random_ratio(1, 3) {
        cuts = (0..rng.random_range(1..4)).map(|_| rng.random_range(0..=payload.len())).collect();
        cuts.sort_unstable();
    }
    cuts.push(payload.len());
    let mut start = 0;
    for (at, end) in cuts.iter().copied().enumerate() {
        let fin = if at + 1 == cuts.len() { 0x80 } else { 0 };
        let opcode = if at > 0 { 0 } else { 2 - u8::from(text) };
        all.push(frame(rng, fin | opcode, masked, &payload[start..end]));
        start = end;
        if fin == 0 && rng.random_ratio(1, 4) {
            all.push(control(rng, masked));
        }
    }
}

fn payload(rng: &mut StdRng, text: bool) -> Vec<u8> {
    let len = LENGTHS.choose(rng).copied().unwrap_or(0);
    if !text {
        return (0..len).map(|_| rng.random()).collect();
    }
    let mut payload = Vec::new();
    while payload.len() < len {
        payload.extend_from_slice(CHARACTERS.choose(rng).copied().unwrap_or("").as_bytes());
    }
    if rng.random_ratio(1, 6) {
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..=payload.len());
            payload.insert(at, BYTES.choose(rng).copied().unwrap_or(0));
        }
    }
    payload
}

fn control(rng: &mut StdRng, masked: bool) -> Vec<u8> {
    if rng.random_ratio(1, 16) {
        return close(rng, masked);
    }
    let len = [0, 1, 4, 60, 124, 125].choose(rng).copied().unwrap_or(0);
    let payload: Vec<u8> = (0..len).map(|_| rng.random()).collect();
    let opcode = [0x89, 0x8A].choose(rng).copied().unwrap_or(0);
    frame(rng, opcode, masked, &payload)
}

fn close(rng: &mut StdRng, masked: bool) -> Vec<u8> {
    let code = match rng.random_range(0..4) {
        0 => rng.random_range(996..1020),
        1 => [0, 999, 1000, 2999, 3000, 3999, 4000, 4999, 5000, 65535].choose(rng).copied().unwrap_or(0),
        2 => 1000,
        _ => rng.random::<u16>(),
    };
    let mut payload = [&code.to_be_bytes()[..], &payload(rng, true)].concat();
    payload.truncate([0, 1, 2, 20, 124, 125].choose(rng).copied().unwrap_or(0));
    frame(rng, 0x88, masked, &payload)
}

fn frame(rng: &mut StdRng, first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    frames::write_with(first, masked.then(|| rng.random()), payload)
}

/// Adds a fault to one of the frames, or to their order.
fn add_fault(rng: &mut StdRng, masked: bool, all: &mut Vec<Vec<u8>>) {
    let at = rng.random_range(0..all.len());
    match rng.random_range(0..10) {
        // FIN, a reserved bit or the opcode; the mask bit or the length.
        place @ 0..=3 => {
            if let Some(byte) = all[at].get_mut(place / 3) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
        4 => all[at] = frame(rng, 0x82, !masked, b"other"),
        5 => {
            let again = all.choose(rng).cloned().unwrap_or_default();
            all.insert(at, again);
        }
        6 if all.len() > 1 => drop(all.remove(at)),
        7 => lengthen(rng, &mut all[at]),
        8 => {
            let first = rng.random();
            all[at] = frame(rng, first, masked, b"\x03\xE8");
        }
        _ => {
            if let Some(frame) = all.choose_mut(rng) {
                edit(rng, frame);
            }
        }
    }
}

/// Encodes a frame's length in a longer form, or declares a greater length.
fn lengthen(rng: &mut StdRng, frame: &mut Vec<u8>) {
    let (first, bit, old, len) = match frame[..] {
        [first, second @ (126 | 254), high, low, ..] => {
            (first, second & 0x80, 4, u16::from_be_bytes([high, low]))
        }
        [first, second, ..] if second & 0x7F < 126 => (first, second & 0x80, 2, u16::from(second & 0x7F)),
        _ => return,
    };
    let len = u64::from(len);
    let len = match rng.random_range(0..8) {
        0 => u64::MAX,
        1 => 1 << 63,
        2 => (1 << 63) - 1,
        3 => (1 << 32) + len,
        _ => len,
    };
    let mut header = vec![first];
    match u16::try_from(len) {
        Ok(len) if rng.random() => {
            header.push(bit | 126);
            header.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            header.push(bit | 127);
            header.extend_from_slice(&len.to_be_bytes());
        }
    }
    frame.splice(..old, header);
}

/// Changes, inserts or deletes a byte.
fn edit(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..3) {
        0 => bytes[at] = rng.random(),
        1 => bytes.insert(at, rng.random()),
        _ => drop(bytes.remove(at)),
    }
}

/// Unusual parts of the templates, and their usual forms. Some implementations refuse the unusual
/// ones, so half of the heads are without them.
const UNUSUAL: [(&str, &str); 7] = [
    ("AQIDBAUGBwgJCgsMDQ4PEC==", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("keep-alive, upgrade", "Upgrade"),
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ""),
    ("\r\nGET", "GET"),
    ("HTTP/1.2", "HTTP/1.1"),
    ("h2c,WebSocket", "WebSocket"),
    ("101 Switching Protocols\r\n", "101 Switching Protocols\r\nSec-WebSocket-Protocol: chat\r\n"),
];

/// A request or a response, with up to three edits of its lines or bytes.
fn head_stream(rng: &mut StdRng, client: bool) -> Vec<u8> {
    let templates = match client {
        true => heads::responses(&heads::accept_of(heads::CLIENT_KEY)),
        false => heads::REQUESTS.map(Into::into),
    };
    let mut head = templates.choose(rng).cloned().unwrap_or_default();
    if rng.random() {
        for (unusual, usual) in UNUSUAL {
            head = head.replace(unusual, usual);
        }
    }
    if rng.random_ratio(1, 3) {
        let mut lines: Vec<&str> = head.split_inclusive("\r\n").collect();
        let (at, to) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
        match rng.random_range(0..3) {
            0 => lines.insert(to, lines[at]),
            1 => drop(lines.remove(at)),
            _ => lines.swap(at, to),
        }
        head = lines.concat();
    }
    let mut edits = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        edits.extend_from_slice(&rng.random::<[u8; 2]>());
        let deleted = [0, 0, 1, 2, 9].choose(rng).copied().unwrap_or(0);
        let inserted = [0, 1, 1, 2, 14, 14].choose(rng).copied().unwrap_or(0);
        edits.push(deleted << 4 | inserted);
        for _ in 0..inserted.min(if inserted == 14 { 1 } else { 2 }) {
            const USUAL: &[u8] = b"\r\n\t\0 :,;=\"/aZ0\x7F\x80\xFF";
            edits.push(USUAL.choose(rng).copied().filter(|_| inserted < 14).unwrap_or_else(|| rng.random()));
        }
    }
    heads::edit(&head, crate::Choices(&edits))
}
