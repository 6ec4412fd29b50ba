//! A connection that ends, waits, or is configured anew inside a compressed message.

use crate::common::*;
use crate::support::*;
use core::time::Duration;
use sansocket::deflate::{Compress, Compressor, Inflater};
use sansocket::{CloseCode, Config, Delivery, Event, ProtocolError, SendError, State};

const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Pieces];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message of 100 bytes in two fragments: 60 bytes come out of the first.
fn fragments<R: Side>() -> [Vec<u8>; 2] {
    let [first, last] = [vec![b'a'; 60], vec![b'b'; 40]];
    [
        R::frame(0x42, &Bits::default().stored(false, &first).bytes()),
        R::frame(0x80, &Bits::default().stored(false, &last).finish()),
    ]
}

fn open<R: Side<Window = Vec<u8>>>(config: Config) -> Peer<R> {
    R::open(config, agreed(true, 15), Vec::new())
}

fn limits<R: Side<Window = Vec<u8>>>() {
    let [first, last] = fragments::<R>();
    for delivery in DELIVERIES {
        for (limit, fits) in [(1, false), (59, false), (60, false), (99, false), (100, true), (101, true)] {
            let mut peer = open::<R>(Config::new().delivery(delivery));
            peer.receive(&first);
            let other = match delivery {
                Delivery::Whole => Delivery::Pieces,
                _ => Delivery::Whole,
            };
            // The delivery stays what it is.
            peer.ws.set_config(Config::new().delivery(other).max_message(limit));
            peer.receive(&last);
            let seen: Vec<_> = peer.take_seen().into_iter().map(Seen::into_whole).collect();
            if fits {
                assert_eq!(seen, [Seen::Binary([[b'a'; 60].to_vec(), vec![b'b'; 40]].concat())]);
                continue;
            }
            assert!(seen.ends_with(&failure(ProtocolError::MessageTooBig)), "{limit} {seen:?}");
            if delivery == Delivery::Pieces {
                let Seen::BinaryPieces(bytes, false) = &seen[0] else { panic!("{seen:?}") };
                assert_eq!(bytes.len() as u64, limit.max(60));
            }
        }
        // A higher limit is in effect too.
        let mut peer = open::<R>(Config::new().delivery(delivery).max_message(60));
        peer.receive(&first);
        peer.ws.set_config(Config::new().max_message(100));
        peer.receive(&last);
        assert_eq!(peer.seen.len(), 1);
        // The bytes on the wire count for a frame from its header on.
        let mut peer = open::<R>(Config::new().delivery(delivery));
        peer.receive(&first);
        peer.ws.set_config(Config::new().max_frame(20));
        peer.receive(&last);
        assert!(peer.seen.ends_with(&failure(ProtocolError::FrameTooBig)));
    }
}

/// Proves: Z26.
#[test]
fn a_limit_that_changes_inside_a_message_counts_all_of_it() {
    limits::<ServerSide>();
    limits::<ClientSide>();
}

fn closing<R: Side<Window = Vec<u8>>>() {
    let [first, last] = fragments::<R>();
    for delivery in DELIVERIES {
        // The end of the stream.
        let mut peer = open::<R>(Config::new().delivery(delivery));
        peer.receive(&first);
        peer.take_seen();
        peer.eof();
        let [Seen::Error(_), Seen::Close(1006, _, false)] = &peer.seen[..] else { panic!("{:?}", peer.seen) };
        // The peer's Close frame: nothing that follows is read.
        let mut peer = open::<R>(Config::new().delivery(delivery));
        peer.receive(&first);
        peer.take_seen();
        peer.receive(&[R::frame(0x88, &close_body(1001, "bye")), last.clone()].concat());
        assert_eq!(peer.seen, [Seen::Close(1001, "bye".into(), true)]);
        // Ours: the rest of the message is received.
        let mut peer = open::<R>(Config::new().delivery(delivery));
        peer.receive(&first);
        peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
        peer.receive(&last);
        assert_eq!(peer.take_seen().len(), 1);
        let refused = peer.ws.send_deflated("a", &mut Compressor::shared([0; 128]), &mut peer.outbox);
        assert_eq!(refused, Err(SendError::NotOpen));
        peer.receive(&R::frame(0x88, &close_body(1000, "")));
        assert_eq!(peer.seen, [Seen::Close(1000, String::new(), true)]);
        // An error after our Close frame sends nothing more.
        let mut peer = open::<R>(Config::new().delivery(delivery));
        peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
        peer.take_sent();
        peer.receive(&R::frame(0xC2, &[7]));
        assert_eq!(peer.seen, failure(ProtocolError::InvalidDeflate));
        assert_eq!(peer.take_sent(), b"");
    }
}

#[test]
fn a_connection_can_end_inside_a_compressed_message() {
    closing::<ServerSide>();
    closing::<ClientSide>();
}

