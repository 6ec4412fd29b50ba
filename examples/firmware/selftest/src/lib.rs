//! What the programs share: frames and heads to feed a machine with, as a peer would send them.
#![no_std]

use core::convert::Infallible;
use core::hint::black_box;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

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

/// The response to the request that a client with [`Rng`] makes: its key is sixteen zeros.
pub const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\
    \r\n";

/// The key that a client's frames are masked with.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Opcodes, with the bit FIN.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// A frame: its first octet, and a payload in its shortest length.
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
    payload.iter().zip(key.iter().cycle()).for_each(|(octet, key)| add(&[octet ^ key]));
    frame
}

/// Randomness that the compiler cannot know, and that is zero.
#[derive(Debug)]
pub struct Rng;

impl rand_core::TryRng for Rng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(0))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(0))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(black_box(0));
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng {}

impl rand_core_06::RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        black_box(0)
    }
    fn next_u64(&mut self) -> u64 {
        black_box(0)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(black_box(0));
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        bytes.fill(black_box(0));
        Ok(())
    }
}
