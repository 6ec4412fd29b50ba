//! RFC 6455 sections 5 and 6.1: sending.

mod common;

use common::*;
use sansocket::{
    CloseCode, Config, Event, Fragment, Kind, Message, OutboxFull, Part, Piece, SendError, Server, State,
    WebSocket, frame,
};

/// Proves: F3, F5, F7, K3, G7.
#[test]
fn a_server_sends_a_message_in_one_unmasked_frame_with_the_shortest_length() {
    let mut peer = server(Config::default());
    for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
        peer.ws.send(&vec![7; len][..], &mut peer.outbox).unwrap();
        assert_eq!(peer.take_sent(), unmasked(0x82, &vec![7; len]));
    }
    peer.ws.send("text", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x81, b"text"));
}

/// Proves: K1, K5, K6.
#[test]
fn a_client_masks_every_frame_with_a_new_key() {
    let mut keys = std::collections::HashSet::new();
    let mut peer = client(Config::default());
    for len in [0, 1, 3, 4, 125, 126, 1000, 65_536] {
        let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
        peer.ws.send(&payload[..], &mut peer.outbox).unwrap();
        let sent = peer.take_sent();
        let header = match len {
            0..126 => 2,
            126..65_536 => 4,
            _ => 10,
        };
        assert_eq!(sent[1] & 0x80, 0x80);
        let key: [u8; 4] = sent[header..header + 4].try_into().unwrap();
        let unmasked: Vec<u8> =
            sent[header + 4..].iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(unmasked, payload);
        assert!(keys.insert(key), "a new key");
    }
    peer.ws.ping(b"p", &mut peer.outbox).unwrap();
    peer.ws.send_piece(Fragment::new("a", false), &mut peer.outbox).unwrap();
    peer.ws.close_without_code(&mut peer.outbox).unwrap();
    let sent = peer.take_sent();
    assert!([1, 8, 15].iter().all(|&second| sent[second] & 0x80 != 0), "{sent:x?}");
    // A Pong is masked too.
    let mut peer = client(Config::default());
    peer.receive(&unmasked(0x89, b"q"));
    assert_eq!(peer.take_sent()[..2], [0x8A, 0x81]);
}

/// Proves: G6, G7, G8.
#[test]
fn the_first_fragment_has_the_opcode_and_the_last_has_fin() {
    let mut peer = server(Config::default());
    let ws = &mut peer.ws;
    ws.send_piece(Fragment::new("a", false), &mut peer.outbox).unwrap();
    assert_eq!(ws.send("b", &mut peer.outbox), Err(SendError::MessageUnfinished));
    assert_eq!(ws.send_header(Kind::Text, 1, &mut peer.outbox), Err(SendError::MessageUnfinished));
    assert_eq!(ws.send_piece(Fragment::new(&[1], true), &mut peer.outbox), Err(SendError::KindMismatch));
    ws.send_piece(Fragment::new("", false), &mut peer.outbox).unwrap();
    ws.ping(b"p", &mut peer.outbox).unwrap();
    ws.send_piece(Fragment::new("c", true), &mut peer.outbox).unwrap();
    ws.send_piece(Fragment::new(&[2], true), &mut peer.outbox).unwrap();
    ws.send("d", &mut peer.outbox).unwrap();
    ws.send_piece(Fragment::new(&[3], false), &mut peer.outbox).unwrap();
    ws.send_piece(Fragment::new(&[4], true), &mut peer.outbox).unwrap();
    assert_eq!(
        peer.take_sent(),
        [
            unmasked(0x01, b"a"),
            unmasked(0x00, b""),
            unmasked(0x89, b"p"),
            unmasked(0x80, b"c"),
            unmasked(0x82, &[2]),
            unmasked(0x81, b"d"),
            unmasked(0x02, &[3]),
            unmasked(0x80, &[4]),
        ]
        .concat()
    );
}

