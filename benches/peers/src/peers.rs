//! The implementations, one file each, behind the same functions. This crate's file is
//! `sansocket.rs`.

use crate::{
    idle::Hold,
    strict::Probe,
    wire::{Wire, now},
    work::{self, Message, Role},
};
use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use std::{fmt::Debug, hint::black_box};

pub mod embedded_websocket;
pub mod fastwebsockets;
pub mod sockudo;
pub mod soketto;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod web_socket;
pub mod wtx;
pub mod yawc;

/// An implementation, and the work that it supports.
pub struct Peer {
    pub name: &'static str,
    /// How it checks that text is UTF-8.
    pub utf8: &'static str,
    /// How it is used, and where that favours it.
    pub notes: &'static str,
    pub receive: fn(Receiving) -> Option<Box<dyn Bench>>,
    pub echo: fn(Receiving) -> Option<Box<dyn Bench>>,
    pub send: fn(Sending) -> Option<Box<dyn Bench>>,
    pub accept: Option<fn(&mut Wire)>,
    pub connect: Option<fn(&mut Wire)>,
    pub probe: Option<Probe>,
    pub idle: Option<Hold>,
}

/// A stream to receive, or to echo as a server.
pub struct Receiving {
    pub role: Role,
    pub wire: Wire,
    /// The number of messages in a pass.
    pub count: usize,
    pub largest: usize,
    /// The number of frames in a message.
    pub fragments: usize,
}

/// A payload to send.
pub struct Sending {
    pub role: Role,
    pub wire: Wire,
    pub payload: Bytes,
    /// The number of messages in a pass.
    pub count: usize,
}

/// A peer's work in one row.
pub trait Bench {
    /// Does the work once.
    fn pass(&mut self);
    /// Does the work once; returns the received messages.
    fn received(&mut self) -> Vec<Message> {
        self.pass();
        Vec::new()
    }
}

/// A connection that receives messages.
pub trait Receive {
    /// Passes `count` messages to `each`: whether the message is text, and its payload.
    fn receive(&mut self, count: usize, each: impl FnMut(bool, &[u8]));
}

struct Receiver<R>(R, usize);

/// The bench of a receiver.
pub fn receiving<R: Receive + 'static>(receiver: R, count: usize) -> Option<Box<dyn Bench>> {
    Some(Box::new(Receiver(receiver, count)))
}

impl<R: Receive> Bench for Receiver<R> {
    fn pass(&mut self) {
        self.0.receive(self.1, |text, payload| _ = black_box((text, payload)));
    }
    fn received(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.0.receive(self.1, |text, payload| messages.push(Message { text, payload: payload.into() }));
        messages
    }
}

impl<F: FnMut()> Bench for F {
    fn pass(&mut self) {
        self();
    }
}

/// A bench of any other work.
pub fn doing(work: impl FnMut() + 'static) -> Option<Box<dyn Bench>> {
    Some(Box::new(work))
}

/// The bench of an echo by `feed`, and one `flush` per pass.
pub fn echoing<S, M, E>(mut ws: S, count: usize) -> Option<Box<dyn Bench>>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error: Debug> + Unpin + 'static,
    E: Debug,
{
    doing(move || {
        now(async {
            for _ in 0..count {
                let message = ws.next().await.unwrap().unwrap();
                ws.feed(message).await.unwrap();
            }
            ws.flush().await.unwrap();
        })
    })
}

/// The bench of sending by `feed`, and one `flush` per pass.
pub fn feeding<S, M>(mut ws: S, count: usize, message: impl Fn() -> M + 'static) -> Option<Box<dyn Bench>>
where
    S: Sink<M, Error: Debug> + Unpin + 'static,
{
    doing(move || {
        now(async {
            for _ in 0..count {
                ws.feed(message()).await.unwrap();
            }
            ws.flush().await.unwrap();
        })
    })
}

/// The peers, this crate first.
pub fn all() -> Vec<Peer> {
    vec![
        crate::sansocket::peer(),
        sockudo::protocol(),
        sockudo::stream(),
        tungstenite::peer(),
        tokio_websockets::peer(),
        fastwebsockets::peer(),
        web_socket::peer(),
        yawc::peer(),
        wtx::peer(),
        soketto::peer(),
        embedded_websocket::peer(),
    ]
}

impl Receiving {
    pub fn new(stream: &work::Stream, role: Role, fragments: usize, read: usize) -> Self {
        let largest = stream.messages.iter().map(|message| message.payload.len()).max().unwrap();
        let wire = Wire::again(stream.bytes.clone(), read);
        Self { role, wire, count: stream.messages.len(), largest, fragments }
    }
}

impl Sending {
    pub fn new(payload: Bytes, role: Role, amount: usize) -> Self {
        let wire = Wire::again([0].into(), 1);
        Self { role, wire, count: (amount / payload.len()).max(1), payload }
    }
}
