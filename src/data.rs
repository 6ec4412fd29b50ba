//! Messages, their parts and the payloads of control frames (RFC 6455 sections 5.4 to 5.6).

/// The payload of a Ping or a Pong: 0 to 125 bytes, by value (RFC 6455 section 5.5).
#[doc(alias = "ping payload")]
#[doc(alias = "pong payload")]
pub type ControlPayload = heapless::Vec<u8, 125, u8>;

/// The reason of a Close frame: 0 to 123 bytes of UTF-8, by value (RFC 6455 section 5.5.1).
#[doc(alias = "close reason")]
pub type CloseReason = heapless::String<123, u8>;

/// The kind of a message (RFC 6455 section 5.6).
#[doc(alias = "opcode")]
#[doc(alias = "message type")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message, received or to send (RFC 6455 section 5.6). It borrows its payload.
///
/// Made from `&str`, `&[u8]`, `&[u8; N]`, and with the feature `alloc` from `&String` and
/// `&Vec<u8>`.
#[doc(alias = "text")]
#[doc(alias = "binary")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<'m> {
    /// A text message.
    Text(&'m str),
    /// A binary message.
    Binary(&'m [u8]),
}

impl<'m> Message<'m> {
    /// The kind of the message.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload as bytes, of a text message too.
    #[doc(alias = "payload")]
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

#[cfg(feature = "alloc")]
impl<'m> From<&'m alloc::string::String> for Message<'m> {
    fn from(text: &'m alloc::string::String) -> Self {
        Self::Text(text)
    }
}

#[cfg(feature = "alloc")]
impl<'m> From<&'m alloc::vec::Vec<u8>> for Message<'m> {
    fn from(bytes: &'m alloc::vec::Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A part of a received message, delivered with [`Delivery::Pieces`](crate::Delivery::Pieces)
/// before the message, or even its frame, is complete.
///
/// The sizes of the parts depend on the frames and on the reads. Joined, the parts are the message.
/// The last one may be empty.
#[doc(alias = "chunk")]
#[doc(alias = "streaming")]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Piece<'p> {
    /// The payload of the part.
    pub part: Part<'p>,
    /// Whether it is the first part of a message.
    pub first: bool,
    /// Whether it is the last part of the message.
    pub last: bool,
}

/// The payload of a [`Piece`].
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part<'p> {
    /// A part of a text message: whole characters, `lead` and then `text`.
    Text {
        /// The character that an earlier part began and this one completes.
        lead: Option<char>,
        /// The text after it, in the input.
        text: &'p str,
    },
    /// A part of a binary message, in the input. The caller may change it there.
    Binary(&'p mut [u8]),
}

/// A fragment to send: the content of one frame of a message (RFC 6455 section 5.4).
///
/// A received `&`[`Piece`] converts into one, to forward a message while it is received.
#[doc(alias = "continuation")]
#[doc(alias = "frame")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'f> {
    pub(crate) lead: Option<char>,
    pub(crate) message: Message<'f>,
    pub(crate) last: bool,
}

impl<'f> Fragment<'f> {
    /// A fragment of a text or a binary message. `last`: the message ends with it.
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