/// Proves: G7.
#[test]
fn a_received_piece_can_be_sent_as_a_fragment() {
    let mut peer = server(Config::default());
    let mut piece = Piece { part: Part::Text { lead: Some('€'), text: "uro" }, first: true, last: false };
    peer.ws.send_piece(&piece, &mut peer.outbox).unwrap();
    piece.last = true;
    peer.ws.send_piece(&piece, &mut peer.outbox).unwrap();
    assert_eq!(
        peer.take_sent(),
        [unmasked(0x01, "€uro".as_bytes()), unmasked(0x80, "€uro".as_bytes())].concat()
    );
    let mut bytes = [1, 2];
    let piece = Piece { part: Part::Binary(&mut bytes), first: false, last: true };
    peer.ws.send_piece(&piece, &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x82, &[1, 2]));
    // A client masks the leading character and the text with one key.
    for lead in ['a', 'é', '€', '😀'] {
        let mut peer = client(Config::default());
        let piece = Piece { part: Part::Text { lead: Some(lead), text: "text" }, first: true, last: true };
        peer.ws.send_piece(&piece, &mut peer.outbox).unwrap();
        let mut other = server(Config::default());
        other.receive(&peer.take_sent());
        assert_eq!(other.seen, [Seen::Text(format!("{lead}text"))]);
    }
}

#[test]
fn a_connection_is_open_between_the_fragments_of_a_message() {
    let mut peer = client(Config::default());
    peer.ws.send_piece(Fragment::new("a", false), &mut peer.outbox).unwrap();
    assert_eq!(peer.ws.state(), State::Open);
    peer.ws.send_piece(Fragment::new("b", true), &mut peer.outbox).unwrap();
    assert_eq!(peer.ws.state(), State::Open);
}

#[test]
fn a_payload_can_be_sent_without_copying_it() {
    let mut peer = server(Config::default());
    peer.ws.send_header(Kind::Binary, 70_000, &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x82, &[0; 70_000])[..10]);
    peer.ws.payload_sent(70_000).unwrap();
    assert_eq!(peer.ws.payload_sent(1), Err(SendError::PayloadExceeded));
    peer.ws.send("next", &mut peer.outbox).unwrap();

    let mut peer = client(Config::default());
    let mut mask = peer.ws.send_header(Kind::Text, 5, &mut peer.outbox).unwrap();
    let mut payload = *b"Hello";
    let (one, two) = payload.split_at_mut(2);
    mask.apply(one);
    mask.apply(two);
    let mut stream = peer.take_sent();
    stream.extend_from_slice(&payload);
    let mut other = server(Config::default());
    other.receive(&stream);
    assert_eq!(other.seen, [Seen::Text("Hello".into())]);
}

/// Proves: G8.
#[test]
fn nothing_is_sent_inside_a_frame_whose_payload_is_pending() {
    let mut peer = server(Config::default());
    peer.ws.send_header(Kind::Binary, 4, &mut peer.outbox).unwrap();
    peer.take_sent();
    assert_eq!(peer.ws.send("a", &mut peer.outbox), Err(SendError::PayloadPending));
    assert_eq!(
        peer.ws.send_piece(Fragment::new("a", true), &mut peer.outbox),
        Err(SendError::PayloadPending)
    );
    assert_eq!(peer.ws.send_header(Kind::Text, 1, &mut peer.outbox), Err(SendError::PayloadPending));
    assert_eq!(peer.ws.ping(b"", &mut peer.outbox), Err(SendError::PayloadPending));
    assert_eq!(peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox), Err(SendError::PayloadPending));
    peer.receive(&masked(0x89, b"p"));
    assert_eq!(peer.take_sent(), b"", "transmit is Ok and writes nothing");
    assert_eq!(peer.ws.payload_sent(5), Err(SendError::PayloadExceeded));
    peer.ws.payload_sent(3).unwrap();
    peer.ws.payload_sent(1).unwrap();
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"p"));
}

/// Proves: P4.
#[test]
fn a_pending_pong_is_sent_before_the_next_frame_and_both_or_neither_are_written() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), heapless::Vec::<u8, 12>::new());
    let mut ping = masked(0x89, b"ping");
    let _ = ws.receive(&mut &mut ping[..], &mut inbox);
    assert_eq!(ws.send("message", &mut outbox), Err(SendError::OutboxFull(OutboxFull { needed: 15 })));
    assert!(outbox.is_empty());
    // After transmit and a flush, the message fits.
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(outbox[..], unmasked(0x8A, b"ping"));
    outbox.clear();
    ws.send("message", &mut outbox).unwrap();
    assert_eq!(outbox[..], unmasked(0x81, b"message"));
    // Both fit.
    let mut outbox = Vec::new();
    let mut ping = masked(0x89, b"");
    let _ = ws.receive(&mut &mut ping[..], &mut inbox);
    ws.close(CloseCode::NORMAL, "", &mut outbox).unwrap();
    assert_eq!(outbox, [0x8A, 0, 0x88, 2, 3, 0xE8], "the Pong is sent before our Close");
}

