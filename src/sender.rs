//! The sending half of a connection: messages to frames, and the answers to the peer that are
//! pending (RFC 6455 sections 5.1, 5.4, 5.5 and 6.1).
//!
//! | state | entered by | left by |
//! |---|---|---|
//! | `Connecting` | a new connection | the end of the handshake |
//! | `Open` | the handshake; the last fragment of a message | the first fragment; any end |
//! | `Fragmented` | a fragment that is not the last | the last fragment; any end |
//! | `FragmentedCompressed` | the same, of a compressed message | the same |
//! | `ClosePending` | the peer's Close frame; a protocol error | `transmit`; the end of the stream, the closing timeout |
//! | `RefusalPending` | a bad request | the same |
//! | `Ended` | `close`; `transmit` of the last frame or response; any other end | never |
//!
//! No data frame can follow a Close frame. A data frame begins only in `Open` and `Fragmented`, and
//! a Close frame is sent or queued only by leaving both for good: `Open` is entered again only from
//! `Fragmented`, and from `Connecting` by `start`, which is called once.
//!
//! A payload that the caller sends itself (`send_header`) and a pending Pong are beside the state.
//! The payload must be finished in any state, and a queued Close frame waits for it. The caller's
//! `close` sends the Pong first; every other end removes it.

use crate::data::{ControlPayload, Fragment, Kind};
use crate::frame::{self, Header, MAX_CONTROL, Mask, Opcode};
use crate::{Buffer, CloseCode, OutboxFull, Reject, Role, SendError};
#[cfg(feature = "deflate")]
use crate::{
    Message,
    deflate::{Compress, Sending},
};
use core::fmt;

#[derive(Clone)]
pub(crate) struct Sender<R> {
    /// It makes the masking keys.
    pub(crate) role: R,
    state: State,
    /// The number of payload bytes that the caller still sends of the frame whose header was sent
    /// last. Until it is 0, nothing else may be sent.
    payload_remaining: u64,
    /// The payload of a pending Pong. "If an endpoint receives a Ping frame and has not yet sent
    /// Pong frame(s) in response to previous Ping frame(s), the endpoint MAY elect to send a Pong
    /// frame for only the most recently processed Ping frame" (section 5.5.3): a new one replaces
    /// it.
    pong: Option<ControlPayload>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The opening handshake is not complete.
    Connecting,
    /// Between messages.
    Open,
    /// Between the fragments of a message of this kind.
    Fragmented(Kind),
    /// The same, of a compressed message.
    #[cfg(feature = "deflate")]
    FragmentedCompressed(Kind),
    /// `transmit` appends a Close frame with this code, an empty one for 1005.
    ClosePending(CloseCode),
    /// `transmit` appends the HTTP response with this status that refuses a request.
    RefusalPending(u16),
    /// Only a Pong may still be sent: after our own Close frame, until the peer's arrives.
    Ended,
}

/// All but the role.
impl<R> fmt::Debug for Sender<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("state", &self.state)
            .field("payload_remaining", &self.payload_remaining)
            .field("pong", &self.pong)
            .finish_non_exhaustive()
    }
}

impl<R> Sender<R> {
    pub(crate) const fn connecting(role: R) -> Self {
        Self { role, state: State::Connecting, payload_remaining: 0, pong: None }
    }

    pub(crate) const fn open(role: R) -> Self {
        Self { role, state: State::Open, payload_remaining: 0, pong: None }
    }

    /// Opens it. `WebSocket` calls it once, at the end of the handshake.
    pub(crate) fn start(&mut self) {
        self.state = State::Open;
    }

