//! What a capture holds: the byte streams of connections, with times.

use std::time::Duration;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A TCP connection.
#[derive(Debug, Default)]
pub struct Stream {
    /// The addresses, if they are known.
    pub name: String,
    /// In the order of time.
    pub records: Vec<Record>,
}

#[derive(Debug)]
pub struct Record {
    /// Since the first packet of the capture.
    pub time: Duration,
    pub sender: Side,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// The end of the sender's stream.
    End,
    /// The capture lacks this many bytes: what follows cannot be read.
    Gap(u32),
}
