//! The state of permessage-deflate in a connection, and received messages that are compressed (RFC
//! 7692 sections 6.2 and 7.2.2).

use super::{Deflate, Inflater, Parameters, Sending, Status, Window};
use crate::event::Data;
use crate::extension::Extension;
use crate::frame::mask::{self, Mask};
use crate::message::{Incoming, Inflated, PayloadPart};
use crate::receiver::Rules;
use crate::{Buffer, Delivery, ProtocolError};
use core::fmt;

/// The state of the role [`Deflate`](super::Deflate).
#[derive(Clone)]
pub(crate) struct PerMessageDeflate<W> {
    inflater: Inflater<W>,
    /// What the endpoints have agreed on, by direction. `None`: messages are not compressed.
    agreed: Option<Agreed>,
    /// How much of the message in progress is inflated, in bytes.
    len: u64,
    /// The inbox was full before all that has been received was inflated.
    has_output: bool,
    /// The error that follows the piece that was returned last.
    error: Option<ProtocolError>,
    sending: Sending,
}

#[derive(Clone, Copy, Debug)]
struct Agreed {
    receives_takeover: bool,
    receive_window_bits: u8,
}

/// The number of bytes that the inbox grows by at least. Some buffers fill what they grow by, byte
/// by byte.
const MIN_GROWTH: usize = if cfg!(target_pointer_width = "64") { 1024 } else { 128 };

/// The largest piece, in bytes, if the inbox has no fixed capacity.
const MAX_PIECE: usize = 16 << 10;

/// How many bytes of the input are unmasked at once to be inflated into a piece. They are copied,
/// because those that are not taken stay masked in the input.
const BLOCK: usize = 64;

impl<W: Window> PerMessageDeflate<W> {
    pub(crate) const fn new(window: W) -> Self {
        Self {
            inflater: Inflater::new(window),
            agreed: None,
            len: 0,
            has_output: false,
            error: None,
            sending: Sending::new(false, 0),
        }
    }

    pub(crate) fn max_window_bits(&self) -> u8 {
        self.inflater.max_window_bits()
    }

    /// Begins with these parameters.
    pub(crate) fn start(&mut self, parameters: Parameters, is_server: bool) {
        let (receives_takeover, receive_window_bits) = parameters.received_by(is_server);
        self.agreed = Some(Agreed { receives_takeover, receive_window_bits });
        let (takeover, window_bits) = parameters.received_by(!is_server);
        self.sending = Sending::new(takeover, window_bits);
    }

    /// Inflates a part into the inbox, behind what it holds of the message.
    fn collect<B: Buffer + ?Sized>(
        &mut self,
        message: &mut Incoming,
        part: PayloadPart<'_>,
        max_len: u64,
        agreed: Agreed,
        inbox: &mut B,
    ) -> Result<Inflated, ProtocolError> {
        let PayloadPart { payload, key, last } = part;
        if let Some(key) = key {
            mask::xor(payload, key);
        }
        if !message.begun {
            // It may hold a head, an earlier message, or anything of the caller's.
            inbox.clear();
            message.begun = true;
        }
        let max_len = usize::try_from(max_len).unwrap_or(usize::MAX);
        let mut input = &*payload;
        let mut growth = payload.len().saturating_mul(4).max(MIN_GROWTH);
        loop {
            let mut len = inbox.bytes().len();
            let remaining = max_len.saturating_sub(len).min(inbox.remaining());
            if !inbox.grow(remaining.min(growth)) {
                return Err(ProtocolError::MessageTooBig);
            }
            let status =
                self.inflate_part(agreed.receive_window_bits, &mut input, last, inbox.bytes_mut(), &mut len);
            inbox.truncate(len);
            match status {
                Status::InputUsed => break,
                Status::OutputFull if growth >= remaining => return Err(ProtocolError::MessageTooBig),
                Status::OutputFull => growth = growth.saturating_mul(2),
                Status::Invalid => return Err(ProtocolError::InvalidDeflate),
            }
        }
        if last && agreed.receives_takeover {
            self.inflater.remember(inbox.bytes(), agreed.receive_window_bits);
        }
        let data = last.then_some(Data::Collected(message.kind));
        Ok(Inflated { taken: payload.len(), data, start: None, is_complete: true })
    }

