//! The machine: the states of a connection and everything that changes them (RFC 6455 sections 4 to 7).

use crate::config::Millis;
use crate::data::{CloseReason, ControlPayload, Fragment, Kind, Message, Part, Piece};
use crate::event::{Close, Error, Event, Fault, Ready, State, What};
use crate::frame::{self, Opcode};
use crate::handshake::{
    self, Accept, Chosen, Connect, KeyValue, Open, Reader, Reject, Request, Response, ServerOpening,
};
use crate::inbound::{self, Inbound, Rules};
use crate::message::Assembly;
use crate::outbound::{Idle, Outbound, Owed, Phase, Shared};
use crate::role::{Client, Established, Role, Server, sealed};
use crate::{
    AnswerError, Buffer, CloseCode, CloseError, Config, ConnectError, Delivery, IS_64_BIT, OutboxFull,
    ProtocolError, SendError, utf8,
};
use core::{fmt, mem, ops::Range, time::Duration};
use rand_core::CryptoRng;

/// One WebSocket connection, as a machine without I/O: bytes in ([`receive`](Self::receive)), events out, bytes to
/// send out ([`transmit`](Self::transmit), [`send`](Self::send) and their kin).
///
/// See the [crate's documentation](crate) for the loop, and for how a connection ends.
pub struct WebSocket<R: Role> {
    role: R,
    config: Config,
    /// The receiving half.
    receiving: Receiving<R>,
    due: Due,
    /// The sending half.
    outbound: Outbound,
    /// What both halves know.
    shared: Shared,
    timer: Timer,
    deadline: Duration,
    /// What [`is_between`](Self::is_between) has said last, unless the connection has ended since. Only 64-bit machines look
    /// at it.
    between: bool,
}

/// What the next bytes of input are.
enum Receiving<R: sealed::Role> {
    /// Nothing yet: the caller has to connect, or to answer a request, which has a key if it asks for an upgrade.
    Waiting { key: Option<KeyValue> },
    /// A request's or a response's head.
    Head(handshake::Reader, R::Opening),
    /// Frames.
    Frames(Inbound, Assembly),
    /// Nothing: the opening handshake has failed. (A connection that was open ends within its [`Inbound`], whose last control
    /// frame is still to be told.)
    Over,
}

/// Events that no input causes: first the one, then the other.
#[derive(Debug, Default)]
struct Due {
    open: Option<Chosen>,
    then: Then,
}

#[derive(Debug, Default)]
enum Then {
    #[default]
    Nothing,
    /// The text goes wrong behind the piece that was lent last: that failure. Until it is told, the piece can be answered,
    /// as it could if the fault had come in a later slice.
    WrongText,
    /// An error, and the end.
    Error(Fault),
    /// The end, without the peer's Close frame.
    Dropped,
}

/// The one timer, which runs for what the phase waits for: handshake, idle Ping or missing Pong, closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Off,
    /// From the next call of `handle_timeout` on.
    Armed,
    /// To the deadline.
    Running,
}

impl Timer {
    fn of(timeout: Millis) -> Self {
        if timeout == Millis::NEVER { Self::Off } else { Self::Armed }
    }
}

impl WebSocket<Server> {
    /// A server's side of a connection, before the client's request.
    #[must_use]
    pub fn server(config: Config) -> Self {
        let opening = Receiving::Head(Reader::default(), ServerOpening::default());
        Self::new(Server, config, opening, Phase::Connecting, Timer::of(config.handshake_timeout))
    }

    /// A server's side of a connection that is open already: something else has done the opening handshake, an HTTP/1.1
    /// stack (see [`check_request`](crate::handshake::check_request)) or one for HTTP/2 or HTTP/3. There is no
    /// [`Event::Open`].
    #[must_use]
    pub fn open(config: Config) -> Self {
        Self::new_open(Server, config)
    }

