//! Shared by the fuzz targets: a connection with its buffers and recorded events, and naive parsers
//! of frames and heads, written without the crate's own.

pub mod connection;
pub mod differential;
pub mod frames;
pub mod heads;
pub mod python;
pub mod streams;

use rand::{SeedableRng, rngs::StdRng};
use sansocket::{
    Buffer, Client, Config, Error, Event, FixedInbox, Inbox, Kind, Message, Part, Piece, Role, Server,
    WebSocket,
};

/// Reads choices from the front of the fuzzer's bytes; after their end, every choice is 0.
pub struct Choices<'d>(pub &'d [u8]);

impl<'d> Choices<'d> {
    pub fn byte(&mut self) -> u8 {
        self.slice(1).first().copied().unwrap_or(0)
    }

    /// The next `len` bytes, or as many as are left.
    pub fn slice(&mut self, len: usize) -> &'d [u8] {
        let (slice, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        slice
    }

    /// A slice, with its length in one byte before it.
    pub fn counted(&mut self) -> &'d [u8] {
        let len = self.byte();
        self.slice(len.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The length of a slice, chosen by a nibble.
pub fn portion(nibble: u8) -> usize {
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 21, 34, 64, 126, 200, 1000][usize::from(nibble & 0xF)]
}

/// A role whose connections are open from the start, with a seeded generator.
pub trait Side: Role + Sized {
    type Other: Side;
    const MASKS: bool;
    fn open(config: Config) -> WebSocket<Self>;
}

pub type TestClient = Client<StdRng>;

pub fn rng() -> StdRng {
    StdRng::seed_from_u64(6455)
}

impl Side for Server {
    type Other = TestClient;
    const MASKS: bool = false;
    fn open(config: Config) -> WebSocket<Self> {
        WebSocket::<Server>::open(config)
    }
}

impl Side for TestClient {
    type Other = Server;
    const MASKS: bool = true;
    fn open(config: Config) -> WebSocket<Self> {
        WebSocket::<TestClient>::open(config, rng())
    }
}

/// Asserts the contract of [`Buffer`]: no call appends more than the remaining capacity.
pub struct Checked<'m>(pub Box<dyn Buffer + 'm>);

impl Buffer for Checked<'_> {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
    fn remaining(&self) -> usize {
        self.0.remaining()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining(), "appended more than the remaining capacity");
        self.0.append(bytes);
    }
    fn clear(&mut self) {
        self.0.clear();
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
    fn truncate(&mut self, len: usize) {
        assert!(len <= self.bytes().len(), "truncated to more than its length");
        self.0.truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        assert!(len <= self.remaining(), "grew by more than the remaining capacity");
        self.0.grow(len)
    }
    fn append_text(&mut self, text: &str) {
        assert!(text.len() <= self.remaining(), "appended more than the remaining capacity");
        self.0.append_text(text);
    }
    fn text(&self) -> Result<&str, core::str::Utf8Error> {
        self.0.text()
    }
}

/// The capacity of the fixed inboxes.
pub const FIXED: usize = 512;

/// An inbox of one of four kinds: 0 and 1 hold [`FIXED`] bytes, 2 and 3 are on the heap; 1 and 3
/// store text as `str`.
pub fn inbox(kind: u8) -> Checked<'static> {
    Checked(match kind & 3 {
        0 => Box::new(sansocket::heapless::Vec::<u8, FIXED>::new()),
        1 => Box::new(FixedInbox::<FIXED>::new()),
        2 => Box::new(Vec::new()),
        _ => Box::new(Inbox::new()),
    })
}

/// A buffer whose capacity is chosen at run time.
pub struct Bounded {
    pub bytes: Vec<u8>,
    pub capacity: usize,
}

impl Buffer for Bounded {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn remaining(&self) -> usize {
        self.capacity - self.bytes.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining(), "appended more than the remaining capacity");
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    fn truncate(&mut self, len: usize) {
        assert!(len <= self.bytes.len(), "truncated to more than its length");
        self.bytes.truncate(len);
    }
}

/// An inbox of `capacity` bytes.
pub fn small_inbox(capacity: usize) -> Checked<'static> {
    Checked(Box::new(Bounded { bytes: Vec::new(), capacity }))
}

/// An event that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedEvent {
    Request(String),
    BadRequest(String),
    Open(Option<String>),
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Refused(u16),
    Error(String),
    Close { code: u16, reason: String, clean: bool },
}

