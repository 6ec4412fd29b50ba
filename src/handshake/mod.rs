//! The opening handshake (RFC 6455 section 4): HTTP heads, the accept value, negotiation.
//!
//! The machine reads and writes HTTP/1.1 heads itself. If other software does that,
//! [`check_request`] and [`check_response`] apply the same rules to the headers that it has parsed,
//! and the connection starts with [`WebSocket::<Server>::open`](crate::WebSocket::open). A program
//! that starts all its connections there saves the code for heads with
//! [`Established`](crate::Established).
//!
//! # HTTP/2 and HTTP/3
//!
//! A WebSocket over HTTP/2 is one stream, which an *extended CONNECT* opens (RFC 8441); the
//! connection has other streams for other requests. The frames are those of HTTP/1.1, masks
//! included. HTTP/3 has the same request and the same response (RFC 9220).
//!
//! | | HTTP/1.1 | HTTP/2 and HTTP/3 |
//! |---|---|---|
//! | a client's request | `GET` with `Upgrade`, `Connection` and a key | `CONNECT` with `:protocol` websocket: [`Connect::http_uri`], [`Connect::connect_headers`] |
//! | a server's check | [`check_request`] | [`check_connect`] |
//! | acceptance | [`Accept::response`] with status 101 | [`Accept::response`] with status 200 |
//! | refusal | [`RequestError::response`], [`Reject::response`] | the same |
//! | a client's check | [`check_response`] | [`check_connect_response`] |
//!
//! The stack does the rest:
//! - It sends the setting `SETTINGS_ENABLE_CONNECT_PROTOCOL` (8) with the value 1 as a server. As a
//!   client, it waits for that value before the first extended CONNECT.
//! - It reads and writes the pseudo-headers. A server answers another `:protocol` with status 501.
//! - The data of the stream is what [`receive`](crate::WebSocket::receive) takes, and what
//!   [`transmit`](crate::WebSocket::transmit) and the other calls append.
//! - `END_STREAM`, or the FIN of an HTTP/3 stream, is the end of the stream:
//!   [`receive_eof`](crate::WebSocket::receive_eof). When
//!   [`is_closed`](crate::WebSocket::is_closed), end the stream in the same way.
//! - A reset of the stream (`RST_STREAM`, `H3_REQUEST_CANCELLED`) and the end of the connection end
//!   the stream too: `receive_eof`. Give up a stream with `CANCEL`, or `H3_REQUEST_CANCELLED`.
//!
//! `examples/http2.rs` and `examples/http2_client.rs` of `sansocket-io` are a server and a client.
//! There is no example for HTTP/3. With `quiche` 0.30 (`enable_extended_connect`), a client and a
//! server opened a WebSocket by these functions, exchanged messages of 100,000 bytes and closed it;
//! it builds BoringSSL, with CMake and libclang. Pass its headers without those that begin with a
//! colon. The crate `h3` 0.0.8 takes only the protocols `webtransport` and `connect-udp`, and reads
//! a request for `websocket` as malformed.

mod client;
mod error;
mod extended_connect;
pub(crate) mod head;
mod key;
mod negotiation;
mod server;
mod sha1;

pub(crate) use client::ClientOpening;
pub(crate) use head::{HeadRules, NoHead, Outcome, SelectedRange};
pub(crate) use key::{KeyValue, accept_value, key_value};
pub(crate) use negotiation::Negotiation;
pub(crate) use server::{RequestForm, ServerOpening};

#[cfg(feature = "deflate")]
pub(crate) use {
    client::check_response_with,
    extended_connect::{check_connect_response_with, check_connect_with},
    server::check_request_with,
};

pub use client::{Agreed, Connect, Response, check_response};
pub use error::{AnswerError, ConnectError, HeadError, HeaderName, RequestError, ResponseError};
pub use extended_connect::{check_connect, check_connect_response};
pub use key::AcceptValue;
pub use server::{Accept, BadRequest, Reject, Request, ResponseHead, check_request};

#[cfg(feature = "deflate")]
use crate::deflate::Parameters;
use crate::{Buffer, Config, OutboxFull, Role};
use core::fmt;
use head::{Head, Reader};

/// Names and values of headers that the caller adds to a request or response.
pub type Headers<'h> = &'h [(&'h str, &'h str)];