    /// Accepts the request: appends the response with status 101. [`Event::Open`] is next, and messages can be sent.
    ///
    /// It need not be called while the [`Request`] is at hand: until the answer, no input is taken.
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed, and the request can still be answered.
    pub fn accept<B>(&mut self, accept: Accept<'_>, outbox: &mut B) -> Result<(), AnswerError>
    where
        B: Buffer + ?Sized,
    {
        self.accept_request(accept, outbox)
    }

    /// Refuses the request, or answers one that asks for no upgrade: appends the response. [`Event::Close`] is next.
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed, and the request can still be answered.
    pub fn reject<B>(&mut self, reject: Reject<'_>, outbox: &mut B) -> Result<(), AnswerError>
    where
        B: Buffer + ?Sized,
    {
        self.reject_request(reject, outbox)
    }
}

impl<G: CryptoRng> WebSocket<Client<G>> {
    /// A client's side of a connection, before its request; its masking keys and its `Sec-WebSocket-Key` come from
    /// `rng`.
    #[must_use]
    pub fn client(config: Config, rng: G) -> Self {
        Self::new(Client { rng }, config, Receiving::Waiting { key: None }, Phase::Connecting, Timer::Off)
    }

    /// A client's side of a connection that is open already: something else has done the opening handshake, an HTTP/1.1
    /// stack (see [`check_response`](crate::handshake::check_response)) or one for HTTP/2 or HTTP/3. There is no
    /// [`Event::Open`].
    #[must_use]
    pub fn open(config: Config, rng: G) -> Self {
        Self::new_open(Client { rng }, config)
    }

    /// Appends the request for a WebSocket. [`Event::Open`] comes with the response.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing has changed.
    pub fn connect<B>(&mut self, connect: Connect<'_>, outbox: &mut B) -> Result<(), ConnectError>
    where
        B: Buffer + ?Sized,
    {
        if !self.awaits_caller() {
            return Err(ConnectError::AlreadySent);
        }
        let mut opening = connect.check()?;
        let mut random = [0; 16];
        self.role.rng.fill_bytes(&mut random);
        let key = handshake::key_value(&random);
        connect.append(&key, &opening, outbox)?;
        opening.key = Some(key);
        self.receiving = Receiving::Head(Reader::default(), opening);
        self.arm();
        Ok(())
    }
}

impl WebSocket<Established<Server>> {
    /// A server's side of a connection that is open already, as [`WebSocket::<Server>::open`](WebSocket::open), in a type of its
    /// own.
    #[must_use]
    pub fn open(config: Config) -> Self {
        Self::new_open(Established { role: Server }, config)
    }
}

impl<G: CryptoRng> WebSocket<Established<Client<G>>> {
    /// A client's side of a connection that is open already, as `WebSocket::<Client<_>>::open`, in a type of its own.
    #[must_use]
    pub fn open(config: Config, rng: G) -> Self {
        Self::new_open(Established { role: Client { rng } }, config)
    }
}

impl<R: Role> WebSocket<R> {
    fn new(role: R, config: Config, receiving: Receiving<R>, phase: Phase, timer: Timer) -> Self {
        let shared = Shared { phase, owed: Owed::Nothing, pong: ControlPayload::new(), idle: Idle::Quiet };
        Self {
            role,
            config,
            receiving,
            due: Due::default(),
            outbound: Outbound::default(),
            shared,
            timer,
            deadline: Duration::ZERO,
            between: false,
        }
    }

    fn new_open(role: R, config: Config) -> Self {
        let receiving = Receiving::Frames(Inbound::default(), Assembly::default());
        let mut ws = Self::new(role, config, receiving, Phase::Open, Timer::of(config.idle_ping));
        ws.between = ws.is_between();
        ws
    }

    pub(crate) fn accept_request<B>(&mut self, accept: Accept<'_>, outbox: &mut B) -> Result<(), AnswerError>
    where
        B: Buffer + ?Sized,
    {
        match self.receiving {
            _ if !R::ANSWERS => return Err(AnswerError::NoRequest),
            Receiving::Waiting { key: Some(key) } if key == accept.key() => {}
            Receiving::Waiting { key: Some(_) } => return Err(AnswerError::OtherRequest),
            Receiving::Waiting { key: None } => return Err(AnswerError::NotAnUpgrade),
            _ => return Err(AnswerError::NoRequest),
        }
        accept.check()?;
        accept.append(outbox)?;
        self.start();
        self.due.open = Some(accept.chosen());
        Ok(())
    }

    pub(crate) fn reject_request<B>(&mut self, reject: Reject<'_>, outbox: &mut B) -> Result<(), AnswerError>
    where
        B: Buffer + ?Sized,
    {
        if !R::ANSWERS || !self.awaits_caller() {
            return Err(AnswerError::NoRequest);
        }
        reject.check()?;
        reject.append(outbox)?;
        self.end(Phase::Closed);
        self.due.then = Then::Dropped;
        Ok(())
    }

    /// Takes bytes from the front of `input` up to the next event, which borrows the input or `inbox`. `None` once the
    /// input is used up: nothing of it must be kept or handed in again.
    ///
    /// The payload is unmasked in place. A message that lies whole in the input is lent from there; one that spans
    /// several calls is collected in the inbox, which the machine clears when it needs to, and which must stay the same
    /// from call to call; after a message it may be another one, so that a large one's memory need not be kept. The caller
    /// may stop between two events and hand in the rest later.
    ///
    /// It cannot fail: what the peer does wrong is an [`Event::Error`], then an [`Event::Close`]; later input is
    /// dropped. The one case in which `None` leaves input behind: while [`awaits_caller`](Self::awaits_caller), none is
    /// taken.
    ///
    /// Call [`transmit`](Self::transmit) after each event, and once more at the end of the input.
    #[inline(always)]
    pub fn receive<'i: 'e, 'b: 'e, 'e, B>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut B,
    ) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        // The short way, without a call. (On a 32-bit core it is behind one, and saves flash.)
        if IS_64_BIT && let Some((kind, payload)) = self.whole(input, inbox) {
            let (taken, rest) = mem::take(input).split_at_mut_checked(payload.end)?;
            *input = rest;
            return self.message(kind, taken.get(payload.start..)?);
        }
        self.receive_next(input, inbox)
    }

    // Not in line, like all that is not the short way.
    #[inline(never)]
    fn receive_next<'i: 'e, 'b: 'e, 'e, B>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut B,
    ) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        let ready = if IS_64_BIT { self.poll_next(input, inbox) } else { self.poll(input, inbox) };
        let Some(ready) = ready else {
            if !self.awaits_caller() {
                *input = &mut [];
            }
            return None;
        };
        let (taken, rest) = mem::take(input).split_at_mut_checked(ready.consumed)?;
        *input = rest;
        self.event(ready, taken, inbox)
    }

    /// The first half of [`receive`](Self::receive), for a wrapper that owns its buffers: takes bytes from the front of
    /// `input` up to the next event, and says how many those are, without borrowing. `None`: all used up, or
    /// [`awaits_caller`](Self::awaits_caller).
    ///
    /// Hand a `Ready` to [`event`](Self::event), with the same `input` and inbox, before any other call.
    #[inline]
    pub fn poll<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        match self.whole(input, inbox) {
            Some((kind, payload)) => {
                Some(Ready { consumed: payload.end, start: payload.start, what: What::Message(kind) })
            }
            None => self.poll_next(input, inbox),
        }
    }

