//! What the fuzz targets share: a machine with its buffers and what it has said, and naive readings of frames and
//! heads that know nothing of the crate's own parsers.

pub mod differential;
pub mod frames;
pub mod heads;
pub mod hear;
pub mod python;
pub mod streams;

use rand::{SeedableRng, rngs::StdRng};
use sansocket::{
    Buffer, Client, Config, Event, FixedInbox, Inbox, Kind, Message, Part, Piece, Role, Server, WebSocket,
};

/// Reads choices from the front of the fuzzer's bytes; where they have ended, every choice is 0.
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

    /// A byte that says how many follow it, and these.
    pub fn counted(&mut self) -> &'d [u8] {
        let len = self.byte();
        self.slice(len.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The length of a slice that a nibble stands for.
pub fn portion(nibble: u8) -> usize {
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 21, 34, 64, 126, 200, 1000][usize::from(nibble & 0xF)]
}

/// A role as the targets use it: open at once, its generator seeded.
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

/// A buffer that holds the machine to the contract of [`Buffer`]: it never appends more than there is room.
pub struct Checked<'m>(pub Box<dyn Buffer + 'm>);

impl Buffer for Checked<'_> {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
    fn remaining(&self) -> usize {
        self.0.room()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining(), "the machine appends more than there is room");
        self.0.append(bytes);
    }
    fn clear(&mut self) {
        self.0.clear();
    }
    fn append_text(&mut self, text: &str) {
        assert!(text.len() <= self.remaining(), "the machine appends more than there is room");
        self.0.append_text(text);
    }
    fn text(&self) -> Result<&str, core::str::Utf8Error> {
        self.0.text()
    }
}

/// What the fixed inboxes hold.
pub const FIXED: usize = 512;

/// An inbox of one of four kinds: two of [`FIXED`] bytes, then two on the heap; the odd ones keep text as text.
pub fn inbox(kind: u8) -> Checked<'static> {
    Checked(match kind & 3 {
        0 => Box::new(heapless::Vec::<u8, FIXED>::new()),
        1 => Box::new(FixedInbox::<FIXED>::new()),
        2 => Box::new(Vec::new()),
        _ => Box::new(Inbox::new()),
    })
}

/// A buffer with a capacity that is chosen at run time.
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
        assert!(bytes.len() <= self.remaining(), "the machine appends more than there is room");
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// An event that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Request(String),
    Open(Option<String>),
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Error(String),
    Close { code: u16, reason: String, clean: bool },
}

impl Seen {
    pub fn new(kind: Kind, payload: &[u8]) -> Self {
        match kind {
            Kind::Text => Self::Text(str::from_utf8(payload).unwrap().into()),
            Kind::Binary => Self::Binary(payload.into()),
        }
    }

    /// Whether the peer sent it of its own accord: a message or a Ping.
    pub fn is_sent(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_) | Self::Ping(_))
    }
}

/// What a machine has said, in order, pieces joined: a message stands where it is complete, so that both deliveries
/// give the same. It holds the machine to the order of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub seen: Vec<Seen>,
    /// The pieces of a message that is not complete.
    pub partial: Option<Seen>,
}

impl Record {
    pub fn push(&mut self, event: &Event<'_>) {
        match self.seen.last() {
            Some(Seen::Close { .. }) => panic!("{event:?} after Close"),
            Some(Seen::Error(_)) => assert!(matches!(event, Event::Close(_)), "{event:?} after Error"),
            Some(Seen::Request(_)) => assert!(
                matches!(event, Event::Open(_) | Event::Error(_) | Event::Close(_)),
                "{event:?} after Request"
            ),
            _ => {}
        }
        let seen = match event {
            Event::Request(request) => {
                assert!(self.seen.is_empty(), "a Request is the first event");
                Seen::Request(format!("{request:?}"))
            }
            Event::Open(open) => {
                assert!(self.seen.iter().all(|seen| matches!(seen, Seen::Request(_))), "Open comes late");
                Seen::Open(open.protocol().map(Into::into))
            }
            Event::Message(message) => {
                assert!(self.partial.is_none(), "a message inside pieces");
                Seen::new(message.kind(), message.as_bytes())
            }
            Event::Piece(piece) => return self.received(piece),
            Event::Ping(payload) => Seen::Ping(payload.to_vec()),
            Event::Pong(payload) => Seen::Pong(payload.to_vec()),
            Event::Error(error) => Seen::Error(error.to_string()),
            Event::Close(close) => {
                assert_eq!(close.clean, close.code.0 != 1006);
                if let Some(Seen::Error(_)) = self.seen.last() {
                    assert!(!close.clean, "clean after an Error");
                }
                assert!(close.clean || close.reason.is_empty());
                Seen::Close { code: close.code.0, reason: close.reason.as_str().into(), clean: close.clean }
            }
        };
        self.seen.push(seen);
    }

