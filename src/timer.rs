//! The one timer of a connection: it limits the handshake and the closing, and checks that the peer
//! of an open connection is alive.
//!
//! It stores no timeout: that of its phase is looked up in the [`Config`] whenever it is needed, so
//! a changed one is in effect at once.

use crate::Config;
use crate::config::Millis;
use core::time::Duration;

// `note_input` is on the fast path: in this order, it writes phase and count in one store.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Timer {
    /// When the timeout of the phase has passed. `None`: the timer is armed, it starts with the
    /// next `handle_timeout`. `Some(None)`: never, because it would be after [`Duration::MAX`].
    deadline: Option<Option<Duration>>,
    phase: Phase,
    /// While the connection is open: the length of the last input that waited for the rest of its
    /// frame; 0 since input was received. While it is closing: how many unsent bytes may be our
    /// Close frame or ahead of it; at most `u32::MAX`, which is also the value before the first
    /// report.
    count: u32,
}

/// What the timer limits. From `Idle` on, the connection is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Phase {
    /// Nothing.
    Off,
    /// The opening handshake.
    Handshake,
    /// The closing handshake, and for a client the wait for the end of the stream.
    Closing,
    /// The silence of the peer. At the deadline an idle Ping becomes pending.
    Idle,
    /// The same with an idle Ping pending, until input. At the deadline the connection fails;
    /// without a Pong timeout, another Ping becomes pending.
    PingPending,
    /// As `PingPending`, with the Ping in the outbox.
    PingQueued,
    /// As `PingPending`, with the Ping taken by the transport.
    PingSent,
}

impl Timer {
    pub(crate) const fn armed(phase: Phase) -> Self {
        Self { deadline: None, phase, count: if matches!(phase, Phase::Closing) { u32::MAX } else { 0 } }
    }

    /// The timeout of the phase. Without a Pong timeout, silence leads to further Pings.
    pub(crate) const fn timeout(&self, config: &Config) -> Millis {
        match self.phase {
            Phase::Off => Millis::NEVER,
            Phase::Handshake => config.handshake_timeout,
            Phase::Closing => config.closing_timeout,
            Phase::PingPending | Phase::PingQueued | Phase::PingSent if !config.pong_timeout.is_never() => {
                config.pong_timeout
            }
            _ => config.idle_ping,
        }
    }

    /// When to call [`advance`](Self::advance): `ZERO` for at once.
    pub(crate) const fn deadline(&self, config: &Config) -> Option<Duration> {
        if self.timeout(config).is_never() {
            return None;
        }
        match self.deadline {
            None => Some(Duration::ZERO),
            Some(deadline) => deadline,
        }
    }

    /// Starts it if it is armed. Returns the phase if its timeout has passed.
    ///
    /// If the deadline is further away than the timeout, it starts anew: the time has gone back.
    pub(crate) fn advance(&mut self, config: &Config, now: Duration) -> Option<Phase> {
        let latest = now.checked_add(self.timeout(config).get()?);
        match self.deadline {
            Some(Some(deadline)) if deadline <= now => return Some(self.phase),
            Some(Some(deadline)) if latest.is_none_or(|latest| deadline <= latest) => {}
            _ => self.deadline = Some(latest),
        }
        None
    }

    /// Starts a phase at `now`.
    pub(crate) fn start(&mut self, phase: Phase, config: &Config, now: Duration) {
        self.phase = phase;
        self.restart();
        let _ = self.advance(config, now);
    }

    /// Starts the timeout of the phase anew.
    pub(crate) const fn restart(&mut self) {
        self.deadline = None;
    }

    /// Notes input. On an open connection the silence begins anew, and an idle Ping is not needed
    /// any more.
    #[inline(always)]
    pub(crate) fn note_input(&mut self) {
        if self.phase >= Phase::Idle {
            *self = Self::armed(Phase::Idle);
        }
    }

    /// Notes input of this length that waits for the rest of its frame. If the length is another
    /// one than before, bytes have arrived. (Lengths that differ by 4 GiB count as equal.)
    pub(crate) fn note_waiting(&mut self, len: usize) {
        let len = len as u32;
        if self.phase >= Phase::Idle && self.count != len {
            *self = Self { count: len, ..Self::armed(Phase::Idle) };
        }
    }

    /// Notes that the transport has taken `sent` bytes, and `left` are still unsent.
    ///
    /// Once the kernel's buffer is full, a backlog moves only while the peer acknowledges bytes:
    /// the peer is alive, and a Ping behind the backlog could not be answered yet. The end of
    /// the output says less: a kernel takes small writes long after the peer is gone. But until
    /// the Ping is taken, its Pong cannot be late, and until a client's request is taken, nor
    /// can the response.
    ///
    /// Behind our Close frame only Pongs follow. A peer that sends Pings, and always leaves a Pong
    /// unread, must not hold a closing connection for ever: so only what was unsent at the first
    /// report counts.
    pub(crate) fn note_output(&mut self, sent: u64, left: u64) {
        let is_all = match self.phase {
            Phase::Off => return,
            Phase::Closing => {
                let until_close = left.min(u64::from(self.count).saturating_sub(sent));
                // It is at most the `u32` that it was.
                self.count = until_close as u32;
                until_close == 0
            }
            _ => left == 0,
        };
        match self.phase {
            Phase::Closing | Phase::Idle | Phase::PingSent if is_all => return,
            Phase::PingQueued if is_all => self.phase = Phase::PingSent,
            _ => {}
        }
        self.restart();
    }

    pub(crate) const fn is_ping_pending(&self) -> bool {
        matches!(self.phase, Phase::PingPending)
    }

    /// Notes that the pending idle Ping is in the outbox.
    pub(crate) const fn note_ping_queued(&mut self) {
        self.phase = Phase::PingQueued;
    }
}
