//! What can go wrong: faults of the peer, which are events, and faults of the caller, which are `Err`s that changed
//! nothing.

use crate::frame::CloseCode;
use core::{error, fmt};

/// A rule about frames or messages that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set and no extension defines it (section 5.2).
    ReservedBits,
    /// The opcode is none that RFC 6455 defines (section 5.2).
    ReservedOpcode,
    /// A control frame without FIN (section 5.5).
    FragmentedControl,
    /// A control frame with more than 125 octets (section 5.5).
    ControlTooLong,
    /// A continuation frame, but no message to continue (section 5.4).
    NothingToContinue,
    /// A text or binary frame inside a fragmented message (section 5.4).
    MessageInsideMessage,
    /// A client's frame that is not masked (section 5.1).
    Unmasked,
    /// A server's frame that is masked (section 5.1).
    Masked,
    /// A length in a longer form than it needs (section 5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (section 5.2).
    LengthOver63Bits,
    /// A frame longer than [`Config::max_frame`](crate::Config::max_frame) (section 10.4).
    FrameTooBig,
    /// A message longer than [`Config::max_message`](crate::Config::max_message), or than the inbox (section 10.4).
    MessageTooBig,
    /// More empty fragments in one message than
    /// [`Config::max_empty_fragments`](crate::Config::max_empty_fragments) (section 10.4).
    TooManyEmptyFragments,
    /// Text that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A Close frame with a payload of one octet (section 5.5.1).
    CloseOfOneOctet,
    /// A Close frame with a code that must not be on the wire (section 7.4).
    InvalidCloseCode,
    /// A Close frame with a reason that is not UTF-8 (sections 5.5.1 and 8.1).
    InvalidCloseReason,
}

impl ProtocolError {
    /// The code of the Close frame that answers it (section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidCloseReason => CloseCode::INVALID_DATA,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::TooManyEmptyFragments => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::FragmentedControl => "a control frame is fragmented",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::NothingToContinue => "a continuation frame continues no message",
            Self::MessageInsideMessage => "a new message begins inside a fragmented one",
            Self::Unmasked => "a client's frame is not masked",
            Self::Masked => "a server's frame is masked",
            Self::NonMinimalLength => "a length is not in its shortest form",
            Self::LengthOver63Bits => "a length is over 63 bits",
            Self::FrameTooBig => "a frame is over the limit",
            Self::MessageTooBig => "a message is over the limit",
            Self::TooManyEmptyFragments => "a message has too many empty fragments",
            Self::InvalidUtf8 => "text is not valid UTF-8",
            Self::CloseOfOneOctet => "a Close frame's payload is a single byte",
            Self::InvalidCloseCode => "a Close frame's code is not allowed on the wire",
            Self::InvalidCloseReason => "a Close frame's reason is not valid UTF-8",
        })
    }
}

impl error::Error for ProtocolError {}

/// A rule about an HTTP/1.1 head that the peer broke (RFC 9112), or a limit that its head went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadError {
    /// A control character in the head.
    ControlCharacter,
    /// A CR that no LF follows (RFC 9112 section 2.2).
    BareCr,
    /// A LF that no CR precedes; RFC 9112 section 2.2 would let it pass.
    BareLf,
    /// The head is longer than [`Config::max_head`](crate::Config::max_head), or than the inbox.
    TooLong,
    /// More header lines than [`Config::max_headers`](crate::Config::max_headers).
    TooManyHeaders,
    /// A header that is folded over two lines (RFC 9112 section 5.2).
    Folded,
    /// A header line without a colon.
    NoColon,
    /// A header's name that is no token, or empty.
    InvalidName,
    /// White space between a header's name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlCharacter => "a control character in the head",
            Self::BareCr => "a CR without LF in the head",
            Self::BareLf => "a LF without CR in the head",
            Self::TooLong => "the head is over the limit",
            Self::TooManyHeaders => "the head has too many headers",
            Self::Folded => "a header is folded over two lines",
            Self::NoColon => "a header line has no colon",
            Self::InvalidName => "a header's name is not a token",
            Self::SpaceBeforeColon => "white space between a header's name and its colon",
        })
    }
}

impl error::Error for HeadError {}

