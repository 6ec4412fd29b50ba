//! Every order of events between a client and a server.
//!
//! Two machines are joined by two pipes. From each state that the pair can reach, every possible
//! next action is tried: the application sends, pings or closes, a pipe delivers one byte, all but
//! one or all of them, an end transmits, flushes, hangs up or sees the end of the stream, time
//! passes, the connection breaks, a peer breaks a rule. The search stops when it finds no new
//! state, so within its budgets a plan covers all interleavings.
//!
//! Every state is checked: see [`World::check`], [`World::check_at_rest`] and
//! [`End::check_failing_calls`]. So is each event ([`Seen::note`]), each byte that is sent
//! ([`Wire::feed`]), and that a call that fails has changed nothing. A violation prints the
//! shortest list of actions that leads to it.
//!
//! The small plans run with all other tests. The large plans take a few minutes:
//! `cargo test --release --test interleavings -- --ignored --nocapture`
#![cfg(feature = "alloc")]

use sansocket::{
    Accept, Buffer, Client, Close, CloseCode, Config, Connect, ControlPayload, Delivery, Error, Established,
    Event, Fragment, Handler, Kind, Message, Open, Part, Piece, ProtocolError, Reject, Request, Responder,
    Response, Role, Server, State, WebSocket,
};
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Every byte of the masking keys: masking does not depend on the order of frames, so equal states
/// stay equal.
const KEY_BYTE: u8 = 0x55;

/// A random generator without state.
#[derive(Clone, Debug)]
struct Constant;

impl rand_core::TryRng for Constant {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([KEY_BYTE; 4]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([KEY_BYTE; 8]))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(KEY_BYTE);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Constant {}

/// An outbox of limited capacity.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Outbox {
    bytes: Vec<u8>,
    capacity: usize,
}

impl Outbox {
    const fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), capacity }
    }
}

impl Buffer for Outbox {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn remaining(&self) -> usize {
        self.capacity - self.bytes.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining(), "the machine checks the capacity first");
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, Hash)]
enum Way {
    /// As one of the two messages that are sent whole.
    Whole(usize),
    /// In two fragments.
    Pieces,
    /// As a header, then payload byte by byte.
    Announced,
}

/// A role with the data that its end sends.
trait Side: Role + Clone + 'static {
    const NAME: &str;
    /// Whether it masks its frames: exactly a client does.
    const MASKS: bool;
    /// How the head that it sends may begin.
    const HEADS: &[&str];
    /// The capacity of a small outbox: the largest frame and a Pong just fit.
    const OUTBOX: usize;
    /// The messages that are sent whole.
    const WHOLE: [Message<'static>; 2];
    /// Half of the message that is sent in pieces, and both halves.
    const HALF: Message<'static>;
    const PIECES: Message<'static>;
    const ANNOUNCED: &'static [u8];
    const PING: &'static [u8];
    const CODE: CloseCode;
    /// A frame with a reserved bit.
    const BAD_FRAME: &'static [u8];

    fn connecting(config: Config) -> WebSocket<Self>;
    fn open(config: Config) -> WebSocket<Self>;
    fn established(config: Config) -> WebSocket<Established<Self>>;

    fn connect(_: &mut WebSocket<Self>, _: &mut Outbox) -> bool {
        false
    }
    fn accept(_: &mut WebSocket<Self>, _: Accept<'_>, _: &mut Outbox) -> bool {
        false
    }
    fn reject(_: &mut WebSocket<Self>, _: &mut Outbox) -> bool {
        false
    }

    fn message(way: Way) -> Message<'static> {
        match way {
            Way::Whole(index) => Self::WHOLE[index],
            Way::Pieces => Self::PIECES,
            Way::Announced => Message::Binary(Self::ANNOUNCED),
        }
    }
}

type ClientSide = Client<Constant>;

