//! What a connection needs of the world: a stream of bytes, and a clock. Both are polled.

use core::task::{Context, Poll};
use core::time::Duration;

/// A stream of bytes in both directions.
///
/// Each call does what it can at once, or returns [`Poll::Pending`] and wakes the task of `cx` when
/// it is worth calling again. A call that returned `Pending` has had no effect, and need not be
/// repeated with the same arguments. A read and a write can be pending at the same time.
///
/// A write may come with a waker that does nothing. The next write has the task's waker again.
pub trait Transport {
    /// Why reading or writing failed.
    type Error;

    /// Whether written bytes may stay in the stream until it is flushed, as in a TLS stream.
    const BUFFERS: bool = true;

    /// Reads into the front of `buffer`, which is not empty: how many bytes. 0 is the end of the
    /// stream.
    ///
    /// # Errors
    /// The stream's error: nothing more can be read.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Self::Error>>;

    /// Writes the front of `first`, and once `first` is written the front of `second`: how many
    /// bytes of both together. At least one of them is not empty. 0: the stream takes no more
    /// bytes.
    ///
    /// # Errors
    /// The stream's error: nothing more can be written.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<Result<usize, Self::Error>>;

    /// Sends on all that was written before.
    ///
    /// # Errors
    /// The stream's error: nothing more can be written.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Ends our side of the stream, so that the peer reads its end. Reading goes on.
    ///
    /// # Errors
    /// The stream's error.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;
}

/// A clock with one alarm.
pub trait Clock {
    /// The time since any fixed moment.
    fn now(&self) -> Duration;

    /// Ready once the time is `at`. Until then, it wakes the task of `cx` at that time or before. A
    /// call replaces the alarm of the one before.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()>;
}

/// A clock that stands still: nothing times out.
///
/// A peer that is silent or reads nothing then holds its connection for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    fn poll_until(&mut self, _: &mut Context<'_>, _: Duration) -> Poll<()> {
        Poll::Pending
    }
}
