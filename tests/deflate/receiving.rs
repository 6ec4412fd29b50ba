//! Compressed messages that are received: blocks, windows, limits, text, and cuts anywhere.

use crate::common::*;
use crate::support::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Compressor, Settings};
use sansocket::{Config, Connect, Delivery, Event, ProtocolError, State, WebSocket};

const TEXT: u8 = 0xC1;
const BINARY: u8 = 0xC2;
const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Pieces];

fn config(delivery: Delivery) -> Config {
    Config::new().delivery(delivery)
}

/// "Hello" with the fixed codes.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// The events of a server with this delivery and windows of 2^15 bytes, pieces joined to messages.
fn events(delivery: Delivery, takeover: bool, stream: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let ws = ServerSide::<Vec<u8>>::ws(config(delivery), Some(agreed(takeover, 15)), Vec::new());
    let (seen, sent) = run(ws, stream, &[], &mut Vec::new(), Way::Receive);
    (seen.into_iter().map(Seen::into_whole).collect(), sent)
}

fn hello() -> Seen {
    Seen::Text("Hello".into())
}

/// Proves: Z15, Z22, Z25, Z27.
#[test]
fn compressed_messages_are_inflated_whole_and_in_fragments() {
    let stream = [
        masked(TEXT, &HELLO),
        masked(0x81, b"plain"),
        // In three fragments, with control frames and an empty fragment between them.
        masked(0x41, &HELLO[..3]),
        masked(0x89, b"ping"),
        masked(0x00, b""),
        masked(0x8A, b"pong"),
        masked(0x80, &HELLO[3..]),
        masked(BINARY, &HELLO),
    ]
    .concat();
    for delivery in DELIVERIES {
        let (seen, _) = events(delivery, false, &stream);
        let mut expected = vec![
            hello(),
            Seen::Text("plain".into()),
            Seen::Ping(b"ping".to_vec()),
            Seen::Pong(b"pong".to_vec()),
            hello(),
            Seen::Binary(b"Hello".to_vec()),
        ];
        if delivery == Delivery::Pieces {
            // The piece begins before the Ping.
            expected.swap(2, 4);
            expected.swap(3, 4);
        }
        assert_eq!(seen, expected, "{delivery:?}");
    }
}

/// Proves: Z25, Z28.
#[test]
fn every_kind_of_block_is_inflated_and_nothing_is_empty() {
    let long: Vec<u8> = (0..70_000_u32).map(|i| (i / 7) as u8).collect();
    let stored = Bits::default().stored(false, &long[..65_535]).stored(true, b"").align();
    let stored = stored.stored(false, &long[65_535..]).finish();
    let fixed = Bits::default().put(2, 3).literal(b'a').literal(0xE9).repeat(10, 1).end();
    let then_final = fixed.clone().put(3, 3).literal(b'b').end().align().put(2, 3).repeat(3, 12).end();
    let expected_fixed = [&b"a\xE9"[..], &[0xE9; 10]].concat();
    let expected_final = [&expected_fixed[..], b"b", &[0xE9; 3]].concat();
    let dynamic = Zlib::new(6, 15, false).message(&long);
    for (payload, expected) in [
        (stored, long.clone()),
        (fixed.finish(), expected_fixed),
        (then_final.finish(), expected_final),
        (dynamic, long),
        (vec![0], vec![]),
        (vec![2, 0], vec![]),
        (vec![3, 0, 0], vec![]),
    ] {
        for delivery in DELIVERIES {
            let (seen, _) = events(delivery, false, &masked(BINARY, &payload));
            assert_eq!(seen, [Seen::Binary(expected.clone())]);
        }
    }
    // A message has at least one byte of payload, and ends at the end of a block.
    for payload in [&[][..], &HELLO[..6], &[0xf2], &[7], &[0, 5, 0, 0, 0]] {
        for delivery in DELIVERIES {
            let (seen, sent) = events(delivery, false, &masked(BINARY, payload));
            assert!(seen.ends_with(&failure(ProtocolError::InvalidDeflate)), "{payload:?} {seen:?}");
            assert_eq!(sent_code::<ServerSide>(&sent), 1007);
        }
    }
}