impl Side for ClientSide {
    const NAME: &str = "client";
    const MASKS: bool = true;
    const HEADS: &[&str] = &["GET / HTTP/1.1\r\nHost: a\r\n"];
    const OUTBOX: usize = 15;
    const WHOLE: [Message<'static>; 2] = [Message::Text("hi"), Message::Text("ho")];
    const HALF: Message<'static> = Message::Binary(b"x");
    const PIECES: Message<'static> = Message::Binary(b"xx");
    const ANNOUNCED: &'static [u8] = b"ab";
    const PING: &'static [u8] = b"p";
    const CODE: CloseCode = CloseCode(3000);
    const BAD_FRAME: &'static [u8] = &[0xC1, 0x80, KEY_BYTE, KEY_BYTE, KEY_BYTE, KEY_BYTE];

    fn connecting(config: Config) -> WebSocket<Self> {
        WebSocket::client(config, Constant)
    }
    fn open(config: Config) -> WebSocket<Self> {
        WebSocket::<Self>::open(config, Constant)
    }
    fn established(config: Config) -> WebSocket<Established<Self>> {
        WebSocket::<Established<Self>>::open(config, Constant)
    }
    fn connect(ws: &mut WebSocket<Self>, out: &mut Outbox) -> bool {
        ws.connect(Connect::new("a", "/").protocol("p"), out).is_ok()
    }
}

impl Side for Server {
    const NAME: &str = "server";
    const MASKS: bool = false;
    const HEADS: &[&str] = &["HTTP/1.1 101 ", "HTTP/1.1 403 "];
    const OUTBOX: usize = 8;
    const WHOLE: [Message<'static>; 2] = [Message::Binary(b"yo"), Message::Binary(b"ya")];
    const HALF: Message<'static> = Message::Text("aé");
    const PIECES: Message<'static> = Message::Text("aéaé");
    const ANNOUNCED: &'static [u8] = b"cd";
    const PING: &'static [u8] = b"q";
    const CODE: CloseCode = CloseCode(4000);
    const BAD_FRAME: &'static [u8] = &[0xC1, 0];

    fn connecting(config: Config) -> WebSocket<Self> {
        WebSocket::server(config)
    }
    fn open(config: Config) -> WebSocket<Self> {
        WebSocket::<Self>::open(config)
    }
    fn established(config: Config) -> WebSocket<Established<Self>> {
        WebSocket::<Established<Self>>::open(config)
    }
    fn accept(ws: &mut WebSocket<Self>, accept: Accept<'_>, out: &mut Outbox) -> bool {
        ws.accept(accept, out).is_ok()
    }
    fn reject(ws: &mut WebSocket<Self>, out: &mut Outbox) -> bool {
        ws.reject(Reject::status(403), out).is_ok()
    }
}

impl<R: Side> Side for Established<R> {
    const NAME: &str = R::NAME;
    const MASKS: bool = R::MASKS;
    const HEADS: &[&str] = &[];
    const OUTBOX: usize = R::OUTBOX;
    const WHOLE: [Message<'static>; 2] = R::WHOLE;
    const HALF: Message<'static> = R::HALF;
    const PIECES: Message<'static> = R::PIECES;
    const ANNOUNCED: &'static [u8] = R::ANNOUNCED;
    const PING: &'static [u8] = R::PING;
    const CODE: CloseCode = R::CODE;
    const BAD_FRAME: &'static [u8] = R::BAD_FRAME;

    fn connecting(_: Config) -> WebSocket<Self> {
        unreachable!("the handshake is done elsewhere")
    }
    fn open(config: Config) -> WebSocket<Self> {
        R::established(config)
    }
    fn established(_: Config) -> WebSocket<Established<Self>> {
        unreachable!("it is established already")
    }
}

/// How often the application at one end may act. It bounds the search.
#[derive(Clone, Copy, Debug, Hash)]
struct Budget {
    messages: u8,
    /// Fragments: two of them are a message.
    pieces: u8,
    announced: u8,
    pings: u8,
    closes: u8,
    closes_without_code: u8,
    /// How often a timer expires in the open state.
    waits: u8,
    /// How many received messages it replies to before it takes the next event.
    replies: u8,
}

impl Budget {
    const NONE: Self = Self {
        messages: 0,
        pieces: 0,
        announced: 0,
        pings: 0,
        closes: 0,
        closes_without_code: 0,
        waits: 0,
        replies: 0,
    };
    const CLOSE: Self = Self { closes: 1, ..Self::NONE };
    const MESSAGE_CLOSE: Self = Self { messages: 1, ..Self::CLOSE };
    const MESSAGES_CLOSE: Self = Self { messages: 2, ..Self::CLOSE };
    const MESSAGE_PING_CLOSE: Self = Self { messages: 1, pings: 1, ..Self::CLOSE };
    const PING_CLOSE: Self = Self { pings: 1, ..Self::CLOSE };
    const PINGS_CLOSE: Self = Self { pings: 2, ..Self::CLOSE };
    const WAITS_CLOSE: Self = Self { waits: 2, ..Self::MESSAGE_CLOSE };
    const WAIT_CLOSE: Self = Self { waits: 1, ..Self::CLOSE };
    const ANNOUNCED_CLOSE: Self = Self { announced: 1, pings: 1, ..Self::CLOSE };
    const FULL: Self =
        Self { messages: 1, pieces: 2, pings: 1, closes: 1, closes_without_code: 1, ..Self::NONE };
    /// Two of each, and both ways to close.
    const DOUBLE: Self = Self { messages: 2, pings: 2, closes: 1, closes_without_code: 1, ..Self::NONE };
    /// A message in each way.
    const ALL_WAYS: Self = Self { messages: 1, pieces: 2, announced: 1, ..Self::CLOSE };
    const ANNOUNCED_WAIT: Self = Self { announced: 1, waits: 1, ..Self::CLOSE };
    const PIECES_CLOSE: Self = Self { pieces: 2, ..Self::CLOSE };
    const REPLY_CLOSE: Self = Self { replies: 1, ..Self::MESSAGE_CLOSE };
    const REPLY_PING_CLOSE: Self = Self { replies: 2, ..Self::MESSAGE_PING_CLOSE };
}

/// How an end takes its events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    Receive,
    /// `poll`, then `event`.
    PollEvent,
    /// `dispatch`, which accepts the request if the handler does not answer it.
    Dispatch,
}

/// The scope of one search.
#[derive(Clone, Copy)]
struct Plan {
    name: &'static str,
    client: Budget,
    server: Budget,
    /// Both ends transmit after each event and at the end of the input, as the documentation asks
    /// for. Otherwise transmitting is an action, which may come late.
    prompt: bool,
    /// The connection begins with the opening handshake.
    handshake: bool,
    /// A pipe may deliver a single byte, or all bytes but the last.
    bytewise: bool,
    /// Timeouts are set, and time passes.
    timeouts: bool,
    /// The connection may break: bytes on their way are lost, and both ends see the end of the
    /// stream.
    resets: bool,
    /// A peer may send a frame that breaks a rule.
    bad_frames: bool,
    /// An end may close its direction of the stream at any time, and still reads.
    half_close: bool,
    /// Both ends take their events with these calls.
    calls: Calls,
    delivery: Delivery,
    /// Both ends have the roles without a handshake.
    established: bool,
    /// The outbox holds one frame and a Pong, and flushing it is an action. Otherwise it is
    /// unlimited, and flushed after each action.
    small_outbox: bool,
    /// The limit of both ends. Some messages exceed it.
    max_message: Option<u64>,
}

impl Plan {
    /// Plain closing: every byte that is sent arrives, and nothing but the two applications ends
    /// the connection.
    const fn new(name: &'static str, client: Budget, server: Budget) -> Self {
        Self {
            name,
            client,
            server,
            prompt: true,
            handshake: false,
            bytewise: false,
            timeouts: false,
            resets: false,
            bad_frames: false,
            half_close: false,
            calls: Calls::Receive,
            delivery: Delivery::Whole,
            established: false,
            small_outbox: false,
            max_message: None,
        }
    }

    /// Whether both peers keep the rules and the stream is reliable.
    const fn is_peaceful(&self) -> bool {
        !(self.timeouts || self.resets || self.bad_frames || self.half_close || self.max_message.is_some())
    }

    /// Whether this error has a cause.
    const fn allows(&self, error: Error) -> bool {
        match error {
            Error::Protocol(ProtocolError::ReservedBits) => self.bad_frames,
            Error::Protocol(ProtocolError::MessageTooBig) => self.max_message.is_some(),
            Error::HandshakeTimeout => self.handshake && self.timeouts,
            Error::PongTimeout => self.timeouts,
            Error::Refused(status) => self.handshake && status == 403,
            Error::EndOfStream => true,
            _ => false,
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new().delivery(self.delivery);
        if !self.timeouts {
            config = config.handshake_timeout(None).idle_ping(None).pong_timeout(None).closing_timeout(None);
        }
        self.max_message.map_or(config, |max| config.max_message(max))
    }
}

/// The actions of one end.
#[derive(Clone, Copy, Debug)]
enum Act {
    // The application decides whether they happen.
    Send,
    SendPiece,
    SendHeader,
    Ping,
    Close,
    CloseWithoutCode,
    Connect,
    // They happen sooner or later.
    SendPayload,
    Accept,
    Reject,
    ReceiveByte,
    ReceiveAllButLast,
    ReceiveAll,
    ReceiveEnd,
    Transmit,
    Flush,
    HangUp,
    Wait,
    // Faults.
    BadFrame,
    HalfClose,
}

impl Act {
    const ALL: [Self; 20] = [
        Self::Send,
        Self::SendPiece,
        Self::SendHeader,
        Self::Ping,
        Self::Close,
        Self::CloseWithoutCode,
        Self::Connect,
        Self::SendPayload,
        Self::Accept,
        Self::Reject,
        Self::ReceiveByte,
        Self::ReceiveAllButLast,
        Self::ReceiveAll,
        Self::ReceiveEnd,
        Self::Transmit,
        Self::Flush,
        Self::HangUp,
        Self::Wait,
        Self::BadFrame,
        Self::HalfClose,
    ];

    /// Whether it happens without a decision of an application. A pair without such an action is at
    /// rest.
    const fn is_progress(self) -> bool {
        matches!(
            self,
            Self::SendPayload
                | Self::Accept
                | Self::Reject
                | Self::ReceiveByte
                | Self::ReceiveAllButLast
                | Self::ReceiveAll
                | Self::ReceiveEnd
                | Self::Transmit
                | Self::Flush
                | Self::HangUp
                | Self::Wait
        )
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Client(Act),
    Server(Act),
    Reset,
}

impl Action {
    fn all() -> impl Iterator<Item = Self> {
        let ends = Act::ALL.into_iter().flat_map(|act| [Self::Client(act), Self::Server(act)]);
        ends.chain([Self::Reset])
    }

