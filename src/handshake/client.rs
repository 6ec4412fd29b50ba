//! The client's side of the opening handshake (RFC 6455 section 4.1): the request, and the rules
//! for the response.

use super::head::{self, Head, HeadRules, HeaderSet, Step};
use super::{
    HeaderName, Headers, KeyValue, Outcome, SelectedRange, ShownHeaders, accept_value, append, are_allowed,
    checked_value,
};
use crate::{Buffer, Config, ConnectError, HeadError, OutboxFull, ResponseError};
use core::fmt;

/// A client's request: host, path, subprotocols and additional headers.
///
/// ```
/// use sansocket::Connect;
/// let connect = Connect::new("example.com", "/chat").protocol("chat").headers(&[("Origin", "http://example.com")]);
/// let connect = Connect::from_uri("wss://example.com:8443/chat?room=1")?;
/// assert_eq!((connect.host(), connect.port(), connect.is_secure()), ("example.com", 8443, true));
/// # Ok::<_, sansocket::ConnectError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "the request is written by WebSocket::connect"]
pub struct Connect<'a> {
    authority: &'a str,
    secure: bool,
    path: &'a str,
    offer: Offer<'a>,
    headers: Headers<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer<'a> {
    One(&'a str),
    Many(&'a [&'a str]),
}

impl<'a> Connect<'a> {
    /// Requests `path`, which may have a query, from `host`, which may have a port if it is not the
    /// scheme's default.
    pub const fn new(host: &'a str, path: &'a str) -> Self {
        Self { authority: host, secure: false, path, offer: Offer::Many(&[]), headers: &[] }
    }

    /// Requests what a `ws://` or `wss://` URI names (RFC 6455 section 3).
    ///
    /// The caller provides the transport: connect to [`host`](Self::host) and [`port`](Self::port),
    /// over TLS if [`is_secure`](Self::is_secure).
    ///
    /// # Errors
    /// [`InvalidUri`](ConnectError::InvalidUri) for another scheme, user information, or a
    /// fragment, which a WebSocket URI must not have;
    /// [`InvalidHost`](ConnectError::InvalidHost) and [`InvalidPath`](ConnectError::InvalidPath)
    /// for a host or path that is malformed or not ASCII (give internationalised names in their
    /// ASCII form).
    #[doc(alias = "url")]
    pub fn from_uri(uri: &'a str) -> Result<Self, ConnectError> {
        let (scheme, _) = head::split(uri.as_bytes(), b':');
        let rest = uri.get(scheme.len()..).and_then(|rest| rest.strip_prefix("://"));
        let rest = rest.ok_or(ConnectError::InvalidUri)?;
        let secure = head::eq_ignore_case(scheme, b"wss");
        if !secure && !head::eq_ignore_case(scheme, b"ws") {
            return Err(ConnectError::InvalidUri);
        }
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let (authority, path) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
        if authority.bytes().any(|byte| byte == b'@') || path.bytes().any(|byte| byte == b'#') {
            return Err(ConnectError::InvalidUri);
        }
        let mut connect = Self { secure, ..Self::new(authority, path) };
        let (host, port) = connect.host_and_port().ok_or(ConnectError::InvalidHost)?;
        if port.is_none_or(|port| port == default_port(secure)) {
            connect.authority = host;
        }
        connect.check_path()?;
        Ok(connect)
    }

    /// Offers one subprotocol; it replaces those offered before.
    #[doc(alias = "subprotocol")]
    #[doc(alias = "Sec-WebSocket-Protocol")]
    pub const fn protocol(self, protocol: &'a str) -> Self {
        Self { offer: Offer::One(protocol), ..self }
    }

