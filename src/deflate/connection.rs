//! Connections whose messages can be compressed: constructors, and compressed sending.

use super::extension::PerMessageDeflate;
use super::{Compress, Parameters, Window};
use crate::frame::{self, Header};
use crate::role::sealed;
use crate::{
    Buffer, Client, Config, Established, Fragment, Message, OutboxFull, Role, SendError, Server, WebSocket,
};
use core::fmt;
use rand_core::CryptoRng;

/// The role `R` of connections that can compress messages with permessage-deflate (RFC 7692).
///
/// `W` is the memory of the window for received messages: see [`Window`].
#[derive(Clone)]
pub struct Deflate<R, W = ()> {
    role: R,
    pub(super) state: PerMessageDeflate<W>,
}

impl<R: Role, W: Window> Role for Deflate<R, W> {}

impl<R: Role, W: Window> sealed::Role for Deflate<R, W> {
    type Opening = R::Opening;
    type Mask = R::Mask;
    const IS_SERVER: bool = R::IS_SERVER;
    const ANSWERS: bool = R::ANSWERS;
    fn mask(&mut self) -> R::Mask {
        self.role.mask()
    }
    fn key(mask: &R::Mask) -> Option<frame::mask::MaskingKey> {
        R::key(mask)
    }
}

impl<R, W: Window> Deflate<R, W> {
    const fn new(role: R, window: W) -> Self {
        Self { role, state: PerMessageDeflate::new(window) }
    }
}

/// All state but the role, whose generator of masking keys is a secret.
impl<R, W> fmt::Debug for Deflate<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<W: Window> WebSocket<Deflate<Established<Server>, W>> {
    /// A server's end of a connection whose opening handshake other software has done.
    pub fn open_deflate(config: Config, parameters: Option<Parameters>, window: W) -> Option<Self> {
        let mut role = Deflate::new(Established { role: Server }, window);
        if let Some(parameters) = parameters {
            role.state.start(parameters, true);
        }
        Some(Self::established(role, config))
    }
}

impl<G: CryptoRng, W: Window> WebSocket<Deflate<Established<Client<G>>, W>> {
    /// A client's end of a connection whose opening handshake other software has done.
    pub fn open_deflate(config: Config, rng: G, parameters: Option<Parameters>, window: W) -> Option<Self> {
        let mut role = Deflate::new(Established { role: Client { rng } }, window);
        if let Some(parameters) = parameters {
            role.state.start(parameters, false);
        }
        Some(Self::established(role, config))
    }
}

impl<R: Role> WebSocket<R> {
    /// Appends a message as one frame, after a Pong if one is pending: both or nothing. The message
    /// is compressed, unless that would make it longer, or the peer has not agreed to compression.
    ///
    /// With context takeover, a message of less than 1,024 bytes is compressed even if that makes it
    /// a few bytes longer, because later messages can refer to it.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed. The outbox needs capacity for the longest result:
    /// [`Compress::max_len`] and a header of at most 14 bytes.
    pub fn send_deflated<'m, C: Compress + ?Sized, B: Buffer + ?Sized>(
        &mut self,
        message: impl Into<Message<'m>>,
        compressor: &mut C,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let message = message.into();
        if self.sender.role.sending().is_none() {
            return self.send(message, outbox);
        }
        self.sender.send_deflated(message, compressor, outbox)
    }

    /// Appends a fragment of a compressed message as one frame, as
    /// [`send_piece`](Self::send_piece) does. All fragments of a message are compressed, with the
    /// same compressor, or none is. Without the peer's agreement, it is `send_piece`.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn send_piece_deflated<'f, C: Compress + ?Sized, B: Buffer + ?Sized>(
        &mut self,
        fragment: impl Into<Fragment<'f>>,
        compressor: &mut C,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let fragment = fragment.into();
        if self.sender.role.sending().is_none() {
            return self.send_piece(fragment, outbox);
        }
        self.sender.send_piece_deflated(fragment, compressor, outbox)
    }

    /// Notes that the caller writes a frame of [`encode`], made with windows of 2^`window_bits`
    /// bytes, to the stream now.
    ///
    /// # Errors
    /// [`SendError`]. The frame must not be written: send the message as it is.
    pub fn note_deflated(&mut self, window_bits: u8) -> Result<(), SendError> {
        self.sender.check_between_messages()?;
        match self.sender.role.sending() {
            Some(sending) if sending.window_bits() >= window_bits => {
                sending.note_other();
                Ok(())
            }
            _ => Err(SendError::NotAgreed),
        }
    }
}

/// Appends `message` to `outbox` as one compressed, unmasked frame, as a server sends it.
///
/// # Errors
/// [`OutboxFull`], and nothing was appended.
pub fn encode<'m, C: Compress + ?Sized, B: Buffer + ?Sized>(
    message: impl Into<Message<'m>>,
    window_bits: u8,
    compressor: &mut C,
    outbox: &mut B,
) -> Result<(), OutboxFull> {
    let message = message.into();
    let (kind, payload) = (message.kind(), message.as_bytes());
    let size = compressor.max_len(payload.len()).max(payload.len());
    let needed = frame::size(size, false);
    if outbox.remaining() < needed {
        return Err(OutboxFull { needed });
    }
    let mut alone = super::extension::Sending::alone(window_bits);
    let header = Header { fin: true, opcode: kind.into(), len: 0, key: None };
    if payload.is_empty()
        || !header.append_written(true, size, outbox, |out| alone.compress_message(payload, compressor, out))
    {
        frame::append_message(kind, payload, None, outbox);
    }
    Ok(())
}
