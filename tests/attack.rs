//! Hostile input: memory does not grow, and each error gets the right close code.

mod common;

use common::*;
use sansocket::{Buffer, Config, Connect, Delivery, Event, FixedInbox, Role, Server, State, WebSocket};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::Command;

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

/// Receives `slice` up to `times` times; returns how many times until the connection ended.
fn repeat<R: Role, B: Buffer>(
    ws: &mut WebSocket<R>,
    slice: &[u8],
    times: usize,
    inbox: &mut B,
    outbox: &mut B,
) -> usize {
    let mut buffer = [0; 4096];
    for time in 0..times {
        let input = &mut buffer[..slice.len()];
        input.copy_from_slice(slice);
        let mut input = &mut input[..];
        while let Some(event) = ws.receive(&mut input, inbox) {
            drop(event);
        }
        ws.transmit(outbox).unwrap();
        if ws.is_closed() {
            return time + 1;
        }
        outbox.clear();
    }
    times
}

/// Proves: P8, Q7.
#[test]
fn a_flood_of_pings_or_empty_fragments_does_not_grow_memory() {
    let pings = masked(0x89, b"flood").repeat(100);
    let fragments = [masked(0x01, b""), masked(0x00, b"").repeat(99)].concat();
    let more = masked(0x00, b"").repeat(100);
    let allowed = [masked(0x01, b""), masked(0x00, b"").repeat(98), masked(0x80, b"")].concat();
    // Buffers of fixed size need no heap.
    let used = heap(|| {
        let (mut inbox, mut outbox) = (heapless::Vec::<u8, 64>::new(), heapless::Vec::<u8, 64>::new());
        let mut ws = WebSocket::<Server>::open(Config::default());
        assert_eq!(repeat(&mut ws, &pings, 10_000, &mut inbox, &mut outbox), 10_000);
        assert_eq!(ws.state(), State::Open);
        assert_eq!(repeat(&mut ws, &fragments, 1, &mut inbox, &mut outbox), 1);
        assert_eq!(
            repeat(&mut ws, &more, 10_000, &mut inbox, &mut outbox),
            10,
            "after 1,024 empty fragments"
        );
        assert_eq!(outbox[..], [0x88, 2, 0x03, 0xF0]);
        // Messages with fewer empty fragments are not limited in number.
        let mut ws = WebSocket::<Server>::open(Config::default());
        outbox.clear();
        assert_eq!(repeat(&mut ws, &allowed, 10_000, &mut inbox, &mut outbox), 10_000);
        assert_eq!((ws.state(), outbox.len()), (State::Open, 0));
    });
    assert_eq!(used, 0);
    // Growable buffers do not grow.
    let used = heap(|| {
        let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
        let mut ws = WebSocket::<Server>::open(Config::default());
        repeat(&mut ws, &pings, 10_000, &mut inbox, &mut outbox);
        repeat(&mut ws, &fragments, 1, &mut inbox, &mut outbox);
        repeat(&mut ws, &more, 10_000, &mut inbox, &mut outbox);
        let mut ws = WebSocket::<Server>::open(Config::default());
        assert_eq!(repeat(&mut ws, &allowed, 10_000, &mut inbox, &mut outbox), 10_000);
    });
    assert!(used < 128, "{used}");
}

/// Proves: Q7, F6.
#[test]
fn a_declared_length_allocates_nothing() {
    for (length, code) in [(i64::MAX as u64, 1009), (u64::MAX, 1002), ((1 << 32) + 5, 1009), (16 << 20, 0)] {
        let mut frame = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6];
        frame[2..10].copy_from_slice(&length.to_be_bytes());
        let used = heap(|| {
            assert_eq!(
                self::code::<_, Vec<u8>>(WebSocket::<Server>::open(Config::default()), &mut frame),
                code
            )
        });
        assert!(used < 100, "{length}: {used}");
        // A message that exceeds the capacity of the inbox is too big, even without other limits.
        frame[2..10].copy_from_slice(&length.to_be_bytes());
        let ws = WebSocket::<Server>::open(Config::default().max_frame(u64::MAX).max_message(u64::MAX));
        let code = if length > i64::MAX as u64 { 1002 } else { 1009 };
        assert_eq!(heap(|| assert_eq!(self::code::<_, heapless::Vec<u8, 64>>(ws, &mut frame), code)), 0);
    }
}

