//! Compressors that do not belong to the connection they are used for, and the peer that must still
//! read every message.

use crate::common::*;
use crate::support::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{self, Best, Better, Compress, Compressor, Context, Level};
use sansocket::{Config, Fragment, OutboxFull, SendError};

type Pair = (Peer<ServerSide>, Peer<ClientSide>);

fn pair(takeover: bool, window_bits: u8) -> Pair {
    let agreed = agreed(takeover, window_bits);
    (ServerSide::open(Config::new(), agreed, Vec::new()), ClientSide::open(Config::new(), agreed, Vec::new()))
}

fn own(window_bits: u8) -> Compressor<Vec<u16>, Vec<u8>> {
    Compressor::with_takeover(vec![0; 1024], vec![0; 3 << window_bits >> 1])
}

/// Sends in one frame or in two, and checks what arrives.
fn send(pair: &mut Pair, compressor: &mut dyn Compress, text: &str, pieces: bool) -> Result<(), SendError> {
    let (server, client) = (&mut pair.0, &mut pair.1);
    if pieces {
        for last in [false, true] {
            let text = if last { "" } else { text };
            server.ws.send_piece_deflated(Fragment::new(text, last), compressor, &mut server.outbox)?;
        }
    } else {
        server.ws.send_deflated(text, compressor, &mut server.outbox)?;
    }
    client.receive(&server.take_sent());
    assert_eq!(client.take_seen(), [Seen::Text(text.into())]);
    Ok(())
}

/// Two connections have sent messages that are compressed to the same length, and to the same last
/// bytes.
#[test]
fn histories_that_differ_in_the_middle_are_told_apart() {
    for pieces in [false, true] {
        let (mut a, mut b, mut of_a, mut of_b) = (pair(true, 15), pair(true, 15), own(15), own(15));
        send(&mut a, &mut of_a, "{\"sensor\": 1234, \"humidity\": 21}", pieces).unwrap();
        send(&mut b, &mut of_b, "{\"sensor\": 5678, \"humidity\": 21}", pieces).unwrap();
        let refused = send(&mut b, &mut of_a, "{\"sensor\": 1234, \"humidity\": 21}", pieces);
        assert_eq!(refused, Err(SendError::OtherCompressor));
        send(&mut b, &mut of_b, "{\"sensor\": 5678, \"humidity\": 21}", pieces).unwrap();
    }
}

/// Compressors that change hands at random: whatever the connection takes, the peer reads.
#[test]
fn what_a_connection_takes_its_peer_reads() {
    let rng = &mut StdRng::seed_from_u64(1);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..if cfg!(debug_assertions) { 150 } else { 3000 } {
        let takeover = rng.random_range(0..4) > 0;
        let mut pairs: Vec<_> = (0..3).map(|_| pair(takeover, 12)).collect();
        let mut compressors: Vec<_> = (0..3).map(|_| own(12)).collect();
        let mut shared = Compressor::shared(vec![0; 1024]);
        for _ in 0..30 {
            // Alike, so that histories are alike too.
            let text = format!("{{\"sensor\": {}, \"humidity\": 21}}", rng.random_range(0..3) + 100);
            let at = rng.random_range(0..3);
            let with = if rng.random_range(0..3) > 0 { at } else { rng.random_range(0..3) };
            match rng.random_range(0..12) {
                0 => compressors[with].reset(),
                1 => {
                    let copy = compressors[with].clone();
                    let at = rng.random_range(0..3);
                    compressors[at] = copy;
                }
                2 => _ = send(&mut pairs[at], &mut shared, &text, rng.random()),
                3 => {
                    let mut frame = Vec::new();
                    deflate::encode(&*text, 12, &mut shared, &mut frame).unwrap();
                    pairs[at].0.ws.note_deflated(12).unwrap();
                    pairs[at].1.receive(&frame);
                    assert_eq!(pairs[at].1.take_seen(), [Seen::Text(text)]);
                }
                4 => {
                    // It is not shorter, and goes out as it is.
                    let noise: Vec<u8> = rng.random_iter().take(1100).collect();
                    let (server, client) = &mut pairs[at];
                    _ = server.ws.send_deflated(&noise, &mut compressors[with], &mut server.outbox);
                    client.receive(&server.take_sent());
                    client.take_seen();
                }
                5 => {
                    // A broadcast made with the compressor of a connection.
                    deflate::encode(&*text, 12, &mut compressors[with], &mut Vec::new()).unwrap();
                }
                _ => match send(&mut pairs[at], &mut compressors[with], &text, rng.random()) {
                    Ok(()) => taken += 1,
                    Err(error) => {
                        assert_eq!(error, SendError::OtherCompressor);
                        refused += 1;
                    }
                },
            }
        }
    }
    assert!(refused > 100 && taken > 1000, "{refused} {taken}");
}

