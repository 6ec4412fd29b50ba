//! Shared by the programs: frames and heads of a peer.
#![no_std]

pub mod figures;
pub mod messages;
#[path = "../../measure/src/rng.rs"]
mod rng;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;
pub use rng::Rng;

/// A browser's request: 526 bytes.
pub const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: device.example:8080\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: http://device.example:8080\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    \r\n";

/// The response to the request of a client with [`Rng`], whose key is sixteen zeros.
pub const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\
    \r\n";

/// The masking key of a client's frames.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The first bytes of frames: opcodes with the FIN bit.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// Encodes a frame with the first byte `first`.
pub fn frame<const N: usize>(first: u8, masked: bool, payload: &[u8]) -> heapless::Vec<u8, N> {
    let mut frame = heapless::Vec::new();
    let mut add = |bytes: &[u8]| frame.extend_from_slice(bytes).expect("room for the frame");
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => add(&[first, mask | len as u8]),
        len => {
            add(&[first, mask | 126]);
            add(&(len as u16).to_be_bytes());
        }
    }
    if masked {
        add(&KEY);
    }
    let key = if masked { KEY } else { [0; 4] };
    payload.iter().zip(key.iter().cycle()).for_each(|(byte, key)| add(&[byte ^ key]));
    frame
}
