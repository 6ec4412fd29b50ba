//! The errors of frames and messages: those of the peer, which become an
//! [`Event::Error`](crate::Event::Error), and those of the caller, which are an `Err` of a call
//! that changed nothing. The errors of the handshake are in `handshake`.

use crate::frame::CloseCode;
use core::{error, fmt};

/// A rule of frames or messages that the peer broke (RFC 6455).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set, and no extension defines it (section 5.2).
    ReservedBits,
    /// The opcode is reserved (section 5.2).
    ReservedOpcode,
    /// A control frame without FIN (section 5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    ControlTooLong,
    /// A continuation frame without a message in progress (section 5.4).
    UnexpectedContinuation,
    /// A text or binary frame where a fragmented message must be continued (section 5.4).
    ExpectedContinuation,
    /// A client's frame that is not masked (section 5.1).
    Unmasked,
    /// A server's frame that is masked (section 5.1).
    Masked,
    /// A length that is not in its shortest form (section 5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (section 5.2).
    LengthOver63Bits,
    /// A frame longer than [`Config::max_frame`](crate::Config::max_frame) (section 10.4).
    FrameTooBig,
    /// A message longer than [`Config::max_message`](crate::Config::max_message), or than the inbox
    /// (section 10.4).
    MessageTooBig,
    /// More empty fragments in one message than
    /// [`Config::max_empty_fragments`](crate::Config::max_empty_fragments) (section 10.4).
    TooManyEmptyFragments,
    /// Text that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// The payload of a compressed message is not DEFLATE, or refers to bytes before the window
    /// (RFC 7692 section 7.2.2).
    #[cfg(feature = "deflate")]
    InvalidDeflate,
    /// A Close frame with a payload of one byte, half a code (section 5.5.1).
    TruncatedCloseCode,
    /// A Close frame with a code that must not be sent (section 7.4).
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
            #[cfg(feature = "deflate")]
            Self::InvalidDeflate => CloseCode::INVALID_DATA,
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
            Self::UnexpectedContinuation => "a continuation frame continues no message",
            Self::ExpectedContinuation => "a new message begins inside a fragmented one",
            Self::Unmasked => "a client's frame is not masked",
            Self::Masked => "a server's frame is masked",
            Self::NonMinimalLength => "a length is not in its shortest form",
            Self::LengthOver63Bits => "a length is over 63 bits",
            Self::FrameTooBig => "a frame is over the limit",
            Self::MessageTooBig => "a message is over the limit",
            Self::TooManyEmptyFragments => "a message has too many empty fragments",
            Self::InvalidUtf8 => "text is not valid UTF-8",
            #[cfg(feature = "deflate")]
            Self::InvalidDeflate => "a compressed message is not valid DEFLATE",
            Self::TruncatedCloseCode => "a Close frame's payload is a single byte",
            Self::InvalidCloseCode => "a Close frame's code is not allowed on the wire",
            Self::InvalidCloseReason => "a Close frame's reason is not valid UTF-8",
        })
    }
}

impl error::Error for ProtocolError {}

/// The outbox does not have enough capacity left. Nothing was appended: flush it and call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutboxFull {
    /// How many bytes the outbox must have free for the call.
    pub needed: usize,
}

impl fmt::Display for OutboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the outbox needs {} free bytes", self.needed)
    }
}

impl error::Error for OutboxFull {}

/// The reason why nothing was sent. The call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The outbox does not have enough capacity left.
    OutboxFull(OutboxFull),
    /// The connection is not open: still connecting, closing or closed (RFC 6455 sections 5.5.1 and
    /// 6.1).
    NotOpen,
    /// A whole message while a fragmented one is unfinished (section 5.4).
    MessageUnfinished,
    /// A fragment of another kind than the message that it continues, or one is compressed and the
    /// other is not.
    KindMismatch,
    /// A compressor that refers to messages of another connection, or of this one before a message
    /// that another compressor has compressed. [Reset](crate::deflate::Compress::reset) it first.
    #[cfg(feature = "deflate")]
    OtherCompressor,
    /// A compressed frame to a peer that has not agreed to compression, or only to smaller windows.
    #[cfg(feature = "deflate")]
    NotAgreed,
    /// The caller has not sent all the payload that [`send_header`](crate::WebSocket::send_header)
    /// announced.
    PayloadPending,
    /// More payload was reported than the header announced.
    PayloadExceeded,
    /// A Ping or Pong with more than 125 bytes of payload, a Close frame with a reason of more than
    /// 123 (section 5.5), or a frame of 2^63 bytes or more (section 5.2).
    TooLong,
    /// A close code that must not be sent (section 7.4), or not by a server (1010).
    InvalidCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::NotOpen => "the connection is not open",
            Self::MessageUnfinished => "a fragmented message is not finished",
            Self::KindMismatch => "the fragment is of another kind than its message",
            #[cfg(feature = "deflate")]
            Self::OtherCompressor => "the compressor refers to messages of another connection",
            #[cfg(feature = "deflate")]
            Self::NotAgreed => "the peer has not agreed to such compression",
            Self::PayloadPending => "the payload of a frame is not complete",
            Self::PayloadExceeded => "more payload than the frame's header said",
            Self::TooLong => "the payload is too long for its frame",
            Self::InvalidCode => "the close code must not be sent",
        })
    }
}

impl error::Error for SendError {}

impl From<OutboxFull> for SendError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}
