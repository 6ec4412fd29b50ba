//! The errors of the opening handshake: of a head, of a request or response from the peer, and of
//! the caller's answer or request (RFC 6455 section 4).

use super::head::eq_ignore_case;
use super::{Reject, ResponseHead};
use crate::OutboxFull;
use core::{error, fmt};

/// A head that is not HTTP/1.1 (RFC 9112), or that is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadError {
    /// A control character other than a tab.
    ControlCharacter,
    /// A CR without a LF after it (RFC 9112 section 2.2).
    BareCr,
    /// A LF without a CR before it. RFC 9112 section 2.2 allows a recipient to accept it; this one
    /// does so only in a response that opens nothing.
    BareLf,
    /// The head is longer than [`Config::max_head`](crate::Config::max_head); or its first line and
    /// the headers of the opening handshake are longer than the inbox.
    TooLong,
    /// More header lines than [`Config::max_headers`](crate::Config::max_headers).
    TooManyHeaders,
    /// A header that is folded over two lines (RFC 9112 section 5.2).
    Folded,
    /// A header line without a colon.
    NoColon,
    /// A header name that is not a token, or is empty.
    InvalidName,
    /// White space between a header name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlCharacter => "a control character in the head",
            Self::BareCr => "a CR without LF in the head",
            Self::BareLf => "a LF without CR in the head",
            Self::TooLong => "the head is over the limit",
            Self::TooManyHeaders => "the head has too many headers",
            Self::Folded => "a header is folded over two lines",
            Self::NoColon => "a header line has no colon",
            Self::InvalidName => "a header's name is not a token",
            Self::SpaceBeforeColon => "white space between a header's name and its colon",
        })
    }
}

impl error::Error for HeadError {}

/// A header that the opening handshake has rules for (RFC 6455 sections 4.1 and 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeaderName {
    /// `Host`
    Host,
    /// `Origin`
    Origin,
    /// `Upgrade`
    Upgrade,
    /// `Connection`
    Connection,
    /// `Sec-WebSocket-Key`
    SecWebSocketKey,
    /// `Sec-WebSocket-Accept`
    SecWebSocketAccept,
    /// `Sec-WebSocket-Version`
    SecWebSocketVersion,
    /// `Sec-WebSocket-Protocol`
    SecWebSocketProtocol,
    /// `Sec-WebSocket-Extensions`
    SecWebSocketExtensions,
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
}

