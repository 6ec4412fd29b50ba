//! RFC 6455 sections 5.5.1 and 7: the end of a connection.

mod common;

use common::*;
use core::time::Duration;
use sansocket::{
    CloseCode, Config, Delivery, Event, Fragment, OutboxFull, Role, SendError, Server, State, WebSocket,
};

fn close(code: u16, reason: &str, clean: bool) -> Seen {
    Seen::Close(code, reason.into(), clean)
}

/// Proves: L6, L7, L9, L10, L14, L15, L16.
#[test]
fn a_server_answers_a_close_and_is_closed() {
    for (body, code, reason, answer) in [
        (close_body(1000, "bye"), 1000, "bye", &1000_u16.to_be_bytes()[..]),
        (close_body(4999, ""), 4999, "", &4999_u16.to_be_bytes()),
        (close_body(1010, "x"), 1010, "x", &1010_u16.to_be_bytes()),
        (vec![], 1005, "", &[]),
    ] {
        let mut peer = server(Config::default());
        let left = peer.receive_with(&masked(0x88, &body), |ws, _, _| {
            assert_eq!(ws.state(), State::Closing, "closing until the reply is transmitted");
        });
        assert_eq!(left, b"");
        assert_eq!(peer.take_seen(), [close(code, reason, true)]);
        assert_eq!(peer.take_sent(), unmasked(0x88, answer));
        assert!(is_closed(&peer));
    }
}

/// Proves: L11.
#[test]
fn a_client_waits_for_the_end_of_the_stream_or_the_closing_timeout() {
    let closing = || {
        let mut peer = client(Config::default().closing_timeout(Some(Duration::from_secs(5))));
        peer.receive(&unmasked(0x88, &close_body(1001, "going")));
        assert_eq!(peer.take_seen(), [close(1001, "going", true)]);
        assert_eq!(peer.take_sent().len(), 8);
        assert_eq!(peer.ws.state(), State::Closing);
        peer
    };
    let mut peer = closing();
    peer.eof();
    assert!(is_closed(&peer) && peer.seen.is_empty());
    let mut peer = closing();
    peer.ws.handle_timeout(Duration::from_secs(100));
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::from_secs(105)));
    peer.ws.handle_timeout(Duration::from_secs(105));
    peer.receive(b"");
    assert!(is_closed(&peer) && peer.seen.is_empty());
    assert_eq!(peer.ws.poll_timeout(), None);
}

/// Proves: L5, L9.
#[test]
fn after_our_close_messages_are_received_but_not_sent() {
    let mut peer = server(Config::default());
    peer.ws.close(CloseCode::GOING_AWAY, "restart", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x88, &close_body(1001, "restart")));
    assert_eq!(peer.ws.send("late", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.ping(b"", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox), Err(SendError::NotOpen));
    peer.receive(&[masked(0x81, b"before"), masked(0x89, b"p")].concat());
    assert_eq!(peer.take_seen(), [Seen::Text("before".into()), Seen::Ping(b"p".into())]);
    // A Ping is answered "unless it already received a Close frame" (section 5.5.2). Our own Close
    // does not matter.
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"p"));
    assert!(!is_closed(&peer));
    peer.receive(&[masked(0x88, &close_body(1001, "")), masked(0x81, b"after")].concat());
    assert_eq!(peer.take_seen(), [close(1001, "", true)]);
    assert_eq!(peer.take_sent(), b"");
    assert!(is_closed(&peer));
}

/// Proves: P3, L12.
#[test]
fn pings_after_our_close_are_answered_and_crossing_closes_complete() {
    let mut one = server(Config::default());
    let mut two = client(Config::default());
    one.ws.close(CloseCode(4000), "one", &mut one.outbox).unwrap();
    two.ws.ping(b"p", &mut two.outbox).unwrap();
    two.ws.close(CloseCode(4001), "two", &mut two.outbox).unwrap();
    let (from_one, from_two) = (one.take_sent(), two.take_sent());
    one.receive(&from_two);
    two.receive(&from_one);
    assert_eq!(one.take_seen(), [Seen::Ping(b"p".into()), close(4001, "two", true)]);
    assert_eq!(two.take_seen(), [close(4000, "one", true)]);
    assert_eq!(one.take_sent(), unmasked(0x8A, b"p"));
    assert_eq!(two.take_sent(), b"");
    assert!(is_closed(&one) && !is_closed(&two));
    two.eof();
    assert!(is_closed(&two));
}

