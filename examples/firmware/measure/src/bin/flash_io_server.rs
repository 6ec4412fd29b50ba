//! `flash_server` over the driver crate.
#![no_std]
#![no_main]

use measure::driver;
use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let socket = driver::socket(WebSocket::server(Config::new()));
    driver::block_on(driver::serve(socket, |reply, message| reply.send(message)));
    measure::end()
}
