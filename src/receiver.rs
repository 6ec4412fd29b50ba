//! The receiving half of a connection: bytes to events, with the rules of frames and fragmentation (RFC 6455 sections 5.2
//! to 5.5 and 10.4).
//!
//! | state | entered by | left by |
//! |---|---|---|
//! | `Opened` | a server's `accept` | `Event::Open` |
//! | `Boundary` | the handshake; the last byte of a message, or of a control frame outside any | the first byte of a frame |
//! | `Header` | a cut through a header; the end of a frame inside a message | the header's last byte |
//! | `Payload` | a header's last byte | the payload's last byte |
//! | `InvalidText` | delivery of a piece that ends where its text is invalid | the next poll, which fails |
//! | `PeerClosed` | the peer's Close frame | the end of the stream, the closing timeout |
//! | `Ended` | a failure, `reject`, the end of the stream, the closing timeout | |

use crate::data::{ControlPayload, Kind};
use crate::event::{Error, Found};
use crate::frame::{self, Header, MAX_HEADER, Opcode, Plain};
use crate::handshake::{Outcome, SelectedRange};
use crate::mask::{self, Mask};
use crate::message::{Incoming, Part};
use crate::{Buffer, Config, Delivery, ProtocolError};
use core::ops::Range;

#[derive(Debug)]
pub(crate) struct Receiver {
    state: State,
    /// The message in progress: none at a boundary.
    message: Option<Incoming>,
    /// The payload of the control frame in progress; until the next one begins, of the last.
    control: ControlPayload,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// `Event::Open` is pending; then a message boundary, or the end if the connection has ended since.
    Opened { chosen: SelectedRange, end: Option<End> },
    /// The next byte begins a frame, and no message is in progress.
    Boundary,
    /// The next byte belongs to a header, of which these bytes have come. It is not the first byte of a new message's frame.
    Header(PartialHeader),
    /// The next byte belongs to this frame's payload. (Where the payload is empty: no byte does.)
    Payload(Frame),
    /// Invalid UTF-8 follows the piece that was delivered last: the next poll fails. Until then the piece can be answered, as
    /// if the invalid bytes came in a later slice.
    InvalidText,
    /// The peer's Close frame has come: input is discarded until the stream ends.
    PeerClosed,
    /// Input is discarded.
    Ended(End),
}

type PartialHeader = heapless::Vec<u8, MAX_HEADER, u8>;

/// A frame whose header is complete.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// Advanced to the next byte. Meaningless where the peer does not mask.
    mask: Mask,
    /// How much of the payload is to come.
    remaining: u64,
}

/// The end without the peer's Close frame: what is still to be reported.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// This error, then a Close.
    Error(Error),
    Close,
    Nothing,
}

/// What frames are checked against.
pub(crate) struct Rules<'c> {
    /// Whether the peer masks: exactly the client does.
    masked: bool,
    /// The longest message that the inbox can take.
    limit: u64,
    config: &'c Config,
}

impl<'c> Rules<'c> {
    /// A whole message has to fit into the inbox too, wherever it will lie: so cuts change nothing.
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

impl Receiver {
    const fn new(state: State) -> Self {
        Self { state, message: None, control: ControlPayload::new() }
    }

    /// At a message boundary.
    pub(crate) const fn open() -> Self {
        Self::new(State::Boundary)
    }

    /// After a server's `accept`.
    pub(crate) const fn accepted(chosen: SelectedRange) -> Self {
        Self::new(State::Opened { chosen, end: None })
    }

    /// After a handshake that has failed.
    pub(crate) const fn ended(end: End) -> Self {
        Self::new(State::Ended(end))
    }

    /// The payload of the last control frame.
    pub(crate) fn control(&self) -> &[u8] {
        &self.control
    }

    /// Whether frames are still looked at.
    pub(crate) const fn is_receiving(&self) -> bool {
        !matches!(self.state, State::PeerClosed | State::Ended(_) | State::Opened { end: Some(_), .. })
    }

    /// Whether the peer's Close frame has come and the stream has not ended.
    pub(crate) const fn is_peer_closed(&self) -> bool {
        matches!(self.state, State::PeerClosed)
    }

    /// Ends it: what comes is discarded. Events of an earlier end stay pending.
    pub(crate) fn end(&mut self, now: End) {
        match &mut self.state {
            State::Ended(_) | State::Opened { end: Some(_), .. } => {}
            State::Opened { end, .. } => *end = Some(now),
            State::PeerClosed => self.state = State::Ended(End::Nothing),
            state => *state = State::Ended(now),
        }
    }

