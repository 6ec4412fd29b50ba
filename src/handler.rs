//! Callbacks: a [`Handler`] has a method for each event, and replies through a [`Responder`].

use crate::data::{ControlPayload, Fragment, Message, Piece};
#[cfg(feature = "deflate")]
use crate::deflate::Compress;
use crate::event::{Close, Error, Event};
use crate::handshake::{Accept, BadRequest, Open, Reject, Request, Response};
use crate::role::Role;
use crate::{AnswerError, Buffer, CloseCode, Config, OutboxFull, SendError, State, WebSocket};
use core::fmt;

/// Callbacks for events: [`WebSocket::dispatch`] calls one method per event. Each method does
/// nothing by default.
///
/// A tuple of two to four handlers is a handler that passes every event to each of them, in order.
/// `&mut H` and `&mut dyn Handler` are handlers too, and so is `()`, which ignores every event.
///
/// ```
/// use sansocket::{Handler, Message, Responder};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {
///         if let Err(error) = sender.send(message) {
///             eprintln!("{error}");
///         }
///     }
/// }
/// ```
#[doc(alias = "onmessage")]
#[doc(alias = "callback")]
#[doc(alias = "listener")]
#[doc(alias = "addEventListener")]
#[allow(unused_variables)]
pub trait Handler {
    /// Server: a client sent a request.
    ///
    /// If no handler accepts, rejects or [defers](Responder::defer) it,
    /// [`dispatch`](WebSocket::dispatch) answers it:
    /// - with status 500 if a handler tried to answer it and failed;
    /// - with status 426 if it is not an upgrade;
    /// - else it is accepted, without a subprotocol; a browser that offered some closes it then.
    ///
    /// After a [`reject`](Responder::reject) that failed, no handler can accept or defer it: the
    /// first handler of a tuple can guard the others.
    fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {}
    /// Server: the machine refuses a request. `on_error` is next.
    fn on_bad_request(&mut self, request: BadRequest<'_>) {}
    /// The opening handshake is complete: messages can be sent.
    fn on_open(&mut self, open: Open<'_>, sender: &mut Responder<'_>) {}
    /// A whole message was received.
    fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {}
    /// A part of a message was received, with [`Delivery::Pieces`](crate::Delivery::Pieces).
    fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Responder<'_>) {}
    /// A Ping was received. Its Pong is already pending, unless
    /// [`Config::answer_pings`](crate::Config::answer_pings) is off.
    fn on_ping(&mut self, payload: &ControlPayload, sender: &mut Responder<'_>) {}
    /// A Pong was received.
    fn on_pong(&mut self, payload: &ControlPayload, sender: &mut Responder<'_>) {}
    /// Client: the server refused the opening handshake. `on_error` is next. The response's body
    /// begins at the input that [`dispatch`](WebSocket::dispatch) leaves: see [`Response`].
    fn on_refused(&mut self, response: Response<'_>) {}
    /// The connection failed. `on_close` is next.
    fn on_error(&mut self, error: Error) {}
    /// The connection ended. This is the last event.
    fn on_close(&mut self, close: &Close) {}
}

/// Sends from within a [`Handler`]: the connection and its outbox, without their types.
pub struct Responder<'s> {
    machine: &'s mut dyn Machine,
    answer: Answer,
}

/// What the handlers did with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// They answered it, or did not try.
    NotFailed,
    /// They tried to accept it and failed.
    NotAccepted,
    /// They tried to reject it and failed. It must not be accepted.
    NotRejected,
    /// The caller answers it later. It must not be accepted before.
    Deferred,
}

impl fmt::Debug for Responder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Responder<'_> {
    /// [`WebSocket::send`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.machine.send(message.into())
    }

