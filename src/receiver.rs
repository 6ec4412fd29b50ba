//! The receiving half of an open connection: bytes to events (RFC 6455 sections 5.2 to 5.5 and
//! 10.4).
//!
//! | state | entered by | left by |
//! |---|---|---|
//! | `Opened` | a server's `accept` | the next poll, which reports `Event::Open` |
//! | `MessageBoundary` | the handshake; the end of a message, or of a control frame outside any | a frame's first byte |
//! | `FrameBoundary` | the end of a frame inside a message | a frame's first byte |
//! | `Header` | a frame's first byte | the header's last byte |
//! | `Payload` | the header's last byte | the payload's last byte |
//! | `Failing` | the delivery of a piece that ends at invalid bytes | the next poll, which fails |
//! | `PeerClosed` | the peer's Close frame | the end of the stream, the closing timeout |
//! | `Ended` | an error, `reject`, the end of the stream, the closing timeout | never |
//!
//! `end` moves every other state to `Ended`. A pending `Event::Open` is kept.
//!
//! The receiver knows nothing of the sender. `WebSocket` passes on what a received frame asks of
//! it: a Pong, or a Close frame.

use crate::data::{ControlPayload, Kind};
use crate::event::{Error, Found};
use crate::extension::Extension;
use crate::frame::mask::{self, Mask};
use crate::frame::{self, HeaderDecoder, Opcode};
use crate::handshake::{Outcome, SelectedRange};
use crate::message::{Incoming, Inflated, PayloadPart};
use crate::{Buffer, Config, Delivery, ProtocolError};
use core::ops::Range;

#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    state: State,
    /// The message in progress. Beside the state, because control frames may come between its
    /// frames.
    message: Option<Incoming>,
    /// The payload of the control frame in progress, then of the last one until the next begins.
    control: ControlPayload,
}

/// What the next byte of input belongs to.
#[derive(Clone, Debug)]
enum State {
    /// Nothing yet: `Event::Open` is pending.
    Opened(SelectedRange),
    /// A new frame, with no message in progress. The fast path starts here.
    MessageBoundary,
    /// A new frame, with a message in progress.
    FrameBoundary,
    /// A header, of which some bytes have arrived.
    Header(HeaderDecoder),
    /// A frame's payload. An empty one is complete without a byte.
    Payload(Payload),
    /// Nothing: invalid bytes follow the piece that was returned last. The connection fails with
    /// the next poll, so that the piece can be answered, as if the invalid bytes came in a
    /// later slice.
    Failing,
    /// Nothing: the peer's Close frame has arrived, and input is discarded until the stream ends.
    PeerClosed,
    /// Nothing: input is discarded. `Event::Open` may still be pending, if the connection ended
    /// between `accept` and poll.
    Ended { opened: Option<SelectedRange>, end: End },
}

/// The payload of a frame whose header is complete.
#[derive(Clone, Debug)]
struct Payload {
    opcode: Opcode,
    fin: bool,
    /// Rotated to the next byte. Unused if the peer does not mask.
    mask: Mask,
    /// The number of bytes that are still to arrive.
    remaining: u64,
}

/// The events that are still to be reported after the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// A client: the response with this status, then an error and a Close.
    Refused(u16),
    /// This error, then a Close.
    Error(Error),
    Close,
    Nothing,
}

/// What frames are checked against.
#[derive(Debug)]
pub struct Rules<'c> {
    /// Whether the peer must mask: a client must, a server must not (section 5.1).
    masked: bool,
    /// The longest message that the inbox can hold.
    max_collected: u64,
    pub(crate) config: &'c Config,
}

impl<'c> Rules<'c> {
    /// A message that is delivered whole must fit into the inbox even where it lies whole in the
    /// input. So the cuts of the stream do not matter.
    #[inline]
    pub(crate) fn new<B: Buffer + ?Sized>(masked: bool, config: &'c Config, inbox: &B) -> Self {
        let max_collected = match config.options.delivery() {
            Delivery::Pieces => u64::MAX,
            Delivery::Whole => inbox.max_len() as u64,
        };
        Self { masked, max_collected, config }
    }

    #[inline]
    const fn is_message_too_big(&self, len: u64) -> bool {
        len > self.max_collected || len > self.config.max_message
    }

    /// The longest message that is allowed.
    #[cfg(feature = "deflate")]
    pub(crate) fn max_message(&self) -> u64 {
        self.max_collected.min(self.config.max_message)
    }
}

