//! `flash_client` over the driver crate.
#![no_std]
#![no_main]

use measure::{Rng, driver};
use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let socket = driver::socket(WebSocket::client(Config::new(), Rng));
    driver::block_on(driver::request(socket, |reply, message| reply.send(message)));
    measure::end()
}