#[test]
fn a_full_outbox_reports_the_needed_capacity_and_changes_nothing() {
    let mut peer = server(Config::default());
    for capacity in 0..4 {
        let mut memory = vec![0; capacity];
        let mut small = sansocket::Slice::new(&mut memory);
        let full = |needed| SendError::OutboxFull(OutboxFull { needed });
        assert_eq!(peer.ws.send("abc", &mut small), Err(full(5)));
        assert_eq!(peer.ws.send_piece(Fragment::new("abcd", false), &mut small), Err(full(6)));
        assert_eq!(peer.ws.send_header(Kind::Binary, 200, &mut small), Err(full(4)));
        assert_eq!(peer.ws.ping(b"pi", &mut small), Err(full(4)));
        assert_eq!(frame::encode("abc", &mut small), Err(OutboxFull { needed: 5 }));
        assert_eq!(sansocket::Buffer::bytes(&small), b"");
    }
    // No message was begun, so a message of another kind can be sent.
    peer.ws.send(&[1], &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x82, &[1]));
}

#[test]
fn an_outbox_of_the_needed_capacity_is_enough_and_is_filled() {
    fn check<R: sansocket::Role>(new: impl Fn() -> WebSocket<R>) {
        type Call<R> = fn(&mut WebSocket<R>, &mut sansocket::Slice<'_>) -> Result<(), SendError>;
        let calls: [Call<R>; 5] = [
            |ws, outbox| ws.send("abc", outbox),
            |ws, outbox| ws.send_piece(Fragment::new("abcd", false), outbox),
            |ws, outbox| ws.send_header(Kind::Binary, 200, outbox).map(|_| ()),
            |ws, outbox| ws.ping(b"pi", outbox),
            |ws, outbox| ws.close_without_code(outbox),
        ];
        for call in calls {
            let Err(SendError::OutboxFull(full)) = call(&mut new(), &mut sansocket::Slice::new(&mut []))
            else {
                panic!()
            };
            let mut memory = vec![0; full.needed];
            let (mut ws, mut outbox) = (new(), sansocket::Slice::new(&mut memory[..full.needed - 1]));
            assert_eq!(call(&mut ws, &mut outbox), Err(full.into()));
            assert_eq!(sansocket::Buffer::bytes(&outbox), b"");
            let mut outbox = sansocket::Slice::new(&mut memory);
            assert_eq!(call(&mut ws, &mut outbox), Ok(()));
            assert_eq!(sansocket::Buffer::remaining(&outbox), 0);
        }
    }
    check(|| WebSocket::<Server>::open(Config::default()));
    check(|| WebSocket::<TestClient>::open(Config::default(), rng()));
}

/// Proves: P1, P9.
#[test]
fn a_ping_carries_up_to_125_bytes() {
    let mut peer = server(Config::default());
    assert_eq!(peer.ws.ping(&[0; 126], &mut peer.outbox), Err(SendError::TooLong));
    peer.ws.ping(&[0; 125], &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x89, &[0; 125]));
}

