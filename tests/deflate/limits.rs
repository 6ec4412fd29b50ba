//! Limits to the byte, and peers that try to exhaust memory.

use crate::common::*;
use crate::support::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::{Buffer, Config, Delivery, Event, ProtocolError, State, heapless};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the bytes that the current thread has allocated and not freed, and the largest count so
/// far.
struct Counting;

thread_local! {
    static CURRENT: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let current = CURRENT.get() + bytes;
    CURRENT.set(current);
    PEAK.set(PEAK.get().max(current));
}

// Only the crate itself forbids unsafe code.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The peak number of heap bytes that `attack` allocates.
fn heap(attack: impl FnOnce()) -> isize {
    let before = CURRENT.get();
    PEAK.set(before);
    attack();
    PEAK.get() - before
}

const BINARY: u8 = 0xC2;
const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Pieces];

/// Payloads that stand for 50 bytes and end in a literal, a match, or a stored block; with final
/// and empty blocks behind the last byte.
fn fifty_bytes() -> Vec<(Vec<u8>, Vec<u8>)> {
    let noise: Vec<u8> = StdRng::seed_from_u64(1).random_iter().take(50).collect();
    let fixed = |bits: Bits| noise[..40].iter().fold(bits, |bits, byte| bits.literal(*byte));
    let repeated = [&noise[..40], &noise[30..40]].concat();
    let literals = noise.iter().fold(Bits::default().put(2, 3), |bits, byte| bits.literal(*byte)).end();
    vec![
        (literals.clone().finish(), noise.clone()),
        (literals.put(2, 3).end().stored(false, b"").put(3, 3).end().align().finish(), noise.clone()),
        (fixed(Bits::default().put(2, 3)).repeat(10, 10).end().finish(), repeated.clone()),
        (fixed(Bits::default().put(3, 3)).repeat(10, 10).end().bytes(), repeated),
        (Bits::default().stored(false, &noise).finish(), noise.clone()),
        (Bits::default().stored(true, &noise).bytes(), noise),
        (Zlib::new(9, 15, true).message(&[b"ab"[..].repeat(20), b"c".repeat(10)].concat()), {
            [b"ab"[..].repeat(20), b"c".repeat(10)].concat()
        }),
    ]
}

fn exact<R: Side<Window = Vec<u8>>>() {
    for (payload, message) in fifty_bytes() {
        let stream = R::frame(BINARY, &payload);
        for delivery in DELIVERIES {
            for limit in [49, 50, 51] {
                for is_capacity in [false, true] {
                    // Of pieces, the inbox is no limit.
                    let fits = limit >= 50 || is_capacity && delivery == Delivery::Pieces;
                    let max = if is_capacity { 1000 } else { limit as u64 };
                    let config = Config::new().delivery(delivery).max_message(max);
                    for cut in 0..stream.len() {
                        let ws = R::ws(config, Some(agreed(true, 15)), Vec::new());
                        let mut inbox = Bounded::new(if is_capacity { limit } else { 1000 });
                        let (seen, sent) = run(ws, &stream, &[cut], &mut inbox, Way::Receive);
                        let mut seen: Vec<_> = seen.into_iter().map(Seen::into_whole).collect();
                        if fits {
                            assert_eq!(seen, [Seen::Binary(message.clone())], "{payload:x?} {cut}");
                            continue;
                        }
                        if delivery == Delivery::Pieces {
                            assert_eq!(seen.remove(0), Seen::BinaryPieces(message[..49].to_vec(), false));
                        }
                        assert_eq!(seen, failure(ProtocolError::MessageTooBig), "{payload:x?} {cut}");
                        assert_eq!(sent_code::<R>(&sent), 1009);
                    }
                }
            }
            // Of a frame, the bytes on the wire count.
            for (limit, fits) in [(payload.len() - 1, false), (payload.len(), true)] {
                let config = Config::new().delivery(delivery).max_frame(limit as u64);
                let ws = R::ws(config, Some(agreed(true, 15)), Vec::new());
                let (seen, sent) = run(ws, &stream, &[], &mut Vec::new(), Way::TwoSteps);
                match fits {
                    true => assert_eq!(seen.len(), 1),
                    false => assert_eq!(
                        (&seen[..], sent_code::<R>(&sent)),
                        (&failure(ProtocolError::FrameTooBig)[..], 1009)
                    ),
                }
            }
        }
    }
}

/// Proves: Q8, Z26.
#[test]
fn a_limit_is_exact_at_every_cut_and_end_of_a_message() {
    exact::<ServerSide>();
    exact::<ClientSide>();
}

