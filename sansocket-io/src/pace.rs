//! The deadline for bytes that wait to be written: how slowly a peer may read.

use core::time::Duration;

/// A peer that does not take all bytes within the timeout must take this many.
const PROGRESS: usize = 16 << 10;

/// The peer must take all unsent bytes, or 16 KiB, within the timeout; then a new timeout begins. A
/// deadline that moved at each byte would let a peer that takes a byte at a time hold the
/// connection for ever. A fixed one would end a slow, steady reader of much data.
#[derive(Default)]
pub(crate) struct Pace {
    /// `None` while the transport takes all bytes.
    deadline: Option<Duration>,
    /// How many bytes were taken since the deadline was set.
    taken: usize,
}

impl Pace {
    pub(crate) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Bytes are left that the transport does not take now.
    pub(crate) fn wait(&mut self, now: Duration, timeout: Option<Duration>) {
        if self.deadline.is_none() || self.taken >= PROGRESS {
            *self = Self { deadline: timeout.and_then(|timeout| now.checked_add(timeout)), taken: 0 };
        }
    }

    /// The transport has taken `count` bytes.
    pub(crate) fn taken(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count);
    }

    /// No byte is left.
    pub(crate) fn finish(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn the_deadline_moves_only_after_progress() {
        let mut pace = Pace::default();
        let seconds = Duration::from_secs;
        pace.wait(seconds(1), TIMEOUT);
        pace.taken(PROGRESS - 1);
        pace.wait(seconds(2), TIMEOUT);
        assert_eq!(pace.deadline(), Some(seconds(11)));
        pace.taken(1);
        pace.wait(seconds(3), TIMEOUT);
        assert_eq!(pace.deadline(), Some(seconds(13)));
        pace.finish();
        assert_eq!(pace.deadline(), None);
        pace.wait(seconds(4), None);
        assert_eq!(pace.deadline(), None);
    }
}
