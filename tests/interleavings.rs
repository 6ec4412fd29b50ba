//! Every order of events between a client and a server.
//!
//! Two machines are joined by two pipes. From each state that the pair can reach, every possible
//! next action is tried: the application sends, pings or closes, a pipe delivers one byte or all of
//! them, an end transmits, hangs up or sees the end of the stream, time passes, the connection
//! breaks, a peer breaks a rule. The search stops when it finds no new state, so within its budgets
//! a plan covers all interleavings. Every state is checked, see [`World::check`] and
//! [`World::check_at_rest`]; a violation prints the shortest list of actions that leads to it.
//!
//! The small plans run with all other tests. All plans take about a minute:
//! `cargo test --release --test interleavings -- --ignored --nocapture`
#![cfg(feature = "alloc")]

use sansocket::{
    Accept, Client, Close, CloseCode, Config, Connect, Event, Fragment, Kind, Message, Reject, Role, Server,
    State, WebSocket,
};
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// How a message is sent.
#[derive(Clone, Copy, Debug, Hash)]
enum Way {
    Whole,
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
    /// The message that is sent whole.
    const WHOLE: Message<'static>;
    /// Half of the message that is sent in pieces, and both halves.
    const HALF: Message<'static>;
    const PIECES: Message<'static>;
    const ANNOUNCED: &'static [u8];
    const PING: &'static [u8];
    const CODE: CloseCode;
    /// A frame with a reserved bit.
    const BAD_FRAME: &'static [u8];

    fn connect(_: &mut WebSocket<Self>, _: &mut Vec<u8>) -> bool {
        false
    }
    fn accept(_: &mut WebSocket<Self>, _: Accept<'_>, _: &mut Vec<u8>) -> bool {
        false
    }
    fn reject(_: &mut WebSocket<Self>, _: &mut Vec<u8>) -> bool {
        false
    }

    fn message(way: Way) -> Message<'static> {
        match way {
            Way::Whole => Self::WHOLE,
            Way::Pieces => Self::PIECES,
            Way::Announced => Message::Binary(Self::ANNOUNCED),
        }
    }
}

type ClientSide = Client<Constant>;

impl Side for ClientSide {
    const NAME: &str = "client";
    const MASKS: bool = true;
    const WHOLE: Message<'static> = Message::Text("hi");
    const HALF: Message<'static> = Message::Binary(b"x");
    const PIECES: Message<'static> = Message::Binary(b"xx");
    const ANNOUNCED: &'static [u8] = b"ab";
    const PING: &'static [u8] = b"p";
    const CODE: CloseCode = CloseCode(3000);
    const BAD_FRAME: &'static [u8] = &[0xC1, 0x80, KEY_BYTE, KEY_BYTE, KEY_BYTE, KEY_BYTE];

    fn connect(ws: &mut WebSocket<Self>, out: &mut Vec<u8>) -> bool {
        ws.connect(Connect::new("a", "/").protocol("p"), out).is_ok()
    }
}

impl Side for Server {
    const NAME: &str = "server";
    const MASKS: bool = false;
    const WHOLE: Message<'static> = Message::Binary(b"yo");
    const HALF: Message<'static> = Message::Text("é");
    const PIECES: Message<'static> = Message::Text("éé");
    const ANNOUNCED: &'static [u8] = b"cd";
    const PING: &'static [u8] = b"q";
    const CODE: CloseCode = CloseCode(4000);
    const BAD_FRAME: &'static [u8] = &[0xC1, 0];

    fn accept(ws: &mut WebSocket<Self>, accept: Accept<'_>, out: &mut Vec<u8>) -> bool {
        ws.accept(accept, out).is_ok()
    }
    fn reject(ws: &mut WebSocket<Self>, out: &mut Vec<u8>) -> bool {
        ws.reject(Reject::status(403), out).is_ok()
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
}

impl Budget {
    const NONE: Self =
        Self { messages: 0, pieces: 0, announced: 0, pings: 0, closes: 0, closes_without_code: 0, waits: 0 };
    const CLOSE: Self = Self { closes: 1, ..Self::NONE };
    const MESSAGE_CLOSE: Self = Self { messages: 1, ..Self::CLOSE };
    const MESSAGE_PING_CLOSE: Self = Self { messages: 1, pings: 1, ..Self::CLOSE };
    const PINGS_CLOSE: Self = Self { pings: 2, ..Self::CLOSE };
    const WAITS_CLOSE: Self = Self { waits: 2, ..Self::MESSAGE_CLOSE };
    const WAIT_CLOSE: Self = Self { waits: 1, ..Self::CLOSE };
    const ANNOUNCED_CLOSE: Self = Self { announced: 1, pings: 1, ..Self::CLOSE };
    const FULL: Self =
        Self { messages: 1, pieces: 2, pings: 1, closes: 1, closes_without_code: 1, ..Self::NONE };
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
    /// A pipe may deliver a single byte.
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
        }
    }

    /// Whether both peers keep the rules and the stream is reliable.
    const fn is_peaceful(&self) -> bool {
        !(self.timeouts || self.resets || self.bad_frames || self.half_close)
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
    ReceiveAll,
    ReceiveEnd,
    Transmit,
    HangUp,
    Wait,
    // Faults.
    BadFrame,
    HalfClose,
}

