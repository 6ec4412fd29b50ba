//! RFC 6455 section 4.2: the requests that a server accepts, and its responses.

mod common;

use common::*;
use sansocket::handshake::HeaderName as Name;
use sansocket::{
    AnswerError, BadRequest, Buffer, Config, Error, Event, FixedInbox, Handler, HeadError, OutboxFull,
    Reject, Request, RequestError, Responder, SendError, Server, Slice, State, WebSocket,
};

/// The events and the response of a server that accepts each request.
fn answer(config: Config, head: &[u8]) -> (Vec<Seen>, String) {
    let mut peer = new_server(config);
    peer.receive_with(head, accept);
    (peer.take_seen(), String::from_utf8(peer.take_sent()).unwrap())
}

#[track_caller]
fn accepted(head: &str) -> String {
    let (seen, response) = answer(Config::default(), head.as_bytes());
    assert!(matches!(seen[..], [Seen::Request(_), Seen::Open(None)]), "{seen:?}\n{head}");
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{response}");
    response
}

/// Checks that the head is refused with this status, and that the error contains `because`.
#[track_caller]
fn refused(head: &[u8], status: u16, because: &str) -> String {
    refused_by(Config::default(), head, status, because)
}

#[track_caller]
fn refused_by(config: Config, head: &[u8], status: u16, because: &str) -> String {
    let (seen, response) = answer(config, head);
    let [Seen::BadRequest(_), Seen::Error(error), Seen::Close(1006, reason, false)] = &seen[..] else {
        panic!("{seen:?}\n{}", head.escape_ascii())
    };
    assert_eq!(reason, "");
    assert!(
        error.contains(because) && error.contains(&status.to_string()),
        "{error}\n{}",
        head.escape_ascii()
    );
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    assert_eq!(header(&response, "Content-Length"), Some("0"));
    let connection = header(&response, "Connection").unwrap();
    assert!(connection.split(", ").any(|option| option == "close"), "{connection}");
    assert!(response.ends_with("\r\n\r\n"));
    response
}

/// A request in which `instead` replaces the headers that begin with `name`.
fn request_with(name: &str, instead: &str) -> Vec<u8> {
    let head = request("");
    assert!(head.contains(&format!("\r\n{name}")));
    let lines = head.trim_end().split("\r\n").filter(|line| !line.starts_with(name));
    let head: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("{head}{instead}\r\n").into_bytes()
}

fn request_line(line: &str) -> Vec<u8> {
    request("").replacen("GET /chat HTTP/1.1", line, 1).into_bytes()
}

/// Proves: R8, R9, R6.
#[test]
fn the_response_to_the_rfc_example_is_complete() {
    assert_eq!(
        accepted(&request("Origin: http://example.com\r\n")),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

/// Proves: S1, S2.
#[test]
fn the_request_line_must_have_get_a_target_and_http_1_1() {
    for line in ["GET /chat HTTP/1.2", "GET /chat HTTP/2.0", "GET / HTTP/1.1", "GET /a?b=c&d HTTP/1.1"] {
        accepted(&String::from_utf8(request_line(line)).unwrap());
    }
    for line in ["GET /chat HTTP/1.0", "GET /chat HTTP/0.9"] {
        refused(&request_line(line), 400, "older than 1.1");
    }
    for line in [
        "GET  /chat HTTP/1.1",
        "GET /chat",
        "GET /chat HTTP/1.1 ",
        "GET /chat http/1.1",
        "GET /chat HTTP/1",
        " GET /chat HTTP/1.1",
        "GET /chat HTTP/1.11",
        "G(T / HTTP/1.1",
        "",
    ] {
        refused(&request_line(line), 400, "request line");
    }
    for target in
        ["chat", "*", "http://", "http://a b", "ftp://a/", "/a#b", "/\u{e9}", "//\u{80}", "a:80", "http:///b"]
    {
        let because = if target.contains(' ') { "request line" } else { "target" };
        refused(&request_line(&format!("GET {target} HTTP/1.1")), 400, because);
    }
}

/// Proves: R12.
#[test]
fn another_method_gets_405_with_allow() {
    for method in ["POST", "HEAD", "OPTIONS", "PRI", "get"] {
        let response = refused(&request_line(&format!("{method} /chat HTTP/1.1")), 405, "not GET");
        assert_eq!(header(&response, "Allow"), Some("GET"));
    }
}

/// Proves: S3.
#[test]
fn exactly_one_valid_host_is_required() {
    for host in ["a", "a:80", "a.example:65535", "127.0.0.1", "[::1]:9001", "[fe80::1%25eth0]", "a%20b", "a:"]
    {
        accepted(&String::from_utf8(request_with("Host", &format!("Host: {host}\r\n"))).unwrap());
    }
    refused(&request_with("Host", ""), 400, "no Host");
    refused(request("Host: b\r\n").as_bytes(), 400, "more than one Host");
    for host in [
        "", "a b", "a/b", "u@a", "a, b", "a:b", "a:65536", "[a]", "[1:2]:80", "[v1.a]", "[::1%]", "[::1]x",
        "\u{e9}",
    ] {
        refused(&request_with("Host", &format!("Host: {host}\r\n")), 400, "Host header is malformed");
    }
}

/// Proves: Q6.
#[test]
fn a_duplicate_origin_is_refused() {
    accepted(&request("origin: null\r\n"));
    refused(request("Origin: http://a\r\nORIGIN: http://a\r\n").as_bytes(), 400, "more than one Origin");
}

/// Proves: S4, S5.
#[test]
fn upgrade_and_connection_are_case_insensitive_lists() {
    for upgrade in [
        "websocket",
        "WebSocket",
        ", h2c,\twebsocket ,,",
        "h2c\r\nUpgrade: WEBSOCKET",
        "websocket\r\nUpgrade: h2c",
    ] {
        accepted(&String::from_utf8(request_with("Upgrade", &format!("Upgrade: {upgrade}\r\n"))).unwrap());
    }
    for connection in [
        "upgrade",
        "keep-alive, Upgrade",
        ",,UPGRADE,,",
        "close\r\nConnection: Upgrade",
        "Upgrade\r\nConnection: close",
    ] {
        accepted(
            &String::from_utf8(request_with("Connection", &format!("Connection: {connection}\r\n"))).unwrap(),
        );
    }
    for upgrade in ["", "websockets", "web socket", "h2c"] {
        refused(&request_with("Upgrade", &format!("Upgrade: {upgrade}\r\n")), 426, "Upgrade header");
    }
    for connection in ["", "keep-alive", "close", "upgrades"] {
        let head = request_with("Connection", &format!("Connection: {connection}\r\n"));
        refused(&head, 426, "Connection header");
    }
}

/// Proves: S6, S8.
#[test]
fn exactly_one_key_of_16_bytes_in_base64_is_required() {
    let response = request_with("Sec-WebSocket-Key", "sec-websocket-KEY:AQIDBAUGBwgJCgsMDQ4PEC==  \r\n");
    accepted(&String::from_utf8(response).unwrap());
    refused(&request_with("Sec-WebSocket-Key", ""), 400, "no Sec-WebSocket-Key");
    refused(
        request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n").as_bytes(),
        400,
        "more than one Sec-WebSocket-Key",
    );
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZ?==",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "a",
        "==",
        "dGhlIHNhbXBsZSBub25jZQA==",
        "dGhlIHNhbXBsZSBub25jZ==",
    ] {
        let head = request_with("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {key}\r\n"));
        refused(&head, 400, "not 16 bytes");
    }
}

