//! What an extension changes in the messages of a connection (RFC 6455 section 9): nothing, or
//! compression (RFC 7692).

use crate::message::{Incoming, Inflated, PayloadPart};
use crate::receiver::Rules;
use crate::{Buffer, ProtocolError};
use core::fmt;

/// The extension of a role's connections: `()`, or `deflate::Inflation`.
///
/// It is `pub` in a private module, as the sealed part of `Role` is.
pub trait Extension: fmt::Debug {
    /// Whether messages can be compressed. Where it is `false`, the code for them is not linked.
    const COMPRESSES: bool;

    /// Whether the peer may compress messages.
    fn is_agreed(&self) -> bool;

    /// Whether bytes that were received before stand for more than was delivered.
    fn has_output(&self) -> bool {
        false
    }

    /// Whether an error follows the piece that [`inflate`](Self::inflate) has returned.
    fn is_failing(&self) -> bool {
        false
    }

    /// The error that follows the piece that was returned last.
    fn error(&self) -> ProtocolError {
        ProtocolError::InvalidUtf8
    }

    /// Notes that this error is invalid text in the piece.
    fn note_invalid_text(&mut self) {}

    /// Inflates a part of the payload of a compressed message.
    fn inflate<B: Buffer + ?Sized>(
        &mut self,
        message: &mut Incoming,
        part: PayloadPart<'_>,
        rules: &Rules<'_>,
        inbox: &mut B,
    ) -> Result<Inflated, ProtocolError>;

    /// The state for messages that are sent compressed. `None`: they are sent as they are.
    #[cfg(feature = "deflate")]
    fn sending(&mut self) -> Option<&mut crate::deflate::Sending> {
        None
    }
}

impl Extension for () {
    const COMPRESSES: bool = false;

    fn is_agreed(&self) -> bool {
        false
    }

    /// Not reached: no message is compressed.
    fn inflate<B: Buffer + ?Sized>(
        &mut self,
        _: &mut Incoming,
        _: PayloadPart<'_>,
        _: &Rules<'_>,
        _: &mut B,
    ) -> Result<Inflated, ProtocolError> {
        Err(ProtocolError::ReservedBits)
    }
}
