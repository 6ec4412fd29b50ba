//! What is received: bytes to parts of messages and to control frames, with the rules of fragmentation
//! (RFC 6455 sections 5.2 to 5.5 and 10.4).

use crate::data::{ControlPayload, Kind};
use crate::frame::{self, Header, MAX_CONTROL, MAX_HEADER, Opcode};
use crate::mask::{self, Mask, MaskingKey};
use crate::{Buffer, Config, Delivery, ProtocolError};
use core::ops::Range;

/// The receiving half of an open connection.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    frame: Frame,
    /// The message whose last frame has not begun, or is not complete.
    message: Option<Progress>,
    /// The payload of the last control frame, as far as it has come.
    pub(crate) control: ControlPayload,
}

/// Where in a frame the next octet belongs.
#[derive(Debug)]
enum Frame {
    /// In the header, of which these octets have come. (Payload behind a short header may be among them: it is read again
    /// from the input.)
    Header { octets: [u8; MAX_HEADER], len: u8 },
    /// In the payload, of which `left` octets are to come.
    Payload { left: u64, mask: Option<Mask>, opcode: Opcode, fin: bool },
    /// In none: what comes does not matter any more.
    Over,
}

impl Default for Frame {
    fn default() -> Self {
        Self::Header { octets: [0; MAX_HEADER], len: 0 }
    }
}

/// A message of which not all has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    kind: Kind,
    /// Whether any part of it has been handed out.
    started: bool,
    empty_fragments: u16,
    /// The lengths of its frames so far.
    len: u64,
}

/// What frames are judged by.
pub(crate) struct Rules<'c> {
    /// Whether the peer masks: exactly the client does.
    pub(crate) masked: bool,
    /// The longest message.
    pub(crate) max_message: u64,
    pub(crate) config: &'c Config,
}

impl<'c> Rules<'c> {
    /// A whole message has to fit into the inbox too, wherever it will lie: so the way that the stream is cut changes
    /// nothing.
    #[inline]
    pub(crate) fn new<B: Buffer + ?Sized>(masked: bool, config: &'c Config, inbox: &B) -> Self {
        let max_message = match config.delivery {
            Delivery::Pieces => config.max_message,
            Delivery::Whole => config.max_message.min(u64::try_from(inbox.limit()).unwrap_or(u64::MAX)),
        };
        Self { masked, max_message, config }
    }
}

/// What the next octets are.
#[derive(Debug)]
pub(crate) enum Found {
    /// A part of a message: it lies, still masked, from `start` to the position in the input. It is empty only where it
    /// is the last one.
    Part(Part),
    /// A control frame, complete in [`Inbound::control`].
    Control(Opcode),
}

/// A part of a message, as one slice of the input brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// Where it begins in the input.
    pub(crate) start: usize,
    /// What it is masked with, from its first octet on.
    pub(crate) key: Option<MaskingKey>,
    /// Whether the message begins with it.
    pub(crate) first: bool,
    /// Whether the message ends with it.
    pub(crate) last: bool,
}

impl Part {
    /// Unmasks it in place.
    pub(crate) fn unmask(&self, payload: &mut [u8]) {
        unmask(payload, self.key);
    }
}

/// Unmasks octets in place, where they are masked.
#[inline(always)]
fn unmask(octets: &mut [u8], key: Option<MaskingKey>) {
    if let Some(key) = key {
        mask::xor(octets, key);
    }
}

impl Inbound {
    /// The short way, for what most messages are: one frame that lies whole in the input, with a length of at most 16
    /// bits. It leaves no trace here. Its kind, and where its payload lies, unmasked. Everything else, faults included, is
    /// left to [`next`](Self::next).
    #[inline]
    pub(crate) fn whole(&self, input: &mut [u8], rules: &Rules<'_>) -> Option<(Kind, Range<usize>)> {
        if !matches!(self.frame, Frame::Header { len: 0, .. }) || self.message.is_some() {
            return None;
        }
        let (kind, key, payload) = frame::whole(input, rules.masked)?;
        let len = payload.len() as u64;
        if len > rules.max_message || len > rules.config.max_frame {
            return None;
        }
        unmask(input.get_mut(payload.clone())?, key);
        Some((kind, payload))
    }

