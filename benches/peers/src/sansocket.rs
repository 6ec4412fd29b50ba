//! This crate: the loop of its README, with its buffers in the sizes that suit a server.

use crate::{
    peers::{Bench, Peer, Receive, Receiving, Sending, doing, receiving},
    wire::{READ, Wire},
    work::Role,
};
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, rand_core::UnwrapErr};
use sansocket::{Buffer, Client, Config, Connect, Event, Inbox, Kind, Message, Server, Slice, WebSocket};

/// The outbox is written once it holds this much.
const FLUSH: usize = 16 * 1024;
/// From here on an echo writes the payload from where it lies.
const LARGE: usize = 4 * 1024;

/// With reads of up to 64 KiB, as every other.
pub fn peer() -> Peer {
    Peer {
        name: "sansocket",
        utf8: "yes, on the octet; simdutf8",
        notes: "masking keys from ChaCha12 (`StdRng`), seeded by the system; without permessage-deflate",
        receive: |case| receive::<READ>(case),
        echo: |case| echo::<READ>(case),
        send,
        accept: Some(accept),
        connect: Some(connect),
    }
}

/// With a read buffer that stays in the first-level cache.
pub fn short_reads() -> Peer {
    Peer {
        name: "sansocket, 16 KiB reads",
        notes: "as the first column, with a read buffer of 16 KiB",
        receive: |case| receive::<{ 17 * 1024 }>(case),
        echo: |case| echo::<{ 17 * 1024 }>(case),
        send: |_| None,
        accept: None,
        connect: None,
        ..peer()
    }
}

fn rng() -> StdRng {
    StdRng::from_rng(&mut UnwrapErr(SysRng))
}

/// A connection and its buffers.
struct Connection<R: sansocket::Role> {
    ws: WebSocket<R>,
    wire: Wire,
    buffer: Vec<u8>,
    inbox: Inbox,
    /// How many bytes of a frame that was cut wait at the front of the buffer.
    kept: usize,
}

impl<R: sansocket::Role> Connection<R> {
    /// One read, and the messages that it brings. A frame that is cut by its end, and whose rest fits into the buffer, waits
    /// at the buffer's front for the next one: its message is then lent from there.
    #[inline(always)]
    fn turn(&mut self, mut each: impl FnMut(&mut WebSocket<R>, &mut Wire, Message<'_>)) {
        let Self { ws, wire, buffer, inbox, kept } = self;
        let space = buffer.len();
        let end = *kept + wire.read(&mut buffer[*kept..]);
        let mut input = &mut buffer[..end];
        loop {
            let missing = ws.missing(input, inbox);
            if missing > 0 && missing <= (space - input.len()) as u64 {
                break;
            }
            match ws.receive(&mut input, inbox) {
                Some(Event::Message(message)) => each(ws, wire, message),
                Some(_) => panic!("only messages were sent"),
                None => break,
            }
        }
        *kept = input.len();
        if *kept > 0 {
            buffer.copy_within(end - *kept..end, 0);
        }
    }
}

impl<R: sansocket::Role> Receive for Connection<R> {
    #[inline]
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        let mut left = count;
        while left > 0 {
            self.turn(|_, _, message| {
                match message {
                    Message::Text(text) => each(true, text.as_bytes()),
                    Message::Binary(bytes) => each(false, bytes),
                }
                left -= 1;
            });
        }
    }
}

fn receive<const READ: usize>(case: Receiving) -> Option<Box<dyn Bench>> {
    let Receiving { role, wire, count, .. } = case;
    let (buffer, inbox) = (vec![0; READ], Inbox::new());
    match role {
        Role::Server => {
            let ws = WebSocket::<Server>::open(Config::default());
            receiving(Connection { ws, wire, buffer, inbox, kept: 0 }, count)
        }
        Role::Client => {
            let ws = WebSocket::<Client<_>>::open(Config::default(), rng());
            receiving(Connection { ws, wire, buffer, inbox, kept: 0 }, count)
        }
    }
}

fn echo<const READ: usize>(case: Receiving) -> Option<Box<dyn Bench>> {
    let Receiving { mut wire, count, .. } = case;
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Inbox::new(), Vec::with_capacity(2 * FLUSH));
    doing(move || {
        let mut left = count;
        while left > 0 {
            let len = wire.read(&mut buffer);
            let mut input = &mut buffer[..len];
            while let Some(event) = ws.receive(&mut input, &mut inbox) {
                let Event::Message(message) = event else { panic!("{event:?}") };
                let payload = message.as_bytes();
                if payload.len() < LARGE {
                    ws.send(message, &mut outbox).unwrap();
                } else {
                    ws.send_header(message.kind(), payload.len() as u64, &mut outbox).unwrap();
                    wire.write(&outbox);
                    outbox.clear();
                    wire.write(payload);
                    ws.payload_sent(payload.len() as u64).unwrap();
                }
                ws.transmit(&mut outbox).unwrap();
                if outbox.len() >= FLUSH {
                    wire.write(&outbox);
                    outbox.clear();
                }
                left -= 1;
            }
            wire.write(&outbox);
            outbox.clear();
        }
    })
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
                ws.send_header(Kind::Binary, payload.len() as u64, &mut outbox).unwrap();
                wire.write(&outbox);
                outbox.clear();
                wire.write(&payload);
                ws.payload_sent(payload.len() as u64).unwrap();
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
    // A program has one generator, and its connections borrow it.
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
