//! However a byte stream is cut into slices, the events and the bytes sent are the same.

mod common;

use common::*;
use sansocket::{Config, Delivery, Event, Role, Server, WebSocket};

/// The events and output of a server with this configuration that receives `stream` in slices which
/// end at `cuts`.
fn serve(config: Config, stream: &[u8], cuts: &[usize]) -> (Vec<Seen>, Vec<u8>, bool) {
    run(new_server(config), stream, cuts, |ws, event, outbox| {
        if let Event::Request(request) = event {
            let accept = request.select(&["chat"]).unwrap_or(request.accept());
            ws.accept(accept, outbox).unwrap();
        }
    })
}

fn run<R: Role>(
    mut peer: Peer<R>,
    stream: &[u8],
    cuts: &[usize],
    mut reply: impl FnMut(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
) -> (Vec<Seen>, Vec<u8>, bool) {
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        let left = peer.receive_with(&stream[start..end], &mut reply);
        assert_eq!(left, b"", "the input is consumed");
        start = end;
    }
    (peer.seen, peer.outbox, peer.ws.is_closed())
}

/// Cuts the stream at every position, byte by byte, and if it is short, at every pair of positions.
fn same_at_every_cut<T: PartialEq + std::fmt::Debug>(stream: &[u8], serve: impl Fn(&[usize]) -> T) -> T {
    let whole = serve(&[]);
    let every: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(serve(&every), whole, "byte by byte: {}", stream.escape_ascii());
    for cut in 1..stream.len() {
        assert_eq!(serve(&[cut]), whole, "cut at {cut}: {}", stream.escape_ascii());
        if stream.len() < 60 {
            for second in cut + 1..stream.len() {
                assert_eq!(serve(&[cut, second]), whole, "cut at {cut}, {second}");
            }
        }
    }
    whole
}

/// Valid and invalid streams of frames from a client.
fn streams() -> Vec<Vec<u8>> {
    let text = "κόσμε €😀".as_bytes();
    let (first, rest) = text.split_at(5);
    let (middle, last) = rest.split_at(7);
    vec![
        [masked(0x81, b"Hello"), masked(0x82, &[0xFF; 200]), masked(0x89, b"ping"), masked(0x8A, b"")]
            .concat(),
        [
            masked(0x01, first),
            masked(0x89, b"a"),
            masked(0x00, middle),
            masked(0x00, b""),
            masked(0x89, b"b"),
            masked(0x80, last),
            masked(0x81, b""),
        ]
        .concat(),
        [masked(0x02, b""), masked(0x00, b"ab"), masked(0x80, b""), masked(0x82, b"c")].concat(),
        [masked(0x01, b""), masked(0x80, "ü".as_bytes()), masked(0x88, &close_body(1000, "bye")), vec![1, 2]]
            .concat(),
        [masked(0x88, b""), masked(0x81, b"after")].concat(),
        // Invalid streams.
        [masked(0x81, b"ok"), masked(0x81, b"a\xC3\xA9\xE2\x82z"), masked(0x89, b"")].concat(),
        [masked(0x01, b"a\xF0\x9F"), masked(0x89, b""), masked(0x80, b"\x98")].concat(),
        [masked(0x01, b"\xED"), masked(0x80, b"\xA0\x80")].concat(),
        [masked(0x81, "ab\u{20AC}".as_bytes()), vec![0xC1]].concat(),
        [masked(0x01, b"a"), masked(0x81, b"b")].concat(),
        [masked(0x02, b"a"), masked(0x80, b"b"), masked(0x80, b"c")].concat(),
        [masked(0x82, b"a"), unmasked(0x82, b"b")].concat(),
        [masked(0x88, b"\x03\xE8\xFF\xFF")].concat(),
        [masked(0x89, b"a"), masked(0x88, &close_body(1005, ""))].concat(),
        vec![0x89, 0xFE, 0, 126],
        vec![0x88, 0x81, 1, 2, 3, 4, 5],
        vec![0x82, 0xFE, 0, 125],
        vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
        vec![0x82, 0xFF, 0x80],
        vec![0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        vec![0x09],
        vec![0x83],
    ]
}

/// Proves: F8, K6, T2.
#[test]
fn frames_give_the_same_events_and_the_same_echo_at_every_cut() {
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let config = Config::default().delivery(delivery).max_message(1000);
        for stream in streams() {
            let (seen, ..) = same_at_every_cut(&stream, |cuts| {
                let echo = |ws: &mut WebSocket<Server>, event: &Event<'_>, outbox: &mut Vec<u8>| match event {
                    Event::Message(message) => ws.send(*message, outbox).unwrap(),
                    Event::Piece(piece) => ws.send_piece(piece, outbox).unwrap(),
                    _ => {}
                };
                let (seen, sent, closed) = run(server(config), &stream, cuts, echo);
                // The frames of an echoed message depend on the slices, but the message that a
                // client receives does not.
                let mut client = client(Config::default().delivery(delivery));
                client.receive(&sent);
                (seen, client.seen, closed)
            });
            assert!(!seen.is_empty());
        }
    }
}

