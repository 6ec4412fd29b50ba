//! `flash_frames` with compression in both directions.
#![no_std]
#![no_main]

use sansocket::deflate::{Compressor, Deflate, Parameters};
use sansocket::{Config, Established, Server, WebSocket};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let parameters = Parameters {
        server_takeover: true,
        client_takeover: true,
        server_window_bits: 9,
        client_window_bits: 9,
    };
    let ws =
        WebSocket::<Deflate<Established<Server>, _>>::open_deflate(Config::new(), Some(parameters), [0; 512]);
    let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
    if let Ok(ws) = ws {
        measure::run_with::<_, false>(
            ws,
            &mut heapless::Vec::new(),
            |_, _, _| {},
            |ws, message, outbox| ws.send_deflated(message, &mut compressor, outbox),
        );
    }
    measure::end()
}
