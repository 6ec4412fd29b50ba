//! RFC 6455 section 4.1: the request of a client, and the responses that it accepts.

mod common;

use common::*;
use sansocket::{Config, Connect, ConnectError, Error, Event, OutboxFull, SendError, State, WebSocket};

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
