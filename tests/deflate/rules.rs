//! The rules of RFC 7692 for received messages, in both roles, and with parameters that differ by
//! direction.

use crate::common::*;
use crate::support::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Compress, Compressor, Parameters};
use sansocket::{Config, Delivery, ProtocolError};

const TEXT: u8 = 0xC1;
const BINARY: u8 = 0xC2;

/// "Hello" with the fixed codes, and the frames of a message that it is cut into.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn join(seen: Vec<Seen>) -> Vec<Seen> {
    seen.into_iter().map(Seen::into_whole).collect()
}

/// Receives `stream` whole and byte by byte, and returns the events, which must be the same, and
/// the code of the Close frame that was sent.
fn receive<R: Side<Window = Vec<u8>>>(
    delivery: Delivery,
    parameters: Option<Parameters>,
    stream: &[u8],
) -> (Vec<Seen>, Option<u16>) {
    let ws = || R::ws(Config::new().delivery(delivery), parameters, Vec::new());
    let (seen, sent) = run(ws(), stream, &[], &mut Vec::new(), Way::Receive);
    let every: Vec<usize> = (1..stream.len()).collect();
    let (cut, _) = run(ws(), stream, &every, &mut Vec::new(), Way::TwoSteps);
    assert_eq!(cut, seen, "byte by byte: {stream:x?}");
    let fails = seen.iter().any(|seen| matches!(seen, Seen::Error(_)));
    (join(seen), fails.then(|| sent_code::<R>(&sent)))
}

/// Calls a generic test with each role and delivery.
macro_rules! each_role {
    ($test:ident) => {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            $test::<ServerSide>(delivery);
            $test::<ClientSide>(delivery);
        }
    };
}

fn rsv1<R: Side<Window = Vec<u8>>>(delivery: Delivery) {
    let (first, last) = HELLO.split_at(3);
    let on = |first: u8, payload: &[u8]| R::frame(first, payload);
    for agreed_to in [false, true] {
        let parameters = agreed_to.then(|| agreed(true, 15));
        for (frames, is_valid) in [
            (vec![on(TEXT, &HELLO)], true),
            (vec![on(0x41, first), on(0x80, last)], true),
            (vec![on(0x41, first), on(0xC0, last)], false),
            (vec![on(0x01, b"a"), on(0xC0, last)], false),
            (vec![on(0x41, first), on(0x40, last), on(0x80, b"")], false),
            (vec![on(0xC8, b"")], false),
            (vec![on(0xC9, b"")], false),
            (vec![on(0xCA, b"")], false),
            (vec![on(0x41, first), on(0xC9, b"x"), on(0x80, last)], false),
            // RSV2 and RSV3, alone and beside RSV1.
            (vec![on(0xA1, b"a")], false),
            (vec![on(0x91, b"a")], false),
            (vec![on(0xE1, &HELLO)], false),
            (vec![on(0xD1, &HELLO)], false),
            (vec![on(0xF1, &HELLO)], false),
        ] {
            let (seen, code) = receive::<R>(delivery, parameters, &frames.concat());
            if is_valid && agreed_to {
                assert_eq!((seen, code), (vec![Seen::Text("Hello".into())], None));
                continue;
            }
            assert!(seen.ends_with(&failure(ProtocolError::ReservedBits)), "{frames:x?} {seen:?}");
            assert_eq!(code, Some(1002));
        }
        // A reserved opcode with RSV1, and a continuation without a message.
        for (frame, error) in [
            (on(0xC3, b""), ProtocolError::ReservedOpcode),
            (on(0xCB, b""), ProtocolError::ReservedOpcode),
            (on(0x80, b""), ProtocolError::UnexpectedContinuation),
        ] {
            let (seen, code) = receive::<R>(delivery, parameters, &frame);
            let fails = [failure(error), failure(ProtocolError::ReservedBits)];
            assert!(fails.iter().any(|failure| seen == failure), "{seen:?}");
            assert_eq!(code, Some(1002));
        }
    }
}

/// Proves: Z15, Z16.
#[test]
fn rsv1_marks_the_first_frame_of_a_message_in_both_roles() {
    each_role!(rsv1);
}

