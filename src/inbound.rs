//! What is received: bytes to parts of messages and to control frames, with the rules of fragmentation
//! (RFC 6455 sections 5.2 to 5.5 and 10.4).

use crate::data::{ControlPayload, Kind};
use crate::frame::{self, Incoming, Opcode, Plain, Read};
use crate::mask::{self, MaskingKey};
use crate::{Buffer, Config, Delivery, ProtocolError};
use core::ops::Range;

/// The receiving half of an open connection.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    place: Place,
    /// The payload of the last control frame, as far as it has come.
    pub(crate) control: ControlPayload,
    /// What comes does not matter any more.
    over: bool,
}

/// Where in the frames, and in their messages, the next octet belongs.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The frame that is under way: its header as far as it has come, then how much of its payload is to come.
    frame: Incoming,
    /// The kind of the message whose last frame is not complete.
    kind: Option<Kind>,
    empty_fragments: u16,
    /// The lengths of the message's frames so far.
    len: u64,
}

/// What frames are judged by.
pub(crate) struct Rules<'c> {
    /// Whether the peer masks: exactly the client does.
    pub(crate) masked: bool,
    /// The longest message that the inbox can take.
    limit: u64,
    config: &'c Config,
}

impl<'c> Rules<'c> {
    /// A whole message has to fit into the inbox too, wherever it will lie: so the way that the stream is cut changes
    /// nothing.
    #[inline]
    pub(crate) fn new<B: Buffer + ?Sized>(masked: bool, config: &'c Config, inbox: &B) -> Self {
        let limit = match config.delivery {
            Delivery::Pieces => u64::MAX,
            Delivery::Whole => inbox.limit() as u64,
        };
        Self { masked, limit, config }
    }

    #[inline]
    const fn is_message_too_big(&self, len: u64) -> bool {
        len > self.limit || len > self.config.max_message
    }

    /// Whether a message in one frame is too long.
    #[inline(always)]
    const fn is_frame_too_big(&self, len: usize) -> bool {
        let len = len as u64;
        self.is_message_too_big(len) || len > self.config.max_frame
    }
}

/// A part of a frame's payload, as one slice of the input brings it.
#[derive(Debug)]
pub(crate) struct Part<'i> {
    pub(crate) opcode: Opcode,
    /// The kind of its message; `None` for a part of a control frame, which is in [`Inbound::control`].
    pub(crate) kind: Option<Kind>,
    /// Still masked, but for a control frame's. It may be empty.
    pub(crate) payload: &'i mut [u8],
    /// What it is masked with, from its first octet on.
    pub(crate) key: Option<MaskingKey>,
    /// Whether the message, or the control frame, ends with it.
    pub(crate) last: bool,
}

impl Part<'_> {
    /// Unmasks it in place.
    #[inline(always)]
    pub(crate) fn unmask(&mut self) {
        unmask(self.payload, self.key);
    }
}

/// Unmasks octets in place, where they are masked.
#[inline(always)]
fn unmask(octets: &mut [u8], key: Option<MaskingKey>) {
    if let Some(key) = key {
        mask::xor(octets, key);
    }
}

/// The short way, for what most messages are: one frame that lies whole in the input, with a length of at most 16 bits. It
/// leaves no trace. Its kind, and where its payload lies, unmasked. Everything else, faults included, is left to
/// [`Inbound::next`].
#[inline(always)]
pub(crate) fn whole(input: &mut [u8], rules: &Rules<'_>) -> Option<(Kind, Range<usize>)> {
    let Plain { kind, key, start, len } = frame::plain(input, rules.masked)?;
    let payload = input.get_mut(start..)?.get_mut(..len)?;
    if rules.is_frame_too_big(len) {
        return None;
    }
    unmask(payload, key);
    Some((kind, start..start + len))
}

impl Inbound {
    /// Whether the next octet begins a frame, and that frame no fragment of a message that has begun.
    pub(crate) fn is_between(&self) -> bool {
        !self.over && self.place.frame.is_new() && self.place.kind.is_none()
    }

