//! The limits, timeouts and options of a connection, each with a default.

use core::fmt;
use core::time::Duration;

/// How received messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Delivery {
    /// Whole messages, as [`Event::Message`](crate::Event::Message). A message in one frame, whose
    /// payload lies whole in one slice of input, points into that slice. Any other is collected in
    /// the inbox and points into it.
    #[default]
    Whole,
    /// Messages in pieces, as [`Event::Piece`](crate::Event::Piece): each points into the input,
    /// and memory use is constant. The inbox is used by the opening handshake only. The limits
    /// [`Config::max_frame`] and [`Config::max_message`] still apply: raise them for longer
    /// messages.
    #[doc(alias = "streaming")]
    Pieces,
}

/// The limits, timeouts and options of a connection.
///
/// Everything that a peer can make grow has a limit. The setters take the configuration by value
/// and return it changed:
///
/// ```
/// use core::time::Duration;
/// use sansocket::Config;
///
/// let config = Config::new().max_message(64 * 1024).idle_ping(Some(Duration::from_secs(60)));
/// ```
///
/// | | default |
/// |---|---|
/// | [`max_head`](Self::max_head) | 8 KiB |
/// | [`max_headers`](Self::max_headers) | 100 |
/// | [`max_frame`](Self::max_frame), [`max_message`](Self::max_message) | 16 MiB |
/// | [`max_empty_fragments`](Self::max_empty_fragments) | 1,024 |
/// | [`delivery`](Self::delivery) | [`Delivery::Whole`] |
/// | [`plain_requests`](Self::plain_requests) | `false` |
/// | [`answer_pings`](Self::answer_pings) | `true` |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`idle_ping`](Self::idle_ping) | 30 s |
/// | [`pong_timeout`](Self::pong_timeout) | 20 s |
/// | [`closing_timeout`](Self::closing_timeout) | 5 s |
///
/// The inbox's [`max_len`](crate::Buffer::max_len) limits a message that is delivered whole too. Of
/// a head, the first line and the headers of the opening handshake must fit into it; of the others,
/// those are kept that fit.
///
/// All but the delivery can be changed at any time, with
/// [`set_config`](crate::WebSocket::set_config).
///
/// A program that never calls [`handle_timeout`](crate::WebSocket::handle_timeout) has no timeouts.
/// They are stored in whole milliseconds, rounded up; at least 1 ms, at most 49 days.
#[doc(alias = "settings")]
#[doc(alias = "options")]
#[doc(alias = "limits")]
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
    pub(crate) plain_requests: bool,
    pub(crate) options: Options,
}

