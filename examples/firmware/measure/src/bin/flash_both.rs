//! A client and a server, whole messages.
#![no_std]
#![no_main]

use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    measure::run::<_, false>(WebSocket::server(Config::new()), &mut heapless::Vec::new(), measure::answer);
    measure::client::<false>();
    measure::end()
}
