//! Messages for many connections.

use crate::OwnedMessage;
use alloc::sync::Arc;
#[cfg(feature = "deflate")]
use alloc::vec::Vec;
use core::fmt;
use sansocket::Message;

/// A message for any number of connections. Its clones share one payload, and with the feature
/// `deflate` one compressed frame.
///
/// ```
/// use sansocket_io::{Broadcast, Message};
/// let news = Broadcast::from("news for everyone");
/// let copy = news.clone();
/// assert_eq!(copy.message(), Message::Text("news for everyone"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Broadcast(Arc<Shared>);

#[derive(PartialEq, Eq)]
struct Shared {
    message: OwnedMessage,
    #[cfg(feature = "deflate")]
    deflated: Option<Deflated>,
}

/// A frame of [`sansocket::deflate::encode`].
#[cfg(feature = "deflate")]
#[derive(PartialEq, Eq)]
pub(crate) struct Deflated {
    pub(crate) window_bits: u8,
    pub(crate) frame: Vec<u8>,
}

impl Broadcast {
    /// A message that is compressed once, with a window of 2^`window_bits` bytes (9 to 15). A
    /// server's connections whose clients have agreed to such a window send the compressed frame,
    /// others the message as it is. 12 fits the defaults of
    /// [`Settings::server`](sansocket::deflate::Settings::server).
    ///
    /// The compressor can be used for the next message too.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflated(
        message: impl Into<OwnedMessage>,
        window_bits: u8,
        compressor: &mut dyn sansocket::deflate::Compress,
    ) -> Self {
        let (message, mut frame) = (message.into(), Vec::new());
        let encoded = sansocket::deflate::encode(&message, window_bits, compressor, &mut frame);
        frame.shrink_to_fit();
        let deflated = encoded.is_ok().then_some(Deflated { window_bits, frame });
        Self(Arc::new(Shared { message, deflated }))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        (&self.0.message).into()
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn compressed(&self) -> Option<&Deflated> {
        self.0.deflated.as_ref()
    }
}

impl<M: Into<OwnedMessage>> From<M> for Broadcast {
    fn from(message: M) -> Self {
        Self(Arc::new(Shared {
            message: message.into(),
            #[cfg(feature = "deflate")]
            deflated: None,
        }))
    }
}

impl From<&Self> for Broadcast {
    fn from(message: &Self) -> Self {
        message.clone()
    }
}

impl<'m> From<&'m Broadcast> for Message<'m> {
    fn from(message: &'m Broadcast) -> Self {
        message.message()
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Broadcast").field(&self.message()).finish()
    }
}
