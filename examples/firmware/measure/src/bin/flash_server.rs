//! A server, whole messages.
#![no_std]
#![no_main]

use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let config = Config::new();
    measure::run::<_, false>(WebSocket::server(config), &mut heapless::Vec::new(), measure::answer);
    measure::end()
}