    const fn is_progress(self) -> bool {
        match self {
            Self::Client(act) | Self::Server(act) => act.is_progress(),
            Self::Reset => false,
        }
    }
}

/// The events of one end, checked one by one.
#[derive(Clone, Default, Hash)]
struct Seen {
    opened: bool,
    /// The number of complete messages.
    messages: usize,
    /// The pieces of an unfinished message. Whether they are text, and their bytes.
    pieces: Option<(bool, Vec<u8>)>,
    failed: bool,
    /// The code of the error that failed the connection, where it has one.
    failed_with: Option<u16>,
    refused: bool,
    close: Option<(u16, bool)>,
}

impl Seen {
    /// Takes an event. The peer is a `P` and has sent these messages.
    fn note<P: Side>(&mut self, event: &Event<'_>, sent: &[Way], plan: &Plan) {
        assert_eq!(self.close, None, "Close is the last event, but then came {event:?}");
        assert!(
            !self.failed || matches!(event, Event::Close(_)),
            "Close follows an Error, but then came {event:?}"
        );
        match event {
            Event::Request(_) => assert!(!self.opened, "a request comes first"),
            Event::Open(_) => assert!(!mem::replace(&mut self.opened, true), "Open comes once"),
            Event::BadRequest(_) | Event::Refused(_) => {
                assert!(!mem::replace(&mut self.refused, true), "a refusal comes once");
            }
            Event::Message(message) => {
                assert_eq!(plan.delivery, Delivery::Whole);
                self.message::<P>(*message, sent, plan);
            }
            Event::Piece(piece) => {
                assert_eq!(plan.delivery, Delivery::Pieces);
                self.piece::<P>(piece, sent, plan);
            }
            Event::Ping(payload) => {
                assert!(*payload == P::PING || payload.is_empty(), "the peer's Ping: {payload:?}")
            }
            Event::Pong(_) => {}
            Event::Error(error) => {
                assert!(plan.allows(*error), "nothing causes {error:?}");
                self.failed = true;
                self.failed_with = error.close_code().map(|code| code.0);
            }
            Event::Close(Close { code, clean, .. }) => {
                assert_eq!(*clean, *code != CloseCode::ABNORMAL, "clean exactly where the peer's Close came");
                self.close = Some((code.0, *clean));
            }
        }
    }

    fn message<P: Side>(&mut self, message: Message<'_>, sent: &[Way], plan: &Plan) {
        let len = message.as_bytes().len() as u64;
        assert!(plan.max_message.is_none_or(|max| len <= max), "a message over the limit fails");
        assert!(self.opened, "messages come after Open");
        let expected = sent.get(self.messages).map(|&way| P::message(way));
        assert_eq!(Some(message), expected, "messages arrive complete and in order");
        self.messages += 1;
    }

    fn piece<P: Side>(&mut self, piece: &Piece<'_>, sent: &[Way], plan: &Plan) {
        assert!(self.close.is_none() && !self.failed, "no piece follows an Error or Close");
        assert_eq!(piece.first, self.pieces.is_none(), "exactly the first piece begins a message");
        let is_text = matches!(piece.part, Part::Text { .. });
        let (began_as_text, mut bytes) = self.pieces.take().unwrap_or((is_text, Vec::new()));
        assert_eq!(is_text, began_as_text, "a message has one kind");
        match &piece.part {
            Part::Text { lead, text } => {
                bytes.extend_from_slice(lead.map(String::from).unwrap_or_default().as_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            Part::Binary(part) => bytes.extend_from_slice(part),
        }
        if !piece.last {
            self.pieces = Some((is_text, bytes));
        } else if is_text {
            self.message::<P>(Message::Text(str::from_utf8(&bytes).unwrap()), sent, plan);
        } else {
            self.message::<P>(Message::Binary(&bytes), sent, plan);
        }
    }

    /// Whether the peer's Close frame came.
    fn is_clean(&self) -> bool {
        matches!(self.close, Some((_, true)))
    }
}

/// The handler of `dispatch`: notes each event, and replies to messages.
struct Listener<'a, R, P> {
    seen: &'a mut Seen,
    sent: &'a mut Vec<Way>,
    replies: &'a mut u8,
    peer_sent: &'a [Way],
    plan: &'a Plan,
    roles: PhantomData<(R, P)>,
}

impl<R: Side, P: Side> Listener<'_, R, P> {
    fn note(&mut self, event: &Event<'_>) {
        self.seen.note::<P>(event, self.peer_sent, self.plan);
    }

    fn reply(&mut self, sender: &mut Responder<'_>) {
        if *self.replies > 0 && sender.send(R::WHOLE[0]).is_ok() {
            *self.replies -= 1;
            self.sent.push(Way::Whole(0));
        }
    }
}

impl<R: Side, P: Side> Handler for Listener<'_, R, P> {
    fn on_request(&mut self, request: Request<'_>, _: &mut Responder<'_>) {
        self.note(&Event::Request(request));
    }
    fn on_open(&mut self, open: Open<'_>, _: &mut Responder<'_>) {
        self.note(&Event::Open(open));
    }
    fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {
        self.note(&Event::Message(message));
        self.reply(sender);
    }
    fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Responder<'_>) {
        self.seen.piece::<P>(piece, self.peer_sent, self.plan);
        if piece.last {
            self.reply(sender);
        }
    }
    fn on_ping(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        self.note(&Event::Ping(payload.clone()));
    }
    fn on_pong(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        self.note(&Event::Pong(payload.clone()));
    }
    fn on_refused(&mut self, response: Response<'_>) {
        self.note(&Event::Refused(response));
    }
    fn on_error(&mut self, error: Error) {
        self.note(&Event::Error(error));
    }
    fn on_close(&mut self, close: &Close) {
        self.note(&Event::Close(close.clone()));
    }
}

/// Reads the bytes that one end sends and checks its frames (RFC 6455 sections 5.1, 5.4 and 5.5).
#[derive(Clone, Default, Hash)]
struct Wire {
    /// An unfinished frame, or head.
    partial: Vec<u8>,
    /// The opening handshake's head is complete.
    in_frames: bool,
    in_message: bool,
    pings: u8,
    pongs: u8,
    /// The Close frame's code; 1005 where it has none.
    close: Option<u16>,
}

impl Wire {
    /// Takes bytes that the end, an `R`, sends to a `P`. `peer_closed` says whether it has received
    /// the peer's Close frame.
    fn feed<R: Side, P: Side>(&mut self, bytes: &[u8], peer_closed: bool) {
        let masked = R::MASKS;
        self.partial.extend_from_slice(bytes);
        if !self.in_frames {
            let Some(end) = self.partial.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            let head: Vec<u8> = self.partial.drain(..end + 4).collect();
            assert!(R::HEADS.iter().any(|start| head.starts_with(start.as_bytes())), "a head of its role");
            self.in_frames = true;
        }
        let overhead = if masked { 6 } else { 2 };
        while let [first, second, ..] = self.partial[..] {
            assert_eq!(second & 0x80 != 0, masked, "exactly a client masks");
            let end = overhead + usize::from(second & 0x7F);
            // Checked at the header: the payload of a wrong frame may never come.
            let allowed = self.close.is_none() || first == 0x8A && !peer_closed;
            assert!(allowed, "frame {first:#X} after the Close frame");
            if self.partial.len() < end {
                return;
            }
            let key = if masked { KEY_BYTE } else { 0 };
            let payload: Vec<u8> = self.partial[overhead..end].iter().map(|byte| byte ^ key).collect();
            self.partial.drain(..end);
            self.frame::<R, P>(first, &payload);
        }
    }