/// Proves: S7, S8, R4.
#[test]
fn exactly_one_version_13_is_required_and_426_names_it() {
    for version in [
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Version: 013\r\n",
        "Sec-WebSocket-Version: 13, 8\r\n",
        "",
    ] {
        let response = refused(&request_with("Sec-WebSocket-Version", version), 426, "Sec-WebSocket-Version");
        assert_eq!(header(&response, "Sec-WebSocket-Version"), Some("13"));
        assert_eq!(header(&response, "Upgrade"), Some("websocket"));
        assert!(header(&response, "Connection").unwrap().starts_with("Upgrade"));
    }
    refused(request("Sec-WebSocket-Version: 13\r\n").as_bytes(), 400, "more than one Sec-WebSocket-Version");
}

/// Proves: R4.
#[test]
fn a_missing_version_is_refused_before_a_missing_key() {
    let head = String::from_utf8(request_with("Sec-WebSocket-Key", "")).unwrap();
    refused(head.as_bytes(), 400, "Sec-WebSocket-Key");
    refused(head.replace("Sec-WebSocket-Version: 13\r\n", "").as_bytes(), 426, "Sec-WebSocket-Version");
}

/// Proves: R4.
#[test]
fn a_get_without_upgrade_gets_426() {
    let response = refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, "Upgrade header");
    assert_eq!(header(&response, "Upgrade"), Some("websocket"));
    assert_eq!(header(&response, "Sec-WebSocket-Version"), Some("13"));
}

/// Proves: S9, R6, N3.
#[test]
fn offers_in_several_headers_are_one_list_and_the_server_selects() {
    let head = request(
        "Sec-WebSocket-Protocol: soap, v1\r\nSec-WebSocket-Extensions: a;b=c\r\n\
         Sec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: d\r\n",
    );
    for (preferred, chosen) in
        [(&["v2", "v1"][..], Some("v2")), (&["x", "soap"], Some("soap")), (&["V1"], None)]
    {
        let mut peer = new_server(Config::default());
        peer.receive_with(head.as_bytes(), |ws, event, outbox| {
            if let Event::Request(request) = event {
                assert_eq!(request.protocols().collect::<Vec<_>>(), ["soap", "v1", "v2"]);
                assert_eq!(request.extensions().collect::<Vec<_>>(), ["a;b=c", "d"]);
                ws.accept(request.select(preferred).unwrap_or(request.accept()), outbox).unwrap();
            }
        });
        assert_eq!(peer.seen[1], Seen::Open(chosen.map(Into::into)));
        let response = String::from_utf8(peer.take_sent()).unwrap();
        assert_eq!(header(&response, "Sec-WebSocket-Protocol"), chosen);
        assert_eq!(response.matches("Sec-WebSocket-Protocol").count(), usize::from(chosen.is_some()));
        // No extension is accepted.
        assert_eq!(header(&response, "Sec-WebSocket-Extensions"), None);
    }
}

/// Proves: R7, N1, N2, N4, F10.
#[test]
fn malformed_extensions_are_refused_and_none_is_accepted() {
    let response =
        accepted(&request("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"));
    assert_eq!(header(&response, "Sec-WebSocket-Extensions"), None);
    for malformed in ["a;", "a;b=", "a b", "a;b=\"c d\"", ";"] {
        let head = request(&format!("Sec-WebSocket-Extensions: {malformed}\r\n"));
        refused(head.as_bytes(), 400, "Sec-WebSocket-Extensions");
    }
    // An empty header is an empty element of the list that all such headers form.
    accepted(&request(
        "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\nSec-WebSocket-Protocol: \r\n",
    ));
    // An offered extension is not in use: RSV1 is an error.
    let mut peer = server(Config::default());
    peer.receive(&masked(0xC1, b"a"));
    assert!(matches!(&peer.seen[0], Seen::Error(error) if error.contains("reserved bit")));
}

/// Proves: T8, C14.
#[test]
fn interpreted_headers_are_text_and_others_are_bytes() {
    refused(request("Sec-WebSocket-Protocol: \u{e9}\r\n").as_bytes(), 400, "Sec-WebSocket-Protocol");
    refused(request("Sec-WebSocket-Protocol: a b\r\n").as_bytes(), 400, "Sec-WebSocket-Protocol");
    let head = [request("").trim_end().as_bytes(), b"\r\nCookie: \xFF\xFE\r\n\r\n"].concat();
    let mut peer = new_server(Config::default());
    peer.receive_with(&head, |ws, event, outbox| {
        if let Event::Request(request) = event {
            assert_eq!(request.header("cookie"), Some(&b"\xFF\xFE"[..]));
            ws.accept(request.accept(), outbox).unwrap();
        }
    });
    assert_eq!(peer.ws.state(), State::Open);
}

/// Proves: S10.
#[test]
fn header_order_name_case_and_white_space_do_not_matter() {
    accepted(
        "GET / HTTP/1.1\r\nsec-websocket-VERSION:13\r\nX-Y:\r\nSEC-WEBSOCKET-KEY: \t dGhlIHNhbXBsZSBub25jZQ== \t\r\n\
         connection:\tUPGRADE\r\nupgrade:WebSocket\r\nhost: a \r\n\r\n",
    );
}

/// Proves: S13.
#[test]
fn a_request_with_a_body_is_refused() {
    for body in [
        "Content-Length: 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        refused(request(body).as_bytes(), 400, "body");
    }
    accepted(&request("Content-Length: 0\r\n"));
}

