//! The gain of unsafe code in rows where this crate, which has none, misses a goal: the same work
//! with and without it.

use crate::{
    measure::{cpu_time, quartiles},
    peers::Receiving,
    sansocket::rng,
    wire::{READ, Wire},
    work::{Content, Role, Stream},
};
use rand::Rng;
use sansocket::{Client, Config, Event, Inbox, Message, Server, WebSocket};
use std::hint::black_box;

const ROUNDS: usize = 41;
/// The number of bytes in a turn.
const TURN: usize = 1024 * 1024;
/// The outbox is written once it holds this much.
const FLUSH: usize = 16 * 1024;

/// A name, and work that is done the given number of times.
type Turn<'t> = (&'static str, Box<dyn FnMut(usize) + 't>);

/// Runs the turns interleaved, and prints the median and the quartiles of each.
fn print(work: &str, size: usize, mut turns: Vec<Turn<'_>>) {
    let count = TURN / size;
    let mut times = vec![Vec::new(); turns.len()];
    for round in 0..ROUNDS {
        for turn in 0..turns.len() {
            let at = (turn + round) % turns.len();
            let start = cpu_time();
            turns[at].1(count);
            times[at].push((cpu_time() - start).as_nanos() as f64 / count as f64);
        }
    }
    for ((form, _), times) in turns.iter().zip(times) {
        let [first, median, third] = quartiles(times);
        println!("{work:<28} {form:<58} {median:6.1} [{first:.1}, {third:.1}]");
    }
}

/// Prints all of them, in ns.
pub fn table() {
    text();
    receive(16);
    for len in [16, 125, 1024] {
        send(len);
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        send_masked(1024);
    }
}

/// ASCII to a `&str`, which takes most of the time of a short text.
fn text() {
    const LEN: usize = 125;
    let text: Vec<u8> = br#"{"id":123456,"name":"some name","values":[1,2,3]}"#.repeat(4);
    let each = |validate: fn(&[u8]) -> bool| {
        let text = &text;
        move |count| (0..count).for_each(|at| assert!(validate(black_box(&text[at * 7 % 16..][..LEN]))))
    };
    print(
        "125 bytes of ASCII to a &str",
        LEN,
        vec![
            ("core::str::from_utf8", Box::new(each(|text| black_box(str::from_utf8(text)).is_ok()))),
            ("simdutf8", Box::new(each(|text| black_box(simdutf8::basic::from_utf8(text)).is_ok()))),
            (
                "a check for ASCII, from_utf8_unchecked: unsafe",
                Box::new(each(|text| black_box(ascii(text)).is_some())),
            ),
        ],
    );
}

/// Text of 64 to 128 bytes, if it is ASCII.
#[inline(never)]
fn ascii(text: &[u8]) -> Option<&str> {
    let (first, last) = (text.first_chunk::<64>()?, text.last_chunk::<64>()?);
    let all = first.iter().zip(last).fold(0, |all, (a, b)| all | a | b);
    // SAFETY: the two chunks cover the text, and no byte in them has its highest bit set: it is
    // ASCII.
    (all < 0x80 && text.len() <= 128).then(|| unsafe { str::from_utf8_unchecked(text) })
}

/// Masked messages of 16 to 32 bytes, many of them in one read.
fn receive(len: usize) {
    let count = TURN / len;
    let stream = Stream::new(Role::Server, Content::Binary, len, 1, count * (6 + len) - 6);
    assert_eq!(stream.messages.len(), count);
    let wire = || Wire::again(stream.bytes.clone(), READ);
    let case = Receiving { role: Role::Server, wire: wire(), count, largest: len, fragments: 1 };
    let mut sansocket = crate::sansocket::receive(case).unwrap();
    let (mut wire, mut buffer, mut kept) = (wire(), vec![0; READ], 0);
    print(
        &format!("receive {len} bytes masked"),
        len,
        vec![
            ("sansocket", Box::new(move |_| sansocket.pass())),
            (
                "no state, the header's checks, raw pointers",
                Box::new(move |count| {
                    let mut left = count;
                    while left > 0 {
                        let end = kept + wire.read(&mut buffer[kept..][..FLUSH]);
                        let (messages, used) = unmask(&mut buffer[..end]);
                        left = left.saturating_sub(messages);
                        buffer.copy_within(used..end, 0);
                        kept = end - used;
                    }
                }),
            ),
        ],
    );
}

/// Unmasks the whole messages of 16 to 32 bytes in `input`; returns their number and their bytes.
#[inline(never)]
fn unmask(input: &mut [u8]) -> (usize, usize) {
    let (mut messages, mut at) = (0, 0);
    let start = input.as_mut_ptr();
    while input.len() - at >= 6 {
        // SAFETY: the header is in the input, and so is the payload, which is checked before its
        // use.
        let payload = unsafe {
            let frame = start.add(at);
            assert!(frame.read() == 0x82);
            let len = usize::from(frame.add(1).read() ^ 0x80);
            if input.len() - at < 6 + len {
                break;
            }
            assert!((16..=32).contains(&len));
            let key = frame.add(2).cast::<u32>().read_unaligned();
            let spread = |key: u32| u128::from(key) * 0x0000_0001_0000_0001_0000_0001_0000_0001;
            let first = frame.add(6).cast::<u128>();
            let last = frame.add(6 + len - 16).cast::<u128>();
            let both = (first.read_unaligned(), last.read_unaligned());
            first.write_unaligned(both.0 ^ spread(key));
            last.write_unaligned(both.1 ^ spread(key.rotate_right(8 * (len as u32 & 3))));
            at += 6 + len;
            std::slice::from_raw_parts(frame.add(6), len)
        };
        black_box((false, payload));
        messages += 1;
    }
    (messages, at)
}