    /// [`WebSocket::send_piece`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn send_piece<'f>(&mut self, fragment: impl Into<Fragment<'f>>) -> Result<(), SendError> {
        self.machine.send_piece(fragment.into())
    }

    /// [`WebSocket::send_deflated`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    #[cfg(feature = "deflate")]
    pub fn send_deflated<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        compressor: &mut dyn Compress,
    ) -> Result<(), SendError> {
        self.machine.send_deflated(message.into(), compressor)
    }

    /// [`WebSocket::send_piece_deflated`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    #[cfg(feature = "deflate")]
    pub fn send_piece_deflated<'f>(
        &mut self,
        fragment: impl Into<Fragment<'f>>,
        compressor: &mut dyn Compress,
    ) -> Result<(), SendError> {
        self.machine.send_piece_deflated(fragment.into(), compressor)
    }

    /// [`WebSocket::ping`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.machine.ping(payload)
    }

    /// [`WebSocket::pong`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.machine.pong(payload)
    }

    /// [`WebSocket::close`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.machine.close(code, reason)
    }

    /// [`WebSocket::close_without_code`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn close_without_code(&mut self) -> Result<(), SendError> {
        self.machine.close_without_code()
    }

    /// [`WebSocket::accept`].
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed. A client has [no request](AnswerError::NoRequest). A
    /// request that a handler has failed to reject is [`Refused`](AnswerError::Refused).
    pub fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError> {
        match self.answer {
            Answer::NotRejected => return Err(AnswerError::Refused),
            Answer::Deferred => return Err(AnswerError::Deferred),
            _ => {}
        }
        let accepted = self.machine.accept(accept);
        if accepted.is_err() {
            self.answer = Answer::NotAccepted;
        }
        accepted
    }

    /// [`WebSocket::reject`].
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed, but no handler can accept the request any more. A
    /// client has [no request](AnswerError::NoRequest).
    pub fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError> {
        let rejected = self.machine.reject(reject);
        match rejected {
            Ok(()) => self.answer = Answer::NotFailed,
            // It is answered.
            Err(AnswerError::NoRequest) => {}
            Err(_) => self.answer = Answer::NotRejected,
        }
        rejected
    }

    /// Leaves the request unanswered, unless a handler has failed to reject it. The caller must
    /// call [`WebSocket::accept`] or [`WebSocket::reject`] later; until then no input is taken. A
    /// later handler can reject the request, but not accept it.
    pub fn defer(&mut self) {
        if self.answer != Answer::NotRejected {
            self.answer = Answer::Deferred;
        }
    }

    /// The state of the connection, as [`WebSocket::state`].
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// [`WebSocket::config`].
    #[must_use]
    pub fn config(&self) -> &Config {
        self.machine.config()
    }

    /// [`WebSocket::set_config`]: to allow larger messages after a login, for example.
    pub fn set_config(&mut self, config: Config) {
        self.machine.set_config(config);
    }
}

/// The capacity for the answer to a request that no handler answers, in bytes: with or without the
/// header that accepts compression.
const fn answer_size<R: Role>() -> usize {
    if R::COMPRESSES { 320 } else { 160 }
}

impl<R: Role> WebSocket<R> {
    /// Appends pending frames to `outbox`, takes one event from `input`, and calls the method of
    /// `handler` for it.
    ///
    /// Returns `true` if there was an event: call again. Returns `false` if there was none: the
    /// input is used up, or the connection [awaits the caller](Self::awaits_caller). `input` and
    /// `inbox` are those of [`receive`](Self::receive). The caller may flush the outbox after each
    /// call, and must flush it after the last one.
    ///
    /// # Errors
    /// [`OutboxFull`]; no event was taken. Flush the outbox and call again. The outbox needs
    /// capacity for the pending frames. As long as a server may receive a request, it also needs
    /// 160 bytes for the answer, or 320 if it may accept compression.
    #[doc(alias = "onmessage")]
    #[doc(alias = "callback")]
    pub fn dispatch<I: Buffer + ?Sized, O: Buffer + ?Sized, H: Handler + ?Sized>(
        &mut self,
        input: &mut &mut [u8],
        inbox: &mut I,
        outbox: &mut O,
        handler: &mut H,
    ) -> Result<bool, OutboxFull> {
        self.transmit(outbox)?;
        let may_ask = R::ANSWERS && self.state() == State::Connecting && !self.awaits_caller();
        if may_ask && outbox.remaining() < answer_size::<R>() {
            return Err(OutboxFull { needed: answer_size::<R>() });
        }
        let Some(event) = self.receive(input, inbox) else { return Ok(false) };
        let mut connection = Connection { ws: self, outbox };
        let mut sender = Responder { machine: &mut connection, answer: Answer::NotFailed };
        match event {
            Event::Request(request) => {
                handler.on_request(request, &mut sender);
                // If a handler has answered, these fail with `NoRequest`. The capacity was checked.
                let _ = match sender.answer {
                    Answer::Deferred => Ok(()),
                    Answer::NotAccepted | Answer::NotRejected => sender.machine.reject(Reject::status(500)),
                    Answer::NotFailed if request.is_upgrade() => sender.machine.accept(request.accept()),
                    Answer::NotFailed => sender.machine.reject(Reject::status(426)),
                };
            }
            Event::BadRequest(request) => handler.on_bad_request(request),
            Event::Open(open) => handler.on_open(open, &mut sender),
            Event::Refused(response) => handler.on_refused(response),
            Event::Message(message) => handler.on_message(message, &mut sender),
            Event::Piece(piece) => handler.on_piece(&piece, &mut sender),
            Event::Ping(payload) => handler.on_ping(&payload, &mut sender),
            Event::Pong(payload) => handler.on_pong(&payload, &mut sender),
            Event::Error(error) => handler.on_error(error),
            Event::Close(close) => handler.on_close(&close),
        }
        Ok(true)
    }
}

