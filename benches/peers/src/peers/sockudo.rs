//! sockudo-ws, in its two layers: `Protocol`, which is sans-IO, and the stream over it.

use super::{Bench, Peer, Receive, Receiving, Sending, doing, echoing, feeding, receiving};
use crate::{
    compression::{Case, Held, Work},
    idle::{HELLO, hold},
    strict::LAST,
    wire::{READ, Wire, now},
    work::Role,
};
use bytes::BytesMut;
use futures::StreamExt;
use sockudo_ws::{
    Config, DeflateConfig, DeflateWindowBits, WebSocketStream, frame, handshake,
    protocol::{CompressedProtocol, Message, Protocol},
};
use std::{hint::black_box, io::Read};
use tokio::io::{AsyncRead, AsyncWrite};

/// The size of its own stream's cork.
const FLUSH: usize = sockudo_ws::CORK_BUFFER_SIZE;
/// Its own stream writes a server's payload from this length on without a copy.
const LARGE: usize = 8 * 1024;

pub fn protocol() -> Peer {
    Peer {
        name: "sockudo-ws Protocol",
        utf8: "yes, on the byte; simdutf8",
        notes: "sans-IO: `process_into` with its vector kept; masking keys from fastrand, which is \
            not cryptographic",
        receive,
        echo,
        send,
        accept: Some(accept),
        connect: Some(connect),
        probe: Some(|mut wire| {
            let (mut ws, mut buffer, mut messages) = (machine(Role::Server), BytesMut::new(), Vec::new());
            let mut bytes = [0; 4096];
            loop {
                let len = wire.read(&mut bytes);
                buffer.extend_from_slice(&bytes[..len]);
                let result = ws.process_into(&mut buffer, &mut messages);
                if messages.iter().any(|message| message.as_bytes() == LAST) {
                    return Ok(true);
                }
                result.map_err(|error| error.to_string())?;
                if len == 0 || messages.iter().any(Message::is_close) {
                    return Ok(false);
                }
            }
        }),
        idle: Some(|count| {
            let (mut bytes, mut buffer, mut messages) = ([0; 4096], BytesMut::new(), Vec::new());
            hold(count, |mut line| {
                let len = line.read(&mut bytes).unwrap();
                let (request, _) = handshake::parse_request(&bytes[..len]).unwrap().unwrap();
                black_box(handshake::generate_accept_key(request.key));
                let mut ws = machine(Role::Server);
                let len = line.read(&mut bytes).unwrap();
                buffer.extend_from_slice(&bytes[..len]);
                ws.process_into(&mut buffer, &mut messages).unwrap();
                assert_eq!(messages.pop().unwrap().as_bytes(), HELLO.as_bytes());
                // A connection needs its own buffer while a frame is incomplete.
                (ws, BytesMut::new())
            })
        }),
    }
}

pub fn stream() -> Peer {
    Peer {
        name: "sockudo-ws stream",
        utf8: "yes, on the byte; simdutf8",
        notes: "`WebSocketStream`, its timers off, `feed` and one `flush` a pass; masking keys from \
            fastrand",
        receive: |Receiving { role, wire, count, .. }| receiving(open(wire, role), count),
        echo: |Receiving { role, wire, count, .. }| echoing(open(wire, role), count),
        send: |Sending { role, wire, payload, count }| {
            feeding(open(wire, role), count, move || Message::Binary(payload.clone()))
        },
        accept: Some(|wire| _ = now(handshake::server_handshake(wire)).unwrap()),
        connect: Some(|wire| {
            now(handshake::client_handshake(wire, "server.example.com", "/chat", None)).unwrap();
        }),
        probe: Some(|wire| {
            let mut ws = open(wire, Role::Server);
            now(async {
                while let Some(message) = ws.next().await {
                    match message.map_err(|error| error.to_string())? {
                        Message::Close(_) => return Ok(false),
                        message if message.as_bytes() == LAST => return Ok(true),
                        _ => {}
                    }
                }
                Ok(false)
            })
        }),
        idle: Some(|count| {
            hold(count, |mut line| {
                now(handshake::server_handshake(&mut line)).unwrap();
                let mut ws = open(line, Role::Server);
                let message = now(ws.next()).unwrap().unwrap();
                assert_eq!(message.as_bytes(), HELLO.as_bytes());
                ws
            })
        }),
    }
}