    fn frame<R: Side, P: Side>(&mut self, first: u8, payload: &[u8]) {
        match first {
            0x01 | 0x02 | 0x81 | 0x82 => {
                assert!(!self.in_message, "a message begins inside another");
                self.in_message = first & 0x80 == 0;
            }
            0x00 | 0x80 => {
                assert!(self.in_message, "a continuation outside a message");
                self.in_message = first & 0x80 == 0;
            }
            0x88 => {
                self.close = Some(match *payload {
                    [] => 1005,
                    [high, low, ..] => u16::from_be_bytes([high, low]),
                    [_] => panic!("a Close frame of one byte"),
                });
            }
            0x89 => {
                assert!(payload == R::PING || payload.is_empty(), "its own Ping, or an idle one");
                self.pings += 1;
            }
            0x8A => {
                assert!(
                    payload == P::PING || payload.is_empty(),
                    "a Pong has the payload of the peer's Ping"
                );
                self.pongs += 1;
            }
            _ => panic!("first byte {first:#X}"),
        }
    }
}

/// One end of the connection.
#[derive(Clone)]
struct End<R: Side> {
    ws: WebSocket<R>,
    /// The fingerprint of `ws` after the last action.
    ws_fingerprint: u128,
    inbox: Vec<u8>,
    outbox: Outbox,
    /// How many bytes of the outbox are checked.
    outbox_checked: usize,
    /// The pipe that leads to it.
    incoming: VecDeque<u8>,
    budget: Budget,
    seen: Seen,
    /// The frames that it has sent.
    wire: Wire,
    sent: Vec<Way>,
    /// The rest of the payload that `send_header` announced.
    payload: &'static [u8],
    /// The code that its application closed with; 1005 for none.
    closed_with: Option<u16>,
    request: Option<Accept<'static>>,
    /// It has ended its direction of the stream.
    hung_up: bool,
    /// It has seen the end of the other direction.
    at_end: bool,
    /// `is_closed` was true after an earlier action.
    was_closed: bool,
}

impl<R: Side> End<R> {
    fn new(ws: WebSocket<R>, budget: Budget, plan: &Plan) -> Self {
        Self {
            ws_fingerprint: fingerprint_of_machine(&ws),
            ws,
            inbox: Vec::new(),
            outbox: Outbox::new(if plan.small_outbox { R::OUTBOX } else { usize::MAX }),
            outbox_checked: 0,
            incoming: VecDeque::new(),
            budget,
            seen: Seen { opened: !plan.handshake, ..Seen::default() },
            wire: Wire { in_frames: !plan.handshake, ..Wire::default() },
            sent: Vec::new(),
            payload: b"",
            closed_with: None,
            request: None,
            hung_up: false,
            at_end: false,
            was_closed: false,
        }
    }

    /// Checks all conditions of `act` outside the machine.
    fn may<P: Side>(&self, act: Act, peer: &End<P>, plan: &Plan) -> bool {
        let (budget, may_send, buffered) = (&self.budget, !self.hung_up, self.incoming.len());
        let may_receive = buffered > 0 && !self.at_end && !self.ws.awaits_caller();
        let flushed = self.outbox.bytes.is_empty();
        match act {
            Act::Send => may_send && budget.messages > 0,
            Act::SendPiece => may_send && budget.pieces > 0,
            Act::SendHeader => may_send && budget.announced > 0,
            Act::SendPayload => {
                may_send && !self.payload.is_empty() && self.outbox.remaining() > 0 && !self.ws.is_closed()
            }
            Act::Ping => may_send && budget.pings > 0,
            Act::Close => may_send && budget.closes > 0,
            Act::CloseWithoutCode => may_send && budget.closes_without_code > 0,
            Act::Connect => may_send && plan.handshake,
            Act::Accept | Act::Reject => may_send && self.request.is_some(),
            Act::ReceiveByte => may_receive && plan.bytewise,
            // A single byte is the case of `ReceiveByte`.
            Act::ReceiveAllButLast => may_receive && plan.bytewise && buffered > 2,
            Act::ReceiveAll => may_receive && !(plan.bytewise && buffered == 1),
            Act::ReceiveEnd => peer.hung_up && buffered == 0 && !self.at_end,
            Act::Transmit => may_send,
            Act::Flush => !flushed,
            Act::HangUp => may_send && self.ws.is_closed() && flushed,
            Act::Wait => plan.timeouts,
            Act::BadFrame => {
                may_send
                    && plan.bad_frames
                    && budget.messages > 0
                    && self.wire.partial.is_empty()
                    && self.wire.in_frames
                    && flushed
            }
            Act::HalfClose => may_send && plan.half_close,
        }
    }

    /// Performs `act`. Returns `false` where the machine refuses it or has nothing to do.
    fn perform<P: Side>(&mut self, act: Act, peer: &mut End<P>, now: &mut Duration, plan: &Plan) -> bool {
        let was_open = self.ws.state() == State::Open;
        let done = match act {
            Act::Send => {
                self.budget.messages -= 1;
                let way = Way::Whole(usize::from(self.budget.messages % 2));
                self.sent.push(way);
                let can_send = self.ws.can_send();
                let done = self.ws.send(R::message(way), &mut self.outbox).is_ok();
                assert!(done == can_send || plan.small_outbox, "{}: can_send says so", R::NAME);
                done
            }
            Act::SendPiece => {
                self.budget.pieces -= 1;
                let last = self.budget.pieces.is_multiple_of(2);
                if last {
                    self.sent.push(Way::Pieces);
                }
                self.ws.send_piece(Fragment::new(R::HALF, last), &mut self.outbox).is_ok()
            }
            Act::SendHeader => {
                self.budget.announced -= 1;
                self.sent.push(Way::Announced);
                self.payload = R::ANNOUNCED;
                let len = R::ANNOUNCED.len() as u64;
                self.ws.send_header(Kind::Binary, len, &mut self.outbox).is_ok()
            }
            Act::SendPayload => {
                if let Some((byte, rest)) = self.payload.split_first() {
                    self.payload = rest;
                    self.outbox.append(&[if R::MASKS { byte ^ KEY_BYTE } else { *byte }]);
                    self.ws.payload_sent(1).unwrap();
                }
                true
            }
            Act::Ping => {
                self.budget.pings -= 1;
                self.ws.ping(R::PING, &mut self.outbox).is_ok()
            }
            Act::Close => {
                self.budget.closes -= 1;
                self.closed_with = Some(R::CODE.0);
                self.ws.close(R::CODE, "", &mut self.outbox).is_ok()
            }
            Act::CloseWithoutCode => {
                self.budget.closes_without_code -= 1;
                self.closed_with = Some(CloseCode::NO_STATUS.0);
                self.ws.close_without_code(&mut self.outbox).is_ok()
            }
            Act::Connect => R::connect(&mut self.ws, &mut self.outbox),
            Act::Accept => {
                let accept = self.request.take();
                accept.is_some_and(|accept| R::accept(&mut self.ws, accept, &mut self.outbox))
            }
            Act::Reject => self.request.take().is_some() && R::reject(&mut self.ws, &mut self.outbox),
            Act::ReceiveByte => self.receive_from_pipe(1, peer, plan),
            Act::ReceiveAllButLast => self.receive_from_pipe(self.incoming.len() - 1, peer, plan),
            Act::ReceiveAll => self.receive_from_pipe(self.incoming.len(), peer, plan),
            Act::ReceiveEnd => self.receive_end(peer, plan),
            Act::Transmit => {
                let before = self.outbox.bytes.len();
                self.ws.transmit(&mut self.outbox).is_ok() && self.outbox.bytes.len() > before
            }
            Act::Flush => {
                self.flush(peer);
                true
            }
            Act::HangUp | Act::HalfClose => {
                self.outbox.clear();
                self.outbox_checked = 0;
                self.hung_up = true;
                true
            }
            Act::Wait => self.wait(peer, now, plan),
            Act::BadFrame => {
                // One is enough, and no message follows it.
                self.budget.messages = 0;
                peer.incoming.extend(R::BAD_FRAME);
                was_open
            }
        };
        if !done {
            return false;
        }
        let sends_data = matches!(act, Act::Send | Act::SendPiece | Act::SendHeader | Act::Ping);
        assert!(!sends_data || was_open, "{}: data is sent in the open state only", R::NAME);
        self.check_output::<P>();
        if matches!(act, Act::Accept | Act::Reject) {
            // The answer causes an event.
            self.take_events(&mut [], peer, plan);
        }
        if matches!(act, Act::SendPayload) && plan.prompt {
            self.transmit_promptly(peer);
        }
        if !plan.small_outbox {
            self.flush(peer);
        }
        true
    }