/// Proves: Z15, Z16.
#[test]
fn rsv1_is_for_the_first_frame_of_a_message_and_only_if_agreed() {
    let first = masked(0x41, &HELLO[..3]);
    for (agreed_to, stream) in [
        (None, masked(TEXT, &HELLO)),
        (Some(()), [first.clone(), masked(0xC0, &HELLO[3..])].concat()),
        (Some(()), masked(0xC9, b"")),
        (Some(()), masked(0xC8, b"")),
        (Some(()), masked(0xA1, b"")),
        (Some(()), masked(0x91, b"")),
        (Some(()), masked(0xE1, b"")),
    ] {
        let parameters = agreed_to.map(|()| agreed(true, 15));
        let ws = ServerSide::<Vec<u8>>::ws(Config::new(), parameters, Vec::new());
        let (seen, sent) = run(ws, &stream, &[], &mut Vec::new(), Way::Receive);
        assert!(seen.ends_with(&failure(ProtocolError::ReservedBits)), "{stream:x?} {seen:?}");
        assert_eq!(sent_code::<ServerSide>(&sent), 1002);
    }
    // A compressed message inside another one.
    let (seen, _) = events(Delivery::Whole, true, &[first, masked(TEXT, &HELLO)].concat());
    assert_eq!(seen, failure(ProtocolError::ExpectedContinuation));
}

fn windows<R: Side<Window = Vec<u8>>>(delivery: Delivery) {
    let message: Vec<u8> = StdRng::seed_from_u64(1).random_iter().take(700).collect();
    for takeover in [false, true] {
        for window_bits in 8..=15 {
            let window = 1 << window_bits;
            for distance in [1, 3, 255, 256, 257, 512, 513, 700] {
                let mut peer = R::open(config(delivery), agreed(takeover, window_bits), Vec::new());
                let first = Bits::default().stored(false, &message).finish();
                peer.receive(&R::frame(BINARY, &first));
                assert_eq!(peer.take_seen().len(), 1);
                peer.receive(&R::frame(
                    BINARY,
                    &Bits::default().put(2, 3).repeat(3, distance).end().finish(),
                ));
                let seen: Vec<_> = peer.take_seen().into_iter().map(Seen::into_whole).collect();
                if takeover && distance <= window {
                    let start = message.len() - distance;
                    let found: Vec<u8> =
                        message[start..].iter().cycle().take(3.min(distance)).copied().collect();
                    let expected: Vec<u8> = found.iter().cycle().take(3).copied().collect();
                    assert_eq!(seen, [Seen::Binary(expected)], "{window_bits} {distance}");
                } else {
                    assert_eq!(seen, failure(ProtocolError::InvalidDeflate), "{window_bits} {distance}");
                }
                // Inside a message.
                let mut peer = R::open(config(delivery), agreed(takeover, window_bits), Vec::new());
                let inside = Bits::default().stored(false, &message).put(2, 3).repeat(3, distance).end();
                peer.receive(&R::frame(BINARY, &inside.finish()));
                let is_valid = distance <= window;
                assert_eq!(peer.ws.state() == State::Open, is_valid, "{window_bits} {distance}");
            }
        }
    }
}

/// Proves: Z19, Z20, Z23, Z24.
#[test]
fn a_message_refers_to_the_agreed_window_and_no_further() {
    for delivery in DELIVERIES {
        windows::<ServerSide>(delivery);
        windows::<ClientSide>(delivery);
    }
}

