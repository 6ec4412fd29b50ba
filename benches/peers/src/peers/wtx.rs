//! wtx, over its own stream traits.

use super::{Bench, Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    compression::{Case, Work},
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use wtx::{
    collection::Vector,
    rng::{Xorshift64, simple_seed},
    web_socket::{
        Frame, OpCode, WebSocket, WebSocketAcceptor, WebSocketBuffer, WebSocketConnector, WebSocketOwned,
        WebSocketPayloadOrigin::Adaptive,
        compression::{
            Compression, CompressionLevel, DeflateConfig, Flate2, NegotiatedCompression, WindowBits,
        },
    },
};

type Socket<const IS_CLIENT: bool, C = ()> = WebSocketOwned<C, Xorshift64, Wire, IS_CLIENT>;

pub fn peer() -> Peer {
    Peer {
        name: "wtx",
        utf8: "yes, at the end of each frame; simdutf8",
        notes: "version 0.46.1, the latest for this compiler; payloads borrowed from its buffer of \
            8 KiB (of 8, 16, 64 and 128 the best); each frame written separately, which costs no \
            system call here; masks the caller's payload in place, so that a client's payload is \
            copied first; masking keys from xorshift, which is not cryptographic; SHA-1 from ring",
        receive: |case| match case.role {
            Role::Server => receive::<false>(case),
            Role::Client => receive::<true>(case),
        },
        echo: |Receiving { wire, count, .. }| {
            let (mut ws, mut buffer) = (open::<false>(wire), Vector::new());
            doing(move || {
                now(async {
                    for _ in 0..count {
                        let (mut common, mut reader, mut writer) = ws.split_mut();
                        let mut frame = reader.read_frame(&mut buffer, &mut common, Adaptive).await.unwrap();
                        writer.write_frame(&mut common, &mut frame).await.unwrap();
                    }
                })
            })
        },
        send: |case| match case.role {
            Role::Server => send::<false>(case),
            Role::Client => send::<true>(case),
        },
        accept: Some(|wire| _ = now(WebSocketAcceptor::default().accept(wire)).unwrap()),
        connect: Some(|wire| {
            let uri = "ws://server.example.com/chat".into();
            now(WebSocketConnector::default().connect(wire, &uri)).unwrap();
        }),
        probe: Some(|wire| {
            let (mut ws, mut buffer) = (open::<false>(wire), Vector::new());
            now(async {
                loop {
                    let frame = ws.read_frame(&mut buffer, Adaptive).await;
                    let frame = frame.map_err(|error| error.to_string())?;
                    match frame.op_code() {
                        OpCode::Close => return Ok(false),
                        _ if &frame.payload()[..] == LAST => return Ok(true),
                        _ => {}
                    }
                }
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                let mut ws = now(WebSocketAcceptor::default().accept(line)).unwrap();
                let mut buffer = Vector::new();
                let frame = now(ws.read_frame(&mut buffer, Adaptive)).unwrap();
                assert_eq!(frame.text_payload(), Some(HELLO));
                ws
            })
        }),
    }
}

fn open<const IS_CLIENT: bool>(wire: Wire) -> Socket<IS_CLIENT> {
    let buffer = WebSocketBuffer::with_capacity(8 * 1024, 0, 0).unwrap();
    // Frames are masked: leaving it out is a draft that only wtx implements.
    WebSocket::new((), false, Xorshift64::from(simple_seed()), wire, buffer)
}

fn receive<const IS_CLIENT: bool>(case: Receiving) -> Option<Box<dyn super::Bench>> {
    receiving(Connection { ws: open::<IS_CLIENT>(case.wire), buffer: Vector::new() }, case.count)
}

fn send<const IS_CLIENT: bool>(case: Sending) -> Option<Box<dyn super::Bench>> {
    let Sending { wire, payload, count, .. } = case;
    let (mut ws, mut buffer) = (open::<IS_CLIENT>(wire), payload.to_vec());
    doing(move || {
        now(async {
            for _ in 0..count {
                if IS_CLIENT {
                    buffer.copy_from_slice(&payload);
                }
                let mut frame = Frame::new_fin(OpCode::Binary, &mut buffer[..]);
                ws.write_frame(&mut frame).await.unwrap();
            }
        })
    })
}

struct Connection<const IS_CLIENT: bool, C = ()> {
    ws: Socket<IS_CLIENT, C>,
    buffer: Vector<u8>,
}

impl<const IS_CLIENT: bool, C: NegotiatedCompression> Receive for Connection<IS_CLIENT, C> {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                let frame = self.ws.read_frame(&mut self.buffer, Adaptive).await.unwrap();
                each(frame.op_code() == OpCode::Text, frame.payload());
            }
        });
    }
}

/// Compressed messages at level 1. wtx has no context takeover.
pub fn compressed(case: Case) -> Option<Box<dyn Bench>> {
    let Case { work, takeover, wire, messages } = case;
    if takeover {
        return None;
    }
    let config = DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        compression_level: CompressionLevel::One,
        server_max_window_bits: WindowBits::Fifteen,
    };
    let offer = [&b"sec-websocket-extensions"[..], b"permessage-deflate"];
    let agreed = Compression::<false>::negotiate(Flate2::from(config), [offer].into_iter()).unwrap();
    assert!(agreed.is_some());
    let buffer = WebSocketBuffer::with_capacity(8 * 1024, 0, 0).unwrap();
    let mut ws =
        WebSocket::<_, _, _, _, false>::new(agreed, false, Xorshift64::from(simple_seed()), wire, buffer);
    let (count, mut buffer) = (messages.len(), Vector::new());
    match work {
        Work::Receive => receiving(Connection { ws, buffer }, count),
        Work::Send => {
            let mut messages: Vec<_> = messages.iter().map(|text| text.to_vec()).collect();
            doing(move || {
                now(async {
                    for text in &mut messages {
                        let mut frame = Frame::new_fin(OpCode::Text, &mut text[..]);
                        ws.write_frame(&mut frame).await.unwrap();
                    }
                })
            })
        }
        Work::Echo => doing(move || {
            now(async {
                for _ in 0..count {
                    let (mut common, mut reader, mut writer) = ws.split_mut();
                    let mut frame = reader.read_frame(&mut buffer, &mut common, Adaptive).await.unwrap();
                    writer.write_frame(&mut common, &mut frame).await.unwrap();
                }
            })
        }),
    }
}