/// Proves: L1, L2, L4, X1, X2, X3, X4, X5.
#[test]
fn an_invalid_close_frame_fails_with_the_right_code() {
    let answer = |body: &[u8]| {
        let mut peer = server(Config::default());
        peer.receive(&masked(0x88, body));
        let [Seen::Error(_), Seen::Close(1006, reason, false)] = &peer.seen[..] else {
            panic!("{:?}", peer.seen)
        };
        assert_eq!(reason, "");
        assert_eq!(peer.outbox[..2], [0x88, 2]);
        u16::from_be_bytes([peer.outbox[2], peer.outbox[3]])
    };
    assert_eq!(answer(&[3]), 1002);
    assert_eq!(answer(b"\x03\xE8\xFF"), 1007);
    assert_eq!(answer(b"\x03\xE8\xE2\x82"), 1007);
    for code in 0..=u16::MAX {
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        if valid {
            let mut peer = server(Config::default());
            peer.receive(&masked(0x88, &code.to_be_bytes()));
            assert_eq!(peer.seen, [close(code, "", true)]);
        } else {
            assert_eq!(answer(&code.to_be_bytes()), 1002, "{code}");
        }
    }
}

/// Proves: L1.
#[test]
fn a_close_payload_of_one_byte_fails_at_its_length() {
    let mut peer = server(Config::default());
    peer.receive(&masked(0x88, &[3])[..2]);
    let [Seen::Error(error), Seen::Close(1006, _, false)] = &peer.seen[..] else { panic!("{:?}", peer.seen) };
    assert!(error.contains("Close"), "{error}");
    assert_eq!(peer.take_sent(), unmasked(0x88, &close_body(1002, "")));
}

/// Proves: L3, X1, X2, X6.
#[test]
fn close_checks_its_arguments_and_an_error_changes_nothing() {
    let mut peer = server(Config::default());
    for code in (0..=999).chain([1004, 1005, 1006, 1010, 1015, 1016, 2999, 5000, u16::MAX]) {
        assert_eq!(
            peer.ws.close(CloseCode(code), "", &mut peer.outbox),
            Err(SendError::InvalidCode),
            "{code}"
        );
    }
    assert_eq!(peer.ws.close(CloseCode::NORMAL, &"x".repeat(124), &mut peer.outbox), Err(SendError::TooLong));
    let mut small = heapless::Vec::<u8, 3>::new();
    assert_eq!(
        peer.ws.close(CloseCode::NORMAL, "", &mut small),
        Err(SendError::OutboxFull(OutboxFull { needed: 4 }))
    );
    assert!(peer.outbox.is_empty() && small.is_empty() && peer.ws.state() == State::Open);
    peer.ws.close(CloseCode::NORMAL, &"x".repeat(123), &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x88, &close_body(1000, &"x".repeat(123))));
    // A client can name the extensions that it misses.
    let mut peer = client(Config::default());
    peer.ws.close(CloseCode::MISSING_EXTENSION, "x-needed", &mut peer.outbox).unwrap();
}

/// Proves: L14.
#[test]
fn an_empty_close_is_reported_as_1005_and_gets_an_empty_reply() {
    let mut one = client(Config::default());
    let mut two = server(Config::default());
    one.ws.close_without_code(&mut one.outbox).unwrap();
    two.receive(&one.take_sent());
    assert_eq!(two.take_seen(), [close(1005, "", true)]);
    let reply = two.take_sent();
    assert_eq!(reply, [0x88, 0]);
    one.receive(&reply);
    assert_eq!(one.take_seen(), [close(1005, "", true)]);
}