impl Config {
    /// The defaults, as in the table above.
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
            plain_requests: false,
            options: Options(0),
        }
    }

    /// Sets the largest head of a request, in bytes, or of a response together with the interim
    /// responses before it. The empty line at its end counts.
    ///
    /// A longer request is refused with status 431, or 414 if its first line is too long, and a
    /// longer response with status 101 fails the connection. Of a response with another status,
    /// headers of this size are kept, and the head is read on, up to 65,535 bytes with the
    /// heads before it.
    #[must_use]
    #[doc(alias = "header size")]
    pub const fn max_head(self, bytes: u16) -> Self {
        Self { max_head: bytes, ..self }
    }

    /// Sets the largest number of header lines in a head.
    ///
    /// A request with more is refused with status 431, and a response with status 101 and more
    /// fails the connection. A response with another final status may have any number.
    #[must_use]
    pub const fn max_headers(self, lines: u16) -> Self {
        Self { max_headers: lines, ..self }
    }

    /// Sets the largest payload of a data frame, in bytes (RFC 6455 section 10.4). A larger one
    /// fails the connection with close code 1009, as soon as its header is received.
    #[must_use]
    #[doc(alias = "max_frame_size")]
    #[doc(alias = "max_payload")]
    pub const fn max_frame(self, bytes: u64) -> Self {
        Self { max_frame: bytes, ..self }
    }

    /// Sets the largest message, in bytes (RFC 6455 section 10.4): the payloads of all its frames.
    /// A larger one fails the connection with close code 1009, as soon as the header of the frame
    /// that exceeds the limit is received.
    #[must_use]
    #[doc(alias = "max_message_size")]
    pub const fn max_message(self, bytes: u64) -> Self {
        Self { max_message: bytes, ..self }
    }

    /// Sets how many fragments of one message may be empty, not counting its last frame (RFC 6455
    /// section 5.4). One more fails the connection with close code 1008.
    #[must_use]
    pub const fn max_empty_fragments(self, frames: u16) -> Self {
        Self { max_empty_fragments: frames, ..self }
    }

    /// Sets whether received messages are delivered whole or in pieces.
    #[must_use]
    #[doc(alias = "streaming")]
    pub const fn delivery(self, delivery: Delivery) -> Self {
        let pieces = matches!(delivery, Delivery::Pieces);
        Self { options: self.options.with(Options::PIECES, pieces), ..self }
    }

    /// Server: sets whether a GET without an upgrade, and a HEAD, HTTP/1.0 included, is delivered
    /// as a [`Request`](crate::Request) too.
    ///
    /// If it is, the caller answers it with [`reject`](crate::WebSocket::reject), with any status
    /// and body, 200 included; for a HEAD, the machine leaves the body out (RFC 9110 section
    /// 9.3.2). If not, the machine refuses a GET with status 426, a HEAD with 405, and HTTP/1.0
    /// with 400. It refuses any other method with 405 in both cases.
    #[must_use]
    #[doc(alias = "http")]
    pub const fn plain_requests(self, deliver: bool) -> Self {
        Self { plain_requests: deliver, ..self }
    }

    /// Sets whether each Ping is answered with a Pong (RFC 6455 section 5.5.2).
    ///
    /// If not, the caller answers [`Event::Ping`](crate::Event::Ping) itself, with
    /// [`pong`](crate::WebSocket::pong). A proxy does so with the Pong of the other end.
    #[must_use]
    #[doc(alias = "auto_pong")]
    pub const fn answer_pings(self, answer: bool) -> Self {
        Self { options: self.options.with(Options::NO_PONGS, !answer), ..self }
    }

    /// Sets how long the peer's part of the opening handshake may take. Then the connection fails
    /// with [`Error::HandshakeTimeout`](crate::Error::HandshakeTimeout), or with
    /// [`Refused`](crate::Error::Refused) if a client has read the status of a refusal. `None`: for
    /// ever.
    ///
    /// A program that never calls [`handle_timeout`](crate::WebSocket::handle_timeout) has no such
    /// limit.
    #[must_use]
    #[doc(alias = "connect timeout")]
    pub const fn handshake_timeout(self, timeout: Option<Duration>) -> Self {
        Self { handshake_timeout: Millis::new(timeout), ..self }
    }

    /// Sets the silence of the peer after which a Ping is sent on an open connection (RFC 6455
    /// section 5.5.2). `None`: no Ping is sent.
    ///
    /// The silence ends with each byte from the peer, received or
    /// [waiting](crate::WebSocket::missing) for the rest of its frame. It also ends when the
    /// transport takes output and more is left, if the caller
    /// [reports](crate::WebSocket::output_sent) it. A program that never calls
    /// [`handle_timeout`](crate::WebSocket::handle_timeout) sends no such Pings.
    #[must_use]
    #[doc(alias = "ping interval")]
    #[doc(alias = "heartbeat")]
    #[doc(alias = "keepalive")]
    pub const fn idle_ping(self, timeout: Option<Duration>) -> Self {
        Self { idle_ping: Millis::new(timeout), ..self }
    }

    /// Sets how long the peer may stay silent after an idle Ping. Then the connection fails with
    /// [`Error::PongTimeout`](crate::Error::PongTimeout). `None`: for ever; the Ping is repeated
    /// after each [`idle_ping`](Self::idle_ping).
    ///
    /// The time runs from the moment when the Ping is due. If the caller
    /// [reports](crate::WebSocket::output_sent) its output, the time runs from the moment when the
    /// Ping has left the outbox, and starts anew while output moves. Any byte from the peer ends
    /// the silence, not only a Pong, which may wait behind a large message.
    ///
    /// Bytes that have left the outbox have not reached the peer. A Ping waits in the kernel's send
    /// buffer behind all that was sent before it: 400 KB at 10 KB/s take 40 s. If a peer can be
    /// that slow, set a longer timeout, or limit the bytes that the kernel holds
    /// (`TCP_NOTSENT_LOWAT`, a small `SO_SNDBUF`).
    ///
    /// A program that never calls [`handle_timeout`](crate::WebSocket::handle_timeout) does not
    /// notice a dead peer.
    #[must_use]
    #[doc(alias = "idle timeout")]
    #[doc(alias = "heartbeat")]
    pub const fn pong_timeout(self, timeout: Option<Duration>) -> Self {
        Self { pong_timeout: Millis::new(timeout), ..self }
    }

    /// Sets how long the closing handshake may take, and for a client how long the end of the
    /// stream may take after it (RFC 6455 sections 7.1.1 and 7.1.2). Then the connection is closed.
    /// `None`: for ever. The time starts with the call of `close`, or the peer's Close frame or
    /// fault, and anew while a backlog moves that
    /// [`output_sent`](crate::WebSocket::output_sent) reports: our Close frame waits behind it. (A
    /// peer that takes a byte now and then can make that last: limit the rate of a write yourself.)
    /// Pongs behind the Close frame do not count.
    ///
    /// A program that never calls [`handle_timeout`](crate::WebSocket::handle_timeout) has no such
    /// limit.
    #[must_use]
    #[doc(alias = "close timeout")]
    pub const fn closing_timeout(self, timeout: Option<Duration>) -> Self {
        Self { closing_timeout: Millis::new(timeout), ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// The options that the receiving half reads. One byte for both: with another one, each connection
/// would take 8 bytes more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options(u8);

impl Options {
    const PIECES: u8 = 1;
    const NO_PONGS: u8 = 2;

    const fn with(self, option: u8, set: bool) -> Self {
        Self(if set { self.0 | option } else { self.0 & !option })
    }

    pub(crate) const fn delivery(self) -> Delivery {
        if self.0 & Self::PIECES == 0 { Delivery::Whole } else { Delivery::Pieces }
    }

    pub(crate) const fn answer_pings(self) -> bool {
        self.0 & Self::NO_PONGS == 0
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("delivery", &self.delivery())
            .field("answer_pings", &self.answer_pings())
            .finish()
    }
}

/// A timeout in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(u32);

impl Millis {
    pub(crate) const NEVER: Self = Self(u32::MAX);

    /// Rounds up to whole milliseconds, zero too: a timeout of zero would have passed before
    /// anything can happen. A longer timeout than fits becomes the longest.
    const fn new(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::NEVER,
            Some(timeout) => {
                // 64 bits, not `as_millis`: benches/README.md, "Library code that is avoided".
                let fraction = timeout.subsec_nanos().div_ceil(1_000_000) as u64;
                let millis = timeout.as_secs().saturating_mul(1000).saturating_add(fraction);
                Self(match millis {
                    0 => 1,
                    1..0xFFFF_FFFF => millis as u32,
                    _ => u32::MAX - 1,
                })
            }
        }
    }

    pub(crate) const fn is_never(self) -> bool {
        self.0 == Self::NEVER.0
    }

    /// `None`: never.
    pub(crate) fn get(self) -> Option<Duration> {
        // 32 bits, not `from_millis`: benches/README.md, "Library code that is avoided".
        (self != Self::NEVER).then(|| Duration::new((self.0 / 1000).into(), self.0 % 1000 * 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_stored_in_milliseconds_and_does_not_wrap() {
        let stored = |timeout| Millis::new(timeout).get();
        assert_eq!(stored(None), None);
        assert_eq!(stored(Some(Duration::ZERO)), Some(Duration::from_millis(1)));
        assert_eq!(stored(Some(Duration::from_micros(1_500))), Some(Duration::from_millis(2)));
        assert_eq!(stored(Some(Duration::from_nanos(1))), Some(Duration::from_millis(1)));
        assert_eq!(stored(Some(Duration::MAX)), Some(Duration::from_millis(u64::from(u32::MAX) - 1)));
    }
}
