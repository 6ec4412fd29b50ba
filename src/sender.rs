//! The sending half of a connection: messages to frames, and the pending answers to the peer (RFC 6455 sections 5.1, 5.4,
//! 5.5 and 6.1).
//!
//! | state | entered by | left by |
//! |---|---|---|
//! | `Connecting` | a new connection | the end of the handshake |
//! | `Open` | the handshake; a message's last frame | `send_piece`, `send_header`, any end |
//! | `Fragmented` | a fragment that is not the last | the last fragment, any end |
//! | `Payload` | `send_header` | `payload_sent` of all of it, to the state that it holds |
//! | `LastPending` | the peer's Close frame or error, a bad request | `transmit` |
//! | `Ended` | `close`, `transmit` of what was pending, the end of the connection | |
//!
//! A Close is only ever queued by leaving the open states, and only those let data frames begin: so none follows a Close.

use crate::data::{ControlPayload, Fragment, Kind};
use crate::frame::{self, Header, MAX_CONTROL, Mask, Opcode, header_size};
use crate::{Buffer, CloseCode, OutboxFull, Reject, Role, SendError};

#[derive(Debug)]
pub(crate) struct Sender {
    state: State,
    /// The payload of a pending Pong. "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to
    /// previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame"
    /// (section 5.5.3): a later one replaces an earlier one, and the end of the connection removes it. (After our own Close
    /// frame, Pings are still answered until the peer's.)
    pong: Option<ControlPayload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The opening handshake is not complete.
    Connecting,
    /// Between messages.
    Open,
    /// Inside a fragmented message of this kind.
    Fragmented(Kind),
    /// Inside a frame: the caller sends this many bytes of payload, and nothing else may be sent.
    Payload { remaining: u64, then: Then },
    /// A last one is pending.
    LastPending(Last),
    /// Our Close frame, or a refusal, has been sent, or nothing is to be sent any more.
    Ended,
}

/// What follows a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Open,
    Close(CloseCode),
    Ended,
}

/// What is sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// A Close frame with this code; an empty one for 1005.
    Close(CloseCode),
    /// An HTTP response with this status.
    Refusal(u16),
}

/// Where frames go: what masks them, and the outbox. They travel together.
pub(crate) struct Output<'o, R, B: ?Sized> {
    pub(crate) role: &'o mut R,
    pub(crate) outbox: &'o mut B,
}

impl<R: Role, B: Buffer + ?Sized> Output<'_, R, B> {
    fn size(len: usize) -> usize {
        frame::size(len, !R::IS_SERVER)
    }

    /// Appends a frame whose payload comes in two parts. There must be capacity for it.
    #[inline(never)]
    fn append(&mut self, fin: bool, opcode: Opcode, lead: &[u8], rest: &[u8]) {
        let key = R::key(&self.role.mask());
        Header { fin, opcode, len: (lead.len() + rest.len()) as u64, mask: key }.append(self.outbox);
        match key {
            None => {
                self.outbox.append(lead);
                self.outbox.append(rest);
            }
            Some(key) => {
                let mut mask = Mask::new(key);
                self.outbox.append_masked(lead, key);
                mask.advance(lead.len());
                self.outbox.append_masked(rest, mask.key());
            }
        }
    }
}

impl Sender {
    const fn new(state: State) -> Self {
        Self { state, pong: None }
    }

    pub(crate) const fn connecting() -> Self {
        Self::new(State::Connecting)
    }

    pub(crate) const fn open() -> Self {
        Self::new(State::Open)
    }

    pub(crate) const fn ended() -> Self {
        Self::new(State::Ended)
    }

    /// The response that refuses a request is pending.
    pub(crate) const fn refusing(status: u16) -> Self {
        Self::new(State::LastPending(Last::Refusal(status)))
    }

