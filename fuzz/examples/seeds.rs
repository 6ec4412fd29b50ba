//! Writes the seeds of each corpus: `cargo run --example seeds`, in this folder.
//!
//! The other files of a corpus are the smallest set of inputs found by `fuzz/run` that reaches the
//! same coverage.

use sansocket_fuzz::{frames, heads};
use std::{fs, io};

fn main() -> io::Result<()> {
    for (target, masked) in [("server_bytes", true), ("client_bytes", false)] {
        for (at, stream) in streams(masked).iter().enumerate() {
            // Flags, and a script of six steps.
            let flags = (at as u8).wrapping_mul(5) & 0x5F;
            write(target, at, &[&[flags, 6, 0x05, 0x4F, 0x93, 0x6F, 0x7D, 0x37][..], stream].concat())?;
        }
    }
    for (at, stream) in streams(true).iter().chain(&streams(false)).enumerate() {
        // The first byte is the role (bit 0) and the limits (bit 1).
        let client = u8::from(at >= streams(true).len());
        write("differential", at, &[&[client | (2 * u8::from(at % 4 < 2))][..], stream].concat())?;
        // Every second stream, with each kind of inbox and both deliveries in turn.
        if at % 2 == 1 {
            let flags = client | (8 * (at as u8 / 2 % 8));
            write("cut_anywhere", at, &[&[flags, 0, 3, 1, 5, 30][..], stream].concat())?;
        }
    }
    for (at, request) in heads::REQUESTS.iter().enumerate() {
        let glued = frames::write(0x81, true, b"glued");
        // Unchanged; with an edit; as the input itself.
        write("server_head", 4 * at, &[0x10, at as u8])?;
        write("server_head", 4 * at + 1, &[0x11, at as u8, 0, 0, 40, 0x12, b'x', b'\n'])?;
        write("server_head", 4 * at + 2, &[&[0x02, 0x80, 0], request.as_bytes(), &glued].concat())?;
        write(
            "cut_anywhere",
            50 + at,
            &[&[2 | 0x10, 4, 4, 9, 9, 60, 60], request.as_bytes(), &glued].concat(),
        )?;
        write("cut_anywhere", 60 + at, &[&[4 | 0x10, 1, 1, 9, at as u8], &glued[..]].concat())?;
    }
    // A HEAD, where plain requests are served; a request that is longer than the inbox.
    write("server_head", 16, &[0x30, 3, 0, 0, 0, 0x3E, 22])?;
    write("server_head", 17, &[0x10, 0x41, 1, 200])?;
    write("cut_anywhere", 54, &[&[2 | 0x10, 0x80, 1, 9], heads::REQUESTS[1].as_bytes()].concat())?;
    for (at, (uri, protocols, header)) in CONNECTS.iter().enumerate() {
        let counted = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        write("connect", at, &[vec![1], counted(uri), counted(protocols), counted(header)].concat())?;
    }
    let accept = heads::accept_of(heads::CLIENT_KEY);
    for (at, response) in heads::responses(&accept).iter().enumerate() {
        let glued = frames::write(0x81, false, b"glued");
        write("client_head", 3 * at, &[0x10, at as u8])?;
        write("client_head", 20 + at, &[0x50, at as u8])?;
        write("client_head", 3 * at + 1, &[0x11, at as u8, 0, 0, 40, 0x12, b'x', b'\n'])?;
        write("client_head", 3 * at + 2, &[&[0x02, 0x80, 0], response.as_bytes(), &glued].concat())?;
        write(
            "cut_anywhere",
            70 + at,
            &[&[3 | 0x10, 0, 4, 9, 9, 60, 60], response.as_bytes(), &glued].concat(),
        )?;
        write("cut_anywhere", 80 + at, &[&[5 | 0x10, 1, 1, 9, at as u8], &glued[..]].concat())?;
    }
    // A response that is longer than the inbox.
    write("client_head", 12, &[0x10, 0x41, 80])?;
    for (at, response) in REFUSALS.iter().enumerate() {
        write("client_head", 13 + at, &[&[0x02, 0x04, 0], response.as_bytes()].concat())?;
        write("client_head", 16 + at, &[&[0x02, 0x40, 30], response.as_bytes()].concat())?;
        write("cut_anywhere", 90 + at, &[&[3 | 0x10, 0x80, 1, 9], response.as_bytes()].concat())?;
    }
    Ok(())
}