/// A limit of zero bytes: an empty message fits, whatever it looks like.
#[test]
fn a_limit_of_zero_allows_empty_messages() {
    for delivery in DELIVERIES {
        let config = Config::new().delivery(delivery).max_message(0);
        for (payload, fits) in [(&[0][..], true), (&[2, 0], true), (&[3, 0, 0], true), (&[0x4a, 4, 0], false)]
        {
            for capacity in [0, 1] {
                // A piece needs an inbox of a byte.
                let ws = ServerSide::<Vec<u8>>::ws(config, Some(agreed(false, 15)), Vec::new());
                let mut inbox = Bounded::new(capacity);
                let (seen, _) = run(ws, &masked(BINARY, payload), &[], &mut inbox, Way::Receive);
                let seen: Vec<_> = seen.into_iter().map(Seen::into_whole).collect();
                match fits {
                    true => assert_eq!(seen, [Seen::Binary(vec![])], "{delivery:?} {payload:x?} {capacity}"),
                    false => assert_eq!(seen, failure(ProtocolError::MessageTooBig)),
                }
            }
        }
    }
}

/// A buffer that refuses to hold more than its limit, and says how much it has held.
struct Watched {
    inner: Vec<u8>,
    most: usize,
}

impl Buffer for Watched {
    fn bytes(&self) -> &[u8] {
        &self.inner
    }
    fn remaining(&self) -> usize {
        isize::MAX as usize - self.inner.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        self.inner.extend_from_slice(bytes);
        self.most = self.most.max(self.inner.len());
    }
    fn clear(&mut self) {
        self.inner.clear();
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.inner
    }
    fn truncate(&mut self, len: usize) {
        self.inner.truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        self.inner.resize(self.inner.len() + len, 0);
        self.most = self.most.max(self.inner.len());
        true
    }
}

/// Receives `payload` as a message in slices of 4 KiB, up to the end of the connection: how many
/// bytes were delivered, and how many slices were taken.
fn bomb<W: sansocket::deflate::Window>(
    ws: &mut sansocket::WebSocket<ServerSide<W>>,
    stream: &[u8],
    inbox: &mut dyn Buffer,
    outbox: &mut dyn Buffer,
) -> (usize, usize) {
    let (mut delivered, mut slices) = (0, 0);
    let mut memory = [0; 4096];
    for slice in stream.chunks(4096) {
        let mut input = &mut memory[..slice.len()];
        input.copy_from_slice(slice);
        while let Some(event) = ws.receive(&mut input, inbox) {
            if let Event::Piece(piece) = event {
                let sansocket::Part::Binary(bytes) = piece.part else { panic!() };
                delivered += bytes.len();
            }
        }
        ws.transmit(outbox).unwrap();
        slices += 1;
        if ws.is_closed() {
            break;
        }
    }
    (delivered, slices)
}

/// Proves: Q7, Q8, Z26.
#[test]
fn a_bomb_fails_in_constant_memory() {
    const LIMIT: usize = 3000;
    let zeros = vec![0; 2 << 20];
    let flat = Zlib::new(9, 15, false).message(&zeros);
    // Blocks of matches of 258 bytes, and one that is stored.
    let nested = Zlib::new(9, 15, false).message(&Zlib::new(9, 15, false).message(&vec![0; 4 << 20]));
    let stored = Bits::default().stored(false, &[7; 65_535]).stored(false, &[7; 65_535]).finish();
    for payload in [&flat, &nested, &stored] {
        let stream = masked(BINARY, payload);
        for delivery in DELIVERIES {
            let config = Config::new().delivery(delivery).max_message(LIMIT as u64);
            // Without heap.
            let used = heap(|| {
                let mut ws = ServerSide::<[u8; 32768]>::ws(config, Some(agreed(true, 15)), [0; 32768]);
                let mut inbox = heapless::Vec::<u8, LIMIT>::new();
                let mut outbox = heapless::Vec::<u8, 16>::new();
                let (delivered, _) = bomb(&mut ws, &stream, &mut inbox, &mut outbox);
                assert_eq!(delivered, if delivery == Delivery::Pieces { LIMIT } else { 0 });
                assert_eq!(outbox[..], [0x88, 2, 0x03, 0xF1], "1009");
            });
            assert_eq!(used, 0);
            // On the heap: the inbox holds no more than the limit, at most a piece of 16 KiB.
            let mut watched = Watched { inner: Vec::new(), most: 0 };
            let used = heap(|| {
                let mut ws = ServerSide::<Vec<u8>>::ws(config, Some(agreed(true, 15)), Vec::new());
                let mut outbox = heapless::Vec::<u8, 16>::new();
                bomb(&mut ws, &stream, &mut watched, &mut outbox);
                assert_eq!(outbox[..], [0x88, 2, 0x03, 0xF1], "1009");
            });
            assert!(watched.most <= LIMIT, "{}", watched.most);
            // A vector doubles, and the window holds what was delivered.
            let window = if delivery == Delivery::Pieces { 2 * LIMIT as isize } else { 0 };
            assert!(used <= 3 * LIMIT as isize + window, "{used}");
        }
    }
    // Without a limit but the default one, pieces of a bomb take the memory of one piece.
    let stream = masked(BINARY, &flat);
    let used = heap(|| {
        let config = Config::new().delivery(Delivery::Pieces);
        let mut ws = ServerSide::<[u8; 512]>::ws(config, Some(agreed(false, 9)), [0; 512]);
        let mut inbox = heapless::Vec::<u8, 64>::new();
        // Its distances are of one byte.
        let (delivered, _) = bomb(&mut ws, &stream, &mut inbox, &mut heapless::Vec::<u8, 16>::new());
        assert_eq!((delivered, ws.state()), (2 << 20, State::Open));
    });
    assert_eq!(used, 0);
}

