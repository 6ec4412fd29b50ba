//! [`Clock`] with one timer of async-io for each connection, which is moved lazily.

use crate::Clock;
use async_io::Timer;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

/// The clock of async-io, which smol and async-std run on. It works on any executor.
///
/// The deadlines of a busy connection move with each message, and almost always to a later time.
/// The timer is not moved with them: it runs out at the old time, and is set anew then. So a
/// message costs a comparison, and not a registration with the reactor.
#[derive(Debug)]
pub struct AsyncIoClock {
    start: Instant,
    /// The timer, and when it runs out.
    alarm: Option<(Timer, Instant)>,
}

impl AsyncIoClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), alarm: None }
    }
}

impl Default for AsyncIoClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for AsyncIoClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        // A time that the clock cannot express never comes.
        let Some(at) = self.start.checked_add(at) else { return Poll::Pending };
        let (timer, set) = self.alarm.get_or_insert_with(|| (Timer::at(at), at));
        if *set > at {
            timer.set_at(at);
            *set = at;
        }
        // It registers nothing anew while the task is the same.
        while Pin::new(&mut *timer).poll(cx).is_ready() {
            if Instant::now() >= at {
                self.alarm = None;
                return Poll::Ready(());
            }
            timer.set_at(at);
            *set = at;
        }
        Poll::Pending
    }
}