/// Unmasked messages into an outbox, which is written to a socket.
fn send(len: usize) {
    let payload = vec![0x5A; len];
    let mut ws = WebSocket::<Server>::open(Config::default());
    let sansocket = sending(&payload, true, move |payload, outbox| ws.send(payload, outbox).unwrap());
    print(
        &format!("send {len} bytes unmasked"),
        len,
        vec![
            ("sansocket, written to the socket", sansocket),
            ("no state, no checks, raw pointers, written to the socket", sending(&payload, true, frame)),
            ("no state, no checks, raw pointers, not written", sending(&payload, false, frame)),
        ],
    );
}

/// Masked messages into an outbox, which is written to a socket.
#[cfg(target_arch = "x86_64")]
fn send_masked(len: usize) {
    let payload = vec![0x5A; len];
    let mut ws = WebSocket::<Client<_>>::open(Config::default(), rng());
    let sansocket = sending(&payload, true, move |payload, outbox| ws.send(payload, outbox).unwrap());
    let mut rng = rng();
    let mut frame = Vec::new();
    // SAFETY: the caller has checked for AVX-512.
    unsafe { masked_frame(&payload, rng.next_u32(), &mut frame) };
    let message = Some(Event::Message(Message::Binary(&payload)));
    assert_eq!(
        WebSocket::<Server>::open(Config::default()).receive(&mut &mut frame[..], &mut Inbox::new()),
        message
    );
    let raw = sending(&payload, true, move |payload, outbox| {
        // SAFETY: as above.
        unsafe { masked_frame(payload, rng.next_u32(), outbox) }
    });
    print(
        &format!("send {len} bytes masked"),
        len,
        vec![
            ("sansocket, written to the socket", sansocket),
            ("no state, no checks, AVX-512 and raw pointers, written", raw),
        ],
    );
}

/// Appends a binary message of 126 to 65,535 bytes as a masked frame.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn masked_frame(payload: &[u8], key: u32, outbox: &mut Vec<u8>) {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512};

    let len = payload.len();
    assert!((126..=0xFFFF).contains(&len));
    outbox.reserve(8 + len);
    // SAFETY: the capacity for the header and the payload is reserved, and the payload is not in
    // the outbox. Each line that is read or written is within the payload.
    unsafe {
        let end = outbox.as_mut_ptr().add(outbox.len());
        end.cast::<[u8; 2]>().write([0x82, 0x80 | 126]);
        end.add(2).cast::<[u8; 2]>().write((len as u16).to_be_bytes());
        end.add(4).cast::<[u8; 4]>().write(key.to_le_bytes());
        let (source, target) = (payload.as_ptr(), end.add(8));
        let line = |at: usize, key| {
            let masked = _mm512_xor_si512(key, _mm512_loadu_si512(source.add(at).cast()));
            _mm512_storeu_si512(target.add(at).cast(), masked);
        };
        let rotated = |by: usize| _mm512_set1_epi32(key.rotate_right(8 * (by & 3) as u32) as i32);
        line(0, rotated(0));
        let mut at = 64 - target.addr() % 64;
        let aligned = rotated(at);
        while at + 64 <= len {
            line(at, aligned);
            at += 64;
        }
        line(len - 64, rotated(len));
        outbox.set_len(outbox.len() + 8 + len);
    }
}

/// Appends messages with `append`; the outbox is written to the socket, or discarded.
fn sending<'p>(
    payload: &'p [u8],
    written: bool,
    mut append: impl FnMut(&[u8], &mut Vec<u8>) + 'p,
) -> Box<dyn FnMut(usize) + 'p> {
    let (mut outbox, mut wire) = (Vec::with_capacity(2 * FLUSH), Wire::again([].into(), 0));
    Box::new(move |count| {
        for _ in 0..count {
            append(black_box(payload), &mut outbox);
            if outbox.len() >= FLUSH {
                if written {
                    wire.write(&outbox);
                }
                black_box(&mut outbox).clear();
            }
        }
    })
}

/// Appends a binary message of at most 65,535 bytes as a frame.
#[inline(never)]
fn frame(payload: &[u8], outbox: &mut Vec<u8>) {
    let len = payload.len();
    assert!(len <= 0xFFFF);
    outbox.reserve(4 + len);
    // SAFETY: the capacity for the header and the payload is reserved, and the payload is not in
    // the outbox.
    unsafe {
        let end = outbox.as_mut_ptr().add(outbox.len());
        end.write(0x82);
        let header = if len < 126 {
            end.add(1).write(len as u8);
            2
        } else {
            end.add(1).write(126);
            end.add(2).cast::<[u8; 2]>().write((len as u16).to_be_bytes());
            4
        };
        end.add(header).copy_from_nonoverlapping(payload.as_ptr(), len);
        outbox.set_len(outbox.len() + header + len);
    }
}
