//! Parts of a message to whole messages or pieces: assembly in the inbox, and text that is UTF-8
//! (RFC 6455 sections 5.4, 5.6, 8.1).

use crate::ProtocolError::{self, InvalidUtf8, MessageTooBig};
use crate::data::Kind;
use crate::event::{Data, FoundPiece};
use crate::frame::mask::{self, MaskingKey};
use crate::utf8::{self, Unfinished};
use crate::{Buffer, Delivery};

/// A message in progress: its first frame has begun, and its last frame is not complete.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    pub(crate) kind: Kind,
    /// Whether its payload is compressed: RSV1 of its first frame (RFC 7692 section 6).
    pub(crate) compressed: bool,
    pub(crate) empty_fragments: u16,
    /// The sum of the lengths of its frames so far.
    pub(crate) len: u64,
    /// The character that the part before left unfinished.
    unfinished: Unfinished,
    /// Whether a part of it has been delivered or collected.
    pub(crate) begun: bool,
}

/// A part of a data frame's payload: what one slice of the input holds of it. It is empty only at
/// the end of a frame.
#[derive(Debug)]
pub struct PayloadPart<'i> {
    /// Still masked.
    pub(crate) payload: &'i mut [u8],
    /// The masking key, rotated to the first byte; `None` if the peer does not mask.
    pub(crate) key: Option<MaskingKey>,
    /// Whether the message ends with this part.
    pub(crate) last: bool,
}

/// What was inflated of a part.
#[derive(Debug)]
pub struct Inflated {
    /// The number of bytes of the part that are used up.
    pub(crate) taken: usize,
    pub(crate) data: Option<Data>,
    /// Where a piece begins in the inbox.
    pub(crate) start: Option<usize>,
    /// Whether all that the part stands for is inflated.
    pub(crate) is_complete: bool,
}

impl Incoming {
    pub(crate) const fn new(kind: Kind, compressed: bool) -> Self {
        Self { kind, compressed, empty_fragments: 0, len: 0, unfinished: Unfinished::new(), begun: false }
    }

    /// Takes a part, and returns what can be delivered now. `start` is where the part begins in the
    /// input; it moves past the bytes that complete a character. A message that is delivered whole
    /// goes through the inbox, unless it is one part.
    ///
    /// Text is validated here where it goes into the inbox. Text that is delivered from the input
    /// is validated by `WebSocket::piece` or `message_in_place`, which make the `&str`.
    // Inlined for stack use: benches/README.md, "Outlined functions".
    #[inline(always)]
    pub(crate) fn take<B: Buffer + ?Sized>(
        &mut self,
        PayloadPart { payload, key, last }: PayloadPart<'_>,
        delivery: Delivery,
        start: &mut usize,
        inbox: &mut B,
    ) -> Result<Option<Data>, ProtocolError> {
        if payload.is_empty() && !last {
            return Ok(None);
        }
        let (kind, first) = (self.kind, !self.begun);
        let collects = delivery == Delivery::Whole && !(first && last);
        if collects && first {
            // It may hold a head, an earlier message, or anything of the caller's.
            inbox.clear();
        }
        let collected = last.then_some(Data::Collected(kind));
        if collects && kind == Kind::Binary {
            self.begun = true;
            if payload.len() > inbox.remaining() {
                return Err(MessageTooBig);
            }
            match key {
                // One pass for the copy and the masking.
                Some(key) => inbox.append_masked(payload, key),
                None => inbox.append(payload),
            }
            return Ok(collected);
        }
        if let Some(key) = key {
            mask::xor(payload, key);
        }
        if delivery == Delivery::Whole && !collects {
            return Ok(Some(Data::InPlace(kind)));
        }
        let (mut lead, mut tail) = (None, 0);
        if kind == Kind::Text {
            // The character that an earlier part began, the text, and a character that a later part must
            // complete.
            let (taken, character) = self.unfinished.finish(payload).ok_or(InvalidUtf8)?;
            let rest = payload.get(taken..).unwrap_or_default();
            if collects {
                append_text(character, inbox)?;
            }
            lead = character.chars().next();
            *start += taken;
            let text = match self.unfinished.is_empty() {
                // After the last part nothing completes a character: validation fails on it.
                true if last => rest,
                true => self.unfinished.split_off(rest),
                false if last => return Err(InvalidUtf8),
                false => &[],
            };
            if collects {
                self.begun = true;
                append_text(utf8::validate(text).ok_or(InvalidUtf8)?, inbox)?;
                return Ok(collected);
            }
            if text.is_empty() && lead.is_none() && !last {
                return Ok(None);
            }
            tail = rest.len() - text.len();
        }
        self.begun = true;
        Ok(Some(Data::Piece(FoundPiece { kind, lead, tail: tail as u8, first, last })))
    }
}

/// Appends text to the inbox. The message's length was checked against the inbox, but the caller
/// may pass a smaller one later.
fn append_text<B: Buffer + ?Sized>(text: &str, inbox: &mut B) -> Result<(), ProtocolError> {
    if text.len() > inbox.remaining() {
        return Err(MessageTooBig);
    }
    inbox.append_text(text);
    Ok(())
}