/// Proves: S11, S18.
#[test]
fn an_endless_head_uses_no_more_memory_than_its_limit() {
    for (piece, lines, status) in
        [("x", false, 414), ("X: y\r\n", true, 431), ("GET", false, 414), ("A:", true, 431)]
    {
        let used = heap(|| {
            let mut ws = WebSocket::server(Config::default());
            let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
            if lines {
                repeat(&mut ws, b"GET / HTTP/1.1\r\nHost: a\r\n", 1, &mut inbox, &mut outbox);
            }
            let times = repeat(&mut ws, piece.as_bytes(), 1_000_000, &mut inbox, &mut outbox);
            assert!(times * piece.len() <= 8192 + piece.len(), "{piece}: {times}");
            assert!(
                outbox.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
                "{}",
                outbox.escape_ascii()
            );
        });
        assert!(used < 3 * 8192, "{piece}: {used}");
    }
    // 10,000 headers, sent to a server that takes 100 and to one that takes all.
    for (limit, ended) in [(100, 101), (10_001, 10_000)] {
        let used = heap(|| {
            let mut ws = WebSocket::server(Config::default().max_head(u16::MAX).max_headers(limit));
            let (mut inbox, mut outbox) = (FixedInbox::<65_536>::new(), FixedInbox::<65_536>::new());
            repeat(&mut ws, b"GET / HTTP/1.1\r\n", 1, &mut inbox, &mut outbox);
            assert_eq!(repeat(&mut ws, b"X:\r\n", 10_000, &mut inbox, &mut outbox), ended);
            assert_eq!(ws.is_closed(), ended == 101);
        });
        assert_eq!(used, 0);
    }
}

/// Proves: D1, D12.
#[test]
fn an_endless_refusal_uses_no_more_memory_than_its_limit() {
    fn attack<B: Buffer>(first: &str, piece: &str, mut inbox: B, mut outbox: B) {
        let mut ws = WebSocket::client(Config::default(), rng());
        ws.connect(Connect::new("a", "/"), &mut outbox).unwrap();
        repeat(&mut ws, first.as_bytes(), 1, &mut inbox, &mut outbox);
        let times = repeat(&mut ws, piece.as_bytes(), 1_000_000, &mut inbox, &mut outbox);
        assert!(times * piece.len() < 65_536 + piece.len(), "{piece:?}: {times}");
        assert!(ws.is_closed() && outbox.bytes().is_empty());
    }
    for first in
        ["HTTP/1.1 403 ", "HTTP/1.1 403\r\n", "HTTP/1.1 403\nX: y\n", "HTTP/1.1 103\n\nHTTP/1.1 403\n"]
    {
        for piece in ["x", "X: y\r\n", " \n", "\r", "\0", "Connection: close\n"] {
            let used = heap(|| attack(first, piece, Vec::new(), Vec::new()));
            assert!(used < 3 * 8192, "{first:?} {piece:?}: {used}");
            let (inbox, outbox) = (FixedInbox::<256>::new(), FixedInbox::<256>::new());
            assert_eq!(heap(|| attack(first, piece, inbox, outbox)), 0);
        }
    }
}

/// Receives `bytes` bytes of a head one by one: one long line, or many short lines.
fn feed_head(bytes: usize, line: bool) {
    let mut ws = WebSocket::server(Config::default().max_head(u16::MAX).max_headers(u16::MAX));
    let (mut inbox, mut outbox) = (FixedInbox::<65_536>::new(), FixedInbox::<65_536>::new());
    let start: &[u8] = if line { b"GET /" } else { b"GET / HTTP/1.1\r\n" };
    let rest = if line { b"x".iter() } else { b"X: y\r\n".iter() };
    for byte in start.iter().chain(rest.cycle()).take(bytes) {
        assert_eq!(repeat(&mut ws, &[*byte], 1, &mut inbox, &mut outbox), 1);
        assert!(!ws.is_closed());
    }
}

/// Counts instructions with valgrind, if it is installed: runs this test again with a head to
/// receive.
/// Proves: S11, S18.
#[test]
fn reading_a_head_byte_by_byte_takes_linear_time() {
    const NAME: &str = "reading_a_head_byte_by_byte_takes_linear_time";
    if let Ok(head) = std::env::var("SANSOCKET_HEAD") {
        let (bytes, line) = head.split_once(' ').unwrap();
        return feed_head(bytes.parse().unwrap(), line == "line");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("SANSOCKET_INTEROP").is_none_or(|wanted| wanted != "required"),
            "no valgrind"
        );
        return println!("skipped: valgrind is not installed");
    }
    for shape in ["line", "lines"] {
        let instructions = |bytes: u64| {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(std::env::current_exe().unwrap());
            let run = valgrind
                .args(["--exact", NAME])
                .env("SANSOCKET_HEAD", format!("{bytes} {shape}"))
                .output()
                .unwrap();
            let log = String::from_utf8(run.stderr).unwrap();
            assert!(run.status.success(), "{log}");
            let (_, count) = log.rsplit_once("Collected : ").unwrap();
            count.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let [none, once, twice] = [0, 2_000, 4_000].map(instructions);
        let (once, twice) = (once - none, twice - none);
        println!(
            "{shape}: {} instructions a byte for 2,000 bytes, {} for 4,000",
            once / 2_000,
            twice / 4_000
        );
        // Twice the bytes take twice the instructions.
        assert!((19..=21).contains(&(10 * twice / once)), "{shape}: {once}, {twice}");
    }
}

