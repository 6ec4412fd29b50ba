//! The connection as its users see it: the opening handshake, then a receiver and a sender; and time (RFC 6455 sections 4 to
//! 7).
//!
//! `State` and `is_closed` are not stored: they follow from the two halves.
//!
//! | `Receiver` | `Sender` | state |
//! |---|---|---|
//! | any but the below | open | `Open` |
//! | receiving | ended: our Close frame is sent | `Closing` |
//! | peer closed, or ended | last one pending | `Closing` |
//! | peer closed | ended | server: `Closed`; client: `Closing` until the stream ends |
//! | ended | ended | `Closed` |

use crate::config::Millis;
use crate::data::{CloseReason, ControlPayload, Fragment, Kind, Message, Part, Piece};
use crate::event::{Close, Data, Error, Event, Found, Ready, State};
use crate::frame;
use crate::handshake::{
    self, Accept, Connect, Handshake, Open, Outcome, Reject, Request, Response, ServerOpening,
};
use crate::receiver::{self, End, Receiver, Rules};
use crate::role::{Client, Established, Role, Server, sealed};
use crate::sender::{Output, Sender};
use crate::timer::Timer;
use crate::{
    AnswerError, Buffer, CloseCode, CloseError, Config, ConnectError, Delivery, OutboxFull, ProtocolError,
    SendError, utf8,
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
    timer: Timer,
    receiving: Receiving<R>,
    sender: Sender,
}

/// The receiving half.
enum Receiving<R: sealed::Role> {
    Handshake(Handshake<R::Opening>),
    Frames(Receiver),
}