    /// Whether neither endpoint has closed, and nothing has failed.
    pub(crate) const fn is_open(&self) -> bool {
        match self.state {
            State::Open | State::Fragmented(_) => true,
            #[cfg(feature = "deflate")]
            State::FragmentedCompressed(_) => true,
            _ => false,
        }
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether nothing but an idle Ping can be pending, in the commonest state: open between
    /// messages, without a Pong.
    #[inline]
    pub(crate) const fn has_nothing_pending(&self) -> bool {
        matches!(self.state, State::Open) && self.pong.is_none()
    }

    /// Queues the answer to a Ping.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) {
        let pong = self.pong.insert(ControlPayload::new());
        // It fits: a Ping has at most 125 bytes too.
        let _ = pong.extend_from_slice(payload);
    }

    /// Queues a Close frame with this code, unless one has been sent. Nothing else is sent any
    /// more.
    pub(crate) fn queue_close(&mut self, code: CloseCode) {
        self.pong = None;
        if !self.is_ended() {
            self.state = State::ClosePending(code);
        }
    }

    /// Queues the response that refuses a request.
    pub(crate) fn queue_refusal(&mut self, status: u16) {
        self.state = State::RefusalPending(status);
    }

    /// Ends it: nothing is sent any more, but for a payload that the caller is sending.
    pub(crate) fn end(&mut self) {
        self.pong = None;
        self.state = State::Ended;
    }

    /// Notes that the caller has sent `len` bytes of payload; returns how many remain.
    pub(crate) fn payload_sent(&mut self, len: u64) -> Result<u64, SendError> {
        self.payload_remaining = self.payload_remaining.checked_sub(len).ok_or(SendError::PayloadExceeded)?;
        Ok(self.payload_remaining)
    }

    /// Whether a frame may begin: "an endpoint MUST ensure the WebSocket connection is in an OPEN
    /// state" (section 6.1), and the frame before must be complete.
    fn check_between_frames(&self) -> Result<(), SendError> {
        if !self.is_open() {
            Err(SendError::NotOpen)
        } else if self.payload_remaining > 0 {
            Err(SendError::PayloadPending)
        } else {
            Ok(())
        }
    }

    /// Whether a message may begin: not inside another one (section 5.4).
    #[inline]
    pub(crate) fn check_between_messages(&self) -> Result<(), SendError> {
        match self.state {
            State::Open if self.payload_remaining == 0 => Ok(()),
            _ => self.check_between_frames().and(Err(SendError::MessageUnfinished)),
        }
    }
}

impl<R: Role> Sender<R> {
    fn frame_size(len: usize) -> usize {
        frame::size(len, !R::IS_SERVER)
    }

    /// Appends a pending Pong, if it and `size` more bytes fit.
    #[inline]
    fn reserve<B: Buffer + ?Sized>(&mut self, size: usize, outbox: &mut B) -> Result<(), OutboxFull> {
        let pong = self.pong.as_ref().map_or(0, |pong| Self::frame_size(pong.len()));
        let needed = size.saturating_add(pong);
        if outbox.remaining() < needed {
            return Err(OutboxFull { needed });
        }
        if let Some(pong) = &self.pong {
            append(true, Opcode::Pong, &[], pong, &mut self.role, outbox);
            self.pong = None;
        }
        Ok(())
    }

    /// Appends a frame, whose payload comes in two parts, after a pending Pong: both or neither.
    #[inline(never)]
    fn append<B: Buffer + ?Sized>(
        &mut self,
        fin: bool,
        opcode: Opcode,
        lead: &[u8],
        rest: &[u8],
        outbox: &mut B,
    ) -> Result<(), OutboxFull> {
        self.reserve(Self::frame_size(lead.len() + rest.len()), outbox)?;
        append(fin, opcode, lead, rest, &mut self.role, outbox);
        Ok(())
    }

