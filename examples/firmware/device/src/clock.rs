//! The time since the start, in milliseconds, by the processor's own timer.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;

/// What the board runs at.
const HERTZ: u32 = 25_000_000;

static MILLIS: AtomicU32 = AtomicU32::new(0);

/// Starts the timer.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(HERTZ / 1000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

#[exception]
fn SysTick() {
    // Nobody else writes it; a Cortex-M0 could not add in one step.
    MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The time since the start. (It wraps after 49 days: a device that runs longer counts in 64 bits.)
pub fn now() -> Duration {
    Duration::from_millis(MILLIS.load(Ordering::Relaxed).into())
}