/// Proves: F8, S12, D11.
#[test]
fn a_request_followed_by_frames_gives_the_same_events_at_every_cut() {
    for head in [
        request("Sec-WebSocket-Protocol: soap, chat\r\n"),
        "\r\n".to_owned() + &request(""),
        request("X: \u{7F}\r\n"),
        request("Sec-WebSocket-Version: 13\r\n"),
        request("X : y\r\n"),
        request(" folded\r\n"),
        request("X: a\rb\r\n"),
        request("X: a\nb\r\n"),
        "POST / HTTP/1.1\r\n".into(),
        "\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000)),
    ] {
        let stream = [head.as_bytes(), &masked(0x81, b"glued"), &masked(0x88, b"")].concat();
        let config = Config::default().max_head(400);
        same_at_every_cut(&stream, |cuts| serve(config, &stream, cuts));
    }
}

/// Proves: F8, D11.
#[test]
fn a_response_followed_by_frames_gives_the_same_events_at_every_cut() {
    // The generator is seeded: each client has the same key.
    let accept = accept_value_of(&connecting(sansocket::Connect::new("a", "/")).take_sent());
    let switching = |more: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    };
    for (opens, head) in [
        (true, switching("")),
        (
            true,
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".to_owned()
                + &switching("Sec-WebSocket-Protocol: chat\r\n"),
        ),
        (false, switching("Sec-WebSocket-Protocol: other\r\n")),
        (false, switching("Sec-WebSocket-Extensions: x\r\n")),
        (false, switching("Sec-WebSocket-Extensions: x;;\r\n")),
        (false, "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nbody".to_owned()),
        (false, "HTTP/2 101\r\n\r\n".to_owned()),
    ] {
        let stream = [head.as_bytes(), &unmasked(0x81, b"glued"), &unmasked(0x88, b"")].concat();
        let (seen, ..) = same_at_every_cut(&stream, |cuts| {
            run(connecting(sansocket::Connect::new("a", "/").protocol("chat")), &stream, cuts, |_, _, _| {})
        });
        assert_eq!(matches!(seen[0], Seen::Open(_)), opens, "{head}: {seen:?}");
        assert_eq!(seen.contains(&Seen::Text("glued".into())), opens);
    }
}

#[test]
fn input_after_an_unanswered_request_is_not_consumed() {
    let mut server = new_server(Config::default());
    let glued = masked(0x81, b"glued");
    let left = server.receive_with(&[request("").as_bytes(), &glued].concat(), |_, _, _| {});
    assert_eq!(left, glued);
    assert_eq!(server.receive_with(&left, |_, _, _| {}), glued, "still not consumed");
    assert!(server.ws.awaits_caller());
}