    /// Whether neither side has closed and nothing has failed.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Fragmented(_) | State::Payload { then: Then::Open, .. })
    }

    /// Whether nothing is pending, and nothing but Pongs will be.
    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Payload { then: Then::Ended, .. })
    }

    /// Answers a Ping.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) {
        let pong = self.pong.insert(ControlPayload::new());
        // A Ping's payload fits.
        let _ = pong.extend_from_slice(payload);
    }

    /// Sends a Close frame with this code as soon as possible, unless one has been sent, and then nothing.
    pub(crate) fn queue_close(&mut self, code: CloseCode) {
        self.pong = None;
        match &mut self.state {
            State::Payload { then, .. } => *then = Then::Close(code),
            State::Ended => {}
            state => *state = State::LastPending(Last::Close(code)),
        }
    }

    /// Sends nothing any more. (The caller may still report the payload that it is sending.)
    pub(crate) fn end(&mut self) {
        self.pong = None;
        match &mut self.state {
            State::Payload { then, .. } => *then = Then::Ended,
            state => *state = State::Ended,
        }
    }

    /// Whether it is open between messages with no Pong pending: nothing to transmit.
    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Open) && self.pong.is_none()
    }

    /// Appends what is pending, all of it or nothing. `false` inside a frame: nothing may be sent there.
    pub(crate) fn transmit<R: Role, B: Buffer + ?Sized>(
        &mut self,
        idle_ping: bool,
        mut output: Output<'_, R, B>,
    ) -> Result<bool, OutboxFull> {
        match self.state {
            // No client has it: there it is not even linked.
            State::LastPending(Last::Refusal(status)) if R::ANSWERS => {
                Reject::status(status).append(output.outbox)?;
            }
            State::LastPending(Last::Close(code)) => {
                let bytes = code.0.to_be_bytes();
                let payload = if code == CloseCode::NO_STATUS { &[][..] } else { &bytes };
                self.append(Opcode::Close, payload, &[], &mut output)?;
            }
            State::Payload { .. } => return Ok(false),
            _ if idle_ping => self.append(Opcode::Ping, &[], &[], &mut output)?,
            _ => self.reserve(0, &mut output)?,
        }
        if let State::LastPending(_) = self.state {
            self.state = State::Ended;
        }
        Ok(true)
    }

    /// Checks that `size` bytes fit behind a pending Pong, which it appends.
    #[inline]
    fn reserve<R: Role, B: Buffer + ?Sized>(
        &mut self,
        size: usize,
        output: &mut Output<'_, R, B>,
    ) -> Result<(), OutboxFull> {
        let pong = self.pong.as_ref().map_or(0, |pong| Output::<R, B>::size(pong.len()));
        let needed = size.saturating_add(pong);
        if output.outbox.remaining() < needed {
            return Err(OutboxFull { needed });
        }
        if let Some(pong) = &self.pong {
            output.append(true, Opcode::Pong, &[], pong);
            self.pong = None;
        }
        Ok(())
    }

    /// Appends a control frame behind a pending Pong: both or neither.
    fn append<R: Role, B: Buffer + ?Sized>(
        &mut self,
        opcode: Opcode,
        lead: &[u8],
        rest: &[u8],
        output: &mut Output<'_, R, B>,
    ) -> Result<(), OutboxFull> {
        self.reserve(Output::<R, B>::size(lead.len() + rest.len()), output)?;
        output.append(true, opcode, lead, rest);
        Ok(())
    }

    /// Appends a message in one frame.
    #[inline]
    pub(crate) fn send<R: Role, B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        payload: &[u8],
        mut output: Output<'_, R, B>,
    ) -> Result<(), SendError> {
        self.check_between_messages()?;
        if self.pong.is_some() {
            return self.send_after_pong(kind, payload, output);
        }
        self.reserve(Output::<R, B>::size(payload.len()), &mut output)?;
        frame::append_message(kind, payload, R::key(&output.role.mask()), output.outbox);
        Ok(())
    }

    /// Outlined: passing the outbox to a call forces its length out of a register on the hot path.
    #[cold]
    #[inline(never)]
    fn send_after_pong<R: Role, B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        payload: &[u8],
        mut output: Output<'_, R, B>,
    ) -> Result<(), SendError> {
        self.reserve(Output::<R, B>::size(payload.len()), &mut output)?;
        self.send(kind, payload, output)
    }

    /// Appends the header of a message in one frame, whose payload the caller then sends.
    pub(crate) fn send_header<R: Role, B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        len: u64,
        mut output: Output<'_, R, B>,
    ) -> Result<R::Mask, SendError> {
        self.check_between_messages()?;
        if len > i64::MAX.unsigned_abs() {
            return Err(SendError::TooLong);
        }
        self.reserve(header_size(len, !R::IS_SERVER), &mut output)?;
        let mask = output.role.mask();
        Header { fin: true, opcode: kind.into(), len, mask: R::key(&mask) }.append(output.outbox);
        if len > 0 {
            self.state = State::Payload { remaining: len, then: Then::Open };
        }
        Ok(mask)
    }

    /// Notes that the caller has sent payload.
    pub(crate) fn payload_sent(&mut self, len: u64) -> Result<(), SendError> {
        match &mut self.state {
            State::Payload { remaining, then } => {
                *remaining = remaining.checked_sub(len).ok_or(SendError::PayloadExceeded)?;
                if *remaining == 0 {
                    self.state = match *then {
                        Then::Open => State::Open,
                        Then::Close(code) => State::LastPending(Last::Close(code)),
                        Then::Ended => State::Ended,
                    };
                }
                Ok(())
            }
            _ if len == 0 => Ok(()),
            _ => Err(SendError::PayloadExceeded),
        }
    }

    /// Appends a fragment of a message.
    pub(crate) fn send_piece<R: Role, B: Buffer + ?Sized>(
        &mut self,
        fragment: Fragment<'_>,
        mut output: Output<'_, R, B>,
    ) -> Result<(), SendError> {
        let Fragment { lead, message, last } = fragment;
        let kind = message.kind();
        self.check_between_frames()?;
        let opcode = match self.state {
            State::Fragmented(begun) if begun == kind => Opcode::Continuation,
            State::Fragmented(_) => return Err(SendError::OtherKind),
            _ => kind.into(),
        };
        let mut memory = [0; 4];
        let lead = lead.map_or("", |lead| lead.encode_utf8(&mut memory)).as_bytes();
        let rest = message.as_bytes();
        self.reserve(Output::<R, B>::size(lead.len() + rest.len()), &mut output)?;
        output.append(last, opcode, lead, rest);
        self.state = if last { State::Open } else { State::Fragmented(kind) };
        Ok(())
    }

    /// Appends the caller's Ping.
    pub(crate) fn ping<R: Role, B: Buffer + ?Sized>(
        &mut self,
        payload: &[u8],
        mut output: Output<'_, R, B>,
    ) -> Result<(), SendError> {
        self.check_between_frames()?;
        if payload.len() > MAX_CONTROL {
            return Err(SendError::TooLong);
        }
        Ok(self.append(Opcode::Ping, &[], payload, &mut output)?)
    }

    /// Appends the caller's Close frame, after which nothing but Pongs is sent.
    pub(crate) fn close<R: Role, B: Buffer + ?Sized>(
        &mut self,
        code: &[u8],
        reason: &[u8],
        mut output: Output<'_, R, B>,
    ) -> Result<(), SendError> {
        self.check_between_frames()?;
        if code.len() + reason.len() > MAX_CONTROL {
            return Err(SendError::TooLong);
        }
        self.append(Opcode::Close, code, reason, &mut output)?;
        self.state = State::Ended;
        Ok(())
    }

    /// Whether a frame may begin now: "an endpoint MUST ensure the WebSocket connection is in an OPEN state"
    /// (section 6.1).
    fn check_between_frames(&self) -> Result<(), SendError> {
        match self.state {
            State::Open | State::Fragmented(_) => Ok(()),
            State::Payload { then: Then::Open, .. } => Err(SendError::PayloadOwed),
            _ => Err(SendError::NotOpen),
        }
    }

    /// Whether a whole message may be sent now: not inside another one (section 5.4).
    #[inline]
    pub(crate) fn check_between_messages(&self) -> Result<(), SendError> {
        // One comparison on the hot path.
        if let State::Open = self.state {
            Ok(())
        } else {
            self.check_between_frames().and(Err(SendError::InsideMessage))
        }
    }
}