    /// Nothing more is looked at. The last control frame's payload may still be asked for.
    pub(crate) fn end(&mut self) {
        self.frame = Frame::Over;
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.frame, Frame::Over)
    }

    /// Whether a short frame lies whole at the front of `input`.
    #[inline(always)]
    pub(crate) fn is_short_and_whole(&self, input: &[u8]) -> bool {
        matches!(self.frame, Frame::Header { len: 0, .. }) && frame::is_short_and_whole(input)
    }

    /// How many octets behind `input` belong to the frame that is under way, or that `input` begins with; where not even
    /// its header is complete, how many at least. 0 where the frame does not reach beyond `input`, or breaks a rule.
    pub(crate) fn missing(&self, input: &[u8], rules: &Rules<'_>) -> u64 {
        let octets = input.len() as u64;
        match &self.frame {
            Frame::Header { len: 0, .. } => match self.judge(input, rules) {
                Ok(Some((header, size))) => (size as u64 + header.len).saturating_sub(octets),
                Ok(None) => frame::header_octets(input).saturating_sub(octets),
                Err(_) => 0,
            },
            // What has come of it is not in the input any more.
            Frame::Header { .. } | Frame::Over => 0,
            Frame::Payload { left, .. } => left.saturating_sub(octets),
        }
    }

    /// Goes on from `at` in `input` to the end of the next part of a message or control frame. `None` once the input
    /// is used up.
    ///
    /// A header is judged octet by octet, in whatever portions it comes: an error is found on the octet that makes it.
    // Its result, returned through memory, is read back in other widths than it was written in, and waits: 40 ns. (A 32-bit
    // core does not, and saves the stack.)
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn next(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        rules: &Rules<'_>,
    ) -> Result<Option<Found>, ProtocolError> {
        loop {
            let rest = input.get_mut(*at..).unwrap_or_default();
            match &mut self.frame {
                Frame::Over => return Ok(None),
                Frame::Header { octets, len } => {
                    let before = usize::from(*len);
                    for (slot, octet) in octets.iter_mut().skip(before).zip(rest) {
                        *slot = *octet;
                        *len += 1;
                    }
                    let (octets, len) = (*octets, usize::from(*len));
                    let so_far = octets.get(..len).unwrap_or_default();
                    let Some((header, size)) = self.judge(so_far, rules)? else {
                        *at = input.len();
                        return Ok(None);
                    };
                    *at += size - before;
                    self.begin(&header);
                }
                Frame::Payload { left, mask, opcode, fin } => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let (opcode, fin, start) = (*opcode, *fin, *at);
                    let key = mask.as_ref().map(Mask::key);
                    if let Some(mask) = mask {
                        mask.advance(count);
                    }
                    *left -= count as u64;
                    *at += count;
                    let done = *left == 0;
                    if done {
                        self.frame = Frame::default();
                    }
                    if opcode.is_control() {
                        let payload = rest.get_mut(..count).unwrap_or_default();
                        unmask(payload, key);
                        // Its length was judged: it fits.
                        let _ = self.control.extend_from_slice(payload);
                        return Ok(done.then_some(Found::Control(opcode)));
                    }
                    let last = done && fin;
                    if count > 0 || last {
                        return Ok(self.part(start, key, last));
                    }
                    if !done {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What the octets at the front of a frame say, and how many of them are its header; `None` where they end too
    /// early. Each rule is applied as soon as the octet that it is about is there.
    fn judge(&self, octets: &[u8], rules: &Rules<'_>) -> Result<Option<(Header, usize)>, ProtocolError> {
        let [first, rest @ ..] = octets else { return Ok(None) };
        let (fin, opcode) = frame::first(*first)?;
        match (opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::MessageInsideMessage),
            _ => {}
        }
        let [second, rest @ ..] = rest else { return Ok(None) };
        let (masked, short) = frame::second(*second);
        if masked != rules.masked {
            // Sections 5.1: a server closes on a frame without mask, a client on one with.
            return Err(if masked { ProtocolError::Masked } else { ProtocolError::Unmasked });
        }
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(ProtocolError::ControlTooLong);
        }
        let Some((len, rest)) = frame::length(short, rest)? else { return Ok(None) };
        self.judge_length(fin, opcode, len, rules)?;
        let (mask, rest) = match masked {
            false => (None, rest),
            true => match rest.split_first_chunk() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        Ok(Some((Header { fin, opcode, len, mask }, octets.len() - rest.len())))
    }

    fn judge_length(
        &self,
        fin: bool,
        opcode: Opcode,
        len: u64,
        rules: &Rules<'_>,
    ) -> Result<(), ProtocolError> {
        if opcode.is_control() {
            return match (opcode, len) {
                (Opcode::Close, 1) => Err(ProtocolError::CloseOfOneOctet),
                _ => Ok(()),
            };
        }
        let (before, empty_fragments) =
            self.message.map_or((0, 0), |message| (message.len, message.empty_fragments));
        if len > rules.config.max_frame {
            return Err(ProtocolError::FrameTooBig);
        }
        if len > rules.max_message.saturating_sub(before) {
            return Err(ProtocolError::MessageTooBig);
        }
        if len == 0 && !fin && empty_fragments >= rules.config.max_empty_fragments {
            return Err(ProtocolError::TooManyEmptyFragments);
        }
        Ok(())
    }

    /// A frame's payload begins.
    fn begin(&mut self, header: &Header) {
        let Header { fin, opcode, len, mask } = *header;
        self.frame = Frame::Payload { left: len, mask: mask.map(Mask::new), opcode, fin };
        let kind = match opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            Opcode::Continuation => match &mut self.message {
                Some(message) => return message.add(len),
                None => return,
            },
            Opcode::Close | Opcode::Ping | Opcode::Pong => return self.control.clear(),
        };
        let mut message = Progress { kind, started: false, empty_fragments: 0, len: 0 };
        message.add(len);
        self.message = Some(message);
    }

    /// A part of the message that is in progress.
    fn part(&mut self, start: usize, key: Option<MaskingKey>, last: bool) -> Option<Found> {
        let message = self.message.as_mut()?;
        let (kind, first) = (message.kind, !message.started);
        message.started = true;
        if last {
            self.message = None;
        }
        Some(Found::Part(Part { kind, start, key, first, last }))
    }
}

impl Progress {
    fn add(&mut self, len: u64) {
        self.len += len;
        if len == 0 {
            self.empty_fragments = self.empty_fragments.saturating_add(1);
        }
    }
}
