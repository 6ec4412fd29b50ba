//! tokio-websockets, over an `AsyncRead + AsyncWrite` that never blocks.

use super::{Peer, Receive, Receiving, Sending, echoing, feeding, receiving};
use crate::{
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use futures::StreamExt;
use tokio_websockets::{ClientBuilder, Config, Message, ServerBuilder, WebSocketStream};

pub fn peer() -> Peer {
    Peer {
        name: "tokio-websockets",
        utf8: "yes, on the byte; simdutf8",
        notes: "reads of its own choice: 8 KiB, or the rest of a large frame; masks with AVX-512 or \
            AVX2 found at run time; `feed` and one `flush` a pass; masking keys from fastrand, \
            which is not cryptographic; SHA-1 from ring",
        receive: |Receiving { role, wire, count, .. }| receiving(open(wire, role), count),
        echo: |Receiving { role, wire, count, .. }| echoing(open(wire, role), count),
        send: |Sending { role, wire, payload, count }| {
            feeding(open(wire, role), count, move || Message::binary(payload.clone()))
        },
        accept: Some(|wire| _ = now(ServerBuilder::new().accept(wire)).unwrap()),
        connect: Some(|wire| {
            let uri = http::Uri::from_static("ws://server.example.com/chat");
            now(ClientBuilder::from_uri(uri).connect_on(wire)).unwrap();
        }),
        probe: Some(|wire| {
            let mut ws = open(wire, Role::Server);
            now(async {
                while let Some(message) = ws.next().await {
                    let message = message.map_err(|error| error.to_string())?;
                    if message.is_close() || &message.as_payload()[..] == LAST {
                        return Ok(!message.is_close());
                    }
                }
                Ok(false)
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let (_, mut ws) = now(ServerBuilder::new().accept(line)).unwrap();
                assert_eq!(now(ws.next()).unwrap().unwrap().as_text(), Some(HELLO));
                ws
            })
        }),
    }
}

fn open(wire: Wire, role: Role) -> WebSocketStream<Wire> {
    // As in its own echo server.
    let config = Config::default().frame_size(usize::MAX);
    match role {
        Role::Server => ServerBuilder::new().config(config).serve(wire),
        Role::Client => ClientBuilder::new().config(config).take_over(wire),
    }
}

impl Receive for WebSocketStream<Wire> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                let message = self.next().await.unwrap().unwrap();
                each(message.is_text(), message.as_payload());
            }
        });
    }
}