    /// Offers subprotocols in order of preference; they replace those offered before.
    #[doc(alias = "subprotocols")]
    #[doc(alias = "Sec-WebSocket-Protocol")]
    pub const fn protocols(self, protocols: &'a [&'a str]) -> Self {
        Self { offer: Offer::Many(protocols), ..self }
    }

    /// Adds headers: `Origin`, `Authorization`, `Cookie`, …; they replace those given before.
    pub const fn headers(self, headers: Headers<'a>) -> Self {
        Self { headers, ..self }
    }

    /// The host to connect to: a name, an IPv4 address, or an IPv6 address without its brackets, as
    /// a resolver takes it.
    #[must_use]
    pub fn host(&self) -> &'a str {
        let host = self.host_and_port().map_or(self.authority, |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port to connect to: if none is given, 443 for `wss` and 80 for `ws`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.host_and_port().and_then(|(_, port)| port).unwrap_or(default_port(self.secure))
    }

    /// The value of the `Host` header: the host, in brackets if it is an IPv6 address, and a port
    /// other than the scheme's.
    #[must_use]
    pub const fn authority(&self) -> &'a str {
        self.authority
    }

    /// Whether the request came from a `wss://` URI, and so needs TLS.
    #[doc(alias = "tls")]
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, with the brackets of an IPv6 address, and the port if one is given.
    fn host_and_port(&self) -> Option<(&'a str, Option<u16>)> {
        let (len, port) = head::host_and_port(self.authority.as_bytes())?;
        Some((self.authority.get(..len)?, port))
    }

    fn offered(&self) -> &[&'a str] {
        match &self.offer {
            Offer::One(protocol) => core::slice::from_ref(protocol),
            Offer::Many(protocols) => protocols,
        }
    }

    /// "MUST be percent-encoded"; an empty path, also before a query, is `/`.
    fn check_path(&self) -> Result<(), ConnectError> {
        let path = self.path.as_bytes();
        let valid = matches!(path, [] | [b'/' | b'?', ..]) && head::is_all(path, head::TARGET);
        if valid { Ok(()) } else { Err(ConnectError::InvalidPath) }
    }

    /// Checks the request, and returns what the client must remember until the response.
    pub(crate) fn check(&self) -> Result<ClientOpening, ConnectError> {
        head::host_and_port(self.authority.as_bytes()).ok_or(ConnectError::InvalidHost)?;
        self.check_path()?;
        if !are_allowed(self.headers, "Host") {
            return Err(ConnectError::InvalidHeader);
        }
        let mut opening = ClientOpening::new();
        for &protocol in self.offered() {
            if !head::is_token(protocol.as_bytes()) || opening.has_offered(protocol.as_bytes()) {
                return Err(ConnectError::InvalidProtocol);
            }
            for part in [protocol.as_bytes(), b", "] {
                opening.offer.extend_from_slice(part).map_err(|_| ConnectError::OfferTooLong)?;
            }
        }
        Ok(opening)
    }

    /// Appends the request (section 4.1, "The requirements for this handshake"); `opening` is the
    /// result of [`check`](Self::check).
    pub(crate) fn append<B: Buffer + ?Sized>(
        &self,
        key: &KeyValue,
        opening: &ClientOpening,
        outbox: &mut B,
    ) -> Result<(), OutboxFull> {
        let protocols = opening.offer.strip_suffix(b", ");
        let front: [&[u8]; _] = [
            if self.path.starts_with('/') { b"GET ".as_slice() } else { b"GET /" },
            self.path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            self.authority.as_bytes(),
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            key,
            b"\r\n",
            b"Sec-WebSocket-Protocol: ",
            protocols.unwrap_or_default(),
            b"\r\n",
        ];
        let without = if protocols.is_none() { 3 } else { 0 };
        append(front.get(..front.len() - without).unwrap_or_default(), self.headers, b"", outbox)
    }
}

/// Shows the authority and the added headers; the path and the subprotocols may hold secrets.
impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = ShownHeaders(self.headers);
        let mut debug = f.debug_struct("Connect");
        debug.field("authority", &self.authority).field("secure", &self.secure).field("headers", &headers);
        debug.finish_non_exhaustive()
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A server's response to an opening handshake, borrowed from the inbox: status and headers. The
/// body is not read.
///
/// `Debug` and `defmt::Format` show only the values of headers that hold no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response<'r> {
    head: Head<'r>,
}

impl<'r> Response<'r> {
    pub(crate) const fn new(head: &'r [u8]) -> Self {
        Self { head: Head::new(head) }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        status_line(self.head.first_line()).map_or(0, |(_, status)| status)
    }