    /// Appends what is pending, all of it or nothing: a Close frame; or a Pong, and after it an
    /// idle Ping; or the response that refuses a request. Nothing is appended inside a frame.
    /// Returns whether the idle Ping was sent.
    pub(crate) fn transmit<B: Buffer + ?Sized>(
        &mut self,
        idle_ping: bool,
        outbox: &mut B,
    ) -> Result<bool, OutboxFull> {
        let code_bytes;
        let (opcode, payload) = match self.state {
            _ if self.payload_remaining > 0 => return Ok(false),
            // `ANSWERS` keeps the response out of a client's code.
            State::RefusalPending(status) if R::ANSWERS => {
                Reject::status(status).append(false, outbox)?;
                self.state = State::Ended;
                return Ok(false);
            }
            State::ClosePending(code) => {
                code_bytes = code.0.to_be_bytes();
                (Opcode::Close, if code == CloseCode::NO_STATUS { &[][..] } else { &code_bytes })
            }
            _ if idle_ping => (Opcode::Ping, &[][..]),
            _ => {
                self.reserve(0, outbox)?;
                return Ok(false);
            }
        };
        self.append(true, opcode, payload, &[], outbox)?;
        if opcode == Opcode::Close {
            self.state = State::Ended;
        }
        Ok(opcode == Opcode::Ping)
    }