/// The fast path at a message boundary: a message in one frame that lies whole in the input, with a
/// length of 7 or 16 bits. Its kind, and where its payload lies, now unmasked. It changes no other
/// state, and leaves all else, errors too, to [`Receiver::poll`].
#[inline(always)]
pub(crate) fn unfragmented_message(input: &mut [u8], rules: &Rules<'_>) -> Option<(Kind, Range<usize>)> {
    let header = frame::short_header(input, rules.masked)?;
    let payload = input.get_mut(header.size..)?.get_mut(..header.len)?;
    if rules.is_message_too_big(header.len as u64) || header.len as u64 > rules.config.max_frame {
        return None;
    }
    if let Some(key) = header.key {
        mask::xor(payload, key);
    }
    Some((header.kind, header.size..header.size + header.len))
}

impl Receiver {
    const fn new(state: State) -> Self {
        Self { state, message: None, control: ControlPayload::new() }
    }

    /// At a message boundary.
    pub(crate) const fn open() -> Self {
        Self::new(State::MessageBoundary)
    }

    /// After a server's `accept`: `Event::Open` is pending.
    pub(crate) const fn accepted(selected: SelectedRange) -> Self {
        Self::new(State::Opened(selected))
    }

    /// After a handshake that failed.
    pub(crate) const fn ended(end: End) -> Self {
        Self::new(State::Ended { opened: None, end })
    }

    /// The payload of the last control frame.
    pub(crate) fn control(&self) -> &[u8] {
        &self.control
    }

    /// Whether the next byte may begin a message: the fast path is open.
    #[inline(always)]
    pub(crate) const fn is_at_boundary(&self) -> bool {
        matches!(self.state, State::MessageBoundary)
    }

    /// Whether a message is in progress: a frame of it has begun, and its end has not arrived.
    pub(crate) const fn is_in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether input still matters.
    pub(crate) const fn is_receiving(&self) -> bool {
        !matches!(self.state, State::PeerClosed | State::Ended { .. })
    }

    /// Whether nothing more is expected from the peer. A client still waits for the end of the
    /// stream after the peer's Close frame; for a server, `close_is_end`.
    pub(crate) const fn is_ended(&self, close_is_end: bool) -> bool {
        matches!(self.state, State::Ended { .. }) || close_is_end && matches!(self.state, State::PeerClosed)
    }

    /// Ends it, with the events that are still to be reported. Those of an earlier end stay.
    pub(crate) fn end(&mut self, end: End) {
        self.state = match self.state {
            State::Ended { .. } => return,
            State::PeerClosed => State::Ended { opened: None, end: End::Nothing },
            State::Opened(selected) => State::Ended { opened: Some(selected), end },
            _ => State::Ended { opened: None, end },
        };
    }

    /// Notes that invalid bytes follow the piece that is returned now.
    pub(crate) fn fail_on_next_poll(&mut self) {
        self.state = State::Failing;
    }

    /// The next event that needs no input.
    pub(crate) fn pending(&mut self) -> Option<Found> {
        let opened = match &mut self.state {
            State::Opened(selected) => {
                let selected = *selected;
                self.state = State::MessageBoundary;
                selected
            }
            State::Ended { opened: opened @ Some(_), .. } => opened.take()?,
            State::Ended { end, .. } => {
                let (found, next) = match *end {
                    End::Refused(status) => {
                        (Found::Handshake(Outcome::Refused(status)), End::Error(Error::Refused(status)))
                    }
                    End::Error(error) => (Found::Error(error), End::Close),
                    End::Close => (Found::ClosedWithoutFrame, End::Nothing),
                    End::Nothing => return None,
                };
                *end = next;
                return Some(found);
            }
            _ => return None,
        };
        Some(Found::Handshake(Outcome::Open(opened)))
    }

    /// How many bytes are missing after `input` from the frame that `input` begins with, or that
    /// is in progress, as far as it is known. 0 if none are, if the frame breaks a rule, or while
    /// an event is pending. It decodes the header on copies: nothing changes.
    pub(crate) fn missing<E: Extension>(&self, input: &[u8], rules: &Rules<'_>, extension: &E) -> u64 {
        let (mut decoder, mut message) = match &self.state {
            State::MessageBoundary | State::FrameBoundary => (HeaderDecoder::new(), self.message),
            State::Payload(payload) => return payload.remaining.saturating_sub(input.len() as u64),
            // The bytes that have arrived of a header are not in the input any more.
            _ => return 0,
        };
        let mut bytes = input.iter();
        while !decoder.is_complete(rules.masked) {
            let Some(byte) = bytes.next() else { return decoder.missing(rules.masked) };
            if push(&mut decoder, *byte, &mut message, rules, extension).is_err() {
                return 0;
            }
        }
        decoder.len.saturating_sub(bytes.len() as u64)
    }

