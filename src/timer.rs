//! The one timer of a connection: it limits the handshake and the closing, and checks that the peer
//! of an open connection is alive.

use crate::config::Millis;
use core::time::Duration;

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Timer {
    Off,
    /// It starts with the next `handle_timeout`, with the timeout of the connection's state.
    Armed,
    /// It runs until this deadline.
    Running(Phase, Duration),
}

/// The phase that the timer limits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// The opening handshake.
    Handshake,
    /// Open, until a sign of life: input, or payload that the transport takes. At the deadline an
    /// idle Ping becomes pending.
    Idle,
    /// As `Idle`, with an idle Ping pending. At the deadline the connection fails; without a Pong
    /// timeout, another Ping becomes pending.
    PingPending,
    /// As `PingPending`, with the Ping sent.
    PingSent,
    /// The closing handshake, and for a client the wait for the end of the stream.
    Closing,
}

impl Timer {
    /// Armed, unless the timeout is never.
    pub(crate) const fn armed(timeout: Millis) -> Self {
        if timeout.is_never() { Self::Off } else { Self::Armed }
    }

    pub(crate) fn start(timeout: Millis, now: Duration, phase: Phase) -> Self {
        timeout.get().map_or(Self::Off, |timeout| Self::Running(phase, now.saturating_add(timeout)))
    }

    /// When it acts: `ZERO` for at once.
    pub(crate) const fn deadline(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Armed => Some(Duration::ZERO),
            Self::Running(_, deadline) => Some(deadline),
        }
    }

    /// Whether it acts at `now`.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        match self {
            Self::Off => false,
            Self::Armed => true,
            Self::Running(_, deadline) => now >= *deadline,
        }
    }

    /// Notes that the peer is alive: on an open connection it begins anew.
    #[inline(always)]
    pub(crate) fn note_activity(&mut self) {
        if let Self::Running(Phase::Idle | Phase::PingPending | Phase::PingSent, _) = self {
            *self = Self::Armed;
        }
    }

    pub(crate) const fn is_ping_pending(self) -> bool {
        matches!(self, Self::Running(Phase::PingPending, _))
    }

    /// Notes that the pending idle Ping, if there is one, has been sent.
    pub(crate) fn note_ping_sent(&mut self) {
        if let Self::Running(phase @ Phase::PingPending, _) = self {
            *phase = Phase::PingSent;
        }
    }
}
