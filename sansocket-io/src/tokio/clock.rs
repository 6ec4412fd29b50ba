//! [`Clock`] with one timer of tokio for each connection, which is moved lazily.

use crate::Clock;
use ::tokio::task::unconstrained;
use ::tokio::time::{Instant, Sleep, sleep_until};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::boxed::Box;

/// tokio's clock.
///
/// The deadlines of a busy connection move with each message, and almost always to a later time.
/// The timer is not moved with them: it runs out at the old time, and is set anew then. So a
/// message costs a comparison, and not a registration with the runtime.
#[derive(Debug)]
pub struct TokioClock {
    start: Instant,
    alarm: Option<Alarm>,
}

#[derive(Debug)]
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it goes off.
    at: Duration,
    /// Of the task that it wakes.
    waker: Waker,
}

impl TokioClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), alarm: None }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        if let Some(alarm) = &self.alarm
            && alarm.at <= at
            && alarm.waker.will_wake(cx.waker())
            && !alarm.sleep.is_elapsed()
        {
            return Poll::Pending;
        }
        // A time that the clock cannot express never comes.
        let Some(deadline) = self.start.checked_add(at) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Alarm {
            sleep: Box::pin(sleep_until(deadline)),
            at,
            waker: Waker::noop().clone(),
        });
        if alarm.at > at {
            alarm.set(at, deadline);
        }
        // The timer of a task that has used up its budget would not be registered, and not wake it.
        while pin!(unconstrained(alarm.sleep.as_mut())).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.set(at, deadline);
        }
        alarm.waker.clone_from(cx.waker());
        Poll::Pending
    }
}

impl Alarm {
    fn set(&mut self, at: Duration, deadline: Instant) {
        self.sleep.as_mut().reset(deadline);
        self.at = at;
    }
}
