//! embedded-websocket: its codec over slices, in the loop of its own `Framer`, which cannot
//! continue a header that is cut by a read.

use super::{Bench, Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    idle::{HELLO, Held, hold},
    strict::LAST,
    wire::{READ, Wire},
    work::Role,
};
use embedded_websocket::{
    Error, WebSocket, WebSocketClient, WebSocketOptions, WebSocketReceiveMessageType as Received,
    WebSocketSendMessageType as Sent, WebSocketServer, WebSocketState, WebSocketType, read_http_header,
};
use rand_08::{RngCore, rngs::ThreadRng, thread_rng};
use std::{io::Read, str};

/// The length of a read; the outbox is written once it has this length.
const BUFFER: usize = 16 * 1024;

pub fn peer() -> Peer {
    Peer {
        name: "embedded-websocket",
        utf8: "in its `Framer` only, at the end of each message; here in the same way; core",
        notes: "the caller's buffers: 16 KiB to read (of 8, 16, 64 and 128 the best), 16 KiB to \
            send; cannot take fragments that reads cut; the request is parsed by the caller, \
            with httparse; masking keys from rand's thread generator",
        receive: |case| match case.role {
            // It fails on a fragment whose payload is cut by a read.
            _ if case.fragments > 1 => None,
            Role::Server => receive(case, WebSocketServer::new_server()),
            Role::Client => receive(case, WebSocketClient::new_client(thread_rng())),
        },
        echo,
        send: |case| match case.role {
            Role::Server => send(case, WebSocketServer::new_server()),
            Role::Client => send(case, WebSocketClient::new_client(thread_rng())),
        },
        accept: Some(accept),
        connect: Some(connect),
        probe: Some(probe),
        idle: Some(idle),
    }
}

/// A connection and its buffers.
struct Connection<R: RngCore, T: WebSocketType> {
    ws: WebSocket<R, T>,
    wire: Wire,
    buffer: Vec<u8>,
    /// The range of the buffer that is not used up.
    unread: std::ops::Range<usize>,
    message: Vec<u8>,
    filled: usize,
}

impl<R: RngCore, T: WebSocketType> Connection<R, T> {
    fn new(case: Receiving, mut ws: WebSocket<R, T>) -> Self {
        ws.state = WebSocketState::Open;
        let (buffer, message) = (vec![0; BUFFER], vec![0; case.largest]);
        Self { ws, wire: case.wire, buffer, unread: 0..0, message, filled: 0 }
    }

    /// Receives one message: returns whether it is text, and its length.
    #[inline]
    fn next(&mut self) -> (bool, usize) {
        loop {
            while !self.unread.is_empty() {
                let from = &self.buffer[self.unread.clone()];
                let got = match self.ws.read(from, &mut self.message[self.filled..]) {
                    Ok(got) => got,
                    Err(Error::ReadFrameIncomplete) => break,
                    Err(error) => panic!("{error:?}"),
                };
                self.unread.start += got.len_from;
                self.filled += got.len_to;
                if got.end_of_message {
                    let text = got.message_type == Received::Text;
                    return (text, std::mem::take(&mut self.filled));
                }
            }
            let left = self.unread.len();
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..left + self.wire.read(&mut self.buffer[left..]);
        }
    }
}

impl<R: RngCore, T: WebSocketType> Receive for Connection<R, T> {
    #[inline]
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        for _ in 0..count {
            let (text, len) = self.next();
            let message = &self.message[..len];
            if text {
                str::from_utf8(message).unwrap();
            }
            each(text, message);
        }
    }
}

fn receive<R: RngCore + 'static, T: WebSocketType + 'static>(
    case: Receiving,
    ws: WebSocket<R, T>,
) -> Option<Box<dyn Bench>> {
    let count = case.count;
    receiving(Connection::new(case, ws), count)
}