    /// The value of the first header with this name, without the white space around it: `Location`,
    /// for example. Names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.headers()
    }
}

/// The version (11 for `HTTP/1.1`) and the status of `HTTP/x.y STATUS REASON` (RFC 9112 section 4).
/// The reason may be empty; some servers omit the space before it too.
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let (version, rest) = line.split_at_checked(8)?;
    match rest {
        [b' ', status @ ..] => {
            let (status, _) = head::split(status, b' ');
            match status {
                [b'1'..=b'9', _, _] => Some((head::http_version(version)?, head::parse_decimal(status)?)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The headers of a response that there are rules for.
const RESPONSE_HEADERS: &[(HeaderName, &str)] = &[
    HeaderName::Upgrade.named(),
    HeaderName::Connection.named(),
    HeaderName::SecWebSocketAccept.named(),
    HeaderName::SecWebSocketProtocol.named(),
    HeaderName::SecWebSocketExtensions.named(),
];

/// What a client remembers of its request, and the part of the response that it has read so far.
#[derive(Clone)]
pub struct ClientOpening {
    /// The key that was sent; `None` before that, or if the caller's key is malformed.
    pub(crate) key: Option<KeyValue>,
    /// The subprotocols that were offered, each followed by a comma and a space.
    offer: heapless::Vec<u8, 125, u8>,
    status: u16,
    seen: HeaderSet,
    selected: SelectedRange,
}

/// Hides the key and the offered subprotocols, which may hold secrets.
impl fmt::Debug for ClientOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ClientOpening");
        debug.field("status", &self.status).field("seen", &self.seen).field("selected", &self.selected);
        debug.finish_non_exhaustive()
    }
}

impl ClientOpening {
    pub(crate) const fn new() -> Self {
        Self {
            key: None,
            offer: heapless::Vec::new(),
            status: 0,
            seen: HeaderSet::EMPTY,
            selected: SelectedRange::NONE,
        }
    }

    fn has_offered(&self, protocol: &[u8]) -> bool {
        head::list(&self.offer).any(|offered| offered == protocol)
    }

    /// Checks a header of a response with status 101 (section 4.1 points 2 to 6 of the checks). Its
    /// value begins at `start` in the head.
    // Outlined for registers: benches/README.md, "Outlined functions".
    #[inline(never)]
    fn header(&mut self, name: &[u8], value: &[u8], start: usize) -> Result<(), ResponseError> {
        let Some(header) = HeaderName::find(name, RESPONSE_HEADERS) else { return Ok(()) };
        let valid = match header {
            // All headers of this name form one list: one of them must name the token.
            HeaderName::Connection => {
                if head::contains_token(value, "upgrade") {
                    self.seen.insert(header);
                }
                return Ok(());
            }
            HeaderName::Upgrade => head::eq_ignore_case(value, b"websocket"),
            HeaderName::SecWebSocketAccept => self.key.as_ref().is_some_and(|key| value == accept_value(key)),
            HeaderName::SecWebSocketProtocol => self.has_offered(value),
            _ => head::are_extensions(value),
        };
        if !self.seen.insert(header) {
            return Err(ResponseError::Duplicate(header));
        }
        if header == HeaderName::SecWebSocketProtocol {
            self.selected = SelectedRange { start: start as u16, len: value.len() as u16 };
            return if valid { Ok(()) } else { Err(ResponseError::Unoffered(header)) };
        }
        if valid { Ok(()) } else { Err(ResponseError::Invalid(header)) }
    }

    /// Checks that the complete head of a response with status 101 has all required headers.
    fn finish(&self) -> Result<SelectedRange, ResponseError> {
        const REQUIRED: &[HeaderName] =
            &[HeaderName::Upgrade, HeaderName::Connection, HeaderName::SecWebSocketAccept];
        if let Some(header) = self.seen.first_missing(REQUIRED) {
            return Err(ResponseError::Missing(header));
        }
        if self.seen.contains(HeaderName::SecWebSocketExtensions) {
            // The machine never offers one.
            return Err(ResponseError::Unoffered(HeaderName::SecWebSocketExtensions));
        }
        Ok(self.selected)
    }
}

impl HeadRules for ClientOpening {
    type Error = ResponseError;

    // For speed on 64-bit only: benches/README.md, "Heads".
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn line(&mut self, line: &[u8], start: usize, is_first: bool, _: &Config) -> Result<Step, ResponseError> {
        match (line, self.status) {
            _ if is_first => {
                let (version, status) = status_line(line).ok_or(ResponseError::InvalidStatusLine)?;
                self.status = status;
                if status == 101 && version < 11 {
                    return Err(ResponseError::HttpTooOld);
                }
            }
            ([], 101) => return Ok(Step::Done(Outcome::Open(self.finish()?))),
            // "A client MUST be able to parse one or more 1xx responses received prior to a final response"
            // (RFC 9110 section 15.2)
            ([], 100..200) => return Ok(Step::NextHead),
            ([], status) => return Ok(Step::Done(Outcome::Refused(status))),
            (_, status) => match head::parse_header(line) {
                Ok((name, value, offset)) if status == 101 => self.header(name, value, start + offset)?,
                // "A user agent that receives an obs-fold in a response message [...] MUST replace" it
                // (RFC 9112 section 5.2): the header loses its folded lines, and the caller still gets
                // the status of a refusal.
                Err(HeadError::Folded) if status != 101 => {}
                header => _ = header?,
            },
        }
        Ok(Step::NextLine)
    }
}

/// The result of the negotiation in a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Agreed<'h> {
    protocol: Option<&'h str>,
}

/// Hides the subprotocol, which may hold a secret.
impl fmt::Debug for Agreed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agreed").finish_non_exhaustive()
    }
}