/// Proves: S14.
#[test]
fn a_target_in_absolute_form_overrides_host() {
    let mut peer = new_server(Config::default());
    let head = request_line("GET http://other.example:8080/chat?x HTTP/1.1");
    peer.receive_with(&head, |_, event, _| {
        let Event::Request(request) = event else { panic!() };
        assert_eq!((request.host(), request.target()), ("other.example:8080", "/chat?x"));
    });
    let mut peer = new_server(Config::default());
    peer.receive_with(&request_line("GET ws://other.example HTTP/1.1"), |_, event, _| {
        let Event::Request(request) = event else { panic!() };
        assert_eq!((request.host(), request.target()), ("other.example", "/"));
    });
    let mut peer = new_server(Config::default());
    peer.receive_with(request("").as_bytes(), |_, event, _| {
        let Event::Request(request) = event else { panic!() };
        assert_eq!((request.host(), request.target()), ("server.example.com", "/chat"));
    });
}

/// Proves: S15, S16, S17, Q3.
#[test]
fn a_head_that_is_not_strict_http_is_refused() {
    for (line, because) in [
        ("X : a\r\n", "its colon"),
        ("X\t: a\r\n", "its colon"),
        (" folded\r\n", "folded"),
        ("\tfolded\r\n", "folded"),
        ("X: a\rb\r\n", "CR without"),
        ("X: a\n", "LF without"),
        ("X: a\r\r\n", "CR without"),
        ("no colon\r\n", "colon"),
        (": a\r\n", "token"),
        ("X(: a\r\n", "token"),
        ("X: \0\r\n", "control"),
        ("X: \u{7F}\r\n", "control"),
        ("X\0: a\r\n", "control"),
    ] {
        refused(request(line).as_bytes(), 400, because);
    }
    // One empty line before the request is ignored, a second one is not.
    accepted(&format!("\r\n{}", request("")));
    refused(format!("\r\n\r\n{}", request("")).as_bytes(), 400, "request line");
}

/// Proves: S18, S11.
#[test]
fn the_head_is_limited_in_bytes_and_headers() {
    let config = Config::default().max_head(300).max_headers(8);
    let exact = |len: usize| {
        let missing = len - request("X: \r\n").len();
        request(&format!("X: {}\r\n", "x".repeat(missing)))
    };
    assert!(answer(config, exact(300).as_bytes()).1.starts_with("HTTP/1.1 101"));
    refused_by(config, exact(301).as_bytes(), 431, "over the limit");
    refused_by(config, format!("GET /{} HTTP/1.1\r\n", "x".repeat(300)).as_bytes(), 414, "target");
    assert!(answer(config, request("A: 1\r\nB: 2\r\nC: 3\r\n").as_bytes()).1.starts_with("HTTP/1.1 101"));
    refused_by(config, request("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n").as_bytes(), 431, "too many headers");
    // The headers of the handshake must fit into the inbox.
    let mut ws = WebSocket::server(Config::default());
    let mut inbox = heapless::Vec::<u8, 64>::new();
    let mut head = request("").into_bytes();
    let event = ws.receive(&mut &mut head[..], &mut inbox);
    assert!(matches!(event, Some(Event::BadRequest(_))));
    let event = ws.receive(&mut &mut head[..], &mut inbox);
    assert!(matches!(event, Some(Event::Error(error)) if error.status() == Some(431)));
}

