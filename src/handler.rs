//! The callback face: a handler is told of each event and replies through a [`Sender`].

use crate::data::{ControlPayload, Fragment, Message, Piece};
use crate::event::{Close, Error, Event};
use crate::handshake::{Accept, Open, Reject, Request, Response};
use crate::role::Role;
use crate::{AnswerError, Buffer, CloseCode, CloseError, OutboxFull, SendError, State, WebSocket};
use core::fmt;

/// Told of each event by [`WebSocket::dispatch`]. Every method has a default that does nothing.
///
/// A tuple of handlers is a handler: each sees every event, in order. So is a `&mut` to one, `dyn Handler` included.
///
/// ```
/// use sansocket::{Handler, Message, Sender};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_message(&mut self, message: Message<'_>, sender: &mut Sender<'_>) {
///         if let Err(error) = sender.send(message) {
///             eprintln!("{error}");
///         }
///     }
/// }
/// ```
#[allow(unused_variables)]
pub trait Handler {
    /// A client asks for a WebSocket. A request that no handler accepts, rejects or [defers](Sender::defer) is accepted,
    /// without a subprotocol, and one that asks for no upgrade is refused with status 426. One whose answer has failed, and
    /// that nobody has answered since, is refused with status 500.
    fn on_request(&mut self, request: Request<'_>, sender: &mut Sender<'_>) {}
    /// The opening handshake is complete.
    fn on_open(&mut self, open: Open<'_>, sender: &mut Sender<'_>) {}
    /// A whole message.
    fn on_message(&mut self, message: Message<'_>, sender: &mut Sender<'_>) {}
    /// A part of a message.
    fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Sender<'_>) {}
    /// A Ping, whose Pong is owed already.
    fn on_ping(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {}
    /// A Pong.
    fn on_pong(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {}
    /// Client: the server refused the opening handshake; an error is next.
    fn on_refused(&mut self, response: Response<'_>) {}
    /// The connection failed; `on_close` is next.
    fn on_error(&mut self, error: Error) {}
    /// The end.
    fn on_close(&mut self, close: &Close) {}
}

/// What a [`Handler`] replies with. It names neither the role nor the buffer.
pub struct Sender<'s> {
    machine: &'s mut dyn Machine,
    answer: Answer,
}

/// What has become of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It has been answered, or nobody has tried.
    Untried,
    /// An answer was tried and could not be written.
    Failed,
    Deferred,
}

impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Sender<'_> {
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

    /// [`WebSocket::ping`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.machine.ping(payload)
    }

    /// [`WebSocket::close`].
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), CloseError> {
        self.machine.close(code, reason)
    }

    /// [`WebSocket::close_without_code`].
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed.
    pub fn close_without_code(&mut self) -> Result<(), CloseError> {
        self.machine.close_without_code()
    }

    /// [`WebSocket::accept`].
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed. A client has [no request](AnswerError::NoRequest).
    pub fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError> {
        let answered = self.machine.accept(accept);
        self.note(answered)
    }

    /// [`WebSocket::reject`].
    ///
    /// # Errors
    /// [`AnswerError`]; nothing has changed. A client has [no request](AnswerError::NoRequest).
    pub fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError> {
        let answered = self.machine.reject(reject);
        self.note(answered)
    }

    /// Leaves the request unanswered: the caller will call [`WebSocket::accept`] or [`WebSocket::reject`] later.
    pub fn defer(&mut self) {
        self.answer = Answer::Deferred;
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// An answer that fails must not end in the opposite one.
    fn note(&mut self, answered: Result<(), AnswerError>) -> Result<(), AnswerError> {
        if answered.is_err_and(|error| error != AnswerError::NoRequest) {
            self.answer = Answer::Failed;
        }
        answered
    }
}

/// Room for the answer to a request that no handler answers.
const ANSWER: usize = 160;