impl HeaderName {
    /// The name as the RFC spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Origin => "Origin",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::SecWebSocketKey => "Sec-WebSocket-Key",
            Self::SecWebSocketAccept => "Sec-WebSocket-Accept",
            Self::SecWebSocketVersion => "Sec-WebSocket-Version",
            Self::SecWebSocketProtocol => "Sec-WebSocket-Protocol",
            Self::SecWebSocketExtensions => "Sec-WebSocket-Extensions",
            Self::ContentLength => "Content-Length",
            Self::TransferEncoding => "Transfer-Encoding",
        }
    }

    /// The header with its name, for [`find`](Self::find).
    pub(super) const fn named(self) -> (Self, &'static str) {
        (self, self.as_str())
    }

    /// The one of `headers` with this name, in any case.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn find(name: &[u8], headers: &[(Self, &'static str)]) -> Option<Self> {
        let (header, _) = headers.iter().find(|(_, other)| eq_ignore_case(name, other.as_bytes()))?;
        Some(*header)
    }

    fn fmt_missing(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade => f.write_str("no Upgrade header names websocket"),
            Self::Connection => f.write_str("no Connection header names upgrade"),
            header => write!(f, "no {header} header"),
        }
    }

    fn fmt_invalid(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade => f.write_str("the Upgrade header is not websocket"),
            Self::SecWebSocketKey => f.write_str("the Sec-WebSocket-Key is not 16 bytes in base64"),
            Self::SecWebSocketAccept => f.write_str("the Sec-WebSocket-Accept does not answer the key"),
            Self::SecWebSocketVersion => f.write_str("the Sec-WebSocket-Version is not 13"),
            header => write!(f, "the {header} header is malformed"),
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request is not an opening handshake (RFC 6455 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The head is not HTTP/1.1, or is over a limit.
    Head(HeadError),
    /// The first line is not `METHOD TARGET HTTP/x.y`.
    InvalidRequestLine,
    /// The method is not GET; with [`Config::plain_requests`](crate::Config::plain_requests), nor
    /// HEAD.
    MethodNotAllowed,
    /// The HTTP version is older than 1.1; with
    /// [`Config::plain_requests`](crate::Config::plain_requests), than 1.0.
    HttpTooOld,
    /// The target is neither a path nor an absolute http(s) or ws(s) URI, or holds a character that
    /// neither allows.
    InvalidTarget,
    /// The request line is longer than a whole head may be.
    TargetTooLong,
    /// The request has a body, or announces one.
    Body,
    /// A required header is absent: `Host`, `Upgrade` with the element `websocket`, `Connection`
    /// with the element `Upgrade`, `Sec-WebSocket-Version` or `Sec-WebSocket-Key`.
    Missing(HeaderName),
    /// More than one `Host`, `Sec-WebSocket-Key`, `Sec-WebSocket-Version` or `Origin`. A browser
    /// never sends a second `Origin` (RFC 6454 section 7.3): with two of them, a proxy and the
    /// server could judge different ones.
    Duplicate(HeaderName),
    /// A value with the wrong form: a `Host` that is not a host and port, a `Sec-WebSocket-Key`
    /// that is not 16 bytes in base64, a `Sec-WebSocket-Version` other than 13, a
    /// `Sec-WebSocket-Protocol` that is not a list of tokens, or a `Sec-WebSocket-Extensions`
    /// outside the grammar of section 9.1.
    Invalid(HeaderName),
    /// An extended CONNECT whose `Sec-WebSocket-Version` is absent or not 13
    /// ([`check_connect`](crate::handshake::check_connect)). In HTTP/1.1 that is `Missing` or
    /// `Invalid`, with status 426, which HTTP/2 cannot have.
    UnsupportedVersion,
}

impl RequestError {
    /// The status of the response that refuses the request.
    #[must_use]
    #[inline(never)] // Outlined for code size: benches/README.md, "Outlined functions".
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::TargetTooLong => 414,
            Self::Missing(HeaderName::Upgrade | HeaderName::Connection | HeaderName::SecWebSocketVersion)
            | Self::Invalid(HeaderName::SecWebSocketVersion) => 426,
            Self::Head(HeadError::TooLong | HeadError::TooManyHeaders) => 431,
            _ => 400,
        }
    }

    /// The response that refuses the request: with 426, it names the protocol and its version
    /// (RFC 6455 section 4.4), and for [`UnsupportedVersion`](Self::UnsupportedVersion) the
    /// version.
    #[must_use]
    pub fn response(self) -> ResponseHead<'static> {
        match self {
            Self::UnsupportedVersion => ResponseHead::UNSUPPORTED_VERSION,
            error => Reject::status(error.status()).response(),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::InvalidRequestLine => "the request line is malformed",
            Self::MethodNotAllowed => "the method is not GET",
            Self::HttpTooOld => "the HTTP version is older than 1.1",
            Self::InvalidTarget => "the request target is malformed",
            Self::TargetTooLong => "the request target is over the limit",
            Self::Body => "the request has a body",
            Self::Missing(header) => return header.fmt_missing(f),
            Self::Duplicate(header) => return write!(f, "more than one {header} header"),
            Self::Invalid(header) => return header.fmt_invalid(f),
            Self::UnsupportedVersion => return HeaderName::SecWebSocketVersion.fmt_invalid(f),
        })
    }
}