/// A compressor that counts its calls, and does not compress.
#[derive(Default)]
struct Counting {
    compressed: usize,
    undone: usize,
    resets: usize,
    context: Context,
}

impl Compress for Counting {
    fn max_len(&self, len: usize) -> usize {
        len + 10
    }
    fn compress(&mut self, data: &[u8], _: u8, out: &mut [u8]) -> usize {
        self.compressed += 1;
        let block = Bits::default().stored(false, data).put(0, 3).align().bytes();
        let block = [&block[..], &TAIL].concat();
        out[..block.len()].copy_from_slice(&block);
        block.len()
    }
    fn undo(&mut self) {
        self.undone += 1;
    }
    fn reset(&mut self) {
        self.resets += 1;
        self.context = Context::default();
    }
    fn context(&mut self) -> Option<&mut Context> {
        Some(&mut self.context)
    }
}

/// A refused call does not touch the compressor, and the connection goes on as if it had not been.
#[test]
fn a_refused_call_compresses_nothing() {
    for takeover in [false, true] {
        let (mut server, _) = pair(takeover, 15);
        let mut counting = Counting::default();
        let full = SendError::OutboxFull(OutboxFull { needed: 17 });
        let mut small = heapless::Vec::<u8, 16>::new();
        assert_eq!(server.ws.send_deflated("hello", &mut counting, &mut small), Err(full));
        // Of a fragment, the lead may be compressed apart, and the end takes a byte.
        let piece = server.ws.send_piece_deflated(Fragment::new("hello", true), &mut counting, &mut small);
        assert!(matches!(piece, Err(SendError::OutboxFull(OutboxFull { needed: 17.. }))), "{piece:?}");
        server.ws.send_piece(Fragment::new("a", false), &mut server.outbox).unwrap();
        for refused in
            [server.ws.send_deflated("hello", &mut counting, &mut server.outbox), server.ws.note_deflated(15)]
        {
            assert_eq!(refused, Err(SendError::MessageUnfinished));
        }
        let piece =
            server.ws.send_piece_deflated(Fragment::new("a", true), &mut counting, &mut server.outbox);
        assert_eq!(piece, Err(SendError::KindMismatch));
        server.ws.send_piece(Fragment::new("a", true), &mut server.outbox).unwrap();
        server.ws.close(sansocket::CloseCode::NORMAL, "", &mut server.outbox).unwrap();
        let refused = server.ws.send_deflated("hello", &mut counting, &mut server.outbox);
        assert_eq!(
            (refused, server.ws.note_deflated(15)),
            (Err(SendError::NotOpen), Err(SendError::NotOpen))
        );
        assert_eq!((counting.compressed, counting.undone, counting.resets), (0, 0, 0));
    }
}