    /// Notes that invalid UTF-8 follows the piece that is delivered now.
    pub(crate) fn fail_on_next_poll(&mut self) {
        self.state = State::InvalidText;
    }

    /// The next event that no input causes.
    pub(crate) fn pending(&mut self) -> Option<Found> {
        match &mut self.state {
            State::Opened { chosen, end } => {
                let found = Found::Handshake(Outcome::Open(*chosen));
                self.state = end.map_or(State::Boundary, State::Ended);
                Some(found)
            }
            State::Ended(end) => {
                let (found, next) = match *end {
                    End::Error(error) => (Found::Error(error), End::Close),
                    End::Close => (Found::Dropped, End::Nothing),
                    End::Nothing => return None,
                };
                *end = next;
                Some(found)
            }
            _ => None,
        }
    }

    /// Whether the next byte begins a frame and no message is in progress: the fast path is open.
    #[inline(always)]
    pub(crate) const fn is_at_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }

    /// How many bytes behind `input` belong to the frame that it ends in, at least; 0 where the frame ends in it, or breaks a
    /// rule.
    pub(crate) fn missing(&self, input: &[u8], rules: &Rules<'_>) -> u64 {
        match &self.state {
            State::Boundary | State::Opened { end: None, .. } => {}
            // The bytes that have come of a header are not in the input any more.
            State::Header(received) if received.is_empty() => {}
            State::Payload(frame) => return frame.remaining.saturating_sub(input.len() as u64),
            _ => return 0,
        }
        match header(input, self.message.as_ref(), rules) {
            Ok(Some((header, size))) => header.len.saturating_sub((input.len() - size) as u64),
            Ok(None) => frame::missing(input, rules.masked) as u64,
            Err(_) => 0,
        }
    }