    fn receive_from_pipe<P: Side>(&mut self, count: usize, peer: &mut End<P>, plan: &Plan) -> bool {
        let mut bytes: Vec<u8> = self.incoming.drain(..count).collect();
        let left = self.take_events(&mut bytes, peer, plan);
        assert!(
            left == 0 || self.ws.awaits_caller(),
            "input is left only while the machine waits for the caller"
        );
        for &byte in bytes[bytes.len() - left..].iter().rev() {
            self.incoming.push_front(byte);
        }
        true
    }

    /// Takes events until none is left. Returns how many bytes of the input are left.
    fn take_events<P: Side>(&mut self, mut input: &mut [u8], peer: &mut End<P>, plan: &Plan) -> usize {
        loop {
            let messages = self.seen.messages;
            let more = match plan.calls {
                Calls::Receive => self.receive(&mut input, peer, plan),
                Calls::PollEvent => self.poll_event(&mut input, peer, plan),
                Calls::Dispatch => self.dispatch(&mut input, peer, plan),
            };
            self.check_closed();
            // The handler of `dispatch` has replied already.
            if plan.calls != Calls::Dispatch && self.seen.messages > messages {
                self.reply();
                self.check_output::<P>();
            }
            if plan.prompt {
                self.transmit_promptly(peer);
            }
            if !more {
                return input.len();
            }
        }
    }

    fn reply(&mut self) {
        if !self.hung_up && self.budget.replies > 0 && self.ws.send(R::WHOLE[0], &mut self.outbox).is_ok() {
            self.budget.replies -= 1;
            self.sent.push(Way::Whole(0));
        }
    }

    /// Takes one event with `receive`. Returns `false` where there is none.
    fn receive<P: Side>(&mut self, input: &mut &mut [u8], peer: &End<P>, plan: &Plan) -> bool {
        let Some(event) = self.ws.receive(input, &mut self.inbox) else { return false };
        self.seen.note::<P>(&event, &peer.sent, plan);
        if let Event::Request(request) = event {
            self.request = Some(request.accept());
        }
        true
    }

    /// Takes one event with `poll` and `event`. Returns `false` where there is none.
    fn poll_event<P: Side>(&mut self, input: &mut &mut [u8], peer: &End<P>, plan: &Plan) -> bool {
        let missing = self.ws.missing(input, &self.inbox);
        let Some(ready) = self.ws.poll(input, &mut self.inbox) else {
            if !self.ws.awaits_caller() {
                *input = &mut [];
            }
            return false;
        };
        assert!(
            missing == 0 || plan.delivery == Delivery::Pieces,
            "an unfinished frame has no event, and a finished one misses nothing"
        );
        let (taken, rest) = mem::take(input).split_at_mut(ready.consumed());
        *input = rest;
        let event = self.ws.event(ready, taken, &mut self.inbox).expect("a Ready has an event");
        self.seen.note::<P>(&event, &peer.sent, plan);
        if let Event::Request(request) = event {
            self.request = Some(request.accept());
        }
        true
    }

    /// Takes one event with `dispatch`. Returns `false` where there is none.
    fn dispatch<P: Side>(&mut self, input: &mut &mut [u8], peer: &mut End<P>, plan: &Plan) -> bool {
        loop {
            let (len, before) = (input.len(), plan.small_outbox.then(|| fingerprint_of_machine(&self.ws)));
            let mut listener = Listener::<R, P> {
                seen: &mut self.seen,
                sent: &mut self.sent,
                replies: if self.hung_up { &mut 0 } else { &mut self.budget.replies },
                peer_sent: &peer.sent,
                plan,
                roles: PhantomData,
            };
            let result = self.ws.dispatch(input, &mut self.inbox, &mut self.outbox, &mut listener);
            if let Ok(more) = result {
                self.check_output::<P>();
                return more;
            }
            let after = fingerprint_of_machine(&self.ws);
            assert!(before == Some(after) && input.len() == len, "{}: no event was taken", R::NAME);
            assert!(!self.outbox.bytes.is_empty(), "the capacity is enough");
            self.flush(peer);
        }
    }

    fn receive_end<P: Side>(&mut self, peer: &mut End<P>, plan: &Plan) -> bool {
        self.at_end = true;
        self.ws.receive_eof();
        self.take_events(&mut [], peer, plan);
        true
    }

    /// Starts the timer of this end, or lets time pass until it expires.
    fn wait<P: Side>(&mut self, peer: &mut End<P>, now: &mut Duration, plan: &Plan) -> bool {
        let Some(deadline) = self.ws.poll_timeout() else { return false };
        if deadline > *now {
            // Only an open connection can wait again and again.
            if self.ws.state() == State::Open {
                let Some(waits) = self.budget.waits.checked_sub(1) else { return false };
                self.budget.waits = waits;
            }
            *now = deadline;
        }
        self.ws.handle_timeout(*now);
        self.take_events(&mut [], peer, plan);
        true
    }

    /// Transmits. Where the outbox is full, it flushes first.
    fn transmit_promptly<P: Side>(&mut self, peer: &mut End<P>) {
        if self.ws.transmit(&mut self.outbox).is_err() {
            self.flush(peer);
            self.ws.transmit(&mut self.outbox).expect("the capacity is enough");
        }
        self.check_output::<P>();
    }

    /// Sends the outbox to the peer, unless this direction of the stream has ended.
    fn flush<P: Side>(&mut self, peer: &mut End<P>) {
        self.check_output::<P>();
        if !self.hung_up {
            peer.incoming.extend(&self.outbox.bytes);
            self.ws.output_sent(self.outbox.bytes.len(), 0);
        }
        self.outbox.clear();
        self.outbox_checked = 0;
    }

