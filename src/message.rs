//! Parts of messages to messages: assembly in the inbox, and text that is UTF-8 (RFC 6455 sections 5.4, 5.6, 8.1).

use crate::data::Kind;
use crate::event::What;
use crate::inbound::Part;
use crate::utf8::Unfinished;
use crate::{Buffer, ProtocolError};

/// What is kept of the message between one part and the next, beside the inbox.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// The character that the last part of a text left unfinished.
    unfinished: Unfinished,
    /// A part of the message has been delivered, or kept to be.
    begun: bool,
}

impl Assembly {
    /// What becomes of a part where messages are delivered whole: nothing, until the last part.
    pub(crate) fn collect<B: Buffer + ?Sized>(
        &mut self,
        mut part: Part<'_>,
        inbox: &mut B,
    ) -> Result<Option<What>, ProtocolError> {
        let Some(kind) = part.kind else { return Ok(None) };
        let first = self.begin(part.last);
        if first && part.last {
            part.unmask();
            // Text is validated where it turns into a `&str`: in `event`.
            return Ok(Some(What::Message(kind)));
        }
        if first {
            // It may hold a head, a message that was lent, or whatever the caller left there.
            inbox.clear();
        }
        match kind {
            Kind::Binary if part.payload.len() > inbox.room() => return Err(ProtocolError::MessageTooBig),
            // Unmasked on the way: one pass.
            Kind::Binary => match part.key {
                Some(key) => inbox.append_masked(part.payload, key),
                None => inbox.append(part.payload),
            },
            Kind::Text => {
                part.unmask();
                self.append_text(part.payload, part.last, inbox)?;
            }
        }
        Ok(part.last.then_some(What::Collected(kind)))
    }

    fn append_text<B: Buffer + ?Sized>(
        &mut self,
        payload: &[u8],
        last: bool,
        inbox: &mut B,
    ) -> Result<(), ProtocolError> {
        let mut append = |text: &str| {
            // The limit was judged by the inbox's capacity; the caller may have handed in a smaller one since.
            if text.len() > inbox.room() {
                return Err(ProtocolError::MessageTooBig);
            }
            inbox.append_text(text);
            Ok(())
        };
        let taken = self.unfinished.finish(payload).ok_or(ProtocolError::InvalidUtf8)?;
        if taken > 0 {
            append(self.unfinished.finished())?;
        }
        if self.unfinished.is_empty() {
            let rest = payload.get(usize::from(taken)..).unwrap_or_default();
            append(self.unfinished.split_off(rest).ok_or(ProtocolError::InvalidUtf8)?)?;
        }
        self.end(last)
    }

    /// What becomes of a part where messages are delivered in pieces: a piece, unless it is empty, or no more than the
    /// beginning of a character.
    pub(crate) fn piece(&mut self, mut part: Part<'_>) -> Result<Option<What>, ProtocolError> {
        part.unmask();
        let Part { payload, kind, last, .. } = part;
        let Some(kind) = kind else { return Ok(None) };
        let taken = match kind {
            Kind::Binary => 0,
            Kind::Text => self.unfinished.finish(payload).ok_or(ProtocolError::InvalidUtf8)?,
        };
        let begins_text = kind == Kind::Text && taken == 0;
        if begins_text && (!self.unfinished.is_empty() || self.unfinished.is_all_of(payload)) {
            return self.end(last).map(|()| None);
        }
        let first = self.begin(last);
        Ok(Some(What::Piece { kind, taken, first, last }))
    }

    /// Notes that a part is delivered, or kept to be: whether the message begins with it.
    fn begin(&mut self, last: bool) -> bool {
        !core::mem::replace(&mut self.begun, !last)
    }

    /// The character that the part which was lent last has finished.
    pub(crate) fn lead(&self) -> Option<char> {
        self.unfinished.finished().chars().next()
    }

    /// The text of a piece, up to the character that it leaves unfinished.
    pub(crate) fn text<'o>(&mut self, octets: &'o [u8], last: bool) -> Option<&'o str> {
        let text = self.unfinished.split_off(octets)?;
        self.end(last).ok().map(|()| text)
    }

    /// A message must not end inside a character.
    fn end(&self, last: bool) -> Result<(), ProtocolError> {
        if last && !self.unfinished.is_empty() { Err(ProtocolError::InvalidUtf8) } else { Ok(()) }
    }
}
