//! Messages and parts of them, as they are received and sent (RFC 6455 sections 5.4 and 5.6).

/// The payload of a Ping or a Pong: at most 125 bytes.
pub type ControlPayload = heapless::Vec<u8, 125, u8>;

/// The reason of a Close frame: at most 123 bytes.
pub type CloseReason = heapless::String<123, u8>;

/// What a message is: text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
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