/// Proves: Q8, Z26.
#[test]
fn limits_count_inflated_bytes_to_the_byte() {
    let message = vec![b'x'; 1000];
    let compressed = Zlib::new(6, 15, false).message(&message);
    // Incompressible, and longer on the wire than inflated.
    let noise: Vec<u8> = StdRng::seed_from_u64(2).random_iter().take(1000).collect();
    let stored = Bits::default().stored(false, &noise).finish();
    assert!(compressed.len() < 30 && stored.len() > 1000);
    for (payload, message) in [(compressed, message), (stored, noise)] {
        for delivery in DELIVERIES {
            for limit in [999, 1000, 1001] {
                let config = config(delivery).max_message(limit).max_frame(2000);
                let ws = ServerSide::<Vec<u8>>::ws(config, Some(agreed(false, 15)), Vec::new());
                for cut in [0, 4, 17] {
                    let frame = masked(BINARY, &payload);
                    let (seen, sent) = run(ws.clone(), &frame, &[cut], &mut Vec::new(), Way::TwoSteps);
                    let seen: Vec<_> = seen.into_iter().map(Seen::into_whole).collect();
                    if limit >= 1000 {
                        assert_eq!(seen, [Seen::Binary(message.clone())]);
                    } else {
                        assert!(seen.ends_with(&failure(ProtocolError::MessageTooBig)), "{seen:?}");
                        assert_eq!(sent_code::<ServerSide>(&sent), 1009);
                        if delivery == Delivery::Pieces {
                            assert_eq!(seen[0], Seen::BinaryPieces(message[..999].to_vec(), false));
                        }
                    }
                }
            }
        }
        // The inbox is a limit for a whole message, and not for pieces.
        for capacity in [999, 1000, 1001] {
            let frame = masked(BINARY, &payload);
            let ws = ServerSide::<()>::ws(Config::new(), Some(agreed(false, 15)), ());
            let (seen, _) = run(ws, &frame, &[9], &mut Bounded::new(capacity), Way::Receive);
            let is_message = seen == [Seen::Binary(message.clone())];
            assert_eq!(is_message, capacity >= 1000);
            assert!(is_message || seen == failure(ProtocolError::MessageTooBig));
        }
        // Of a frame, the bytes on the wire count.
        let len = payload.len() as u64;
        for (limit, fits) in [(len - 1, false), (len, true)] {
            let ws = ServerSide::<()>::ws(Config::new().max_frame(limit), Some(agreed(false, 15)), ());
            let (seen, _) = run(ws, &masked(BINARY, &payload), &[], &mut Vec::new(), Way::Receive);
            assert_eq!(seen.len() == 1, fits);
            assert!(fits || seen == failure(ProtocolError::FrameTooBig));
        }
    }
    // An inbox that can only be appended to holds no inflated message.
    let ws = ServerSide::<()>::ws(Config::new(), Some(agreed(false, 15)), ());
    let (seen, _) = run(ws, &masked(TEXT, &HELLO), &[], &mut Plain::new(100), Way::Receive);
    assert_eq!(seen, failure(ProtocolError::MessageTooBig));
}

/// 16 MB of zeros in 1/500, and that once more.
#[test]
fn a_bomb_ends_at_the_limit() {
    let zeros = vec![0; 16 << 20];
    let once = Zlib::new(9, 15, false).message(&zeros);
    let twice = Zlib::new(9, 15, false).message(&once);
    assert!(
        once.len() < zeros.len() / 500 && twice.len() < once.len() / 50,
        "{} {}",
        once.len(),
        twice.len()
    );
    for delivery in DELIVERIES {
        for payload in [&once, &twice] {
            let config = config(delivery).max_message(5000);
            let ws = ServerSide::<Vec<u8>>::ws(config, Some(agreed(false, 15)), Vec::new());
            let mut inbox = Vec::new();
            let (seen, _) = run(ws, &masked(BINARY, payload), &[], &mut inbox, Way::Receive);
            let inflated = if payload.len() == once.len() { 16 << 20 } else { once.len() };
            assert!(inflated > 5000);
            assert!(seen.ends_with(&failure(ProtocolError::MessageTooBig)));
            assert!(inbox.capacity() <= 16_384, "{}", inbox.capacity());
        }
    }
    // In pieces without a limit, memory stays what it is.
    let ws = ServerSide::<Vec<u8>>::ws(config(Delivery::Pieces), Some(agreed(true, 15)), Vec::new());
    let mut inbox = Bounded::new(100);
    let (seen, _) = run(ws, &masked(BINARY, &once), &[], &mut inbox, Way::Receive);
    assert_eq!(seen, [Seen::BinaryPieces(zeros, true)]);
}

