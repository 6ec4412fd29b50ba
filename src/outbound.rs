//! What is sent: messages to frames, and what is owed (RFC 6455 sections 5.1, 5.4, 5.5 and 6.1).

use crate::data::{ControlPayload, Fragment, Kind};
use crate::frame::{self, Header, MAX_CONTROL, Mask, Opcode, header_size};
use crate::{Buffer, CloseCode, IS_64_BIT, OutboxFull, Reject, Role, SendError};

/// The sending half of an open connection.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// The kind of the message whose last fragment has not been sent.
    message: Option<Kind>,
    /// How much payload the caller owes to the frame whose header was sent last.
    payload: u64,
}

/// What both halves of a connection know: the receiving one sets what is owed, the sending one transmits it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) phase: Phase,
    pub(crate) owed: Owed,
    /// What an owed Pong carries. In `Owed` it would have to be moved there, over the stack.
    pub(crate) pong: ControlPayload,
    pub(crate) idle: Idle,
}

/// Whether an idle peer has been pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Something has come since the last idle Ping.
    Quiet,
    PingOwed,
    PingSent,
}

/// How far a connection is, with who has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Open,
    /// Our Close frame is out, the peer's has not come.
    CloseSent,
    /// The peer's Close frame has come, our reply is owed.
    CloseReceived,
    /// A client, after both Close frames: the server ends the stream (section 7.1.1).
    BothClosed,
    /// The connection has failed, and what says so to the peer is owed.
    Failed,
    Closed,
}

/// The one slot of owed output. "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to
/// previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame"
/// (section 5.5.3): a later Pong takes an earlier one's place, and a Close or a refusal, after which nothing else may be
/// sent, takes any Pong's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    Nothing,
    Pong,
    /// A Close frame with this code, an empty one for 1005.
    Close(CloseCode),
    /// An HTTP response with this status.
    Refusal(u16),
}

impl Shared {
    /// Owes a Pong with this payload.
    pub(crate) fn owe_pong(&mut self, payload: &[u8]) {
        self.owed = Owed::Pong;
        self.pong.clear();
        // A Ping's payload fits.
        let _ = self.pong.extend_from_slice(payload);
    }

    /// Sees that there is room for `size` octets and for an owed Pong, which it appends.
    #[inline]
    fn make_room<R: Role, B: Buffer + ?Sized>(
        &mut self,
        size: usize,
        role: &mut R,
        outbox: &mut B,
    ) -> Result<(), OutboxFull> {
        let is_owed = self.owed == Owed::Pong;
        let pong = if is_owed { frame::size(self.pong.len(), !R::IS_SERVER) } else { 0 };
        let needed = size.saturating_add(pong);
        if outbox.room() < needed {
            return Err(OutboxFull { needed });
        }
        if is_owed {
            append(true, Opcode::Pong, &[], &self.pong, role, outbox);
            self.owed = Owed::Nothing;
        }
        Ok(())
    }

    /// Appends a control frame, an owed Pong first: both or neither.
    #[inline(always)]
    fn put<R: Role, B: Buffer + ?Sized>(
        &mut self,
        opcode: Opcode,
        lead: &[u8],
        rest: &[u8],
        role: &mut R,
        outbox: &mut B,
    ) -> Result<(), OutboxFull> {
        self.make_room(frame::size(lead.len() + rest.len(), !R::IS_SERVER), role, outbox)?;
        append(true, opcode, lead, rest, role, outbox);
        Ok(())
    }

    /// Appends all that is owed, or nothing: whether it was a Close frame or a refusal, after which nothing is sent.
    fn transmit<R: Role, B: Buffer + ?Sized>(
        &mut self,
        role: &mut R,
        outbox: &mut B,
    ) -> Result<bool, OutboxFull> {
        match self.owed {
            // No client owes it: there it is not even linked.
            Owed::Refusal(status) if R::ANSWERS => Reject::status(status).append(outbox)?,
            Owed::Close(code) => {
                let octets = code.0.to_be_bytes();
                let payload = if code == CloseCode::NO_STATUS { &[][..] } else { &octets };
                self.put(Opcode::Close, payload, &[], role, outbox)?;
            }
            _ if self.idle == Idle::PingOwed => self.put(Opcode::Ping, &[], &[], role, outbox)?,
            _ => self.make_room(0, role, outbox)?,
        }
        let last = matches!(self.owed, Owed::Close(_) | Owed::Refusal(_));
        self.owed = Owed::Nothing;
        if self.idle == Idle::PingOwed {
            self.idle = Idle::PingSent;
        }
        Ok(last)
    }
}

/// Appends a frame, whose payload comes in two parts; the caller has seen that there is room. (Out of the way of whole
/// messages, which have a shorter one.)
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
    Header { fin, opcode, len: (lead.len() + rest.len()) as u64, mask: key }.append(outbox);
    match key {
        None => {
            outbox.append(lead);
            outbox.append(rest);
        }
        Some(key) => {
            let mut mask = Mask::new(key);
            outbox.append_masked(lead, key);
            mask.advance(lead.len());
            outbox.append_masked(rest, mask.key());
        }
    }
}

