//! A client, piece by piece.
#![no_std]
#![no_main]

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::client::<true>();
    measure::end()
}