    /// Checks the bytes that were appended since the last check.
    fn check_output<P: Side>(&mut self) {
        let name = R::NAME;
        let bytes = &self.outbox.bytes[self.outbox_checked..];
        if bytes.is_empty() {
            return;
        }
        assert!(!self.was_closed, "{name}: nothing is sent after is_closed");
        self.wire.feed::<R, P>(bytes, self.seen.is_clean());
        self.outbox_checked = self.outbox.bytes.len();
        assert!(self.wire.in_frames, "{name}: a head is appended at once");
        let unfinished = !self.wire.partial.is_empty();
        assert_eq!(unfinished, !self.payload.is_empty(), "{name}: only an announced payload is unfinished");
    }

    /// Makes the calls that must fail in this state, and checks that nothing has changed.
    fn check_failing_calls(&self) {
        let (mut ws, full, empty) = (self.ws.clone(), &mut Outbox::new(0), &mut Outbox::new(usize::MAX));
        let is_open = ws.state() == State::Open;
        let piece = |last| Fragment::new(R::HALF, last);
        let other_kind = match R::HALF.kind() {
            Kind::Text => Message::Binary(b"x"),
            Kind::Binary => Message::Text("x"),
        };
        let mut sent = vec![
            // No capacity.
            ws.send(R::WHOLE[0], full),
            ws.send_piece(piece(false), full),
            ws.send_piece(piece(true), full),
            ws.send_header(Kind::Binary, 2, full).map(drop),
            ws.ping(R::PING, full),
            ws.pong(R::PING, full),
            ws.close(R::CODE, "", full),
            ws.close_without_code(full),
            // Arguments that are wrong in every state.
            ws.send_header(Kind::Binary, u64::MAX, empty).map(drop),
            ws.payload_sent(self.payload.len() as u64 + 1),
            ws.ping(&[0; 126], empty),
            ws.pong(&[0; 126], empty),
            ws.close(R::CODE, "0123456789".repeat(13).as_str(), empty),
            ws.close(CloseCode::NO_STATUS, "", empty),
        ];
        if !ws.can_send() {
            sent.extend([ws.send(R::WHOLE[0], empty), ws.send_header(Kind::Binary, 2, empty).map(drop)]);
        }
        if self.wire.in_message {
            sent.push(ws.send_piece(Fragment::new(other_kind, true), empty));
        }
        if !is_open || !self.payload.is_empty() {
            sent.extend([ws.send_piece(piece(true), empty), ws.ping(R::PING, empty)]);
            sent.extend([ws.close(R::CODE, "", empty), ws.close_without_code(empty)]);
        }
        assert!(sent.iter().all(Result::is_err), "{}: {sent:?}", R::NAME);
        assert!(!R::connect(&mut ws, full) && !R::reject(&mut ws, full), "{}: no capacity", R::NAME);
        assert!(!self.request.is_some_and(|accept| R::accept(&mut ws, accept, full)), "no capacity");
        if ws.transmit(full).is_err() {
            let dispatched = ws.dispatch(&mut &mut [][..], &mut Vec::new(), full, &mut ());
            assert!(dispatched.is_err(), "dispatch transmits first");
        }
        assert!(full.bytes.is_empty() && empty.bytes.is_empty(), "{}: a call that fails appends", R::NAME);
        assert_eq!(
            fingerprint_of_machine(&ws),
            self.ws_fingerprint,
            "{}: a call that fails changes",
            R::NAME
        );
    }

    fn update_fingerprint(&mut self) {
        self.ws_fingerprint = fingerprint_of_machine(&self.ws);
    }

    /// Checks that an action without a result has changed nothing.
    fn check_unchanged(&self, before: &Self) {
        let name = R::NAME;
        assert_eq!(self.outbox, before.outbox, "{name}: a call that fails appends nothing");
        assert_eq!(
            fingerprint_of_machine(&self.ws),
            self.ws_fingerprint,
            "{name}: a call that fails changes nothing"
        );
    }

    /// Checks what holds between two events too.
    fn check_closed(&self) {
        let (name, closed) = (R::NAME, self.ws.is_closed());
        assert_eq!(closed, self.ws.state() == State::Closed, "{name}: is_closed and state agree");
        assert!(closed || !self.was_closed, "{name}: closed for ever");
        assert!(!closed || self.ws.poll_timeout().is_none(), "{name}: a closed connection needs no timer");
    }

    /// Checks the invariants of one end.
    fn check<P: Side>(&mut self, peer: &End<P>, plan: &Plan) {
        let name = R::NAME;
        self.check_closed();
        let state = self.ws.state();
        let closed = state == State::Closed;
        self.was_closed = closed;
        if plan.timeouts && state == State::Closing {
            assert!(self.ws.poll_timeout().is_some(), "{name}: closing is limited in time");
        }
        assert!(self.wire.pongs <= peer.wire.pings, "{name}: a Pong answers a Ping");
        if let Some((code, clean)) = self.seen.close {
            assert!(
                matches!(state, State::Closing | State::Closed),
                "{name}: {state:?} after the Close event"
            );
            if clean {
                assert_eq!(self.seen.messages, peer.sent.len(), "{name}: all messages came before the Close");
                assert_eq!(peer.wire.close, Some(code), "{name}: the code is that of the peer's Close frame");
                // The peer chose it, failed with it, or echoed ours.
                let expected = peer.closed_with.or(peer.seen.failed_with).or(self.closed_with);
                assert_eq!(Some(code), expected, "{name}: the code was chosen by an end");
            }
        }
        let both_closed = self.seen.is_clean() && self.wire.close.is_some();
        assert!(!both_closed || closed || R::MASKS, "a server is closed after both Close frames");
        if plan.is_peaceful() {
            assert!(!self.seen.failed || self.seen.refused, "{name}: nothing fails");
            let waits = !R::MASKS || self.seen.refused || self.at_end;
            assert!(!closed || waits, "a client waits for the server to end the stream");
        }
    }
}

impl<R: Side> Hash for End<R> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.ws_fingerprint.hash(hasher);
        self.inbox.hash(hasher);
        self.outbox.bytes.hash(hasher);
        self.incoming.hash(hasher);
        self.budget.hash(hasher);
        self.seen.hash(hasher);
        self.wire.hash(hasher);
        self.sent.hash(hasher);
        self.payload.hash(hasher);
        self.closed_with.hash(hasher);
        (self.request.is_some(), self.hung_up, self.at_end, self.was_closed).hash(hasher);
    }
}

/// FNV-1a with 128 bits.
struct Fingerprint(u128);

impl Fingerprint {
    const fn new() -> Self {
        Self(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D)
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013B);
        }
    }
    fn finish(&self) -> u64 {
        self.0 as u64
    }
}

/// Hashes formatted text without allocating it.
impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// The machine shows all of its state.
fn fingerprint_of_machine<R: Side>(ws: &WebSocket<R>) -> u128 {
    let mut fingerprint = Fingerprint::new();
    let _ = write!(fingerprint, "{ws:?}");
    fingerprint.0
}

/// Both ends, and the time.
#[derive(Clone)]
struct World<C: Side, S: Side> {
    client: End<C>,
    server: End<S>,
    now: Duration,
}

