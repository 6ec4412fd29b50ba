//! Parts of messages to messages or pieces: assembly in the inbox, and text that is UTF-8 (RFC 6455 sections 5.4, 5.6, 8.1).

use crate::data::Kind;
use crate::event::Data;
use crate::mask::{self, MaskingKey};
use crate::utf8::{self, Unfinished};
use crate::{Buffer, Delivery, ProtocolError};

/// A message in progress: its first frame's header is complete, its last frame is not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming {
    pub(crate) kind: Kind,
    pub(crate) empty_fragments: u16,
    /// The lengths of its frames so far.
    pub(crate) len: u64,
    /// The character that its last part left unfinished.
    unfinished: Unfinished,
    /// Whether a part of it has been delivered or collected.
    begun: bool,
}

/// A part of a data frame's payload, as one slice of the input brings it.
#[derive(Debug)]
pub(crate) struct Part<'i> {
    /// Still masked. It may be empty.
    pub(crate) payload: &'i mut [u8],
    /// The masking key, rotated to its first byte.
    pub(crate) key: Option<MaskingKey>,
    /// Whether the message ends with it.
    pub(crate) last: bool,
}

impl Part<'_> {
    fn unmask(&mut self) {
        if let Some(key) = self.key {
            mask::xor(self.payload, key);
        }
    }
}

impl Incoming {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, empty_fragments: 0, len: 0, unfinished: Unfinished::default(), begun: false }
    }

    /// Takes a part: what can be delivered with it, and how many bytes of the part are ahead of that.
    ///
    /// All state changes here. Delivering only turns bytes into text, and may find that they are none; text that is collected
    /// is validated here, before it goes into the inbox.
    #[inline]
    pub(crate) fn take<B: Buffer + ?Sized>(
        &mut self,
        part: Part<'_>,
        delivery: Delivery,
        inbox: &mut B,
    ) -> Result<Option<(Data, usize)>, ProtocolError> {
        if part.payload.is_empty() && !part.last {
            return Ok(None);
        }
        match delivery {
            Delivery::Whole => Ok(self.collect(part, inbox)?.map(|data| (data, 0))),
            Delivery::Pieces => self.piece(part),
        }
    }

    /// A part of a message that is delivered whole: nothing, until the last part.
    fn collect<B: Buffer + ?Sized>(
        &mut self,
        mut part: Part<'_>,
        inbox: &mut B,
    ) -> Result<Option<Data>, ProtocolError> {
        let first = self.begin();
        if first && part.last {
            part.unmask();
            return Ok(Some(Data::InPlace(self.kind)));
        }
        if first {
            // It may hold a head, an earlier message, or whatever the caller left there.
            inbox.clear();
        }
        match (self.kind, part.key) {
            (Kind::Binary, _) if part.payload.len() > inbox.remaining() => {
                return Err(ProtocolError::MessageTooBig);
            }
            // Unmasked while it is copied: one pass.
            (Kind::Binary, Some(key)) => inbox.append_masked(part.payload, key),
            (Kind::Binary, None) => inbox.append(part.payload),
            (Kind::Text, _) => {
                part.unmask();
                if let Some((lead, start, tail)) = self.split_text(part.payload, part.last)? {
                    if let Some(lead) = lead {
                        append_text(lead.encode_utf8(&mut [0; 4]), inbox)?;
                    }
                    let text = part.payload.get(start..part.payload.len() - tail).unwrap_or_default();
                    append_text(utf8::validate(text).ok_or(ProtocolError::InvalidUtf8)?, inbox)?;
                }
            }
        }
        Ok(part.last.then_some(Data::Collected(self.kind)))
    }

    /// A part of a message that is delivered in pieces: a piece, unless it is empty or no more than a part of a character.
    fn piece(&mut self, mut part: Part<'_>) -> Result<Option<(Data, usize)>, ProtocolError> {
        let (kind, last) = (self.kind, part.last);
        part.unmask();
        let (lead, start, tail) = match kind {
            Kind::Binary => (None, 0, 0),
            Kind::Text => match self.split_text(part.payload, last)? {
                Some(split) => split,
                None => return Ok(None),
            },
        };
        if !last && lead.is_none() && start + tail == part.payload.len() {
            return Ok(None);
        }
        Ok(Some((Data::Piece { kind, lead, tail: tail as u8, first: self.begin(), last }, start)))
    }

    /// Splits a part of a text at its characters: the one that it finishes, where the next begins, and how many bytes of an
    /// unfinished one are at its end, which are stored. `None` where the part lies within one character.
    ///
    /// Nothing follows the last part: an unfinished character at its end is left to validation, which finds it invalid.
    fn split_text(
        &mut self,
        payload: &[u8],
        last: bool,
    ) -> Result<Option<(Option<char>, usize, usize)>, ProtocolError> {
        let (start, lead) = self.unfinished.finish(payload).ok_or(ProtocolError::InvalidUtf8)?;
        match (self.unfinished.is_empty(), last) {
            (false, true) => Err(ProtocolError::InvalidUtf8),
            (false, false) => Ok(None),
            (true, true) => Ok(Some((lead, start, 0))),
            (true, false) => {
                let tail = self.unfinished.store(payload.get(start..).unwrap_or_default());
                Ok(Some((lead, start, tail)))
            }
        }
    }

    /// Notes that a part is delivered or collected: whether it is the first.
    fn begin(&mut self) -> bool {
        !core::mem::replace(&mut self.begun, true)
    }
}

/// The header's limit is the inbox's capacity; the caller may have handed in a smaller inbox since.
fn append_text<B: Buffer + ?Sized>(text: &str, inbox: &mut B) -> Result<(), ProtocolError> {
    if text.len() > inbox.remaining() {
        return Err(ProtocolError::MessageTooBig);
    }
    inbox.append_text(text);
    Ok(())
}