/// Proves: L17, L19, X7, Q4.
#[test]
fn a_protocol_error_sends_its_close_code_and_discards_later_input() {
    for (stream, code) in [
        (masked(0x83, b""), 1002),
        (masked(0x81, b"\xFF"), 1007),
        (vec![0x82, 0xFF, 0, 1, 0, 0, 0, 0, 0, 0], 1009),
        ([masked(0x02, b""), masked(0x00, b"").repeat(1024)].concat(), 1008),
    ] {
        let mut peer = server(Config::default());
        peer.receive(&[stream, masked(0x88, &close_body(1000, "")), masked(0x89, b"")].concat());
        let [Seen::Error(error), Seen::Close(1006, _, false)] = &peer.seen[..] else {
            panic!("{:?}", peer.seen)
        };
        assert!(error.contains(&code.to_string()), "the error names the code that is sent: {error}");
        peer.receive(&masked(0x81, b"more"));
        peer.eof();
        assert_eq!(peer.take_sent(), unmasked(0x88, &u16::to_be_bytes(code)));
        assert_eq!(peer.seen.len(), 2);
        assert!(is_closed(&peer));
    }
}

/// Proves: L17, L18.
#[test]
fn a_protocol_error_after_our_close_sends_nothing() {
    let mut peer = server(Config::default());
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.receive(&masked(0x83, b""));
    assert!(matches!(peer.take_seen()[..], [Seen::Error(_), Seen::Close(1006, ..)]));
    assert_eq!(peer.take_sent(), b"");
    assert!(is_closed(&peer));
}

fn ends_at_eof<R: Role>(mut peer: Peer<R>) {
    peer.take_sent();
    peer.take_seen();
    peer.ws.receive_eof();
    assert!(is_closed(&peer), "closed at once");
    peer.receive(b"");
    let [Seen::Error(error), Seen::Close(1006, _, false)] = &peer.seen[..] else { panic!("{:?}", peer.seen) };
    assert!(error.contains("stream ended"));
    assert_eq!(peer.take_sent(), b"");
    peer.eof();
    peer.receive(b"anything");
    assert_eq!(peer.seen.len(), 2, "an Error and a Close, exactly once");
    assert_eq!(peer.ws.poll_timeout(), None);
}

/// Proves: L14, L21.
#[test]
fn the_end_of_the_stream_without_a_close_is_reported_as_1006() {
    ends_at_eof(server(Config::default()));
    ends_at_eof(client(Config::default()));
    ends_at_eof(new_server(Config::default()));
    ends_at_eof(connecting(sansocket::Connect::new("a", "/")));
    let mut peer = server(Config::default());
    peer.receive(&masked(0x81, b"whole")[..5]);
    ends_at_eof(peer);
    let mut peer = client(Config::default());
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    ends_at_eof(peer);
    ends_at_eof(requested(Config::default(), &request("")).0);
}

/// Proves: L13.
#[test]
fn input_after_the_closing_handshake_is_discarded_without_an_error() {
    let mut peer = server(Config::default());
    peer.receive(&masked(0x88, b""));
    peer.take_seen();
    peer.receive(&[0xFF; 1000]);
    peer.eof();
    assert!(peer.seen.is_empty() && is_closed(&peer));
}

/// Proves: L8.
#[test]
fn the_close_reply_waits_for_a_pending_payload() {
    let mut peer = server(Config::default());
    peer.ws.send_header(sansocket::Kind::Binary, 3, &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.receive(&masked(0x88, &close_body(1000, "")));
    assert_eq!(peer.take_sent(), b"", "nothing is sent inside a frame");
    assert!(!is_closed(&peer));
    peer.ws.payload_sent(2).unwrap();
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), b"");
    peer.ws.payload_sent(1).unwrap();
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x88, &1000_u16.to_be_bytes()));
    assert!(is_closed(&peer));
}

/// Proves: P3.
#[test]
fn a_received_close_drops_a_pending_pong() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut stream = [masked(0x89, b"p"), masked(0x88, b"")].concat();
    let mut input = &mut stream[..];
    while ws.receive(&mut input, &mut inbox).is_some() {}
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(outbox, [0x88, 0]);
}

