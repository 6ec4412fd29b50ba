//! A server, piece by piece.
#![no_std]
#![no_main]

use sansocket::{Config, Delivery, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let config = Config::new().delivery(Delivery::Pieces);
    measure::run::<_, true>(WebSocket::server(config), &mut heapless::Vec::new(), measure::answer);
    measure::end()
}