impl Act {
    const ALL: [Self; 18] = [
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
        Self::ReceiveAll,
        Self::ReceiveEnd,
        Self::Transmit,
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
                | Self::ReceiveAll
                | Self::ReceiveEnd
                | Self::Transmit
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
    messages: usize,
    failed: bool,
    refused: bool,
    close: Option<(u16, bool)>,
}

impl Seen {
    /// Takes an event. The peer is a `P` and has sent these messages.
    fn note<P: Side>(&mut self, event: &Event<'_>, sent: &[Way]) {
        assert_eq!(self.close, None, "Close is the last event, but then came {event:?}");
        assert!(
            !self.failed || matches!(event, Event::Close(_)),
            "Close follows an Error, but then came {event:?}"
        );
        match event {
            Event::Request(_) => assert!(!self.opened, "a request comes first"),
            Event::Open(_) => assert!(!mem::replace(&mut self.opened, true), "Open comes once"),
            Event::Refused(_) => assert!(!mem::replace(&mut self.refused, true), "a refusal comes once"),
            Event::Message(message) => {
                let expected = sent.get(self.messages).map(|&way| P::message(way));
                assert_eq!(Some(*message), expected, "messages arrive whole and in order");
                self.messages += 1;
            }
            Event::Piece(piece) => panic!("not asked for: {piece:?}"),
            Event::Ping(payload) => {
                assert!(*payload == P::PING || payload.is_empty(), "the peer's Ping: {payload:?}")
            }
            Event::Pong(_) => {}
            Event::Error(_) => self.failed = true,
            Event::Close(Close { code, clean, .. }) => {
                assert_eq!(*clean, *code != CloseCode::ABNORMAL, "clean exactly where the peer's Close came");
                self.close = Some((code.0, *clean));
            }
        }
    }

    /// Whether the peer's Close frame came.
    fn is_clean(&self) -> bool {
        matches!(self.close, Some((_, true)))
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
    /// Takes bytes that the end sends. `peer_closed` says whether it has received the peer's Close
    /// frame.
    fn feed(&mut self, bytes: &[u8], masked: bool, peer_closed: bool) {
        self.partial.extend_from_slice(bytes);
        if !self.in_frames {
            let Some(end) = self.partial.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            self.partial.drain(..end + 4);
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
            self.frame(first, &payload);
        }
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
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
            0x89 => self.pings += 1,
            0x8A => self.pongs += 1,
            _ => panic!("first byte {first:#X}"),
        }
    }
}

/// One end of the connection.
#[derive(Clone)]
struct End<R: Side> {
    ws: WebSocket<R>,
    inbox: Vec<u8>,
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
            ws,
            inbox: Vec::new(),
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
        match act {
            Act::Send => may_send && budget.messages > 0,
            Act::SendPiece => may_send && budget.pieces > 0,
            Act::SendHeader => may_send && budget.announced > 0,
            Act::SendPayload => may_send && !self.payload.is_empty(),
            Act::Ping => may_send && budget.pings > 0,
            Act::Close => may_send && budget.closes > 0,
            Act::CloseWithoutCode => may_send && budget.closes_without_code > 0,
            Act::Connect => may_send && plan.handshake,
            Act::Accept | Act::Reject => may_send && self.request.is_some(),
            Act::ReceiveByte => may_receive && plan.bytewise,
            // A single byte is the case of `ReceiveByte`.
            Act::ReceiveAll => may_receive && !(plan.bytewise && buffered == 1),
            Act::ReceiveEnd => peer.hung_up && buffered == 0 && !self.at_end,
            Act::Transmit => may_send,
            Act::HangUp => may_send && self.ws.is_closed(),
            Act::Wait => plan.timeouts,
            Act::BadFrame => {
                may_send && plan.bad_frames && budget.messages > 0 && self.wire.partial.is_empty()
            }
            Act::HalfClose => may_send && plan.half_close,
        }
    }