/// A connection and its outbox behind a `dyn`, so that a [`Responder`] has no type parameters.
trait Machine {
    fn send(&mut self, message: Message<'_>) -> Result<(), SendError>;
    fn send_piece(&mut self, fragment: Fragment<'_>) -> Result<(), SendError>;
    #[cfg(feature = "deflate")]
    fn send_deflated(&mut self, message: Message<'_>, compressor: &mut dyn Compress)
    -> Result<(), SendError>;
    #[cfg(feature = "deflate")]
    fn send_piece_deflated(
        &mut self,
        fragment: Fragment<'_>,
        compressor: &mut dyn Compress,
    ) -> Result<(), SendError>;
    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError>;
    fn pong(&mut self, payload: &[u8]) -> Result<(), SendError>;
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError>;
    fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError>;
    fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError>;
    fn close_without_code(&mut self) -> Result<(), SendError>;
    fn state(&self) -> State;
    fn config(&self) -> &Config;
    fn set_config(&mut self, config: Config);
}

struct Connection<'c, R: Role, B: ?Sized> {
    ws: &'c mut WebSocket<R>,
    outbox: &'c mut B,
}

impl<R: Role, B: Buffer + ?Sized> Machine for Connection<'_, R, B> {
    fn send(&mut self, message: Message<'_>) -> Result<(), SendError> {
        self.ws.send(message, self.outbox)
    }
    fn send_piece(&mut self, fragment: Fragment<'_>) -> Result<(), SendError> {
        self.ws.send_piece(fragment, self.outbox)
    }
    #[cfg(feature = "deflate")]
    fn send_deflated(
        &mut self,
        message: Message<'_>,
        compressor: &mut dyn Compress,
    ) -> Result<(), SendError> {
        self.ws.send_deflated(message, compressor, self.outbox)
    }
    #[cfg(feature = "deflate")]
    fn send_piece_deflated(
        &mut self,
        fragment: Fragment<'_>,
        compressor: &mut dyn Compress,
    ) -> Result<(), SendError> {
        self.ws.send_piece_deflated(fragment, compressor, self.outbox)
    }
    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.ping(payload, self.outbox)
    }
    fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.pong(payload, self.outbox)
    }
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.ws.close(code, reason, self.outbox)
    }
    fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError> {
        self.ws.accept_request(accept, self.outbox)
    }
    fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError> {
        self.ws.reject_request(reject, self.outbox)
    }
    fn close_without_code(&mut self) -> Result<(), SendError> {
        self.ws.close_without_code(self.outbox)
    }
    fn state(&self) -> State {
        self.ws.state()
    }
    fn config(&self) -> &Config {
        self.ws.config()
    }
    fn set_config(&mut self, config: Config) {
        self.ws.set_config(config);
    }
}

/// Ignores every event.
impl Handler for () {}

/// Implements [`Handler`] for a type: each method calls the same method of each listed handler, in
/// order.
macro_rules! forward {
    ([$($generics:tt)+] $type:ty, $self:ident => $($handler:expr),+) => {
        impl<$($generics)+> Handler for $type {
            fn on_request(&mut $self, request: Request<'_>, sender: &mut Responder<'_>) {
                $($handler.on_request(request, sender);)+
            }
            fn on_bad_request(&mut $self, request: BadRequest<'_>) {
                $($handler.on_bad_request(request);)+
            }
            fn on_open(&mut $self, open: Open<'_>, sender: &mut Responder<'_>) {
                $($handler.on_open(open, sender);)+
            }
            fn on_message(&mut $self, message: Message<'_>, sender: &mut Responder<'_>) {
                $($handler.on_message(message, sender);)+
            }
            fn on_piece(&mut $self, piece: &Piece<'_>, sender: &mut Responder<'_>) {
                $($handler.on_piece(piece, sender);)+
            }
            fn on_ping(&mut $self, payload: &ControlPayload, sender: &mut Responder<'_>) {
                $($handler.on_ping(payload, sender);)+
            }
            fn on_pong(&mut $self, payload: &ControlPayload, sender: &mut Responder<'_>) {
                $($handler.on_pong(payload, sender);)+
            }
            fn on_refused(&mut $self, response: Response<'_>) {
                $($handler.on_refused(response);)+
            }
            fn on_error(&mut $self, error: Error) {
                $($handler.on_error(error);)+
            }
            fn on_close(&mut $self, close: &Close) {
                $($handler.on_close(close);)+
            }
        }
    };
}

forward!([H: Handler + ?Sized] &mut H, self => (**self));
forward!([A: Handler, B: Handler] (A, B), self => self.0, self.1);
forward!([A: Handler, B: Handler, C: Handler] (A, B, C), self => self.0, self.1, self.2);
forward!([A: Handler, B: Handler, C: Handler, D: Handler] (A, B, C, D), self => self.0, self.1, self.2, self.3);
