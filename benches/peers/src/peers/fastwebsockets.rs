//! fastwebsockets, over an `AsyncRead + AsyncWrite` that never blocks. All messages go through its
//! `FragmentCollector`, which fragmented ones need.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

pub fn peer() -> Peer {
    Peer {
        name: "fastwebsockets",
        utf8: "yes, at the end of each message; simdutf8",
        notes: "`FragmentCollector`; reads of its own choice, 8 KiB or the rest of a large frame; \
            each frame written separately, which costs no system call here; its handshake is \
            hyper's and not run",
        receive: |Receiving { role, wire, count, .. }| receiving(open(wire, role), count),
        echo: |Receiving { role, wire, count, .. }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        let frame = ws.read_frame().await.unwrap();
                        let frame = Frame::new(true, frame.opcode, None, frame.payload);
                        ws.write_frame(frame).await.unwrap();
                    }
                })
            })
        },
        send: |Sending { role, wire, payload, count }| {
            let mut ws = open(wire, role);
            doing(move || {
                now(async {
                    for _ in 0..count {
                        let frame = Frame::binary(Payload::Borrowed(&payload));
                        ws.write_frame(frame).await.unwrap();
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
                    let frame = ws.read_frame().await.map_err(|error| error.to_string())?;
                    match frame.opcode {
                        OpCode::Close => return Ok(false),
                        _ if &frame.payload[..] == LAST => return Ok(true),
                        _ => {}
                    }
                }
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let mut ws = open(line.past_the_request(), Role::Server);
                assert_eq!(&now(ws.read_frame()).unwrap().payload[..], HELLO.as_bytes());
                ws
            })
        }),
    }
}

fn open<S: AsyncRead + AsyncWrite + Unpin>(wire: S, role: Role) -> FragmentCollector<S> {
    let role = match role {
        Role::Server => fastwebsockets::Role::Server,
        Role::Client => fastwebsockets::Role::Client,
    };
    let mut ws = WebSocket::after_handshake(wire, role);
    ws.set_writev(true);
    FragmentCollector::new(ws)
}

impl Receive for FragmentCollector<Wire> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                let frame = self.read_frame().await.unwrap();
                each(frame.opcode == OpCode::Text, &frame.payload);
            }
        });
    }
}