    /// Goes on from the end of `at` in `input` to what makes an event, which lies there then. `None` once the input is used up.
    #[inline(always)]
    pub(crate) fn poll<B: Buffer + ?Sized>(
        &mut self,
        input: &mut [u8],
        at: &mut Range<usize>,
        rules: &Rules<'_>,
        inbox: &mut B,
    ) -> Result<Option<Found>, ProtocolError> {
        while at.end < input.len() || self.is_payload_complete() {
            match &mut self.state {
                State::Boundary | State::Header(_) => {
                    let rest = input.get(at.end..).unwrap_or_default();
                    let (header, taken) = self.next_header(rest, rules)?;
                    at.end += taken;
                    if let Some(header) = header {
                        self.begin_payload(&header);
                    }
                }
                State::Payload(frame) => {
                    at.start = at.end;
                    let rest = input.get_mut(at.start..).unwrap_or_default();
                    let count = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(rest.len());
                    let payload = rest.get_mut(..count).unwrap_or_default();
                    let key = rules.masked.then(|| frame.mask.key());
                    frame.mask.advance(count);
                    frame.remaining -= count as u64;
                    at.end += count;
                    let done = frame.remaining == 0;
                    let (opcode, last) = (frame.opcode, done && frame.fin);
                    let found = match &mut self.message {
                        Some(message) if !opcode.is_control() => {
                            let part = Part { payload, key, last };
                            let data = message.take(part, rules.config.delivery, inbox)?;
                            if last {
                                self.message = None;
                            }
                            data.map(|(data, start)| {
                                at.start += start;
                                Found::Data(data)
                            })
                        }
                        _ => {
                            if let Some(key) = key {
                                mask::xor(payload, key);
                            }
                            // Its length was checked: it fits.
                            let _ = self.control.extend_from_slice(payload);
                            if done { Some(control_frame(opcode, &self.control)?) } else { None }
                        }
                    };
                    if done {
                        self.state = match (&found, &self.message) {
                            (Some(Found::PeerClosed(_)), _) => State::PeerClosed,
                            (_, None) => State::Boundary,
                            _ => State::Header(PartialHeader::new()),
                        };
                    }
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                State::InvalidText => return Err(ProtocolError::InvalidUtf8),
                State::Opened { .. } | State::PeerClosed | State::Ended(_) => break,
            }
        }
        Ok(None)
    }

    /// Whether no more input is needed: an empty payload, or text that is known to be invalid.
    fn is_payload_complete(&self) -> bool {
        matches!(self.state, State::Payload(Frame { remaining: 0, .. }) | State::InvalidText)
    }

    /// Takes the next header from the front of `input`, where it lies or behind what has been received of it: the header, if it
    /// is complete, and how many bytes were taken.
    fn next_header(
        &mut self,
        input: &[u8],
        rules: &Rules<'_>,
    ) -> Result<(Option<Header>, usize), ProtocolError> {
        if let State::Boundary = self.state {
            self.state = State::Header(PartialHeader::new());
        }
        let State::Header(received) = &mut self.state else { return Ok((None, 0)) };
        let before = received.len();
        let more = input.get(..input.len().min(MAX_HEADER - before)).unwrap_or_default();
        let _ = received.extend_from_slice(more);
        Ok(match header(received, self.message.as_ref(), rules)? {
            Some((header, size)) => (Some(header), size - before),
            None => (None, more.len()),
        })
    }

    /// Goes into the payload of the frame with this header.
    fn begin_payload(&mut self, header: &Header) {
        let Header { opcode, fin, len, mask } = *header;
        if let Some(kind) = opcode.kind() {
            self.message = Some(Incoming::new(kind));
        }
        if opcode.is_control() {
            self.control.clear();
        } else if let Some(message) = &mut self.message {
            message.len = message.len.saturating_add(len);
            message.empty_fragments += u16::from(len == 0 && !fin);
        }
        let mask = Mask::new(mask.unwrap_or_default());
        self.state = State::Payload(Frame { opcode, fin, mask, remaining: len });
    }
}

/// The fast path at a message boundary: a message in one frame with a length of at most 16 bits that lies whole in the input. It
/// changes no state but unmasks the payload. Everything else, errors included, is left to [`Receiver::poll`].
#[inline(always)]
pub(crate) fn whole_message(input: &mut [u8], rules: &Rules<'_>) -> Option<(Kind, Range<usize>)> {
    let Plain { kind, key, start, len } = frame::plain(input, rules.masked)?;
    let payload = input.get_mut(start..)?.get_mut(..len)?;
    if rules.is_frame_too_big(len) {
        return None;
    }
    if let Some(key) = key {
        mask::xor(payload, key);
    }
    Some((kind, start..start + len))
}

/// The one decoder of headers: the header that `bytes` begin with, and its size. `None` while it is incomplete. Each rule is
/// applied as soon as the byte that it is about is there, so that every cut finds the same error.
#[inline]
fn header(
    bytes: &[u8],
    message: Option<&Incoming>,
    rules: &Rules<'_>,
) -> Result<Option<(Header, usize)>, ProtocolError> {
    let [first, ..] = bytes else { return Ok(None) };
    let (fin, opcode) = frame::first(*first)?;
    match (opcode, message) {
        (Opcode::Continuation, None) => return Err(ProtocolError::NothingToContinue),
        (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::MessageInsideMessage),
        _ => {}
    }
    let Some((len, size)) = frame::length(bytes, opcode, rules.masked)? else { return Ok(None) };
    if opcode == Opcode::Close && len == 1 {
        return Err(ProtocolError::CloseOfOneOctet);
    }
    if !opcode.is_control() {
        let (before, empty_fragments) =
            message.map_or((0, 0), |message| (message.len, message.empty_fragments));
        if len > rules.config.max_frame {
            return Err(ProtocolError::FrameTooBig);
        }
        if rules.is_message_too_big(before.saturating_add(len)) {
            return Err(ProtocolError::MessageTooBig);
        }
        if len == 0 && !fin && empty_fragments >= rules.config.max_empty_fragments {
            return Err(ProtocolError::TooManyEmptyFragments);
        }
    }
    if !rules.masked {
        return Ok(Some((Header { fin, opcode, len, mask: None }, size)));
    }
    let key = bytes.get(size..).and_then(<[u8]>::first_chunk);
    Ok(key.map(|key| (Header { fin, opcode, len, mask: Some(*key) }, size + 4)))
}

/// A complete control frame.
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
    use crate::event::Data;

    #[test]
    fn the_fast_path_agrees_with_the_decoder() {
        let config = Config::new().max_frame(300).max_message(250);
        for masked in [false, true] {
            for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |second| (first, second))) {
                for length in [[0, 0], [0, 125], [0, 126], [0, 200], [1, 0], [255, 255]] {
                    for size in [1, 2, 3, 5, 7, 8, 40, 240] {
                        let mut bytes = [0x5A; 240];
                        bytes[..4].copy_from_slice(&[first, second, length[0], length[1]]);
                        let mut again = bytes;
                        let mut inbox = std::vec::Vec::new();
                        let rules = Rules::new(masked, &config, &inbox);
                        let fast = whole_message(&mut bytes[..size], &rules);
                        let (mut receiver, mut at) = (Receiver::open(), 0..0);
                        let found = receiver.poll(&mut again[..size], &mut at, &rules, &mut inbox);
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
