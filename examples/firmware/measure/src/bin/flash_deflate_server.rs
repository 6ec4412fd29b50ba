//! `flash_server` with compression in both directions.
#![no_std]
#![no_main]

use sansocket::deflate::{Compressor, Settings};
use sansocket::{Config, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
    measure::run_with::<_, false>(
        WebSocket::deflate_server(Config::new(), Settings::server(), [0; 512]),
        &mut heapless::Vec::new(),
        measure::answer,
        |ws, message, outbox| ws.send_deflated(message, &mut compressor, outbox),
    );
    measure::end()
}
