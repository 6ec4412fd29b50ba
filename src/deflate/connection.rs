//! Connections whose messages can be compressed: constructors, and compressed sending.

use super::extension::PerMessageDeflate;
use super::{Compress, Negotiator, Parameters, Sending, Settings, Window};
use crate::Connect;
use crate::frame::{self, Header};
use crate::handshake::{Handshake, Negotiation, ServerOpening};
use crate::role::sealed;
use crate::role::{ClientRole, ServerRole};
use crate::timer::Phase;
use crate::{
    Buffer, Client, Config, Delivery, Established, Fragment, Message, OutboxFull, Role, SendError, Server,
    WebSocket,
};
use core::{error, fmt};
use rand_core::CryptoRng;

/// The role `R` of connections that can compress messages with permessage-deflate (RFC 7692).
///
/// `W` is the memory of the window for received messages: see [`Window`].
#[derive(Clone)]
pub struct Deflate<R, W = ()> {
    role: R,
    /// What a client offers.
    settings: Settings,
    pub(super) state: PerMessageDeflate<W>,
}

impl<R: Role, W: Window> Role for Deflate<R, W> {}

impl<R: Role, W: Window> sealed::Role for Deflate<R, W> {
    type Negotiation = Negotiator;
    type Opening<N: Negotiation> = R::Opening<N>;
    type Mask = R::Mask;
    const IS_SERVER: bool = R::IS_SERVER;
    const ANSWERS: bool = R::ANSWERS;
    const HANDSHAKES: bool = R::HANDSHAKES;
    fn mask(&mut self) -> R::Mask {
        self.role.mask()
    }
    fn key(mask: &R::Mask) -> Option<frame::mask::MaskingKey> {
        R::key(mask)
    }
    fn agree(&mut self, agreed: Option<Parameters>) {
        if let Some(parameters) = agreed {
            self.state.start(parameters, R::IS_SERVER);
        }
    }
}

impl<W: Window> ServerRole for Deflate<Server, W> {}

impl<G: CryptoRng, W: Window> ClientRole for Deflate<Client<G>, W> {}

impl<G: CryptoRng, W: Window> sealed::ClientRole for Deflate<Client<G>, W> {
    fn connect<B: Buffer + ?Sized>(
        &mut self,
        connect: &Connect<'_>,
        outbox: &mut B,
    ) -> Result<Self::Opening<Negotiator>, OutboxFull> {
        connect.append(Negotiator::new(self.settings), &mut self.role.rng, outbox)
    }
}

impl<R, W: Window> Deflate<R, W> {
    fn new(role: R, config: &Config, settings: Settings, window: W) -> Self {
        let state = PerMessageDeflate::new(window);
        let settings = settings.limited_to(state.max_window_bits(), config.options.delivery());
        Self { role, settings, state }
    }
}

/// All state but the role, whose generator of masking keys is a secret.
impl<R, W> fmt::Debug for Deflate<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<W: Window> WebSocket<Deflate<Server, W>> {
    /// A server's end of a connection, before the client's request. If the client offers
    /// permessage-deflate, and one of its offers is within `settings`, [`accept`](Self::accept)
    /// agrees to it. [`Event::Open`](crate::Event::Open) says what is agreed.
    ///
    /// `window` is the memory for what received messages refer to. If it is smaller than the
    /// client's window, messages are received without context takeover, or, in pieces, without
    /// compression.
    #[must_use]
    #[doc(alias = "permessage-deflate")]
    pub fn deflate_server(config: Config, settings: Settings, window: W) -> Self {
        let role = Deflate::new(Server, &config, settings, window);
        let handshake = Handshake::head(ServerOpening::new(Negotiator::new(role.settings)));
        Self::connecting(role, config, handshake, Phase::Handshake)
    }

    /// Declines the offers of compression in the request that awaits its answer: call it before
    /// [`accept`](Self::accept).
    pub fn decline_deflate(&mut self) {
        self.decline();
    }
}

