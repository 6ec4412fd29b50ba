//! This crate: the loop of README.md, with buffer sizes for a server.

pub mod compressed;

use crate::{
    idle::{HELLO, Held, Line, hold},
    peers::{Bench, Peer, Receive, Receiving, Sending, doing, receiving},
    strict::LAST,
    wire::{READ, Wire},
    work::Role,
};
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, rand_core::UnwrapErr};
use sansocket::{Buffer, Client, Config, Connect, Event, Inbox, Message, Server, Slice, WebSocket};

/// The outbox is written once it has this length.
const FLUSH: usize = 16 * 1024;
/// Payloads from this length on are echoed without a copy into the outbox.
const LARGE: usize = 4 * 1024;

/// The length of a read at a frame boundary: it stays in the first-level cache.
const FRESH: usize = 16 * 1024;
/// Holds a frame of 64 KiB with its header.
const SPACE: usize = 64 * 1024 + 14;

pub fn peer() -> Peer {
    Peer {
        name: "sansocket",
        utf8: "yes, on the byte; simdutf8",
        notes: "reads of 16 KiB, then the rest of a frame of up to 64 KiB; masks with AVX-512 or \
            AVX2 found at run time; masking keys from ChaCha12 (`StdRng`), seeded by the system; \
            without permessage-deflate",
        receive,
        echo,
        send,
        accept: Some(accept),
        connect: Some(connect),
        probe: Some(probe),
        idle: Some(idle),
    }
}

pub fn rng() -> StdRng {
    StdRng::from_rng(&mut UnwrapErr(SysRng))
}

/// A connection and its buffers.
struct Connection<R: sansocket::Role> {
    ws: WebSocket<R>,
    wire: Wire,
    buffer: Vec<u8>,
    inbox: Inbox,
    outbox: Vec<u8>,
    /// The number of bytes of a cut frame at the front of the buffer.
    kept: usize,
    /// The number of bytes that complete that frame.
    missing: usize,
}

impl<R: sansocket::Role> Connection<R> {
    fn new(ws: WebSocket<R>, wire: Wire) -> Self {
        let (buffer, outbox) = (vec![0; SPACE], Vec::with_capacity(2 * FLUSH));
        Self { ws, wire, buffer, inbox: Inbox::new(), outbox, kept: 0, missing: 0 }
    }

    /// Reads once, and receives the messages. If the last frame is cut and its rest fits into the
    /// buffer, the frame moves to the front, and is received once its rest has been read. Its
    /// message then points into the buffer.
    #[inline(always)]
    fn turn(&mut self, mut each: impl FnMut(&mut WebSocket<R>, &mut Wire, &mut Vec<u8>, Message<'_>)) {
        let Self { ws, wire, buffer, inbox, outbox, kept, missing } = self;
        let space = buffer.len();
        let wanted = if *missing > 0 { *missing } else { FRESH };
        let read = wire.read(&mut buffer[*kept..*kept + wanted]);
        let end = *kept + read;
        *missing = missing.saturating_sub(read);
        if *missing > 0 {
            *kept = end;
            return;
        }
        let mut input = &mut buffer[..end];
        loop {
            let rest = ws.missing(input, inbox);
            if rest > 0 && rest <= (space - input.len()) as u64 {
                *missing = rest as usize;
                break;
            }
            match ws.receive(&mut input, inbox) {
                Some(Event::Message(message)) => each(ws, wire, outbox, message),
                Some(_) => panic!("only messages were sent"),
                None => break,
            }
            ws.transmit(outbox).unwrap();
        }
        if !outbox.is_empty() {
            wire.write(outbox);
            outbox.clear();
        }
        *kept = input.len();
        if *kept < end {
            buffer.copy_within(end - *kept..end, 0);
        }
    }
}

impl<R: sansocket::Role> Receive for Connection<R> {
    #[inline]
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        let mut left = count;
        while left > 0 {
            self.turn(|_, _, _, message| {
                match message {
                    Message::Text(text) => each(true, text.as_bytes()),
                    Message::Binary(bytes) => each(false, bytes),
                }
                left -= 1;
            });
        }
    }
}

pub fn receive(Receiving { role, wire, count, .. }: Receiving) -> Option<Box<dyn Bench>> {
    match role {
        Role::Server => receiving(Connection::new(WebSocket::<Server>::open(Config::default()), wire), count),
        Role::Client => {
            receiving(Connection::new(WebSocket::<Client<_>>::open(Config::default(), rng()), wire), count)
        }
    }
}

fn echo(Receiving { wire, count, .. }: Receiving) -> Option<Box<dyn Bench>> {
    let mut connection = Connection::new(WebSocket::<Server>::open(Config::default()), wire);
    doing(move || {
        let mut left = count;
        while left > 0 {
            connection.turn(|ws, wire, outbox, message| {
                let payload = message.as_bytes();
                if payload.len() < LARGE {
                    ws.send(message, outbox).unwrap();
                } else {
                    send_in_place(ws, wire, outbox, message);
                }
                left -= 1;
            });
        }
    })
}

