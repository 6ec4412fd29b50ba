//! Only frames, whole messages: an HTTP server does the opening handshake.
#![no_std]
#![no_main]

use sansocket::{Config, Established, Server, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::run::<_, false>(
        WebSocket::<Established<Server>>::open(Config::new()),
        &mut heapless::Vec::new(),
        |_, _, _| {},
    );
    measure::end()
}