#[test]
fn a_message_of_empty_blocks_grows_nothing() {
    let mut peer = ServerSide::<Vec<u8>>::open(Config::new(), agreed(true, 15), Vec::new());
    for i in 0..20_000 {
        // Empty stored blocks.
        peer.receive(&masked(if i == 0 { 0x42 } else { 0x00 }, &[0, 0, 0, 0xFF, 0xFF]));
    }
    assert_eq!((peer.seen.len(), peer.inbox.capacity() <= 4096), (0, true));
    assert_eq!(peer.ws.state(), State::Open);
}

/// Proves: Z26.
#[test]
fn text_is_checked_after_it_is_inflated() {
    let text = "Grüße, 値段 😀".repeat(40);
    for cut in [0, 3, 5, 9, 11] {
        let stored = Bits::default().stored(false, &text.as_bytes()[..cut]);
        let payload = stored.stored(false, &text.as_bytes()[cut..]).finish();
        for delivery in DELIVERIES {
            let (seen, _) = events(delivery, false, &masked(TEXT, &payload));
            assert_eq!(seen, [Seen::Text(text.clone())]);
            let mut broken = text.clone().into_bytes();
            broken[4] = b'x';
            let payload = Bits::default().stored(false, &broken).finish();
            let (seen, sent) = events(delivery, false, &masked(TEXT, &payload));
            assert!(seen.ends_with(&failure(ProtocolError::InvalidUtf8)), "{seen:?}");
            assert_eq!(sent_code::<ServerSide>(&sent), 1007);
        }
    }
    // Text that ends inside a character.
    let payload = Bits::default().stored(false, "é".as_bytes().split_last().unwrap().1).finish();
    for delivery in DELIVERIES {
        let (seen, _) = events(delivery, false, &masked(TEXT, &payload));
        assert_eq!(seen, failure(ProtocolError::InvalidUtf8));
    }
}