impl error::Error for RequestError {}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// Why a response does not complete the opening handshake (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseError {
    /// The head is not HTTP/1.1, or is over a limit.
    Head(HeadError),
    /// The first line is not `HTTP/x.y STATUS REASON`.
    InvalidStatusLine,
    /// Status 101 with an HTTP version older than 1.1.
    HttpTooOld,
    /// A required header is absent: `Upgrade`, `Connection` with the element `Upgrade`, or
    /// `Sec-WebSocket-Accept`.
    Missing(HeaderName),
    /// More than one `Upgrade`, `Sec-WebSocket-Accept`, `Sec-WebSocket-Protocol` or
    /// `Sec-WebSocket-Extensions`.
    Duplicate(HeaderName),
    /// A wrong value: an `Upgrade` other than `websocket`, or a `Sec-WebSocket-Accept` that does
    /// not answer the key that was sent.
    Invalid(HeaderName),
    /// The server selected a subprotocol (`Sec-WebSocket-Protocol`) or an extension
    /// (`Sec-WebSocket-Extensions`) that was not offered.
    Unoffered(HeaderName),
    /// The caller's fault: the key that was given to
    /// [`check_response`](crate::handshake::check_response) is not 16 bytes in base64.
    InvalidKey,
    /// The status, other than 2xx, of a response that refuses an extended CONNECT
    /// ([`check_connect_response`](crate::handshake::check_connect_response)).
    Refused(u16),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::InvalidStatusLine => "the status line is malformed",
            Self::HttpTooOld => "the HTTP version is older than 1.1",
            Self::Missing(header) => return header.fmt_missing(f),
            Self::Duplicate(header) => return write!(f, "more than one {header} header"),
            Self::Invalid(header) => return header.fmt_invalid(f),
            Self::Unoffered(HeaderName::SecWebSocketExtensions) => {
                "the server chose an extension that was not offered"
            }
            Self::Unoffered(_) => "the server chose a subprotocol that was not offered",
            Self::InvalidKey => "the given key is not a Sec-WebSocket-Key",
            Self::Refused(status) => return write!(f, "the server refuses with status {status}"),
        })
    }
}

impl error::Error for ResponseError {}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// Why a request was not answered. The call changed nothing: the request can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AnswerError {
    /// The outbox has too little capacity left.
    OutboxFull(OutboxFull),
    /// There is no request to answer: none has arrived, or it was answered, or the connection has
    /// ended.
    NoRequest,
    /// `accept` for a request that does not ask for an upgrade.
    NotAnUpgrade,
    /// `accept` in a [`Handler`](crate::Handler) after a handler has deferred the answer.
    Deferred,
    /// `accept` with the [`Accept`](crate::Accept) of another connection's request.
    OtherRequest,
    /// A header name is not a token or belongs to the machine, or a value holds a control
    /// character.
    InvalidHeader,
    /// A status below 200 or over 599.
    InvalidStatus,
    /// A body with a status that allows none (204, 205, 304).
    BodyNotAllowed,
    /// `accept` by a [`Handler`](crate::Handler) after a handler has failed to reject the request.
    Refused,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::NoRequest => "there is no request to answer",
            Self::Deferred => "a handler has deferred the answer",
            Self::NotAnUpgrade => "the request does not ask for an upgrade",
            Self::OtherRequest => "this is the acceptance of another request",
            Self::InvalidHeader => "a header is not allowed here",
            Self::InvalidStatus => "the status is not from 200 to 599",
            Self::BodyNotAllowed => "a response with this status has no body",
            Self::Refused => "a handler has refused the request",
        })
    }
}

impl error::Error for AnswerError {}

impl From<OutboxFull> for AnswerError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}

/// Why no opening handshake was sent. The call changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// The outbox has too little capacity left.
    OutboxFull(OutboxFull),
    /// The opening handshake was sent before, or the connection has ended.
    AlreadySent,
    /// The URI is not `ws://` or `wss://` with a host (RFC 6455 section 3), or has a fragment or
    /// user information.
    InvalidUri,
    /// The host is not a host with an optional port.
    InvalidHost,
    /// The path is not empty and begins with neither `/` nor `?`, or it holds white space, a `#` or
    /// a character that is not ASCII.
    InvalidPath,
    /// A subprotocol is not a token, or is offered twice (section 4.1).
    InvalidProtocol,
    /// More than 32 subprotocols are offered. (Their names may have any length.)
    TooManyProtocols,
    /// A header name is not a token or belongs to the machine, or a value holds a control
    /// character.
    InvalidHeader,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutboxFull(full) => return full.fmt(f),
            Self::AlreadySent => "the opening handshake was sent before, or the connection has ended",
            Self::InvalidUri => "not a ws:// or wss:// URI",
            Self::InvalidHost => "the host is malformed",
            Self::InvalidPath => "the path is malformed",
            Self::InvalidProtocol => "a subprotocol is not a token, or is offered twice",
            Self::TooManyProtocols => "more than 32 subprotocols are offered",
            Self::InvalidHeader => "a header is not allowed here",
        })
    }
}

impl error::Error for ConnectError {}

impl From<OutboxFull> for ConnectError {
    fn from(full: OutboxFull) -> Self {
        Self::OutboxFull(full)
    }
}