    pub fn received(&mut self, piece: &Piece<'_>) {
        assert_eq!(
            piece.first,
            self.partial.is_none(),
            "a piece is the first where no message is in progress"
        );
        match &piece.part {
            Part::Text { lead, text } => {
                assert!(
                    piece.last || lead.is_some() || !text.is_empty(),
                    "an empty piece that is not the last"
                );
                if let Some(lead) = lead {
                    self.piece(Message::Text(lead.encode_utf8(&mut [0; 4])), false);
                }
                self.piece(Message::Text(text), piece.last);
            }
            Part::Binary(bytes) => {
                assert!(piece.last || !bytes.is_empty(), "an empty piece that is not the last");
                self.piece(Message::Binary(bytes), piece.last);
            }
        }
    }

    /// Joins a piece to those before it.
    pub fn piece(&mut self, piece: Message<'_>, last: bool) {
        match (&mut self.partial, piece) {
            (None, _) => self.partial = Some(Seen::new(piece.kind(), piece.as_bytes())),
            (Some(Seen::Text(before)), Message::Text(text)) => before.push_str(text),
            (Some(Seen::Binary(before)), Message::Binary(bytes)) => before.extend_from_slice(bytes),
            (Some(before), _) => panic!("{piece:?} continues {before:?}"),
        }
        if last {
            self.seen.extend(self.partial.take());
        }
    }

    pub fn message(&mut self, message: Message<'_>) {
        self.seen.push(Seen::new(message.kind(), message.as_bytes()));
    }

    /// How the connection ended: whether an Error came, and the Close.
    pub fn end(&self) -> (Option<&str>, u16, &str) {
        let [.., before, Seen::Close { code, reason, .. }] = &self.seen[..] else {
            let [Seen::Close { code, reason, .. }] = &self.seen[..] else { panic!("no Close in {self:?}") };
            return (None, *code, reason);
        };
        let error = if let Seen::Error(error) = before { Some(error.as_str()) } else { None };
        (error, *code, reason)
    }
}

/// A machine, its buffers, and what it has said.
pub struct Peer<'m, R: Role> {
    pub ws: WebSocket<R>,
    pub inbox: Checked<'m>,
    pub outbox: Vec<u8>,
    pub record: Record,
    /// Takes events in the two steps of `receive`.
    pub two_steps: bool,
}

impl<'m, R: Role> Peer<'m, R> {
    pub fn new(ws: WebSocket<R>, inbox: Checked<'m>) -> Self {
        Self { ws, inbox, outbox: Vec::new(), record: Record::default(), two_steps: false }
    }

    /// Receives `input` in one slice. `reply` is called with each event and with how much of the input is left; what
    /// is owed is transmitted where it returns true, and at the end. Returns how much of the input is left then.
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
                self.ws
                    .event(ready, taken, &mut self.inbox)
                    .expect("poll is exact about whether there is an event")
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

    /// Receives `input` with no replies of its own.
    pub fn listen(&mut self, input: &mut [u8]) {
        assert_eq!(self.receive(input, |_, _, _, _| true), 0, "every slice is used up");
    }

    /// The stream ends: the connection is closed, and Close has been the last event, whatever came before.
    pub fn end(&mut self) {
        self.ws.receive_eof();
        assert!(self.ws.is_closed());
        self.listen(&mut []);
        assert!(matches!(self.record.seen.last(), Some(Seen::Close { .. })), "no Close: {:?}", self.record);
        assert_eq!(self.ws.poll_timeout(), None);
        let sent = self.outbox.len();
        self.listen(&mut [0x81, 0, 0]);
        assert_eq!(self.outbox.len(), sent, "something is sent after the end");
    }
}
