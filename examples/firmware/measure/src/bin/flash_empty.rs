//! An empty program. Its size is subtracted from the size of the others.
#![no_std]
#![no_main]

use measure as _;

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::end()
}