/// Proves: S11.
#[test]
fn a_head_received_byte_by_byte_is_scanned_once() {
    // Counts the reads of the inbox. Parsing again from the start would read it more often for a
    // longer head.
    struct Counting(Vec<u8>, std::cell::Cell<usize>);
    impl sansocket::Buffer for Counting {
        fn bytes(&self) -> &[u8] {
            self.1.set(self.1.get() + 1);
            &self.0
        }
        fn remaining(&self) -> usize {
            1 << 20
        }
        fn append(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
        fn clear(&mut self) {
            self.0.clear();
        }
    }
    let reads = |headers: usize| {
        let mut inbox = Counting(Vec::new(), 0.into());
        let mut ws = WebSocket::server(Config::default().max_head(u16::MAX).max_headers(u16::MAX));
        for byte in request(&"X: y\r\n".repeat(headers)).bytes() {
            let mut byte = [byte];
            let event = ws.receive(&mut &mut byte[..], &mut inbox);
            assert!(matches!(event, None | Some(Event::Request(_))), "{event:?}");
        }
        assert!(ws.awaits_caller());
        inbox.1.get()
    };
    let (once, twice) = (reads(1000), reads(2000));
    assert!(twice < once * 21 / 10, "{once} {twice}");
}

/// Proves: S12.
#[test]
fn frames_after_the_request_are_kept() {
    let mut peer = new_server(Config::default());
    let glued = [masked(0x81, b"one"), masked(0x89, b"two")].concat();
    let mut left = peer.receive_with(&[request("").as_bytes(), &glued].concat(), |_, _, _| {});
    assert_eq!(left, glued);
    // The request can be accepted after its event is gone.
    let (_, accept) = requested(Config::default(), &request(""));
    peer.ws.accept(accept, &mut peer.outbox).unwrap();
    left = peer.receive_with(&left, |_, _, _| {});
    assert_eq!(left, b"");
    assert_eq!(
        peer.seen,
        [
            Seen::Request("/chat".into()),
            Seen::Open(None),
            Seen::Text("one".into()),
            Seen::Ping(b"two".into()),
        ]
    );
}

/// Proves: R1, R2, R3, R5, R13, Q6.
#[test]
fn a_request_can_be_rejected_with_any_status_headers_and_body() {
    let deciding = |origin: &str| {
        let mut peer = new_server(Config::default());
        let reply = |ws: &mut WebSocket<Server>, request: &Request<'_>, outbox: &mut Vec<u8>| match request
            .origin()
        {
            Some("http://good.example") => ws.accept(request.accept(), outbox),
            Some(_) => ws.reject(Reject::status(403).body(b"no"), outbox),
            None => ws.reject(Reject::status(401).headers(&[("WWW-Authenticate", "Basic")]), outbox),
        };
        peer.receive_with(request(origin).as_bytes(), |ws, event, outbox| {
            if let Event::Request(request) = event {
                reply(ws, request, outbox).unwrap();
            }
        });
        (is_closed(&peer), peer.take_seen(), String::from_utf8(peer.take_sent()).unwrap())
    };
    let (closed, seen, response) = deciding("Origin: http://bad.example\r\n");
    assert_eq!(response, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    // A rejection by the caller is no Error, and the connection is closed at once.
    assert_eq!(seen, [Seen::Request("/chat".into()), Seen::Close(1006, String::new(), false)]);
    assert!(closed);
    let (_, _, response) = deciding("");
    assert_eq!(
        response,
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\nWWW-Authenticate: Basic\r\n\r\n"
    );
    let (closed, _, response) = deciding("Origin: http://good.example\r\n");
    assert!(response.starts_with("HTTP/1.1 101") && !closed);
}

/// Proves: R13.
#[test]
fn a_rejection_has_the_headers_that_its_status_needs() {
    let reject = |reject: Reject<'_>| {
        let (mut peer, _) = requested(Config::default(), &request(""));
        peer.ws.reject(reject, &mut peer.outbox).unwrap();
        String::from_utf8(peer.take_sent()).unwrap()
    };
    let close = "Connection: close\r\n";
    for status in [204, 304] {
        let response = reject(Reject::status(status).headers(&[("X", "y")]));
        assert_eq!(response, format!("HTTP/1.1 {status} \r\n{close}X: y\r\n\r\n"));
    }
    for status in [205, 299, 599] {
        let response = reject(Reject::status(status));
        assert_eq!(response, format!("HTTP/1.1 {status} \r\n{close}Content-Length: 0\r\n\r\n"));
    }
    let response = reject(Reject::status(405));
    assert_eq!(header(&response, "Allow"), Some("GET"));
    let response = reject(Reject::status(426));
    assert_eq!(header(&response, "Connection"), Some("Upgrade, close"));
    assert_eq!(header(&response, "Upgrade"), Some("websocket"));
    assert_eq!(header(&response, "Sec-WebSocket-Version"), Some("13"));
    // `Allow` is the caller's with any other status.
    let allow = &[("Allow", "POST")];
    assert_eq!(header(&reject(Reject::status(403).headers(allow)), "Allow"), Some("POST"));
    let (mut peer, _) = requested(Config::default(), &request(""));
    let refused = peer.ws.reject(Reject::status(405).headers(allow), &mut peer.outbox);
    assert_eq!(refused, Err(AnswerError::InvalidHeader));
}

/// Proves: R10.
#[test]
fn a_refused_request_closes_the_connection_once_the_response_is_transmitted() {
    let mut peer = new_server(Config::default());
    peer.receive_with(b"GET / HTTP/1.1\r\n\r\n", |ws, event, _| {
        let pending = matches!(event, Event::BadRequest(_));
        assert_eq!(ws.is_closed(), !pending, "closed once the refusal is transmitted");
    });
    assert!(is_closed(&peer));
}

/// Proves: R14.
#[test]
fn accept_and_reject_check_their_arguments_and_an_error_changes_nothing() {
    let (mut peer, accept) = requested(Config::default(), &request(""));
    for headers in [
        &[("X", "a\r\nY: b")][..],
        &[("X", "\0")],
        &[("Upgrade", "x")],
        &[("Sec-WebSocket-Accept", "x")],
        &[("a b", "")],
    ] {
        assert_eq!(
            peer.ws.accept(accept.headers(headers), &mut peer.outbox),
            Err(AnswerError::InvalidHeader)
        );
        let reject = Reject::status(400).headers(headers);
        assert_eq!(peer.ws.reject(reject, &mut peer.outbox), Err(AnswerError::InvalidHeader));
    }
    for status in [0, 100, 101, 199, 600, u16::MAX] {
        assert_eq!(peer.ws.reject(Reject::status(status), &mut peer.outbox), Err(AnswerError::InvalidStatus));
    }
    for status in [204, 205, 304] {
        let reject = Reject::status(status).body(b"x");
        assert_eq!(peer.ws.reject(reject, &mut peer.outbox), Err(AnswerError::BodyNotAllowed));
    }
    let mut small = heapless::Vec::<u8, 100>::new();
    assert_eq!(peer.ws.accept(accept, &mut small), Err(AnswerError::OutboxFull(OutboxFull { needed: 129 })));
    assert!(small.is_empty() && peer.outbox.is_empty());
    assert_eq!(peer.ws.state(), State::Connecting);
    peer.ws.accept(accept.headers(&[("Set-Cookie", "a=b")]), &mut peer.outbox).unwrap();
    assert_eq!(header(&String::from_utf8(peer.take_sent()).unwrap(), "Set-Cookie"), Some("a=b"));
    assert_eq!(peer.ws.accept(accept, &mut peer.outbox), Err(AnswerError::NoRequest));
    assert_eq!(peer.ws.reject(Reject::status(400), &mut peer.outbox), Err(AnswerError::NoRequest));
}

#[test]
fn plain_requests_let_one_port_serve_pages_too() {
    let config = Config::default().plain_requests(true);
    let page = |head: &str| {
        let mut peer = new_server(config);
        peer.receive_with(head.as_bytes(), |ws, event, outbox| {
            let Event::Request(request) = event else { return };
            if request.is_upgrade() {
                ws.accept(request.accept(), outbox).unwrap();
            } else {
                assert_eq!(ws.accept(request.accept(), outbox), Err(AnswerError::NotAnUpgrade));
                let page = Reject::status(200).headers(&[("Content-Type", "text/html")]).body(b"<p>page</p>");
                ws.reject(page, outbox).unwrap();
            }
        });
        (peer.take_seen(), String::from_utf8(peer.take_sent()).unwrap())
    };
    let (seen, response) = page("GET /page HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(seen, [Seen::Request("/page".into()), Seen::Close(1006, String::new(), false)]);
    assert_eq!(
        response,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\nContent-Type: text/html\r\n\r\n<p>page</p>"
    );
    let (seen, response) = page(&request(""));
    assert_eq!(seen, [Seen::Request("/chat".into()), Seen::Open(None)]);
    assert!(response.starts_with("HTTP/1.1 101"));
    // Half an upgrade is none.
    for half in ["Upgrade: websocket", "Connection: Upgrade"] {
        assert!(page(&format!("GET / HTTP/1.1\r\nHost: a\r\n{half}\r\n\r\n")).1.ends_with("<p>page</p>"));
    }
    // An HTTP/1.0 request can ask for a page, but not for an upgrade.
    let (seen, response) = page("GET /page HTTP/1.0\r\n\r\n");
    assert_eq!(seen, [Seen::Request("/page".into()), Seen::Close(1006, String::new(), false)]);
    assert!(response.ends_with("<p>page</p>"));
    assert!(page(&request("").replace("HTTP/1.1", "HTTP/1.0")).1.ends_with("<p>page</p>"));
    refused_by(config, b"GET /page HTTP/0.9\r\n\r\n", 400, "older than 1.1");
    refused_by(config, b"POST /page HTTP/1.1\r\nHost: a\r\n\r\n", 405, "not GET");
    refused_by(config, b"GET /page HTTP/1.1\r\n\r\n", 400, "no Host");
    refused_by(config, b"HEAD /page HTTP/1.1\r\n\r\n", 400, "no Host");
}

/// The answer to a HEAD is that of a GET without the body (RFC 9110 section 9.3.2).
#[test]
fn plain_requests_include_head() {
    let config = Config::default().plain_requests(true);
    for (head, is_head) in [
        ("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("HEAD /page HTTP/1.0\r\n\r\n", true),
        (&request("").replace("GET /chat", "HEAD /page"), true),
        ("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", false),
    ] {
        let mut peer = new_server(config);
        peer.receive_with(head.as_bytes(), |ws, event, outbox| {
            let Event::Request(request) = event else { return };
            assert_eq!((request.method(), request.target()), (&head[..head.find(' ').unwrap()], "/page"));
            assert!(!request.is_upgrade());
            assert_eq!(ws.accept(request.accept(), outbox), Err(AnswerError::NotAnUpgrade));
            ws.reject(Reject::status(200).body(b"body"), outbox).unwrap();
        });
        let response = String::from_utf8(peer.take_sent()).unwrap();
        let body = if is_head { "" } else { "body" };
        assert!(response.ends_with(&format!("Content-Length: 4\r\n\r\n{body}")), "{response}");
        assert!(peer.ws.is_closed());
    }
    for method in ["head", "HEADS", "OPTIONS", "POST"] {
        let request = format!("{method} /page HTTP/1.1\r\nHost: a\r\n\r\n");
        refused_by(config, request.as_bytes(), 405, "not GET");
    }
}

#[test]
fn plain_requests_do_not_excuse_an_upgrade_without_a_key_or_version() {
    let config = Config::default().plain_requests(true);
    refused_by(config, &request_with("Sec-WebSocket-Key", ""), 400, "Sec-WebSocket-Key");
    refused_by(config, &request_with("Sec-WebSocket-Version", ""), 426, "Sec-WebSocket-Version");
}

/// Proves: L24.
#[test]
fn nothing_is_sent_before_the_connection_is_open() {
    let mut peer = new_server(Config::default());
    assert_eq!(peer.ws.send("a", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.ping(b"", &mut peer.outbox), Err(SendError::NotOpen));
    assert!(peer.ws.close_without_code(&mut peer.outbox).is_err());
    assert!(peer.outbox.is_empty());
}

#[test]
fn the_open_event_borrows_the_request_from_the_inbox() {
    let mut ws = WebSocket::server(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut head = request("Sec-WebSocket-Protocol: chat\r\nCookie: a=b\r\n").into_bytes();
    let mut input = &mut head[..];
    let Some(Event::Request(request)) = ws.receive(&mut input, &mut inbox) else { panic!() };
    ws.accept(request.select(&["chat"]).unwrap(), &mut outbox).unwrap();
    let Some(Event::Open(open)) = ws.receive(&mut input, &mut inbox) else { panic!() };
    assert_eq!((open.protocol(), open.header("cookie")), (Some("chat"), Some(&b"a=b"[..])));
    assert_eq!(open.headers().count(), 7);
}

#[test]
fn the_inbox_is_cleared_before_the_first_byte() {
    let mut ws = WebSocket::server(Config::default());
    let mut inbox = b"left over".to_vec();
    let mut head = request("").into_bytes();
    let event = ws.receive(&mut &mut head[..], &mut inbox);
    assert!(matches!(event, Some(Event::Request(request)) if request.target() == "/chat"));
}

/// Proves: R6, R8.
#[test]
fn accept_refuses_the_answer_to_another_request() {
    let with_key =
        |key: &str| requested(Config::default(), &request("").replace("dGhlIHNhbXBsZSBub25jZQ==", key));
    let (mut one, accept_one) = with_key("dGhlIHNhbXBsZSBub25jZQ==");
    let (_, accept_two) = with_key("AQIDBAUGBwgJCgsMDQ4PEC==");
    assert_eq!(one.ws.accept(accept_two, &mut one.outbox), Err(AnswerError::OtherRequest));
    assert!(one.outbox.is_empty());
    one.ws.accept(accept_one, &mut one.outbox).unwrap();
}

#[test]
fn truncating_the_inbox_in_the_middle_of_a_head_never_panics() {
    for kept in [0, 1, 15] {
        for cut in 1..60 {
            let mut ws = WebSocket::server(Config::default());
            let mut inbox = Vec::new();
            let mut head = request("").into_bytes();
            let (first, rest) = head.split_at_mut(cut);
            assert!(ws.receive(&mut &mut *first, &mut inbox).is_none());
            inbox.truncate(kept);
            assert!(matches!(
                ws.receive(&mut &mut *rest, &mut inbox),
                Some(Event::BadRequest(_) | Event::Request(_))
            ));
        }
    }
}

/// A bad request as the server shows it, and the Error after it.
#[derive(Debug, PartialEq)]
struct Bad {
    shown: String,
    method: String,
    target: String,
    /// The names of its headers.
    headers: Vec<String>,
    error: Option<Error>,
}

impl Bad {
    fn new(request: BadRequest<'_>) -> Self {
        for (name, value) in request.headers() {
            assert!(
                request.header(&name.to_lowercase()).is_some_and(|first| first == value || name == "Host")
            );
        }
        Self {
            shown: request.to_string(),
            method: request.method().into(),
            target: request.target().into(),
            headers: request.headers().map(|(name, _)| name.into()).collect(),
            error: None,
        }
    }
}

/// Records a bad request and its Error.
#[derive(Default)]
struct Log(Option<Bad>, Vec<&'static str>);

impl Handler for Log {
    fn on_request(&mut self, _: Request<'_>, _: &mut Responder<'_>) {
        self.1.push("request");
    }
    fn on_bad_request(&mut self, request: BadRequest<'_>) {
        self.1.push("bad request");
        self.0 = Some(Bad::new(request));
    }
    fn on_error(&mut self, error: Error) {
        self.1.push("error");
        self.0.as_mut().unwrap().error = Some(error);
    }
    fn on_close(&mut self, _: &sansocket::Close) {
        self.1.push("close");
    }
}

/// The bad request, received in slices of `size` bytes by two handlers, or by `poll` and `event`.
fn bad(config: Config, head: &[u8], size: usize) -> Bad {
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let (mut ws, mut handlers) = (WebSocket::server(config), (Log::default(), Log::default()));
    let mut bytes = head.to_vec();
    for slice in bytes.chunks_mut(size) {
        let mut input = slice;
        while ws.dispatch(&mut input, &mut inbox, &mut outbox, &mut handlers).unwrap() {}
    }
    assert_eq!(handlers.0.1, ["bad request", "error", "close"], "{}", head.escape_ascii());
    assert_eq!((&handlers.0.0, &handlers.0.1), (&handlers.1.0, &handlers.1.1));
    let found = handlers.0.0.unwrap();
    let status = found.error.unwrap().status().unwrap();
    assert!(String::from_utf8(outbox).unwrap().starts_with(&format!("HTTP/1.1 {status} ")));

    let mut ws = WebSocket::server(config);
    let mut again = None;
    for slice in head.to_vec().chunks_mut(size) {
        let mut input = slice;
        while let Some(ready) = ws.poll(input, &mut inbox) {
            let (taken, rest) = std::mem::take(&mut input).split_at_mut(ready.consumed());
            input = rest;
            match ws.event(ready, taken, &mut inbox).unwrap() {
                Event::BadRequest(request) => {
                    assert_eq!(again, None);
                    assert!(!ws.is_closed(), "the refusal is pending");
                    again = Some(Bad::new(request));
                }
                Event::Error(error) => again.as_mut().unwrap().error = Some(error),
                Event::Close(close) => assert!(!close.clean),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(again.as_ref(), Some(&found));
    found
}

/// Proves: S1.
#[test]
fn each_refused_request_is_shown_as_far_as_it_was_received() {
    use RequestError as E;
    let config = Config::default().max_head(400).max_headers(9);
    let front = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let long = "x".repeat(400);
    // The rest of the head after `front`, the error, and the headers that are shown after Host. The
    // faulty line is shown if it can be read.
    let cases: Vec<(String, E, &[&str])> = vec![
        ("X: a\0".into(), HeadError::ControlCharacter.into(), &[]),
        ("X: a\r\nY: \rb".into(), HeadError::BareCr.into(), &["X"]),
        ("X: a\n".into(), HeadError::BareLf.into(), &[]),
        (format!("X: a\r\nY: {long}"), HeadError::TooLong.into(), &["X"]),
        ("X: a\r\n".repeat(9), HeadError::TooManyHeaders.into(), &["X"; 9]),
        (" folded\r\n".into(), HeadError::Folded.into(), &[]),
        ("no colon\r\n".into(), HeadError::NoColon.into(), &[]),
        ("X(: a\r\n".into(), HeadError::InvalidName.into(), &[]),
        ("X : a\r\n".into(), HeadError::SpaceBeforeColon.into(), &["X"]),
        ("Content-Length: 5\r\n".into(), E::Body, &["Content-Length"]),
        ("Transfer-Encoding: chunked\r\n".into(), E::Body, &["Transfer-Encoding"]),
        ("X: a\r\n\r\n".into(), E::Missing(Name::Upgrade), &["X"]),
        ("Upgrade: websocket\r\n\r\n".into(), E::Missing(Name::Connection), &["Upgrade"]),
        (format!("{upgrade}\r\n"), E::Missing(Name::SecWebSocketVersion), &["Upgrade", "Connection"]),
        (
            format!("{version}{upgrade}\r\n"),
            E::Missing(Name::SecWebSocketKey),
            &["Sec-WebSocket-Version", "Upgrade", "Connection"],
        ),
        ("Host: b\r\n".into(), E::Duplicate(Name::Host), &["Host"]),
        ("Origin: b\r\nOrigin: b\r\n".into(), E::Duplicate(Name::Origin), &["Origin", "Origin"]),
        (format!("{key}{key}"), E::Duplicate(Name::SecWebSocketKey), &["Sec-WebSocket-Key"; 2]),
        (
            format!("{version}{version}"),
            E::Duplicate(Name::SecWebSocketVersion),
            &["Sec-WebSocket-Version"; 2],
        ),
        ("Sec-WebSocket-Key: a\r\n".into(), E::Invalid(Name::SecWebSocketKey), &["Sec-WebSocket-Key"]),
        (
            "Sec-WebSocket-Version: 8\r\n".into(),
            E::Invalid(Name::SecWebSocketVersion),
            &["Sec-WebSocket-Version"],
        ),
        (
            "Sec-WebSocket-Protocol: a b\r\n".into(),
            E::Invalid(Name::SecWebSocketProtocol),
            &["Sec-WebSocket-Protocol"],
        ),
        (
            "Sec-WebSocket-Extensions: a;\r\n".into(),
            E::Invalid(Name::SecWebSocketExtensions),
            &["Sec-WebSocket-Extensions"],
        ),
    ];
    for (rest, error, headers) in cases {
        let head = format!("{front}{rest}");
        for size in [1, 5, head.len()] {
            let found = bad(config, head.as_bytes(), size);
            assert_eq!(found.error, Some(error.into()), "{head}");
            assert_eq!((&found.method[..], &found.target[..]), ("GET", "/chat"));
            assert_eq!(found.shown, "GET /chat HTTP/1.1");
            // A folded header is left out.
            let host: &[&str] = if rest.starts_with([' ', '\t']) { &[] } else { &["Host"] };
            assert_eq!(found.headers, [host, headers].concat(), "{head}");
        }
    }
    // Without a Host, or with a wrong one.
    for (host, error) in [("", E::Missing(Name::Host)), ("Host: a b\r\n", E::Invalid(Name::Host))] {
        let head = format!("GET / HTTP/1.1\r\n{host}\r\n");
        let found = bad(config, head.as_bytes(), 7);
        assert_eq!((found.error, found.headers.len()), (Some(error.into()), host.len().min(1)));
    }
    // A fault in the first line: the method, the target and what is shown.
    let too_long = format!("GET /{long} HTTP/1.1\r\n");
    let cut = format!("/{}", &long[..395]);
    let cases: [(&str, E, &str, &str); 12] = [
        ("POST /a?b HTTP/1.1\r\n", E::MethodNotAllowed, "POST", "/a?b"),
        ("get / HTTP/1.1\r\n", E::MethodNotAllowed, "get", "/"),
        ("GET / HTTP/1.0\r\n", E::HttpTooOld, "GET", "/"),
        ("GET chat HTTP/1.1\r\n", E::InvalidTarget, "GET", "chat"),
        ("GET ftp://a/ HTTP/1.1\r\n", E::InvalidTarget, "GET", "ftp://a/"),
        ("GET http://[a]/ HTTP/1.1\r\n", E::InvalidTarget, "GET", "http://[a]/"),
        (&too_long, E::TargetTooLong, "GET", &cut),
        ("GET /\r\n", E::InvalidRequestLine, "GET", "/"),
        ("hello\r\n", E::InvalidRequestLine, "hello", ""),
        ("\r\n\r\n", E::InvalidRequestLine, "", ""),
        ("GET /\u{e9}\x1B[2J", HeadError::ControlCharacter.into(), "GET", "/\u{e9}"),
        ("\x16\x03\x01", HeadError::ControlCharacter.into(), "", ""),
    ];
    for (head, error, method, target) in cases {
        for size in [1, 5, head.len()] {
            let found = bad(config, head.as_bytes(), size);
            assert_eq!(found.error, Some(error.into()), "{head}");
            assert_eq!((&found.method[..], &found.target[..]), (method, target), "{head}");
            assert!(found.headers.is_empty());
        }
    }
}

/// Proves: S1, Q3.
#[test]
fn a_bad_request_is_escaped_for_the_log() {
    for (head, shown) in [
        (&b"GET /\xE9\xFF?token=a\\b\"c HTTP/1.1\r\n"[..], "GET /\\xe9\\xff?token=a\\\\b\\\"c HTTP/1.1"),
        (b"GET /a\tb HTTP/1.1\r\n", "GET /a\\tb HTTP/1.1"),
        ("GET /\u{202E} HTTP/1.1\r\n".as_bytes(), "GET /\\xe2\\x80\\xae HTTP/1.1"),
        (b"GET /\x1B]0;x\x07", "GET /"),
        (b"\xFF\xFE\r\n", "\\xff\\xfe"),
    ] {
        let found = bad(Config::default(), head, head.len());
        assert_eq!(found.shown, shown);
        assert!(found.shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    // `Debug` shows no query and no secret.
    let head = b"GET /a?token=secret HTTP/1.1\r\nCookie: secret\r\nX: \0";
    let mut peer = new_server(Config::default());
    peer.receive_with(head, |_, event, _| {
        let shown = format!("{event:?}");
        assert!(!shown.contains("secret"), "{shown}");
    });
    assert!(matches!(peer.seen[0], Seen::BadRequest(_)));
}

/// Proves: S1, S11.
#[test]
fn a_bad_request_shows_what_a_small_inbox_holds() {
    let head = format!("GET /a HTTP/1.1\r\nHost: b\r\nCookie: {}\r\nX: y\r\nHost: c\r\n", "z".repeat(300));
    for size in [1, 9, 1000] {
        let (mut ws, mut inbox) = (WebSocket::server(Config::default()), FixedInbox::<64>::new());
        let mut seen = Vec::new();
        for slice in head.clone().into_bytes().chunks_mut(size) {
            let mut input = slice;
            while let Some(event) = ws.receive(&mut input, &mut inbox) {
                if let Event::BadRequest(request) = &event {
                    let names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
                    assert_eq!(names, ["Host", "X", "Host"]);
                    assert_eq!(request.header("host"), Some(&b"b"[..]));
                }
                push(&mut seen, &event);
            }
        }
        let [Seen::BadRequest(line), Seen::Error(error), Seen::Close(..)] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert!(line == "GET /a HTTP/1.1" && error.contains("more than one Host"));
    }
}

/// Proves: S2.
#[test]
fn head_is_a_plain_request_only() {
    for version in ["1.0", "1.1", "1.2"] {
        let request = format!("HEAD /a HTTP/{version}\r\nHost: b\r\n\r\n");
        let (status, because) = if version == "1.0" { (400, "older") } else { (405, "not GET") };
        refused(request.as_bytes(), status, because);
        let config = Config::default().plain_requests(true);
        let mut peer = new_server(config);
        peer.receive_with(request.as_bytes(), |ws, event, outbox| {
            let Event::Request(request) = event else { return };
            assert_eq!((request.method(), request.to_string()), ("HEAD", "b/a".into()));
            ws.reject(Reject::status(404).body(b"gone").headers(&[("X", "y")]), outbox).unwrap();
        });
        assert_eq!(
            peer.take_sent(),
            b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\nX: y\r\n\r\n"
        );
        assert_eq!(peer.seen[1..], [Seen::Close(1006, String::new(), false)]);
        // A handler that answers nothing refuses it, as any plain request.
        let (mut ws, mut outbox) = (WebSocket::server(config), Vec::new());
        let mut bytes = request.into_bytes();
        let mut input = &mut bytes[..];
        while ws.dispatch(&mut input, &mut Vec::new(), &mut outbox, &mut Log::default()).unwrap() {}
        assert!(outbox.starts_with(b"HTTP/1.1 426 ") && outbox.ends_with(b"\r\n\r\n"));
    }
    // The rules of HTTP apply to it too.
    let config = Config::default().plain_requests(true);
    refused_by(config, b"HEAD / HTTP/1.1\r\n\r\n", 400, "no Host");
    refused_by(config, b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400, "body");
    refused_by(config, b"HEAD a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target");
    // With a wrong key it is a plain request with a malformed header.
    refused_by(
        config,
        b"HEAD / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: a\r\n\r\n",
        400,
        "Sec-WebSocket-Key",
    );
}

/// A buffer with only the required methods of `Buffer`.
struct Plain(Vec<u8>);

impl Buffer for Plain {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn remaining(&self) -> usize {
        512 - self.0.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Proves: S14.
#[test]
fn a_target_in_absolute_form_has_a_path() {
    for (target, host, path) in [
        ("http://h?x", "h", "/?x"),
        ("http://h?", "h", "/?"),
        ("http://h", "h", "/"),
        ("http://h/", "h", "/"),
        ("http://h/?x", "h", "/?x"),
        ("WS://h:80?a=/b?c", "h:80", "/?a=/b?c"),
        ("wss://[::1]:8443", "[::1]:8443", "/"),
        ("https://a.example?http://b/", "a.example", "/?http://b/"),
        ("ws://a?b", "a", "/?b"),
    ] {
        for method in ["GET", "HEAD"] {
            let head = request("").replace("GET /chat", &format!("{method} {target}"));
            let config = Config::default().plain_requests(true);
            for size in 1..head.len() {
                let mut peer = new_server(config);
                for slice in head.as_bytes().chunks(size) {
                    peer.receive_with(slice, |ws, event, outbox| {
                        let Event::Request(request) = event else { return };
                        assert_eq!((request.host(), request.target()), (host, path), "{target}");
                        assert_eq!(request.to_string(), format!("{host}{path}"));
                        assert_eq!(request.method(), method);
                        assert_eq!(request.headers().count(), 5);
                        if request.is_upgrade() {
                            ws.accept(request.accept(), outbox).unwrap();
                        }
                    });
                }
                assert_eq!(peer.ws.state() == State::Open, method == "GET");
            }
        }
    }
    // An inbox that can only append has no path inserted before a query.
    let mut inbox = Plain(Vec::new());
    for (target, path) in [("http://h", "/"), ("http://h/a?x", "/a?x")] {
        let mut head = request("").replace("/chat", target).into_bytes();
        let mut ws = WebSocket::server(Config::default());
        let Some(Event::Request(request)) = ws.receive(&mut &mut head[..], &mut inbox) else { panic!() };
        assert_eq!((request.host(), request.target()), ("h", path));
    }
}

/// Proves: S11, S12.
#[test]
fn a_request_is_accepted_if_its_headers_with_rules_fit() {
    let cookie = format!("Cookie: {}\r\n", "c".repeat(2000));
    let more = format!("{cookie}Sec-WebSocket-Protocol: soap, chat\r\nX: y\r\n{cookie}Origin: http://a\r\n");
    let head = request(&more);
    let needed = head.len() - 2 * cookie.len() - "X: y\r\n".len();
    let glued = masked(0x81, b"glued");
    let stream = [head.as_bytes(), &glued].concat();
    for (capacity, opens) in [(needed + 20, true), (needed + "Cookie:".len(), true), (needed - 1, false)] {
        for size in [1, 50, 9000] {
            let mut memory = vec![0; capacity];
            let (mut ws, mut inbox) = (WebSocket::server(Config::default()), Slice::new(&mut memory));
            let (mut seen, mut outbox) = (Vec::new(), Vec::new());
            for slice in stream.clone().chunks_mut(size) {
                let mut input = slice;
                while let Some(event) = ws.receive(&mut input, &mut inbox) {
                    push(&mut seen, &event);
                    match event {
                        Event::Request(request) => {
                            assert_eq!((request.header("cookie"), request.is_complete()), (None, false));
                            assert_eq!(request.origin(), Some("http://a"));
                            assert_eq!(request.host(), "server.example.com");
                            assert!(request.protocols().eq(["soap", "chat"]));
                            ws.accept(request.select(&["chat"]).unwrap(), &mut outbox).unwrap();
                        }
                        Event::Open(open) => {
                            assert_eq!((open.header("cookie"), open.is_complete()), (None, false));
                            assert!(open.headers().count() >= 7);
                        }
                        Event::Error(error) => assert_eq!(error.status(), Some(431)),
                        _ => {}
                    }
                }
            }
            if opens {
                let expected = [
                    Seen::Request("/chat".into()),
                    Seen::Open(Some("chat".into())),
                    Seen::Text("glued".into()),
                ];
                assert_eq!(seen, expected, "{capacity} {size}");
            } else {
                assert!(
                    matches!(seen[..], [Seen::BadRequest(_), Seen::Error(_), Seen::Close(..)]),
                    "{seen:?}"
                );
            }
        }
    }
}

/// The status and the headers in a response of the machine. `Connection: close` and
/// `Content-Length` are the business of the software that writes a response.
fn status_and_headers(response: &str) -> (String, Vec<(String, String)>) {
    let mut lines = response.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    let headers = headers.filter_map(|(name, value)| match (name, value) {
        ("Content-Length", _) | ("Connection", "close") => None,
        ("Connection", value) => Some((name.to_owned(), value.replace(", close", ""))),
        _ => Some((name.to_owned(), value.to_owned())),
    });
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    (status, headers)
}

/// Proves: R7, R8.
#[test]
fn the_heads_for_other_software_are_those_of_the_machine() {
    let of_head = |head: sansocket::handshake::ResponseHead<'_>| {
        let mut headers: Vec<_> = head.headers().map(|(name, value)| (name.into(), value.into())).collect();
        headers.sort();
        (head.status().to_string(), headers)
    };

    let headers: &[(&str, &[u8])] = &[
        ("host", b"server.example.com"),
        ("upgrade", b"websocket"),
        ("connection", b"Upgrade"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"soap, v1.chat"),
        ("Sec-WebSocket-Protocol", b"v2.chat"),
    ];
    let check = || sansocket::handshake::check_request(headers.iter().copied()).unwrap();
    let more = [("Set-Cookie", "a=b")];
    for preferred in [&["v2.chat", "v1.chat"][..], &["v3.chat", "soap"], &["v3.chat"], &[]] {
        let (mut ws, mut inbox, mut outbox) = (WebSocket::server(Config::default()), Vec::new(), Vec::new());
        let mut head =
            request("Sec-WebSocket-Protocol: soap, v1.chat\r\nSec-WebSocket-Protocol: v2.chat\r\n")
                .into_bytes();
        let Some(Event::Request(request)) = ws.receive(&mut &mut head[..], &mut inbox) else { panic!() };
        let selected = request.select(preferred);
        let same = check().select(headers.iter().copied(), preferred);
        assert_eq!(selected.is_some(), same.is_some());
        ws.accept(selected.unwrap_or(request.accept()).headers(&more), &mut outbox).unwrap();
        let response = same.unwrap_or(check()).headers(&more).response();
        assert_eq!(of_head(response), status_and_headers(core::str::from_utf8(&outbox).unwrap()));
    }

    for status in [200, 204, 301, 400, 401, 404, 405, 426, 431, 503, 599] {
        let reject = Reject::status(status).headers(&more);
        let (mut ws, mut inbox, mut outbox) = (WebSocket::server(Config::default()), Vec::new(), Vec::new());
        let mut head = request("").into_bytes();
        assert!(ws.receive(&mut &mut head[..], &mut inbox).is_some());
        ws.reject(reject, &mut outbox).unwrap();
        let response = core::str::from_utf8(&outbox).unwrap();
        assert_eq!(of_head(reject.response()), status_and_headers(response), "{response}");
    }
    for error in [
        RequestError::MethodNotAllowed,
        RequestError::Missing(Name::Upgrade),
        RequestError::Invalid(Name::SecWebSocketVersion),
        RequestError::Missing(Name::Host),
    ] {
        assert_eq!(of_head(error.response()), of_head(Reject::status(error.status()).response()));
    }
}
