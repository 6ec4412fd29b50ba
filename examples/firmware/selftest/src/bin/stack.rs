//! Measures the maximum stack of each call in connections of every kind. Also prints the size of the
//! machine.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::time::Duration;
use sansocket::{
    Client, CloseCode, Config, Connect, Delivery, Event, Fragment, Kind, Request, Role, Server, State,
    WebSocket,
};
use selftest::figures::painted;
use selftest::{BINARY, CLOSE, KEY, PING, PONG, REQUEST, RESPONSE, Rng, TEXT, frame};
use semihosting::println;

type Inbox = heapless::Vec<u8, 1024>;
type Outbox = heapless::Vec<u8, 2048>;

/// Each call as a function of its own, so that `cost` finds it in the program.
mod calls {
    use super::*;
    use sansocket::Message;

    #[inline(never)]
    pub fn receive<'i: 'e, 'b: 'e, 'e, R: Role>(
        ws: &mut WebSocket<R>,
        input: &mut &'i mut [u8],
        inbox: &'b mut Inbox,
    ) -> Option<Event<'e>> {
        ws.receive(input, inbox)
    }
    #[inline(never)]
    pub fn accept(ws: &mut WebSocket<Server>, request: &Request<'_>, outbox: &mut Outbox) {
        _ = black_box(ws.accept(request.accept(), outbox));
    }
    #[inline(never)]
    pub fn connect(ws: &mut WebSocket<Client<Rng>>, outbox: &mut Outbox) {
        _ = black_box(ws.connect(Connect::new("device.example", "/chat").protocol("chat"), outbox));
    }
    #[inline(never)]
    pub fn send<R: Role>(ws: &mut WebSocket<R>, message: Message<'_>, outbox: &mut Outbox) {
        _ = black_box(ws.send(message, outbox));
    }
    #[inline(never)]
    pub fn send_piece<R: Role>(ws: &mut WebSocket<R>, fragment: Fragment<'_>, outbox: &mut Outbox) {
        _ = black_box(ws.send_piece(fragment, outbox));
    }
    #[inline(never)]
    pub fn send_header<R: Role>(ws: &mut WebSocket<R>, outbox: &mut Outbox) {
        _ = black_box(ws.send_header(Kind::Binary, 70_000, outbox));
    }
    #[inline(never)]
    pub fn ping<R: Role>(ws: &mut WebSocket<R>, payload: &[u8], outbox: &mut Outbox) {
        _ = black_box(ws.ping(payload, outbox));
    }
    #[inline(never)]
    pub fn close<R: Role>(ws: &mut WebSocket<R>, outbox: &mut Outbox) {
        _ = black_box(ws.close(CloseCode::GOING_AWAY, "that is all", outbox));
    }
    #[inline(never)]
    pub fn transmit<R: Role>(ws: &mut WebSocket<R>, outbox: &mut Outbox) {
        _ = black_box(ws.transmit(outbox));
    }
    #[inline(never)]
    pub fn handle_timeout<R: Role>(ws: &mut WebSocket<R>) {
        ws.handle_timeout(black_box(Duration::ZERO));
    }
}

/// The maximum stack of each call; `nothing` is the stack of an empty call.
#[derive(Default)]
struct Most {
    nothing: usize,
    connecting: usize,
    open: usize,
    accept: usize,
    connect: usize,
    send: usize,
    ping: usize,
    send_piece: usize,
    send_header: usize,
    close: usize,
    transmit: usize,
    timeout: usize,
}

fn note<T>(most: &mut usize, call: impl FnOnce() -> T) -> T {
    let (returned, depth) = painted(call);
    *most = depth.max(*most);
    returned
}