impl<C: Side, S: Side> World<C, S> {
    fn new(plan: &Plan) -> Self {
        let config = plan.config();
        // Only the server sends idle Pings: the client's timer is off until it closes.
        let client_config = config.idle_ping(None);
        let (client, server) = if plan.handshake {
            (C::connecting(client_config), S::connecting(config))
        } else {
            (C::open(client_config), S::open(config))
        };
        Self {
            client: End::new(client, plan.client, plan),
            server: End::new(server, plan.server, plan),
            now: Duration::ZERO,
        }
    }

    fn fingerprint(&self) -> u128 {
        let mut hasher = Fingerprint::new();
        self.client.hash(&mut hasher);
        self.server.hash(&mut hasher);
        self.now.hash(&mut hasher);
        hasher.0
    }

    /// The world after `action`, if it is possible.
    fn after(&self, action: Action, plan: &Plan) -> Option<Self> {
        let may = match action {
            Action::Client(act) => self.client.may(act, &self.server, plan),
            Action::Server(act) => self.server.may(act, &self.client, plan),
            Action::Reset => plan.resets && !self.client.hung_up && !self.server.hung_up,
        };
        if !may {
            return None;
        }
        let mut world = self.clone();
        let Self { client, server, now } = &mut world;
        let done = match action {
            Action::Client(act) => client.perform(act, server, now, plan),
            Action::Server(act) => server.perform(act, client, now, plan),
            Action::Reset => {
                (client.hung_up, server.hung_up) = (true, true);
                client.incoming.clear();
                server.incoming.clear();
                client.flush(server);
                server.flush(client);
                client.receive_end(server, plan) && server.receive_end(client, plan)
            }
        };
        if !done {
            match action {
                Action::Client(_) => world.client.check_unchanged(&self.client),
                Action::Server(_) => world.server.check_unchanged(&self.server),
                Action::Reset => {}
            }
            return None;
        }
        match action {
            Action::Client(_) => world.client.update_fingerprint(),
            Action::Server(_) => world.server.update_fingerprint(),
            Action::Reset => {
                world.client.update_fingerprint();
                world.server.update_fingerprint();
            }
        }
        world.check(plan);
        Some(world)
    }

    /// Checks the invariants of every state.
    fn check(&mut self, plan: &Plan) {
        self.client.check(&self.server, plan);
        self.server.check(&self.client, plan);
    }

    /// Checks a state in which nothing happens until an application decides something.
    fn check_at_rest(&self, plan: &Plan) {
        let Self { client, server, .. } = self;
        // No request is sent yet, or both ends are open.
        if client.ws.awaits_caller() && !client.at_end
            || client.ws.state() == State::Open && server.ws.state() == State::Open
        {
            return;
        }
        let states = (client.ws.state(), server.ws.state());
        assert!(client.ws.is_closed() && server.ws.is_closed(), "deadlock: {states:?}");
        assert!(
            client.seen.close.is_some() && server.seen.close.is_some(),
            "every connection ends with Close"
        );
        if plan.is_peaceful() && client.seen.opened && server.seen.opened {
            assert!(client.seen.is_clean() && server.seen.is_clean(), "both ends are clean");
            assert!(
                client.wire.close.is_some() && server.wire.close.is_some(),
                "both ends have sent a Close frame"
            );
            assert_eq!(
                client.seen.messages,
                server.sent.len(),
                "the client has all of the server's messages"
            );
            assert_eq!(
                server.seen.messages,
                client.sent.len(),
                "the server has all of the client's messages"
            );
        }
    }
}

/// Runs `check`. Where it panics, prints the actions that lead there.
fn checked<T>(plan: &Plan, path: &[Action], last: Option<Action>, check: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|violation| {
        println!("{}: after {path:?}, {last:?}", plan.name);
        resume_unwind(violation)
    })
}

/// Explores a plan to the end and returns its number of states.
fn explore(plan: &Plan) -> usize {
    if plan.established {
        explore_from(World::<Established<ClientSide>, Established<Server>>::new(plan), plan)
    } else {
        explore_from(World::<ClientSide, Server>::new(plan), plan)
    }
}

fn explore_from<C: Side, S: Side>(first: World<C, S>, plan: &Plan) -> usize {
    let start = Instant::now();
    let mut known = HashSet::from([first.fingerprint()]);
    let mut queue = VecDeque::from([(first, Vec::<Action>::new())]);
    let (mut steps, mut at_rest) = (0_u64, 0_u64);
    while let Some((world, path)) = queue.pop_front() {
        checked(plan, &path, None, || {
            world.client.check_failing_calls();
            world.server.check_failing_calls();
        });
        let mut rests = true;
        for action in Action::all() {
            let Some(next) = checked(plan, &path, Some(action), || world.after(action, plan)) else {
                continue;
            };
            steps += 1;
            rests &= !action.is_progress();
            if known.insert(next.fingerprint()) {
                let mut path = path.clone();
                path.push(action);
                queue.push_back((next, path));
            }
        }
        if rests {
            at_rest += 1;
            checked(plan, &path, None, || world.check_at_rest(plan));
        }
    }
    let (name, states, seconds) = (plan.name, known.len(), start.elapsed().as_secs_f32());
    println!("{name}: {states} states, {steps} steps, {at_rest} states at rest, {seconds:.1} s");
    states
}

/// Closing in every way, with a message of each kind, Pings and an idle connection's timers, within
/// bounds that keep a debug build at seconds.
const SMALL_PLANS: [Plan; 17] = [
    Plan::new("small: closing", Budget::MESSAGE_PING_CLOSE, Budget::MESSAGE_CLOSE),
    Plan { prompt: false, ..Plan::new("small: closing, late", Budget::PINGS_CLOSE, Budget::CLOSE) },
    Plan { bytewise: true, ..Plan::new("small: bytewise", Budget::MESSAGES_CLOSE, Budget::CLOSE) },
    Plan {
        resets: true,
        prompt: false,
        ..Plan::new("small: resets, late", Budget::MESSAGE_CLOSE, Budget::CLOSE)
    },
    Plan { timeouts: true, ..Plan::new("small: timeouts", Budget::MESSAGE_CLOSE, Budget::WAIT_CLOSE) },
    Plan { handshake: true, ..Plan::new("small: handshake", Budget::CLOSE, Budget::MESSAGE_CLOSE) },
    Plan { bad_frames: true, ..Plan::new("small: bad frames", Budget::MESSAGE_CLOSE, Budget::MESSAGE_CLOSE) },
    Plan {
        half_close: true,
        prompt: false,
        ..Plan::new("small: half-close, late", Budget::CLOSE, Budget::CLOSE)
    },
    Plan {
        small_outbox: true,
        prompt: false,
        ..Plan::new("small: full outbox", Budget::CLOSE, Budget::MESSAGE_CLOSE)
    },
    Plan {
        calls: Calls::PollEvent,
        delivery: Delivery::Pieces,
        established: true,
        bytewise: true,
        ..Plan::new("small: pieces with poll", Budget::NONE, Budget::PIECES_CLOSE)
    },
    Plan {
        calls: Calls::PollEvent,
        bytewise: true,
        ..Plan::new("small: poll", Budget::MESSAGE_CLOSE, Budget::PIECES_CLOSE)
    },
    Plan { timeouts: true, ..Plan::new("small: payload, timeouts", Budget::NONE, Budget::ANNOUNCED_WAIT) },
    Plan {
        timeouts: true,
        half_close: true,
        prompt: false,
        ..Plan::new("small: timeouts, half-close, late", Budget::CLOSE, Budget::WAIT_CLOSE)
    },
    Plan {
        calls: Calls::Dispatch,
        ..Plan::new("small: replies", Budget::MESSAGE_CLOSE, Budget::REPLY_CLOSE)
    },
    Plan {
        max_message: Some(1),
        ..Plan::new("small: max_message", Budget::PIECES_CLOSE, Budget::MESSAGE_CLOSE)
    },
    Plan::new("small: header and payload", Budget::ANNOUNCED_CLOSE, Budget::PING_CLOSE),
    Plan {
        prompt: false,
        ..Plan::new("small: header and payload, late", Budget::PING_CLOSE, Budget::ANNOUNCED_CLOSE)
    },
];

