//! Counts the instructions of compressed messages, and measures the stack of receiving them. As in
//! `instructions` and `stack`.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::black_box;
use sansocket::deflate::{Compress, Compressor, Deflate, Parameters, Window, WithTables};
use sansocket::{Buffer, Config, Established, Event, Server, Slice, WebSocket};
use selftest::TEXT;
use semihosting::println;

const TIMER: *mut u32 = 0x4000_0000 as *mut u32;
/// The number of painted words.
const DEPTH: usize = 1024;
const PAINT: u32 = 0xA5A5_A5A5;
/// The stack reserved for the painting loop.
const GAP: usize = 256;

type Text = heapless::String<1024>;
type Frame = heapless::Vec<u8, 1536>;
type Connection<W> = WebSocket<Deflate<Established<Server>, W>>;
type Own = Compressor<[u16; 512], [u8; 768]>;

#[inline(never)]
fn count(work: impl FnOnce()) -> u32 {
    // SAFETY: the timer's registers (control, value, reload) are at this address.
    let now = || unsafe { TIMER.add(1).read_volatile() };
    let before = now();
    work();
    let ticks = before.wrapping_sub(now());
    // An instruction takes 1024 ns, a tick 40 ns.
    (ticks * 40 + 512) >> 10
}

fn report(row: &str, column: &str, work: impl FnOnce()) {
    let nothing = count(|| {});
    println!("figure|{row}|{column}|{}", count(work) - nothing);
}

/// The stack of `call`, with the frames of this function.
#[inline(never)]
fn stack(call: impl FnOnce()) -> usize {
    let here = 0u32;
    let top = black_box(&raw const here).cast_mut().wrapping_byte_sub(GAP);
    for below in 1..=DEPTH {
        // SAFETY: the stack is larger than this, and unused below the gap.
        unsafe { top.wrapping_sub(below).write_volatile(PAINT) };
    }
    #[inline(never)]
    fn alone(call: impl FnOnce()) {
        // Moves the frame of the call below the gap.
        let gap = [0u8; GAP];
        black_box(&gap);
        within(call);
        black_box(&gap);
    }
    #[inline(never)]
    fn within(call: impl FnOnce()) {
        call();
    }
    alone(call);
    // SAFETY: as above.
    let untouched =
        (1..=DEPTH).rev().take_while(|below| unsafe { top.wrapping_sub(*below).read_volatile() } == PAINT);
    (DEPTH - untouched.count()) * size_of::<u32>()
}

/// Telemetry: one record of 105 bytes, or nine of them.
fn message(records: u32, seed: u32) -> Text {
    let mut text = Text::new();
    for record in 0..records {
        let n = seed.wrapping_mul(2_654_435_761).wrapping_add(record * 40_503);
        let _ = write!(
            text,
            r#"{{"device":"sensor-{:04}","temperature":{}.{:02},"humidity":{}.{},"battery":3.{:02},"status":"ok","seq":{:06}}}"#,
            1000 + n % 8,
            20 + n % 3,
            n / 7 % 100,
            40 + n / 11 % 10,
            n / 13 % 10,
            n / 17 % 100,
            seed * 10 + record,
        );
    }
    text
}

fn parameters(takeover: bool) -> Option<Parameters> {
    Some(Parameters {
        server_takeover: takeover,
        client_takeover: takeover,
        server_window_bits: 9,
        client_window_bits: 9,
    })
}

fn open<W: Window>(takeover: bool, window: W) -> Connection<W> {
    let Ok(ws) = Connection::open_deflate(Config::new(), parameters(takeover), window) else { panic!() };
    ws
}

/// A frame with a compressed message, as a client sends it.
fn compressed(message: &str, compressor: &mut dyn Compress) -> Frame {
    let mut out = [0; 1200];
    let len = compressor.compress(message.as_bytes(), 9, &mut out);
    selftest::frame(TEXT | 0x40, true, &out[..len - 4])
}

fn receive<W: Window>(ws: &mut Connection<W>, frame: &mut Frame, inbox: &mut Slice<'_>) {
    let mut input = black_box(&mut frame[..]);
    let event = ws.receive(&mut input, inbox);
    assert!(matches!(&event, Some(Event::Message(_))));
    black_box(event);
}

#[selftest::entry]
fn main() -> ! {
    // SAFETY: as above. The timer starts at its maximum.
    unsafe {
        TIMER.add(2).write_volatile(u32::MAX);
        TIMER.add(1).write_volatile(u32::MAX);
        TIMER.write_volatile(1);
    }
    let (mut inbox, mut outbox) = ([0; 1024], [0; 1200]);
    let (mut inbox, mut outbox) = (Slice::new(&mut inbox), Slice::new(&mut outbox));
    let mut tokens = [0; 300];
    for (records, column) in [(1, "105"), (9, "945")] {
        for (takeover, name) in [(true, "takeover"), (false, "no takeover")] {
            let mut row = heapless::String::<64>::new();
            // Received: the second message is counted.
            for codes in [false, true] {
                let (mut ws, mut peer) = (open(takeover, [0; 512]), Own::with_takeover([0; 512], [0; 768]));
                for seed in 1..=2 {
                    let text = message(records, seed);
                    let mut frame = match codes {
                        false => compressed(&text, &mut peer),
                        true => compressed(&text, &mut peer.with_codes(&mut tokens)),
                    };
                    if !takeover {
                        peer.reset();
                    }
                    row.clear();
                    let _ = write!(
                        row,
                        "receive, {}, {name}",
                        if codes { "dynamic codes" } else { "fixed codes" }
                    );
                    match seed {
                        1 => receive(&mut ws, &mut frame, &mut inbox),
                        _ => report(&row, column, || receive(&mut ws, &mut frame, &mut inbox)),
                    }
                }
            }
            // Sent.
            let (mut ws, mut own) = (open(takeover, [0; 512]), Own::with_takeover([0; 512], [0; 768]));
            for seed in 1..=2 {
                let text = message(records, seed);
                outbox.clear();
                row.clear();
                let _ = write!(row, "send, {name}");
                let mut send = || assert!(ws.send_deflated(&text[..], &mut own, &mut outbox).is_ok());
                match seed {
                    1 => send(),
                    _ => report(&row, column, send),
                }
            }
            row.clear();
            let _ = write!(row, "bytes on the wire, {name}");
            println!("figure|{row}|{column}|{}", outbox.bytes().len());
        }
    }
    // Dynamic codes, which need tables.
    let frame =
        compressed(&message(9, 1), &mut Own::with_takeover([0; 512], [0; 768]).with_codes(&mut tokens));
    let (mut first, mut second) = (frame.clone(), frame);
    let mut on_stack = open(true, [0; 512]);
    let bytes = stack(|| receive(&mut on_stack, &mut first, &mut inbox));
    println!("figure|stack of receive, tables on the stack|bytes|{bytes}");
    let mut in_window = open(true, WithTables::new([0; 512]));
    let bytes = stack(|| receive(&mut in_window, &mut second, &mut inbox));
    println!("figure|stack of receive, tables in the window|bytes|{bytes}");
    println!("figure|kept: no window|bytes|{}", size_of::<Connection<()>>());
    println!("figure|kept: a window of 512 bytes|bytes|{}", size_of::<Connection<[u8; 512]>>());
    println!("figure|kept: the same and tables|bytes|{}", size_of::<Connection<WithTables<[u8; 512]>>>());
    println!("figure|kept: compressor for the same window|bytes|{}", size_of::<Own>());
    semihosting::process::exit(0)
}
