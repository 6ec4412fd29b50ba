//! tungstenite: blocking, over `Read + Write`; tokio-tungstenite is an adapter for it.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    idle::{HELLO, hold},
    strict::LAST,
    wire::Wire,
    work::Role,
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest, protocol};

pub fn peer() -> Peer {
    Peer {
        name: "tungstenite",
        utf8: "yes, at the end of each frame; core",
        notes: "its default buffers of 128 KiB; `write`, and one `flush` a pass",
        receive: |Receiving { role, wire, count, .. }| receiving(open(wire, role), count),
        echo: |Receiving { role, wire, count, .. }| {
            let mut ws = open(wire, role);
            doing(move || {
                for _ in 0..count {
                    let message = ws.read().unwrap();
                    ws.write(message).unwrap();
                }
                ws.flush().unwrap();
            })
        },
        send: |Sending { role, wire, payload, count }| {
            let mut ws = open(wire, role);
            doing(move || {
                for _ in 0..count {
                    ws.write(Message::Binary(payload.clone())).unwrap();
                }
                ws.flush().unwrap();
            })
        },
        accept: Some(|wire| _ = tungstenite::accept(wire).unwrap()),
        connect: Some(|wire| {
            let request = "ws://server.example.com/chat".into_client_request().unwrap();
            tungstenite::client(request, wire).unwrap();
        }),
        probe: Some(|wire| {
            let mut ws = open(wire, Role::Server);
            loop {
                match ws.read().map_err(|error| error.to_string())? {
                    Message::Close(_) => return Ok(false),
                    Message::Binary(bytes) if &bytes[..] == LAST => return Ok(true),
                    _ => {}
                }
            }
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let mut ws = tungstenite::accept(line).unwrap();
                assert_eq!(ws.read().unwrap(), Message::text(HELLO));
                ws
            })
        }),
    }
}

fn open(wire: Wire, role: Role) -> WebSocket<Wire> {
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    WebSocket::from_raw_socket(wire, role, None)
}

impl Receive for WebSocket<Wire> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        for _ in 0..count {
            match self.read().unwrap() {
                Message::Text(text) => each(true, text.as_ref()),
                Message::Binary(bytes) => each(false, &bytes),
                other => panic!("{other:?}"),
            }
        }
    }
}