fn their(role: Role) -> sockudo_ws::Role {
    match role {
        Role::Server => sockudo_ws::Role::Server,
        Role::Client => sockudo_ws::Role::Client,
    }
}

fn machine(role: Role) -> Protocol {
    let config = Config::default();
    Protocol::new(their(role), config.max_frame_size, config.max_message_size)
}

struct Connection {
    ws: Protocol,
    wire: Wire,
    buffer: BytesMut,
    messages: Vec<Message>,
}

impl Connection {
    fn new(case: Receiving) -> Self {
        let Receiving { role, wire, .. } = case;
        Self { ws: machine(role), wire, buffer: BytesMut::with_capacity(READ), messages: Vec::new() }
    }

    /// Reads as its own stream does.
    #[inline]
    fn read(&mut self) {
        let Self { ws, wire, buffer, messages } = self;
        buffer.reserve(READ);
        now(tokio::io::AsyncReadExt::read_buf(wire, buffer)).unwrap();
        ws.process_into(buffer, messages).unwrap();
    }
}

impl Receive for Connection {
    #[inline]
    fn receive(&mut self, mut count: usize, mut each: impl FnMut(bool, &[u8])) {
        while count > 0 {
            self.read();
            count -= self.messages.len();
            for message in self.messages.drain(..) {
                each(message.is_text(), message.as_bytes());
            }
        }
    }
}

fn receive(case: Receiving) -> Option<Box<dyn Bench>> {
    let count = case.count;
    receiving(Connection::new(case), count)
}

fn echo(case: Receiving) -> Option<Box<dyn Bench>> {
    let count = case.count;
    let mut connection = Connection::new(case);
    let mut out = BytesMut::with_capacity(2 * FLUSH);
    doing(move || {
        let mut left = count;
        while left > 0 {
            connection.read();
            let Connection { ws, wire, messages, .. } = &mut connection;
            left -= messages.len();
            for message in messages.drain(..) {
                answer(ws, wire, &message, &mut out);
            }
            wire.write(&out);
            out.clear();
        }
    })
}

/// Sends as its own stream does.
#[inline]
fn answer(ws: &mut Protocol, wire: &mut Wire, message: &Message, out: &mut BytesMut) {
    let payload = message.as_bytes();
    if payload.len() < LARGE {
        ws.encode_message(message, out).unwrap();
    } else {
        frame::encode_frame_header(out, frame::OpCode::Binary, payload.len(), true, None);
        wire.write(out);
        out.clear();
        wire.write(payload);
    }
    if out.len() >= FLUSH {
        wire.write(out);
        out.clear();
    }
}

fn send(case: Sending) -> Option<Box<dyn Bench>> {
    let Sending { role, mut wire, payload, count } = case;
    let mut ws = machine(role);
    let mut out = BytesMut::with_capacity(2 * FLUSH + payload.len());
    let message = Message::Binary(payload);
    doing(move || {
        for _ in 0..count {
            if role == Role::Server {
                answer(&mut ws, &mut wire, &message, &mut out);
            } else {
                ws.encode_message(&message, &mut out).unwrap();
                if out.len() >= FLUSH {
                    wire.write(&out);
                    out.clear();
                }
            }
        }
        wire.write(&out);
        out.clear();
    })
}

fn accept(wire: &mut Wire) {
    let mut buffer = [0; 1024];
    let len = wire.read(&mut buffer);
    let (request, _) = handshake::parse_request(&buffer[..len]).unwrap().unwrap();
    let accept = handshake::generate_accept_key(request.key);
    wire.write(&handshake::build_response(&accept, None, None));
}

fn connect(wire: &mut Wire) {
    let mut buffer = [0; 1024];
    let key = handshake::generate_key();
    wire.write(&handshake::build_request("server.example.com", "/chat", &key, None, None));
    let len = wire.read(&mut buffer);
    let (response, _) = handshake::parse_response(&buffer[..len]).unwrap().unwrap();
    assert!(handshake::validate_accept_key(&key, response.accept.unwrap()));
}

