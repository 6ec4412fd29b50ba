//! A client, whole messages.
#![no_std]
#![no_main]

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::client::<false>();
    measure::end()
}