fn blocks<R: Side<Window = Vec<u8>>>(delivery: Delivery) {
    let plain = R::frame(0x81, b"plain");
    let noise: Vec<u8> = StdRng::seed_from_u64(1).random_iter().take(300).collect();
    let records = b"{\"a\": 1, \"b\": 2}, ".repeat(30);
    let fixed = |is_final: usize| Bits::default().put(is_final | 2, 3).literal(b'x').repeat(9, 1).end();
    let xs = vec![b'x'; 10];
    for (payload, expected) in [
        // Empty messages: a stored block, a fixed block, a final fixed block.
        (vec![0], vec![]),
        (vec![2, 0], vec![]),
        (vec![3, 0, 0], vec![]),
        (vec![3, 0], vec![]),
        // An empty stored block with BFINAL, and several empty blocks.
        (Bits::default().stored(true, b"").align().finish(), vec![]),
        (Bits::default().stored(false, b"").stored(false, b"").put(2, 3).end().finish(), vec![]),
        // Each kind, with BFINAL or not, with a block behind it or not.
        (Bits::default().stored(false, &noise).finish(), noise.clone()),
        (Bits::default().stored(true, &noise).finish(), noise.clone()),
        (Bits::default().stored(true, &noise).bytes(), noise.clone()),
        (fixed(0).finish(), xs.clone()),
        (fixed(1).align().finish(), xs.clone()),
        (fixed(1).bytes(), xs.clone()),
        (
            fixed(1).align().stored(true, b"y").align().put(3, 3).repeat(3, 2).end().bytes(),
            b"xxxxxxxxxxyxyx"[..].to_vec(),
        ),
        (Zlib::new(9, 15, false).message(&records), records.clone()),
        (Zlib::new(0, 15, false).message(&records), records.clone()),
    ] {
        let (first, last) = payload.split_at(payload.len() / 2);
        let stream = [
            R::frame(BINARY, &payload),
            plain.clone(),
            R::frame(0x42, first),
            R::frame(0x89, b""),
            R::frame(0x00, b""),
            R::frame(0x80, last),
            // All but the last fragment are empty, or all but the first.
            R::frame(0x42, b""),
            R::frame(0x80, &payload),
            R::frame(0x42, &payload),
            R::frame(0x80, b""),
            R::frame(0x82, &payload),
        ]
        .concat();
        for takeover in [false, true] {
            let (mut seen, code) = receive::<R>(delivery, Some(agreed(takeover, 15)), &stream);
            let pings = seen.extract_if(.., |seen| *seen == Seen::Ping(vec![])).count();
            let message = Seen::Binary(expected.clone());
            let plain = Seen::Text("plain".into());
            let as_it_is = Seen::Binary(payload.clone());
            assert_eq!(
                seen,
                [message.clone(), plain, message.clone(), message.clone(), message, as_it_is],
                "{payload:x?} {delivery:?}"
            );
            assert_eq!((pings, code), (1, None));
        }
    }
}

/// Proves: Z17, Z21, Z22, Z25, Z27.
#[test]
fn every_block_is_inflated_in_one_frame_and_in_several() {
    each_role!(blocks);
}

fn invalid<R: Side<Window = Vec<u8>>>(delivery: Delivery) {
    let codes = |counts: usize| Bits::default().put(4, 3).put(counts, 14);
    for payload in [
        // No byte at all.
        vec![],
        // The reserved kind of block.
        vec![7],
        vec![6],
        // A stored block: the check is wrong, or the bytes are missing.
        vec![0, 1, 0, 0, 0, b'a'],
        vec![0, 6, 0, 0xF9, 0xFF, b'a'],
        // Not cut off, or cut off too much: the tail that is appended is the middle of a block.
        vec![0, 0, 0, 0xFF, 0xFF],
        vec![0, 0],
        HELLO[..6].to_vec(),
        // The reserved length and distance codes.
        Bits::default().put(2, 3).code(0xC6, 8).end().finish(),
        Bits::default().put(2, 3).literal(b'a').code(1, 7).code(30, 5).end().finish(),
        Bits::default().put(2, 3).literal(b'a').code(1, 7).code(31, 5).end().finish(),
        // A distance before the first byte.
        Bits::default().put(2, 3).literal(b'a').repeat(3, 2).end().finish(),
        // Too many codes of either kind, and codes of no length.
        codes(30).finish(),
        codes(31 << 5).finish(),
        codes(0).put(0, 12).finish(),
        // A block behind a final one.
        Bits::default().put(3, 3).end().align().put(6, 3).bytes(),
    ] {
        // The tail is no text, where it becomes the end of a stored block.
        for is_text in [false, !payload.starts_with(&[0, 6])] {
            let good = R::frame(BINARY, &HELLO);
            let bad = R::frame(if is_text { TEXT } else { BINARY }, &payload);
            let stream = [good, bad, R::frame(0x81, b"after")].concat();
            let (seen, code) = receive::<R>(delivery, Some(agreed(false, 15)), &stream);
            // In pieces, what comes before the error is seen.
            assert!(seen.starts_with(&[Seen::Binary(b"Hello".to_vec())]), "{payload:x?}");
            assert!(seen.ends_with(&failure(ProtocolError::InvalidDeflate)), "{payload:x?} {seen:?}");
            assert!(seen.len() == 3 || delivery == Delivery::Pieces && seen.len() == 4, "{seen:?}");
            assert_eq!(code, Some(1007));
        }
    }
}