fn open<S: AsyncRead + AsyncWrite + Unpin>(wire: S, role: Role) -> WebSocketStream<S> {
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    WebSocketStream::from_raw(wire, their(role), config)
}

impl Receive for WebSocketStream<Wire> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                let message = self.next().await.unwrap().unwrap();
                each(message.is_text(), message.as_bytes());
            }
        });
    }
}

fn deflating(takeover: bool, level: u32, window_bits: u8) -> CompressedProtocol {
    let bits = DeflateWindowBits::try_from(window_bits).unwrap();
    let compression = DeflateConfig {
        server_max_window_bits: bits,
        client_max_window_bits: bits,
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        compression_level: level,
        compression_threshold: 0,
    };
    let config = Config::default();
    CompressedProtocol::server(config.max_frame_size, config.max_message_size, compression)
}

/// Compressed messages, by `CompressedProtocol`, which is sans-IO. Reads and writes as above.
pub fn compressed(case: Case, level: u32) -> Option<Box<dyn Bench>> {
    let Case { work, takeover, mut wire, messages } = case;
    let mut ws = deflating(takeover, level, 15);
    let count = messages.len();
    match work {
        // Receiving is the same work at every level.
        Work::Receive if level > 1 => None,
        Work::Receive => {
            let buffer = BytesMut::with_capacity(READ);
            receiving(Deflating { ws, wire, buffer, messages: Vec::new() }, count)
        }
        Work::Send => {
            let messages: Vec<_> = messages.iter().map(|text| Message::Text(text.clone())).collect();
            let mut out = BytesMut::with_capacity(2 * FLUSH);
            doing(move || {
                for message in &messages {
                    ws.encode_message(message, &mut out).unwrap();
                    if out.len() >= FLUSH {
                        wire.write(&out);
                        out.clear();
                    }
                }
                wire.write(&out);
                out.clear();
            })
        }
        Work::Echo => {
            let buffer = BytesMut::with_capacity(READ);
            let mut connection = Deflating { ws, wire, buffer, messages: Vec::new() };
            let mut out = BytesMut::with_capacity(2 * FLUSH);
            doing(move || {
                let mut left = count;
                while left > 0 {
                    connection.read();
                    let Deflating { ws, wire, messages, .. } = &mut connection;
                    left -= messages.len();
                    for message in messages.drain(..) {
                        ws.encode_message(&message, &mut out).unwrap();
                        if out.len() >= FLUSH {
                            wire.write(&out);
                            out.clear();
                        }
                    }
                    wire.write(&out);
                    out.clear();
                }
            })
        }
    }
}

struct Deflating {
    ws: CompressedProtocol,
    wire: Wire,
    buffer: BytesMut,
    messages: Vec<Message>,
}

impl Deflating {
    #[inline]
    fn read(&mut self) {
        let Self { ws, wire, buffer, messages } = self;
        buffer.reserve(READ);
        now(tokio::io::AsyncReadExt::read_buf(wire, buffer)).unwrap();
        ws.process_into(buffer, messages).unwrap();
    }
}

impl Receive for Deflating {
    #[inline]
    fn receive(&mut self, mut count: usize, mut each: impl FnMut(bool, &[u8])) {
        while count > 0 {
            self.read();
            count -= self.messages.len();
            for message in self.messages.drain(..) {
                each(message.is_text(), message.as_bytes());
            }
        }
    }
}

/// A connection that has echoed a message. Its buffer is empty then.
pub fn after_echo(wire: &mut Wire, window_bits: u8, takeover: bool) -> Held {
    let mut ws = deflating(takeover, 1, window_bits);
    let (mut buffer, mut out) = (BytesMut::with_capacity(READ), BytesMut::new());
    while out.is_empty() {
        buffer.reserve(READ);
        now(tokio::io::AsyncReadExt::read_buf(wire, &mut buffer)).unwrap();
        for message in ws.process(&mut buffer).unwrap() {
            ws.encode_message(&message, &mut out).unwrap();
        }
    }
    (Box::new(ws), size_of::<CompressedProtocol>())
}
