//! What an extension changes in the messages of a connection (RFC 6455 section 9).

use crate::message::{Incoming, Inflated, PayloadPart};
use crate::receiver::Rules;
use crate::{Buffer, ProtocolError};

/// The extension of a role's connections. The defaults are those of a role without one.
///
/// It is `pub` in a private module, as the sealed part of `Role` is.
pub trait Extension {
    /// Whether messages can be compressed. Where it is `false`, the code for them is not linked.
    const COMPRESSES: bool = false;

    /// Whether the peer may compress messages.
    fn is_agreed(&self) -> bool {
        false
    }

    /// Whether bytes that were received before stand for more than was delivered.
    fn has_output(&self) -> bool {
        false
    }

    /// Inflates a part of the payload of a compressed message. (Without compression, this is not
    /// reached.)
    fn inflate<B: Buffer + ?Sized>(
        &mut self,
        _message: &mut Incoming,
        _part: PayloadPart<'_>,
        _rules: &Rules<'_>,
        _inbox: &mut B,
    ) -> Result<Inflated, ProtocolError> {
        Err(ProtocolError::ReservedBits)
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

    /// The parameters that are agreed.
    #[cfg(feature = "deflate")]
    fn parameters(&self, _is_server: bool) -> Option<crate::deflate::Parameters> {
        None
    }

    /// The state of messages that are sent compressed. `None`: they are sent as they are.
    #[cfg(feature = "deflate")]
    fn sending(&mut self) -> Option<&mut crate::deflate::Sending> {
        None
    }
}