/// Runs a connection that answers every event. Its input arrives in slices of `cut` bytes.
fn drive<R: Role>(
    ws: &mut WebSocket<R>,
    stream: &[u8],
    cut: usize,
    most: &mut Most,
    accept: impl Fn(&mut WebSocket<R>, &Request<'_>, &mut Outbox),
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
            let Some(event) = note(receive, || calls::receive(ws, &mut input, &mut inbox)) else { break };
            match event {
                Event::Request(request) => note(&mut most.accept, || accept(ws, &request, &mut outbox)),
                Event::Message(message) => note(&mut most.send, || calls::send(ws, message, &mut outbox)),
                Event::Piece(piece) => {
                    note(&mut most.send_piece, || calls::send_piece(ws, (&piece).into(), &mut outbox));
                }
                _ => {}
            }
            note(&mut most.transmit, || calls::transmit(ws, &mut outbox));
            outbox.clear();
        }
        note(&mut most.timeout, || calls::handle_timeout(ws));
    }
}

/// Calls `run` with frames for every event, and for every protocol error of frames.
fn frames(masked: bool, mut run: impl FnMut(&[u8])) {
    let long = [b'x'; 200];
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

/// Calls `run` for each size of slices and each delivery.
fn each_way(mut run: impl FnMut(usize, bool, Config)) {
    for cut in [usize::MAX, 100, 1] {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            run(cut, delivery == Delivery::Pieces, Config::new().delivery(delivery));
        }
    }
}

fn server() -> Most {
    let mut most = Most { nothing: painted(|| {}).1, ..Most::default() };
    each_way(|cut, pieces, config| {
        // The delivery does not matter for heads.
        let heads = if pieces { 0 } else { usize::MAX };
        for wrong in
            [REQUEST, b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", &[b'x'; 1025]]
                .into_iter()
                .take(heads)
        {
            let mut ws = WebSocket::server(config);
            drive(&mut ws, wrong, cut, &mut most, |ws, request, outbox| {
                calls::accept(ws, request, outbox);
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
    let mut most = Most { nothing: painted(|| {}).1, ..Most::default() };
    each_way(|cut, pieces, config| {
        let heads = if pieces { 0 } else { usize::MAX };
        for response in
            [RESPONSE, b"HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n"]
                .into_iter()
                .take(heads)
        {
            let mut ws = WebSocket::client(config, Rng);
            let mut outbox = Outbox::new();
            note(&mut most.connect, || calls::connect(&mut ws, &mut outbox));
            drive(&mut ws, response, cut, &mut most, |_, _, _| {});
        }
        frames(false, |stream| {
            drive(&mut WebSocket::<Client<Rng>>::open(config, Rng), stream, cut, &mut most, |_, _, _| {});
        });
        sending(&mut || WebSocket::<Client<Rng>>::open(config, Rng), &mut most);
    });
    most
}

/// Calls that send without an event.
fn sending<R: Role>(open: &mut dyn FnMut() -> WebSocket<R>, most: &mut Most) {
    let mut outbox = Outbox::new();
    let mut ws = open();
    let long = black_box([b'x'; 1000]);
    note(&mut most.send, || calls::send(&mut ws, (&long).into(), &mut outbox));
    note(&mut most.ping, || calls::ping(&mut ws, &long[..125], &mut outbox));
    note(&mut most.send_piece, || calls::send_piece(&mut ws, Fragment::new(&long[..500], true), &mut outbox));
    outbox.clear();
    note(&mut most.send_header, || calls::send_header(&mut ws, &mut outbox));
    let _ = ws.payload_sent(70_000);
    note(&mut most.close, || calls::close(&mut ws, &mut outbox));
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
            ("send", most.send),
            ("ping", most.ping),
            ("send_piece", most.send_piece),
            ("send_header", most.send_header),
            ("close", most.close),
            ("transmit", most.transmit),
            ("handle_timeout", most.timeout),
        ] {
            if bytes > 0 {
                println!("figure|{role}: {call}|bytes|{}", bytes - most.nothing);
            }
        }
        println!("figure|{role}: kept, the machine itself|bytes|{size}");
    }
    semihosting::process::exit(0)
}