/// Proves: Z25, Z28.
#[test]
fn what_is_no_deflate_fails_with_1007_in_both_roles() {
    each_role!(invalid);
}

/// Windows and takeovers of the two directions, which the roles must not mix up.
fn directions<R: Side<Window = Vec<u8>>>(delivery: Delivery) {
    let noise: Vec<u8> = StdRng::seed_from_u64(2).random_iter().take(33_000).collect();
    for bits in 8..=15 {
        let noise = &noise[..(1 << bits) + 1];
        let stored = R::frame(BINARY, &Bits::default().stored(false, noise).finish());
        for own_bits in [8, 11, 15] {
            for takeovers in 0..4 {
                let (own, takeover) = (takeovers & 1 != 0, takeovers & 2 != 0);
                // A server receives what the client sends.
                let (server, client) = if R::MASKED { (own_bits, bits) } else { (bits, own_bits) };
                let (server_takeover, client_takeover) =
                    if R::MASKED { (own, takeover) } else { (takeover, own) };
                let parameters = Parameters {
                    server_takeover,
                    client_takeover,
                    server_window_bits: server,
                    client_window_bits: client,
                };
                for (distance, is_valid) in [(1 << bits, takeover), ((1 << bits) + 1, false)] {
                    let reference = Bits::default().put(2, 3).repeat(3, distance).end().finish();
                    let stream = [stored.clone(), R::frame(BINARY, &reference)].concat();
                    let mut peer =
                        Peer::new(R::ws(Config::new().delivery(delivery), Some(parameters), Vec::new()));
                    peer.receive(&stream);
                    let seen = join(peer.take_seen());
                    assert_eq!(seen[0], Seen::Binary(noise.to_vec()));
                    let start = noise.len() - distance;
                    let expected = match is_valid {
                        true => vec![Seen::Binary(noise[start..start + 3].to_vec())],
                        false => failure(ProtocolError::InvalidDeflate).to_vec(),
                    };
                    assert_eq!(seen[1..], expected, "{parameters:?} {distance}");
                }
            }
        }
    }
}

/// Proves: Z23, Z24.
#[test]
fn each_direction_has_its_own_window_and_takeover() {
    each_role!(directions);
}

/// The largest distance in a compressed message, as the window that inflates it must be.
fn least_window(messages: &[Vec<u8>], takeover: bool) -> u8 {
    (8..=15)
        .find(|bits| {
            let mut reference = Reference::new(takeover, *bits);
            messages.iter().all(|message| reference.message(message).is_ok())
        })
        .unwrap()
}

/// Proves: Z19, Z20.
#[test]
fn what_is_sent_refers_to_the_agreed_window_and_no_further() {
    let rng = &mut StdRng::seed_from_u64(3);
    // It repeats itself at every distance.
    let words: Vec<Vec<u8>> = (0..200).map(|_| rng.random_iter().take(8).collect()).collect();
    let message: Vec<u8> = (0..400).flat_map(|_| words[rng.random_range(0..200)].clone()).collect();
    for bits in 8..=15 {
        for takeover in [false, true] {
            let mut parameters = agreed(takeover, 15);
            parameters.server_window_bits = bits;
            let mut server = ServerSide::<Vec<u8>>::open(Config::new(), parameters, Vec::new());
            let mut compressor = Compressor::with_takeover(vec![0; 4096], vec![0; 49_152]);
            let mut tokens = vec![0; 2000];
            let mut sent = Vec::new();
            for round in 0..4 {
                let compressor: &mut dyn Compress = match round % 2 {
                    0 => &mut compressor,
                    _ => &mut compressor.with_codes(&mut tokens),
                };
                server.ws.send_deflated(&message, compressor, &mut server.outbox).unwrap();
                let frame = server.take_sent();
                assert_eq!(frame[0], 0xC2);
                let header = if frame[1] < 126 { 2 } else { 4 };
                sent.push(frame[header..].to_vec());
            }
            let least = least_window(&sent, takeover);
            assert!(least <= bits, "{bits} {least}");
            // The message is shorter than the largest window, and so are its distances.
            assert!(least >= bits.min(11), "the window is used: {bits} {least}");
        }
    }
}
