//! What the machine says: events, and what they carry.

use crate::frame::Opcode;
use crate::{CloseCode, Error, Request, handshake::Open};
use core::fmt;

/// The payload of a Ping or a Pong: at most 125 bytes.
pub type ControlPayload = heapless::Vec<u8, 125, u8>;

/// The reason of a Close frame: at most 123 bytes.
pub type CloseReason = heapless::String<123, u8>;

/// What has happened. It borrows the input or the inbox, never the machine.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'e> {
    /// Server: a client asks for a WebSocket. Answer with [`accept`](crate::WebSocket::accept) or
    /// [`reject`](crate::WebSocket::reject); until then, no input is taken.
    Request(Request<'e>),
    /// The opening handshake is complete: messages can be sent.
    Open(Open<'e>),
    /// A whole message.
    Message(Message<'e>),
    /// A part of a message, with [`Delivery::Pieces`](crate::Delivery::Pieces).
    Piece(Piece<'e>),
    /// A Ping. Its Pong is owed already.
    Ping(ControlPayload),
    /// A Pong, asked for or not.
    Pong(ControlPayload),
    /// The connection failed. At most one comes, and [`Event::Close`] is next.
    Error(Error<'e>),
    /// The end: the last event of every connection, and exactly one. What is still owed to the peer must be
    /// transmitted; [`is_closed`](crate::WebSocket::is_closed) says when the transport can go.
    Close(Close),
}

/// What a message is: text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// A whole message, received or to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<'m> {
    /// A text message.
    Text(&'m str),
    /// A binary message.
    Binary(&'m [u8]),
}

impl<'m> Message<'m> {
    /// Text or binary.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload, whatever its kind.
    #[must_use]
    pub const fn as_bytes(&self) -> &'m [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl<'m> From<&'m str> for Message<'m> {
    fn from(text: &'m str) -> Self {
        Self::Text(text)
    }
}

impl<'m> From<&'m [u8]> for Message<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'m, const N: usize> From<&'m [u8; N]> for Message<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

/// A part of a message, lent before the message, or even its frame, is complete.
///
/// Where the parts lie depends on how the stream was cut; joined, they are the message. The last one may be empty.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Piece<'p> {
    /// The part itself.
    pub part: Part<'p>,
    /// Whether a message begins with it.
    pub first: bool,
    /// Whether the message ends with it.
    pub last: bool,
}

/// The payload of a [`Piece`].
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part<'p> {
    /// A part of a text message, which ends on a character's boundary.
    Text {
        /// A character that two slices of the input shared: it comes ahead of `text`.
        lead: Option<char>,
        /// What lies in place.
        text: &'p str,
    },
    /// A part of a binary message, in place: it may be changed there.
    Binary(&'p mut [u8]),
}

/// A fragment to be sent: one frame of a message (RFC 6455 section 5.4). A received [`Piece`] becomes one by
/// reference, so that it can be sent on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'f> {
    pub(crate) lead: Option<char>,
    pub(crate) message: Message<'f>,
    pub(crate) last: bool,
}

impl<'f> Fragment<'f> {
    /// A fragment of a text message or of a binary one; `last` ends the message.
    pub fn new(part: impl Into<Message<'f>>, last: bool) -> Self {
        Self { lead: None, message: part.into(), last }
    }
}

impl<'f> From<&'f Piece<'_>> for Fragment<'f> {
    fn from(piece: &'f Piece<'_>) -> Self {
        let (lead, message) = match &piece.part {
            Part::Text { lead, text } => (*lead, Message::Text(text)),
            Part::Binary(bytes) => (None, Message::Binary(bytes)),
        };
        Self { lead, message, last: piece.last }
    }
}

/// How a connection ended (RFC 6455 sections 7.1.4 to 7.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Close {
    /// The code of the peer's Close frame; [`NO_STATUS`](CloseCode::NO_STATUS) (1005) where it had none,
    /// [`ABNORMAL`](CloseCode::ABNORMAL) (1006) where none came.
    pub code: CloseCode,
    /// The reason of the peer's Close frame, else empty.
    pub reason: CloseReason,
    /// Whether the peer's Close frame came.
    pub clean: bool,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = if self.clean { "clean" } else { "not clean" };
        match self.reason.as_str() {
            "" => write!(f, "{} ({clean})", self.code),
            reason => write!(f, "{} {reason} ({clean})", self.code),
        }
    }
}

/// Where a connection stands, as the W3C's `readyState` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// The opening handshake is not complete.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// The closing handshake has begun, or the connection has failed and its last bytes are not transmitted yet.
    Closing,
    /// Nothing more is to be sent or expected: the transport can go.
    Closed,
}

/// An event that [`poll`](crate::WebSocket::poll) has found: where it lies, without borrowing anything.
///
/// Hand it to [`event`](crate::WebSocket::event), with the same input, to get the event itself.
#[derive(Clone, Copy, Debug)]
#[must_use = "an event that is not taken is lost"]
pub struct Ready {
    pub(crate) consumed: usize,
    pub(crate) what: What,
}

impl Ready {
    /// How many bytes from the front of the input the machine is done with once the event has been taken.
    #[must_use]
    pub const fn consumed(&self) -> usize {
        self.consumed
    }
}

/// What an event will be made of. Data in place lies from `start` to where [`Ready::consumed`] ends.
#[derive(Clone, Copy, Debug)]
pub enum What {
    Request(crate::handshake::Asked),
    Open(crate::handshake::Chosen),
    /// A whole message, in place.
    Message {
        kind: Kind,
        start: usize,
    },
    /// A whole message, in the inbox.
    Collected(Kind),
    Piece {
        kind: Kind,
        start: usize,
        lead: Option<char>,
        first: bool,
        last: bool,
    },
    Ping,
    Pong,
    Error(Fault),
    /// The peer's Close frame.
    Closed,
    /// The end without one.
    Dropped,
}

/// [`Error`] before it borrows.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Protocol(crate::ProtocolError),
    Request(crate::RequestError),
    Response(crate::ResponseError),
    Refused,
    HandshakeTimeout,
    PongTimeout,
    EndOfStream,
}

impl From<crate::ProtocolError> for Fault {
    fn from(error: crate::ProtocolError) -> Self {
        Self::Protocol(error)
    }
}
