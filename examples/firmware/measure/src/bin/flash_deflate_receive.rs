//! `flash_frames`, and received messages can be compressed.
#![no_std]
#![no_main]

use sansocket::deflate::{Deflate, Parameters};
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
    if let Ok(ws) = ws {
        measure::run::<_, false>(ws, &mut heapless::Vec::new(), |_, _, _| {});
    }
    measure::end()
}
