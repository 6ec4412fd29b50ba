//! What every program has; the others are measured by what they have more.
#![no_std]
#![no_main]

use measure as _;

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::end()
}