/// A peer that never ends a block, a message or its empty blocks.
#[test]
fn an_endless_message_ends_at_the_limit_or_takes_no_memory() {
    const LIMIT: u64 = 100_000;
    // Five literals of nine bits and eight of eight, so that a fragment goes on where another ends.
    let literals = (0..5).fold(Bits::default().put(2, 3), |bits, _| bits.literal(200)).bytes();
    let more_literals = (0..8).fold(Bits::default(), |bits, _| bits.literal(b'x')).bytes();
    let stored = Bits::default().stored(false, &[1; 100]).bytes();
    let empty = Bits::default().stored(false, b"").bytes();
    let empty_final = Bits::default().stored(true, b"").bytes();
    for (first, next, is_bounded) in [
        (literals, more_literals, true),
        (stored.clone(), stored, true),
        (empty.clone(), empty, false),
        (empty_final.clone(), empty_final, false),
    ] {
        for delivery in DELIVERIES {
            let (first, next) = (masked(0x42, &first), masked(0x00, &next));
            let used = heap(|| {
                let config = Config::new().delivery(delivery).max_message(LIMIT);
                let mut ws = ServerSide::<[u8; 32768]>::ws(config, Some(agreed(true, 15)), [0; 32768]);
                let mut memory = [0; 100_000];
                let mut inbox = sansocket::Slice::new(&mut memory);
                let mut outbox = heapless::Vec::<u8, 16>::new();
                bomb(&mut ws, &first, &mut inbox, &mut outbox);
                let mut fragments = 0;
                while !ws.is_closed() && fragments < 20_000 {
                    bomb(&mut ws, &next, &mut inbox, &mut outbox);
                    fragments += 1;
                }
                match is_bounded {
                    true => assert_eq!(outbox[..], [0x88, 2, 0x03, 0xF1], "1009"),
                    false => assert_eq!((ws.state(), outbox.len()), (State::Open, 0)),
                }
            });
            assert_eq!(used, 0);
        }
    }
}

/// Streams of zlib with a few wrong bytes: each message is inflated, or fails with an error of its
/// own.
///
/// Proves: Z28.
#[test]
fn spoiled_streams_fail_without_a_panic() {
    let rng = &mut StdRng::seed_from_u64(3);
    let mut payloads = Vec::new();
    for level in 0..=9 {
        for _ in 0..6 {
            let len = rng.random_range(1..700);
            let is_text = rng.random();
            let data = if is_text { text(rng, len).into_bytes() } else { bytes(rng, len) };
            payloads.push((is_text, Zlib::new(level, 9, false).message(&data)));
        }
    }
    let errors = [ProtocolError::InvalidDeflate, ProtocolError::InvalidUtf8, ProtocolError::MessageTooBig]
        .map(failure);
    let mut failed = [0; 3];
    for i in 0..if cfg!(debug_assertions) { 4_000 } else { 200_000 } {
        let (is_text, mut payload) = payloads[i % payloads.len()].clone();
        for _ in 0..rng.random_range(1..4) {
            // Often in the header of a block.
            let most = if rng.random() { payload.len() } else { payload.len().min(40) };
            let at = rng.random_range(0..most);
            match rng.random_range(0..4) {
                0 => payload[at] = rng.random(),
                1 => _ = payload.remove(at),
                2 => payload.insert(at, rng.random()),
                _ => payload[at] ^= 1 << rng.random_range(0..8),
            }
            payload.push(0);
        }
        let delivery = DELIVERIES[i % 2];
        let config = Config::new().max_message(500).delivery(delivery);
        let first = if is_text { 0xC1 } else { BINARY };
        let cut = rng.random_range(0..payload.len());
        let seen = if rng.random() {
            let mut inbox = heapless::Vec::<u8, 1000>::new();
            let ws = ServerSide::<[u8; 512]>::ws(config, Some(agreed(true, 9)), [0; 512]);
            run(ws, &masked(first, &payload), &[cut], &mut inbox, Way::TwoSteps).0
        } else {
            let ws = ClientSide::<Vec<u8>>::ws(config, Some(agreed(true, 9)), Vec::new());
            run(ws, &unmasked(first, &payload), &[cut], &mut Vec::new(), Way::Receive).0
        };
        let error = errors.iter().position(|error| seen.ends_with(error));
        match error {
            Some(error) => failed[error] += 1,
            None => assert!(seen.len() == 1, "{payload:x?} {seen:?}"),
        }
    }
    assert!(failed.iter().all(|count| *count > 20), "{failed:?}");
}