impl Outbound {
    /// Appends all that is owed, or nothing: whether it was a Close frame or a refusal, after which nothing is sent.
    /// Nothing is put into a frame whose payload the caller owes.
    #[inline]
    pub(crate) fn transmit<R: Role, B: Buffer + ?Sized>(
        &self,
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<bool, OutboxFull> {
        let nothing = shared.owed == Owed::Nothing && shared.idle != Idle::PingOwed;
        if nothing || self.payload > 0 { Ok(false) } else { shared.transmit(role, outbox) }
    }

    /// Appends a message in one frame.
    #[inline]
    pub(crate) fn send<R: Role, B: Buffer + ?Sized>(
        &self,
        kind: Kind,
        payload: &[u8],
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        self.check_whole(shared)?;
        if IS_64_BIT && shared.owed == Owed::Pong {
            return self.send_behind_pong(kind, payload, role, shared, outbox);
        }
        shared.make_room(frame::size(payload.len(), !R::IS_SERVER), role, outbox)?;
        frame::append_message(kind, payload, R::key(&role.mask()), outbox);
        Ok(())
    }

    /// Out of the way of [`send`](Self::send): behind a call that is lent the outbox, the compiler no longer keeps its
    /// length in a register. (A 32-bit core has few of them, and saves the flash.)
    #[cold]
    #[inline(never)]
    fn send_behind_pong<R: Role, B: Buffer + ?Sized>(
        &self,
        kind: Kind,
        payload: &[u8],
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        shared.make_room(frame::size(payload.len(), !R::IS_SERVER), role, outbox)?;
        self.send(kind, payload, role, shared, outbox)
    }

    /// Appends the header of a message in one frame, whose payload the caller then owes.
    pub(crate) fn send_header<R: Role, B: Buffer + ?Sized>(
        &mut self,
        kind: Kind,
        len: u64,
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<R::Mask, SendError> {
        self.check_whole(shared)?;
        if len > i64::MAX.unsigned_abs() {
            return Err(SendError::TooLong);
        }
        shared.make_room(header_size(len, !R::IS_SERVER), role, outbox)?;
        let mask = role.mask();
        let header = Header { fin: true, opcode: kind.into(), len, mask: R::key(&mask) };
        header.append(outbox);
        self.payload = len;
        Ok(mask)
    }

    /// Notes that the caller has sent payload.
    pub(crate) fn payload_sent(&mut self, len: u64) -> Result<(), SendError> {
        self.payload = self.payload.checked_sub(len).ok_or(SendError::PayloadExceeded)?;
        Ok(())
    }

    /// Appends a fragment of a message.
    pub(crate) fn send_piece<R: Role, B: Buffer + ?Sized>(
        &mut self,
        fragment: Fragment<'_>,
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        let Fragment { lead, message, last } = fragment;
        let kind = message.kind();
        self.check(shared)?;
        let opcode = match self.message {
            None => kind.into(),
            Some(begun) if begun == kind => Opcode::Continuation,
            Some(_) => return Err(SendError::OtherKind),
        };
        let mut memory = [0; 4];
        let lead = lead.map_or("", |lead| lead.encode_utf8(&mut memory));
        let (lead, rest) = (lead.as_bytes(), message.as_bytes());
        shared.make_room(frame::size(lead.len() + rest.len(), !R::IS_SERVER), role, outbox)?;
        append(last, opcode, lead, rest, role, outbox);
        self.message = if last { None } else { Some(kind) };
        Ok(())
    }

    /// Appends a control frame of the caller's.
    pub(crate) fn send_control<R: Role, B: Buffer + ?Sized>(
        &self,
        opcode: Opcode,
        lead: &[u8],
        rest: &[u8],
        role: &mut R,
        shared: &mut Shared,
        outbox: &mut B,
    ) -> Result<(), SendError> {
        self.check(shared)?;
        if lead.len() + rest.len() > MAX_CONTROL {
            return Err(SendError::TooLong);
        }
        Ok(shared.put(opcode, lead, rest, role, outbox)?)
    }

    /// Whether a frame may begin now: "an endpoint MUST ensure the WebSocket connection is in an OPEN state"
    /// (section 6.1).
    #[inline]
    fn check(&self, shared: &Shared) -> Result<(), SendError> {
        if shared.phase != Phase::Open {
            return Err(SendError::NotOpen);
        }
        if self.payload > 0 {
            return Err(SendError::PayloadOwed);
        }
        Ok(())
    }

    /// Whether a whole message may be sent now: not inside another one (section 5.4).
    #[inline]
    pub(crate) fn check_whole(&self, shared: &Shared) -> Result<(), SendError> {
        self.check(shared)?;
        if self.message.is_some() { Err(SendError::InsideMessage) } else { Ok(()) }
    }
}
