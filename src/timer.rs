//! The one timer of a connection: it limits the handshake and the closing, and watches that an open peer is alive.

use crate::config::Millis;
use core::time::Duration;

/// What happens when time passes. Each running state has its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Off,
    /// Starts with the next call of `handle_timeout`.
    Armed,
    /// The handshake, or the closing, must be complete by then.
    Limit(Duration),
    /// Open: where the peer sends nothing until then, an idle Ping follows.
    Idle(Duration),
    /// Open: an idle Ping is pending, and the peer must send something by then.
    PingPending(Duration),
    /// Open: an idle Ping is sent, and the peer must send something by then.
    PingSent(Duration),
}

impl Timer {
    /// Armed, unless the timeout is for ever.
    pub(crate) fn armed(timeout: Millis) -> Self {
        if timeout == Millis::NEVER { Self::Off } else { Self::Armed }
    }

    /// Runs from `now` on in the state that `running` makes of the deadline.
    pub(crate) fn start(timeout: Millis, now: Duration, running: fn(Duration) -> Self) -> Self {
        timeout.get().map_or(Self::Off, |timeout| running(now.saturating_add(timeout)))
    }

    pub(crate) const fn deadline(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Armed => Some(Duration::ZERO),
            Self::Limit(at) | Self::Idle(at) | Self::PingPending(at) | Self::PingSent(at) => Some(at),
        }
    }

    /// The peer has sent something: an open connection's silence begins anew.
    #[inline(always)]
    pub(crate) fn note_activity(&mut self) {
        if let Self::Idle(_) | Self::PingPending(_) | Self::PingSent(_) = self {
            *self = Self::Armed;
        }
    }

    pub(crate) const fn is_ping_pending(self) -> bool {
        matches!(self, Self::PingPending(_))
    }

    pub(crate) fn ping_sent(&mut self) {
        if let Self::PingPending(deadline) = *self {
            *self = Self::PingSent(deadline);
        }
    }
}