/// Pieces that come out of the machine without new input are no sign of life of the peer.
#[test]
fn only_received_bytes_arm_the_timer_anew() {
    let config = Config::new()
        .delivery(Delivery::Pieces)
        .idle_ping(Some(seconds(30)))
        .pong_timeout(Some(seconds(20)))
        .closing_timeout(Some(seconds(5)));
    let mut peer = open::<ServerSide>(config);
    peer.ws.handle_timeout(seconds(100));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(130)));
    let mut stream = masked(0xC2, &Zlib::new(9, 15, true).message(&[0; 1000]));
    let mut inbox = Bounded::new(10);
    let mut input = &mut stream[..];
    let mut pieces = 0;
    while let Some(event) = peer.ws.receive(&mut input, &mut inbox) {
        assert!(matches!(event, Event::Piece(_)));
        pieces += 1;
        if input.is_empty() && pieces == 2 {
            break;
        }
    }
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO), "input was received");
    peer.ws.handle_timeout(seconds(110));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(140)));
    while input.is_empty() && pieces < 50 {
        assert!(peer.ws.receive(&mut input, &mut inbox).is_some());
        pieces += 1;
    }
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(140)), "no input was received");
    // The idle Ping, and then the end.
    peer.ws.handle_timeout(seconds(140));
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), [0x89, 0]);
    peer.ws.output_sent(2, 0);
    peer.ws.handle_timeout(seconds(141));
    peer.ws.handle_timeout(seconds(161));
    assert_eq!(peer.ws.state(), State::Closed);
    // What is still inflated is lost with the connection.
    let mut events = Vec::new();
    while let Some(event) = peer.ws.receive(&mut input, &mut inbox) {
        events.push(Seen::new(&event));
    }
    let [Seen::Error(_), Seen::Close(1006, _, false)] = &events[..] else { panic!("{events:?}") };
}

/// A caller may stop between two pieces, and go on with other input behind the rest.
#[test]
fn a_caller_can_stop_between_two_pieces() {
    let message: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let payload = Zlib::new(9, 15, true).message(&message);
    let mut stream = [masked(0xC2, &payload), masked(0x89, b"ping"), masked(0x82, b"plain")].concat();
    let ws = ServerSide::<Vec<u8>>::ws(
        Config::new().delivery(Delivery::Pieces),
        Some(agreed(true, 15)),
        Vec::new(),
    );
    let mut peer = Peer::new(ws);
    let (mut at, mut inbox, mut seen) = (0, Bounded::new(33), Vec::new());
    loop {
        // One event from a slice, then the rest of the stream as a slice of its own.
        let mut input = &mut stream[at..];
        let before = input.len();
        let Some(event) = peer.ws.receive(&mut input, &mut inbox) else { break };
        record(&mut seen, &event);
        at += before - input.len();
        // A clone goes on in the same way.
        peer.ws = peer.ws.clone();
    }
    assert_eq!(
        seen,
        [
            Seen::BinaryPieces(message, true),
            Seen::Ping(b"ping".to_vec()),
            Seen::BinaryPieces(b"plain".to_vec(), true)
        ]
    );
}

/// A piece is the caller's to change: the window holds what was inflated.
#[test]
fn a_changed_piece_does_not_change_the_window() {
    let mut zlib = Zlib::new(9, 15, true);
    let message = b"the same bytes, the same bytes, and once more the same bytes";
    let stream = [masked(0xC2, &zlib.message(message)), masked(0xC2, &zlib.message(message))].concat();
    for size in [7, 33, 100] {
        let ws = ServerSide::<Vec<u8>>::ws(
            Config::new().delivery(Delivery::Pieces),
            Some(agreed(true, 15)),
            Vec::new(),
        );
        let (mut peer, mut stream, mut inbox) = (Peer::new(ws), stream.clone(), Bounded::new(size));
        let (mut input, mut joined) = (&mut stream[..], Vec::new());
        while let Some(event) = peer.ws.receive(&mut input, &mut inbox) {
            let Event::Piece(piece) = event else { panic!("{event:?}") };
            let sansocket::Part::Binary(bytes) = piece.part else { panic!() };
            joined.extend_from_slice(bytes);
            bytes.fill(0xFF);
        }
        assert_eq!(joined, [&message[..], message].concat(), "{size}");
    }
}

/// `Debug` of what holds messages shows none of them.
#[test]
fn debug_shows_no_messages() {
    const SECRET: &[u8] = b"SECRETS";
    let mut compressor = Compressor::with_takeover(vec![0; 128], vec![0; 100]);
    let mut tokens = vec![0; 100];
    compressor.with_codes(&mut tokens).compress(SECRET, 15, &mut [0; 100]);
    let mut inflater = Inflater::new(vec![0; 512].into_boxed_slice());
    inflater.remember(SECRET, 9);
    let mut peer = open::<ServerSide>(Config::new().delivery(Delivery::Pieces));
    peer.receive(&masked(0x42, &Bits::default().stored(false, SECRET).finish()));
    let shown = [
        format!("{compressor:?}"),
        format!("{:?}", compressor.with_codes(&mut tokens)),
        format!("{inflater:?}"),
        format!("{:?}", peer.ws),
    ];
    let numbers = format!("{SECRET:?}");
    for shown in shown {
        assert!(!shown.contains("SECRETS") && !shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
    }
}
