//! [`Clock`] on the time driver of embassy.

use crate::Clock;
use ::embassy_time::{Instant, Timer};
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;

/// The clock of embassy, of any time driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyClock;

impl Clock for EmbassyClock {
    fn now(&self) -> Duration {
        Duration::from_micros(Instant::now().as_micros())
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        // Rounded up to the next tick: before it, the time has not come.
        let at = u64::try_from(at.as_micros()).ok().and_then(Instant::try_from_micros);
        match at.and_then(|at| at.checked_add(::embassy_time::Duration::from_ticks(1))) {
            // The driver wakes the task at this time, although the timer is dropped.
            Some(at) => pin!(Timer::at(at)).poll(cx),
            // A time that the clock cannot express never comes.
            None => Poll::Pending,
        }
    }
}
