//! Limits, timeouts and choices of a connection, each with a default.

use core::time::Duration;

/// How messages are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Delivery {
    /// Each message whole, as [`Event::Message`](crate::Event::Message): in place where it lies in one slice of the
    /// input, else from the inbox.
    #[default]
    Whole,
    /// Each message piece by piece, as [`Event::Piece`](crate::Event::Piece), in place, in constant memory. The inbox
    /// serves the opening handshake alone. For messages of any size, raise [`Config::max_frame`] and
    /// [`Config::max_message`] too: they stay bounded by default.
    Pieces,
}

/// What a connection allows and waits for. Everything that a peer can make grow has a limit.
///
/// | | default |
/// |---|---|
/// | [`max_head`](Self::max_head) | 8 KiB |
/// | [`max_headers`](Self::max_headers) | 100 |
/// | [`max_frame`](Self::max_frame), [`max_message`](Self::max_message) | 16 MiB |
/// | [`max_empty_fragments`](Self::max_empty_fragments) | 1,024 |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`idle_ping`](Self::idle_ping) | 30 s |
/// | [`pong_timeout`](Self::pong_timeout) | 20 s |
/// | [`closing_timeout`](Self::closing_timeout) | 5 s |
///
/// A message, and a head, must also fit into the inbox. Timeouts work only for who calls
/// [`handle_timeout`](crate::WebSocket::handle_timeout); they are kept in whole milliseconds, rounded up, to 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
    pub(crate) handshake_timeout: Millis,
    pub(crate) idle_ping: Millis,
    pub(crate) pong_timeout: Millis,
    pub(crate) closing_timeout: Millis,
    pub(crate) max_head: u16,
    pub(crate) max_headers: u16,
    pub(crate) max_empty_fragments: u16,
    pub(crate) delivery: Delivery,
    pub(crate) plain_requests: bool,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_frame: 16 << 20,
            max_message: 16 << 20,
            handshake_timeout: Millis(10_000),
            idle_ping: Millis(30_000),
            pong_timeout: Millis(20_000),
            closing_timeout: Millis(5_000),
            max_head: 8 << 10,
            max_headers: 100,
            max_empty_fragments: 1024,
            delivery: Delivery::Whole,
            plain_requests: false,
        }
    }

    /// The longest head of a request, or of a response and the interim responses before it, in bytes.
    #[must_use]
    pub const fn max_head(self, bytes: u16) -> Self {
        Self { max_head: bytes, ..self }
    }

    /// The most header lines in a head.
    #[must_use]
    pub const fn max_headers(self, lines: u16) -> Self {
        Self { max_headers: lines, ..self }
    }

    /// The longest payload of a frame, in bytes (RFC 6455 section 10.4).
    #[must_use]
    pub const fn max_frame(self, bytes: u64) -> Self {
        Self { max_frame: bytes, ..self }
    }

    /// The longest message, in bytes (RFC 6455 section 10.4); judged at the header of each of its frames.
    #[must_use]
    pub const fn max_message(self, bytes: u64) -> Self {
        Self { max_message: bytes, ..self }
    }

    /// The most empty fragments in one message, its last frame not counted.
    #[must_use]
    pub const fn max_empty_fragments(self, frames: u16) -> Self {
        Self { max_empty_fragments: frames, ..self }
    }

    /// Whole messages or pieces.
    #[must_use]
    pub const fn delivery(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// Server: whether a GET that asks for no upgrade is lent as a [`Request`](crate::Request) too, one of HTTP/1.0
    /// included, to be answered by [`reject`](crate::WebSocket::reject) with any status and body, 200 included. Otherwise
    /// the machine refuses it with 426. (A HEAD gets 405 either way.)
    #[must_use]
    pub const fn plain_requests(self, lend: bool) -> Self {
        Self { plain_requests: lend, ..self }
    }

    /// How long the peer's part of the opening handshake may take; `None` for ever.
    #[must_use]
    pub const fn handshake_timeout(self, timeout: Option<Duration>) -> Self {
        Self { handshake_timeout: Millis::new(timeout), ..self }
    }

    /// How long nothing may come from the peer of an open connection before a Ping is sent; `None` for ever.
    #[must_use]
    pub const fn idle_ping(self, timeout: Option<Duration>) -> Self {
        Self { idle_ping: Millis::new(timeout), ..self }
    }

    /// How long nothing may come from the peer after an idle Ping before the connection fails; `None` for ever. Any
    /// byte counts: a Pong may have to wait behind a large message.
    #[must_use]
    pub const fn pong_timeout(self, timeout: Option<Duration>) -> Self {
        Self { pong_timeout: Millis::new(timeout), ..self }
    }

    /// How long closing may take: the peer's Close frame, our own, and for a client the end of the stream; `None` for
    /// ever.
    #[must_use]
    pub const fn closing_timeout(self, timeout: Option<Duration>) -> Self {
        Self { closing_timeout: Millis::new(timeout), ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// A timeout in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(u32);

impl Millis {
    pub(crate) const NEVER: Self = Self(u32::MAX);

    const fn new(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::NEVER,
            Some(timeout) => {
                // Rounded up: some time is not none. More than fits is the most that fits.
                // In 64 bits: a division of 128 would be linked into firmware.
                let fraction = timeout.subsec_nanos().div_ceil(1_000_000) as u64;
                let millis = timeout.as_secs().saturating_mul(1000).saturating_add(fraction);
                Self(if millis < u32::MAX as u64 { millis as u32 } else { u32::MAX - 1 })
            }
        }
    }

    pub(crate) const fn is_never(self) -> bool {
        self.0 == Self::NEVER.0
    }

    pub(crate) fn get(self) -> Option<Duration> {
        // In 32 bits: `from_millis` would link a division of 64 into firmware.
        (self != Self::NEVER).then(|| Duration::new((self.0 / 1000).into(), self.0 % 1000 * 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_kept_in_milliseconds_and_never_wraps() {
        let kept = |timeout| Millis::new(timeout).get();
        assert_eq!(kept(None), None);
        assert_eq!(kept(Some(Duration::ZERO)), Some(Duration::ZERO));
        assert_eq!(kept(Some(Duration::from_micros(1_500))), Some(Duration::from_millis(2)));
        assert_eq!(kept(Some(Duration::from_nanos(1))), Some(Duration::from_millis(1)));
        assert_eq!(kept(Some(Duration::MAX)), Some(Duration::from_millis(u64::from(u32::MAX) - 1)));
    }
}