/// A complete opening handshake: the selected subprotocol, what is agreed, and the peer's head.
///
/// `Debug` and `defmt::Format` show only the values of headers that hold no secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Open<'o> {
    head: Head<'o>,
    protocol: Option<&'o str>,
    #[cfg(feature = "deflate")]
    deflate: Option<Parameters>,
}

impl<'o> Open<'o> {
    /// That of a server, which has selected this subprotocol in the request.
    pub(crate) fn accepted<R: Role>(head: &'o [u8], selected: SelectedRange, _role: &R) -> Self {
        let (start, len) = (usize::from(selected.start), usize::from(selected.len));
        let protocol = match head.get(start..start + len) {
            None | Some([]) => None,
            Some(protocol) => core::str::from_utf8(protocol).ok(),
        };
        Self {
            head: Head::new(head),
            protocol,
            #[cfg(feature = "deflate")]
            deflate: _role.parameters(true),
        }
    }

    /// That of a client, from the response.
    pub(crate) fn of_response<R: Role>(head: &'o [u8], selected: SelectedRange, _role: &R) -> Self {
        let head = Head::new(head);
        let protocol = match selected {
            SelectedRange::NONE => None,
            _ => head
                .first_value(HeaderName::SecWebSocketProtocol)
                .and_then(|value| core::str::from_utf8(value).ok()),
        };
        Self {
            head,
            protocol,
            #[cfg(feature = "deflate")]
            deflate: _role.parameters(false),
        }
    }

    /// The subprotocol that the server has selected, if any.
    #[doc(alias = "subprotocol")]
    #[doc(alias = "Sec-WebSocket-Protocol")]
    #[must_use]
    pub const fn protocol(&self) -> Option<&'o str> {
        self.protocol
    }

    /// The parameters of permessage-deflate; `None` if it is not agreed, and messages are not
    /// compressed.
    #[cfg(feature = "deflate")]
    #[doc(alias = "permessage-deflate")]
    #[doc(alias = "Sec-WebSocket-Extensions")]
    #[must_use]
    pub const fn deflate(&self) -> Option<Parameters> {
        self.deflate
    }

    /// The value of the first header with this name in the peer's head: for a client the response,
    /// for a server the request. Names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'o [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers in the peer's head.
    pub fn headers(&self) -> impl Iterator<Item = (&'o str, &'o [u8])> + use<'o> {
        self.head.headers()
    }

    /// Whether all headers are here. `false`: some did not fit into the inbox, and are missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.head.is_complete()
    }
}

impl fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Open");
        debug.field("head", &self.head);
        #[cfg(feature = "deflate")]
        debug.field("deflate", &self.deflate);
        debug.finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Open<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        #[cfg(feature = "deflate")]
        defmt::write!(f, "Open {{ head: {}, deflate: {}, .. }}", self.head, self.deflate);
        #[cfg(not(feature = "deflate"))]
        defmt::write!(f, "Open {{ head: {}, .. }}", self.head);
    }
}

/// The opening handshake of a connection, with the rules for the peer's head.
///
/// A state machine of its own, which ends in a receiver and a sender:
///
/// | state | role | entered by | left by | next |
/// |---|---|---|---|---|
/// | awaits the caller | client | the constructor | `connect` | reading the head |
/// | awaits the caller | server | a complete request | `accept` | receiver with [`Open`] pending, open sender |
/// | | | | `reject` | both ended |
/// | reading the head | server | the constructor | a complete request | awaits the caller |
/// | reading the head | client | `connect` | a response with status 101 | receiver and sender open |
/// | | | | a response with another status, complete or cut short | both ended |
/// | any | both | | an invalid head, the end of the stream, the timeout | both ended; a server refuses an invalid head first |
#[derive(Clone, Debug)]
pub(crate) enum Handshake<H> {
    /// A client has not called `connect`; no input is taken.
    AwaitsConnect,
    /// The peer's head is being read. Or it is complete, and a server has not answered the request;
    /// no input is taken.
    Head { reader: Reader, rules: H, awaits_answer: bool },
}

impl<H: HeadRules> Handshake<H> {
    pub(crate) const fn head(rules: H) -> Self {
        Self::Head { reader: Reader::new(), rules, awaits_answer: false }
    }