#[test]
fn send_header_takes_a_length_from_0_to_63_bits() {
    let mut peer = server(Config::default());
    peer.ws.send_header(Kind::Binary, 0, &mut peer.outbox).unwrap();
    assert!(peer.ws.can_send(), "no payload is pending");
    peer.ws.payload_sent(0).unwrap();
    assert_eq!(peer.ws.payload_sent(1), Err(SendError::PayloadExceeded));
    peer.take_sent();
    let too_long = peer.ws.send_header(Kind::Binary, 1 << 63, &mut peer.outbox);
    assert_eq!(too_long, Err(SendError::TooLong));
    assert!(peer.outbox.is_empty() && peer.ws.can_send());
    peer.ws.send_header(Kind::Binary, (1 << 63) - 1, &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(!peer.ws.can_send());
}

/// Proves: L24.
#[test]
fn nothing_is_sent_after_the_end() {
    let mut peer = server(Config::default());
    peer.receive(&masked(0x88, b""));
    peer.take_sent();
    assert_eq!(peer.ws.state(), State::Closed);
    assert_eq!(peer.ws.send("a", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.send_piece(Fragment::new("a", true), &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.send_header(Kind::Text, 1, &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.ping(b"", &mut peer.outbox), Err(SendError::NotOpen));
    assert_eq!(peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox), Err(SendError::NotOpen));
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert!(peer.outbox.is_empty());
}

/// Proves: K3.
#[test]
fn a_broadcast_is_encoded_once_and_received_by_every_client() {
    let mut outbox = Vec::new();
    frame::encode(Message::Text("to all"), &mut outbox).unwrap();
    for _ in 0..3 {
        let mut peer = client(Config::default());
        peer.receive(&outbox);
        assert_eq!(peer.seen, [Seen::Text("to all".into())]);
    }
}

#[test]
fn a_message_that_does_not_fit_can_be_sent_in_fragments() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), heapless::Vec::<u8, 12>::new());
    let mut wire = Vec::new();
    let mut bytes = [masked(0x81, b"message one"), masked(0x01, b"message"), masked(0x80, b" two")].concat();
    for slice in bytes.chunks_mut(20) {
        let mut input = slice;
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            let Event::Message(message) = event else { panic!("{event:?}") };
            let mut small = heapless::Vec::<u8, 12>::new();
            assert_eq!(ws.send(message, &mut small), Err(SendError::OutboxFull(OutboxFull { needed: 13 })));
            // In fragments the message fits.
            let (one, two) = message.as_bytes().split_at(6);
            for (part, last) in [(one, false), (two, true)] {
                ws.send_piece(Fragment::new(core::str::from_utf8(part).unwrap(), last), &mut outbox).unwrap();
                wire.extend_from_slice(&outbox);
                outbox.clear();
            }
        }
    }
    let mut peer = client(Config::default());
    peer.receive(&wire);
    assert_eq!(peer.seen, [Seen::Text("message one".into()), Seen::Text("message two".into())]);
}

#[test]
fn a_failed_call_draws_no_masking_key() {
    let (mut one, mut two) = (client(Config::default()), client(Config::default()));
    let ws = &mut one.ws;
    let mut none = heapless::Vec::<u8, 0>::new();
    assert!(ws.send("a", &mut none).is_err());
    assert!(ws.send_piece(Fragment::new("a", true), &mut none).is_err());
    assert!(ws.send_header(Kind::Binary, 1, &mut none).is_err());
    assert!(ws.send_header(Kind::Binary, 1 << 63, &mut one.outbox).is_err());
    assert!(ws.ping(b"", &mut none).is_err());
    assert!(ws.ping(&[0; 126], &mut one.outbox).is_err());
    assert!(ws.close_without_code(&mut none).is_err());
    assert!(ws.close(CloseCode(0), "", &mut one.outbox).is_err());
    for peer in [&mut one, &mut two] {
        peer.ws.send("the same key", &mut peer.outbox).unwrap();
    }
    assert_eq!(one.take_sent(), two.take_sent());
}

/// Proves: P1, P10.
#[test]
fn a_pong_can_be_sent_without_a_ping() {
    fn check<R: sansocket::Role>(mut peer: Peer<R>, mut frame: impl FnMut(&[u8]) -> Vec<u8>) {
        for payload in [&b""[..], b"payload", &[7; 125]] {
            peer.ws.pong(payload, &mut peer.outbox).unwrap();
            let sent = peer.take_sent();
            let expected = frame(payload);
            assert_eq!((sent[0], sent.len()), (0x8A, expected.len()));
        }
        assert_eq!(peer.ws.pong(&[7; 126], &mut peer.outbox), Err(SendError::TooLong));
        peer.ws.send_piece(Fragment::new("a", false), &mut peer.outbox).unwrap();
        peer.ws.pong(b"between fragments", &mut peer.outbox).unwrap();
        peer.ws.send_piece(Fragment::new("", true), &mut peer.outbox).unwrap();
        peer.take_sent();
        let mut full = heapless::Vec::<u8, 2>::new();
        let needed = frame(b"p").len();
        assert_eq!(peer.ws.pong(b"p", &mut full), Err(OutboxFull { needed }.into()));
        peer.ws.send_header(Kind::Binary, 1, &mut peer.outbox).unwrap();
        assert_eq!(peer.ws.pong(b"", &mut peer.outbox), Err(SendError::PayloadPending));
        peer.ws.payload_sent(1).unwrap();
        peer.ws.pong(b"", &mut peer.outbox).unwrap();
    }
    check(server(Config::default()), |payload| unmasked(0x8A, payload));
    check(client(Config::default()), |payload| masked(0x8A, payload));
    let mut peer = server(Config::default());
    peer.ws.pong(b"exactly", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"exactly"));
}

