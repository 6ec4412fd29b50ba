//! A connection as its users see it: the opening handshake, then a receiver and a sender; and time
//! (RFC 6455 sections 4 to 7).
//!
//! [`State`] and [`is_closed`](WebSocket::is_closed) are not stored. They follow from the parts:
//!
//! | receiving part | sender | state |
//! |---|---|---|
//! | handshake | any | `Connecting` |
//! | receiver | open | `Open` |
//! | receiver, the peer's Close frame has not arrived | ended: our Close frame is sent | `Closing` |
//! | receiver, ended or after the peer's Close frame | last frame or response pending | `Closing` |
//! | receiver, after the peer's Close frame | ended | server: `Closed`; client: `Closing`, until the stream ends |
//! | receiver, ended | ended | `Closed` |

use crate::data::{CloseReason, ControlPayload, Fragment, Kind, Message, Part, Piece};
use crate::event::{Close, Data, Error, Event, Found, FoundPiece, Ready, State};
use crate::frame::{self, Opcode};
use crate::handshake::{
    Accept, BadRequest, Connect, Handshake, Negotiation, Open, Outcome, Reject, Request, RequestForm,
    Response, ServerOpening,
};
use crate::receiver::{self, End, Receiver, Rules};
use crate::role::{Client, ClientRole, Established, Role, Server, ServerRole};
use crate::sender::Sender;
use crate::timer::{Phase, Timer};
use crate::{
    AnswerError, Buffer, CloseCode, Config, ConnectError, Delivery, OutboxFull, ProtocolError, SendError,
    utf8,
};
use core::{fmt, mem, ops::Range, time::Duration};
use rand_core::CryptoRng;

/// One WebSocket connection, as a machine without I/O: bytes in ([`receive`](Self::receive)),
/// events out, bytes to send out ([`transmit`](Self::transmit), [`send`](Self::send) and the like).
///
/// See the [crate's documentation](crate) for the loop, and for how a connection ends.
///
/// A clone goes on from the same state, for example to replay a run in two ways. Clone the inbox
/// too, which holds the message in progress. Two clones of a client would use the same masking
/// keys.
#[derive(Clone)]
pub struct WebSocket<R: Role> {
    config: Config,
    timer: Timer,
    receiving: Receiving<R::Opening<R::Negotiation>>,
    pub(crate) sender: Sender<R>,
}

/// The part of a connection that takes the input.
#[derive(Clone, Debug)]
enum Receiving<O> {
    Handshake(Handshake<O>),
    Frames(Receiver),
}

impl WebSocket<Server> {
    /// A server's end of a connection, before the client's request.
    #[must_use]
    #[doc(alias = "upgrade")]
    pub const fn server(config: Config) -> Self {
        let handshake = Handshake::head(ServerOpening::new(()));
        Self::connecting(Server, config, handshake, Phase::Handshake)
    }

    /// A server's end of a connection whose opening handshake other software has done: an HTTP/1.1
    /// stack (see [`check_request`](crate::handshake::check_request)), or one for HTTP/2 or
    /// HTTP/3 (see [`check_connect`](crate::handshake::check_connect)). There is no
    /// [`Event::Open`].
    ///
    /// For connections in the same variable or collection as those of [`server`](Self::server). If
    /// all connections start like this,
    /// [`WebSocket::<Established<Server>>::open`](WebSocket::open) leaves the HTTP code out of the
    /// program.
    #[must_use]
    pub const fn open(config: Config) -> Self {
        Self::established(Server, config)
    }
}

impl<R: ServerRole> WebSocket<R> {
    /// Accepts the request: appends the response with status 101. [`Event::Open`] is next, and
    /// messages can be sent.
    ///
    /// The [`Request`] need not be at hand any more: no input is taken until the answer.
    ///
    /// # Errors
    /// [`AnswerError`]. Nothing has changed, and the request can still be answered.
    pub fn accept<B: Buffer + ?Sized>(
        &mut self,
        accept: Accept<'_>,
        outbox: &mut B,
    ) -> Result<(), AnswerError> {
        self.accept_request(accept, outbox)
    }

    /// Refuses the request, or answers one that asks for no upgrade: appends the response.
    /// [`Event::Close`] is next.
    ///
    /// # Errors
    /// [`AnswerError`]. Nothing has changed, and the request can still be answered.
    pub fn reject<B: Buffer + ?Sized>(
        &mut self,
        reject: Reject<'_>,
        outbox: &mut B,
    ) -> Result<(), AnswerError> {
        self.reject_request(reject, outbox)
    }
}

impl<G: CryptoRng> WebSocket<Client<G>> {
    /// A client's end of a connection, before its request. `rng` makes the masking keys and the
    /// `Sec-WebSocket-Key`.
    #[must_use]
    pub const fn client(config: Config, rng: G) -> Self {
        Self::connecting(Client { rng }, config, Handshake::AwaitsConnect, Phase::Off)
    }