impl OwnedEvent {
    pub fn new(kind: Kind, payload: &[u8]) -> Self {
        match kind {
            Kind::Text => Self::Text(str::from_utf8(payload).unwrap().into()),
            Kind::Binary => Self::Binary(payload.into()),
        }
    }

    /// Whether it is a message or a Ping, which a peer sends unprompted.
    pub fn is_message_or_ping(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_) | Self::Ping(_))
    }
}

/// The events of a connection, in order, with the pieces of a message joined where the message is
/// complete: both deliveries give the same record. Asserts the order of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub events: Vec<OwnedEvent>,
    /// The headers of each head that an event shows, and whether they are all.
    pub heads: Vec<(heads::Fields, bool)>,
    /// The pieces of an incomplete message.
    pub partial: Option<OwnedEvent>,
}

impl Record {
    pub fn push(&mut self, event: &Event<'_>) {
        match self.events.last() {
            Some(OwnedEvent::Close { .. }) => panic!("{event:?} after Close"),
            Some(OwnedEvent::Error(_)) => assert!(matches!(event, Event::Close(_)), "{event:?} after Error"),
            Some(OwnedEvent::Refused(status)) => {
                assert_eq!(*event, Event::Error(Error::Refused(*status)), "after Refused");
            }
            Some(OwnedEvent::BadRequest(_)) => {
                assert!(matches!(event, Event::Error(Error::Request(_))), "{event:?} after BadRequest");
            }
            Some(OwnedEvent::Request(_)) => assert!(
                matches!(event, Event::Open(_) | Event::Error(_) | Event::Close(_)),
                "{event:?} after Request"
            ),
            _ => {}
        }
        let owned = match event {
            Event::Request(request) => {
                assert!(self.events.is_empty(), "Request is the first event");
                self.heads.push((heads::owned(request.headers()), request.is_complete()));
                assert!(!format!("{request:?}").is_empty(), "Debug does not panic");
                OwnedEvent::Request(format!("{} {request}", request.method()))
            }
            Event::BadRequest(request) => {
                assert!(self.events.is_empty(), "BadRequest is the first event");
                self.heads.push((heads::owned(request.headers()), false));
                assert!(!format!("{request:?}").is_empty(), "Debug does not panic");
                let shown = request.to_string();
                assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown} is escaped");
                OwnedEvent::BadRequest(shown)
            }
            Event::Open(open) => {
                assert!(
                    self.events.iter().all(|event| matches!(event, OwnedEvent::Request(_))),
                    "only Request is ahead of Open"
                );
                assert!(!format!("{open:?}").is_empty(), "Debug does not panic");
                let head = (heads::owned(open.headers()), open.is_complete());
                assert!(self.heads.iter().all(|before| *before == head), "the same head as in Request");
                self.heads.push(head);
                OwnedEvent::Open(open.protocol().map(Into::into))
            }
            Event::Message(message) => {
                assert!(self.partial.is_none(), "a message inside pieces");
                OwnedEvent::new(message.kind(), message.as_bytes())
            }
            Event::Piece(piece) => return self.push_piece(piece),
            Event::Ping(payload) => OwnedEvent::Ping(payload.to_vec()),
            Event::Pong(payload) => OwnedEvent::Pong(payload.to_vec()),
            Event::Refused(response) => {
                assert!(self.events.is_empty(), "Refused is the first event");
                self.heads.push((heads::owned(response.headers()), response.is_complete()));
                assert!(!format!("{response:?}").is_empty(), "Debug does not panic");
                OwnedEvent::Refused(response.status())
            }
            Event::Error(error) => {
                let is_request = matches!(error, Error::Request(_));
                assert_eq!(is_request, matches!(self.events.last(), Some(OwnedEvent::BadRequest(_))));
                OwnedEvent::Error(error.to_string())
            }
            Event::Close(close) => {
                assert_eq!(close.clean, close.code.0 != 1006);
                if let Some(OwnedEvent::Error(_)) = self.events.last() {
                    assert!(!close.clean, "Close after an Error is not clean");
                }
                assert!(close.clean || close.reason.is_empty());
                OwnedEvent::Close {
                    code: close.code.0,
                    reason: close.reason.as_str().into(),
                    clean: close.clean,
                }
            }
        };
        self.events.push(owned);
    }

    pub fn push_piece(&mut self, piece: &Piece<'_>) {
        assert_eq!(piece.first, self.partial.is_none(), "only the first piece begins a message");
        match &piece.part {
            Part::Text { lead, text } => {
                assert!(piece.last || lead.is_some() || !text.is_empty(), "only the last piece may be empty");
                if let Some(lead) = lead {
                    self.append(Message::Text(lead.encode_utf8(&mut [0; 4])), false);
                }
                self.append(Message::Text(text), piece.last);
            }
            Part::Binary(bytes) => {
                assert!(piece.last || !bytes.is_empty(), "only the last piece may be empty");
                self.append(Message::Binary(bytes), piece.last);
            }
        }
    }

    /// Appends a piece to the incomplete message, or begins one.
    pub fn append(&mut self, piece: Message<'_>, last: bool) {
        match (&mut self.partial, piece) {
            (None, _) => self.partial = Some(OwnedEvent::new(piece.kind(), piece.as_bytes())),
            (Some(OwnedEvent::Text(before)), Message::Text(text)) => before.push_str(text),
            (Some(OwnedEvent::Binary(before)), Message::Binary(bytes)) => before.extend_from_slice(bytes),
            (Some(before), _) => panic!("{piece:?} continues {before:?}"),
        }
        if last {
            self.events.extend(self.partial.take());
        }
    }

    pub fn push_message(&mut self, message: Message<'_>) {
        self.events.push(OwnedEvent::new(message.kind(), message.as_bytes()));
    }

    /// How the connection ended: the Error, if there was one, and the Close.
    pub fn end(&self) -> (Option<&str>, u16, &str) {
        let [.., before, OwnedEvent::Close { code, reason, .. }] = &self.events[..] else {
            let [OwnedEvent::Close { code, reason, .. }] = &self.events[..] else {
                panic!("no Close in {self:?}")
            };
            return (None, *code, reason);
        };
        let error = if let OwnedEvent::Error(error) = before { Some(error.as_str()) } else { None };
        (error, *code, reason)
    }
}

