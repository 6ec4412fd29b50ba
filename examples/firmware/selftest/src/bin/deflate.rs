//! Counts the instructions of compressed messages, and measures the stack and the memory that they
//! take.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::black_box;
use sansocket::deflate::{Compress, Compressor, Deflate, Parameters, Window, WithTables};
use sansocket::{Buffer, Config, Established, Event, Server, Slice, WebSocket};
use selftest::figures::{painted, report, start_timer};
use selftest::{TEXT, messages};
use semihosting::println;

/// The first byte of a frame with a whole compressed text.
const COMPRESSED: u8 = TEXT | 0x40;

type Frame = heapless::Vec<u8, 1536>;
type Connection<W> = WebSocket<Deflate<Established<Server>, W>>;
type Own = Compressor<[u16; 512], [u8; 768]>;
type Shared = Compressor<[u16; 512]>;

const OWN: Own = Compressor::with_takeover([0; 512], [0; 768]);
const SHARED: Shared = Compressor::shared([0; 512]);

/// A connection with windows of 512 bytes.
fn open<W: Window>(takeover: bool, window: W) -> Connection<W> {
    let parameters = Parameters {
        server_takeover: takeover,
        client_takeover: takeover,
        server_window_bits: 9,
        client_window_bits: 9,
    };
    Connection::open_deflate(Config::new(), Some(parameters), window).expect("a window of 512 bytes")
}

/// A frame with a compressed message, as a client sends it.
fn compressed(message: &str, compressor: &mut dyn Compress) -> Frame {
    let mut out = [0; 1200];
    let len = compressor.compress(message.as_bytes(), 9, &mut out);
    selftest::frame(COMPRESSED, true, &out[..len - 4])
}

#[inline(never)]
fn receive<'e, W: Window>(
    ws: &mut Connection<W>,
    frame: &'e mut Frame,
    inbox: &'e mut Slice<'_>,
) -> Option<Event<'e>> {
    ws.receive(&mut &mut frame[..], inbox)
}

/// The instructions of the second of two messages, received and sent.
fn instructions(texts: [&str; 2], column: &str) {
    let (mut inbox, mut outbox) = ([0; 1024], [0; 1200]);
    let (mut inbox, mut outbox) = (Slice::new(&mut inbox), Slice::new(&mut outbox));
    let mut tokens = [0; 1024];
    let mut name = heapless::String::<64>::new();
    for (takeover, context) in [(true, "takeover"), (false, "no takeover")] {
        let (mut own, mut shared) = (OWN, SHARED);
        let compressor: &mut dyn Compress = if takeover { &mut own } else { &mut shared };
        let mut frames = texts.map(|text| compressed(text, compressor));
        received(&mut frames, takeover, ("fixed codes", context), column, &mut inbox);
        // Codes that are made for the message. Short messages are not longer with the fixed ones.
        let (mut own, mut shared) = (OWN, SHARED);
        let mut frames = match takeover {
            true => texts.map(|text| compressed(text, &mut own.with_codes(&mut tokens))),
            false => texts.map(|text| compressed(text, &mut shared.with_codes(&mut tokens))),
        };
        received(&mut frames, takeover, ("best codes", context), column, &mut inbox);

        let (mut own, mut shared) = (OWN, SHARED);
        let compressor: &mut dyn Compress = if takeover { &mut own } else { &mut shared };
        let mut ws = open(takeover, [0; 512]);
        let _ = ws.send_deflated(texts[0], compressor, &mut outbox);
        outbox.clear();
        let _ = write!(name, "send, {context}");
        report(&name, column, || _ = black_box(ws.send_deflated(texts[1], compressor, &mut outbox)));
        name.clear();
        println!("figure|bytes sent, {context}|{column}|{}", outbox.bytes().len());
        outbox.clear();
    }
}

fn received(
    frames: &mut [Frame; 2],
    takeover: bool,
    (codes, context): (&str, &str),
    column: &str,
    inbox: &mut Slice<'_>,
) {
    let mut name = heapless::String::<64>::new();
    let _ = write!(name, "receive, {context}, {codes}");
    let mut ws = open(takeover, [0; 512]);
    assert!(matches!(receive(&mut ws, &mut frames[0], inbox), Some(Event::Message(_))));
    let frame = black_box(&mut frames[1]);
    report(&name, column, || _ = black_box(receive(&mut ws, frame, inbox)));
}

/// Prints the stack of receiving a message whose codes need tables.
fn stack<W: Window>(name: &str, window: W) {
    let mut inbox = [0; 1024];
    let mut inbox = Slice::new(&mut inbox);
    let (mut own, mut tokens) = (OWN, [0; 1024]);
    let mut frame = compressed(messages::LONG[0], &mut own.with_codes(&mut tokens));
    let mut ws = open(true, window);
    let (event, bytes) = painted(|| receive(&mut ws, &mut frame, &mut inbox));
    assert!(matches!(event, Some(Event::Message(_))));
    println!("figure|stack of receive, {name}|bytes|{}", bytes - painted(|| {}).1);
}

#[selftest::entry]
fn main() -> ! {
    start_timer();
    instructions(messages::SHORT, "104 bytes");
    instructions(messages::LONG, "991 bytes");
    stack("tables on the stack", [0; 512]);
    stack("tables in the window", WithTables::new([0; 512]));
    for (name, bytes) in [
        ("a server without compression", size_of::<WebSocket<Server>>()),
        ("a server, no window", size_of::<WebSocket<Deflate<Server, ()>>>()),
        ("a server, a window of 512 bytes", size_of::<WebSocket<Deflate<Server, [u8; 512]>>>()),
        ("the same, and tables", size_of::<WebSocket<Deflate<Server, WithTables<[u8; 512]>>>>()),
        ("a compressor for the same window", size_of::<Own>()),
        ("a compressor without takeover", size_of::<Shared>()),
    ] {
        println!("figure|memory: {name}|bytes|{bytes}");
    }
    semihosting::process::exit(0)
}
