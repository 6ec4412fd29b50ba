//! yawc, over an `AsyncRead + AsyncWrite` that never waits.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    wire::{Wire, now},
    work::Role,
};
use futures::SinkExt;
use yawc::{Frame, OpCode, Options, WebSocket};

pub fn peer() -> Peer {
    Peer {
        name: "yawc",
        utf8: "yes, at the end of each message (`with_utf8`; off by default); simdutf8",
        notes: "the buffers of its own benchmark: 128 KiB to read, a write boundary of 64 KiB; `feed` and one `flush` a \
                pass; its handshake is hyper's and not run; masking keys from rand's thread generator",
        receive: |Receiving { role, wire, count, .. }| receiving(open(wire, role), count),
        echo: |Receiving { role, wire, count, .. }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        let frame = ws.next_frame().await.unwrap();
                        ws.feed(frame).await.unwrap();
                    }
                    ws.flush().await.unwrap();
                })
            })
        },
        send: |Sending { role, wire, payload, count }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        ws.feed(Frame::binary(payload.clone())).await.unwrap();
                    }
                    ws.flush().await.unwrap();
                })
            })
        },
        accept: None,
        connect: None,
    }
}

fn open(wire: Wire, role: Role) -> WebSocket<Wire> {
    let role = match role {
        Role::Server => yawc::Role::Server,
        Role::Client => yawc::Role::Client,
    };
    let options = Options::default()
        .with_limits(64 << 20, 64 << 20)
        .with_read_buffer_capacity(128 * 1024)
        .with_backpressure_boundary(64 * 1024)
        .with_utf8();
    WebSocket::from_stream(wire, role, options).unwrap()
}

impl Receive for WebSocket<Wire> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                let frame = self.next_frame().await.unwrap();
                each(frame.opcode() == OpCode::Text, frame.payload());
            }
        });
    }
}