    /// A client's end of a connection whose opening handshake other software has done: an HTTP/1.1
    /// stack (see [`check_response`](crate::handshake::check_response)), or one for HTTP/2 or
    /// HTTP/3 (see [`check_connect_response`](crate::handshake::check_connect_response)). There is
    /// no [`Event::Open`].
    ///
    /// For connections in the same variable or collection as those of [`client`](Self::client). If
    /// all connections start like this, `WebSocket::<Established<Client<_>>>::open` leaves the
    /// HTTP code out of the program.
    #[must_use]
    pub const fn open(config: Config, rng: G) -> Self {
        Self::established(Client { rng }, config)
    }
}

impl<R: ClientRole> WebSocket<R> {
    /// Appends the request for a WebSocket. [`Event::Open`] comes with the response.
    ///
    /// # Errors
    /// [`ConnectError`]. Nothing has changed.
    #[doc(alias = "upgrade")]
    pub fn connect<B: Buffer + ?Sized>(
        &mut self,
        connect: Connect<'_>,
        outbox: &mut B,
    ) -> Result<(), ConnectError> {
        if !self.awaits_caller() {
            return Err(ConnectError::AlreadySent);
        }
        connect.check()?;
        let opening = self.sender.role.connect(&connect, outbox)?;
        self.receiving = Receiving::Handshake(Handshake::head(opening));
        self.timer = Timer::armed(Phase::Handshake);
        Ok(())
    }
}

impl WebSocket<Established<Server>> {
    /// A server's end of a connection whose opening handshake other software has done, in a type
    /// that holds no HTTP code.
    ///
    /// It behaves as [`WebSocket::<Server>::open`](WebSocket::open).
    #[must_use]
    pub const fn open(config: Config) -> Self {
        Self::established(Established { role: Server }, config)
    }
}

impl<G: CryptoRng> WebSocket<Established<Client<G>>> {
    /// A client's end of a connection whose opening handshake other software has done, in a type
    /// that holds no HTTP code.
    ///
    /// It behaves as `WebSocket::<Client<_>>::open`.
    #[must_use]
    pub const fn open(config: Config, rng: G) -> Self {
        Self::established(Established { role: Client { rng } }, config)
    }
}

impl<R: Role> WebSocket<R> {
    pub(crate) const fn connecting(
        role: R,
        config: Config,
        handshake: Handshake<R::Opening<R::Negotiation>>,
        phase: Phase,
    ) -> Self {
        let receiving = Receiving::Handshake(handshake);
        Self { config, timer: Timer::armed(phase), receiving, sender: Sender::connecting(role) }
    }

    pub(crate) const fn established(role: R, config: Config) -> Self {
        let receiving = Receiving::Frames(Receiver::open());
        Self { config, timer: Timer::armed(Phase::Idle), receiving, sender: Sender::open(role) }
    }

    pub(crate) fn accept_request<B: Buffer + ?Sized>(
        &mut self,
        accept: Accept<'_>,
        outbox: &mut B,
    ) -> Result<(), AnswerError> {
        match self.request() {
            Some(RequestForm::Upgrade(key)) if accept.key() == Some(*key) => {}
            Some(RequestForm::Upgrade(_)) => return Err(AnswerError::OtherRequest),
            Some(RequestForm::Get | RequestForm::Head) => return Err(AnswerError::NotAnUpgrade),
            None => return Err(AnswerError::NoRequest),
        }
        accept.check()?;
        // The request awaits its answer, so there is a negotiation.
        if let Receiving::Handshake(handshake) = &self.receiving
            && let Some(negotiation) = handshake.negotiation()
        {
            let agreed = accept.append(negotiation, outbox)?;
            self.sender.role.agree(agreed);
        }
        self.start(Receiver::accepted(accept.selected()));
        Ok(())
    }

    pub(crate) fn reject_request<B: Buffer + ?Sized>(
        &mut self,
        reject: Reject<'_>,
        outbox: &mut B,
    ) -> Result<(), AnswerError> {
        let is_head = matches!(self.request().ok_or(AnswerError::NoRequest)?, RequestForm::Head);
        reject.check()?;
        reject.append(is_head, outbox)?;
        self.end(End::Close);
        Ok(())
    }

    /// A server: declines the extensions that the request offers.
    #[cfg(feature = "deflate")]
    pub(crate) fn decline(&mut self) {
        if let Receiving::Handshake(handshake) = &mut self.receiving {
            handshake.decline();
        }
    }

    /// The opening handshake is complete.
    fn start(&mut self, receiver: Receiver) {
        self.receiving = Receiving::Frames(receiver);
        self.sender.start();
        self.timer = Timer::armed(Phase::Idle);
    }

