//! RFC 6455 section 4.1: the request of a client, and the responses that it accepts.

mod common;

use common::*;
use sansocket::handshake::{HeaderName, check_request, check_response};
use sansocket::{
    Buffer, Client, CloseCode, Config, Connect, ConnectError, Error, Event, FixedInbox, Handler, HeadError,
    Kind, OutboxFull, Response, ResponseError, SendError, Slice, State, WebSocket, heapless, rand_core,
};
use std::time::Duration;

/// The events of a client that offered `chat` and `v2`. `ACCEPT` in the response stands for the
/// right value.
fn events_of(response: &str) -> Vec<Seen> {
    let mut peer = connecting(Connect::new("a", "/").protocols(&["chat", "v2"]));
    let accept = accept_value_of(&peer.take_sent());
    peer.receive(response.replace("ACCEPT", &accept).as_bytes());
    assert_eq!(peer.take_sent(), b"", "a client sends nothing behind its request");
    assert_eq!(
        peer.ws.state(),
        if matches!(peer.seen[..], [Seen::Open(_), ..]) { State::Open } else { State::Closed }
    );
    peer.take_seen()
}

/// A response with status 101 and these header lines.
fn response(lines: &[&str]) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n", lines.join("\r\n"))
}

const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const ACCEPT: &str = "Sec-WebSocket-Accept: ACCEPT";

#[track_caller]
fn refused(response: &str, because: &str) {
    let seen = events_of(response);
    let ([Seen::Error(error), Seen::Close(1006, _, false)]
    | [Seen::Refused(_), Seen::Error(error), Seen::Close(1006, _, false)]) = &seen[..]
    else {
        panic!("{seen:?}\n{response}")
    };
    assert!(error.contains(because), "{error}\n{response}");
}

#[track_caller]
fn opened(response: &str, protocol: Option<&str>) {
    assert_eq!(events_of(response), [Seen::Open(protocol.map(Into::into))], "{response}");
}

/// Proves: D1, D2, D3, D4, D7.
#[test]
fn a_correct_response_opens_the_connection() {
    opened(&response(&[UPGRADE, CONNECTION, ACCEPT]), None);
    opened(
        &response(&[
            "UPGRADE: WebSocket",
            "connection: keep-alive, upgrade",
            "sec-websocket-accept:\t ACCEPT ",
        ]),
        None,
    );
    opened(&response(&[UPGRADE, "Connection: close", CONNECTION, ACCEPT, "Server: x"]), None);
    opened(&response(&[UPGRADE, CONNECTION, "Connection: close", ACCEPT]), None);
    opened(&response(&[UPGRADE, CONNECTION, ACCEPT]).replace("101 Switching Protocols", "101 "), None);
    opened(&response(&[UPGRADE, CONNECTION, ACCEPT]).replace("101 Switching Protocols", "101"), None);
    opened(&response(&[UPGRADE, CONNECTION, ACCEPT]).replace("HTTP/1.1", "HTTP/1.2"), None);
}