/// Proves: Q3, S17.
#[test]
fn a_folded_header_is_refused_at_every_position() {
    let head = request("Origin: http://a\r\nX: y\r\n");
    let lines = head.match_indices("\r\n").count() - 1;
    for (at, _) in head.match_indices("\r\n").take(lines) {
        for fold in [" ", "\t", " z", "\t\r\n z"] {
            let mut head = head.clone();
            head.insert_str(at + 2, fold);
            assert!(answer(head.as_bytes()).contains("400"), "{head}");
        }
    }
}

/// The first line of the response to a head.
fn answer(head: &[u8]) -> String {
    let mut peer = Peer::new(WebSocket::server(Config::default()));
    peer.receive_with(head, |ws, event, outbox| {
        if let Event::Request(request) = event {
            // Every accessor works.
            let lengths = (request.target().len(), request.host().len(), request.headers().count());
            assert!(lengths.0 > 0 && lengths.1 > 0 && lengths.2 > 0);
            assert!(request.protocols().all(|protocol| !protocol.is_empty()));
            ws.accept(request.accept(), outbox).unwrap();
        }
    });
    String::from_utf8(peer.take_sent()).unwrap().lines().next().unwrap_or("nothing").to_owned()
}

/// Proves: Q3, S16.
#[test]
fn every_byte_at_every_position_of_a_head_is_accepted_or_refused() {
    let head = request("Origin: http://a\r\nSec-WebSocket-Protocol: chat\r\nX: y\r\n").into_bytes();
    for place in 0..head.len() {
        for byte in (0..=255_u8).filter(|byte| *byte != head[place]) {
            let mut head = head.clone();
            head[place] = byte;
            let line = answer(&head);
            let control = byte.is_ascii_control() && byte != b'\t';
            let expected: &[&str] = if control { &["400"] } else { &["101", "400", "405", "426"] };
            assert!(expected.iter().any(|status| line.contains(status)), "{place} {byte:#x}: {line}");
        }
    }
    assert!(answer(&head).contains("101"));
}

/// The code of the Close frame that answers a stream, with buffers of type `B`; 0 without a Close
/// frame.
fn code<R: Role, B: Buffer + Default>(mut ws: WebSocket<R>, stream: &mut [u8]) -> u16 {
    let (mut inbox, mut outbox) = (B::default(), B::default());
    let mut input = stream;
    while ws.receive(&mut input, &mut inbox).is_some() {
        ws.transmit(&mut outbox).unwrap();
    }
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(input, b"", "the input is consumed");
    // The frames of a client are masked.
    match *outbox.bytes() {
        [.., 0x88, 2, high, low] => u16::from_be_bytes([high, low]),
        [.., 0x88, 0x82, a, b, _, _, high, low] => u16::from_be_bytes([high ^ a, low ^ b]),
        [.., 0x88, 0] | [.., 0x88, 0x80, _, _, _, _] => 1005,
        _ => 0,
    }
}

/// The same code with fixed buffers, which need no heap, and with growable buffers, which stay
/// small.
fn code_with_both<R: Role>(open: impl Fn() -> WebSocket<R>, stream: &[u8]) -> u16 {
    let mut memory = [0; 256];
    let copy = &mut memory[..stream.len()];
    copy.copy_from_slice(stream);
    let mut fixed = 0;
    assert_eq!(heap(|| fixed = code::<R, heapless::Vec<u8, 256>>(open(), copy)), 0);
    copy.copy_from_slice(stream);
    assert!(heap(|| assert_eq!(code::<R, Vec<u8>>(open(), copy), fixed)) < 200);
    fixed
}