fn echo(case: Receiving) -> Option<Box<dyn Bench>> {
    let (count, largest) = (case.count, case.largest);
    let mut connection = Connection::new(case, WebSocketServer::new_server());
    let (mut outbox, mut filled) = (vec![0; BUFFER + largest + 14], 0);
    doing(move || {
        for _ in 0..count {
            let (_, len) = connection.next();
            let Connection { ws, wire, message, .. } = &mut connection;
            filled += ws.write(Sent::Binary, true, &message[..len], &mut outbox[filled..]).unwrap();
            if filled >= BUFFER {
                wire.write(&outbox[..filled]);
                filled = 0;
            }
        }
        connection.wire.write(&outbox[..filled]);
        filled = 0;
    })
}

fn send<R: RngCore + 'static, T: WebSocketType + 'static>(
    case: Sending,
    mut ws: WebSocket<R, T>,
) -> Option<Box<dyn Bench>> {
    let Sending { mut wire, payload, count, .. } = case;
    ws.state = WebSocketState::Open;
    let (mut outbox, mut filled) = (vec![0; BUFFER + payload.len() + 14], 0);
    doing(move || {
        for _ in 0..count {
            filled += ws.write(Sent::Binary, true, &payload, &mut outbox[filled..]).unwrap();
            if filled >= BUFFER {
                wire.write(&outbox[..filled]);
                filled = 0;
            }
        }
        wire.write(&outbox[..filled]);
        filled = 0;
    })
}

fn accept(wire: &mut Wire) {
    let mut buffer = [0; 1024];
    let len = wire.read(&mut buffer);
    let mut outbox = [0; 1024];
    let len = answer(&mut WebSocketServer::new_server(), &buffer[..len], &mut outbox);
    wire.write(&outbox[..len]);
}

fn answer(ws: &mut WebSocketServer, request: &[u8], outbox: &mut [u8]) -> usize {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(request).unwrap();
    let context = read_http_header(parsed.headers.iter().map(|header| (header.name, header.value)));
    let key = context.unwrap().unwrap().sec_websocket_key;
    ws.server_accept(&key, None, outbox).unwrap()
}

fn connect(wire: &mut Wire) {
    let mut ws = WebSocketClient::<ThreadRng>::new_client(thread_rng());
    let mut buffer = [0; 1024];
    let options = WebSocketOptions {
        path: "/chat",
        host: "server.example.com",
        origin: "http://server.example.com",
        sub_protocols: None,
        additional_headers: None,
    };
    let (len, key) = ws.client_connect(&options, &mut buffer).unwrap();
    wire.write(&buffer[..len]);
    let len = wire.read(&mut buffer);
    ws.client_accept(&key, &buffer[..len]).unwrap();
}

fn probe(mut wire: Wire) -> Result<bool, String> {
    let mut ws = WebSocketServer::new_server();
    ws.state = WebSocketState::Open;
    let (mut buffer, mut message, mut filled) = (vec![0; READ], vec![0; READ], 0);
    let len = wire.read(&mut buffer);
    let mut input = &buffer[..len];
    while !input.is_empty() {
        let got = match ws.read(input, &mut message[filled..]) {
            Err(Error::ReadFrameIncomplete) => break,
            got => got.map_err(|error| error.to_string())?,
        };
        input = &input[got.len_from..];
        match got.message_type {
            Received::Binary | Received::Text => filled += got.len_to,
            Received::Ping | Received::Pong => continue,
            _ => return Ok(false),
        }
        if got.end_of_message {
            let message = &message[..std::mem::take(&mut filled)];
            if got.message_type == Received::Text {
                str::from_utf8(message).map_err(|error| error.to_string())?;
            }
            if message == LAST {
                return Ok(true);
            }
        }
    }
    wire.read(&mut buffer);
    Ok(false)
}

fn idle(count: usize) -> Held {
    hold(count, |mut line| {
        let (mut buffer, mut message) = ([0; 1024], [0; 1024]);
        let len = line.read(&mut buffer).unwrap();
        let mut ws = WebSocketServer::new_server();
        answer(&mut ws, &buffer[..len], &mut message);
        let len = line.read(&mut buffer).unwrap();
        let got = ws.read(&buffer[..len], &mut message).unwrap();
        assert_eq!(&message[..got.len_to], HELLO.as_bytes());
        ws
    })
}