/// Why a request is no opening handshake (RFC 6455 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The head is no HTTP/1.1 head, or over a limit.
    Head(HeadError),
    /// The first line is not `METHOD TARGET HTTP/x.y`.
    InvalidRequestLine,
    /// The method is not GET.
    MethodNotAllowed,
    /// The HTTP version is older than 1.1.
    HttpTooOld,
    /// The target is neither a path nor an absolute http(s) URI, or holds what neither may.
    InvalidTarget,
    /// The target alone is longer than a head may be.
    TargetTooLong,
    /// No `Host` header.
    NoHost,
    /// More than one `Host` header.
    SecondHost,
    /// A `Host` that is no host and port.
    InvalidHost,
    /// More than one `Origin` header, which a browser never sends (RFC 6454 section 7.3): a proxy and the server would not
    /// judge the same one.
    SecondOrigin,
    /// A body, or the announcement of one.
    Body,
    /// `Upgrade` does not name `websocket`.
    NoUpgrade,
    /// `Connection` does not name `Upgrade`.
    NoConnectionUpgrade,
    /// No `Sec-WebSocket-Key`.
    NoKey,
    /// More than one `Sec-WebSocket-Key`.
    SecondKey,
    /// A `Sec-WebSocket-Key` that is not 16 octets in base64.
    InvalidKey,
    /// `Sec-WebSocket-Version` is absent or not 13.
    UnsupportedVersion,
    /// More than one `Sec-WebSocket-Version`.
    SecondVersion,
    /// `Sec-WebSocket-Protocol` is no list of tokens.
    InvalidProtocols,
    /// `Sec-WebSocket-Extensions` does not follow the grammar of section 9.1.
    InvalidExtensions,
}

impl RequestError {
    /// The status of the response that refuses it.
    #[must_use]
    #[inline(never)] // Each copy would carry the table.
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::TargetTooLong => 414,
            Self::NoUpgrade | Self::NoConnectionUpgrade | Self::UnsupportedVersion => 426,
            Self::Head(HeadError::TooLong | HeadError::TooManyHeaders) => 431,
            _ => 400,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::InvalidRequestLine => "the request line is malformed",
            Self::MethodNotAllowed => "the method is not GET",
            Self::HttpTooOld => "the HTTP version is older than 1.1",
            Self::InvalidTarget => "the request target is malformed",
            Self::TargetTooLong => "the request target is over the limit",
            Self::NoHost => "no Host header",
            Self::SecondHost => "more than one Host header",
            Self::InvalidHost => "the Host header is malformed",
            Self::SecondOrigin => "more than one Origin header",
            Self::Body => "the request has a body",
            Self::NoUpgrade => "the Upgrade header does not ask for websocket",
            Self::NoConnectionUpgrade => "the Connection header does not ask for an upgrade",
            Self::NoKey => "no Sec-WebSocket-Key header",
            Self::SecondKey => "more than one Sec-WebSocket-Key header",
            Self::InvalidKey => "the Sec-WebSocket-Key is not 16 bytes in base64",
            Self::UnsupportedVersion => "the Sec-WebSocket-Version is not 13",
            Self::SecondVersion => "more than one Sec-WebSocket-Version header",
            Self::InvalidProtocols => "the Sec-WebSocket-Protocol header is malformed",
            Self::InvalidExtensions => "the Sec-WebSocket-Extensions header is malformed",
        })
    }
}

impl error::Error for RequestError {}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// Why a response does not complete the opening handshake (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseError {
    /// The head is no HTTP/1.1 head, or over a limit.
    Head(HeadError),
    /// The first line is not `HTTP/x.y STATUS REASON`.
    InvalidStatusLine,
    /// Status 101 with an HTTP version older than 1.1.
    HttpTooOld,
    /// `Upgrade` is not `websocket`.
    NoUpgrade,
    /// `Connection` does not name `Upgrade`.
    NoConnectionUpgrade,
    /// No `Sec-WebSocket-Accept`.
    NoAccept,
    /// More than one `Sec-WebSocket-Accept`.
    SecondAccept,
    /// The `Sec-WebSocket-Accept` does not answer the key that was sent.
    WrongAccept,
    /// A subprotocol that was not offered.
    UnofferedProtocol,
    /// More than one `Sec-WebSocket-Protocol`.
    SecondProtocol,
    /// `Sec-WebSocket-Extensions` does not follow the grammar of section 9.1.
    InvalidExtensions,
    /// An extension that was not offered.
    UnofferedExtension,
    /// More than one `Sec-WebSocket-Extensions`.
    SecondExtensions,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::InvalidStatusLine => "the status line is malformed",
            Self::HttpTooOld => "the HTTP version is older than 1.1",
            Self::NoUpgrade => "the Upgrade header is not websocket",
            Self::NoConnectionUpgrade => "the Connection header does not name Upgrade",
            Self::NoAccept => "no Sec-WebSocket-Accept header",
            Self::SecondAccept => "more than one Sec-WebSocket-Accept header",
            Self::WrongAccept => "the Sec-WebSocket-Accept does not answer the key",
            Self::UnofferedProtocol => "the server chose a subprotocol that was not offered",
            Self::SecondProtocol => "more than one Sec-WebSocket-Protocol header",
            Self::InvalidExtensions => "the Sec-WebSocket-Extensions header is malformed",
            Self::UnofferedExtension => "the server chose an extension that was not offered",
            Self::SecondExtensions => "more than one Sec-WebSocket-Extensions header",
        })
    }
}