/// A client's URI, subprotocols and header.
const CONNECTS: [(&str, &str, &str); 8] = [
    ("ws://a.example/chat?room=1", "chat,v2", "Origin:http://a.example"),
    ("WSS://[::1]:8443", "", ""),
    ("wss://a:443?x", "v2", "X: y\t"),
    ("ws://a:80/%20#b", "v2,v2", "Host:b"),
    ("ws://b@a/", "a b", "X:\n"),
    ("http://a/", "", ""),
    ("ws://[fe80::1%25eth0]:81/", "a,b,c", ""),
    ("ws://[1:2:3:4:5:6:192.0.2.1]", "", ""),
];

/// Refusals that are no strict HTTP, cut short, or longer than a small inbox.
const REFUSALS: [&str; 3] = [
    "HTTP/1.1 103 Hints\nLink : a\n\nHTTP/1.1 403 Forbidden\r\nX-Why : quota\r\n folded\r\nno colon\n\
     X: a\0b\r\nLocation: /b\n\r\nbody\n\n",
    "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nX: cut",
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a, a long one, longer than the inbox\"\r\n\
     Connection: close\r\nContent-Length: 4\r\n\r\nbody",
];

fn write(target: &str, number: usize, seed: &[u8]) -> io::Result<()> {
    let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&folder)?;
    fs::write(format!("{folder}/seed-{number:02}"), seed)
}

/// Valid and invalid streams of frames.
fn streams(masked: bool) -> Vec<Vec<u8>> {
    let frame = |first, payload: &[u8]| frames::write(first, masked, payload);
    let text = "κόσμε €😀".as_bytes();
    let (first, rest) = text.split_at(5);
    let (middle, last) = rest.split_at(7);
    vec![
        [frame(0x81, b"Hello"), frame(0x82, &[0xFF; 200]), frame(0x89, b"ping"), frame(0x8A, b"")].concat(),
        [frame(0x01, first), frame(0x89, b"a"), frame(0, middle), frame(0, b""), frame(0x80, last)].concat(),
        [frame(0x02, b""), frame(0, b"ab"), frame(0x80, b""), frame(0x82, b"c")].concat(),
        [frame(0x81, text), frame(0x88, b"\x03\xE8bye"), frame(0x89, b"after")].concat(),
        [frame(0x01, b"a\xF0\x9F"), frame(0x89, b""), frame(0x80, b"\x98\x80")].concat(),
        [frame(0x81, b"ok"), frame(0x81, b"a\xC3\xA9\xE2\x82z")].concat(),
        [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        [frame(0x82, b"a"), frames::write(0x82, !masked, b"b")].concat(),
        [frame(0x89, b"a"), frame(0x88, b"\x03\xED")].concat(),
        [frame(0x88, b""), frame(0x81, b"after")].concat(),
        [vec![0x82, if masked { 0xFE } else { 126 }, 0, 125], vec![0; 129]].concat(),
        [vec![0x82, if masked { 0xFF } else { 127 }, 0, 0, 0, 0, 0, 0, 0xFF], vec![0; 9]].concat(),
        [frame(0x02, &[1; 120]), frame(0, &[2; 20]), frame(0x80, &[3; 40])].concat(),
        [frame(0x01, &[b'x'; 129]), frame(0x80, &[b'y'; 99])].concat(),
        frame(0x82, &[4; 600]),
        [0x01, 0, 0, 0, 0, 0, 0].iter().flat_map(|&first| frame(first, b"")).collect(),
    ]
}