/// A server and a client that are open, each with a Ping that the other side sent and no Pong
/// transmitted yet.
fn with_pending_pong() -> (Peer<Server>, Peer<TestClient>) {
    let (mut one, mut two) = (server(Config::default()), client(Config::default()));
    assert_eq!(one.receive_only(&masked(0x89, b"p")), 1);
    assert_eq!(two.receive_only(&unmasked(0x89, b"p")), 1);
    (one, two)
}

/// Checks that the connection is closed and that nothing is transmitted any more.
#[track_caller]
fn is_silent<R: Role>(peer: &mut Peer<R>) {
    assert!(is_closed(peer));
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.receive(b"anything");
    assert_eq!(peer.take_sent(), b"");
    assert_eq!(peer.ws.poll_timeout(), None);
}

#[test]
fn the_end_of_the_stream_drops_a_pending_pong() {
    let (mut one, mut two) = with_pending_pong();
    one.ws.receive_eof();
    two.ws.receive_eof();
    is_silent(&mut one);
    is_silent(&mut two);
}

#[test]
fn the_closing_timeout_drops_a_pending_pong() {
    let mut peer = server(Config::default().closing_timeout(Some(Duration::from_secs(5))));
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    peer.take_sent();
    assert_eq!(peer.receive_only(&masked(0x89, b"p")), 1);
    peer.ws.handle_timeout(Duration::from_secs(1));
    peer.ws.handle_timeout(Duration::from_secs(6));
    is_silent(&mut peer);
    assert_eq!(peer.take_seen(), [Seen::Ping(b"p".into()), close(1006, "", false)]);
}

/// Proves: L17.
#[test]
fn a_protocol_error_drops_a_pending_pong() {
    let (mut one, mut two) = with_pending_pong();
    one.receive(&masked(0x83, b""));
    assert_eq!(one.take_sent(), unmasked(0x88, &1002_u16.to_be_bytes()));
    is_silent(&mut one);
    two.receive(&unmasked(0x83, b""));
    assert_eq!(two.take_sent()[..2], [0x88, 0x82]);
    is_silent(&mut two);
}

#[test]
fn a_failed_client_is_closed_once_its_close_frame_is_transmitted() {
    for broken in [unmasked(0x83, b""), masked(0x81, b"a"), unmasked(0x81, b"\xFF"), unmasked(0x88, b"x")] {
        let mut peer = client(Config::default());
        assert_eq!(peer.receive_only(&broken), 2, "an Error and a Close");
        assert_eq!(peer.ws.state(), State::Closing);
        peer.ws.transmit(&mut peer.outbox).unwrap();
        assert_eq!(peer.take_sent().len(), 8);
        is_silent(&mut peer);
    }
}

/// Checks a connection whose last output is pending.
#[track_caller]
fn drops_it_at_eof<R: Role>(mut peer: Peer<R>) {
    assert_eq!(peer.ws.state(), State::Closing);
    peer.take_seen();
    peer.ws.receive_eof();
    is_silent(&mut peer);
    assert!(peer.seen.is_empty(), "all events were delivered before");
}

#[test]
fn the_end_of_the_stream_drops_a_pending_close_or_response() {
    for stream in [masked(0x83, b""), masked(0x88, b"")] {
        let mut peer = server(Config::default());
        peer.receive_only(&stream);
        drops_it_at_eof(peer);
    }
    for stream in [unmasked(0x83, b""), unmasked(0x88, b"")] {
        let mut peer = client(Config::default());
        peer.receive_only(&stream);
        drops_it_at_eof(peer);
    }
    let mut peer = new_server(Config::default());
    peer.receive_only(b"GET / HTTP/1.0\r\n\r\n");
    drops_it_at_eof(peer);
}