    /// Takes bytes from the front of `input` until the head is complete: its outcome, and how many
    /// bytes were taken. After a request, the handshake awaits the caller.
    pub(crate) fn read<B: Buffer + ?Sized>(
        &mut self,
        input: &[u8],
        inbox: &mut B,
        config: &Config,
    ) -> Result<Option<(Outcome, usize)>, H::Error> {
        let Self::Head { reader, rules, awaits_answer: awaits_answer @ false } = self else {
            return Ok(None);
        };
        let read = reader.read(input, inbox, rules, config)?;
        *awaits_answer = matches!(read, Some((Outcome::Request, _)));
        Ok(read)
    }

    /// Whether it is the caller's turn.
    pub(crate) const fn awaits_caller(&self) -> bool {
        matches!(self, Self::AwaitsConnect | Self::Head { awaits_answer: true, .. })
    }

    /// A server: the request that awaits its answer.
    pub(crate) fn request(&self) -> Option<&RequestForm> {
        match self {
            Self::Head { rules, awaits_answer: true, .. } => rules.request(),
            _ => None,
        }
    }

    /// The negotiation so far; `None` before a client's request.
    pub(crate) fn negotiation(&self) -> Option<&H::Negotiation> {
        match self {
            Self::Head { rules, .. } => Some(rules.negotiation()),
            Self::AwaitsConnect => None,
        }
    }

    /// A server: declines the offers of the request.
    #[cfg(feature = "deflate")]
    pub(crate) fn decline(&mut self) {
        if let Self::Head { rules, .. } = self {
            rules.decline();
        }
    }

    /// A client: the status other than 101 of the response that is being read.
    pub(crate) fn refusal(&self) -> Option<u16> {
        match self {
            Self::Head { rules, .. } => rules.refusal(),
            Self::AwaitsConnect => None,
        }
    }
}

/// The size of what [`append`] appends.
fn size(front: &[&[u8]], headers: Headers<'_>, body: &[u8]) -> usize {
    let mut size = body.len().saturating_add(2);
    for part in front {
        size = size.saturating_add(part.len());
    }
    for (name, value) in headers {
        size = size.saturating_add(name.len()).saturating_add(value.len()).saturating_add(4);
    }
    size
}

/// Appends a complete head and body, or nothing: the lines in `front`, the caller's headers, the
/// empty line, the body.
fn append<B: Buffer + ?Sized>(
    front: &[&[u8]],
    headers: Headers<'_>,
    body: &[u8],
    outbox: &mut B,
) -> Result<(), OutboxFull> {
    let needed = size(front, headers, body);
    if outbox.remaining() < needed {
        return Err(OutboxFull { needed });
    }
    for part in front {
        outbox.append(part);
    }
    for (name, value) in headers {
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            outbox.append(part);
        }
    }
    outbox.append(b"\r\n");
    outbox.append(body);
    Ok(())
}

/// Whether the caller may add these headers: names are tokens, but neither the machine's own nor
/// `reserved`; values hold no control characters, above all no CR and LF.
fn are_allowed(headers: Headers<'_>, reserved: &str) -> bool {
    const OWN: &[u8] = b"Connection,Upgrade,Content-Length,Transfer-Encoding";
    headers.iter().all(|(name, value)| {
        let is_own = head::contains_token(OWN, name)
            || name
                .as_bytes()
                .get(..14)
                .is_some_and(|prefix| head::eq_ignore_case(prefix, b"Sec-WebSocket-"));
        head::is_token(name.as_bytes())
            && !is_own
            && !head::eq_ignore_case(name.as_bytes(), reserved.as_bytes())
            && head::is_text(value.as_bytes())
    })
}

/// A header from other software, without the white space around its value, if it could have been in
/// a head.
fn checked_header<'h>(name: &'h str, value: &'h [u8]) -> Result<(&'h [u8], &'h [u8]), HeadError> {
    match (head::is_token(name.as_bytes()), head::is_text(value)) {
        (false, _) => Err(HeadError::InvalidName),
        (_, false) => Err(HeadError::ControlCharacter),
        _ => Ok((name.as_bytes(), head::trim(value))),
    }
}

/// Whether `value` is 16 bytes in base64: 22 characters of the alphabet and `==`. The trailing bits
/// are ignored, as in the example of section 4.1 (erratum 3150).
fn is_key(value: &[u8]) -> bool {
    value.len() == 24 && value.strip_suffix(b"==").is_some_and(|digits| head::is_all(digits, head::BASE64))
}