    /// Inflates as much of a part as fits into the inbox: a piece of the message.
    fn piece<B: Buffer + ?Sized>(
        &mut self,
        message: &mut Incoming,
        part: PayloadPart<'_>,
        max_len: u64,
        agreed: Agreed,
        inbox: &mut B,
    ) -> Result<Inflated, ProtocolError> {
        let PayloadPart { payload, key, last } = part;
        inbox.clear();
        let remaining = max_len.saturating_sub(self.len);
        let size = inbox.remaining().min(MAX_PIECE).min(usize::try_from(remaining).unwrap_or(usize::MAX));
        if !inbox.grow(size) {
            return Err(ProtocolError::MessageTooBig);
        }
        let mut mask = Mask::new(key.unwrap_or_default());
        let (mut taken, mut len) = (0, 0);
        let status = loop {
            let rest = payload.get(taken..).unwrap_or_default();
            let mut block = [0; BLOCK];
            let rest = rest.get(..BLOCK).unwrap_or(rest);
            let block = block.get_mut(..rest.len()).unwrap_or_default();
            mask::copy(rest, mask.key(), block);
            let mut input = &*block;
            let is_last = last && taken + rest.len() == payload.len();
            let status = self.inflate_part(
                agreed.receive_window_bits,
                &mut input,
                is_last,
                inbox.bytes_mut(),
                &mut len,
            );
            let used = rest.len() - input.len();
            taken += used;
            mask.advance(used);
            if status != Status::InputUsed || taken == payload.len() {
                break status;
            }
        };
        inbox.truncate(len);
        // Before it is lent to the caller, who may change it.
        self.inflater.remember(inbox.bytes(), agreed.receive_window_bits);
        self.len = self.len.saturating_add(len as u64);
        self.error = match status {
            Status::Invalid => Some(ProtocolError::InvalidDeflate),
            Status::OutputFull if size as u64 == remaining || size == 0 => Some(ProtocolError::MessageTooBig),
            _ => None,
        };
        self.has_output = status == Status::OutputFull;
        let is_complete = status == Status::InputUsed;
        let part = PayloadPart { payload: inbox.bytes_mut(), key: None, last: last && is_complete };
        let mut start = 0;
        let data = message.take(part, Delivery::Pieces, &mut start, &mut heapless::Vec::<u8, 0>::new())?;
        if last && is_complete {
            self.len = 0;
            if !agreed.receives_takeover {
                self.inflater.forget();
            }
        }
        let data = match (data, self.error) {
            (Some(Data::Piece(piece)), _) => Some(Data::Piece(piece)),
            (_, Some(error)) => return Err(error),
            _ => None,
        };
        Ok(Inflated { taken, data, start: Some(start), is_complete })
    }

    /// Inflates `input`, and after the last part of a message what its sender has cut off.
    fn inflate_part(
        &mut self,
        window_bits: u8,
        input: &mut &[u8],
        last: bool,
        out: &mut [u8],
        len: &mut usize,
    ) -> Status {
        match self.inflater.inflate(window_bits, input, out, len) {
            Status::InputUsed if last => self.inflater.finish(window_bits, out, len),
            status => status,
        }
    }
}

impl<R, W: Window> Extension for Deflate<R, W> {
    const COMPRESSES: bool = true;

    fn is_agreed(&self) -> bool {
        self.state.agreed.is_some()
    }

    fn has_output(&self) -> bool {
        self.state.has_output
    }

    fn inflate<B: Buffer + ?Sized>(
        &mut self,
        message: &mut Incoming,
        part: PayloadPart<'_>,
        rules: &Rules<'_>,
        inbox: &mut B,
    ) -> Result<Inflated, ProtocolError> {
        let Some(agreed) = self.state.agreed else { return Err(ProtocolError::ReservedBits) };
        match rules.config.options.delivery() {
            Delivery::Whole => self.state.collect(message, part, rules.max_message(), agreed, inbox),
            Delivery::Pieces => self.state.piece(message, part, rules.max_message(), agreed, inbox),
        }
    }

    fn is_failing(&self) -> bool {
        self.state.error.is_some()
    }

    fn error(&self) -> ProtocolError {
        self.state.error.unwrap_or(ProtocolError::InvalidUtf8)
    }

    fn note_invalid_text(&mut self) {
        self.state.error = None;
    }

    fn parameters(&self, is_server: bool) -> Option<Parameters> {
        let Agreed { receives_takeover, receive_window_bits } = self.state.agreed?;
        let sending = self.state.sending;
        let sends = (sending.takeover(), sending.window_bits());
        let receives = (receives_takeover, receive_window_bits);
        let (server, client) = if is_server { (sends, receives) } else { (receives, sends) };
        Some(Parameters {
            server_takeover: server.0,
            client_takeover: client.0,
            server_window_bits: server.1,
            client_window_bits: client.1,
        })
    }

    fn sending(&mut self) -> Option<&mut Sending> {
        if self.is_agreed() { Some(&mut self.state.sending) } else { None }
    }
}

/// Hides the window, which holds received messages.
impl<W> fmt::Debug for PerMessageDeflate<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerMessageDeflate")
            .field("agreed", &self.agreed)
            .field("len", &self.len)
            .field("sending", &self.sending)
            .finish_non_exhaustive()
    }
}
