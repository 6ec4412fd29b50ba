//! web-socket, over an `AsyncRead + AsyncWrite` that never waits; it has no handshake and no buffer of its own.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    wire::{READ, Wire, now},
    work::Role,
};
use tokio::io::BufReader;
use web_socket::{DataType, Event, Stream, WebSocket};

type Socket = WebSocket<BufReader<Wire>>;

pub fn peer() -> Peer {
    Peer {
        name: "web-socket",
        utf8: "no: text comes as octets",
        notes: "behind tokio's `BufReader` of 64 KiB, without which each frame is three reads; fragments come unjoined and \
                are joined here; each frame written by itself, which costs no system call here; masking keys from \
                rand's thread generator",
        receive: |case| {
            let Receiving { role, wire, count, .. } = case;
            let joined = Vec::new();
            receiving(Connection { ws: open(wire, role), joined }, count)
        },
        echo: |Receiving { role, wire, count, .. }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        let Event::Data { data, .. } = ws.recv_event().await.unwrap() else { panic!() };
                        ws.send(&data[..]).await.unwrap();
                    }
                })
            })
        },
        send: |Sending { role, wire, payload, count }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        ws.send(&payload[..]).await.unwrap();
                    }
                })
            })
        },
        accept: None,
        connect: None,
    }
}

fn open(wire: Wire, role: Role) -> Socket {
    let stream = BufReader::with_capacity(READ, wire);
    match role {
        Role::Server => WebSocket::server(stream),
        Role::Client => WebSocket::client(stream),
    }
}

struct Connection {
    ws: Socket,
    joined: Vec<u8>,
}

impl Receive for Connection {
    fn receive(&mut self, mut count: usize, mut each: impl FnMut(bool, &[u8])) {
        let Self { ws, joined } = self;
        now(async {
            while count > 0 {
                match ws.recv_event().await.unwrap() {
                    Event::Data { ty: DataType::Complete(ty), data } => each(ty.is_text(), &data),
                    Event::Data { ty: DataType::Stream(part), data } => {
                        joined.extend_from_slice(&data);
                        let Stream::End(ty) = part else { continue };
                        each(ty.is_text(), joined);
                        joined.clear();
                    }
                    other => panic!("{other:?}"),
                }
                count -= 1;
            }
        });
    }
}