/// Tests every first byte with these lengths, masked and unmasked, outside and inside a message.
fn check_every_first_byte<R: Role>(open: impl Fn() -> WebSocket<R>, is_server: bool, lengths: &[u8]) {
    for first in 0..=255_u8 {
        for second in lengths.iter().flat_map(|length| [*length, length | 0x80]) {
            for inside in [false, true] {
                // Behind 126 or 127 comes the largest length that needs a shorter form.
                let extended: &[u8] = match second & 0x7F {
                    126 => &125_u16.to_be_bytes(),
                    127 => &65_535_u64.to_be_bytes(),
                    _ => b"",
                };
                let before = if inside { frame(0x01, is_server, b"a") } else { Vec::new() };
                let code = code_with_both(&open, &[&before[..], &[first, second], extended].concat());
                let (fin, opcode, length) = (first & 0x80 != 0, first & 0xF, second & 0x7F);
                let is_invalid = first & 0x70 != 0
                    || !matches!(opcode, 0..=2 | 8..=10)
                    || opcode >= 8 && (!fin || length > 125 || opcode == 8 && length == 1)
                    || (opcode == 0) != inside && opcode < 8
                    || (second & 0x80 == 0) == is_server
                    || length >= 126;
                // An empty frame of a server is complete with these two bytes.
                let expected = match is_invalid {
                    true => 1002,
                    false if first == 0x88 && second == 0 => 1005,
                    false => 0,
                };
                assert_eq!(code, expected, "{first:#x} {second:#x} {inside}");
            }
        }
    }
}

/// Proves: F1, F2, F5, G2, G3, K2.
#[test]
fn every_pair_of_first_header_bytes_is_accepted_or_refused() {
    let all: Vec<u8> = (0..=127).collect();
    check_every_first_byte(|| WebSocket::<Server>::open(Config::default()), true, &all);
    let kinds = [0, 1, 2, 60, 125, 126, 127];
    check_every_first_byte(|| WebSocket::<TestClient>::open(Config::default(), rng()), false, &kinds);
}

/// Proves: L7, X1, X2, X3, X4, X5.
#[test]
fn every_close_code_is_echoed_or_fails_the_connection() {
    for code in 0..=u16::MAX {
        let answer = code_with_both(
            || WebSocket::<Server>::open(Config::default()),
            &masked(0x88, &code.to_be_bytes()),
        );
        // Section 7.4, and 1012 to 1014 from IANA's registry.
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(answer, if valid { code } else { 1002 });
    }
}

/// Proves: T1, T3, T6.
#[test]
fn text_around_the_boundaries_of_utf8_fails_at_the_first_wrong_byte() {
    // Bytes on both sides of each boundary in table 3-7 of the Unicode standard.
    let firsts = [
        0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4,
        0xF5, 0xFF,
    ];
    let others = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
    for first in firsts {
        for second in others {
            for third in others {
                for fourth in [0x7F, 0x80, 0xBF, 0xC0] {
                    let text = [b'a', first, second, third, fourth, b'z'];
                    let open = || WebSocket::<Server>::open(Config::default());
                    let invalid = core::str::from_utf8(&text).is_err();
                    assert_eq!(
                        code_with_both(open, &masked(0x81, &text)),
                        if invalid { 1007 } else { 0 },
                        "{text:x?}"
                    );
                    for delivery in [Delivery::Whole, Delivery::Pieces] {
                        let mut peer = server(Config::default().delivery(delivery));
                        let stream = masked(0x81, &text);
                        let failed_at = stream.iter().position(|byte| {
                            peer.receive(&[*byte]);
                            peer.seen.iter().any(|seen| matches!(seen, Seen::Error(_)))
                        });
                        // The first byte after which no continuation can be valid.
                        let wrong = (0..text.len()).find(|&end| {
                            core::str::from_utf8(&text[..=end])
                                .is_err_and(|error| error.error_len().is_some())
                        });
                        assert_eq!(failed_at, wrong.map(|wrong| wrong + 6), "{text:x?} {delivery:?}");
                    }
                }
            }
        }
    }
}

/// Proves: G5, L5, L13, L19.
#[test]
fn a_close_between_fragments_discards_all_later_input() {
    let mut peer = server(Config::default());
    let after = [masked(0x00, b"b"), masked(0x80, b"c"), masked(0x81, b"d"), vec![0xFF; 100]].concat();
    peer.receive(&[masked(0x01, b"a"), masked(0x88, &close_body(1000, "")), after].concat());
    assert_eq!(peer.seen, [Seen::Close(1000, String::new(), true)]);
    assert_eq!(peer.outbox, unmasked(0x88, &1000_u16.to_be_bytes()));
    assert!(is_closed(&peer));
}
