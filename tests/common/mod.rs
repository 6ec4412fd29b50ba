//! What the black-box tests share: a machine with its buffers, events that can be kept, and frames written by hand.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use rand::{SeedableRng, rngs::StdRng};
use sansocket::{
    Client, Close, Config, Connect, Event, Message, Part, Piece, Role, Server, State, WebSocket,
};

/// An event that borrows nothing. Pieces that follow one another are joined: where a message is cut depends on the
/// input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Request(String),
    Open(Option<String>),
    Refused(u16),
    Text(String),
    Binary(Vec<u8>),
    /// Pieces so far; `true` once the message is complete.
    TextPieces(String, bool),
    BinaryPieces(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Error(String),
    Close(u16, String, bool),
}

impl Seen {
    pub fn new(event: &Event<'_>) -> Self {
        match event {
            Event::Request(request) => Self::Request(request.target().into()),
            Event::Open(open) => Self::Open(open.protocol().map(Into::into)),
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
}

/// Appends an event to those before it.
pub fn push(seen: &mut Vec<Seen>, event: &Event<'_>) {
    if let Event::Piece(piece) = event {
        let begins = !seen
            .iter()
            .any(|seen| matches!(seen, Seen::TextPieces(_, false) | Seen::BinaryPieces(_, false)));
        assert_eq!(piece.first, begins, "a piece is the first exactly where no message is in progress");
    }
    // Control frames may come between the pieces of a message: the message is looked for, not the last event.
    let next = Seen::new(event);
    let open = seen
        .iter_mut()
        .rfind(|seen| matches!(seen, Seen::TextPieces(_, false) | Seen::BinaryPieces(_, false)));
    match (open, next) {
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

/// A machine, its buffers, and what it has said.
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

    /// Receives `bytes` in one slice; `reply` is called with each event. Returns what was left of the input.
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
        assert_eq!(left, b"", "every slice is used up");
    }

    pub fn eof(&mut self) {
        self.ws.receive_eof();
        self.receive(b"");
    }

    /// What has been said since the last call.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// What has been sent since the last call.
    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }
}

pub type TestClient = Client<StdRng>;

pub fn rng() -> StdRng {
    StdRng::seed_from_u64(6455)
}

/// A server that is open.
pub fn server(config: Config) -> Peer<Server> {
    Peer::new(WebSocket::<Server>::open(config))
}

/// A client that is open.
pub fn client(config: Config) -> Peer<TestClient> {
    Peer::new(WebSocket::<TestClient>::open(config, rng()))
}

/// A client that has sent its request.
pub fn connecting(connect: Connect<'_>) -> Peer<TestClient> {
    let mut peer = Peer::new(WebSocket::client(Config::default(), rng()));
    peer.ws.connect(connect, &mut peer.outbox).unwrap();
    peer
}

pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame with a length in its shortest form; masked with [`KEY`] if `masked`.
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
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(octet, mask)| octet ^ mask));
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

/// A Close frame's payload.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A request with these header lines after the usual ones.
pub fn request(more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// The value of a header in a head.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (other, value) = line.split_once(':')?;
        other.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The state by its name, for messages.
pub fn is_closed<R: Role>(peer: &Peer<R>) -> bool {
    assert_eq!(peer.ws.is_closed(), peer.ws.state() == State::Closed);
    peer.ws.is_closed()
}
