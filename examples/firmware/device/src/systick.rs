//! The processor's timer, with an interrupt every millisecond.

use cortex_m::peripheral::{SYST, syst::SystClkSource};

/// The clock frequency of the board.
const HERTZ: u32 = 25_000_000;

/// Starts the timer.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(HERTZ / 1000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}