impl<'h> Agreed<'h> {
    /// The subprotocol that the server has selected, if any.
    #[doc(alias = "subprotocol")]
    #[must_use]
    pub const fn protocol(&self) -> Option<&'h str> {
        self.protocol
    }
}

/// Checks the headers of a response with status 101 that other software has parsed, by the rules
/// that the machine applies to responses (section 4.1). `connect` is the request, and `key` the
/// `Sec-WebSocket-Key` that was sent with it.
///
/// The connection then starts with [`WebSocket::<Client<_>>::open`](crate::WebSocket::open).
///
/// # Errors
/// The first rule that the headers break. (If the machine could not have sent `connect`, no
/// subprotocol counts as offered.)
pub fn check_response<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    key: &str,
    connect: &Connect<'_>,
) -> Result<Agreed<'h>, ResponseError> {
    let mut opening = connect.check().unwrap_or(ClientOpening::new());
    // No value answers a key of another length.
    opening.key = key.as_bytes().try_into().ok();
    let mut protocol = None;
    for (name, value) in headers {
        let value = checked_value(value)?;
        opening.header(name.as_bytes(), value, 0)?;
        if name.eq_ignore_ascii_case(HeaderName::SecWebSocketProtocol.as_str()) {
            protocol = head::token(value);
        }
    }
    opening.finish()?;
    Ok(Agreed { protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(connect: &Connect<'_>) -> std::string::String {
        let opening = connect.check().unwrap();
        let mut outbox = heapless::Vec::<u8, 1024>::new();
        connect.append(&crate::handshake::key_value(&[0; 16]), &opening, &mut outbox).unwrap();
        std::string::String::from_utf8(outbox.to_vec()).unwrap()
    }

    /// Proves: C6, C7, C9, C10, C12, C13, C15, C16.
    #[test]
    fn the_request_has_the_parts_of_section_4_1() {
        let connect = Connect::new("example.com:8080", "/chat?a=b")
            .protocols(&["v2", "v1"])
            .headers(&[("Origin", "http://example.com"), ("Cookie", "a=b")]);
        assert_eq!(
            written(&connect),
            "GET /chat?a=b HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: v2, v1\r\nOrigin: http://example.com\r\nCookie: a=b\r\n\r\n"
        );
    }

    /// Proves: U1, U2, U3, U4, C8.
    #[test]
    fn a_uri_names_host_port_path_and_query() {
        for (uri, host, port, secure, start) in [
            ("ws://a", "a", 80, false, "GET / HTTP/1.1\r\nHost: a\r\n"),
            ("WSS://a", "a", 443, true, "GET / HTTP/1.1\r\nHost: a\r\n"),
            ("ws://a:80/b", "a", 80, false, "GET /b HTTP/1.1\r\nHost: a\r\n"),
            ("wss://a:80/b?c", "a", 80, true, "GET /b?c HTTP/1.1\r\nHost: a:80\r\n"),
            ("ws://[::1]:9001?q", "::1", 9001, false, "GET /?q HTTP/1.1\r\nHost: [::1]:9001\r\n"),
        ] {
            let connect = Connect::from_uri(uri).unwrap();
            assert_eq!((connect.host(), connect.port(), connect.is_secure()), (host, port, secure), "{uri}");
            assert!(written(&connect).starts_with(start), "{uri}: {}", written(&connect));
        }
        for (uri, error) in [
            ("http://a", ConnectError::InvalidUri),
            ("a", ConnectError::InvalidUri),
            ("ws:a", ConnectError::InvalidUri),
            ("ws://a/#b", ConnectError::InvalidUri),
            ("ws://a#b", ConnectError::InvalidUri),
            ("ws://u@a", ConnectError::InvalidUri),
            ("ws://", ConnectError::InvalidHost),
            ("ws:///b", ConnectError::InvalidHost),
            ("ws://a:x", ConnectError::InvalidHost),
            ("ws://é", ConnectError::InvalidHost),
            ("ws://a/é", ConnectError::InvalidPath),
            ("ws://a/ b", ConnectError::InvalidPath),
            ("ws://a/\r\nX: y", ConnectError::InvalidPath),
        ] {
            assert_eq!(Connect::from_uri(uri), Err(error), "{uri}");
        }
    }

    /// Proves: C14.
    #[test]
    fn offered_subprotocols_are_unique_tokens_that_fit() {
        let check = |offer: &[&str]| Connect::new("a", "/").protocols(offer).check().map(|_| ());
        assert_eq!(check(&["a", "b", "aa"]), Ok(()));
        for invalid in ["", "a b", "a,b", "é", "a\r\nb", "a;b"] {
            assert_eq!(check(&[invalid]), Err(ConnectError::InvalidProtocol), "{invalid:?}");
        }
        assert_eq!(check(&["a", "a"]), Err(ConnectError::InvalidProtocol));
        assert_eq!(check(&[&"x".repeat(123)]), Ok(()));
        assert_eq!(check(&[&"x".repeat(124)]), Err(ConnectError::OfferTooLong));
    }

    /// Proves: D9.
    #[test]
    fn a_status_line_is_a_version_three_digits_and_a_reason() {
        assert_eq!(status_line(b"HTTP/1.1 101 Switching Protocols"), Some((11, 101)));
        assert_eq!(status_line(b"HTTP/1.0 404 "), Some((10, 404)));
        assert_eq!(status_line(b"HTTP/1.1 403"), Some((11, 403)));
        for invalid in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 10 a",
            "HTTP/1.1  101 a",
            "http/1.1 101 a",
            "HTTP/1.1 1010 a",
        ] {
            assert_eq!(status_line(invalid.as_bytes()), None, "{invalid}");
        }
    }

    #[test]
    fn check_response_applies_the_same_rules() {
        let valid: &[(&str, &[u8])] = &[
            ("upgrade", b"WebSocket"),
            ("connection", b"Upgrade"),
            ("sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", b"b"),
        ];
        let check = |headers: &[(&'static str, &'static [u8])], offered: &[&str]| {
            let connect = Connect::new("a", "/").protocols(offered);
            check_response(headers.iter().copied(), "dGhlIHNhbXBsZSBub25jZQ==", &connect)
                .map(|agreed| agreed.protocol())
        };
        assert_eq!(check(valid, &["a", "b"]), Ok(Some("b")));
        assert_eq!(check(&valid[..3], &["a", "b"]), Ok(None));
        assert_eq!(check(valid, &["a"]), Err(ResponseError::Unoffered(HeaderName::SecWebSocketProtocol)));
        assert_eq!(check(&valid[..2], &[]), Err(ResponseError::Missing(HeaderName::SecWebSocketAccept)));
    }
}