    /// Performs `act`. Returns `false` where the machine refuses it or has nothing to do.
    fn perform<P: Side>(&mut self, act: Act, peer: &mut End<P>, now: &mut Duration, plan: &Plan) -> bool {
        let mut out = Vec::new();
        let was_open = self.ws.state() == State::Open;
        let done = match act {
            Act::Send => {
                self.budget.messages -= 1;
                self.sent.push(Way::Whole);
                self.ws.send(R::WHOLE, &mut out).is_ok()
            }
            Act::SendPiece => {
                self.budget.pieces -= 1;
                let last = self.budget.pieces.is_multiple_of(2);
                if last {
                    self.sent.push(Way::Pieces);
                }
                self.ws.send_piece(Fragment::new(R::HALF, last), &mut out).is_ok()
            }
            Act::SendHeader => {
                self.budget.announced -= 1;
                self.sent.push(Way::Announced);
                self.payload = R::ANNOUNCED;
                let len = R::ANNOUNCED.len() as u64;
                self.ws.send_header(Kind::Binary, len, &mut out).is_ok()
            }
            Act::SendPayload => {
                if let Some((byte, rest)) = self.payload.split_first() {
                    self.payload = rest;
                    out.push(if R::MASKS { byte ^ KEY_BYTE } else { *byte });
                    self.ws.payload_sent(1).unwrap();
                }
                true
            }
            Act::Ping => {
                self.budget.pings -= 1;
                self.ws.ping(R::PING, &mut out).is_ok()
            }
            Act::Close => {
                self.budget.closes -= 1;
                self.closed_with = Some(R::CODE.0);
                self.ws.close(R::CODE, "", &mut out).is_ok()
            }
            Act::CloseWithoutCode => {
                self.budget.closes_without_code -= 1;
                self.closed_with = Some(CloseCode::NO_STATUS.0);
                self.ws.close_without_code(&mut out).is_ok()
            }
            Act::Connect => R::connect(&mut self.ws, &mut out),
            Act::Accept => {
                let accept = self.request.take();
                accept.is_some_and(|accept| R::accept(&mut self.ws, accept, &mut out))
            }
            Act::Reject => self.request.take().is_some() && R::reject(&mut self.ws, &mut out),
            Act::ReceiveByte => self.receive_from_pipe(1, peer, plan),
            Act::ReceiveAll => self.receive_from_pipe(self.incoming.len(), peer, plan),
            Act::ReceiveEnd => self.receive_end(peer, plan),
            Act::Transmit => self.transmit(peer),
            Act::HangUp | Act::HalfClose => {
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
        let sends_data = matches!(act, Act::Send | Act::SendPiece | Act::SendHeader | Act::Ping);
        assert!(!done || !sends_data || was_open, "{}: data is sent in the open state only", R::NAME);
        self.put(out, peer);
        if matches!(act, Act::Accept | Act::Reject) {
            // The answer causes an event.
            self.receive(&mut [], peer, plan);
        }
        if matches!(act, Act::SendPayload) && plan.prompt {
            self.transmit(peer);
        }
        done
    }

    fn receive_from_pipe<P: Side>(&mut self, count: usize, peer: &mut End<P>, plan: &Plan) -> bool {
        let mut bytes: Vec<u8> = self.incoming.drain(..count).collect();
        let left = self.receive(&mut bytes, peer, plan);
        assert!(
            left == 0 || self.ws.awaits_caller(),
            "input is left only while the machine waits for the caller"
        );
        for &byte in bytes[bytes.len() - left..].iter().rev() {
            self.incoming.push_front(byte);
        }
        true
    }

    /// Receives until no event is left. Returns how many bytes of the input are left.
    fn receive<P: Side>(&mut self, mut input: &mut [u8], peer: &mut End<P>, plan: &Plan) -> usize {
        loop {
            let event = self.ws.receive(&mut input, &mut self.inbox);
            let more = event.is_some();
            if let Some(event) = event {
                self.seen.note::<P>(&event, &peer.sent);
                if let Event::Request(request) = event {
                    self.request = Some(request.accept());
                }
            }
            if plan.prompt {
                self.transmit(peer);
            }
            if !more {
                return input.len();
            }
        }
    }

    fn receive_end<P: Side>(&mut self, peer: &mut End<P>, plan: &Plan) -> bool {
        self.at_end = true;
        self.ws.receive_eof();
        self.receive(&mut [], peer, plan);
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
        self.receive(&mut [], peer, plan);
        true
    }

    /// Transmits. Returns `false` where nothing is pending.
    fn transmit<P: Side>(&mut self, peer: &mut End<P>) -> bool {
        let mut out = Vec::new();
        self.ws.transmit(&mut out).unwrap();
        let some = !out.is_empty();
        self.put(out, peer);
        some
    }

    /// Sends bytes to the peer, unless this direction of the stream has ended.
    fn put<P: Side>(&mut self, bytes: Vec<u8>, peer: &mut End<P>) {
        assert!(bytes.is_empty() || !self.was_closed, "nothing is sent after is_closed");
        if !self.hung_up {
            self.wire.feed(&bytes, R::MASKS, self.seen.is_clean());
            peer.incoming.extend(bytes);
        }
    }

    /// Checks the invariants of one end.
    fn check<P: Side>(&mut self, peer: &End<P>, plan: &Plan) {
        let name = R::NAME;
        let (state, closed) = (self.ws.state(), self.ws.is_closed());
        assert_eq!(closed, state == State::Closed, "{name}: is_closed and state agree");
        assert!(closed || !self.was_closed, "{name}: closed for ever");
        self.was_closed = closed;
        assert!(!closed || self.ws.poll_timeout().is_none(), "{name}: a closed connection needs no timer");
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
                assert_eq!(peer.wire.close, Some(code), "{name}: the code is that of the peer's Close frame");
                // The peer chose it, failed with it, or echoed ours.
                let failed = peer.seen.failed.then_some(CloseCode::PROTOCOL_ERROR.0);
                let expected = peer.closed_with.or(failed).or(self.closed_with);
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
        // The machine shows all of its state.
        let _ = write!(Text(hasher), "{:?}", self.ws);
        self.inbox.hash(hasher);
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

/// Hashes formatted text without allocating it.
struct Text<'h, H>(&'h mut H);

impl<H: Hasher> fmt::Write for Text<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Two hashers with different starts, for 128 bits.
struct Wide(DefaultHasher, DefaultHasher);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Both ends, and the time.
#[derive(Clone, Hash)]
struct World {
    client: End<ClientSide>,
    server: End<Server>,
    now: Duration,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let config = if plan.timeouts {
            Config::new()
        } else {
            Config::new().handshake_timeout(None).idle_ping(None).pong_timeout(None).closing_timeout(None)
        };
        // Only the server sends idle Pings: the client's timer is off until it closes.
        let client_config = config.idle_ping(None);
        let (client, server) = if plan.handshake {
            (WebSocket::client(client_config, Constant), WebSocket::server(config))
        } else {
            (WebSocket::<ClientSide>::open(client_config, Constant), WebSocket::<Server>::open(config))
        };
        Self {
            client: End::new(client, plan.client, plan),
            server: End::new(server, plan.server, plan),
            now: Duration::ZERO,
        }
    }

    fn fingerprint(&self) -> u128 {
        let mut other = DefaultHasher::new();
        other.write_u8(1);
        let mut hasher = Wide(DefaultHasher::new(), other);
        self.hash(&mut hasher);
        u128::from(hasher.0.finish()) << 64 | u128::from(hasher.1.finish())
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
                client.receive_end(server, plan) && server.receive_end(client, plan)
            }
        };
        if !done {
            return None;
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
    let start = Instant::now();
    let first = World::new(plan);
    let mut known = HashSet::from([first.fingerprint()]);
    let mut queue = VecDeque::from([(first, Vec::<Action>::new())]);
    let (mut steps, mut at_rest) = (0_u64, 0_u64);
    while let Some((world, path)) = queue.pop_front() {
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
const SMALL_PLANS: [Plan; 10] = [
    Plan::new("small: closing", Budget::MESSAGE_PING_CLOSE, Budget::MESSAGE_CLOSE),
    Plan { prompt: false, ..Plan::new("small: closing, late", Budget::PINGS_CLOSE, Budget::CLOSE) },
    Plan { bytewise: true, ..Plan::new("small: bytewise", Budget::CLOSE, Budget::CLOSE) },
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
    Plan::new("small: header and payload", Budget::ANNOUNCED_CLOSE, Budget::PINGS_CLOSE),
    Plan {
        prompt: false,
        ..Plan::new("small: header and payload, late", Budget::PINGS_CLOSE, Budget::ANNOUNCED_CLOSE)
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
#[ignore = "takes a minute, in a release build"]
fn every_order_of_all_actions_ends_in_one_close() {
    const FULL: Budget = Budget::FULL;
    const SOME: Budget = Budget::MESSAGE_PING_CLOSE;
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
    ];
    let states: usize = plans.iter().map(explore).sum();
    println!("{states} states in {} plans", plans.len());
}