/// Shows the caller's headers without secrets.
struct ShownHeaders<'h>(Headers<'h>);

impl fmt::Debug for ShownHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head::fmt_headers(self.0.iter().map(|(name, value)| (*name, value.as_bytes())), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: C18, R14.
    #[test]
    fn headers_that_inject_or_override_are_not_allowed() {
        assert!(are_allowed(
            &[("Cookie", "a=b; c=\"d\""), ("Origin", "http://a"), ("X", ""), ("Y", "\té")],
            "Host"
        ));
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "a\0b"),
            ("X", "\x7F"),
            ("X\r\nY", "a"),
            ("", "a"),
            ("X:", "a"),
            ("X Y", "a"),
            ("host", "a"),
            ("UPGRADE", "h2c"),
            ("connection", "close"),
            ("Sec-WebSocket-Key", "a"),
            ("sec-websocket-accept", "a"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(!are_allowed(&[(name, value)], "Host"), "{name}: {value}");
        }
    }

    #[test]
    fn debug_shows_no_secrets() {
        let request = "GET /chat?token=secret HTTP/1.1\r\nHost: example.com\r\nORIGIN: http://a\r\nCookie: secret\r\n\
            Authorization: secret\r\nProxy-Authorization: secret\r\nSec-WebSocket-Protocol: secret\r\n\
            Sec-WebSocket-Key: secret\r\nX-Any: secret\r\n\r\n";
        let response = "HTTP/1.1 401 Unauthorized\r\nServer: example.com\r\nSet-Cookie: secret\r\n\r\n";
        let headers = [("Server", "example.com"), ("Set-Cookie", "secret"), ("Authorization", "secret")];
        let start = request.find("secret\r\nSec-WebSocket-Key").unwrap() as u16;
        let open = Open::accepted(request.as_bytes(), SelectedRange { start, len: 6 }, &crate::Server);
        assert_eq!(open.protocol(), Some("secret"));
        let mut head = request.replace("Sec-WebSocket-Protocol: secret\r\n", "");
        head = head.replace("Key: secret", "Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13");
        head = head.replace("X-Any", "Upgrade: websocket\r\nConnection: Upgrade\r\nX-Any");
        let request = read(&head);
        assert_eq!(request.accept().value(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (shown, expected) in [
            (
                std::format!("{open:?}"),
                "Open { head: GET /chat?... HTTP/1.1 {Host: example.com, ORIGIN: http://a, Cookie",
            ),
            (
                std::format!("{request:?}"),
                "head: GET /chat?... HTTP/1.1 {Host: example.com, ORIGIN: http://a, Cookie: ...,",
            ),
            (
                std::format!("{:?}", Response::new(response.as_bytes())),
                "Response { head: HTTP/1.1 401 Unauthorized {Server: example.com, Set-Cookie: ...} }",
            ),
            (
                std::format!("{:?}", request.accept().headers(&headers)),
                "Accept { headers: {Server: example.com, Set-Cookie: ..., Authorization: ...}, .. }",
            ),
            (
                std::format!("{:?}", Reject::status(401).headers(&headers).body(b"secret")),
                "Reject { status: 401, headers: {Server: example.com, Set-Cookie: ..., Authorization: ...}, .. }",
            ),
            (
                std::format!(
                    "{:?}",
                    Connect::new("example.com", "/?secret").headers(&headers).protocol("secret")
                ),
                "Connect { authority: \"example.com\", secure: false, headers: {Server: example.com, Set-Cookie: ...",
            ),
        ] {
            assert!(shown.contains(expected), "{shown}");
            assert!(
                !shown.contains("secret") && !shown.contains("dGhl") && !shown.contains("s3pP"),
                "{shown}"
            );
        }
    }

    /// The request that a server reads from this head.
    fn read(head: &str) -> Request<'_> {
        let mut handshake = Handshake::head(ServerOpening::new(()));
        let mut inbox = heapless::Vec::<u8, 1024>::new();
        match handshake.read(head.as_bytes(), &mut inbox, &Config::default()) {
            Ok(Some((Outcome::Request, _))) => {}
            other => panic!("{other:?}"),
        }
        Request::new(head.as_bytes(), *handshake.request().unwrap())
    }
}
