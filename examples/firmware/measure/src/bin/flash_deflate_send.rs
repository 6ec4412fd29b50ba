//! `flash_frames`, and compresses the messages that it sends. Received messages are not compressed.
#![no_std]
#![no_main]

use sansocket::deflate::{Compress, Compressor};
use sansocket::{Config, Established, Server, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
    let mut compressed = [0; measure::BUFFER];
    measure::run_with::<_, false>(
        WebSocket::<Established<Server>>::open(Config::new()),
        &mut heapless::Vec::new(),
        |_, _, _| {},
        |ws, message, outbox| {
            let len = compressor.compress(message.as_bytes(), 9, &mut compressed);
            ws.send(compressed.get(..len).unwrap_or_default(), outbox)
        },
    );
    measure::end()
}