/// Proves: D2, D3, D4.
#[test]
fn a_missing_or_wrong_header_fails_the_handshake() {
    refused(&response(&[CONNECTION, ACCEPT]), "Upgrade header");
    refused(&response(&["Upgrade: websocket, h2c", CONNECTION, ACCEPT]), "Upgrade header");
    refused(&response(&[UPGRADE, UPGRADE, CONNECTION, ACCEPT]), "Upgrade header");
    refused(&response(&[UPGRADE, ACCEPT]), "Connection header");
    refused(&response(&[UPGRADE, "Connection: keep-alive", ACCEPT]), "Connection header");
    refused(&response(&[UPGRADE, CONNECTION]), "no Sec-WebSocket-Accept");
    refused(
        &response(&[UPGRADE, CONNECTION, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        "answer the key",
    );
    refused(&response(&[UPGRADE, CONNECTION, "Sec-WebSocket-Accept: ACCEPTx"]), "answer the key");
    refused(&response(&[UPGRADE, CONNECTION, "Sec-WebSocket-Accept:"]), "answer the key");
}

/// Proves: D5, D6, D8, D10, N1, N4.
#[test]
fn unoffered_duplicate_or_malformed_headers_fail_the_handshake() {
    opened(&response(&[UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: v2"]), Some("v2"));
    for protocol in ["V2", "v", "chat, v2", "", "chat,"] {
        let line = format!("Sec-WebSocket-Protocol: {protocol}");
        refused(&response(&[UPGRADE, CONNECTION, ACCEPT, &line]), "not offered");
    }
    refused(
        &response(&[UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: v2", "Sec-WebSocket-Protocol: v2"]),
        "more than one Sec-WebSocket-Protocol",
    );
    refused(&response(&[UPGRADE, CONNECTION, ACCEPT, ACCEPT]), "more than one Sec-WebSocket-Accept");
    let extension = "Sec-WebSocket-Extensions: permessage-deflate";
    refused(&response(&[UPGRADE, CONNECTION, ACCEPT, extension]), "extension that was not offered");
    refused(
        &response(&[UPGRADE, CONNECTION, ACCEPT, extension, extension]),
        "more than one Sec-WebSocket-Extensions",
    );
    refused(&response(&[UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: a;"]), "not offered");
}

/// Proves: D1, R1.
#[test]
fn another_status_is_reported_with_its_headers() {
    let mut ws = WebSocket::client(Config::default(), rng());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    ws.connect(Connect::new("a", "/"), &mut outbox).unwrap();
    let mut bytes = *b"HTTP/1.0 302 Found\r\nLocation: /b\r\nUpgrade: x\r\nUpgrade: y\r\n\r\nbody";
    let mut input = &mut bytes[..];
    let Some(Event::Refused(response)) = ws.receive(&mut input, &mut inbox) else { panic!() };
    assert_eq!((response.status(), response.header("location")), (302, Some(&b"/b"[..])));
    assert_eq!(response.headers().count(), 3);
    let error = ws.receive(&mut input, &mut inbox);
    assert!(matches!(error, Some(Event::Error(Error::Refused(302)))));
    assert!(matches!(ws.receive(&mut input, &mut inbox), Some(Event::Close(close)) if close.code.0 == 1006));
    assert!(ws.receive(&mut input, &mut inbox).is_none() && input.is_empty() && ws.is_closed());
    for status in ["200 OK", "401 ", "403 Forbidden", "426 ", "500 x", "999 y"] {
        refused(&format!("HTTP/1.1 {status}\r\n\r\n"), &status[..3]);
    }
    // With a folded header, the status is still reported: RFC 9112 section 5.2.
    refused("HTTP/1.1 401 x\r\nWWW-Authenticate: Basic\r\n realm=a\r\n\r\n", "401");
}

/// Proves: D9, Q3.
#[test]
fn a_response_that_is_not_strict_http_fails() {
    refused(&response(&[UPGRADE, CONNECTION, ACCEPT]).replace("HTTP/1.1", "HTTP/1.0"), "older than 1.1");
    for line in
        ["HTTP/1.1 ", "HTTP/1.1  101 x", "HTTP/2 101 x", "101 x", "", "HTTP/1.1 01 x", "GET / HTTP/1.1"]
    {
        refused(&format!("{line}\r\n\r\n"), "status line");
    }
    for (line, because) in [
        ("X : a", "its colon"),
        (" folded", "folded"),
        ("no colon", "colon"),
        ("X: a\rb", "CR without"),
        ("X: a\nb", "LF without"),
        ("X: \0", "control"),
    ] {
        refused(&response(&[UPGRADE, line, CONNECTION, ACCEPT]), because);
    }
}

/// Proves: D12, D13.
#[test]
fn interim_responses_are_skipped_and_share_the_head_limit() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nUpgrade: x\r\n\r\n";
    opened(
        &(interim.to_owned() + &response(&[UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat"])),
        Some("chat"),
    );
    refused(&interim.repeat(1000), "over the limit");
    refused(&response(&[&format!("X: {}", "x".repeat(9000))]), "over the limit");
    refused(&response(&["X: y"; 101]), "too many headers");
}

/// Proves: D11.
#[test]
fn frames_after_the_response_are_kept() {
    let mut peer = connecting(Connect::new("a", "/"));
    let accept = accept_value_of(&peer.take_sent());
    let head = response(&[UPGRADE, CONNECTION, ACCEPT]).replace("ACCEPT", &accept);
    let bytes = [head.as_bytes(), &unmasked(0x81, b"one")].concat();
    peer.receive(&bytes);
    assert_eq!(peer.seen, [Seen::Open(None), Seen::Text("one".into())]);
}

/// Proves: C11, C13, C17.
#[test]
fn each_request_has_one_new_key_and_one_version() {
    let mut ws = rand::rng();
    let mut keys = std::collections::HashSet::new();
    for _ in 0..100 {
        let mut outbox = Vec::new();
        WebSocket::client(Config::default(), &mut ws).connect(Connect::new("a", "/"), &mut outbox).unwrap();
        let head = String::from_utf8(outbox).unwrap();
        assert_eq!(head.matches("Sec-WebSocket-Key:").count(), 1);
        assert_eq!(head.matches("Sec-WebSocket-Version: 13\r\n").count(), 1);
        let key = header(&head, "Sec-WebSocket-Key").unwrap();
        assert!(key.len() == 24 && key.ends_with("=="));
        assert!(keys.insert(key.to_owned()));
    }
}

/// Proves: C19, L24.
#[test]
fn no_data_is_sent_before_the_response() {
    let mut peer = connecting(Connect::new("a", "/"));
    peer.take_sent();
    assert_eq!(peer.ws.send("early", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.close_without_code(&mut peer.outbox), Err(SendError::NotOpen));
    assert!(peer.outbox.is_empty());
}

/// Proves: C18.
#[test]
fn connect_checks_its_arguments_and_an_error_changes_nothing() {
    let mut peer = Peer::new(WebSocket::client(Config::default(), rng()));
    let connect = Connect::new("a", "/");
    for (connect, error) in [
        (connect.headers(&[("X", "a\r\nEvil: b")]), ConnectError::InvalidHeader),
        (connect.headers(&[("Host", "b")]), ConnectError::InvalidHeader),
        (connect.headers(&[("Sec-WebSocket-Version", "8")]), ConnectError::InvalidHeader),
        (Connect::new("a\r\nEvil: b", "/"), ConnectError::InvalidHost),
        (Connect::new("", "/"), ConnectError::InvalidHost),
        (Connect::new("a", "/ HTTP/1.1\r\nEvil: b"), ConnectError::InvalidPath),
        (Connect::new("a", "chat"), ConnectError::InvalidPath),
        (connect.protocol("a\r\nEvil: b"), ConnectError::InvalidProtocol),
        (connect.protocols(&["a", "a"]), ConnectError::InvalidProtocol),
    ] {
        assert_eq!(peer.ws.connect(connect, &mut peer.outbox), Err(error), "{connect:?}");
    }
    let mut small = heapless::Vec::<u8, 20>::new();
    let full = peer.ws.connect(connect, &mut small);
    let Err(ConnectError::OutboxFull(OutboxFull { needed })) = full else { panic!("{full:?}") };
    assert!(small.is_empty() && peer.outbox.is_empty() && peer.ws.awaits_caller());
    peer.ws.connect(connect, &mut peer.outbox).unwrap();
    assert_eq!(peer.outbox.len(), needed);
    assert_eq!(peer.ws.connect(connect, &mut peer.outbox), Err(ConnectError::AlreadySent));
}

#[test]
fn input_before_the_request_is_not_consumed() {
    let mut ws = WebSocket::client(Config::default(), rng());
    let mut bytes = *b"early";
    let mut input = &mut bytes[..];
    assert!(ws.receive(&mut input, &mut Vec::new()).is_none());
    assert_eq!(input, b"early");
}

/// Proves: D12, D13.
#[test]
fn all_heads_of_a_response_share_the_limit() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".repeat(2);
    let request = connecting(Connect::new("a", "/")).take_sent();
    let stream = interim + &response_to(&request);
    for size in [1, 7, stream.len()] {
        for (limit, opens) in [(stream.len(), true), (stream.len() - 1, false)] {
            let mut ws = connecting(Connect::new("a", "/")).ws;
            ws.set_config(Config::default().max_head(limit as u16));
            let (mut memory, mut seen) = ([0; 200], Vec::new());
            let mut inbox = sansocket::Slice::new(&mut memory);
            for slice in stream.clone().into_bytes().chunks_mut(size) {
                let mut input = slice;
                while let Some(event) = ws.receive(&mut input, &mut inbox) {
                    push(&mut seen, &event);
                }
            }
            match &seen[..] {
                [Seen::Open(None)] => assert!(opens, "{size}"),
                [Seen::Error(error), Seen::Close(1006, ..)] => {
                    assert!(!opens && error.contains("over the limit"), "{size}: {error}");
                }
                other => panic!("{size}: {other:?}"),
            }
        }
    }
}

/// Proves: C7.
#[test]
fn the_target_of_a_request_begins_with_a_slash() {
    for (path, target) in [("", "/"), ("/", "/"), ("?a=b", "/?a=b"), ("/c?a=b", "/c?a=b")] {
        let request = String::from_utf8(connecting(Connect::new("a", path)).take_sent()).unwrap();
        assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{request}");
    }
}

/// A header's name and value.
type Field<'h> = (&'h str, &'h [u8]);

/// The verdict on a server's choice of a subprotocol, by the machine and by `check_response`. The
/// machine's inbox has `capacity` bytes.
fn choice(offered: &[&str], chosen: &str, capacity: usize) -> Result<Option<String>, Error> {
    let connect = Connect::new("a", "/").protocols(offered);
    let mut peer = connecting_with(Config::default().max_head(u16::MAX), connect);
    let request = String::from_utf8(peer.take_sent()).unwrap();
    let key = header(&request, "Sec-WebSocket-Key").unwrap();
    let fields = request.split("\r\n").filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    let accept = check_request(fields).unwrap().value();
    let fields: Vec<Field<'_>> = vec![
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Accept", accept.as_bytes()),
        ("Sec-WebSocket-Protocol", chosen.as_bytes()),
    ];
    let mut head = b"HTTP/1.1 101 \r\n".to_vec();
    for (name, value) in &fields {
        head.extend([name.as_bytes(), b": ", value, b"\r\nX: to be left out\r\n"].concat());
    }
    head.extend(b"\r\n");
    let (mut memory, mut input) = (vec![0; capacity], &mut head[..]);
    let verdict = match peer.ws.receive(&mut input, &mut Slice::new(&mut memory)).unwrap() {
        Event::Open(open) => Ok(open.protocol().map(Into::into)),
        Event::Error(error) => Err(error),
        other => panic!("{other:?}"),
    };
    let checked = check_response(fields, key, &connect).map(|agreed| agreed.protocol().map(Into::into));
    assert_eq!(verdict, checked.map_err(Into::into), "check_response has the same verdict");
    verdict
}

/// Names that differ from `name` in one byte, in case, in length, or are a list.
fn near_misses(name: &str) -> Vec<String> {
    let mut misses = vec![
        name.to_uppercase(),
        name[1..].to_owned(),
        name[..name.len() - 1].to_owned(),
        format!("{name}x"),
        format!("x{name}"),
        format!("{name}{name}"),
        format!("{name},{name}"),
        format!("{name}, b"),
        String::new(),
    ];
    for at in [0, 1, name.len() / 2, name.len() - 1] {
        for byte in ["!", "0", "z"] {
            misses.push(format!("{}{byte}{}", &name[..at], &name[at + 1..]));
        }
    }
    misses.retain(|miss| miss != name);
    misses
}

/// Proves: C14, D6, D7.
#[test]
fn a_subprotocol_of_any_length_opens_and_no_other_name_does() {
    let unoffered = ResponseError::Unoffered(HeaderName::SecWebSocketProtocol);
    let token = format!("header-{}", "eyJob3N0IjoiYSJ9_-".repeat(8)); // 151 bytes
    let huge = format!("header-{}", "eyJob3N0IjoiYSJ9_-".repeat(500)); // 9,007 bytes
    for name in ["a1", "chat", &token, &huge] {
        let opens = Ok(Some(name.to_owned()));
        // The inbox holds the headers that there are rules for, and the first line.
        let capacity = name.len() + 180;
        for offered in [&[name][..], &["aws-appsync-event-ws", name], &[name, "b", "c"]] {
            assert_eq!(choice(offered, name, capacity), opens);
            assert_eq!(choice(offered, name, 100_000), opens);
            assert_eq!(choice(offered, offered[0], 20_000), Ok(Some(offered[0].to_owned())));
            for miss in near_misses(name) {
                assert_eq!(choice(offered, &miss, 30_000), Err(unoffered.into()), "{miss}");
            }
        }
        // A prefix of what is chosen is offered, and the joined list of what is offered is chosen.
        assert_eq!(choice(&[name, "b"], &format!("{name}, b"), 30_000), Err(unoffered.into()));
        assert_eq!(choice(&[&name[..1]], name, 30_000), Err(unoffered.into()));
        assert_eq!(choice(&[], name, 30_000), Err(unoffered.into()));
        // A choice that does not fit into the inbox.
        let connect = Connect::new("a", "/").protocol(name);
        let mut peer = connecting_with(Config::default().max_head(u16::MAX), connect);
        let mut head = format!("HTTP/1.1 101 \r\nSec-WebSocket-Protocol: {name}\r\n").into_bytes();
        let mut memory = vec![0; head.len() + 1];
        let mut inbox = Slice::new(&mut memory);
        let event = peer.ws.receive(&mut &mut head[..], &mut inbox);
        assert_eq!(event, Some(Event::Error(ResponseError::Head(HeadError::TooLong).into())));
    }
}

/// Proves: C14, D6.
#[test]
fn thirty_two_subprotocols_can_be_offered() {
    let names: Vec<String> = (0..33).map(|name| format!("{}-v{name}", "protocol".repeat(name))).collect();
    let names: Vec<&str> = names.iter().map(|name| &name[..]).collect();
    for len in [1, 30, 32] {
        for (at, name) in names.iter().enumerate() {
            let verdict = choice(&names[..len], name, 1000);
            assert_eq!(verdict.is_ok(), at < len, "{len}, {name}");
        }
    }
    let mut peer = Peer::new(WebSocket::client(Config::default(), rng()));
    let verdict = peer.ws.connect(Connect::new("a", "/").protocols(&names), &mut peer.outbox);
    assert_eq!(verdict, Err(ConnectError::TooManyProtocols));
    assert!(peer.outbox.is_empty() && peer.ws.awaits_caller());
}

/// Proves: C11.
#[test]
fn check_response_refuses_a_malformed_key() {
    let connect = Connect::new("a", "/");
    for key in ["", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===", "é"] {
        assert_eq!(check_response([], key, &connect), Err(ResponseError::InvalidKey), "{key}");
    }
    let missing = ResponseError::Missing(HeaderName::Upgrade);
    assert_eq!(check_response([], "dGhlIHNhbXBsZSBub25jZQ==", &connect), Err(missing));
}

/// How a response reaches the client.
#[derive(Clone, Copy, Debug)]
enum Way {
    Receive,
    PollAndEvent,
    Dispatch,
}

/// How the stream goes on after the bytes.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    Eof,
    Timeout,
}

/// A refusal as the client shows it, and the input that is left.
#[derive(Clone, Debug, PartialEq)]
struct Refusal {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    is_complete: bool,
    left: Vec<u8>,
}

impl Refusal {
    fn new(response: Response<'_>) -> Self {
        let headers = response.headers().map(|(name, value)| (name.into(), value.into())).collect();
        for (name, _) in response.headers() {
            assert!(response.header(&name.to_uppercase()).is_some());
        }
        let (status, is_complete) = (response.status(), response.is_complete());
        Self { status, headers, is_complete, left: Vec::new() }
    }

    fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| &name[..]).collect()
    }
}

/// The refusal, or the Error without one. The slices of the response end at `cuts`.
fn refusal(
    config: Config,
    response: &[u8],
    cuts: &[usize],
    inbox: &mut dyn Buffer,
    way: Way,
    then: Then,
) -> Result<Refusal, Option<Error>> {
    /// Records the refusal and the Error.
    #[derive(Default)]
    struct Refused(Option<Refusal>, Option<Error>);
    impl Handler for Refused {
        fn on_refused(&mut self, response: Response<'_>) {
            assert!(self.1.is_none());
            self.0 = Some(Refusal::new(response));
        }
        fn on_error(&mut self, error: Error) {
            self.1 = Some(error);
        }
    }
    let mut ws = connecting_with(config, Connect::new("a", "/")).ws;
    let (mut handler, mut outbox) = (Refused::default(), Vec::new());
    ws.handle_timeout(Duration::ZERO);
    let mut bytes = response.to_vec();
    let mut start = 0;
    let mut ends: Vec<usize> = cuts.to_vec();
    ends.push(bytes.len());
    if !matches!(then, Then::Nothing) {
        ends.push(bytes.len());
    }
    for (at, &end) in ends.iter().enumerate() {
        if at > cuts.len() {
            match then {
                Then::Eof => ws.receive_eof(),
                _ => ws.handle_timeout(Duration::from_secs(10)),
            }
            assert!(ws.is_closed());
        }
        let mut input = &mut bytes[start..end];
        start = end;
        loop {
            let is_new = handler.0.is_none();
            match way {
                Way::Dispatch => {
                    if !ws.dispatch(&mut input, inbox, &mut outbox, &mut handler).unwrap() {
                        break;
                    }
                }
                Way::Receive => match ws.receive(&mut input, inbox) {
                    Some(Event::Refused(response)) => handler.on_refused(response),
                    Some(Event::Error(error)) => handler.on_error(error),
                    Some(Event::Open(_)) => return Err(None),
                    Some(_) => {}
                    None => break,
                },
                Way::PollAndEvent => {
                    let Some(ready) = ws.poll(input, inbox) else { break };
                    let (taken, rest) = std::mem::take(&mut input).split_at_mut(ready.consumed());
                    input = rest;
                    match ws.event(ready, taken, inbox) {
                        Some(Event::Refused(response)) => handler.on_refused(response),
                        Some(Event::Error(error)) => handler.on_error(error),
                        Some(Event::Open(_)) => return Err(None),
                        _ => {}
                    }
                }
            }
            if let (true, Some(refusal)) = (is_new, &mut handler.0) {
                assert!(ws.is_closed() && outbox.is_empty());
                refusal.left = [&*input, &response[end..]].concat();
            }
        }
    }
    match (handler.0, handler.1) {
        (Some(refusal), error) => {
            assert_eq!(error, Some(Error::Refused(refusal.status)));
            Ok(refusal)
        }
        (None, error) => Err(error),
    }
}

/// Lines of a head that strict HTTP does not allow, the header that can be read in each, and the
/// fault for which a response with status 101 fails.
const ODD_LINES: [(&[u8], Option<Field<'_>>, HeadError); 18] = [
    (b"X-Why : quota\r\n", Some(("X-Why", b"quota")), HeadError::SpaceBeforeColon),
    (b"X-Why\t \t:quota\r\n", Some(("X-Why", b"quota")), HeadError::SpaceBeforeColon),
    (b" folded\r\n", None, HeadError::Folded),
    (b"\tfolded: a\r\n", None, HeadError::Folded),
    (b" : a\r\n", None, HeadError::Folded),
    (b"X: a\n", Some(("X", b"a")), HeadError::BareLf),
    (b"X:\n", Some(("X", b"")), HeadError::BareLf),
    (b"X: a\0b\r\n", None, HeadError::ControlCharacter),
    (b"X: \x1B[2J\r\n", None, HeadError::ControlCharacter),
    (b"X: \x7F\r\n", None, HeadError::ControlCharacter),
    (b"X\0: a\r\n", None, HeadError::ControlCharacter),
    (b"X: a\rb\r\n", None, HeadError::BareCr),
    (b"X: a\r\r\n", None, HeadError::BareCr),
    (b"\r\r\n", None, HeadError::BareCr),
    (b"<html>\r\n", None, HeadError::NoColon),
    (b": a\r\n", None, HeadError::InvalidName),
    (b"X(: a\r\n", None, HeadError::InvalidName),
    (b"\xC3\xA9\xFF: a\r\n", None, HeadError::InvalidName),
];

/// Proves: D1, D9.
#[test]
fn a_refusal_is_read_leniently_and_a_101_strictly() {
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    for (line, shown, fault) in ODD_LINES {
        let head = [b"HTTP/1.1 403 Forbidden\r\nA: \xE9\xFF\r\n", line, b"B: b\r\n\r\n"].concat();
        let shown = shown.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers = vec![("A".to_owned(), b"\xE9\xFF".to_vec()), ("B".to_owned(), b"b".to_vec())];
        headers.splice(1..1, shown);
        if fault == HeadError::Folded {
            headers.remove(0);
        }
        let left = b"body\r\n\r\n".to_vec();
        let expected = Refusal { status: 403, headers, is_complete: true, left };
        let stream = [&head[..], &expected.left].concat();
        for way in [Way::Receive, Way::PollAndEvent, Way::Dispatch] {
            for cut in 1..stream.len() {
                let cuts = [&[cut][..], &[], &(1..stream.len()).collect::<Vec<_>>()];
                for cuts in if cut == 1 { &cuts[..] } else { &cuts[..1] } {
                    let found =
                        refusal(Config::default(), &stream, cuts, &mut Vec::new(), way, Then::Nothing);
                    assert_eq!(found.as_ref(), Ok(&expected), "{way:?} {}", line.escape_ascii());
                }
            }
        }
        // With status 101 the same line is a fault. In an interim response it is not.
        let interim = [b"HTTP/1.1 103 Early Hints\n", line, b"\n"].concat();
        let valid = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        );
        let switching = [valid.as_bytes(), line, b"\r\n"].concat();
        let opens = [&interim, valid.as_bytes(), b"\r\n"].concat();
        let refuses = [&interim[..], &head].concat();
        for cut in 1..200 {
            let read = |bytes: &[u8]| {
                refusal(
                    Config::default(),
                    bytes,
                    &[cut.min(bytes.len())],
                    &mut Vec::new(),
                    Way::Receive,
                    Then::Nothing,
                )
            };
            assert_eq!(
                read(&switching),
                Err(Some(ResponseError::Head(fault).into())),
                "{}",
                line.escape_ascii()
            );
            assert_eq!(read(&opens), Err(None), "{}", interim.escape_ascii());
            assert_eq!(read(&refuses).map(|refusal| refusal.headers).as_ref(), Ok(&expected.headers));
        }
    }
}

/// Proves: D9.
#[test]
fn the_first_line_of_a_101_is_strict_too() {
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    let head = format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    for (line, fault) in [
        ("HTTP/1.1 101 a\n", HeadError::BareLf),
        ("HTTP/1.1 101\n", HeadError::BareLf),
        ("HTTP/1.1 101 a\rb\r\n", HeadError::BareCr),
        ("HTTP/1.1 101 a\r\r\n", HeadError::BareCr),
        ("HTTP/1.1 101 \0\r\n", HeadError::ControlCharacter),
        ("HTTP/1.1 101 \x7F\r\n", HeadError::ControlCharacter),
    ] {
        let stream = format!("{line}{head}").into_bytes();
        for cut in 1..stream.len() {
            let found =
                refusal(Config::default(), &stream, &[cut], &mut Vec::new(), Way::Receive, Then::Nothing);
            assert_eq!(found, Err(Some(ResponseError::Head(fault).into())), "{line:?}");
        }
        // Of a refusal, the reason may be anything.
        let line = line.replace("101", "401");
        let stream = format!("{line}{head}").into_bytes();
        let found = refusal(Config::default(), &stream, &[], &mut Vec::new(), Way::Receive, Then::Nothing);
        assert_eq!(found.unwrap().names(), ["Upgrade", "Connection", "Sec-WebSocket-Accept"], "{line:?}");
    }
}

/// Proves: D1, D12.
#[test]
fn a_refusal_that_is_cut_short_is_still_one() {
    let stream = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nX : y\nno colon\r\n\r\n";
    let lines = [(0, None), (12, Some(0)), (37, Some(1)), (43, Some(2))];
    for (end, error) in [(Then::Eof, Error::EndOfStream), (Then::Timeout, Error::HandshakeTimeout)] {
        for len in 0..stream.len() {
            let headers = lines.iter().rev().find(|(start, _)| *start <= len).unwrap().1;
            for bytewise in [false, true] {
                let cuts: Vec<usize> = if bytewise { (1..len).collect() } else { vec![] };
                for way in [Way::Receive, Way::PollAndEvent, Way::Dispatch] {
                    let found = refusal(Config::default(), &stream[..len], &cuts, &mut Vec::new(), way, end);
                    match (found, headers) {
                        (Err(found), None) => assert_eq!(found, Some(error), "{len}"),
                        (Ok(refusal), Some(headers)) => {
                            assert_eq!(refusal.names(), ["Retry-After", "X"][..headers], "{len}");
                            assert_eq!((refusal.status, refusal.is_complete), (503, false));
                        }
                        other => panic!("{len} {end:?} {other:?}"),
                    }
                }
            }
        }
        // Inside an interim response, and inside one with status 101, no status is known.
        for head in ["HTTP/1.1 103 x\r\nLink: a\r\n", "HTTP/1.1 101 x\r\nLink: a\r\n", "HTTP/1.1 100\r\n\r\n"]
        {
            let found = refusal(Config::default(), head.as_bytes(), &[], &mut Vec::new(), Way::Receive, end);
            assert_eq!(found, Err(Some(error)), "{head}");
        }
    }
}

/// Proves: D1, D12.
#[test]
fn a_refusal_over_a_limit_is_still_one() {
    let long = "y".repeat(9000);
    let first = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n";
    let read = |config: Config, head: &str, inbox: &mut dyn Buffer| {
        let stream = format!("{head}body").into_bytes();
        let whole = refusal(config, &stream, &[], inbox, Way::Receive, Then::Nothing).unwrap();
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        let cut = refusal(config, &stream, &bytewise, inbox, Way::Dispatch, Then::Nothing).unwrap();
        assert_eq!((&cut.headers, cut.is_complete), (&whole.headers, whole.is_complete));
        assert_eq!(whole.status, 429);
        whole
    };
    let (config, large) = (Config::default(), Config::default().max_head(u16::MAX));
    // A header of 9 KB, a head of 20 KB, a reason of 9 KB: over the default limit, or under a higher
    // one.
    let head = format!("{first}X-Why: {long}\r\n\r\n");
    let found = read(config, &head, &mut Vec::new());
    assert_eq!(
        (found.names(), found.is_complete, &found.left[..]),
        (vec!["Retry-After"], false, &b"body"[..])
    );
    let found = read(large, &head, &mut Vec::new());
    assert_eq!(
        (found.names(), found.is_complete, &found.left[..]),
        (vec!["Retry-After", "X-Why"], true, &b"body"[..])
    );
    let found = read(large, &head, &mut FixedInbox::<512>::new());
    assert_eq!(
        (found.names(), found.is_complete, &found.left[..]),
        (vec!["Retry-After"], false, &b"body"[..])
    );
    let head = format!("{first}{}\r\n", format!("X: {}\r\n", "y".repeat(95)).repeat(200));
    let found = read(config, &head, &mut Vec::new());
    assert!(!found.is_complete && (80..83).contains(&found.headers.len()), "{}", found.headers.len());
    let found = read(large, &head, &mut Vec::new());
    assert_eq!((found.headers.len(), found.is_complete, &found.left[..]), (201, true, &b"body"[..]));
    let found = read(large, &head, &mut FixedInbox::<512>::new());
    assert_eq!((found.headers.len(), found.is_complete, &found.left[..]), (5, false, &b"body"[..]));
    let head = format!("HTTP/1.1 429 {long}\r\nRetry-After: 7\r\n\r\n");
    for found in [read(config, &head, &mut Vec::new()), read(large, &head, &mut FixedInbox::<512>::new())] {
        assert_eq!((found.names(), found.is_complete, &found.left[..]), (vec![], false, &b"body"[..]));
    }
    let found = read(large, &head, &mut Vec::new());
    assert_eq!((found.names(), found.is_complete), (vec!["Retry-After"], true));
    // After such interim responses too.
    for interim in [
        format!("HTTP/1.1 103 x\r\nX: {long}\r\n\r\n"),
        format!("HTTP/1.1 103 {long}\r\n\r\n"),
        format!("HTTP/1.1 103 x\r\n{}\r\n", "X: y\r\n".repeat(101)),
    ] {
        let found = read(config, &format!("{interim}{first}\r\n"), &mut FixedInbox::<512>::new());
        assert_eq!((found.names(), found.is_complete), (vec!["Retry-After"], true));
    }
    // The same with 101 fails.
    for (head, error) in [
        (format!("HTTP/1.1 101 x\r\nX: {long}\r\n\r\n"), HeadError::TooLong),
        (format!("HTTP/1.1 101 {long}\r\n\r\n"), HeadError::TooLong),
        (format!("HTTP/1.1 101 x\r\n{}\r\n", "X: y\r\n".repeat(101)), HeadError::TooManyHeaders),
    ] {
        let found = refusal(config, head.as_bytes(), &[], &mut Vec::new(), Way::Receive, Then::Nothing);
        assert_eq!(found, Err(Some(ResponseError::Head(error).into())), "{}", &head[..30]);
    }
}

/// Proves: D1, D12.
#[test]
fn a_refusal_is_read_with_any_inbox_that_holds_its_status() {
    let heads: [&[u8]; 4] = [
        b"HTTP/1.1 403 Forbidden\r\nLocation: /b\r\nConnection: close\r\nX: y\r\n\r\n",
        b"HTTP/1.1 403\r\n\r\n",
        b"HTTP/1.1 403 \n\n",
        b"HTTP/1.1 100\r\nX: y\r\n\r\nHTTP/1.1 403 Forbidden\nConnection: close\nX : y\n\r\n",
    ];
    for head in heads {
        let stream = [head, b"body"].concat();
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        let mut before = 0;
        for capacity in 0..stream.len() + 3 {
            let mut found = Vec::new();
            for cuts in [&[][..], &bytewise] {
                let mut memory = vec![0; capacity];
                let inbox = &mut Slice::new(&mut memory);
                found.push(refusal(Config::default(), &stream, cuts, inbox, Way::Receive, Then::Nothing));
            }
            let [whole, cut] = &found[..] else { unreachable!() };
            // The status, and the empty line.
            if capacity < 14 {
                assert_eq!(*whole, Err(Some(ResponseError::Head(HeadError::TooLong).into())), "{capacity}");
                assert_eq!(whole, cut);
                continue;
            }
            let (whole, cut) = (whole.as_ref().unwrap(), cut.as_ref().unwrap());
            assert_eq!((whole.status, &whole.headers), (403, &cut.headers));
            // A larger inbox keeps no fewer of these headers.
            assert!(whole.headers.len() >= before, "{capacity}");
            before = whole.headers.len();
            assert_eq!((&whole.left[..], &cut.left[..]), (&b"body"[..], &b"body"[..]), "{capacity}");
            assert!(whole.is_complete || capacity <= head.len(), "{capacity}");
        }
    }
}

/// Proves: D2, D12.
#[test]
fn a_response_opens_if_its_headers_with_rules_fit() {
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    let cookie = format!("Set-Cookie: {}\r\n", "c".repeat(240));
    let required =
        ["Upgrade: websocket\r\n", "Connection: Upgrade\r\n", &format!("Sec-WebSocket-Accept: {accept}\r\n")];
    for at in 0..=3 {
        let mut lines = required.map(str::to_owned).to_vec();
        lines.splice(at..at, [cookie.repeat(4), "Server: a\r\n".to_owned()]);
        let head = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", lines.concat());
        assert!(head.len() > 1024);
        for size in [1, 7, 5000] {
            let mut inbox = FixedInbox::<1024>::new();
            let mut tight = heapless::Vec::<u8, 150>::new();
            for (inbox, cookies) in [(&mut inbox as &mut dyn Buffer, 3), (&mut tight, 0)] {
                let mut ws = connecting(Connect::new("a", "/")).ws;
                let mut opened = false;
                for slice in head.clone().into_bytes().chunks_mut(size) {
                    let mut input = slice;
                    while let Some(event) = ws.receive(&mut input, inbox) {
                        let Event::Open(open) = event else { panic!("{event:?}") };
                        let count = |name| open.headers().filter(|(other, _)| *other == name).count();
                        assert_eq!((count("Set-Cookie"), count("Server")), (cookies, 1));
                        assert_eq!(open.headers().count(), cookies + 4);
                        assert!(!open.is_complete());
                        assert_eq!(open.header("upgrade"), Some(&b"websocket"[..]));
                        opened = true;
                    }
                }
                assert!(opened && ws.state() == State::Open, "{at} {size}");
            }
        }
    }
}

/// A header that removes others from a full inbox is judged, wherever it begins.
///
/// Proves: D5, D6, D8, D12.
#[test]
fn no_header_with_rules_is_lost_in_a_full_inbox() {
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    let front = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    for (line, error) in [
        ("Sec-WebSocket-Extensions: x", ResponseError::Unoffered(HeaderName::SecWebSocketExtensions)),
        ("Sec-WebSocket-Protocol: x", ResponseError::Unoffered(HeaderName::SecWebSocketProtocol)),
        ("Upgrade: websocket", ResponseError::Duplicate(HeaderName::Upgrade)),
    ] {
        for len in 0..60 {
            let head = format!("{front}X: {}\r\n{line}\r\n\r\n", "y".repeat(len));
            for size in [1, 1000] {
                let mut memory = [0; 190];
                let (mut ws, mut inbox) = (connecting(Connect::new("a", "/")).ws, Slice::new(&mut memory));
                let mut found = None;
                for slice in head.clone().into_bytes().chunks_mut(size) {
                    let mut input = slice;
                    while let Some(event) = ws.receive(&mut input, &mut inbox) {
                        found = found.or(Some(Seen::new(&event)));
                    }
                }
                assert_eq!(found, Some(Seen::Error(error.to_string())), "{len} {size}");
            }
        }
    }
}

/// Proves: C8, U1.
#[test]
fn brackets_hold_an_ipv6_address() {
    for (host, shown, zone) in [
        ("[::]", "[::]", None),
        ("[::1]:8080", "[::1]:8080", None),
        ("[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", None),
        ("[2001:DB8::a]", "[2001:DB8::a]", None),
        ("[1::]", "[1::]", None),
        ("[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", None),
        ("[::ffff:192.0.2.1]:81", "[::ffff:192.0.2.1]:81", None),
        ("[1:2:3:4:5:6:192.0.2.1]", "[1:2:3:4:5:6:192.0.2.1]", None),
        ("[fe80::1%25eth0]:8080", "[fe80::1]:8080", Some("eth0")),
        ("[fe80::1%eth0]", "[fe80::1]", Some("eth0")),
        ("[fe80::1%25en-0.1_~]:", "[fe80::1]:", Some("en-0.1_~")),
        ("[fe80::1%2]", "[fe80::1]", Some("2")),
    ] {
        let connect = Connect::new(host, "/%25a");
        let request = String::from_utf8(connecting(connect).take_sent()).unwrap();
        assert_eq!(header(&request, "Host"), Some(shown), "{host}");
        assert!(request.starts_with("GET /%25a HTTP/1.1\r\n"));
        assert_eq!((connect.zone(), connect.authority()), (zone, host));
        assert!(!connect.host().contains(['[', ']', '%']));
        assert!(connect.host().contains('.') || connect.host().parse::<std::net::Ipv6Addr>().is_ok());
        // Our own server takes the same host.
        let response = response_to(request.as_bytes());
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    }
    for inside in [
        "",
        ":",
        ":::",
        "1",
        "1:2",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1::",
        "1::2::3",
        "1:::2",
        ":1:2:3:4:5:6:7",
        ":81::1",
        "82:",
        ":82",
        "1::2:",
        ":1::",
        "::1:",
        "1.2::",
        "1.2.3.4:1:2:3:4:5:6",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:",
        "12345::",
        "::g",
        "a.example",
        "192.0.2.1",
        "v1.a",
        "v1.fe80::a+en1",
        "::1%",
        "%25eth0",
        "fe80::1%25",
        "fe80::1%25a b",
        "fe80::1%25a/b",
        "fe80::1%25a]b",
        " ::1",
        "::1 ",
        "[::1",
        "::1\r\nX: y",
        "é",
    ] {
        let host = format!("[{inside}]");
        let mut peer = Peer::new(WebSocket::client(Config::default(), rng()));
        let refused = peer.ws.connect(Connect::new(&host, "/"), &mut peer.outbox);
        assert_eq!(refused, Err(ConnectError::InvalidHost), "{host}");
        assert!(peer.outbox.is_empty());
        let uri = format!("ws://{host}/");
        if !host.contains('/') {
            assert_eq!(Connect::from_uri(&uri), Err(ConnectError::InvalidHost), "{uri}");
        }
    }
}

/// A generator that counts the bytes that are drawn.
#[derive(Default)]
struct Counting(usize);

impl rand_core::TryRng for Counting {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0 += 4;
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 8;
        Ok(7)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0 += bytes.len();
        bytes.fill(7);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counting {}

/// Proves: C11, C18.
#[test]
fn connect_draws_random_bytes_only_if_it_succeeds() {
    let mut rng = Counting::default();
    let connect = Connect::new("a", "/").protocol("chat");
    let names: Vec<String> = (0..33).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(|name| &name[..]).collect();
    for (connect, error) in [
        (connect.headers(&[("Host", "b")]), ConnectError::InvalidHeader),
        (Connect::new("", "/"), ConnectError::InvalidHost),
        (Connect::new("[a]", "/"), ConnectError::InvalidHost),
        (Connect::new("a", "b"), ConnectError::InvalidPath),
        (connect.protocol("a b"), ConnectError::InvalidProtocol),
        (connect.protocols(&["a", "a"]), ConnectError::InvalidProtocol),
        (connect.protocols(&names), ConnectError::TooManyProtocols),
    ] {
        let mut outbox = Vec::new();
        let result = WebSocket::client(Config::default(), &mut rng).connect(connect, &mut outbox);
        assert_eq!((result, outbox.len(), rng.0), (Err(error), 0, 0));
    }
    let offers: [&[&str]; 3] = [&[], &["chat"], &["soap", "chat"]];
    for offered in offers {
        let connect = Connect::new("[fe80::1%25eth0]:81", "/a").protocols(offered).headers(&[("X", "y")]);
        let mut whole = Vec::new();
        WebSocket::client(Config::default(), rand::rng()).connect(connect, &mut whole).unwrap();
        for capacity in 0..=whole.len() {
            let mut rng = Counting::default();
            let mut ws = WebSocket::client(Config::default(), &mut rng);
            let mut memory = vec![0; capacity];
            let mut outbox = Slice::new(&mut memory);
            let result = ws.connect(connect, &mut outbox);
            if capacity < whole.len() {
                assert_eq!(result, Err(OutboxFull { needed: whole.len() }.into()));
                assert!(outbox.bytes().is_empty() && ws.awaits_caller());
                drop(ws);
                assert_eq!(rng.0, 0);
            } else {
                result.unwrap();
                assert_eq!(outbox.bytes().len(), whole.len());
                let again = ws.connect(connect, &mut Vec::new());
                assert_eq!(again, Err(ConnectError::AlreadySent));
                drop(ws);
                // The key, and the point of the digests.
                assert_eq!(rng.0, if offered.is_empty() { 16 } else { 20 });
            }
        }
    }
}

/// Proves: K5.
#[test]
fn a_call_that_fails_draws_no_masking_key() {
    let mut rng = Counting::default();
    let mut ws = WebSocket::<Client<&mut Counting>>::open(Config::default(), &mut rng);
    let mut inbox = Vec::new();
    for capacity in 0..6 {
        let mut memory = vec![0; capacity];
        let outbox = &mut Slice::new(&mut memory);
        assert!(ws.send("", outbox).is_err() && ws.send(&b"x"[..], outbox).is_err());
        assert!(ws.send_piece(sansocket::Fragment::new("", false), outbox).is_err());
        assert!(ws.send_header(Kind::Text, 70_000, outbox).is_err());
        assert!(ws.ping(b"", outbox).is_err() && ws.pong(b"", outbox).is_err());
        assert!(ws.close(CloseCode(1000), "", outbox).is_err() && ws.close_without_code(outbox).is_err());
        // A pending Pong does not fit either.
        assert!(matches!(ws.receive(&mut &mut [0x89, 0][..], &mut inbox), Some(Event::Ping(_))));
        assert_eq!(ws.transmit(outbox), Err(OutboxFull { needed: 6 }));
        assert!(ws.send("", outbox).is_err() && ws.ping(b"", outbox).is_err());
        assert!(outbox.bytes().is_empty());
    }
    let mut outbox = Vec::new();
    assert!(ws.ping(&[0; 126], &mut outbox).is_err() && ws.pong(&[0; 126], &mut outbox).is_err());
    assert!(ws.close(CloseCode(1005), "", &mut outbox).is_err());
    assert!(ws.close(CloseCode(1000), &"x".repeat(124), &mut outbox).is_err());
    // An idle Ping that is due.
    ws.handle_timeout(Duration::ZERO);
    ws.handle_timeout(Duration::from_secs(30));
    assert!(ws.transmit(&mut heapless::Vec::<u8, 5>::new()).is_err());
    // The pending Pong and a Close frame need 12 bytes.
    assert!(ws.close_without_code(&mut heapless::Vec::<u8, 11>::new()).is_err());
    ws.receive_eof();
    assert_eq!(ws.send("", &mut outbox), Err(SendError::NotOpen));
    assert!(ws.transmit(&mut outbox).is_ok() && outbox.is_empty());
    drop(ws);
    assert_eq!(rng.0, 0);
}