#[test]
fn the_stream_can_end_and_the_configuration_change_inside_a_message() {
    for delivery in DELIVERIES {
        let mut peer = ServerSide::<Vec<u8>>::open(config(delivery), agreed(true, 15), Vec::new());
        peer.receive(&masked(0x41, &HELLO[..5]));
        let lower = peer.ws.config().max_message(4);
        peer.ws.set_config(lower);
        peer.receive(&masked(0x80, &HELLO[5..]));
        assert!(peer.seen.ends_with(&failure(ProtocolError::MessageTooBig)));

        let mut peer = ServerSide::<Vec<u8>>::open(config(delivery), agreed(true, 15), Vec::new());
        peer.receive(&masked(0x41, &HELLO[..5]));
        peer.ws.close(sansocket::CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
        peer.receive(&masked(0x80, &HELLO[5..]));
        assert_eq!(peer.take_seen().pop().unwrap().into_whole(), hello());
        peer.receive(&masked(0x41, &HELLO[..5]));
        peer.take_seen();
        peer.eof();
        assert_eq!(peer.seen.last(), Some(&Seen::Close(1006, String::new(), false)));
    }
}

/// Proves: Z1, Z8, Z17.
#[test]
fn the_machine_negotiates_and_both_ends_know_it() {
    for (settings, agrees) in [(Settings::client(), true), (Settings::firmware(), true)] {
        for declines in [false, true] {
            let mut client = WebSocket::deflate_client(Config::new(), rng(), settings, Vec::new());
            let mut server = WebSocket::deflate_server(Config::new(), Settings::server(), [0; 4096]);
            let (mut up, mut down, mut inbox) = (Vec::new(), Vec::new(), Vec::new());
            client.connect(Connect::new("a", "/"), &mut up).unwrap();
            let mut input = &mut up[..];
            let Some(Event::Request(request)) = server.receive(&mut input, &mut inbox) else { panic!() };
            let accept = request.accept();
            if declines {
                server.decline_deflate();
            }
            server.accept(accept, &mut down).unwrap();
            let Some(Event::Open(open)) = server.receive(&mut input, &mut inbox) else { panic!() };
            let of_server = open.deflate();
            let Some(Event::Open(open)) = client.receive(&mut &mut down[..], &mut inbox) else { panic!() };
            assert_eq!(open.deflate(), of_server);
            assert_eq!(of_server.is_some(), agrees && !declines);
            // A message each way, which is compressed if that is agreed.
            let mut compressor = Compressor::shared([0; 512]);
            let (mut up, mut down) = (Vec::new(), Vec::new());
            client.send_deflated("aaaaaaaaaaaaaaaaaaaa", &mut compressor, &mut up).unwrap();
            assert_eq!(up[0], if declines { 0x81 } else { 0xC1 });
            let Some(Event::Message(message)) = server.receive(&mut &mut up[..], &mut inbox) else {
                panic!()
            };
            server.send_deflated(message, &mut compressor, &mut down).unwrap();
            let Some(Event::Message(message)) = client.receive(&mut &mut down[..], &mut inbox) else {
                panic!()
            };
            assert_eq!(message.as_bytes(), b"aaaaaaaaaaaaaaaaaaaa");
        }
    }
}

#[test]
fn debug_does_not_show_the_window() {
    let mut peer = ServerSide::<Vec<u8>>::open(Config::new(), agreed(true, 15), Vec::new());
    peer.receive(&masked(TEXT, &Bits::default().stored(false, b"secret secret").finish()));
    let shown = format!("{:?} {:?}", peer.ws, peer.ws.config());
    let secret = format!("{:?}", b"secret");
    assert!(!shown.contains("secret") && !shown.contains(secret.trim_matches(['[', ']'])), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 4000 }))]

    /// A message is what a decompressor that reads bit by bit makes of it, at every window.
    #[test]
    fn messages_are_those_of_the_reference(seed in any::<u64>()) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let (window_bits, takeover) = (rng.random_range(8..=15), rng.random());
        let mut sender = Sender::random(rng, window_bits, takeover);
        let mut reference = Reference::new(takeover, window_bits);
        let mut peer = ClientSide::<Vec<u8>>::open(Config::new(), agreed(takeover, window_bits), Vec::new());
        for _ in 0..rng.random_range(1..6) {
            let len = rng.random_range(0..1500);
            let mut payload = sender.message(&bytes(rng, len));
            for _ in 0..rng.random_range(0..3) / 2 {
                let at = rng.random_range(0..payload.len());
                payload[at] = rng.random();
            }
            let expected = reference.message(&payload);
            peer.receive(&unmasked(BINARY, &payload));
            match expected {
                Ok(message) => prop_assert_eq!(peer.take_seen(), [Seen::Binary(message)]),
                Err(_) => {
                    prop_assert_eq!(peer.take_seen(), failure(ProtocolError::InvalidDeflate));
                    break;
                }
            }
        }
    }
}

/// Random bytes as compressed messages: no panic, and the error is one of DEFLATE or a limit.
#[test]
fn random_streams_fail_with_1007() {
    let rng = &mut StdRng::seed_from_u64(7);
    for _ in 0..if cfg!(debug_assertions) { 5_000 } else { 200_000 } {
        let mut peer = ServerSide::<[u8; 512]>::open(Config::new(), agreed(true, 9), [0; 512]);
        let mut payload = vec![0; rng.random_range(1..60)];
        payload.fill_with(|| rng.random());
        peer.receive(&masked(BINARY, &payload));
        match &peer.seen[..] {
            [Seen::Binary(_)] => {}
            seen => assert_eq!(seen, failure(ProtocolError::InvalidDeflate)),
        }
    }
}
