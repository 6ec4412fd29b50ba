//! The bytes of real clients, servers and gateways in `tests/field` give the events that its tables
//! name, however they are cut.

mod common;

use common::*;
use sansocket::handshake::{check_request, check_response};
use sansocket::rand_core::{TryCryptoRng, TryRng};
use sansocket::{Client, Config, Connect, Event, WebSocket};
use std::{convert::Infallible, fmt::Debug, fs, path::Path};

const PAGE: &str = include_str!("field/README.md");

/// The key of RFC 6455 section 1.3, which all recorded responses answer.
const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const CONNECT: Connect<'_> = Connect::new("127.0.0.1", "/chat").protocols(&["chat", "superchat"]);

/// A generator whose key is [`SAMPLE_KEY`].
struct SampleNonce;

impl TryRng for SampleNonce {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (byte, sample) in bytes.iter_mut().zip(b"the sample nonce".iter().cycle()) {
            *byte = *sample;
        }
        Ok(())
    }
}

impl TryCryptoRng for SampleNonce {}

/// A client that has sent [`CONNECT`] with [`SAMPLE_KEY`].
fn sample_client() -> Peer<Client<SampleNonce>> {
    let mut peer = Peer::new(WebSocket::client(Config::default(), SampleNonce));
    peer.ws.connect(CONNECT, &mut peer.outbox).unwrap();
    assert_eq!(header(str::from_utf8(&peer.outbox).unwrap(), "Sec-WebSocket-Key"), Some(SAMPLE_KEY));
    peer
}

/// The rows of a table of the page, as cells without back quotes.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let (section, _) = section.split_once("\n## ").unwrap_or((section, ""));
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.skip(1).map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect()
}

