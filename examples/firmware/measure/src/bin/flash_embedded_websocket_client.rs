//! The program of `flash_client`, with embedded-websocket.
#![no_std]
#![no_main]

use embedded_websocket::{Error, WebSocketClient, WebSocketOptions};
use measure::{BUFFER, Rng, consume, read, write};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut ws = WebSocketClient::new_client(Rng);
    let mut outbox = [0; 2 * BUFFER];
    let mut buffer = [0; BUFFER];
    let mut head = heapless::Vec::<u8, BUFFER>::new();
    let options = WebSocketOptions {
        path: "/",
        host: "device.example",
        origin: "http://device.example",
        sub_protocols: None,
        additional_headers: None,
    };
    if let Ok((len, key)) = ws.client_connect(&options, &mut outbox) {
        write(&outbox[..len]);
        while head.extend_from_slice(read(&mut buffer)).is_ok() {
            match ws.client_accept(&key, &head) {
                Ok((len, protocol)) => {
                    consume((len, protocol));
                    break;
                }
                Err(Error::HttpHeaderIncomplete) => {}
                Err(error) => {
                    consume(error);
                    break;
                }
            }
        }
    }
    measure::peer::run(&mut ws, &mut outbox);
    measure::end()
}