    /// The short way to a message in one frame that lies whole in the input: its kind, and where its payload lies.
    #[inline(always)]
    fn whole<B>(&mut self, input: &mut [u8], inbox: &B) -> Option<(Kind, Range<usize>)>
    where
        B: Buffer + ?Sized,
    {
        if !self.is_short_way_open() {
            return None;
        }
        debug_assert!(self.is_between());
        let found = inbound::whole(input, &Rules::new(R::IS_SERVER, &self.config, inbox))?;
        self.heard();
        Some(found)
    }

    /// What `is_between` says, asked once for all messages of a read. (A 32-bit core asks each time, which takes less flash and
    /// less stack.)
    #[inline(always)]
    fn is_short_way_open(&self) -> bool {
        if IS_64_BIT { self.between } else { self.is_between() }
    }

    /// Whether a whole message may begin with the next octet, and is to be lent from where it lies.
    fn is_between(&self) -> bool {
        let Receiving::Frames(inbound, _) = &self.receiving else { return false };
        inbound.is_between() && self.due.is_empty() && self.config.delivery == Delivery::Whole
    }

    /// The way to every event.
    #[inline(never)]
    fn poll_next<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        if IS_64_BIT && self.between && input.is_empty() {
            debug_assert!(self.is_between());
            return None;
        }
        let ready = self.poll_any(input, inbox);
        if IS_64_BIT {
            self.between = self.is_between();
        }
        ready
    }

    #[inline(always)]
    fn poll_any<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        if matches!(self.due.then, Then::WrongText) {
            self.fail(Fault::Protocol(ProtocolError::InvalidUtf8));
        }
        if let Some(what) = self.due.next() {
            return Some(Ready { consumed: 0, start: 0, what });
        }
        match self.receiving {
            Receiving::Head(..) => self.poll_head(input, inbox),
            // Where no frames come, it finds nothing.
            _ => self.poll_frames(input, inbox),
        }
    }

    /// How many bytes behind `input` still belong to the frame that it ends in: an optional question, ahead of
    /// [`receive`](Self::receive) or [`poll`](Self::poll), for who has a large buffer.
    ///
    /// A message that lies whole in the input is lent from there; one that does not is collected in the inbox, which is a
    /// copy. Where the answer is not 0 and the buffer has as much room, the caller may leave `input` as it is, read that
    /// many bytes behind it, and receive then. (Where not even the header of the frame is complete, it may ask again.) 0
    /// says that there is nothing to wait for.
    ///
    /// The answer is what the peer has declared: it is to be compared with the room that there is, never allocated.
    #[must_use]
    #[inline(always)]
    pub fn missing<B>(&self, input: &[u8], inbox: &B) -> u64
    where
        B: Buffer + ?Sized,
    {
        if self.is_short_way_open() && frame::looks_uncut(input) {
            0
        } else {
            self.missing_beyond(input, inbox)
        }
    }

    #[inline(never)]
    fn missing_beyond<B>(&self, input: &[u8], inbox: &B) -> u64
    where
        B: Buffer + ?Sized,
    {
        match &self.receiving {
            Receiving::Frames(inbound, _) => {
                inbound.missing(input, &Rules::new(R::IS_SERVER, &self.config, inbox))
            }
            _ => 0,
        }
    }

    /// The second half of [`receive`](Self::receive): the event that [`poll`](Self::poll) has found in `input`, whose
    /// first [`Ready::consumed`] bytes belong to it.
    ///
    /// With another input or inbox than `poll` had it is nonsense or `None`, never a panic.
    #[inline]
    pub fn event<'e, B>(&mut self, ready: Ready, input: &'e mut [u8], inbox: &'e mut B) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        let Ready { consumed, start, what } = ready;
        match what {
            What::Message(kind) => self.message(kind, input.get(start..consumed)?),
            _ => self.other_event(ready, input, inbox),
        }
    }

    /// A message in place.
    #[inline]
    fn message<'e>(&mut self, kind: Kind, payload: &'e [u8]) -> Option<Event<'e>> {
        match kind {
            Kind::Binary => Some(Event::Message(Message::Binary(payload))),
            Kind::Text => match utf8::validate(payload) {
                Some(text) => Some(Event::Message(Message::Text(text))),
                None => self.fail_text(),
            },
        }
    }

    /// Every event but a message in place.
    fn other_event<'e, B>(&mut self, ready: Ready, input: &'e mut [u8], inbox: &'e B) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        let Ready { consumed, start, what } = ready;
        // Each arm says `Some`: an event that is wrapped behind the match is on the stack twice.
        match what {
            What::Message(_) => None,
            What::Collected(Kind::Binary) => Some(Event::Message(Message::Binary(inbox.bytes()))),
            What::Collected(Kind::Text) => Some(Event::Message(Message::Text(inbox.text().ok()?))),
            What::Piece { kind, taken, first, last } => {
                let payload = input.get_mut(start + usize::from(taken)..consumed)?;
                match kind {
                    Kind::Binary => Some(Event::Piece(Piece { part: Part::Binary(payload), first, last })),
                    Kind::Text => self.text_piece(payload, taken > 0, first, last),
                }
            }
            What::Ping => control_event(Opcode::Ping, self.control()),
            What::Pong => control_event(Opcode::Pong, self.control()),
            What::Request(asked) => Some(Event::Request(Request::new(inbox.bytes(), asked))),
            What::Open(chosen) => Some(Event::Open(Open::new(inbox.bytes(), chosen))),
            What::Error(fault) => Some(Event::Error(match fault {
                Fault::Protocol(error) => Error::Protocol(error),
                Fault::Request(error) => Error::Request(error),
                Fault::Response(error) => Error::Response(error),
                Fault::Refused => Error::Refused(Response::new(inbox.bytes())),
                Fault::HandshakeTimeout => Error::HandshakeTimeout,
                Fault::PongTimeout => Error::PongTimeout,
                Fault::EndOfStream => Error::EndOfStream,
            })),
            What::Closed => {
                let (code, reason) = frame::parse_close(self.control()).ok()?;
                close_event(code, reason, true)
            }
            What::Dropped => close_event(CloseCode::ABNORMAL, "", false),
        }
    }

    /// A text piece; where the text goes wrong in it, what comes before is lent first.
    fn text_piece<'e>(
        &mut self,
        payload: &'e [u8],
        has_lead: bool,
        first: bool,
        last: bool,
    ) -> Option<Event<'e>> {
        let assembly = self.assembly()?;
        let lead = if has_lead { assembly.lead() } else { None };
        let (text, last) = match assembly.text(payload, last) {
            Some(text) => (text, last),
            None => {
                let text = utf8::valid_prefix(payload);
                if text.is_empty() && lead.is_none() {
                    return self.fail_text();
                }
                self.due.then = Then::WrongText;
                (text, false)
            }
        };
        Some(Event::Piece(Piece { part: Part::Text { lead, text }, first, last }))
    }

    /// Fails on text in place: its event is the error instead.
    #[cold]
    fn fail_text<'e>(&mut self) -> Option<Event<'e>> {
        // None: the connection has ended since `poll`, or the same `Ready` has failed it before.
        self.assembly()?;
        self.fail(Fault::Protocol(ProtocolError::InvalidUtf8));
        self.due.then = Then::Dropped;
        Some(Event::Error(Error::Protocol(ProtocolError::InvalidUtf8)))
    }

    /// The payload of the last control frame.
    fn control(&self) -> &[u8] {
        match &self.receiving {
            Receiving::Frames(inbound, _) => &inbound.control,
            _ => &[],
        }
    }

    /// What assembles messages, while any can come.
    fn assembly(&mut self) -> Option<&mut Assembly> {
        match &mut self.receiving {
            Receiving::Frames(inbound, assembly) if !inbound.is_over() => Some(assembly),
            _ => None,
        }
    }

    // The two are kept apart from each other: the stack of the one is not that of the other.
    #[inline(never)]
    fn poll_head<B>(&mut self, input: &[u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        let Receiving::Head(reader, opening) = &mut self.receiving else { return None };
        let (head, consumed) = match reader.read(input, inbox, opening, &self.config) {
            Ok(read) => read?,
            Err(error) => return self.failed(error.into(), 0),
        };
        let what = head.into();
        match what {
            What::Request(asked) => {
                self.receiving = Receiving::Waiting { key: asked.key(inbox.bytes()) };
                // From here on it is the caller who takes the time.
                self.timer = Timer::Off;
            }
            What::Error(fault) => return self.failed(fault, consumed),
            _ => self.start(),
        }
        Some(Ready { consumed, start: 0, what })
    }

    #[inline(never)]
    fn poll_frames<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        if !input.is_empty() {
            self.heard();
        }
        let mut at = 0..0;
        match self.next_of_frames(input, &mut at, inbox) {
            Ok(what) => Some(Ready { consumed: at.end, start: at.start, what: what? }),
            Err(error) => self.failed(Fault::Protocol(error), at.end),
        }
    }

    /// Goes on from the end of `at` in `input` to what makes an event, which lies there then.
    #[inline(always)]
    fn next_of_frames<B>(
        &mut self,
        input: &mut [u8],
        at: &mut Range<usize>,
        inbox: &mut B,
    ) -> Result<Option<What>, ProtocolError>
    where
        B: Buffer + ?Sized,
    {
        let Receiving::Frames(inbound, assembly) = &mut self.receiving else { return Ok(None) };
        let config = &self.config;
        let rules = Rules::new(R::IS_SERVER, config, inbox);
        while let Some(part) = inbound.next(input, at, &rules)? {
            let what = match (part.kind, part.opcode) {
                // What a control frame has brought so far is kept; in an empty part there is nothing to keep or to lend.
                _ if !part.last && (part.kind.is_none() || part.payload.is_empty()) => None,
                (Some(_), _) if config.delivery == Delivery::Whole => assembly.collect(part, inbox)?,
                (Some(_), _) => assembly.piece(part)?,
                (None, Opcode::Ping) => {
                    // "unless it already received a Close frame" (section 5.5.2): then no frame would be looked at.
                    self.shared.owe_pong(&inbound.control);
                    Some(What::Ping)
                }
                (None, Opcode::Close) => {
                    let (code, _) = frame::parse_close(&inbound.control)?;
                    self.closed_by_peer(code);
                    return Ok(Some(What::Closed));
                }
                (None, _) => Some(What::Pong),
            };
            if what.is_some() {
                return Ok(what);
            }
            if at.end == input.len() {
                break;
            }
        }
        Ok(None)
    }

    /// Fails the connection, and has its Error told at once.
    #[inline(always)] // A call would cost more flash.
    fn failed(&mut self, fault: Fault, consumed: usize) -> Option<Ready> {
        self.fail(fault);
        self.due.then = Then::Dropped;
        Some(Ready { consumed, start: 0, what: What::Error(fault) })
    }

    /// The opening handshake is complete.
    fn start(&mut self) {
        self.receiving = Receiving::Frames(Inbound::default(), Assembly::default());
        self.shared.phase = Phase::Open;
        self.arm();
    }

    /// The peer's Close frame has come: "If an endpoint receives a Close frame and did not previously send a Close frame,
    /// the endpoint MUST send a Close frame in response", which echoes the code (section 5.5.1).
    fn closed_by_peer(&mut self, code: CloseCode) {
        match self.shared.phase {
            Phase::CloseSent => self.end(if R::IS_SERVER { Phase::Closed } else { Phase::BothClosed }),
            _ => {
                self.end(Phase::CloseReceived);
                self.shared.owed = Owed::Close(code);
            }
        }
    }

    /// Fails the connection (section 7.1.7): an Error and a Close event are due, and where the peer is to be told, a Close
    /// frame or a refusal is owed.
    #[cold]
    fn fail(&mut self, fault: Fault) {
        let owed = match fault {
            Fault::Protocol(error) if self.shared.phase == Phase::Open => Owed::Close(error.close_code()),
            Fault::Request(error) if R::ANSWERS => Owed::Refusal(error.status()),
            _ => Owed::Nothing,
        };
        self.end(if owed == Owed::Nothing { Phase::Closed } else { Phase::Failed });
        self.shared.owed = owed;
        self.due.then = Then::Error(fault);
    }

    /// No more input is looked at; what was owed no longer is.
    fn end(&mut self, phase: Phase) {
        match &mut self.receiving {
            Receiving::Frames(inbound, _) => inbound.end(),
            opening => *opening = Receiving::Over,
        }
        self.between = false;
        self.shared.phase = phase;
        self.shared.owed = Owed::Nothing;
        self.shared.idle = Idle::Quiet;
        self.arm();
    }

    /// The peer of an open connection has given a sign of life.
    #[inline(always)]
    fn heard(&mut self) {
        // An armed one has heard of it already.
        if self.timer == Timer::Running && self.shared.phase == Phase::Open {
            self.timer = Timer::Armed;
            self.shared.idle = Idle::Quiet;
        }
    }

    /// Starts the timer of the phase.
    fn arm(&mut self) {
        self.timer = Timer::of(self.timeout());
    }

    /// How long the phase may take.
    fn timeout(&self) -> Millis {
        let config = &self.config;
        match self.shared.phase {
            Phase::Connecting => config.handshake_timeout,
            Phase::Open if self.is_next_idle_ping() => config.idle_ping,
            Phase::Open => config.pong_timeout,
            Phase::CloseSent | Phase::CloseReceived | Phase::BothClosed | Phase::Failed => {
                config.closing_timeout
            }
            Phase::Closed => Millis::NEVER,
        }
    }

    /// Whether silence leads to an idle Ping, and not to the end.
    fn is_next_idle_ping(&self) -> bool {
        self.shared.idle == Idle::Quiet || self.config.pong_timeout == Millis::NEVER
    }

    /// Notes that the stream has ended: the peer will send nothing more. Call it once all input has been received.
    ///
    /// Without a Close frame from the peer that is an [`Error::EndOfStream`] and a [`Close`] with 1006, taken with the next
    /// [`receive`](Self::receive); after it, nothing. Either way the connection is closed.
    pub fn receive_eof(&mut self) {
        match self.shared.phase {
            Phase::Connecting | Phase::Open | Phase::CloseSent => self.fail(Fault::EndOfStream),
            Phase::CloseReceived | Phase::BothClosed | Phase::Failed | Phase::Closed => {
                self.end(Phase::Closed)
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, on the scale of its `now`:
    /// [`Duration::ZERO`] for at once, `None` while nothing waits for time to pass.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        match self.timer {
            Timer::Off => None,
            Timer::Armed => Some(Duration::ZERO),
            Timer::Running => Some(self.deadline),
        }
    }

    /// Tells the time, as the duration since any fixed moment: starts the timer that has been armed since the last call, or
    /// acts on the one that has run out. Events that it causes are taken with the next [`receive`](Self::receive), whose
    /// input may be empty; what it owes, an idle Ping, with the next [`transmit`](Self::transmit).
    ///
    /// Receive first what has come: the timers of an open connection measure the peer's silence, and bytes that have been
    /// read but not received are none. A loop that reads, receives and then tells the time cannot go wrong, nor can one that
    /// tells it only when a read has brought nothing, and always while [`state`](Self::state) is not `Open`: the handshakes
    /// must end in time whatever comes. What has come arms the timer anew, so that [`poll_timeout`](Self::poll_timeout) says
    /// "at once" after it. Whoever never calls it has no timeouts.
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.timer {
            Timer::Off => {}
            Timer::Armed => self.start_timer(now),
            Timer::Running if now < self.deadline => {}
            Timer::Running => match self.shared.phase {
                Phase::Connecting => self.fail(Fault::HandshakeTimeout),
                Phase::Open if self.is_next_idle_ping() => {
                    self.shared.idle = Idle::PingOwed;
                    self.start_timer(now);
                }
                Phase::Open => self.fail(Fault::PongTimeout),
                phase => {
                    self.end(Phase::Closed);
                    if phase == Phase::CloseSent {
                        // Without an answer it is the end that no event has told yet.
                        self.due.then = Then::Dropped;
                    }
                }
            },
        }
    }

    fn start_timer(&mut self, now: Duration) {
        if let Some(timeout) = self.timeout().get() {
            self.timer = Timer::Running;
            self.deadline = now.saturating_add(timeout);
        } else {
            self.timer = Timer::Off;
        }
    }

    /// Appends what the machine owes, all of it or nothing: a Pong, an idle Ping, a Close frame, the refusal of a request.
    ///
    /// `Ok`, and nothing is appended, while the payload of a [`send_header`](Self::send_header) is owed.
    ///
    /// # Errors
    /// [`OutboxFull`]; nothing has changed. Flush the outbox and call again.
    #[inline]
    pub fn transmit<B>(&mut self, outbox: &mut B) -> Result<(), OutboxFull>
    where
        B: Buffer + ?Sized,
    {
        if self.outbound.transmit(&mut self.role, &mut self.shared, outbox)? {
            // Our last frame is out: a client still waits for the server to end the stream.
            match self.shared.phase {
                Phase::CloseReceived if !R::IS_SERVER => self.shared.phase = Phase::BothClosed,
                _ => self.end(Phase::Closed),
            }
        }
        Ok(())
    }

    /// Appends a message as one frame, behind a Pong if one is owed: both or nothing.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed. Where the outbox is full, [`transmit`](Self::transmit), flush and call again.
    #[inline(always)]
    pub fn send<'m, B>(&mut self, message: impl Into<Message<'m>>, outbox: &mut B) -> Result<(), SendError>
    where
        B: Buffer + ?Sized,
    {
        let message = message.into();
        // In registers: as a `Message` it would go through memory.
        self.outbound.send(message.kind(), message.as_bytes(), &mut self.role, &mut self.shared, outbox)
    }

    /// Appends a fragment of a message as one frame (RFC 6455 section 5.4): the first one begins the message, the one that is
    /// the last ends it. A received piece can be sent on as `&piece`.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed. Where the outbox is full, [`transmit`](Self::transmit), flush and call again.
    pub fn send_piece<'f, B>(
        &mut self,
        fragment: impl Into<Fragment<'f>>,
        outbox: &mut B,
    ) -> Result<(), SendError>
    where
        B: Buffer + ?Sized,
    {
        self.outbound.send_piece(fragment.into(), &mut self.role, &mut self.shared, outbox)
    }

    /// Appends the header of a message in one frame of `len` bytes, whose payload the caller sends from where it lies: a
    /// server as it is, a client after applying the [`Mask`](crate::frame::Mask) that comes back to it.
    ///
    /// Until [`payload_sent`](Self::payload_sent) has reported all of it, nothing else may go into the stream, and the
    /// machine appends nothing. That a text is UTF-8 is the caller's word.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed. Where the outbox is full, [`transmit`](Self::transmit), flush and call again.
    pub fn send_header<B>(&mut self, kind: Kind, len: u64, outbox: &mut B) -> Result<R::Mask, SendError>
    where
        B: Buffer + ?Sized,
    {
        self.outbound.send_header(kind, len, &mut self.role, &mut self.shared, outbox)
    }

    /// Reports that `len` bytes of the payload that [`send_header`](Self::send_header) announced have been sent.
    ///
    /// # Errors
    /// [`SendError::PayloadExceeded`] where that is more than is owed; nothing has changed.
    pub fn payload_sent(&mut self, len: u64) -> Result<(), SendError> {
        self.outbound.payload_sent(len)?;
        if len > 0 {
            // No Ping can be sent within a frame: while the peer takes what is sent, it is not silent.
            self.heard();
        }
        Ok(())
    }

    /// Appends a Ping with up to 125 bytes of payload, which the peer's Pong brings back.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn ping<B>(&mut self, payload: &[u8], outbox: &mut B) -> Result<(), SendError>
    where
        B: Buffer + ?Sized,
    {
        self.outbound.send_control(Opcode::Ping, payload, &[], &mut self.role, &mut self.shared, outbox)
    }

    /// Starts the closing handshake: appends a Close frame with a code and a reason of up to 123 bytes, which may be empty.
    ///
    /// Messages that the peer sends until its own Close frame are still delivered (a browser drops them); none can be sent
    /// any more, a reply to them neither. An unfinished fragmented message stays unfinished.
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed.
    pub fn close<B>(&mut self, code: CloseCode, reason: &str, outbox: &mut B) -> Result<(), CloseError>
    where
        B: Buffer + ?Sized,
    {
        // "|Sec-WebSocket-Extensions|: this status code is not used by the server" (section 7.4.1)
        if !code.is_sendable() || R::IS_SERVER && code == CloseCode::MISSING_EXTENSION {
            return Err(CloseError::InvalidCode);
        }
        self.send_close(&code.0.to_be_bytes(), reason.as_bytes(), outbox)
    }

    /// Starts the closing handshake with an empty Close frame: the peer reads code 1005.
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed.
    pub fn close_without_code<B>(&mut self, outbox: &mut B) -> Result<(), CloseError>
    where
        B: Buffer + ?Sized,
    {
        self.send_close(&[], &[], outbox)
    }

    fn send_close<B>(&mut self, lead: &[u8], rest: &[u8], outbox: &mut B) -> Result<(), CloseError>
    where
        B: Buffer + ?Sized,
    {
        let sent =
            self.outbound.send_control(Opcode::Close, lead, rest, &mut self.role, &mut self.shared, outbox);
        sent.map_err(|error| match error {
            SendError::OutboxFull(full) => CloseError::OutboxFull(full),
            SendError::PayloadOwed => CloseError::PayloadOwed,
            SendError::TooLong => CloseError::ReasonTooLong,
            _ => CloseError::NotOpen,
        })?;
        self.shared.phase = Phase::CloseSent;
        self.shared.idle = Idle::Quiet;
        self.arm();
        Ok(())
    }

    /// Whether a message, or a broadcast's frame, can be sent now: the connection is open, no fragmented message is
    /// unfinished and no payload owed.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.outbound.check_whole(&self.shared).is_ok()
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.shared.phase {
            Phase::Connecting => State::Connecting,
            Phase::Open => State::Open,
            Phase::CloseSent | Phase::CloseReceived | Phase::BothClosed | Phase::Failed => State::Closing,
            Phase::Closed => State::Closed,
        }
    }

    /// Whether the transport can go: nothing more is to be sent or expected. Events may still be due: take them first.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.shared.phase, Phase::Closed)
    }

    /// Whether it is the caller's turn: a server's to answer a [`Request`], a client's to [`connect`](WebSocket::connect).
    /// Until then no input is taken.
    #[must_use]
    pub const fn awaits_caller(&self) -> bool {
        matches!(self.receiving, Receiving::Waiting { .. })
    }
}

