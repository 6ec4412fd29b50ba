//! How much stack each call of the machine takes at most, in connections of every kind: below the call the stack is
//! painted, and afterwards the paint that is left is looked for. And the sizes of what is kept.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::time::Duration;
use sansocket::{
    Client, CloseCode, Config, Connect, Delivery, Event, Fragment, Kind, Role, Server, State, WebSocket,
};
use selftest::{BINARY, CLOSE, KEY, PING, PONG, REQUEST, RESPONSE, Rng, TEXT, frame};
use semihosting::println;

/// How deep is painted, in words.
const DEPTH: usize = 1024;
const PAINT: u32 = 0xA5A5_A5A5;
/// What the painting itself may have on the stack.
const GAP: usize = 256;

type Inbox = heapless::Vec<u8, 1024>;
type Outbox = heapless::Vec<u8, 2048>;

/// The stack that a call takes, its return address included.
#[inline(never)]
fn depth(call: impl FnOnce()) -> usize {
    let nothing = painted(|| {});
    painted(call) - nothing
}

#[inline(never)]
fn painted<F: FnOnce()>(call: F) -> usize {
    let here = 0u32;
    let top = black_box(&raw const here).cast_mut().wrapping_byte_sub(GAP);
    for below in 1..=DEPTH {
        // SAFETY: the stack is larger, and nothing lives there.
        unsafe { top.wrapping_sub(below).write_volatile(PAINT) };
    }
    #[inline(never)]
    fn alone<F: FnOnce()>(call: F) {
        // What the call takes lies below the gap.
        let gap = [0u8; GAP];
        black_box(&gap);
        within(call);
        black_box(&gap);
    }
    #[inline(never)]
    fn within<F: FnOnce()>(call: F) {
        call();
    }
    alone(call);
    // SAFETY: as above.
    let untouched =
        (1..=DEPTH).rev().take_while(|below| unsafe { top.wrapping_sub(*below).read_volatile() } == PAINT);
    (DEPTH - untouched.count()) * size_of::<u32>()
}

/// The most that each kind of call has taken.
#[derive(Default)]
struct Most {
    connecting: usize,
    open: usize,
    accept: usize,
    connect: usize,
    send: usize,
    send_piece: usize,
    send_header: usize,
    close: usize,
    transmit: usize,
    timeout: usize,
}

fn note(most: &mut usize, call: impl FnOnce()) {
    *most = depth(call).max(*most);
}

/// A connection whose input comes in slices of `cut` bytes, and which answers every event.
fn drive<R: Role>(
    ws: &mut WebSocket<R>,
    stream: &[u8],
    cut: usize,
    most: &mut Most,
    accept: impl Fn(&mut WebSocket<R>, &sansocket::Request<'_>, &mut Outbox),
) {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let mut buffer = [0; 2048];
    for slice in stream.chunks(cut).chain([&[][..]]) {
        let input = &mut buffer[..slice.len()];
        input.copy_from_slice(slice);
        let mut input = black_box(input);
        loop {
            let state = ws.state();
            let receive = if state == State::Connecting { &mut most.connecting } else { &mut most.open };
            let mut event = None;
            note(receive, || event = ws.receive(&mut input, &mut inbox));
            let Some(event) = black_box(event) else { break };
            match event {
                Event::Request(request) => note(&mut most.accept, || accept(ws, &request, &mut outbox)),
                Event::Message(message) => {
                    note(&mut most.send, || _ = black_box(ws.send(message, &mut outbox)))
                }
                Event::Piece(piece) => {
                    note(&mut most.send_piece, || _ = black_box(ws.send_piece(&piece, &mut outbox)));
                }
                _ => {}
            }
            note(&mut most.transmit, || _ = black_box(ws.transmit(&mut outbox)));
            outbox.clear();
        }
        note(&mut most.timeout, || ws.handle_timeout(black_box(Duration::ZERO)));
    }
}

/// Frames that bring about every event, and every fault that frames can have, each in a connection of its own.
fn frames(masked: bool, mut run: impl FnMut(&[u8])) {
    let long = [b'x'; 600];
    let mut whole = heapless::Vec::<u8, 2048>::new();
    let mut close = heapless::Vec::<u8, 125>::new();
    close.extend_from_slice(&1000u16.to_be_bytes()).expect("room");
    close.extend_from_slice(&[b'r'; 123]).expect("room");
    for (first, payload) in [
        (TEXT, "ä€🦀, whole".as_bytes()),
        (BINARY, &long),
        (0x01, "a fragment that ends in a character: \u{20AC}".as_bytes().split_last().expect("some").1),
        (PING, &long[..125]),
        (0x80, b"\xAC and its end"),
        (PONG, b""),
        (CLOSE, &close),
    ] {
        whole.extend_from_slice(&frame::<700>(first, masked, payload)).expect("room");
    }
    run(&whole);
    for (first, payload) in [
        (TEXT, &b"ends too early \xE2\x82"[..]),
        (TEXT, b"wrong \xFF"),
        (0x80, b"nothing to continue"),
        (0x83, b"reserved"),
        (0xC1, b"reserved"),
        (0x09, b"fragmented"),
        (CLOSE, b"\x03"),
        (CLOSE, b"\x03\xED"),
        (PING, &long[..126]),
    ] {
        run(&frame::<700>(first, masked, payload));
    }
    run(&frame::<32>(TEXT, !masked, b"the wrong way"));
    let mask: &[u8] = if masked { &KEY } else { &[] };
    let mut too_long = heapless::Vec::<u8, 16>::new();
    for part in [&[BINARY, if masked { 0xFF } else { 0x7F }, 0, 0, 0, 1, 0, 0, 0, 5][..], mask] {
        too_long.extend_from_slice(part).expect("room");
    }
    run(&too_long);
}

fn each_cut(mut run: impl FnMut(usize, Config)) {
    for cut in [usize::MAX, 100, 1] {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            run(cut, Config::new().delivery(delivery));
        }
    }
}