impl<G: CryptoRng, W: Window> WebSocket<Deflate<Client<G>, W>> {
    /// A client's end of a connection, before its request, which offers permessage-deflate.
    /// [`Event::Open`](crate::Event::Open) says what the server has agreed to.
    ///
    /// `window` is the memory for what received messages refer to. If it is smaller than 32 KiB,
    /// the server is asked for a smaller window, or for messages without context takeover.
    #[must_use]
    #[doc(alias = "permessage-deflate")]
    pub fn deflate_client(config: Config, rng: G, settings: Settings, window: W) -> Self {
        let role = Deflate::new(Client { rng }, &config, settings, window);
        Self::connecting(role, config, Handshake::AwaitsConnect, Phase::Off)
    }
}

impl<W: Window> WebSocket<Deflate<Established<Server>, W>> {
    /// A server's end of a connection whose opening handshake other software has done, with what
    /// [`negotiate`](super::negotiate) has returned: `None` if messages are not compressed.
    ///
    /// # Errors
    /// [`WindowTooSmall`]: `window` does not hold what the client's messages can refer to.
    pub fn open_deflate(
        config: Config,
        parameters: Option<Parameters>,
        window: W,
    ) -> Result<Self, WindowTooSmall> {
        let mut role = Deflate::new(Established { role: Server }, &config, Settings::client(), window);
        role.open(&config, parameters)?;
        Ok(Self::established(role, config))
    }
}

impl<G: CryptoRng, W: Window> WebSocket<Deflate<Established<Client<G>>, W>> {
    /// A client's end of a connection whose opening handshake other software has done, with what
    /// [`check`](super::check) has returned: `None` if messages are not compressed.
    ///
    /// # Errors
    /// [`WindowTooSmall`]: `window` does not hold what the server's messages can refer to.
    pub fn open_deflate(
        config: Config,
        rng: G,
        parameters: Option<Parameters>,
        window: W,
    ) -> Result<Self, WindowTooSmall> {
        let mut role =
            Deflate::new(Established { role: Client { rng } }, &config, Settings::client(), window);
        role.open(&config, parameters)?;
        Ok(Self::established(role, config))
    }
}

impl<R: Role, W: Window> Deflate<R, W> {
    fn open(&mut self, config: &Config, parameters: Option<Parameters>) -> Result<(), WindowTooSmall> {
        let Some(parameters) = parameters else { return Ok(()) };
        let (takeover, window_bits) = parameters.received_by(R::IS_SERVER);
        // Without context takeover, a whole message lies in the inbox with all that it refers to.
        let needs_window = takeover || config.options.delivery() == Delivery::Pieces;
        if needs_window && self.state.max_window_bits() < window_bits {
            return Err(WindowTooSmall { window_bits });
        }
        self.state.start(parameters, R::IS_SERVER);
        Ok(())
    }
}

/// The memory for received messages is smaller than the window that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WindowTooSmall {
    /// The window has 2^`window_bits` bytes.
    pub window_bits: u8,
}

impl fmt::Display for WindowTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the window needs 2^{} bytes of memory", self.window_bits)
    }
}

impl error::Error for WindowTooSmall {}

impl<R: Role> WebSocket<R> {
    /// Appends a message as one frame, after a Pong if one is pending: both or nothing. The message
    /// is compressed, unless that would make it longer, or the peer has not agreed to compression.
    ///
    /// With context takeover, a message of less than 1,024 bytes is compressed even if that makes
    /// it a few bytes longer, because later messages can refer to it.
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

    /// A server: notes that the caller writes a frame of [`encode`], made with windows of
    /// 2^`window_bits` bytes, to the stream now.
    ///
    /// # Errors
    /// [`SendError`]. The frame must not be written: send the message as it is. For a client it is
    /// always [`NotAgreed`](SendError::NotAgreed), because the frame is not masked.
    pub fn note_deflated(&mut self, window_bits: u8) -> Result<(), SendError> {
        self.sender.check_between_messages()?;
        match self.sender.role.sending() {
            Some(sending) if R::IS_SERVER && sending.window_bits() >= window_bits => {
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
    let mut alone = Sending::new(false, window_bits);
    let header = Header { fin: true, opcode: kind.into(), len: 0, key: None };
    if payload.is_empty()
        || !header.append_written(true, size, outbox, |out| alone.compress_message(payload, compressor, out))
    {
        frame::append_message(kind, payload, None, outbox);
    }
    Ok(())
}