/// Proves: P3, P10.
#[test]
fn a_pong_can_be_sent_until_the_close_of_the_peer() {
    let mut peer = server(Config::default());
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.ws.pong(b"after our own", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"after our own"));
    assert_eq!(peer.ws.pong(&[0; 126], &mut peer.outbox), Err(SendError::TooLong));
    peer.receive(&masked(0x88, b""));
    assert_eq!(peer.ws.pong(b"", &mut peer.outbox), Err(SendError::NotOpen));

    let not_open = |peer: &mut Peer<Server>| {
        assert_eq!(peer.ws.pong(b"", &mut peer.outbox), Err(SendError::NotOpen));
        assert_eq!(peer.take_sent(), b"");
    };
    not_open(&mut new_server(Config::default()));
    not_open(&mut requested(Config::default(), &request("")).0);
    // The peer's Close frame came first, and a failure: before and after the Close frame is
    // transmitted.
    for stream in [masked(0x88, b""), masked(0x83, b"")] {
        let mut peer = server(Config::default());
        peer.receive_only(&stream);
        not_open(&mut peer);
        peer.ws.transmit(&mut peer.outbox).unwrap();
        peer.take_sent();
        not_open(&mut peer);
        // After our own Close frame.
        let mut peer = server(Config::default());
        peer.ws.close_without_code(&mut peer.outbox).unwrap();
        peer.receive(&stream);
        peer.take_sent();
        not_open(&mut peer);
    }
    let mut peer = server(Config::default());
    peer.eof();
    not_open(&mut peer);
    let mut peer = client(Config::default());
    peer.receive(&unmasked(0x88, b""));
    assert_eq!(peer.ws.pong(b"", &mut peer.outbox), Err(SendError::NotOpen), "a client that awaits the end");
    // Open is not delivered yet.
    let (mut peer, accept) = requested(Config::default(), &request(""));
    peer.ws.accept(accept, &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.ws.pong(b"p", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"p"));
}

#[test]
fn pings_can_be_left_to_the_caller() {
    let mut peer = server(Config::default().answer_pings(false));
    peer.receive(&masked(0x89, b"p"));
    assert_eq!((peer.take_seen(), peer.take_sent()), (vec![Seen::Ping(b"p".into())], vec![]));
    peer.ws.pong(b"p", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), unmasked(0x8A, b"p"));
    // A Pong that is pending stays when the setting changes, and precedes one of the caller.
    peer.ws.set_config(Config::default());
    peer.receive_only(&masked(0x89, b"q"));
    peer.ws.set_config(peer.ws.config().answer_pings(false));
    peer.receive_only(&masked(0x89, b"r"));
    peer.ws.pong(b"own", &mut peer.outbox).unwrap();
    peer.receive(b"");
    assert_eq!(peer.take_sent(), [unmasked(0x8A, b"q"), unmasked(0x8A, b"own")].concat());
}

/// Proves: P10.
#[test]
fn a_proxy_forwards_pings_and_pongs_from_end_to_end() {
    /// Takes the events of one connection of the proxy, and sends them on.
    fn forward<R: sansocket::Role, O: sansocket::Role>(from: &mut Peer<R>, bytes: &[u8], to: &mut Peer<O>) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = from.ws.receive(&mut input, &mut from.inbox) {
            match event {
                Event::Message(message) => to.ws.send(message, &mut to.outbox).unwrap(),
                Event::Ping(payload) => to.ws.ping(&payload, &mut to.outbox).unwrap(),
                Event::Pong(payload) => to.ws.pong(&payload, &mut to.outbox).unwrap(),
                other => panic!("{other:?}"),
            }
            from.ws.transmit(&mut from.outbox).unwrap();
        }
        assert_eq!(from.take_sent(), b"", "the proxy answers nothing itself");
    }
    let config = Config::default().answer_pings(false).idle_ping(None);
    let (mut browser, mut front) = (client(Config::default()), server(config));
    let (mut back, mut service) = (client(config), server(Config::default()));
    browser.ws.ping(b"1", &mut browser.outbox).unwrap();
    browser.ws.ping(b"2", &mut browser.outbox).unwrap();
    browser.ws.send("text", &mut browser.outbox).unwrap();
    forward(&mut front, &browser.take_sent(), &mut back);
    service.receive(&back.take_sent());
    assert_eq!(
        service.take_seen(),
        [Seen::Ping(b"1".into()), Seen::Ping(b"2".into()), Seen::Text("text".into())]
    );
    forward(&mut back, &service.take_sent(), &mut front);
    browser.receive(&front.take_sent());
    assert_eq!(browser.take_seen(), [Seen::Pong(b"1".into()), Seen::Pong(b"2".into())]);
    // The other way, and a Pong that answers nothing.
    service.ws.ping(b"3", &mut service.outbox).unwrap();
    service.ws.pong(b"4", &mut service.outbox).unwrap();
    forward(&mut back, &service.take_sent(), &mut front);
    browser.receive(&front.take_sent());
    assert_eq!(browser.take_seen(), [Seen::Ping(b"3".into()), Seen::Pong(b"4".into())]);
    forward(&mut front, &browser.take_sent(), &mut back);
    service.receive(&back.take_sent());
    assert_eq!(service.take_seen(), [Seen::Pong(b"3".into())]);
}

