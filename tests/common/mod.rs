//! Helpers of the black-box tests: a connection with its buffers, events that own their data, and
//! frames as bytes.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use rand::{SeedableRng, rngs::StdRng};
use sansocket::{
    Accept, Client, Close, Config, Connect, Event, Message, Part, Piece, Role, Server, State, WebSocket,
};

/// An event that owns its data. [`push`] joins the pieces of a message, because their number
/// depends on the cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Request(String),
    Open(Option<String>),
    Refused(u16),
    Text(String),
    Binary(Vec<u8>),
    /// The pieces so far, and whether the message is complete.
    TextPieces(String, bool),
    BinaryPieces(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The first line.
    BadRequest(String),
    Error(String),
    Close(u16, String, bool),
}

impl Seen {
    pub fn new(event: &Event<'_>) -> Self {
        match event {
            Event::Request(request) => Self::Request(request.target().into()),
            Event::Open(open) => Self::Open(open.protocol().map(Into::into)),
            Event::BadRequest(request) => Self::BadRequest(request.to_string()),
            Event::Refused(response) => Self::Refused(response.status()),
            Event::Message(Message::Text(text)) => Self::Text((*text).into()),
            Event::Message(Message::Binary(bytes)) => Self::Binary((*bytes).into()),
            Event::Piece(Piece { part: Part::Text { lead, text }, last, .. }) => {
                Self::TextPieces(lead.iter().copied().chain(text.chars()).collect(), *last)
            }
            Event::Piece(Piece { part: Part::Binary(bytes), last, .. }) => {
                Self::BinaryPieces(bytes.to_vec(), *last)
            }
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Error(error) => Self::Error(error.to_string()),
            Event::Close(Close { code, reason, clean }) => {
                Self::Close(code.0, reason.as_str().into(), *clean)
            }
        }
    }

    /// A complete message in pieces as a whole message; any other event as it is.
    pub fn into_whole(self) -> Self {
        match self {
            Self::TextPieces(text, true) => Self::Text(text),
            Self::BinaryPieces(bytes, true) => Self::Binary(bytes),
            other => other,
        }
    }

    fn is_unfinished(&self) -> bool {
        matches!(self, Self::TextPieces(_, false) | Self::BinaryPieces(_, false))
    }
}

/// Appends an event to `seen`, or joins a piece with the unfinished message there.
pub fn push(seen: &mut Vec<Seen>, event: &Event<'_>) {
    if let Event::Piece(piece) = event {
        let in_progress = seen.iter().any(Seen::is_unfinished);
        assert_eq!(piece.first, !in_progress, "a piece is the first one if no message is in progress");
    }
    // Control frames can come between the pieces, so the message need not be the last event.
    match (seen.iter_mut().rfind(|seen| seen.is_unfinished()), Seen::new(event)) {
        (Some(Seen::TextPieces(before, done)), Seen::TextPieces(text, last)) => {
            before.push_str(&text);
            *done = last;
        }
        (Some(Seen::BinaryPieces(before, done)), Seen::BinaryPieces(bytes, last)) => {
            before.extend_from_slice(&bytes);
            *done = last;
        }
        (_, next) => seen.push(next),
    }
}

/// A connection, its buffers, and its events.
pub struct Peer<R: Role> {
    pub ws: WebSocket<R>,
    pub inbox: Vec<u8>,
    pub outbox: Vec<u8>,
    pub seen: Vec<Seen>,
}

impl<R: Role> Peer<R> {
    pub fn new(ws: WebSocket<R>) -> Self {
        Self { ws, inbox: Vec::new(), outbox: Vec::new(), seen: Vec::new() }
    }