impl WebSocket<Server> {
    /// A server's side of a connection, before the client's request.
    #[must_use]
    pub fn server(config: Config) -> Self {
        let handshake = Handshake::head(ServerOpening::new());
        Self::new(Server, config, handshake, Timer::armed(config.handshake_timeout))
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
        let handshake = Handshake::AwaitsCaller { key: None };
        Self::new(Client { rng }, config, handshake, Timer::Off)
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
        self.receiving = Receiving::Handshake(Handshake::head(opening));
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
    fn new(role: R, config: Config, handshake: Handshake<R::Opening>, timer: Timer) -> Self {
        Self { role, config, timer, receiving: Receiving::Handshake(handshake), sender: Sender::connecting() }
    }

    fn new_open(role: R, config: Config) -> Self {
        let receiving = Receiving::Frames(Receiver::open());
        Self { role, config, timer: Timer::armed(config.idle_ping), receiving, sender: Sender::open() }
    }

    /// The handshake is over.
    fn start(&mut self, receiver: Receiver, sender: Sender) {
        self.receiving = Receiving::Frames(receiver);
        self.sender = sender;
        self.arm();
    }

    pub(crate) fn accept_request<B>(&mut self, accept: Accept<'_>, outbox: &mut B) -> Result<(), AnswerError>
    where
        B: Buffer + ?Sized,
    {
        match self.receiving {
            _ if !R::ANSWERS => return Err(AnswerError::NoRequest),
            Receiving::Handshake(Handshake::AwaitsCaller { key: Some(key) }) if key == accept.key() => {}
            Receiving::Handshake(Handshake::AwaitsCaller { key: Some(_) }) => {
                return Err(AnswerError::OtherRequest);
            }
            Receiving::Handshake(Handshake::AwaitsCaller { key: None }) => {
                return Err(AnswerError::NotAnUpgrade);
            }
            _ => return Err(AnswerError::NoRequest),
        }
        accept.check()?;
        accept.append(outbox)?;
        self.start(Receiver::accepted(accept.selected()), Sender::open());
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
        self.start(Receiver::ended(End::Close), Sender::ended());
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
        if let Some((kind, payload)) = self.whole_message(input, inbox) {
            let (taken, rest) = mem::take(input).split_at_mut_checked(payload.end)?;
            *input = rest;
            return self.deliver(Data::InPlace(kind), taken.get_mut(payload.start..)?, inbox);
        }
        self.receive_next(input, inbox)
    }

    /// Everything but the fast path.
    #[inline(never)]
    fn receive_next<'i: 'e, 'b: 'e, 'e, B>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut B,
    ) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        let Some(ready) = self.poll_next(input, inbox) else {
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
        match self.whole_message(input, inbox) {
            Some((kind, payload)) => {
                let found = Found::Data(Data::InPlace(kind));
                Some(Ready { consumed: payload.end, start: payload.start, found })
            }
            None => self.poll_next(input, inbox),
        }
    }

    /// The fast path to a message that is delivered whole and lies in the input: its kind, and where its payload lies.
    #[inline(always)]
    fn whole_message<B>(&mut self, input: &mut [u8], inbox: &B) -> Option<(Kind, Range<usize>)>
    where
        B: Buffer + ?Sized,
    {
        let Receiving::Frames(receiver) = &self.receiving else { return None };
        if !receiver.is_at_boundary() || self.config.delivery != Delivery::Whole {
            return None;
        }
        let found = receiver::whole_message(input, &Rules::new(R::IS_SERVER, &self.config, inbox))?;
        self.timer.note_activity();
        Some(found)
    }

    /// The way to every event.
    #[inline(never)]
    fn poll_next<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        match self.receiving {
            Receiving::Handshake(_) => self.poll_handshake(input, inbox),
            Receiving::Frames(_) => self.poll_frames(input, inbox),
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
        match &self.receiving {
            Receiving::Frames(receiver) if receiver.is_at_boundary() && frame::looks_uncut(input) => 0,
            _ => self.missing_beyond(input, inbox),
        }
    }

    #[inline(never)]
    fn missing_beyond<B>(&self, input: &[u8], inbox: &B) -> u64
    where
        B: Buffer + ?Sized,
    {
        match &self.receiving {
            Receiving::Frames(receiver) => {
                receiver.missing(input, &Rules::new(R::IS_SERVER, &self.config, inbox))
            }
            Receiving::Handshake(_) => 0,
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
        let Ready { consumed, start, found } = ready;
        match found {
            Found::Data(data) => self.deliver(data, input.get_mut(start..consumed)?, inbox),
            _ => self.other_event(found, inbox),
        }
    }

    /// The one way out for messages: whole in place, collected, or in pieces.
    ///
    /// `poll` has changed all state. What is left is to see that bytes are text, once, where the `&str` is made; only where
    /// they are not, the connection fails here.
    #[inline(always)]
    fn deliver<'e, B>(&mut self, data: Data, payload: &'e mut [u8], inbox: &'e B) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        Some(match data {
            Data::InPlace(Kind::Binary) => Event::Message(Message::Binary(payload)),
            Data::InPlace(Kind::Text) => match utf8::validate(payload) {
                Some(text) => Event::Message(Message::Text(text)),
                None => return self.fail_text(),
            },
            Data::Collected(Kind::Binary) => Event::Message(Message::Binary(inbox.bytes())),
            Data::Collected(Kind::Text) => Event::Message(Message::Text(inbox.text().ok()?)),
            Data::Piece { kind: Kind::Binary, first, last, .. } => {
                Event::Piece(Piece { part: Part::Binary(payload), first, last })
            }
            Data::Piece { kind: Kind::Text, lead, tail, first, last } => {
                let whole = payload.len().checked_sub(tail.into())?;
                let payload = payload.get(..whole)?;
                let (text, last) = match utf8::validate(payload) {
                    Some(text) => (text, last),
                    None => match utf8::valid_prefix(payload) {
                        "" if lead.is_none() => return self.fail_text(),
                        // What precedes the invalid bytes is delivered first.
                        text => {
                            self.receiving()?.fail_on_next_poll();
                            (text, false)
                        }
                    },
                };
                Event::Piece(Piece { part: Part::Text { lead, text }, first, last })
            }
        })
    }

    /// Every event but a message.
    fn other_event<'e, B>(&mut self, found: Found, inbox: &'e B) -> Option<Event<'e>>
    where
        B: Buffer + ?Sized,
    {
        // Each arm says `Some`: an event that is wrapped behind the match is on the stack twice.
        match found {
            Found::Data(_) => None,
            Found::Ping => Some(Event::Ping(control_payload(self.control()))),
            Found::Pong => Some(Event::Pong(control_payload(self.control()))),
            Found::Handshake(Outcome::Request(asked)) => {
                Some(Event::Request(Request::new(inbox.bytes(), asked)))
            }
            Found::Handshake(Outcome::Open(chosen)) => Some(Event::Open(Open::new(inbox.bytes(), chosen))),
            Found::Handshake(Outcome::Refused(_)) => Some(Event::Refused(Response::new(inbox.bytes()))),
            Found::Error(error) => Some(Event::Error(error)),
            Found::PeerClosed(code) => {
                let (_, reason) = frame::parse_close(self.control()).ok()?;
                close_event(code, reason, true)
            }
            Found::Dropped => close_event(CloseCode::ABNORMAL, "", false),
        }
    }

    /// Fails on text that `poll` has found: its event is the Error instead.
    #[cold]
    fn fail_text<'e>(&mut self) -> Option<Event<'e>> {
        // `None`: the connection has ended since `poll`, or the same `Ready` has failed it before.
        self.receiving()?;
        self.fail(ProtocolError::InvalidUtf8.into());
        match self.pending_event()? {
            Found::Error(error) => Some(Event::Error(error)),
            _ => None,
        }
    }

    /// The payload of the last control frame.
    fn control(&self) -> &[u8] {
        match &self.receiving {
            Receiving::Frames(receiver) => receiver.control(),
            Receiving::Handshake(_) => &[],
        }
    }

    /// The receiver, while it looks at frames.
    fn receiving(&mut self) -> Option<&mut Receiver> {
        match &mut self.receiving {
            Receiving::Frames(receiver) if receiver.is_receiving() => Some(receiver),
            _ => None,
        }
    }

    /// The next event that no input causes.
    fn pending_event(&mut self) -> Option<Found> {
        match &mut self.receiving {
            Receiving::Frames(receiver) => receiver.pending(),
            Receiving::Handshake(_) => None,
        }
    }

    /// Outlined like the next, so that the two frames don't share peak stack.
    #[inline(never)]
    fn poll_handshake<B>(&mut self, input: &[u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        let Receiving::Handshake(handshake) = &mut self.receiving else { return None };
        let (outcome, consumed) = match handshake.read(input, inbox, &self.config) {
            Ok(read) => read?,
            Err(error) => {
                self.fail(error.into());
                return Some(Ready { consumed: 0, start: 0, found: self.pending_event()? });
            }
        };
        match outcome {
            // The time that the caller takes is not the peer's.
            Outcome::Request(_) => self.timer = Timer::Off,
            Outcome::Open(_) => {
                self.start(Receiver::open(), Sender::open());
            }
            Outcome::Refused(status) => self.fail(Error::Refused(status)),
        }
        Some(Ready { consumed, start: 0, found: Found::Handshake(outcome) })
    }

    #[inline(never)]
    fn poll_frames<B>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready>
    where
        B: Buffer + ?Sized,
    {
        let Receiving::Frames(receiver) = &mut self.receiving else { return None };
        if let Some(found) = receiver.pending() {
            return Some(Ready { consumed: 0, start: 0, found });
        }
        if !input.is_empty() {
            self.timer.note_activity();
        }
        let rules = Rules::new(R::IS_SERVER, &self.config, inbox);
        let mut at = 0..0;
        let found = match receiver.poll(input, &mut at, &rules, inbox) {
            Ok(found) => found?,
            Err(error) => {
                self.fail(error.into());
                return Some(Ready { consumed: at.end, start: at.end, found: self.pending_event()? });
            }
        };
        match found {
            // "unless it already received a Close frame" (section 5.5.2): then no frame would be looked at.
            Found::Ping => self.sender.queue_pong(receiver.control()),
            // "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close
            // frame in response", which echoes the code (section 5.5.1).
            Found::PeerClosed(code) => {
                self.sender.queue_close(code);
                self.arm();
            }
            _ => {}
        }
        Some(Ready { consumed: at.end, start: at.start, found })
    }

    /// Fails the connection (section 7.1.7): an Error and a Close event are pending, and where the peer is to know, a Close frame
    /// or a refusal.
    #[cold]
    fn fail(&mut self, error: Error) {
        match &mut self.receiving {
            Receiving::Frames(receiver) => {
                receiver.end(End::Error(error));
                match error.close_code() {
                    Some(code) => self.sender.queue_close(code),
                    None => self.sender.end(),
                }
            }
            Receiving::Handshake(_) => {
                let sender = match error.status() {
                    Some(status) if R::ANSWERS => Sender::refusing(status),
                    _ => Sender::ended(),
                };
                self.receiving = Receiving::Frames(Receiver::ended(End::Error(error)));
                self.sender = sender;
            }
        }
        self.arm();
    }

    /// Arms the timer for the state that the connection has come to.
    fn arm(&mut self) {
        self.timer = Timer::armed(match self.state() {
            State::Connecting => self.config.handshake_timeout,
            State::Open => self.config.idle_ping,
            State::Closing => self.config.closing_timeout,
            State::Closed => Millis::NEVER,
        });
    }

    /// Notes that the stream has ended: the peer will send nothing more. Call it once all input has been received.
    ///
    /// Without a Close frame from the peer that is an [`Error::EndOfStream`] and a [`Close`] with 1006, taken with the next
    /// [`receive`](Self::receive); after it, nothing. Either way the connection is closed.
    pub fn receive_eof(&mut self) {
        match &mut self.receiving {
            Receiving::Frames(receiver) if !receiver.is_receiving() => {
                receiver.end(End::Nothing);
                self.sender.end();
                self.arm();
            }
            _ => self.fail(Error::EndOfStream),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, on the scale of its `now`:
    /// [`Duration::ZERO`] for at once, `None` while nothing waits for time to pass.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.timer.deadline()
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
        let config = self.config;
        let ping_again = config.pong_timeout == Millis::NEVER;
        self.timer = match self.timer {
            Timer::Off => return,
            Timer::Armed => match self.state() {
                State::Connecting => Timer::start(config.handshake_timeout, now, Timer::Limit),
                State::Open => Timer::start(config.idle_ping, now, Timer::Idle),
                State::Closing | State::Closed => Timer::start(config.closing_timeout, now, Timer::Limit),
            },
            Timer::Limit(deadline)
            | Timer::Idle(deadline)
            | Timer::PingPending(deadline)
            | Timer::PingSent(deadline)
                if now < deadline =>
            {
                return;
            }
            Timer::Limit(_) => return self.give_up(),
            // Without a Pong timeout, silence leads to further Pings.
            Timer::Idle(_) | Timer::PingPending(_) | Timer::PingSent(_) if ping_again => {
                Timer::start(config.idle_ping, now, Timer::PingPending)
            }
            Timer::Idle(_) => Timer::start(config.pong_timeout, now, Timer::PingPending),
            Timer::PingPending(_) | Timer::PingSent(_) => return self.fail(Error::PongTimeout),
        };
    }

    /// The handshake, or the closing, has taken too long.
    fn give_up(&mut self) {
        match &mut self.receiving {
            Receiving::Handshake(_) => self.fail(Error::HandshakeTimeout),
            Receiving::Frames(receiver) => {
                receiver.end(End::Close);
                self.sender.end();
                self.arm();
            }
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
        if self.sender.is_idle() && !self.timer.is_ping_pending() {
            return Ok(());
        }
        self.transmit_pending(outbox)
    }

    #[inline(never)]
    fn transmit_pending<B>(&mut self, outbox: &mut B) -> Result<(), OutboxFull>
    where
        B: Buffer + ?Sized,
    {
        if self.sender.transmit(self.timer.is_ping_pending(), Output { role: &mut self.role, outbox })? {
            self.timer.ping_sent();
        }
        if self.is_closed() {
            self.timer = Timer::Off;
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
        let output = Output { role: &mut self.role, outbox };
        // In registers: as a `Message` it would go through memory.
        self.sender.send(message.kind(), message.as_bytes(), output)
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
        let output = Output { role: &mut self.role, outbox };
        self.sender.send_piece(fragment.into(), output)
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
        let output = Output { role: &mut self.role, outbox };
        self.sender.send_header(kind, len, output)
    }

    /// Reports that `len` bytes of the payload that [`send_header`](Self::send_header) announced have been sent.
    ///
    /// # Errors
    /// [`SendError::PayloadExceeded`] where that is more than is owed; nothing has changed.
    pub fn payload_sent(&mut self, len: u64) -> Result<(), SendError> {
        self.sender.payload_sent(len)?;
        if len > 0 {
            // No Ping can be sent within a frame: while the peer takes what is sent, it is not silent.
            self.timer.note_activity();
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
        let output = Output { role: &mut self.role, outbox };
        self.sender.ping(payload, output)
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
        let output = Output { role: &mut self.role, outbox };
        self.sender.close(lead, rest, output).map_err(|error| match error {
            SendError::OutboxFull(full) => CloseError::OutboxFull(full),
            SendError::PayloadOwed => CloseError::PayloadOwed,
            SendError::TooLong => CloseError::ReasonTooLong,
            _ => CloseError::NotOpen,
        })?;
        self.arm();
        Ok(())
    }

    /// Whether a message, or a broadcast's frame, can be sent now: the connection is open, no fragmented message is
    /// unfinished and no payload owed.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.sender.check_between_messages().is_ok()
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        match &self.receiving {
            Receiving::Handshake(_) => State::Connecting,
            _ if self.sender.is_open() => State::Open,
            _ if self.is_closed() => State::Closed,
            _ => State::Closing,
        }
    }

    /// Whether the transport can go: nothing more is to be sent or expected. Events may still be due: take them first.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        match &self.receiving {
            // The server ends the stream (section 7.1.1): a client waits for it.
            Receiving::Frames(receiver) => {
                self.sender.is_ended()
                    && !receiver.is_receiving()
                    && (R::IS_SERVER || !receiver.is_peer_closed())
            }
            Receiving::Handshake(_) => false,
        }
    }

    /// Whether it is the caller's turn: a server's to answer a [`Request`], a client's to [`connect`](WebSocket::connect).
    /// Until then no input is taken.
    #[must_use]
    pub const fn awaits_caller(&self) -> bool {
        matches!(self.receiving, Receiving::Handshake(Handshake::AwaitsCaller { .. }))
    }
}

/// Outlined, so that no other event has its payload on the stack.
#[inline(never)]
fn control_payload(bytes: &[u8]) -> ControlPayload {
    let mut payload = ControlPayload::new();
    let _ = payload.extend_from_slice(bytes);
    payload
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