/// One read in the loop of the crate's documentation: the size of its output, or how much capacity
/// is missing.
fn echo<R: sansocket::Role, const N: usize>(
    ws: &mut WebSocket<R>,
    inbox: &mut heapless::Vec<u8, 4096>,
    mut read: Vec<u8>,
) -> Result<usize, SendError> {
    let (mut input, mut outbox) = (&mut read[..], heapless::Vec::<u8, N>::new());
    while let Some(event) = ws.receive(&mut input, inbox) {
        match event {
            Event::Message(message) if ws.state() == State::Open => ws.send(message, &mut outbox)?,
            _ => {}
        }
        ws.transmit(&mut outbox)?;
    }
    ws.transmit(&mut outbox)?;
    Ok(outbox.len())
}

/// The largest output of one read of 1,024 bytes, whose first byte completes the largest message,
/// if that and all else fits into an outbox of `N` bytes.
fn largest_output<R: sansocket::Role, const N: usize>(
    new: impl Fn() -> WebSocket<R>,
    frame: impl Fn(u8, &[u8]) -> Vec<u8>,
) -> Result<usize, SendError> {
    let (large, empty) = (frame(0x82, &[7; 4096]), frame(0x81, b""));
    let (start, end) = large.split_at(large.len() - 1);
    let mut most = 0;
    // Then frames of one length, of either kind, and as many bytes as are left: of a frame, or a
    // byte that breaks a rule.
    for len in (0..=130).chain(990..1023 - (empty.len() - 2)) {
        for first in [0x81, 0x82, 0x89].into_iter().filter(|first| *first != 0x89 || len <= 125) {
            for last in [
                frame(0x82, &[7; 1024]),
                vec![0xFF],
                empty.clone(),
                frame(0x88, b""),
                frame(0x88, &[3, 0xE8]),
            ] {
                for spare in [0, last.len()] {
                    let mut read = end.to_vec();
                    let next = frame(first, &vec![b'x'; len]);
                    while read.len() + next.len() + spare <= 1024 {
                        read.extend(&next);
                    }
                    read.extend(&last);
                    read.truncate(1024);
                    let (mut ws, mut inbox) = (new(), heapless::Vec::new());
                    for part in start.chunks(1024) {
                        assert_eq!(echo::<R, N>(&mut ws, &mut inbox, part.to_vec()), Ok(0));
                    }
                    most = most.max(echo::<R, N>(&mut ws, &mut inbox, read)?);
                }
            }
        }
    }
    Ok(most)
}

#[test]
fn the_documented_outboxes_hold_all_replies_to_one_read() {
    let server = || WebSocket::<Server>::open(Config::default());
    let client = || WebSocket::<TestClient>::open(Config::default(), rng());
    assert_eq!(largest_output::<_, 5280>(server, masked), Ok(5122));
    assert_eq!(largest_output::<_, 7328>(client, unmasked), Ok(7178));
    // The largest are these: behind the message, one frame, or 511 empty ones; then a byte that fails.
    let refused = largest_output::<_, 7177>(client, unmasked);
    assert_eq!(refused, Err(SendError::OutboxFull(OutboxFull { needed: 8 })));
}
