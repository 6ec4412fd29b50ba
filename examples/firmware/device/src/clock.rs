//! The time since the start, in milliseconds.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use cortex_m_rt::exception;

static MILLIS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // This is the only writer. (A Cortex-M0 has no atomic addition.)
    MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The time since the start. (Wraps after 49 days. A device that runs longer needs 64 bits.)
pub fn now() -> Duration {
    Duration::from_millis(MILLIS.load(Ordering::Relaxed).into())
}