#[test]
fn events_that_are_pending_at_the_end_of_the_stream_are_still_delivered() {
    // The Error was delivered, the Close not yet.
    let mut peer = server(Config::default());
    let mut stream = masked(0x83, b"");
    let ready = peer.ws.poll(&mut stream, &mut peer.inbox).unwrap();
    push(&mut peer.seen, &peer.ws.event(ready, &mut stream, &mut peer.inbox).unwrap());
    peer.ws.receive_eof();
    is_silent(&mut peer);
    assert!(matches!(&peer.seen[..], [Seen::Error(error), Seen::Close(1006, ..)] if error.contains("1002")));
    // The request was accepted, and Open is not delivered yet.
    let (mut peer, accept) = requested(Config::default(), &request(""));
    peer.ws.accept(accept, &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.take_seen();
    peer.ws.receive_eof();
    peer.ws.receive_eof();
    is_silent(&mut peer);
    let [Seen::Open(None), Seen::Error(error), Seen::Close(1006, ..)] = &peer.seen[..] else {
        panic!("{:?}", peer.seen)
    };
    assert!(error.contains("stream ended"));
}

#[test]
fn a_connection_that_ends_inside_a_frame_still_takes_the_reports_of_its_payload() {
    let mut peer = server(Config::default());
    peer.ws.send_header(sansocket::Kind::Binary, 3, &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.ws.receive_eof();
    is_silent(&mut peer);
    assert_eq!(peer.ws.send("a", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.payload_sent(4), Err(SendError::PayloadExceeded));
    peer.ws.payload_sent(3).unwrap();
    is_silent(&mut peer);
    // The same if a Close was waiting for the payload.
    let mut peer = server(Config::default());
    peer.ws.send_header(sansocket::Kind::Binary, 3, &mut peer.outbox).unwrap();
    peer.receive(&masked(0x88, b""));
    peer.take_sent();
    peer.ws.receive_eof();
    peer.ws.payload_sent(3).unwrap();
    is_silent(&mut peer);
}

#[test]
fn a_fragmented_message_stays_unfinished_after_a_close() {
    let fragment = || Fragment::new("a", false);
    let mut peer = server(Config::default());
    peer.ws.send_piece(fragment(), &mut peer.outbox).unwrap();
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    peer.take_sent();
    assert_eq!(peer.ws.state(), State::Closing);
    assert_eq!(peer.ws.send_piece(fragment(), &mut peer.outbox), Err(SendError::NotOpen));
    peer.receive(&masked(0x88, b""));
    is_silent(&mut peer);
    // The reply does not wait for the rest of the message.
    let mut peer = server(Config::default());
    peer.ws.send_piece(fragment(), &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.receive(&masked(0x88, b""));
    assert_eq!(peer.take_sent(), [0x88, 0]);
    assert_eq!(peer.ws.send_piece(fragment(), &mut peer.outbox), Err(SendError::NotOpen));
    is_silent(&mut peer);
}

/// A Close with this reason, as it is printed.
fn printed(reason: &str) -> String {
    let mut peer = server(Config::default());
    let mut bytes = masked(0x88, &close_body(1000, reason));
    let Some(Event::Close(close)) = peer.ws.receive(&mut &mut bytes[..], &mut peer.inbox) else { panic!() };
    assert_eq!(close.reason, reason);
    close.to_string()
}

#[test]
fn a_printed_close_escapes_the_reason() {
    assert_eq!(printed(""), "1000 (clean)");
    assert_eq!(printed("bye"), "1000 bye (clean)");
    assert_eq!(printed("a \"quoted\" isn't 'x' \"'"), "1000 a \"quoted\" isn't 'x' \"' (clean)");
    for text in ["Grüße, Ελλάδα, Привет", "日本語, 한국어, עברית, العَرَبِيَّة", "हिन्दी, ไทยที่นี่, 👍 e\u{301}"]
    {
        assert_eq!(printed(text), format!("1000 {text} (clean)"));
    }
    for (reason, shown) in [
        ("a\r\n1000 forged (clean)", "a\\r\\n1000 forged (clean)"),
        ("\x1B[2J\x07\0\t", "\\u{1b}[2J\\u{7}\\0\\t"),
        ("C:\\n\\\"\\'\\", "C:\\\\n\\\\\"\\\\'\\\\"),
        ("\u{7F}\u{85}\u{9B}", "\\u{7f}\\u{85}\\u{9b}"),
        ("\u{2028}\u{2029}\u{A0}", "\\u{2028}\\u{2029}\\u{a0}"),
        (
            "\u{202A}\u{202E}\u{2066}\u{2069}\u{200E}\u{61C}",
            "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{61c}",
        ),
        ("\u{200B}\u{FEFF}\u{AD}\u{E0001}\u{F8FF}", "\\u{200b}\\u{feff}\\u{ad}\\u{e0001}\\u{f8ff}"),
        ("\u{301}a", "\\u{301}a"),
    ] {
        assert_eq!(printed(reason), format!("1000 {shown} (clean)"), "{reason:?}");
    }
    // Every character of these blocks.
    let blocks = (0..0x3100).chain(0xF_E00..0x1_1000).chain(0xE_0000..0xE_0200);
    for char in blocks.filter_map(char::from_u32) {
        let shown = match char {
            '"' | '\'' => char.to_string(),
            // A combining mark is part of a word.
            _ => format!("a{char}").escape_debug().skip(1).collect(),
        };
        assert_eq!(printed(&format!("a{char}")), format!("1000 a{shown} (clean)"));
        let safe = shown.chars().all(|char| !char.is_control() && !('\u{2028}'..='\u{202E}').contains(&char));
        assert!(safe, "{char:?}");
    }
}

#[test]
fn debug_escapes_what_the_peer_has_sent() {
    fn check(event: &Event<'_>, shown: &str) {
        let debug = format!("{event:?}");
        assert!(debug.contains(shown), "{debug}");
        assert!(debug.chars().all(|char| (' '..='~').contains(&char)), "{debug:?}");
    }
    fn first<R: Role>(mut peer: Peer<R>, bytes: &[u8], shown: &str) {
        let mut bytes = bytes.to_vec();
        check(&peer.ws.receive(&mut &mut bytes[..], &mut peer.inbox).unwrap(), shown);
    }
    const TEXT: &str = "\r\n\x1B\u{202E}";
    const SHOWN: &str = r"\r\n\u{1b}\u{202e}";
    let whole = || server(Config::default());
    first(whole(), &masked(0x81, TEXT.as_bytes()), SHOWN);
    first(whole(), &masked(0x82, TEXT.as_bytes()), "13, 10, 27");
    first(whole(), &masked(0x89, TEXT.as_bytes()), "13, 10, 27");
    first(whole(), &masked(0x8A, TEXT.as_bytes()), "13, 10, 27");
    first(whole(), &masked(0x88, &close_body(1000, TEXT)), SHOWN);
    let pieces = || server(Config::default().delivery(Delivery::Pieces));
    first(pieces(), &masked(0x01, TEXT.as_bytes()), SHOWN);
    first(pieces(), &masked(0x02, TEXT.as_bytes()), "13, 10, 27");
    // The character that ends the piece before is shown too.
    let mut peer = pieces();
    peer.receive(&masked(0x01, &"\u{202E}".as_bytes()[..1]));
    first(peer, &masked(0x80, &"\u{202E}".as_bytes()[1..]), r"lead: Some('\u{202e}')");
    // Heads: text of UTF-8 and bytes of no encoding.
    let more = "Origin: http://\u{202E}\t\"\r\nUser-Agent: \u{9B}\r\n";
    first(new_server(Config::default()), request(more).as_bytes(), r"Origin: http://\xe2\x80\xae\t");
    let client = || connecting(sansocket::Connect::new("a", "/"));
    for refusal in [
        "HTTP/1.1 403 \u{202E}\u{9B}\r\nServer: \u{202E}\r\n\r\n",
        "HTTP/1.1 403 a? \u{202E}\r\nServer: \u{202E}\r\n\r\n",
    ] {
        first(client(), refusal.as_bytes(), r"Server: \xe2\x80\xae");
    }
    let mut peer = client();
    let response = response_to(&peer.take_sent()).replacen("Switching Protocols", "\u{202E}", 1);
    first(peer, response.as_bytes(), r"HTTP/1.1 101 \xe2\x80\xae");
}
