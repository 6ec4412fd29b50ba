//! What the machine reports: events, and what they carry.

use crate::data::{CloseReason, ControlPayload, Kind, Message, Piece};
use crate::error::ProtocolError;
use crate::frame::CloseCode;
use crate::handshake::{BadRequest, Open, Outcome, Request, RequestError, Response, ResponseError};
use core::fmt::Write;
use core::{error, fmt};

/// What has happened on a connection. It borrows the input or the inbox, never the machine.
///
/// There will be no other events: a match needs no wildcard.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'e> {
    /// Server: a client asks for a WebSocket. Answer with [`accept`](crate::WebSocket::accept) or
    /// [`reject`](crate::WebSocket::reject). Until then, no input is taken.
    #[doc(alias = "upgrade")]
    Request(Request<'e>),
    /// Server: a request that the machine refuses, as far as it was received, for the log.
    /// [`Event::Error`] is next, and says why.
    BadRequest(BadRequest<'e>),
    /// The opening handshake is complete. Messages can be sent.
    #[doc(alias = "onopen")]
    Open(Open<'e>),
    /// Client: the server answered the opening handshake with another status than 101, for example
    /// a redirect or a 401. [`Event::Error`] is next. The input that is left begins with the
    /// response's body, unless its head was cut short. The machine does not read it: see
    /// [`Response`].
    Refused(Response<'e>),
    /// A whole message.
    #[doc(alias = "onmessage")]
    Message(Message<'e>),
    /// A part of a message, with [`Delivery::Pieces`](crate::Delivery::Pieces).
    Piece(Piece<'e>),
    /// A Ping. Its Pong is pending already, unless
    /// [`Config::answer_pings`](crate::Config::answer_pings) is off.
    Ping(ControlPayload),
    /// A Pong, solicited or not.
    Pong(ControlPayload),
    /// The connection failed. It comes at most once, and [`Event::Close`] is next.
    #[doc(alias = "onerror")]
    Error(Error),
    /// The end: the last event of every connection, and exactly one. Output that is still pending
    /// must be transmitted; [`is_closed`](crate::WebSocket::is_closed) says when the transport
    /// can be closed.
    #[doc(alias = "onclose")]
    Close(Close),
}

/// The reason why a connection failed: the peer broke a rule, refused, was silent, or was gone.
///
/// It comes as [`Event::Error`](crate::Event::Error), and `Event::Close` follows. It owns its data,
/// so a function that runs a connection can return it. A closing timeout and
/// [`reject`](crate::WebSocket::reject) are not errors: [`Close::clean`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A frame or a message broke a rule of RFC 6455. A Close frame with this error's code is
    /// pending, unless our own was sent before.
    Protocol(ProtocolError),
    /// A request is not an opening handshake. A response with this error's status is pending.
    Request(RequestError),
    /// A response with status 101 does not complete the opening handshake.
    Response(ResponseError),
    /// The server answered the opening handshake with this status. The response itself came ahead,
    /// as [`Event::Refused`](crate::Event::Refused).
    Refused(u16),
    /// The opening handshake was not completed in time.
    HandshakeTimeout,
    /// The peer has sent nothing since an idle Ping was due, or has left the outbox if
    /// [`output_sent`](crate::WebSocket::output_sent) reports it, for as long as a Pong may take.
    PongTimeout,
    /// The stream ended without a Close frame from the peer (section 7.1.5: 1006).
    EndOfStream,
}

impl Error {
    /// The code of the Close frame that informs the peer of this error, unless our own Close frame
    /// was sent before. `None` if none is sent.
    #[must_use]
    pub const fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Protocol(error) => Some(error.close_code()),
            _ => None,
        }
    }

    /// The status of the HTTP response that informs the peer of this error. `None` if none is sent.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Request(error) => Some(error.status()),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "{error} (close code {})", error.close_code()),
            Self::Request(error) => write!(f, "{error} (status {})", error.status()),
            Self::Response(error) => error.fmt(f),
            Self::Refused(status) => write!(f, "the server refused with status {status}"),
            Self::HandshakeTimeout => f.write_str("the opening handshake took too long"),
            Self::PongTimeout => f.write_str("the peer has not answered a Ping"),
            Self::EndOfStream => f.write_str("the stream ended without a Close frame"),
        }
    }
}

impl error::Error for Error {}

/// How a connection ended (RFC 6455 sections 7.1.4 to 7.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Close {
    /// The code of the peer's Close frame: [`NO_STATUS`](CloseCode::NO_STATUS) (1005) if it had
    /// none, and [`ABNORMAL`](CloseCode::ABNORMAL) (1006) if no Close frame arrived.
    pub code: CloseCode,
    /// The reason of the peer's Close frame, else empty.
    pub reason: CloseReason,
    /// Whether the peer's Close frame arrived.
    pub clean: bool,
}

/// The peer chooses the reason. Characters that are not printable, among them line ends, control
/// characters and marks that change the direction of text, are escaped as by
/// [`char::escape_debug`], and so is the backslash. Quotes are shown as they are.
impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.reason.is_empty() { "" } else { " " };
        write!(f, "{}{separator}", self.code)?;
        let mut escaped = self.reason.escape_debug();
        while let Some(char) = escaped.next() {
            // The escape of a quote is the one that is left out.
            match (char, if char == '\\' { escaped.next() } else { None }) {
                (_, Some(quote @ ('"' | '\''))) => f.write_char(quote)?,
                (_, Some(next)) => write!(f, "{char}{next}")?,
                (_, None) => f.write_char(char)?,
            }
        }
        f.write_str(if self.clean { " (clean)" } else { " (not clean)" })
    }
}

/// The state of a connection, with the values of the W3C's `readyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// The opening handshake is not complete.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// The closing handshake has begun, or the connection has failed and its last output is not
    /// transmitted yet.
    Closing,
    /// Nothing more is to be sent or expected: the transport can be closed.
    Closed,
}

/// An event that [`poll`](crate::WebSocket::poll) has found: where it lies, without borrowing
/// anything.
///
/// Pass it to [`event`](crate::WebSocket::event), with the same input and inbox and before any
/// other call, to get the event.
#[derive(Clone, Copy, Debug)]
#[must_use = "an event that is not taken is lost"]
pub struct Ready {
    pub(crate) consumed: usize,
    /// Where a payload in the input begins. It ends at `consumed`. (A piece that
    /// was inflated lies in the inbox: it begins there at `start - consumed - 1`.)
    pub(crate) start: usize,
    pub(crate) found: Found,
}

impl Ready {
    /// How many bytes from the front of the input are used up once the event has been taken.
    #[must_use]
    pub const fn consumed(&self) -> usize {
        self.consumed
    }
}

/// An event without the data that it borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Handshake(Outcome),
    Data(Data),
    Ping,
    Pong,
    /// The peer's Close frame, with its code.
    PeerClosed(CloseCode),
    Error(Error),
    /// The end without the peer's Close frame.
    ClosedWithoutFrame,
}

/// A message, or a piece of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data {
    /// A message that lies in the input.
    InPlace(Kind),
    /// A message that was collected in the inbox.
    Collected(Kind),
    /// A piece that lies in the input.
    Piece(FoundPiece),
}

/// A piece without its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundPiece {
    pub(crate) kind: Kind,
    /// The character that it completes, whose last bytes lie before the payload.
    pub(crate) lead: Option<char>,
    /// The number of bytes at the end of the payload that begin a character. They are stored.
    pub(crate) tail: u8,
    pub(crate) first: bool,
    pub(crate) last: bool,
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}
