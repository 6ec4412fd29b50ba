//! The memory of a connection and the machine's configuration, for both devices.

use core::time::Duration;
use sansocket::deflate::{Compressor, Settings};
use sansocket::{Config, Delivery};

/// The size of each ring of a TCP socket.
pub const RING: usize = 4096;
/// The maximum input of one call of `receive`, and so the maximum piece of a message that is not
/// compressed.
pub const CHUNK: usize = 512;
/// The maximum piece of a compressed message: the size of the inbox. It also collects the head of the
/// opening handshake: a browser's request has about 600 bytes.
pub const PIECE: usize = 1024;
/// The most that the reply to one event needs: a header of 4 bytes, the 3 bytes of a character that
/// an earlier piece left unfinished, the largest piece, what compression adds to both if it does not
/// make them shorter, and a Pong.
pub const REPLY: usize = 4 + 3 + PIECE + 21 + 127;

/// What the peer's compressed messages refer to. Its size limits what is negotiated.
pub type Window = [u8; 512];
pub const WINDOW: Window = [0; 512];
/// Compresses the messages of one connection.
pub type OwnCompressor = Compressor<[u16; 512], [u8; 768]>;
pub const COMPRESSOR: OwnCompressor = Compressor::with_takeover([0; 512], [0; 768]);
/// The peer needs no more memory than this device.
pub const DEFLATE: Settings = Settings::server().send_window_bits(9);

/// Short timeouts, because there are few connections: a peer that has vanished is given up after
/// four seconds.
pub const CONFIG: Config = Config::new()
    .delivery(Delivery::Pieces)
    .max_frame(u64::MAX)
    .max_message(u64::MAX)
    .handshake_timeout(Some(Duration::from_secs(2)))
    .idle_ping(Some(Duration::from_secs(2)))
    .pong_timeout(Some(Duration::from_secs(2)))
    .closing_timeout(Some(Duration::from_secs(2)));
