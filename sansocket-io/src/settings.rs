//! The limits of a connection that concern its I/O, each with a default.

use core::time::Duration;
use sansocket::Config;

/// The limits of a connection: those of the protocol ([`Config`]), and those of its I/O.
///
/// In this crate, `Settings` is always this type. What a side offers or accepts of compression is
/// `deflate::Settings`, with the module of [`sansocket`] before it.
///
/// ```
/// use core::time::Duration;
/// use sansocket_io::{Config, Settings};
///
/// let settings = Settings::new()
///     .config(Config::new().max_message(1 << 20))
///     .write_timeout(Some(Duration::from_secs(5)));
/// ```
///
/// | | default |
/// |---|---|
/// | [`config`](Self::config) | [`Config::new`] |
/// | [`max_unsent`](Self::max_unsent) | 64 KiB |
/// | [`max_queued`](Self::max_queued) | 1 MiB |
/// | [`max_read_buffer`](Self::max_read_buffer) | 1 MiB and 64 bytes |
/// | [`connect_timeout`](Self::connect_timeout) | 10 s |
/// | [`write_timeout`](Self::write_timeout) | 30 s |
/// | [`linger`](Self::linger) | 2 s |
/// | [`keep_memory`](Self::keep_memory) | 4 s |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) limits: Limits,
}

/// What an open connection keeps of its [`Settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_unsent: usize,
    pub(crate) max_queued: usize,
    pub(crate) max_read_buffer: usize,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) keep_memory: Duration,
}

impl Settings {
    /// The defaults, as in the table above.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            config: Config::new(),
            connect_timeout: Some(Duration::from_secs(10)),
            limits: Limits {
                max_unsent: 64 << 10,
                max_queued: 1 << 20,
                max_read_buffer: (1 << 20) + 64,
                write_timeout: Some(Duration::from_secs(30)),
                linger: Duration::from_secs(2),
                keep_memory: Duration::from_secs(4),
            },
        }
    }

    /// Sets the limits and timeouts of the protocol.
    #[must_use]
    pub const fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets how many bytes of replies may wait to be written. With more, no event is returned until
    /// the peer has read some: so the replies to a peer that does not read stay bounded. One reply
    /// may exceed it.
    ///
    /// A reply is what is sent while an event is borrowed. What
    /// [`Socket::reply`](crate::Socket::reply) sends at other times does not count: look at
    /// [`Reply::unsent`](crate::Reply::unsent). A `Sender`'s messages wait in their queue while
    /// more bytes than this are unsent.
    #[must_use]
    #[doc(alias = "back-pressure")]
    #[doc(alias = "max_write_buffer_size")]
    pub const fn max_unsent(self, bytes: usize) -> Self {
        Self { limits: Limits { max_unsent: bytes, ..self.limits }, ..self }
    }

    /// Sets how many bytes may wait in the queue of a connection's `Sender`s, of which each message
    /// counts 64 more than it has. A single message that is longer is taken if the queue is empty.
    ///
    /// It is the largest burst that a peer may miss to read at once. If it is not several times the
    /// longest message, and what all other peers can send in the time of a round trip, a peer that
    /// reads steadily is taken for a slow one.
    #[must_use]
    pub const fn max_queued(self, bytes: usize) -> Self {
        Self { limits: Limits { max_queued: bytes, ..self.limits }, ..self }
    }

    /// Sets the largest read buffer. Frames that fit into it are delivered from there; those that
    /// are longer are collected in the inbox, which costs a copy. The buffer begins with 1 KiB and
    /// grows with the bytes that have arrived. (`Pooled` buffers have 64 KiB or more.)
    ///
    /// Of a frame that is delivered from there, nothing but the header is checked before its last
    /// byte has arrived. In longer frames, and with
    /// [`Delivery::Pieces`](sansocket::Delivery::Pieces), text that is not UTF-8 is found at the
    /// first wrong byte.
    #[must_use]
    pub const fn max_read_buffer(self, bytes: usize) -> Self {
        Self { limits: Limits { max_read_buffer: bytes, ..self.limits }, ..self }
    }

    /// Sets how long connecting the transport may take: name resolution, TCP and TLS. The opening
    /// handshake has its own timeout: see [`Config::handshake_timeout`].
    #[must_use]
    pub const fn connect_timeout(self, timeout: Option<Duration>) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// Sets how slowly a peer may read. While bytes wait to be written, the transport must take all
    /// of them, or 16 KiB, within this time; then the time begins anew. A slow but steady reader of
    /// much data lives. A peer that reads nothing, or a byte now and then, ends with
    /// [`Failure::WriteTimeout`](crate::Failure::WriteTimeout). `None`: it is never too slow,
    /// except for the last bytes of a closed connection, for which the timeout then is
    /// [`linger`](Self::linger).
    ///
    /// A kernel says that it takes more once a part of its buffer has drained. Of a TCP stream that
    /// the modules of the runtimes have tuned, that are 64 KiB (on Linux, and megabytes elsewhere):
    /// with the default, a peer must read 2.2 KB/s.
    #[must_use]
    pub const fn write_timeout(self, timeout: Option<Duration>) -> Self {
        Self { limits: Limits { write_timeout: timeout, ..self.limits }, ..self }
    }

    /// Sets how long a closed connection waits for the peer to end the stream. If the stream were
    /// dropped at once, unread input would make the kernel reset it, and the peer could lose our
    /// Close frame.
    #[must_use]
    pub const fn linger(self, time: Duration) -> Self {
        Self { limits: Limits { linger: time, ..self.limits }, ..self }
    }

    /// Sets when buffers that have grown are given back: once they were not needed for this time,
    /// and at the latest after twice this time.
    #[must_use]
    pub const fn keep_memory(self, time: Duration) -> Self {
        Self { limits: Limits { keep_memory: time, ..self.limits }, ..self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