/// A connection, its buffers, and its recorded events.
pub struct Peer<'m, R: Role> {
    pub ws: WebSocket<R>,
    pub inbox: Checked<'m>,
    pub outbox: Vec<u8>,
    pub record: Record,
    /// Calls `poll` and `event` instead of `receive`.
    pub two_steps: bool,
}

impl<'m, R: Role> Peer<'m, R> {
    pub fn new(ws: WebSocket<R>, inbox: Checked<'m>) -> Self {
        Self { ws, inbox, outbox: Vec::new(), record: Record::default(), two_steps: false }
    }

    /// Receives `input` in one slice; returns how many bytes of it are left. `reply` gets each
    /// event and the number of bytes left after it. Pending output is transmitted at the end, and
    /// where `reply` returns true.
    pub fn receive(
        &mut self,
        mut input: &mut [u8],
        mut reply: impl FnMut(&mut WebSocket<R>, &Event<'_>, usize, &mut Vec<u8>) -> bool,
    ) -> usize {
        loop {
            let event = if self.two_steps {
                let Some(ready) = self.ws.poll(input, &mut self.inbox) else { break };
                let (taken, rest) = std::mem::take(&mut input).split_at_mut(ready.consumed());
                input = rest;
                self.ws.event(ready, taken, &mut self.inbox).expect("there is an event for every `Ready`")
            } else {
                let Some(event) = self.ws.receive(&mut input, &mut self.inbox) else { break };
                event
            };
            self.record.push(&event);
            if reply(&mut self.ws, &event, input.len(), &mut self.outbox) {
                self.ws.transmit(&mut self.outbox).unwrap();
            }
        }
        self.ws.transmit(&mut self.outbox).unwrap();
        if self.two_steps && !self.ws.awaits_caller() { 0 } else { input.len() }
    }

    /// Receives all of `input`, with automatic replies only.
    pub fn receive_all(&mut self, input: &mut [u8]) {
        assert_eq!(self.receive(input, |_, _, _, _| true), 0, "every slice is used up");
    }

    /// Ends the stream. Asserts that the connection is closed, that Close was the last event, and
    /// that nothing is sent or received afterwards.
    pub fn end(&mut self) {
        self.ws.receive_eof();
        assert!(self.ws.is_closed());
        self.receive_all(&mut []);
        assert!(
            matches!(self.record.events.last(), Some(OwnedEvent::Close { .. })),
            "no Close: {:?}",
            self.record
        );
        assert_eq!(self.ws.poll_timeout(), None);
        let sent = self.outbox.len();
        self.receive_all(&mut [0x81, 0, 0]);
        assert_eq!(self.outbox.len(), sent, "nothing is sent after the end");
    }
}