    /// Nothing more is looked at. The last control frame's payload may still be asked for.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// How many octets behind `input` belong to the frame that is under way, or that `input` begins with; where not even
    /// its header is complete, how many at least. 0 where the frame does not reach beyond `input`, or breaks a rule.
    pub(crate) fn missing(&self, input: &[u8], rules: &Rules<'_>) -> u64 {
        // The short way, for the same frames as `whole`.
        if self.is_between()
            && let Some(Plain { start, len, .. }) = frame::plain(input, rules.masked)
            && !rules.is_frame_too_big(len)
        {
            return (len as u64).saturating_sub((input.len() - start) as u64);
        }
        let (mut place, mut rest) = (self.place.clone(), input);
        // What has come of a header is not in the input any more.
        if self.over || !(place.frame.is_new() || place.frame.is_complete(rules.masked)) {
            return 0;
        }
        while !place.frame.is_complete(rules.masked) {
            let [octet, after @ ..] = rest else { return place.frame.missing(rules.masked) };
            if place.judge(*octet, rules).is_err() {
                return 0;
            }
            rest = after;
        }
        place.frame.len.saturating_sub(rest.len() as u64)
    }

    /// Goes on from the end of `at` in `input` to the next part of a frame's payload, which is there then. `None` once the
    /// input is used up.
    ///
    /// A header is judged octet by octet: an error is found on the octet that makes it.
    // Its result, returned through memory, is read back in other widths than it was written in, and waits: 40 ns. (A 32-bit
    // core does not, and saves the stack.)
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn next<'i>(
        &mut self,
        input: &'i mut [u8],
        at: &mut Range<usize>,
        rules: &Rules<'_>,
    ) -> Result<Option<Part<'i>>, ProtocolError> {
        if self.over {
            return Ok(None);
        }
        let place = &mut self.place;
        while !place.frame.is_complete(rules.masked) {
            let Some(octet) = input.get(at.end) else { return Ok(None) };
            at.end += 1;
            place.judge(*octet, rules)?;
            // What the last control frame carried has been told.
            self.control.clear();
        }
        let frame = &mut place.frame;
        at.start = at.end;
        let rest = input.get_mut(at.start..).unwrap_or_default();
        let count = usize::try_from(frame.len).unwrap_or(usize::MAX).min(rest.len());
        let payload = rest.get_mut(..count).unwrap_or_default();
        let key = rules.masked.then(|| frame.mask.key());
        frame.mask.advance(count);
        frame.len -= count as u64;
        at.end += count;
        let done = frame.len == 0;
        let (opcode, fin) = (frame.opcode, frame.fin);
        if done {
            *frame = Incoming::default();
        }
        if opcode.is_control() {
            unmask(payload, key);
            // Its length was judged: it fits.
            let _ = self.control.extend_from_slice(payload);
            return Ok(Some(Part { opcode, kind: None, payload, key, last: done }));
        }
        let (kind, last) = (place.kind, done && fin);
        if last {
            (place.kind, place.empty_fragments, place.len) = (None, 0, 0);
        }
        Ok(Some(Part { opcode, kind, payload, key, last }))
    }
}

impl Place {
    /// Takes the next octet of a frame's header. Each rule is applied as soon as the octet that it is about is there.
    // In line, the state would be kept on the stack: more flash, for one call a header octet.
    #[inline(never)]
    fn judge(&mut self, octet: u8, rules: &Rules<'_>) -> Result<(), ProtocolError> {
        let read = self.frame.read(octet, rules.masked)?;
        let Incoming { opcode, fin, len, .. } = self.frame;
        match read {
            Read::Opcode => match (opcode, self.kind) {
                (Opcode::Continuation, None) => return Err(ProtocolError::NothingToContinue),
                (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::MessageInsideMessage),
                (Opcode::Text, None) => self.kind = Some(Kind::Text),
                (Opcode::Binary, None) => self.kind = Some(Kind::Binary),
                _ => {}
            },
            Read::Length if opcode.is_control() => {
                if opcode == Opcode::Close && len == 1 {
                    return Err(ProtocolError::CloseOfOneOctet);
                }
            }
            Read::Length => {
                if len > rules.config.max_frame {
                    return Err(ProtocolError::FrameTooBig);
                }
                self.len = self.len.saturating_add(len);
                if rules.is_message_too_big(self.len) {
                    return Err(ProtocolError::MessageTooBig);
                }
                if len == 0 && !fin {
                    if self.empty_fragments >= rules.config.max_empty_fragments {
                        return Err(ProtocolError::TooManyEmptyFragments);
                    }
                    self.empty_fragments += 1;
                }
            }
            Read::Other => {}
        }
        Ok(())
    }
}
