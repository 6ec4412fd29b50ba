//! How slowly a peer may read.
#![allow(dead_code, reason = "async programs write by other means")]

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The default of [`Pace::new`].
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that does not take all bytes within the timeout must take this many.
const PROGRESS: usize = 16 << 10;

/// The deadline for unsent bytes. The peer must take all of them, or 16 KiB, within the timeout;
/// then a new timeout begins. A deadline that moved at each byte would let a peer that takes a byte
/// at a time hold the connection forever. A fixed one would end a slow, steady reader of much data.
pub struct Pace {
    timeout: Duration,
    /// `None` while nothing is unsent.
    pub deadline: Option<Instant>,
    /// How many bytes were taken since the deadline was set.
    taken: usize,
}

impl Pace {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, deadline: None, taken: 0 }
    }

    /// Reports that the transport took `sent` bytes and that `left` bytes are still unsent.
    pub fn sent(&mut self, sent: usize, left: usize) {
        self.taken += sent;
        if left == 0 {
            *self = Self::new(self.timeout);
        } else if self.deadline.is_none() || self.taken >= PROGRESS {
            *self = Self { deadline: Some(Instant::now() + self.timeout), ..Self::new(self.timeout) };
        }
    }

    /// Writes a part of `bytes`. Returns its length, which is 0 if the stream takes nothing within
    /// its write timeout, or an error if the peer has read too slowly.
    pub fn write(&mut self, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let sent = match stream.write(bytes) {
            Ok(sent) => sent,
            Err(error) if is_timeout(&error) => 0,
            Err(error) => return Err(error),
        };
        self.sent(sent, bytes.len() - sent);
        let expired = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if expired { Err(too_slow()) } else { Ok(sent) }
    }
}

pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

pub fn too_slow() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the peer reads too slowly")
}
