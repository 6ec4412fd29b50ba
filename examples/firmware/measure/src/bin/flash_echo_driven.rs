//! An echo server in an async task: over the driver crate.
#![no_std]
#![no_main]

use measure::driver::{Stream, Time, block_on};
use measure::{consume, echo};

#[measure::entry]
fn main() -> ! {
    measure::start();
    block_on(async { consume(echo::driven(&mut Stream, Time, |stream| consume(stream)).await.is_ok()) });
    measure::end()
}