/// Calls `check` with each row of a table and the bytes of its file: the expected and the actual
/// result. Fails if they differ in any row, or if the table does not list the files of its folder.
fn check_files<T: PartialEq + Debug>(heading: &str, check: impl Fn(&[&str], &[u8]) -> [T; 2]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(heading.to_lowercase());
    let rows = table(heading);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), names, "{heading}: rows and files");

    let mut failures = String::new();
    for row in &rows {
        let [expected, actual] = check(row, &fs::read(folder.join(row[0])).unwrap());
        if actual != expected {
            failures += &format!("\n{}: expected {expected:#?}, got {actual:#?}", row[0]);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The result of `run` with the stream in one slice, which must be the same with slices of one byte
/// and with two slices cut at every position.
fn same_at_every_cut<T: PartialEq + Debug>(stream: &[u8], file: &str, run: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = run(&[stream]);
    assert_eq!(run(&stream.chunks(1).collect::<Vec<_>>()), whole, "{file}, byte by byte");
    for cut in 1..stream.len() {
        let (first, second) = stream.split_at(cut);
        assert_eq!(run(&[first, second]), whole, "{file}, cut at {cut}");
    }
    whole
}

/// The events after the opening handshake, as in the tables.
fn shown(seen: &[Seen]) -> String {
    let events = seen.iter().filter_map(|event| match event {
        Seen::Refused(status) => Some(format!("refused {status}")),
        Seen::Text(text) => Some(format!("text {text}")),
        Seen::Binary(bytes) => Some(format!("binary {}", bytes.escape_ascii())),
        Seen::Ping(payload) => Some(format!("ping {}", payload.escape_ascii()).trim_end().into()),
        Seen::Pong(payload) => Some(format!("pong {}", payload.escape_ascii()).trim_end().into()),
        Seen::Error(error) => Some(format!("error {error}")),
        Seen::Close(code, reason, _) => Some(format!("close {code} {reason}").trim_end().into()),
        _ => None,
    });
    events.collect::<Vec<_>>().join(", ")
}

/// What a server reads from a request (target, host, origin, subprotocols, extensions), and its
/// events.
fn serve(slices: &[&[u8]]) -> Vec<String> {
    let (mut peer, mut read) = (new_server(Config::default()), vec![String::new(); 5]);
    for slice in slices {
        let left = peer.receive_with(slice, |ws, event, outbox| {
            let Event::Request(request) = event else { return };
            assert_eq!(check_request(request.headers()), Ok(request.accept()));
            let protocols: Vec<_> = request.protocols().collect();
            let extensions = request.extensions().collect::<Vec<_>>().join(", ");
            let origin = request.origin().unwrap_or_default();
            read = [request.target(), request.host(), origin, &protocols.join(", "), &extensions]
                .map(Into::into)
                .into();
            let accept = protocols.first().and_then(|first| request.select(&[first]));
            ws.accept(accept.unwrap_or(request.accept()), outbox).unwrap();
        });
        assert_eq!(left, b"", "the input is consumed");
    }
    peer.eof();
    assert!(is_closed(&peer));
    read.push(shown(&peer.seen));
    read
}

/// Proves: S2, S3, S4, S5, S9, S10, S12, S14, F8.
#[test]
fn requests_of_real_clients_and_proxies_are_read() {
    check_files("Requests", |row, stream| {
        let expected = row[2..].iter().map(ToString::to_string).collect();
        [expected, same_at_every_cut(stream, row[0], serve)]
    });
}

/// What a client reads from a response with status 101 (subprotocol, server), and its events.
fn connect(slices: &[&[u8]]) -> Vec<String> {
    let (mut peer, mut read) = (sample_client(), Vec::new());
    for slice in slices {
        let left = peer.receive_with(slice, |_, event, _| {
            let Event::Open(open) = event else { return };
            let agreed = check_response(open.headers(), SAMPLE_KEY, &CONNECT).unwrap();
            assert_eq!(agreed.protocol(), open.protocol());
            let server = str::from_utf8(open.header("Server").unwrap_or_default()).unwrap();
            read = [open.protocol().unwrap_or_default(), server].map(Into::into).into();
        });
        assert_eq!(left, b"", "the input is consumed");
    }
    peer.eof();
    assert!(is_closed(&peer));
    read.push(shown(&peer.seen));
    read
}

/// Proves: D2, D3, D4, D7, D11, F8.
#[test]
fn responses_of_real_servers_and_proxies_open() {
    check_files("Responses", |row, stream| {
        let expected = row[2..].iter().map(ToString::to_string).collect();
        [expected, same_at_every_cut(stream, row[0], connect)]
    });
}

/// What a client reads from a refusal: its header lines, its body, and the events.
fn refuse(slices: &[&[u8]]) -> (Vec<String>, Vec<u8>, String) {
    let (mut peer, mut headers, mut body, mut refused) = (sample_client(), Vec::new(), Vec::new(), false);
    for slice in slices {
        if refused {
            body.extend_from_slice(slice);
            continue;
        }
        let mut bytes = slice.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = peer.ws.receive(&mut input, &mut peer.inbox) {
            push(&mut peer.seen, &event);
            if let Event::Refused(response) = event {
                let line = |(name, value)| format!("{name}: {}", String::from_utf8_lossy(value));
                headers = response.headers().map(line).collect();
                body.extend_from_slice(input);
                refused = true;
            }
        }
    }
    assert!(is_closed(&peer));
    (headers, body, shown(&peer.seen))
}

/// The bytes after the head of the final response.
fn body_of(response: &[u8]) -> &[u8] {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, rest) = response.split_at(end);
    if head.starts_with(b"HTTP/1.1 1") { body_of(rest) } else { rest }
}

/// Proves: D1, D9, D13.
#[test]
fn refusals_of_real_servers_and_gateways_are_reported_with_headers_and_body() {
    check_files("Refusals", |row, stream| {
        let (headers, body, events) = same_at_every_cut(stream, row[0], refuse);
        let header = headers.iter().find(|line| row[3].is_empty() || *line == row[3]);
        let expected_body = if row[4].starts_with("refused") { body_of(stream) } else { b"" };
        [
            [row[3], &String::from_utf8_lossy(expected_body), row[4]].map(ToString::to_string),
            [header.cloned().unwrap_or_default(), String::from_utf8_lossy(&body).into_owned(), events],
        ]
    });
}
