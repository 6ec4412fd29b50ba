//! `flash_deflate_server` over the driver crate.
#![no_std]
#![no_main]

use measure::driver;
use sansocket::deflate::{Compressor, Settings};
use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
    let socket = driver::socket(WebSocket::deflate_server(Config::new(), Settings::server(), [0; 512]));
    driver::block_on(driver::serve(socket, |reply, message| reply.send_deflated(message, &mut compressor)));
    measure::end()
}