    /// Appends a message in one frame.
    #[inline]
    pub(crate) fn send<B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        payload: &[u8],
        outbox: &mut B,
    ) -> Result<(), SendError> {
        self.check_between_messages()?;
        if self.pong.is_some() {
            return Ok(self.append(true, kind.into(), payload, &[], outbox)?);
        }
        let needed = Self::frame_size(payload.len());
        if outbox.remaining() < needed {
            return Err(OutboxFull { needed }.into());
        }
        frame::append_message(kind, payload, R::key(&self.role.mask()), outbox);
        Ok(())
    }

    /// Appends the header of a message in one frame, whose payload the caller then sends.
    pub(crate) fn send_header<B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        len: u64,
        outbox: &mut B,
    ) -> Result<R::Mask, SendError> {
        self.check_between_messages()?;
        // "the most significant bit MUST be 0" (section 5.2)
        if len > i64::MAX.unsigned_abs() {
            return Err(SendError::TooLong);
        }
        self.reserve(Header::size(len, !R::IS_SERVER), outbox)?;
        let mask = self.role.mask();
        Header { fin: true, opcode: kind.into(), len, key: R::key(&mask) }.append(outbox);
        self.payload_remaining = len;
        Ok(mask)
    }

    /// Appends a fragment of a message.
    pub(crate) fn send_piece<B: Buffer + ?Sized>(
        &mut self,
        fragment: Fragment<'_>,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let Fragment { lead, message, last } = fragment;
        let kind = message.kind();
        self.check_between_frames()?;
        let opcode = match self.state {
            State::Fragmented(begun) if begun == kind => Opcode::Continuation,
            State::Fragmented(_) => return Err(SendError::KindMismatch),
            #[cfg(feature = "deflate")]
            State::FragmentedCompressed(_) => return Err(SendError::KindMismatch),
            _ => kind.into(),
        };
        let mut memory = [0; 4];
        let lead = lead.map_or("", |lead| lead.encode_utf8(&mut memory)).as_bytes();
        self.append(last, opcode, lead, message.as_bytes(), outbox)?;
        self.state = if last { State::Open } else { State::Fragmented(kind) };
        Ok(())
    }

    /// Appends a message in one frame: compressed, or as it is if that is not longer.
    #[cfg(feature = "deflate")]
    pub(crate) fn send_deflated<C: Compress + ?Sized, B: Buffer + ?Sized>(
        &mut self,
        message: Message<'_>,
        compressor: &mut C,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let (kind, payload) = (message.kind(), message.as_bytes());
        self.check_between_messages()?;
        let Some(mut sending) = self.role.sending().copied() else { return Err(SendError::NotAgreed) };
        sending.check(true, compressor)?;
        let size = compressor.max_len(payload.len()).max(payload.len());
        self.reserve(Self::frame_size(size), outbox)?;
        let header = Header { fin: true, opcode: kind.into(), len: 0, key: R::key(&self.role.mask()) };
        let appended = header.append_written(true, size, outbox, |out| {
            // It would not get shorter.
            if payload.is_empty() { None } else { sending.compress_message(payload, compressor, out) }
        });
        if !appended {
            frame::append_message(kind, payload, header.key, outbox);
        }
        self.set_sending(sending);
        Ok(())
    }

    #[cfg(feature = "deflate")]
    fn set_sending(&mut self, sending: Sending) {
        if let Some(to) = self.role.sending() {
            *to = sending;
        }
    }

    /// Appends a fragment of a compressed message.
    #[cfg(feature = "deflate")]
    pub(crate) fn send_piece_deflated<C: Compress + ?Sized, B: Buffer + ?Sized>(
        &mut self,
        fragment: Fragment<'_>,
        compressor: &mut C,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        if !outbox.grow(0) {
            // It can only be appended to: no fragment of the message is compressed.
            return self.send_piece(fragment, outbox);
        }
        let Fragment { lead, message, last } = fragment;
        let kind = message.kind();
        self.check_between_frames()?;
        let (opcode, is_first) = match self.state {
            State::FragmentedCompressed(begun) if begun == kind => (Opcode::Continuation, false),
            State::FragmentedCompressed(_) | State::Fragmented(_) => return Err(SendError::KindMismatch),
            _ => (kind.into(), true),
        };
        let Some(mut sending) = self.role.sending().copied() else { return Err(SendError::NotAgreed) };
        sending.check(is_first, compressor)?;
        let mut memory = [0; 4];
        let lead = lead.map_or("", |lead| lead.encode_utf8(&mut memory)).as_bytes();
        let payload = message.as_bytes();
        // An empty block at the end takes one byte.
        let size = compressor
            .max_len(payload.len())
            .saturating_add(compressor.max_len(lead.len()))
            .saturating_add(1);
        self.reserve(Self::frame_size(size), outbox)?;
        let header = Header { fin: last, opcode, len: 0, key: R::key(&self.role.mask()) };
        header.append_written(is_first, size, outbox, |out| {
            Some(sending.compress_fragment([lead, payload], is_first, last, compressor, out))
        });
        self.set_sending(sending);
        self.state = if last { State::Open } else { State::FragmentedCompressed(kind) };
        Ok(())
    }

    /// Appends the caller's Ping, Pong or Close frame. After a Close frame, nothing but Pongs is
    /// sent.
    pub(crate) fn send_control<B: Buffer + ?Sized>(
        &mut self,
        opcode: Opcode,
        lead: &[u8],
        rest: &[u8],
        outbox: &mut B,
    ) -> Result<(), SendError> {
        // Our own Close frame was a frame: no payload is pending after it.
        if !(opcode == Opcode::Pong && self.is_ended()) {
            self.check_between_frames()?;
        }
        if lead.len() + rest.len() > MAX_CONTROL {
            return Err(SendError::TooLong);
        }
        self.append(true, opcode, lead, rest, outbox)?;
        if opcode == Opcode::Close {
            self.state = State::Ended;
        }
        Ok(())
    }
}

/// Appends a frame whose payload comes in two parts. There must be capacity for it.
#[inline(never)]
fn append<R: Role, B: Buffer + ?Sized>(
    fin: bool,
    opcode: Opcode,
    lead: &[u8],
    rest: &[u8],
    role: &mut R,
    outbox: &mut B,
) {
    let key = R::key(&role.mask());
    Header { fin, opcode, len: (lead.len() + rest.len()) as u64, key }.append(outbox);
    match key {
        None => {
            outbox.append(lead);
            outbox.append(rest);
        }
        Some(key) => {
            outbox.append_masked(lead, key);
            let mut mask = Mask::new(key);
            mask.advance(lead.len());
            outbox.append_masked(rest, mask.key());
        }
    }
}