    /// Goes on from `at.end` in `input` to the next event, whose payload then lies at `at`. `None`
    /// once the input is used up.
    #[inline(always)]
    pub(crate) fn poll<B: Buffer + ?Sized, E: Extension>(
        &mut self,
        input: &mut [u8],
        at: &mut Range<usize>,
        rules: &Rules<'_>,
        extension: &mut E,
        inbox: &mut B,
    ) -> Result<Option<Found>, ProtocolError> {
        loop {
            match &mut self.state {
                State::MessageBoundary | State::FrameBoundary => {
                    if at.end == input.len() {
                        return Ok(None);
                    }
                    self.state = State::Header(HeaderDecoder::new());
                }
                State::Header(decoder) => {
                    while !decoder.is_complete(rules.masked) {
                        let Some(byte) = input.get(at.end) else { return Ok(None) };
                        at.end += 1;
                        push(decoder, *byte, &mut self.message, rules, extension)?;
                    }
                    let HeaderDecoder { opcode, fin, key, len, .. } = *decoder;
                    if opcode.is_control() {
                        self.control.clear();
                    }
                    let payload = Payload { opcode, fin, mask: Mask::new(key), remaining: len };
                    self.state = State::Payload(payload);
                }
                State::Payload(frame) => {
                    at.start = at.end;
                    let rest = input.get_mut(at.start..).unwrap_or_default();
                    if rest.is_empty() && frame.remaining > 0 && !(E::COMPRESSES && extension.has_output()) {
                        return Ok(None);
                    }
                    let count = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(rest.len());
                    let payload = rest.get_mut(..count).unwrap_or_default();
                    let key = rules.masked.then(|| frame.mask.key());
                    let is_end = count as u64 == frame.remaining;
                    let mut taken = count;
                    let mut inflated = None;
                    if let Some(message) = &mut self.message
                        && E::COMPRESSES
                        && message.compressed
                        && !frame.opcode.is_control()
                    {
                        let part = PayloadPart { payload: &mut *payload, key, last: is_end && frame.fin };
                        let found = extension.inflate(message, part, rules, inbox)?;
                        taken = found.taken;
                        inflated = Some(found);
                    }
                    frame.mask.advance(taken);
                    frame.remaining -= taken as u64;
                    at.end += taken;
                    let done = frame.remaining == 0
                        && !matches!(inflated, Some(Inflated { is_complete: false, .. }));
                    let found = match (&mut self.message, inflated) {
                        (Some(message), inflated) if !frame.opcode.is_control() => {
                            let last = done && frame.fin;
                            let data = match inflated {
                                Some(Inflated { data, start, .. }) => {
                                    if let Some(start) = start {
                                        // Behind the end: it does not lie in the input.
                                        at.start = at.end + 1 + start;
                                    }
                                    data
                                }
                                None => {
                                    let part = PayloadPart { payload, key, last };
                                    message.take(
                                        part,
                                        rules.config.options.delivery(),
                                        &mut at.start,
                                        inbox,
                                    )?
                                }
                            };
                            if last {
                                self.message = None;
                            }
                            data.map(Found::Data)
                        }
                        _ => {
                            if let Some(key) = key {
                                mask::xor(payload, key);
                            }
                            // It fits: its length was checked.
                            let _ = self.control.extend_from_slice(payload);
                            if done { Some(control_frame(frame.opcode, &self.control)?) } else { None }
                        }
                    };
                    if done {
                        self.state = match (&found, &self.message) {
                            (Some(Found::PeerClosed(_)), _) => State::PeerClosed,
                            (_, None) => State::MessageBoundary,
                            (_, Some(_)) => State::FrameBoundary,
                        };
                    }
                    if extension.is_failing() {
                        self.fail_on_next_poll();
                    }
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                State::Failing => return Err(extension.error()),
                State::Opened(_) | State::PeerClosed | State::Ended { .. } => return Ok(None),
            }
        }
    }
}

/// Takes the next byte of a header, and applies the rules that depend on the extension and on
/// earlier frames.
fn push<E: Extension>(
    decoder: &mut HeaderDecoder,
    byte: u8,
    message: &mut Option<Incoming>,
    rules: &Rules<'_>,
    extension: &E,
) -> Result<(), ProtocolError> {
    if !E::COMPRESSES {
        return push_byte(decoder, byte, message, rules, false);
    }
    let begins_compressed = extension.is_agreed() && decoder.marks_compressed(byte);
    let byte = if begins_compressed { byte & !frame::RSV1 } else { byte };
    let compressed = message.map_or(begins_compressed, |message| message.compressed);
    push_byte(decoder, byte, message, rules, compressed)
}

/// Takes the next byte of a header of a message that is `compressed` or not, and applies the rules
/// that depend on earlier frames: fragmentation (section 5.4) and limits (section 10.4).
// Outlined: benches/README.md, "Outlined functions".
#[inline(never)]
fn push_byte(
    decoder: &mut HeaderDecoder,
    byte: u8,
    message: &mut Option<Incoming>,
    rules: &Rules<'_>,
    compressed: bool,
) -> Result<(), ProtocolError> {
    let completed = decoder.push(byte, rules.masked)?;
    let HeaderDecoder { opcode, fin, len, .. } = *decoder;
    match (completed, message) {
        (frame::Completed::Nothing, _) => {}
        (frame::Completed::Opcode, message) => match (opcode, &message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (Opcode::Text | Opcode::Binary, None) => {
                let kind = if opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
                *message = Some(Incoming::new(kind, compressed));
            }
            _ => {}
        },
        (frame::Completed::Length, _) if opcode.is_control() => {
            if opcode == Opcode::Close && len == 1 {
                return Err(ProtocolError::TruncatedCloseCode);
            }
        }
        // Not reached: a data frame's first byte has begun a message, or failed.
        (frame::Completed::Length, None) => {}
        (frame::Completed::Length, Some(message)) => {
            if len > rules.config.max_frame {
                return Err(ProtocolError::FrameTooBig);
            }
            message.len = message.len.saturating_add(len);
            // The limit is one for inflated bytes: `inflate` applies it (RFC 7692 section 8).
            if !compressed && rules.is_message_too_big(message.len) {
                return Err(ProtocolError::MessageTooBig);
            }
            if len == 0 && !fin {
                if message.empty_fragments >= rules.config.max_empty_fragments {
                    return Err(ProtocolError::TooManyEmptyFragments);
                }
                message.empty_fragments += 1;
            }
        }
    }
    Ok(())
}

/// The event of a complete control frame.
fn control_frame(opcode: Opcode, payload: &[u8]) -> Result<Found, ProtocolError> {
    Ok(match opcode {
        Opcode::Ping => Found::Ping,
        Opcode::Close => Found::PeerClosed(frame::parse_close(payload)?.0),
        _ => Found::Pong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;
    use crate::event::Data;

    /// The tests of `frame::header` compare the fast path of the header with the decoder. This test
    /// compares what is built on them.
    #[test]
    fn the_fast_path_finds_the_messages_that_poll_finds_in_place() {
        let config = Config::new().max_frame(300).max_message(250);
        for masked in [false, true] {
            for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |second| (first, second))) {
                for length in [[0, 0], [0, 125], [0, 126], [0, 200], [1, 0], [255, 255]] {
                    for size in [1, 2, 3, 5, 7, 8, 40, 240] {
                        let mut bytes = [0x5A; 240];
                        bytes[..4].copy_from_slice(&[first, second, length[0], length[1]]);
                        let mut again = bytes;
                        let mut inbox = heapless::Vec::<u8, 260>::new();
                        let rules = Rules::new(masked, &config, &inbox);
                        let fast = unfragmented_message(&mut bytes[..size], &rules);
                        let (mut receiver, mut at) = (Receiver::open(), 0..0);
                        let found =
                            receiver.poll(&mut again[..size], &mut at, &rules, &mut Server, &mut inbox);
                        let slow = match found {
                            Ok(Some(Found::Data(Data::InPlace(kind)))) => Some((kind, at)),
                            _ => None,
                        };
                        assert_eq!(fast, slow, "{first:#x} {second:#x} {length:?} {size}");
                        if fast.is_some() {
                            assert_eq!(bytes, again);
                            assert!(receiver.is_at_boundary());
                        }
                    }
                }
            }
        }
    }
}