    /// Receives `bytes` in one slice and calls `reply` with each event. Returns the input that was
    /// not consumed.
    pub fn receive_with(
        &mut self,
        bytes: &[u8],
        mut reply: impl FnMut(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = self.ws.receive(&mut input, &mut self.inbox) {
            push(&mut self.seen, &event);
            reply(&mut self.ws, &event, &mut self.outbox);
            self.ws.transmit(&mut self.outbox).unwrap();
        }
        self.ws.transmit(&mut self.outbox).unwrap();
        input.to_vec()
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        let left = self.receive_with(bytes, |_, _, _| {});
        assert_eq!(left, b"", "the input is consumed");
    }

    /// Receives `bytes` without transmitting the answers; returns the number of events.
    pub fn receive_only(&mut self, bytes: &[u8]) -> usize {
        let mut bytes = bytes.to_vec();
        let (mut input, mut events) = (&mut bytes[..], 0);
        while let Some(event) = self.ws.receive(&mut input, &mut self.inbox) {
            push(&mut self.seen, &event);
            events += 1;
        }
        events
    }

    pub fn eof(&mut self) {
        self.ws.receive_eof();
        self.receive(b"");
    }

    /// The events since the last call.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// The bytes sent since the last call.
    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }
}

pub type TestClient = Client<StdRng>;

pub fn rng() -> StdRng {
    StdRng::seed_from_u64(6455)
}

/// A reply for [`Peer::receive_with`] that accepts each request.
pub fn accept(ws: &mut WebSocket<Server>, event: &Event<'_>, outbox: &mut Vec<u8>) {
    if let Event::Request(request) = event {
        ws.accept(request.accept(), outbox).unwrap();
    }
}

/// A server that waits for a request.
pub fn new_server(config: Config) -> Peer<Server> {
    Peer::new(WebSocket::server(config))
}

/// A server that waits for its caller to answer this request.
pub fn requested(config: Config, head: &str) -> (Peer<Server>, Accept<'static>) {
    let (mut peer, mut accept) = (new_server(config), None);
    peer.receive_with(head.as_bytes(), |_, event, _| match event {
        Event::Request(request) => accept = Some(request.accept()),
        other => panic!("{other:?}"),
    });
    (peer, accept.unwrap())
}

/// The response of a server that accepts this request.
pub fn response_to(request: &[u8]) -> String {
    let mut server = new_server(Config::default());
    server.receive_with(request, accept);
    String::from_utf8(server.take_sent()).unwrap()
}

/// The accept value that answers a request.
pub fn accept_value_of(request: &[u8]) -> String {
    header(&response_to(request), "Sec-WebSocket-Accept").unwrap().to_owned()
}

/// A server that is open.
pub fn server(config: Config) -> Peer<Server> {
    Peer::new(WebSocket::<Server>::open(config))
}

/// A client that is open.
pub fn client(config: Config) -> Peer<TestClient> {
    Peer::new(WebSocket::<TestClient>::open(config, rng()))
}

/// A client whose request is in its outbox.
pub fn connecting(connect: Connect<'_>) -> Peer<TestClient> {
    connecting_with(Config::default(), connect)
}

pub fn connecting_with(config: Config, connect: Connect<'_>) -> Peer<TestClient> {
    let mut peer = Peer::new(WebSocket::client(config, rng()));
    peer.ws.connect(connect, &mut peer.outbox).unwrap();
    peer
}

pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame with its length in the shortest form, masked with [`KEY`] if `masked`.
pub fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(bit | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(bit | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(bit | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend_from_slice(&KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend_from_slice(payload);
    }
    frame
}

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, true, payload)
}

/// A frame as a server sends it.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, false, payload)
}

/// The payload of a Close frame.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A request with these header lines after the required ones.
pub fn request(more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// The value of the first header with this name in a head.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (other, value) = line.split_once(':')?;
        other.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Whether the connection is closed, as both methods report it.
pub fn is_closed<R: Role>(peer: &Peer<R>) -> bool {
    assert_eq!(peer.ws.is_closed(), peer.ws.state() == State::Closed);
    peer.ws.is_closed()
}
