//! The implementations, each behind the same few functions, one file each: `sansocket.rs` is this crate's.

use crate::{
    idle::Hold,
    strict::Probe,
    wire::Wire,
    work::{Message, Role, Stream},
};
use bytes::Bytes;
use std::hint::black_box;

pub mod embedded_websocket;
pub mod fastwebsockets;
pub mod sockudo;
pub mod soketto;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod web_socket;
pub mod wtx;
pub mod yawc;

/// An implementation, with the work that it can do.
pub struct Peer {
    pub name: &'static str,
    /// How it checks that text is UTF-8.
    pub utf8: &'static str,
    /// How it is fed, and where that favours it.
    pub notes: &'static str,
    pub receive: fn(Receiving) -> Option<Box<dyn Bench>>,
    pub echo: fn(Receiving) -> Option<Box<dyn Bench>>,
    pub send: fn(Sending) -> Option<Box<dyn Bench>>,
    pub accept: Option<fn(&mut Wire)>,
    pub connect: Option<fn(&mut Wire)>,
    pub probe: Option<Probe>,
    pub idle: Option<Hold>,
}

/// What is to be received, or echoed by a server.
pub struct Receiving {
    pub role: Role,
    pub wire: Wire,
    /// How many messages one pass brings.
    pub count: usize,
    pub largest: usize,
    /// In how many frames each comes.
    pub fragments: usize,
}

/// What is to be sent.
pub struct Sending {
    pub role: Role,
    pub wire: Wire,
    pub payload: Bytes,
    /// How many times one pass sends it.
    pub count: usize,
}

/// One row's work, as one peer does it.
pub trait Bench {
    /// The work, once.
    fn pass(&mut self);
    /// The work, once, and the messages that were received.
    fn received(&mut self) -> Vec<Message> {
        self.pass();
        Vec::new()
    }
}

/// Who hands `count` messages to `each`: whether it is text, and the payload.
pub trait Receive {
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

/// The bench of anything else.
pub fn doing(work: impl FnMut() + 'static) -> Option<Box<dyn Bench>> {
    Some(Box::new(work))
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
    pub fn new(stream: &Stream, role: Role, fragments: usize, read: usize) -> Self {
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