fn server() -> Most {
    let mut most = Most::default();
    each_cut(|cut, config| {
        for wrong in
            [REQUEST, b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", &[b'x'; 1025]]
        {
            let mut ws = WebSocket::server(config);
            drive(&mut ws, wrong, cut, &mut most, |ws, request, outbox| {
                _ = black_box(ws.accept(request.accept(), outbox));
            });
        }
        frames(true, |stream| {
            drive(&mut WebSocket::<Server>::open(config), stream, cut, &mut most, |_, _, _| {});
        });
        sending(&mut || WebSocket::<Server>::open(config), &mut most);
    });
    most
}

fn client() -> Most {
    let mut most = Most::default();
    each_cut(|cut, config| {
        for response in
            [RESPONSE, b"HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n"]
        {
            let mut ws = WebSocket::client(config, Rng);
            let mut outbox = Outbox::new();
            note(&mut most.connect, || {
                _ = black_box(
                    ws.connect(Connect::new("device.example", "/chat").protocol("chat"), &mut outbox),
                );
            });
            drive(&mut ws, response, cut, &mut most, |_, _, _| {});
        }
        frames(false, |stream| {
            drive(&mut WebSocket::<Client<Rng>>::open(config, Rng), stream, cut, &mut most, |_, _, _| {});
        });
        sending(&mut || WebSocket::<Client<Rng>>::open(config, Rng), &mut most);
    });
    most
}

/// What is sent unasked.
fn sending<R: Role>(open: &mut dyn FnMut() -> WebSocket<R>, most: &mut Most) {
    let mut outbox = Outbox::new();
    let mut ws = open();
    let long = black_box([b'x'; 1000]);
    note(&mut most.send, || _ = black_box(ws.send(&long, &mut outbox)));
    note(&mut most.send, || _ = black_box(ws.ping(&long[..125], &mut outbox)));
    note(&mut most.send_piece, || {
        _ = black_box(ws.send_piece(Fragment::new(&long[..500], true), &mut outbox))
    });
    outbox.clear();
    note(&mut most.send_header, || _ = black_box(ws.send_header(Kind::Binary, 70_000, &mut outbox)));
    let _ = ws.payload_sent(70_000);
    note(&mut most.close, || _ = black_box(ws.close(CloseCode::GOING_AWAY, "that is all", &mut outbox)));
}

#[selftest::entry]
fn main() -> ! {
    for (role, most, size) in [
        ("server", server(), size_of::<WebSocket<Server>>()),
        ("client", client(), size_of::<WebSocket<Client<Rng>>>()),
    ] {
        for (call, bytes) in [
            ("receive, connecting", most.connecting),
            ("receive, from open on", most.open),
            ("accept", most.accept),
            ("connect", most.connect),
            ("send, ping", most.send),
            ("send_piece", most.send_piece),
            ("send_header", most.send_header),
            ("close", most.close),
            ("transmit", most.transmit),
            ("handle_timeout", most.timeout),
            ("kept: the machine itself", size),
        ] {
            if bytes > 0 {
                println!("figure|{role}: {call}|bytes|{bytes}");
            }
        }
    }
    semihosting::process::exit(0)
}