/// Sends a server's message without a copy of its payload into the outbox. (Outlined: short
/// messages do not need it.)
#[inline(never)]
fn send_in_place<R: sansocket::Role>(
    ws: &mut WebSocket<R>,
    wire: &mut Wire,
    outbox: &mut Vec<u8>,
    message: Message<'_>,
) {
    let payload = message.as_bytes();
    ws.send_header(message.kind(), payload.len() as u64, outbox).unwrap();
    wire.write(outbox);
    outbox.clear();
    wire.write(payload);
    ws.payload_sent(payload.len() as u64).unwrap();
}

fn send(case: Sending) -> Option<Box<dyn Bench>> {
    match case.role {
        Role::Server => send_as(case, WebSocket::<Server>::open(Config::default())),
        Role::Client => send_as(case, WebSocket::<Client<_>>::open(Config::default(), rng())),
    }
}

fn send_as<R: sansocket::Role + 'static>(case: Sending, mut ws: WebSocket<R>) -> Option<Box<dyn Bench>> {
    let Sending { role, mut wire, payload, count } = case;
    let mut outbox = Vec::with_capacity(2 * FLUSH + payload.len());
    doing(move || {
        for _ in 0..count {
            if payload.len() < FLUSH || role == Role::Client {
                ws.send(&payload[..], &mut outbox).unwrap();
            } else {
                send_in_place(&mut ws, &mut wire, &mut outbox, Message::Binary(&payload));
            }
            if outbox.len() >= FLUSH {
                wire.write(&outbox);
                outbox.clear();
            }
        }
        wire.write(&outbox);
        outbox.clear();
    })
}

fn accept(wire: &mut Wire) {
    let mut memory = [[0; 1024]; 3];
    let [buffer, inbox, outbox] = &mut memory;
    let (mut inbox, mut outbox) = (Slice::new(inbox), Slice::new(outbox));
    let mut ws = WebSocket::server(Config::default());
    let len = wire.read(buffer);
    let mut input = &mut buffer[..len];
    while let Some(event) = ws.receive(&mut input, &mut inbox) {
        match event {
            Event::Request(request) => ws.accept(request.accept(), &mut outbox).unwrap(),
            Event::Open(_) => {}
            event => panic!("{event:?}"),
        }
    }
    wire.write(outbox.bytes());
}

fn connect(wire: &mut Wire) {
    // The connections of a program borrow one generator.
    thread_local! {
        static RNG: std::cell::RefCell<StdRng> = rng().into();
    }
    RNG.with_borrow_mut(|rng| {
        let mut memory = [[0; 1024]; 3];
        let [buffer, inbox, outbox] = &mut memory;
        let (mut inbox, mut outbox) = (Slice::new(inbox), Slice::new(outbox));
        let mut ws = WebSocket::client(Config::default(), rng);
        ws.connect(Connect::new("server.example.com", "/chat"), &mut outbox).unwrap();
        wire.write(outbox.bytes());
        let len = wire.read(buffer);
        let mut input = &mut buffer[..len];
        let Some(Event::Open(_)) = ws.receive(&mut input, &mut inbox) else { panic!("not open") };
    });
}

fn probe(mut wire: Wire) -> Result<bool, String> {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut buffer, mut inbox) = (vec![0; READ], Inbox::new());
    loop {
        let len = wire.read(&mut buffer);
        let mut input = &mut buffer[..len];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Message(message) if message.as_bytes() == LAST => return Ok(true),
                Event::Error(error) => return Err(error.to_string()),
                Event::Close(_) => return Ok(false),
                _ => {}
            }
        }
        if len == 0 {
            return Ok(false);
        }
    }
}

fn idle(count: usize) -> Held {
    // The thread's buffers.
    let (mut buffer, mut outbox) = (vec![0; READ], Vec::new());
    hold(count, |mut line: Line| {
        let (mut ws, mut inbox) = (WebSocket::server(Config::default()), Inbox::new());
        let mut received = false;
        while !received {
            let len = std::io::Read::read(&mut line, &mut buffer).unwrap();
            let mut input = &mut buffer[..len];
            while let Some(event) = ws.receive(&mut input, &mut inbox) {
                match event {
                    Event::Request(request) => ws.accept(request.accept(), &mut outbox).unwrap(),
                    Event::Message(message) => received = message == Message::Text(HELLO),
                    _ => {}
                }
            }
            outbox.clear();
        }
        // The inbox is dropped while it is empty; a later message may use another one.
        (ws, Inbox::new())
    })
}