/// A Ping's or a Pong's event. Kept apart, like that of a Close frame: no other event has its payload on the stack.
#[inline(never)]
fn control_event<'e>(opcode: Opcode, octets: &[u8]) -> Option<Event<'e>> {
    let mut payload = ControlPayload::new();
    let _ = payload.extend_from_slice(octets);
    if opcode == Opcode::Ping { Some(Event::Ping(payload)) } else { Some(Event::Pong(payload)) }
}

/// A Close event.
#[inline(never)]
fn close_event<'e>(code: CloseCode, reason: &str, clean: bool) -> Option<Event<'e>> {
    let mut close = Close { code, reason: CloseReason::new(), clean };
    // A control payload of 125 octets leaves 123 for the reason: it fits.
    let _ = close.reason.push_str(reason);
    Some(Event::Close(close))
}

impl<R: Role> fmt::Debug for WebSocket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("state", &self.state())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Due {
    #[inline]
    fn is_empty(&self) -> bool {
        self.open.is_none() && matches!(self.then, Then::Nothing)
    }

    fn next(&mut self) -> Option<What> {
        if let Some(chosen) = self.open.take() {
            return Some(What::Open(chosen));
        }
        match mem::take(&mut self.then) {
            Then::Nothing | Then::WrongText => None,
            Then::Error(fault) => {
                self.then = Then::Dropped;
                Some(What::Error(fault))
            }
            Then::Dropped => Some(What::Dropped),
        }
    }
}
