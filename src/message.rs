//! Parts of messages to messages: assembly in the inbox, and text that is UTF-8 (RFC 6455 sections 5.4, 5.6, 8.1).

use crate::data::Kind;
use crate::event::What;
use crate::inbound::Part;
use crate::utf8::{self, Unfinished};
use crate::{Buffer, ProtocolError};

/// What is kept of the message between one part and the next, beside the inbox.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// The character that the last part of a text left unfinished.
    unfinished: Unfinished,
    /// A piece of the message has been lent.
    begun: bool,
}

impl Assembly {
    /// What becomes of a part where messages are delivered whole: nothing, until the last part.
    pub(crate) fn collect<B: Buffer + ?Sized>(
        &mut self,
        part: Part,
        payload: &mut [u8],
        inbox: &mut B,
    ) -> Result<Option<What>, ProtocolError> {
        let Part { kind, start, key, first, last } = part;
        if first && last {
            part.unmask(payload);
            // Text is validated where it turns into a `&str`: in `event`.
            return Ok(Some(What::Message { kind, start }));
        }
        if first {
            // It may hold a head, a message that was lent, or whatever the caller left there.
            inbox.clear();
        }
        match kind {
            Kind::Binary if payload.len() > inbox.room() => return Err(ProtocolError::MessageTooBig),
            // Unmasked on the way: one pass.
            Kind::Binary => match key {
                Some(key) => inbox.append_masked(payload, key),
                None => inbox.append(payload),
            },
            Kind::Text => {
                part.unmask(payload);
                self.append_text(payload, last, inbox)?;
            }
        }
        Ok(last.then_some(What::Collected(kind)))
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
        let (taken, lead) = self.finish(payload)?;
        if let Some(lead) = lead {
            append(lead.encode_utf8(&mut [0; 4]))?;
        }
        if !self.unfinished.is_empty() {
            return self.end(last);
        }
        let rest = payload.get(taken..).unwrap_or_default();
        append(self.validate(rest, last).map_err(|_| ProtocolError::InvalidUtf8)?)
    }

    /// What becomes of a part where messages are delivered in pieces: a piece, unless all of it is no more than the
    /// beginning of a character.
    pub(crate) fn piece(&mut self, part: Part, payload: &mut [u8]) -> Result<Option<What>, ProtocolError> {
        part.unmask(payload);
        let Part { kind, start, last, .. } = part;
        let (taken, lead) = match kind {
            Kind::Binary => (0, None),
            Kind::Text => self.finish(payload)?,
        };
        if kind == Kind::Text && lead.is_none() {
            let rest = payload.get(taken..).unwrap_or_default();
            if !self.unfinished.is_empty() || self.unfinished.is_all_of(rest) {
                return self.end(last).map(|()| None);
            }
        }
        let first = !core::mem::replace(&mut self.begun, !last);
        Ok(Some(What::Piece { kind, start: start + taken, lead, first, last }))
    }

    /// The text that `octets` are, up to the character that they leave unfinished; on failure, the text before the
    /// octet that is wrong, or before the character that the message must not end in.
    pub(crate) fn validate<'o>(&mut self, octets: &'o [u8], last: bool) -> Result<&'o str, &'o str> {
        let text = utf8::validate(self.unfinished.split_off(octets))?;
        self.end(last).map(|()| text).map_err(|_| text)
    }

    /// Goes on with the unfinished character.
    fn finish(&mut self, payload: &[u8]) -> Result<(usize, Option<char>), ProtocolError> {
        self.unfinished.finish(payload).map_err(|_| ProtocolError::InvalidUtf8)
    }

    /// A message must not end inside a character.
    fn end(&self, last: bool) -> Result<(), ProtocolError> {
        if last && !self.unfinished.is_empty() { Err(ProtocolError::InvalidUtf8) } else { Ok(()) }
    }
}