impl error::Error for ResponseError {}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// The outbox has not enough room; nothing was written. Flush it and call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutboxFull {
    /// How many bytes of room the call needs.
    pub needed: usize,
}

impl fmt::Display for OutboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the outbox needs room for {} bytes", self.needed)
    }
}

impl error::Error for OutboxFull {}

/// Why nothing was sent. The call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The outbox has not enough room.
    OutboxFull(OutboxFull),
    /// The connection is not open: still connecting, closing or closed (RFC 6455 sections 5.5.1 and 6.1).
    NotOpen,
    /// A whole message inside a fragmented one (section 5.4): finish it first.
    InsideMessage,
    /// A fragment of another kind than the message that it would continue.
    OtherKind,
    /// The payload of a frame whose header was sent is still owed.
    PayloadOwed,
    /// More payload was reported than the header said.
    PayloadExceeded,
    /// A Ping with more than 125 bytes (section 5.5), or a frame of 2^63 bytes or more (section 5.2).
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::NotOpen => "the connection is not open",
            Self::InsideMessage => "a fragmented message is not finished",
            Self::OtherKind => "the fragment is of another kind than its message",
            Self::PayloadOwed => "the payload of a frame is still owed",
            Self::PayloadExceeded => "more payload than the frame's header said",
            Self::TooLong => "the payload is too long for its frame",
        })
    }
}

impl error::Error for SendError {}

impl From<OutboxFull> for SendError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}

/// Why the closing handshake was not started. The call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CloseError {
    /// The outbox has not enough room.
    OutboxFull(OutboxFull),
    /// The connection is not open: still connecting, closing already or closed.
    NotOpen,
    /// The code must not be sent (RFC 6455 section 7.4), or not by a server (1010).
    InvalidCode,
    /// The reason is longer than 123 bytes (sections 5.5 and 5.5.1).
    ReasonTooLong,
    /// The payload of a frame whose header was sent is still owed.
    PayloadOwed,
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::NotOpen => "the connection is not open",
            Self::InvalidCode => "the close code must not be sent",
            Self::ReasonTooLong => "the reason is longer than 123 bytes",
            Self::PayloadOwed => "the payload of a frame is still owed",
        })
    }
}

impl error::Error for CloseError {}

impl From<OutboxFull> for CloseError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}

/// Why a request was not answered. The call changed nothing: the request can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AnswerError {
    /// The outbox has not enough room.
    OutboxFull(OutboxFull),
    /// There is no request to answer: none has come, or it is answered, or the connection has ended.
    NoRequest,
    /// `accept` for a request that asks for no upgrade.
    NotAnUpgrade,
    /// `accept` with the [`Accept`](crate::Accept) of another connection's request.
    OtherRequest,
    /// A header's name is no token or is one that the machine writes, or its value holds a control character.
    InvalidHeader,
    /// A status that refuses nothing: below 200 or over 599.
    InvalidStatus,
    /// A body with a status that has none (204, 205, 304).
    BodyNotAllowed,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::NoRequest => "there is no request to answer",
            Self::NotAnUpgrade => "the request asks for no upgrade",
            Self::OtherRequest => "this is the acceptance of another request",
            Self::InvalidHeader => "a header is not allowed here",
            Self::InvalidStatus => "the status is not from 200 to 599",
            Self::BodyNotAllowed => "a response with this status has no body",
        })
    }
}

impl error::Error for AnswerError {}

impl From<OutboxFull> for AnswerError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}

/// Why no opening handshake was sent. The call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// The outbox has not enough room.
    OutboxFull(OutboxFull),
    /// The opening handshake was sent before, or the connection has ended.
    AlreadySent,
    /// The URI is not `ws://` or `wss://` with a host (RFC 6455 section 3), or has a fragment or user information.
    InvalidUri,
    /// The host is not a host and, perhaps, a port.
    InvalidHost,
    /// The path begins neither with `/` nor, where it is a query alone, with `?`, or it holds white space, a `#` or what is
    /// not ASCII.
    InvalidPath,
    /// A subprotocol is no token, or is offered twice (section 4.1).
    InvalidProtocol,
    /// The subprotocols together are longer than the machine can remember: 123 bytes with a comma and a space between each
    /// two.
    OfferTooLong,
    /// A header's name is no token or is one that the machine writes, or its value holds a control character.
    InvalidHeader,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::AlreadySent => "the opening handshake was sent before, or the connection has ended",
            Self::InvalidUri => "not a ws:// or wss:// URI",
            Self::InvalidHost => "the host is malformed",
            Self::InvalidPath => "the path is malformed",
            Self::InvalidProtocol => "a subprotocol is not a token, or is offered twice",
            Self::OfferTooLong => "the subprotocols are too long to remember",
            Self::InvalidHeader => "a header is not allowed here",
        })
    }
}

impl error::Error for ConnectError {}

impl From<OutboxFull> for ConnectError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}
