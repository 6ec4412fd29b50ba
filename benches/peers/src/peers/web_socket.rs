//! web-socket, over an `AsyncRead + AsyncWrite` that never blocks; it has no handshake and no
//! buffer.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use tokio::io::BufReader;
use web_socket::{DataType, Event, Stream, WebSocket};

type Socket = WebSocket<BufReader<Wire>>;

pub fn peer() -> Peer {
    Peer {
        name: "web-socket",
        utf8: "no: text is returned as bytes",
        notes: "behind tokio's `BufReader` of 8 KiB (of 8, 16, 64 and 128 the best), without which \
            each frame is three reads; fragments are joined here; each frame written separately, \
            which costs no system call here; masking keys from rand's thread generator",
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
        probe: Some(|wire| {
            let mut ws = open(wire, Role::Server);
            now(async {
                loop {
                    match ws.recv_event().await.map_err(|error| error.to_string())? {
                        Event::Data { data, .. } if &data[..] == LAST => return Ok(true),
                        Event::Error(error) => return Err(error.into()),
                        Event::Close { .. } => return Ok(false),
                        _ => {}
                    }
                }
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let mut ws = WebSocket::server(BufReader::new(line.past_the_request()));
                let Event::Data { data, .. } = now(ws.recv_event()).unwrap() else { panic!() };
                assert_eq!(&data[..], HELLO.as_bytes());
                ws
            })
        }),
    }
}

fn open(wire: Wire, role: Role) -> Socket {
    let stream = BufReader::new(wire);
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