impl<R: Role> WebSocket<R> {
    /// Transmits what is owed, then receives one event and tells `handler` of it: `Ok(true)`. `Ok(false)` once the input is
    /// used up, as [`receive`](Self::receive) defines it, and nothing is owed.
    ///
    /// The caller can flush the outbox after each call.
    ///
    /// # Errors
    /// [`OutboxFull`] where what is owed does not fit, or, while a request may come, an answer to it would not: 160 bytes, the
    /// least that an outbox must take. No event has been taken. Flush the outbox and call again.
    pub fn dispatch<I, O, H>(
        &mut self,
        input: &mut &mut [u8],
        inbox: &mut I,
        outbox: &mut O,
        handler: &mut H,
    ) -> Result<bool, OutboxFull>
    where
        I: Buffer + ?Sized,
        O: Buffer + ?Sized,
        H: Handler + ?Sized,
    {
        self.transmit(outbox)?;
        let may_ask = R::ANSWERS && self.state() == State::Connecting && !self.awaits_caller();
        if may_ask && outbox.remaining() < ANSWER {
            return Err(OutboxFull { needed: ANSWER });
        }
        let Some(event) = self.receive(input, inbox) else { return Ok(false) };
        let mut connection = Connection { ws: self, outbox };
        let mut sender = Sender { machine: &mut connection, answer: Answer::Untried };
        match event {
            Event::Request(request) => {
                handler.on_request(request, &mut sender);
                // Where a handler has answered, these find no request. There is room for each.
                let _ = match sender.answer {
                    Answer::Deferred => Ok(()),
                    Answer::Failed => sender.machine.reject(Reject::status(500)),
                    Answer::Untried if request.is_upgrade() => sender.machine.accept(request.accept()),
                    Answer::Untried => sender.machine.reject(Reject::status(426)),
                };
            }
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

/// What a [`Sender`] does, without the types of the role and of the buffer.
trait Machine {
    fn send(&mut self, message: Message<'_>) -> Result<(), SendError>;
    fn send_piece(&mut self, fragment: Fragment<'_>) -> Result<(), SendError>;
    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError>;
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), CloseError>;
    fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError>;
    fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError>;
    fn close_without_code(&mut self) -> Result<(), CloseError>;
    fn state(&self) -> State;
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
    fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.ping(payload, self.outbox)
    }
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), CloseError> {
        self.ws.close(code, reason, self.outbox)
    }
    fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError> {
        self.ws.accept_request(accept, self.outbox)
    }
    fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError> {
        self.ws.reject_request(reject, self.outbox)
    }
    fn close_without_code(&mut self) -> Result<(), CloseError> {
        self.ws.close_without_code(self.outbox)
    }
    fn state(&self) -> State {
        self.ws.state()
    }
}

impl<H: Handler + ?Sized> Handler for &mut H {
    fn on_request(&mut self, request: Request<'_>, sender: &mut Sender<'_>) {
        (**self).on_request(request, sender);
    }
    fn on_open(&mut self, open: Open<'_>, sender: &mut Sender<'_>) {
        (**self).on_open(open, sender);
    }
    fn on_message(&mut self, message: Message<'_>, sender: &mut Sender<'_>) {
        (**self).on_message(message, sender);
    }
    fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Sender<'_>) {
        (**self).on_piece(piece, sender);
    }
    fn on_ping(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {
        (**self).on_ping(payload, sender);
    }
    fn on_pong(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {
        (**self).on_pong(payload, sender);
    }
    fn on_refused(&mut self, response: Response<'_>) {
        (**self).on_refused(response);
    }
    fn on_error(&mut self, error: Error) {
        (**self).on_error(error);
    }
    fn on_close(&mut self, close: &Close) {
        (**self).on_close(close);
    }
}

/// Nobody is told.
impl Handler for () {}

/// Tuples of handlers: each is told, in order.
macro_rules! tuple {
    ($($handler:ident $index:tt),+) => {
        impl<$($handler: Handler),+> Handler for ($($handler,)+) {
            fn on_request(&mut self, request: Request<'_>, sender: &mut Sender<'_>) {
                $(self.$index.on_request(request, sender);)+
            }
            fn on_open(&mut self, open: Open<'_>, sender: &mut Sender<'_>) {
                $(self.$index.on_open(open, sender);)+
            }
            fn on_message(&mut self, message: Message<'_>, sender: &mut Sender<'_>) {
                $(self.$index.on_message(message, sender);)+
            }
            fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Sender<'_>) {
                $(self.$index.on_piece(piece, sender);)+
            }
            fn on_ping(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {
                $(self.$index.on_ping(payload, sender);)+
            }
            fn on_pong(&mut self, payload: &ControlPayload, sender: &mut Sender<'_>) {
                $(self.$index.on_pong(payload, sender);)+
            }
            fn on_refused(&mut self, response: Response<'_>) {
                $(self.$index.on_refused(response);)+
            }
            fn on_error(&mut self, error: Error) {
                $(self.$index.on_error(error);)+
            }
            fn on_close(&mut self, close: &Close) {
                $(self.$index.on_close(close);)+
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
