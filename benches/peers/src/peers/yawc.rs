//! yawc, over an `AsyncRead + AsyncWrite` that never blocks.

use super::{Bench, Peer, Receive, Receiving, Sending, doing, feeding, receiving};
use crate::{
    compression::{Case, Work},
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use futures::SinkExt;
use yawc::{Frame, OpCode, Options, WebSocket};

pub fn peer() -> Peer {
    Peer {
        name: "yawc",
        utf8: "yes, at the end of each message (`with_utf8`; off by default); simdutf8",
        notes: "a read buffer of 16 KiB (of 8, 16, 64 and 128 the best but for 1 MiB); the write \
            boundary of its own benchmark; `feed` and one `flush` a pass; its handshake is \
            hyper's and not run; masking keys from rand's thread generator",
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
            feeding(open(wire, role), count, move || Frame::binary(payload.clone()))
        },
        accept: None,
        connect: None,
        probe: Some(|wire| {
            let mut ws = open(wire, Role::Server);
            now(async {
                loop {
                    let frame = ws.next_frame().await.map_err(|error| error.to_string())?;
                    match frame.opcode() {
                        OpCode::Close => return Ok(false),
                        _ if &frame.payload()[..] == LAST => return Ok(true),
                        _ => {}
                    }
                }
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let options = Options::default().with_utf8();
                let mut ws =
                    WebSocket::from_stream(line.past_the_request(), yawc::Role::Server, options).unwrap();
                assert_eq!(now(ws.next_frame()).unwrap().payload(), HELLO);
                ws
            })
        }),
    }
}

fn open(wire: Wire, role: Role) -> WebSocket<Wire> {
    let role = match role {
        Role::Server => yawc::Role::Server,
        Role::Client => yawc::Role::Client,
    };
    WebSocket::from_stream(wire, role, options()).unwrap()
}

fn options() -> Options {
    Options::default()
        .with_limits(64 << 20, 64 << 20)
        .with_read_buffer_capacity(16 * 1024)
        .with_backpressure_boundary(64 * 1024)
        .with_utf8()
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

/// Compressed messages at level 1; `feed` and one `flush` a pass.
pub fn compressed(case: Case) -> Option<Box<dyn Bench>> {
    let Case { work, takeover, wire, messages } = case;
    let count = messages.len();
    let mut options = options().with_low_latency_compression().with_compression_threshold(0);
    let mut agreed = "permessage-deflate".to_owned();
    if !takeover {
        options = options.server_no_context_takeover().client_no_context_takeover();
        agreed += "; server_no_context_takeover; client_no_context_takeover";
    }
    let mut ws =
        WebSocket::from_stream_with_extensions(wire, yawc::Role::Server, Some(&agreed), options).unwrap();
    match work {
        Work::Receive => receiving(ws, count),
        Work::Send => doing(move || {
            now(async {
                for text in &messages[..] {
                    ws.feed(Frame::text(text.clone())).await.unwrap();
                }
                ws.flush().await.unwrap();
            })
        }),
        Work::Echo => doing(move || {
            now(async {
                for _ in 0..count {
                    let frame = ws.next_frame().await.unwrap();
                    ws.feed(frame).await.unwrap();
                }
                ws.flush().await.unwrap();
            })
        }),
    }
}
