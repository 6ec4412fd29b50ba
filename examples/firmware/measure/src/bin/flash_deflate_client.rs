//! `flash_client` with compression in both directions.
#![no_std]
#![no_main]

use measure::Rng;
use sansocket::deflate::{Compressor, Settings};
use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
    let mut ws = WebSocket::deflate_client(Config::new(), Rng, Settings::client(), [0; 512]);
    let mut outbox = heapless::Vec::new();
    measure::connect(&mut ws, &mut outbox);
    measure::run_with::<_, false>(
        ws,
        &mut outbox,
        |_, _, _| {},
        |ws, message, outbox| ws.send_deflated(message, &mut compressor, outbox),
    );
    measure::end()
}
