//! The buffers of a connection and the machine's configuration, for both devices.

use core::time::Duration;
use sansocket::{Config, Delivery};

/// The size of each ring of a TCP socket.
pub const RING: usize = 4096;
/// The maximum input of one call of `receive`, and so the maximum piece.
pub const CHUNK: usize = 512;
/// The most that the reply to one event needs: a header of 4 bytes, the 3 bytes of a character that
/// an earlier piece left unfinished, the largest piece, and a Pong.
pub const REPLY: usize = CHUNK + 3 + 4 + 127;

/// Collects the head of the opening handshake. A browser's request has about 600 bytes.
pub type Inbox = heapless::Vec<u8, 1024>;
pub type Outbox = heapless::Vec<u8, 768>;

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