    /// Takes bytes from the front of `input`, and advances it, up to the next event. The event
    /// borrows from the input or from `inbox`. `None` once the input is used up: none of it
    /// needs to be kept or passed in again.
    ///
    /// The payload is unmasked in place. A message in one frame that lies whole in the input is
    /// borrowed from there. Any other is collected in the inbox, which must stay the same from call
    /// to call, and which the machine clears when it needs to. After a message the caller may pass
    /// another inbox, for example to free the memory of a large one. It may also stop between two
    /// events, and pass in the rest later.
    ///
    /// It cannot fail: an error of the peer is an [`Event::Error`], then an [`Event::Close`], and
    /// later input is discarded. The one case where `None` leaves input behind: while
    /// [`awaits_caller`](Self::awaits_caller), no input is taken.
    ///
    /// Call [`transmit`](Self::transmit) after each event, so that a Pong does not wait for the end
    /// of the input, and once more at the end of the input.
    #[doc(alias = "onmessage")]
    #[doc(alias = "read")]
    #[inline(always)]
    pub fn receive<'i: 'e, 'b: 'e, 'e, B: Buffer + ?Sized>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut B,
    ) -> Option<Event<'e>> {
        if let Some((kind, payload)) = self.poll_unfragmented(input, inbox) {
            let (taken, rest) = mem::take(input).split_at_mut_checked(payload.end)?;
            *input = rest;
            return self.message_in_place(kind, taken.get(payload.start..)?);
        }
        self.receive_any(input, inbox)
    }

    /// What follows if the fast path has found nothing.
    #[inline(never)]
    fn receive_any<'i: 'e, 'b: 'e, 'e, B: Buffer + ?Sized>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut B,
    ) -> Option<Event<'e>> {
        let Some(ready) = self.poll_any(input, inbox) else {
            if !self.awaits_caller() {
                *input = &mut [];
            }
            return None;
        };
        let (taken, rest) = mem::take(input).split_at_mut_checked(ready.consumed)?;
        *input = rest;
        self.event(ready, taken, inbox)
    }

    /// The first half of [`receive`](Self::receive), for a wrapper that owns its buffers: takes
    /// bytes from the front of `input` up to the next event, and returns where the event lies,
    /// without borrowing. `None`: the input is used up, or no input is taken while
    /// [`awaits_caller`](Self::awaits_caller).
    ///
    /// Pass a `Ready` to [`event`](Self::event), with the same `input` and inbox, before any other
    /// call.
    #[inline]
    pub fn poll<B: Buffer + ?Sized>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready> {
        match self.poll_unfragmented(input, inbox) {
            Some((kind, payload)) => {
                let found = Found::Data(Data::InPlace(kind));
                Some(Ready { consumed: payload.end, start: payload.start, found })
            }
            None => self.poll_any(input, inbox),
        }
    }

    /// The fast path: an unfragmented message that lies whole in the input and is delivered whole.
    /// Its kind, and where its payload lies.
    #[inline(always)]
    fn poll_unfragmented<B: Buffer + ?Sized>(
        &mut self,
        input: &mut [u8],
        inbox: &B,
    ) -> Option<(Kind, Range<usize>)> {
        let Receiving::Frames(receiver) = &self.receiving else { return None };
        if !receiver.is_at_boundary() || self.config.options.delivery() != Delivery::Whole {
            return None;
        }
        let rules = Rules::new(R::IS_SERVER, &self.config, inbox);
        let found = receiver::unfragmented_message(input, &rules)?;
        self.timer.note_input();
        Some(found)
    }

    /// Finds any event, with the general decoder.
    #[inline]
    fn poll_any<B: Buffer + ?Sized>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready> {
        match self.receiving {
            Receiving::Handshake(_) => self.poll_handshake(input, inbox),
            Receiving::Frames(_) => self.poll_frames(input, inbox),
        }
    }

    // Outlined like the next for stack use: benches/README.md, "Outlined functions".
    #[inline(never)]
    fn poll_handshake<B: Buffer + ?Sized>(&mut self, input: &[u8], inbox: &mut B) -> Option<Ready> {
        let Receiving::Handshake(handshake) = &mut self.receiving else { return None };
        let (outcome, consumed) = match handshake.read(input, inbox, &self.config) {
            Ok(read) => read?,
            Err(error) if R::ANSWERS => {
                self.fail_later(error.into());
                (Outcome::BadRequest, 0)
            }
            Err(error) => return self.fail_now(error.into(), 0),
        };
        match outcome {
            // The time that the caller takes for its answer is not the peer's.
            Outcome::Request => self.timer = Timer::armed(Phase::Off),
            Outcome::BadRequest => {}
            Outcome::Open(_) => {
                if let Receiving::Handshake(handshake) = &self.receiving
                    && let Some(negotiation) = handshake.negotiation()
                {
                    let agreed = negotiation.agreed();
                    self.sender.role.agree(agreed);
                }
                self.start(Receiver::open());
            }
            Outcome::Refused(status) => {
                let error = Error::Refused(status);
                self.fail(error, End::Error(error));
            }
        }
        Some(Ready { consumed, start: 0, found: Found::Handshake(outcome) })
    }

    #[inline(never)]
    fn poll_frames<B: Buffer + ?Sized>(&mut self, input: &mut [u8], inbox: &mut B) -> Option<Ready> {
        let Receiving::Frames(receiver) = &mut self.receiving else { return None };
        if let Some(found) = receiver.pending() {
            return Some(Ready { consumed: 0, start: 0, found });
        }
        if !input.is_empty() {
            self.timer.note_input();
        }
        let rules = Rules::new(R::IS_SERVER, &self.config, inbox);
        let mut at = 0..0;
        let found = match receiver.poll(input, &mut at, &rules, &mut self.sender.role, inbox) {
            Ok(found) => found?,
            Err(error) => return self.fail_now(error.into(), at.end),
        };
        match found {
            Found::Ping if self.config.options.answer_pings() => self.sender.queue_pong(receiver.control()),
            // "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint
            // MUST send a Close frame in response" (section 5.5.1). The response echoes the code, even 1010,
            // which a server's `close` refuses.
            Found::PeerClosed(code) => {
                self.sender.queue_close(code);
                self.arm_closing();
            }
            _ => {}
        }
        Some(Ready { consumed: at.end, start: at.start, found })
    }

    /// How many bytes are missing after `input` from the frame that `input` begins with, or that
    /// is in progress. Asking is optional: before [`receive`](Self::receive) or
    /// [`poll`](Self::poll), by a caller with a large buffer.
    ///
    /// A frame that is cut by the end of the input costs a copy into the inbox, if messages are
    /// delivered whole. If the answer is not 0, and the buffer has that much capacity left, the
    /// caller may leave `input` as it is, read that many bytes after it, and receive then. (If the
    /// frame's header is not complete, the answer is the least that is missing: ask again after the
    /// read.) 0: nothing is known to be missing, there is nothing to wait for. In pieces, a cut
    /// frame costs no copy, and the answer is 0 too.
    ///
    /// The answer is what the peer has declared. Compare it with the capacity; never allocate by
    /// it.
    ///
    /// Input of another length than at the last call, since input was received, is a sign of life
    /// of the peer, as received bytes are: it may arm the timer anew. Nothing else changes.
    #[must_use]
    #[inline(always)]
    pub fn missing<B: Buffer + ?Sized>(&mut self, input: &[u8], inbox: &B) -> u64 {
        match &self.receiving {
            Receiving::Frames(receiver) if receiver.is_at_boundary() && frame::looks_uncut(input) => 0,
            _ => self.missing_of_cut(input, inbox),
        }
    }

    #[inline(never)]
    fn missing_of_cut<B: Buffer + ?Sized>(&mut self, input: &[u8], inbox: &B) -> u64 {
        match &self.receiving {
            Receiving::Frames(_) if self.config.options.delivery() == Delivery::Pieces => 0,
            Receiving::Frames(receiver) => {
                self.timer.note_waiting(input.len());
                let rules = Rules::new(R::IS_SERVER, &self.config, inbox);
                receiver.missing(input, &rules, &self.sender.role)
            }
            Receiving::Handshake(_) => 0,
        }
    }

    /// The second half of [`receive`](Self::receive): the event that [`poll`](Self::poll) has found
    /// in `input`, whose first [`Ready::consumed`] bytes belong to it.
    ///
    /// With another input or inbox than `poll` had, the result is meaningless or `None`, and
    /// invalid text fails the connection; it never panics.
    #[inline]
    pub fn event<'e, B: Buffer + ?Sized>(
        &mut self,
        ready: Ready,
        input: &'e mut [u8],
        inbox: &'e mut B,
    ) -> Option<Event<'e>> {
        let Ready { consumed, start, found } = ready;
        match found {
            // It was inflated into the inbox.
            Found::Data(Data::Piece(piece)) if R::COMPRESSES && start > consumed => {
                self.piece(piece, inbox.bytes_mut().get_mut(start - consumed - 1..)?)
            }
            Found::Data(data) => self.deliver(data, input.get_mut(start..consumed)?, inbox),
            _ => self.other_event(found, inbox),
        }
    }

    /// A message in place.
    #[inline]
    fn message_in_place<'e>(&mut self, kind: Kind, payload: &'e [u8]) -> Option<Event<'e>> {
        match kind {
            Kind::Binary => Some(Event::Message(Message::Binary(payload))),
            Kind::Text => match utf8::validate(payload) {
                Some(text) => Some(Event::Message(Message::Text(text))),
                None => self.fail_text(),
            },
        }
    }

    /// Makes the event of the message, or piece, that `poll` has found: in place, collected, or in
    /// pieces. (The fast path of `receive` is the first case alone.)
    ///
    /// `poll` has changed all state already. What is left is to validate the text that lies in the
    /// input, where its `&str` is made. The state changes here only if that is invalid: the
    /// connection fails, now or with the next poll.
    fn deliver<'e, B: Buffer + ?Sized>(
        &mut self,
        data: Data,
        payload: &'e mut [u8],
        inbox: &'e B,
    ) -> Option<Event<'e>> {
        match data {
            Data::InPlace(kind) => self.message_in_place(kind, payload),
            Data::Collected(Kind::Binary) => Some(Event::Message(Message::Binary(inbox.bytes()))),
            Data::Collected(Kind::Text) => match inbox.text() {
                Ok(text) => Some(Event::Message(Message::Text(text))),
                // Inflated text is not validated before.
                Err(_) if R::COMPRESSES => self.fail_text(),
                Err(_) => None,
            },
            Data::Piece(piece) => self.piece(piece, payload),
        }
    }

    /// Makes the event of a piece.
    #[inline(always)]
    fn piece<'e>(&mut self, piece: FoundPiece, payload: &'e mut [u8]) -> Option<Event<'e>> {
        let FoundPiece { kind, lead, tail, first, last } = piece;
        if kind == Kind::Binary {
            return Some(Event::Piece(Piece { part: Part::Binary(payload), first, last }));
        }
        let complete = payload.len().checked_sub(tail.into())?;
        let payload = payload.get(..complete)?;
        let (text, last) = match utf8::validate(payload) {
            Some(text) => (text, last),
            None => match utf8::valid_prefix(payload) {
                "" if lead.is_none() => return self.fail_text(),
                // The text before the invalid bytes is delivered first.
                text => {
                    self.receiver()?.fail_on_next_poll();
                    self.sender.role.note_invalid_text();
                    (text, false)
                }
            },
        };
        Some(Event::Piece(Piece { part: Part::Text { lead, text }, first, last }))
    }

    /// Every event but a message.
    // Each arm says `Some` for stack use: benches/README.md, "Outlined functions".
    fn other_event<'e, B: Buffer + ?Sized>(&mut self, found: Found, inbox: &'e B) -> Option<Event<'e>> {
        let control = match &self.receiving {
            Receiving::Frames(receiver) => receiver.control(),
            Receiving::Handshake(_) => &[],
        };
        match found {
            Found::Data(_) => None,
            Found::Handshake(_) if !R::HANDSHAKES => None,
            Found::Ping => control_event(Opcode::Ping, control),
            Found::Pong => control_event(Opcode::Pong, control),
            Found::Handshake(Outcome::Request) => {
                Some(Event::Request(Request::new(inbox.bytes(), *self.request()?)))
            }
            Found::Handshake(Outcome::BadRequest) => Some(Event::BadRequest(BadRequest::new(inbox.bytes()))),
            Found::Handshake(Outcome::Open(selected)) if R::IS_SERVER => {
                Some(Event::Open(Open::accepted(inbox.bytes(), selected, &self.sender.role)))
            }
            Found::Handshake(Outcome::Open(selected)) => {
                Some(Event::Open(Open::of_response(inbox.bytes(), selected, &self.sender.role)))
            }
            Found::Handshake(Outcome::Refused(_)) => Some(Event::Refused(Response::new(inbox.bytes()))),
            Found::Error(error) => Some(Event::Error(error)),
            Found::PeerClosed(code) => {
                let (_, reason) = frame::parse_close(control).ok()?;
                close_event(code, reason, true)
            }
            Found::ClosedWithoutFrame => close_event(CloseCode::ABNORMAL, "", false),
        }
    }

    /// Whether the inbox holds the beginning of a head or of a message that is still being
    /// received. If not, and no event borrows from it, the caller may replace it, for example
    /// to free the memory of a large message.
    #[must_use]
    pub const fn is_inbox_in_use(&self) -> bool {
        match &self.receiving {
            Receiving::Handshake(_) => true,
            Receiving::Frames(receiver) => receiver.is_in_message(),
        }
    }

    /// A server: the request that awaits its answer.
    fn request(&self) -> Option<&RequestForm> {
        match &self.receiving {
            Receiving::Handshake(handshake) if R::ANSWERS => handshake.request(),
            _ => None,
        }
    }

    /// The receiver, while input still matters to it.
    fn receiver(&mut self) -> Option<&mut Receiver> {
        match &mut self.receiving {
            Receiving::Frames(receiver) if receiver.is_receiving() => Some(receiver),
            _ => None,
        }
    }

    /// The text that `poll` has found is invalid: fails the connection, and reports the Error in
    /// place of the text. `None` if the connection has ended since `poll`, or the same `Ready` has
    /// failed it before.
    #[cold]
    fn fail_text<'e>(&mut self) -> Option<Event<'e>> {
        self.receiver()?;
        let error = ProtocolError::InvalidUtf8.into();
        self.fail(error, End::Close);
        Some(Event::Error(error))
    }

    /// Fails the connection with an Error that is reported now.
    fn fail_now(&mut self, error: Error, consumed: usize) -> Option<Ready> {
        self.fail(error, End::Close);
        Some(Ready { consumed, start: 0, found: Found::Error(error) })
    }

    /// Fails the connection (section 7.1.7), with the events that are still to be reported. A Close
    /// frame or a response is queued for an error that the peer is informed of.
    #[cold]
    fn fail(&mut self, error: Error, end: End) {
        self.end_receiving(end);
        match error {
            Error::Protocol(error) => self.sender.queue_close(error.close_code()),
            Error::Request(error) if R::ANSWERS => self.sender.queue_refusal(error.status()),
            _ => self.sender.end(),
        }
        self.arm_closing();
    }

    /// Fails the connection with an Error that the next poll reports. A client reports a response
    /// that is being read instead, if its status is known.
    fn fail_later(&mut self, error: Error) {
        let refusal = match &self.receiving {
            Receiving::Handshake(handshake) => handshake.refusal(),
            Receiving::Frames(_) => None,
        };
        self.fail(error, refusal.map_or(End::Error(error), End::Refused));
    }

    /// Ends the connection at once, without an Error.
    fn end(&mut self, end: End) {
        self.end_receiving(end);
        self.sender.end();
        self.arm_closing();
    }

    fn end_receiving(&mut self, end: End) {
        match &mut self.receiving {
            Receiving::Frames(receiver) => receiver.end(end),
            handshake => *handshake = Receiving::Frames(Receiver::ended(end)),
        }
    }

    /// Limits the time until the connection is closed, unless it is closed now.
    fn arm_closing(&mut self) {
        self.timer = Timer::armed(if self.is_closed() { Phase::Off } else { Phase::Closing });
    }

    /// The configuration that is in effect.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Replaces the configuration. It can be called in any state, for example to allow larger
    /// messages after a login.
    ///
    /// The limits are in effect from the next frame header on, or the rest of a head. A message in
    /// progress counts with all its frames: if the new limit is lower than its length, it fails
    /// with its next header. If the timeout that is running has another length now, it starts anew.
    /// The delivery stays what it is.
    ///
    /// ```
    /// # use sansocket::{Config, Server, WebSocket};
    /// # let mut ws = WebSocket::<Server>::open(Config::default().max_message(4096));
    /// ws.set_config(ws.config().max_message(1 << 20));
    /// ```
    #[doc(alias = "settings")]
    pub fn set_config(&mut self, config: Config) {
        if self.timer.timeout(&config) != self.timer.timeout(&self.config) {
            self.timer.restart();
        }
        self.config = config.delivery(self.config.options.delivery());
    }

    /// Notes that the stream has ended: the peer sends nothing more. Call it after all input has
    /// been received.
    ///
    /// Pending output is discarded, and the connection is closed. If it had not ended before, by
    /// the peer's Close frame for example, an [`Error::EndOfStream`] and a [`Close`] with 1006
    /// follow from the next [`receive`](Self::receive). A client that has read the status of a
    /// refusal reports that instead: [`Event::Refused`].
    #[doc(alias = "disconnect")]
    pub fn receive_eof(&mut self) {
        // After the peer's Close frame, or an earlier end, the receiver reports no error.
        self.fail_later(Error::EndOfStream);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next, on the scale of its `now`.
    /// [`Duration::ZERO`]: at once. `None`: no timeout is running, because the configuration has
    /// none for this [`state`](Self::state), or because it would end after [`Duration::MAX`].
    ///
    /// Receiving, reporting output, answering and closing change it: ask again after them.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.timer.deadline(&self.config)
    }

    /// Advances the time to `now`, the duration since any fixed moment. It starts the timer that
    /// was armed since the last call, or acts on the one that has run out. Events that follow
    /// are taken with the next [`receive`](Self::receive), whose input may be empty; an idle
    /// Ping is sent by the next [`transmit`](Self::transmit). A program that never calls this has
    /// no timeouts.
    ///
    /// First receive the input that has arrived: the timer of an open connection measures how long
    /// the peer shows no sign of life, and bytes that have been read but not received do not count,
    /// unless [`missing`](Self::missing) was asked about them. So a loop that reads, receives, and
    /// then calls this is right. A loop may also call it only after a read that brought nothing;
    /// but while [`state`](Self::state) is not `Open` it must call it whatever arrives, because the
    /// handshakes have to end in time.
    ///
    /// On an open connection these are signs of life, and arm the timer anew, so that
    /// [`poll_timeout`](Self::poll_timeout) says "at once":
    /// - input that is received, or that waits and has grown since `missing` was last asked;
    /// - output that the transport takes while more is left, reported with
    ///   [`output_sent`](Self::output_sent) or [`payload_sent`](Self::payload_sent).
    ///
    /// The time may go back, as a counter does that wraps: a deadline that is further away than its
    /// timeout starts anew. After this call, `poll_timeout` is later than `now` or `None`, so a
    /// loop that calls it while it is due ends.
    #[doc(alias = "ping interval")]
    #[doc(alias = "keepalive")]
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.timer.advance(&self.config, now) {
            None | Some(Phase::Off) => {}
            Some(Phase::Handshake) => self.fail_later(Error::HandshakeTimeout),
            Some(Phase::Closing) => self.end(End::Close),
            Some(phase) if phase > Phase::Idle && !self.config.pong_timeout.is_never() => {
                self.fail_later(Error::PongTimeout);
            }
            Some(_) => self.timer.start(Phase::PingPending, &self.config, now),
        }
    }

    /// Appends the output that is pending, all of it or nothing: a Pong, an idle Ping, a Close
    /// frame, the refusal of a request.
    ///
    /// `Ok`, and nothing is appended, while the payload of a [`send_header`](Self::send_header) is
    /// not complete.
    ///
    /// # Errors
    /// [`OutboxFull`]. Nothing has changed. Flush the outbox and call again.
    #[inline]
    pub fn transmit<B: Buffer + ?Sized>(&mut self, outbox: &mut B) -> Result<(), OutboxFull> {
        if self.sender.has_nothing_pending() && !self.timer.is_ping_pending() {
            return Ok(());
        }
        self.transmit_pending(outbox)
    }

    #[inline(never)]
    fn transmit_pending<B: Buffer + ?Sized>(&mut self, outbox: &mut B) -> Result<(), OutboxFull> {
        if self.sender.transmit(self.timer.is_ping_pending(), outbox)? {
            self.timer.note_ping_queued();
        }
        if self.is_closed() {
            self.timer = Timer::armed(Phase::Off);
        }
        Ok(())
    }

    /// Appends a message as one frame, after a Pong if one is pending: both or nothing.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed. If the outbox is full: [`transmit`](Self::transmit),
    /// flush, and call again.
    #[doc(alias = "write")]
    #[inline(always)]
    pub fn send<'m, B: Buffer + ?Sized>(
        &mut self,
        message: impl Into<Message<'m>>,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let message = message.into();
        self.sender.send(message.kind(), message.as_bytes(), outbox)
    }

    /// Appends a fragment of a message as one frame (RFC 6455 section 5.4): the first fragment
    /// begins the message, and the one that is marked as the last ends it. A received piece can
    /// be sent on as `&piece`.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed. If the outbox is full: [`transmit`](Self::transmit),
    /// flush, and call again.
    #[doc(alias = "fragment")]
    #[doc(alias = "continuation")]
    pub fn send_piece<'f, B: Buffer + ?Sized>(
        &mut self,
        fragment: impl Into<Fragment<'f>>,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        self.sender.send_piece(fragment.into(), outbox)
    }

    /// Appends the header of a message in one frame of `len` bytes. The caller sends the payload
    /// from where it lies: a server as it is, a client after it has applied the
    /// [`Mask`](crate::frame::Mask) that is returned.
    ///
    /// Until [`payload_sent`](Self::payload_sent) has reported all of it, nothing else may go into
    /// the stream, and the machine appends nothing. The caller guarantees that a text is UTF-8.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed. If the outbox is full: [`transmit`](Self::transmit),
    /// flush, and call again.
    pub fn send_header<B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        len: u64,
        outbox: &mut B,
    ) -> Result<R::Mask, SendError> {
        self.sender.send_header(kind, len, outbox)
    }

    /// Reports that `len` bytes of the payload that [`send_header`](Self::send_header) announced
    /// have been sent. For the timer it is the same report as [`output_sent`](Self::output_sent),
    /// with the rest of the payload as the bytes that are left.
    ///
    /// # Errors
    /// [`SendError::PayloadExceeded`] if that is more than remains. Nothing has changed.
    pub fn payload_sent(&mut self, len: u64) -> Result<(), SendError> {
        let left = self.sender.payload_sent(len)?;
        self.note_output(len, left);
        Ok(())
    }

    /// Reports a write: the transport has taken `sent` bytes of the outbox, and `left` bytes are
    /// still unsent. It changes nothing but the timer.
    ///
    /// Reporting is optional. Without it, the peer is alive only while bytes arrive from it, and a
    /// large message to a slow peer can end in a [`PongTimeout`](Error::PongTimeout): a peer cannot
    /// answer a Ping that waits behind the message.
    ///
    /// | | while bytes are left | when all are sent |
    /// |---|---|---|
    /// | the opening handshake | [`handshake_timeout`](Config::handshake_timeout) starts anew: the request is still leaving | it starts anew |
    /// | no idle Ping is due | the peer is alive: [`idle_ping`](Config::idle_ping) starts anew | no change |
    /// | it waits for [`transmit`](Self::transmit), or in the outbox | [`pong_timeout`](Config::pong_timeout) starts anew | it starts anew |
    /// | it is sent | `pong_timeout` starts anew | no change |
    /// | the connection is closing | [`closing_timeout`](Config::closing_timeout) starts anew, for what was unsent at the first report | no change |
    ///
    /// Once the transport's buffer is full, what is left moves only while the peer acknowledges
    /// bytes. A peer that takes a byte now and then is alive: limit the rate of a write yourself.
    /// The last bytes are no sign of life, because a kernel takes small writes long after the peer
    /// is gone. Nor are Pongs behind our Close frame, which a peer can ask for without end. A
    /// report with no byte sent changes nothing.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use sansocket::{Config, Server, WebSocket};
    /// # let mut ws = WebSocket::<Server>::open(Config::default());
    /// # let mut outbox = vec![0; 100_000];
    /// # let mut write = |bytes: &[u8]| bytes.len().min(10_000);
    /// let sent = write(&outbox);
    /// outbox.drain(..sent);
    /// ws.output_sent(sent, outbox.len());
    /// # ws.handle_timeout(Duration::ZERO);
    /// ```
    pub fn output_sent(&mut self, sent: usize, left: usize) {
        self.note_output(sent as u64, left as u64);
    }

    fn note_output(&mut self, sent: u64, left: u64) {
        if sent > 0 {
            self.timer.note_output(sent, left);
        }
    }

    /// Appends a Ping with up to 125 bytes of payload. The peer's Pong brings the payload back.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn ping<B: Buffer + ?Sized>(&mut self, payload: &[u8], outbox: &mut B) -> Result<(), SendError> {
        self.sender.send_control(Opcode::Ping, &[], payload, outbox)
    }

    /// Appends a Pong with up to 125 bytes of payload (RFC 6455 section 5.5.3): one that answers no
    /// Ping, or the answer to an [`Event::Ping`] if [`Config::answer_pings`] is off.
    ///
    /// It is possible while the connection is open, and after our own Close frame until the peer's
    /// arrives (section 5.5.2). A proxy forwards Pings and Pongs from one end to the other, and
    /// passes on the close:
    ///
    /// ```
    /// # use sansocket::{Buffer, CloseCode, Event, Role, SendError, State, WebSocket};
    /// // With `Config::answer_pings(false)` and `Config::idle_ping(None)` for both connections.
    /// fn forward<R: Role, B: Buffer>(
    ///     event: Event<'_>,
    ///     to: &mut WebSocket<R>,
    ///     outbox: &mut B,
    /// ) -> Result<(), SendError> {
    ///     match event {
    ///         // Both ends may close at the same time.
    ///         _ if to.state() != State::Open => Ok(()),
    ///         Event::Message(message) => to.send(message, outbox),
    ///         Event::Piece(piece) => to.send_piece(&piece, outbox),
    ///         Event::Ping(payload) => to.ping(&payload, outbox),
    ///         Event::Pong(payload) => to.pong(&payload, outbox),
    ///         Event::Close(close) if close.code == CloseCode::NO_STATUS => to.close_without_code(outbox),
    ///         Event::Close(close) if close.clean => to.close(close.code, &close.reason, outbox),
    ///         Event::Close(_) => to.close(CloseCode::GOING_AWAY, "", outbox),
    ///         _ => Ok(()), // each connection has its own handshake and errors
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn pong<B: Buffer + ?Sized>(&mut self, payload: &[u8], outbox: &mut B) -> Result<(), SendError> {
        if self.receiver().is_none() {
            return Err(SendError::NotOpen);
        }
        self.sender.send_control(Opcode::Pong, &[], payload, outbox)
    }

    /// Starts the closing handshake: appends a Close frame with a code and a reason of up to 123
    /// bytes, which may be empty.
    ///
    /// Messages that the peer sends before its own Close frame are still delivered (a browser drops
    /// them). None can be sent any more, not even as a reply to them. An unfinished fragmented
    /// message stays unfinished.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    #[doc(alias = "close code")]
    #[doc(alias = "disconnect")]
    pub fn close<B: Buffer + ?Sized>(
        &mut self,
        code: CloseCode,
        reason: &str,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        // "|Sec-WebSocket-Extensions|: this status code is not used by the server" (section 7.4.1)
        if !code.is_sendable() || R::IS_SERVER && code == CloseCode::MISSING_EXTENSION {
            return Err(SendError::InvalidCode);
        }
        self.send_close(&code.0.to_be_bytes(), reason.as_bytes(), outbox)
    }

    /// Starts the closing handshake with an empty Close frame: the peer reports the code 1005.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn close_without_code<B: Buffer + ?Sized>(&mut self, outbox: &mut B) -> Result<(), SendError> {
        self.send_close(&[], &[], outbox)
    }

    fn send_close<B: Buffer + ?Sized>(
        &mut self,
        code: &[u8],
        reason: &[u8],
        outbox: &mut B,
    ) -> Result<(), SendError> {
        self.sender.send_control(Opcode::Close, code, reason, outbox)?;
        self.arm_closing();
        Ok(())
    }

    /// Whether a message, or the frame of a broadcast, can be sent now: the connection is open, and
    /// neither a fragmented message nor a payload is unfinished.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.sender.check_between_messages().is_ok()
    }

    /// The state of the connection.
    #[must_use]
    #[doc(alias = "readyState")]
    pub const fn state(&self) -> State {
        match &self.receiving {
            Receiving::Handshake(_) => State::Connecting,
            Receiving::Frames(_) if self.sender.is_open() => State::Open,
            // After both Close frames, a client waits for the server to end the stream (section 7.1.1).
            Receiving::Frames(receiver) if self.sender.is_ended() && receiver.is_ended(R::IS_SERVER) => {
                State::Closed
            }
            Receiving::Frames(_) => State::Closing,
        }
    }

    /// Whether the transport can be closed: nothing more is to be sent or expected. Take the events
    /// that are still pending first.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state(), State::Closed)
    }

    /// Whether it is the caller's turn: a server's to answer a [`Request`], a client's to
    /// [`connect`](WebSocket::connect). Until then, no input is taken.
    #[must_use]
    pub const fn awaits_caller(&self) -> bool {
        match &self.receiving {
            Receiving::Handshake(handshake) => handshake.awaits_caller(),
            Receiving::Frames(_) => false,
        }
    }
}

/// A Ping's or a Pong's event. Outlined like that of a Close frame: benches/README.md, "Outlined
/// functions".
#[inline(never)]
fn control_event<'e>(opcode: Opcode, bytes: &[u8]) -> Option<Event<'e>> {
    let mut payload = ControlPayload::new();
    let _ = payload.extend_from_slice(bytes);
    if opcode == Opcode::Ping { Some(Event::Ping(payload)) } else { Some(Event::Pong(payload)) }
}

#[inline(never)]
fn close_event<'e>(code: CloseCode, reason: &str, clean: bool) -> Option<Event<'e>> {
    let mut close = Close { code, reason: CloseReason::new(), clean };
    // It fits: a control payload of 125 bytes leaves 123 for the reason.
    let _ = close.reason.push_str(reason);
    Some(Event::Close(close))
}

/// All state but the role, whose generator of masking keys is a secret.
impl<R: Role> fmt::Debug for WebSocket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("state", &self.state())
            .field("config", &self.config)
            .field("timer", &self.timer)
            .field("receiving", &self.receiving)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