#[test]
fn what_is_not_sent_compressed_is_undone() {
    let (mut server, mut client) = pair(false, 15);
    let mut counting = Counting::default();
    server.ws.send_deflated("hello", &mut counting, &mut server.outbox).unwrap();
    assert_eq!(server.take_sent(), unmasked(0x81, b"hello"));
    assert_eq!((counting.compressed, counting.undone), (1, 1));
    // An empty message is not compressed.
    server.ws.send_deflated("", &mut counting, &mut server.outbox).unwrap();
    assert_eq!((server.take_sent(), counting.compressed), (unmasked(0x81, b""), 1));
    // With takeover a short one begins a history, and a long one does not get longer.
    let (mut server, mut with_takeover) = pair(true, 15);
    let mut counting = Counting::default();
    for (len, first) in [(1, 0xC1), (1023, 0xC1), (1024, 0x81), (2000, 0x81)] {
        server.ws.send_deflated(&*"x".repeat(len), &mut counting, &mut server.outbox).unwrap();
        assert_eq!(server.outbox[0], first, "{len}");
        with_takeover.receive(&server.take_sent());
        assert_eq!(with_takeover.take_seen(), [Seen::Text("x".repeat(len))]);
    }
    client.receive(b"");
}

fn every_level<L: Level + Copy>(level: L)
where
    Compressor<Vec<u16>, Vec<u8>, L>: Compress,
{
    let rng = &mut StdRng::seed_from_u64(2);
    for window_bits in 8..=15 {
        for takeover in [false, true] {
            for with_codes in [false, true] {
                let mut pair = pair(takeover, window_bits);
                let mut compressor = own(window_bits).level(level);
                let mut tokens = vec![0; 300];
                for len in [1, 2, 3, 4, 30, 256, 258, 259, 1000, 1024, 5000] {
                    let text = text(rng, len);
                    let compressor: &mut dyn Compress = match with_codes {
                        false => &mut compressor,
                        true => &mut compressor.with_codes(&mut tokens),
                    };
                    send(&mut pair, compressor, &text, len % 3 == 0).unwrap();
                }
            }
        }
    }
}

#[test]
fn the_peer_reads_every_level_at_every_window() {
    every_level(sansocket::deflate::Fast);
    every_level(Better);
    every_level(Best);
}

/// Messages around the lengths where a frame's header or a stored block gets longer.
#[test]
fn long_messages_are_read_at_their_exact_lengths() {
    let mut pair = pair(true, 15);
    let mut compressor = own(15);
    let rng = &mut StdRng::seed_from_u64(3);
    let noise: String = (0..70_001).map(|_| char::from(rng.random_range(0..128_u8))).collect();
    for len in [120, 125, 126, 127, 130, 16_383, 65_530, 65_535, 65_536, 65_537, 70_000] {
        for pieces in [false, true] {
            send(&mut pair, &mut compressor, &noise[..len], pieces).unwrap();
            send(&mut pair, &mut compressor, &"ab".repeat(len / 2), pieces).unwrap();
        }
    }
}

/// What a compressor has compressed outside of any connection is no peer's history.
#[test]
fn a_compressor_that_was_used_by_itself_is_refused() {
    for takeover in [false, true] {
        let (mut pair, mut compressor) = (pair(takeover, 12), own(12));
        let used_by_itself = |compressor: &mut Compressor<Vec<u16>, Vec<u8>>, with_codes: bool| {
            let (mut out, mut tokens) = ([0; 100], [0; 100]);
            match with_codes {
                false => compressor.compress(b"a message for a file", 12, &mut out),
                true => compressor.with_codes(&mut tokens).compress(b"a message for a file", 12, &mut out),
            }
        };
        for with_codes in [false, true] {
            used_by_itself(&mut compressor, with_codes);
            let sent = send(&mut pair, &mut compressor, "a message for a file", false);
            assert_eq!(sent, if takeover { Err(SendError::OtherCompressor) } else { Ok(()) });
            compressor.reset();
            // In the middle of a connection's messages, unless it is undone.
            send(&mut pair, &mut compressor, "a message", false).unwrap();
            used_by_itself(&mut compressor, with_codes);
            compressor.undo();
            send(&mut pair, &mut compressor, "a message for a file", false).unwrap();
            used_by_itself(&mut compressor, with_codes);
            let sent = send(&mut pair, &mut compressor, "a message for a file", false);
            assert_eq!(sent, if takeover { Err(SendError::OtherCompressor) } else { Ok(()) });
        }
    }
}