/// Proves: L5, L6, L7, L8, L9, L10, L11, L12, L14, L16, L17, L19, L21, L24.
#[test]
fn every_order_of_a_few_actions_ends_in_one_close() {
    for plan in &SMALL_PLANS {
        explore(plan);
    }
}

/// Proves: L5, L6, L7, L8, L9, L10, L11, L12, L14, L16, L17, L19, L21, L24.
#[test]
#[ignore = "takes minutes, in a release build"]
fn every_order_of_all_actions_ends_in_one_close() {
    const FULL: Budget = Budget::FULL;
    const SOME: Budget = Budget::MESSAGE_PING_CLOSE;
    const DOUBLE: Budget = Budget::DOUBLE;
    const REPLIES: Budget = Budget::REPLY_PING_CLOSE;
    const FULL_REPLIES: Budget = Budget { replies: 2, ..FULL };
    const PIECES_PING: Budget = Budget { pings: 1, ..Budget::PIECES_CLOSE };
    const PIECES: Delivery = Delivery::Pieces;
    let plans = [
        Plan::new("closing", FULL, FULL),
        Plan { prompt: false, ..Plan::new("closing, late", FULL, FULL) },
        Plan { bytewise: true, ..Plan::new("bytewise", SOME, SOME) },
        Plan { bytewise: true, prompt: false, ..Plan::new("bytewise, late", SOME, SOME) },
        Plan::new("header and payload", Budget::ANNOUNCED_CLOSE, Budget::ANNOUNCED_CLOSE),
        Plan { prompt: false, ..Plan::new("header and payload, late", Budget::ANNOUNCED_CLOSE, SOME) },
        Plan { resets: true, ..Plan::new("resets", FULL, SOME) },
        Plan { resets: true, prompt: false, ..Plan::new("resets, late", FULL, SOME) },
        Plan { half_close: true, ..Plan::new("half-close", FULL, SOME) },
        Plan { half_close: true, prompt: false, ..Plan::new("half-close, late", SOME, SOME) },
        Plan { bad_frames: true, ..Plan::new("bad frames", FULL, SOME) },
        Plan { bad_frames: true, prompt: false, ..Plan::new("bad frames, late", SOME, SOME) },
        Plan { timeouts: true, ..Plan::new("timeouts", SOME, Budget::WAITS_CLOSE) },
        Plan { timeouts: true, prompt: false, ..Plan::new("timeouts, late", SOME, Budget::WAITS_CLOSE) },
        Plan { handshake: true, ..Plan::new("handshake", FULL, FULL) },
        Plan { handshake: true, prompt: false, ..Plan::new("handshake, late", SOME, SOME) },
        Plan { handshake: true, bytewise: true, ..Plan::new("handshake, bytewise", Budget::CLOSE, SOME) },
        Plan {
            handshake: true,
            resets: true,
            prompt: false,
            ..Plan::new("handshake, resets, late", SOME, SOME)
        },
        Plan {
            handshake: true,
            half_close: true,
            prompt: false,
            ..Plan::new("handshake, half-close, late", SOME, SOME)
        },
        Plan {
            handshake: true,
            timeouts: true,
            ..Plan::new("handshake, timeouts", Budget::CLOSE, Budget::WAITS_CLOSE)
        },
        Plan {
            handshake: true,
            timeouts: true,
            bytewise: true,
            ..Plan::new("handshake, timeouts, bytewise", Budget::NONE, Budget::CLOSE)
        },
        Plan {
            handshake: true,
            calls: Calls::Dispatch,
            resets: true,
            ..Plan::new("handshake, handler", FULL, Budget::REPLY_CLOSE)
        },
        Plan::new("two of each", DOUBLE, DOUBLE),
        Plan { prompt: false, ..Plan::new("two of each, late", DOUBLE, DOUBLE) },
        Plan::new("all ways to send", Budget::ALL_WAYS, Budget::ALL_WAYS),
        Plan { delivery: PIECES, ..Plan::new("pieces", FULL, FULL) },
        Plan { delivery: PIECES, bytewise: true, ..Plan::new("pieces, bytewise", PIECES_PING, PIECES_PING) },
        Plan {
            calls: Calls::PollEvent,
            bytewise: true,
            prompt: false,
            ..Plan::new("poll and event, bytewise, late", PIECES_PING, SOME)
        },
        Plan {
            calls: Calls::PollEvent,
            delivery: PIECES,
            established: true,
            resets: true,
            ..Plan::new("established, pieces, poll and event, resets", FULL, FULL)
        },
        Plan { calls: Calls::Dispatch, ..Plan::new("handler", FULL_REPLIES, REPLIES) },
        Plan {
            calls: Calls::Dispatch,
            delivery: PIECES,
            established: true,
            small_outbox: true,
            ..Plan::new("handler, pieces, full outbox", FULL, REPLIES)
        },
        Plan { prompt: false, ..Plan::new("replies, late", FULL_REPLIES, REPLIES) },
        Plan { small_outbox: true, ..Plan::new("full outbox", FULL, SOME) },
        Plan { small_outbox: true, prompt: false, ..Plan::new("full outbox, late", FULL, SOME) },
        Plan {
            small_outbox: true,
            timeouts: true,
            prompt: false,
            ..Plan::new("full outbox, timeouts, late", SOME, Budget::WAITS_CLOSE)
        },
        Plan {
            max_message: Some(1),
            bytewise: true,
            ..Plan::new("max_message, bytewise", PIECES_PING, SOME)
        },
        Plan {
            max_message: Some(3),
            delivery: PIECES,
            bad_frames: true,
            prompt: false,
            ..Plan::new("max_message, pieces, bad frames, late", FULL, SOME)
        },
        Plan {
            timeouts: true,
            half_close: true,
            prompt: false,
            ..Plan::new("timeouts, half-close, late", SOME, Budget::WAITS_CLOSE)
        },
        Plan {
            timeouts: true,
            bad_frames: true,
            resets: true,
            ..Plan::new("timeouts, bad frames, resets", SOME, Budget::WAITS_CLOSE)
        },
        Plan {
            timeouts: true,
            half_close: true,
            ..Plan::new(
                "header and payload, timeouts, half-close",
                Budget::ANNOUNCED_CLOSE,
                Budget::ANNOUNCED_WAIT,
            )
        },
        Plan {
            resets: true,
            half_close: true,
            small_outbox: true,
            ..Plan::new("header and payload, half-close, full outbox", Budget::ANNOUNCED_CLOSE, SOME)
        },
    ];
    let states: usize = plans.iter().map(explore).sum();
    println!("{states} states in {} plans", plans.len());
}
