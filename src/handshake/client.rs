//! The client's side of the opening handshake (RFC 6455 section 4.1): the request, and what the response must say.

use super::head::{self, Head};
use super::{Chosen, Headers, KeyValue, Opening, Outcome, accept_value, append, are_allowed, checked_value};
use crate::{Buffer, Config, ConnectError, HeadError, OutboxFull, ResponseError};

/// What a client asks for: host, path, subprotocols and headers of its own.
///
/// ```
/// use sansocket::Connect;
/// let connect = Connect::new("example.com", "/chat").protocol("chat").headers(&[("Origin", "http://example.com")]);
/// let connect = Connect::from_uri("wss://example.com:8443/chat?room=1")?;
/// assert_eq!((connect.host(), connect.port(), connect.is_secure()), ("example.com", 8443, true));
/// # Ok::<_, sansocket::ConnectError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the request is written by WebSocket::connect"]
pub struct Connect<'a> {
    /// As it goes into the `Host` header.
    authority: &'a str,
    secure: bool,
    path: &'a str,
    offer: Offer<'a>,
    headers: Headers<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer<'a> {
    One(&'a str),
    Many(&'a [&'a str]),
}

impl<'a> Connect<'a> {
    /// Asks `host`, which may carry a port that is not the scheme's own, for `path`, which may carry a query.
    pub const fn new(host: &'a str, path: &'a str) -> Self {
        Self { authority: host, secure: false, path, offer: Offer::Many(&[]), headers: &[] }
    }

    /// Asks for what a `ws://` or `wss://` URI names (section 3).
    ///
    /// The transport is the caller's: connect to [`host`](Self::host) and [`port`](Self::port), over TLS where
    /// [`is_secure`](Self::is_secure).
    ///
    /// # Errors
    /// [`InvalidUri`](ConnectError::InvalidUri) for another scheme, user information, or a fragment, which a WebSocket
    /// URI must not have; [`InvalidHost`](ConnectError::InvalidHost) and [`InvalidPath`](ConnectError::InvalidPath)
    /// for what is not ASCII there (give internationalised names in their ASCII form).
    pub fn from_uri(uri: &'a str) -> Result<Self, ConnectError> {
        let (scheme, rest) = head::split_scheme(uri).ok_or(ConnectError::InvalidUri)?;
        let secure = match scheme {
            _ if head::is_same(scheme.as_bytes(), b"ws") => false,
            _ if head::is_same(scheme.as_bytes(), b"wss") => true,
            _ => return Err(ConnectError::InvalidUri),
        };
        let (authority, path) = head::split_text(rest, b"/?#");
        if authority.bytes().any(|octet| octet == b'@') || path.bytes().any(|octet| octet == b'#') {
            return Err(ConnectError::InvalidUri);
        }
        let (host, port) = head::split_port(authority).ok_or(ConnectError::InvalidHost)?;
        let authority = if port.is_none_or(|port| port == default_port(secure)) { host } else { authority };
        let connect = Self { secure, path, ..Self::new(authority, path) };
        connect.check_path()?;
        Ok(connect)
    }

    /// Offers one subprotocol; it replaces those offered before.
    pub const fn protocol(self, protocol: &'a str) -> Self {
        Self { offer: Offer::One(protocol), ..self }
    }

    /// Offers subprotocols, the one it likes best first; they replace those offered before.
    pub const fn protocols(self, protocols: &'a [&'a str]) -> Self {
        Self { offer: Offer::Many(protocols), ..self }
    }

    /// Adds headers: `Origin`, `Authorization`, `Cookie`, …; they replace those given before.
    pub const fn headers(self, headers: Headers<'a>) -> Self {
        Self { headers, ..self }
    }

    /// The host to connect to: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &'a str {
        head::split_port(self.authority).map_or(self.authority, |(host, _)| host)
    }

    /// The port to connect to: where none is given, 443 for `wss` and else 80.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = head::split_port(self.authority).and_then(|(_, port)| port);
        port.unwrap_or(default_port(self.secure))
    }

    /// Whether it came from a `wss://` URI, and so asks for TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    fn offered(&self) -> &[&'a str] {
        match &self.offer {
            Offer::One(protocol) => core::slice::from_ref(protocol),
            Offer::Many(protocols) => protocols,
        }
    }

    /// "MUST be percent-encoded"; an empty path, before a query too, is `/`.
    fn check_path(&self) -> Result<(), ConnectError> {
        let path = self.path.as_bytes();
        let valid = matches!(path, [] | [b'/' | b'?', ..]) && head::is_all(path, head::TARGET);
        if valid { Ok(()) } else { Err(ConnectError::InvalidPath) }
    }

    /// Checks it, and says what to remember until the response comes.
    pub(crate) fn check(&self) -> Result<ClientOpening, ConnectError> {
        head::host_and_port(self.authority.as_bytes()).ok_or(ConnectError::InvalidHost)?;
        self.check_path()?;
        if !are_allowed(self.headers, "Host") {
            return Err(ConnectError::InvalidHeader);
        }
        let mut opening = ClientOpening::default();
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

    /// Appends the request (section 4.1, "The requirements for this handshake"); `opening` is what [`check`](Self::check)
    /// made of it.
    pub(crate) fn append<B: Buffer + ?Sized>(
        &self,
        key: &KeyValue,
        opening: &ClientOpening,
        outbox: &mut B,
    ) -> Result<(), OutboxFull> {
        let protocols: [&[u8]; 3] = match opening.offer.as_slice() {
            [protocols @ .., b',', b' '] => [b"Sec-WebSocket-Protocol: ", protocols, b"\r\n"],
            _ => [b""; 3],
        };
        let [name, protocols, end] = protocols;
        let front: [&[u8]; _] = [
            if self.path.starts_with('/') { b"GET ".as_slice() } else { b"GET /" },
            self.path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            self.authority.as_bytes(),
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            key,
            b"\r\n",
            name,
            protocols,
            end,
        ];
        append(&front, self.headers, b"", outbox)
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A server's response to an opening handshake, lent from the inbox: status and headers. Its body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response<'r> {
    head: Head<'r>,
}

impl<'r> Response<'r> {
    pub(crate) const fn new(octets: &'r [u8]) -> Self {
        Self { head: Head::new(octets) }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        status_line(self.head.first_line()).map_or(0, |(_, status)| status)
    }

    /// The value of the first header with this name, without the white space around it: `Location`, for example.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.fields()
    }
}

/// The version's digits and the status of `HTTP/x.y STATUS REASON` (RFC 9112 section 4); the reason may be empty, and as
/// some servers have it even the space before it absent.
fn status_line(line: &[u8]) -> Option<((u8, u8), u16)> {
    let (version, rest) = line.split_at_checked(8)?;
    match rest {
        [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9']
        | [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', ..] => {
            let digit = |octet: &u8| u16::from(octet - b'0');
            Some((head::http_version(version)?, digit(hundreds) * 100 + digit(tens) * 10 + digit(ones)))
        }
        _ => None,
    }
}

/// What a client must remember while it connects, and what it knows of the response so far.
#[derive(Clone, Debug, Default)]
pub struct ClientOpening {
    /// The key that was sent; `None` where it is none.
    pub(crate) key: Option<KeyValue>,
    /// The subprotocols that were offered, each with a comma and a space behind it.
    offer: heapless::Vec<u8, 125, u8>,
    /// The response's status.
    status: u16,
    upgrade: bool,
    connection: bool,
    accepted: bool,
    extensions: bool,
    chosen: Option<Chosen>,
}

impl ClientOpening {
    fn has_offered(&self, protocol: &[u8]) -> bool {
        head::list(&self.offer).any(|offered| offered == protocol)
    }

    /// What the complete head of a response with status 101 agrees on.
    fn chosen(&self) -> Result<Chosen, ResponseError> {
        if !self.upgrade {
            return Err(ResponseError::NoUpgrade);
        }
        if !self.connection {
            return Err(ResponseError::NoConnectionUpgrade);
        }
        if !self.accepted {
            return Err(ResponseError::NoAccept);
        }
        if self.extensions {
            // None is ever offered.
            return Err(ResponseError::UnofferedExtension);
        }
        Ok(self.chosen.unwrap_or_default())
    }
}

impl Opening for ClientOpening {
    type Error = ResponseError;

    fn first_line(&mut self, line: &[u8], _: &Config) -> Result<bool, ResponseError> {
        let (version, status) = status_line(line).ok_or(ResponseError::InvalidStatusLine)?;
        self.status = status;
        if status == 101 && !head::is_new_enough(version) {
            return Err(ResponseError::HttpTooOld);
        }
        Ok(true)
    }

    /// Section 4.1 points 2 to 6 of the checks.
    // Not inlined, as a server's.
    #[inline(never)]
    fn field(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), ResponseError> {
        if self.status != 101 {
            return Ok(());
        }
        let is = |other: &[u8]| head::is_same(name, other);
        if is(b"Upgrade") {
            // A second header would make a list of it, which is not equal to "websocket".
            let first = !core::mem::replace(&mut self.upgrade, true);
            let valid = first && head::is_same(value, b"websocket");
            if valid { Ok(()) } else { Err(ResponseError::NoUpgrade) }
        } else if is(b"Connection") {
            self.connection |= head::lists(value, "upgrade");
            Ok(())
        } else if is(b"Sec-WebSocket-Accept") {
            head::once(&mut self.accepted, ResponseError::SecondAccept)?;
            let valid = self.key.is_some_and(|key| value == accept_value(&key));
            if valid { Ok(()) } else { Err(ResponseError::WrongAccept) }
        } else if is(b"Sec-WebSocket-Protocol") {
            if self.chosen.is_some() {
                return Err(ResponseError::SecondProtocol);
            }
            self.chosen = Some(Chosen { start: at as u16, len: value.len() as u16 });
            if self.has_offered(value) { Ok(()) } else { Err(ResponseError::UnofferedProtocol) }
        } else if is(b"Sec-WebSocket-Extensions") {
            head::once(&mut self.extensions, ResponseError::SecondExtensions)?;
            if head::are_extensions(value) { Ok(()) } else { Err(ResponseError::InvalidExtensions) }
        } else {
            Ok(())
        }
    }

    fn finish(&mut self, _: &Config) -> Result<Option<Outcome>, ResponseError> {
        match self.status {
            101 => Ok(Some(Outcome::Open(self.chosen()?))),
            // "A client MUST be able to parse one or more 1xx responses received prior to a final response"
            // (RFC 9110 section 15.2)
            100..200 => Ok(None),
            status => Ok(Some(Outcome::Refused(status))),
        }
    }

    /// "A user agent that receives an obs-fold in a response message [...] MUST replace" it (RFC 9112 section 5.2): the line
    /// that it folds is cut off, and a refusal's status still reaches the caller.
    fn may_fold(&self) -> bool {
        self.status != 101
    }

    fn fault(&self, error: HeadError, _: bool) -> ResponseError {
        ResponseError::Head(error)
    }
}

/// What a response agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<'h> {
    protocol: Option<&'h str>,
}

impl<'h> Agreed<'h> {
    /// The subprotocol that the server has chosen, if any.
    #[must_use]
    pub const fn protocol(&self) -> Option<&'h str> {
        self.protocol
    }
}

/// Checks the headers of a response with status 101 that other software has parsed, as the machine checks those it
/// reads itself: `connect` is what was asked for, and `key` the `Sec-WebSocket-Key` that was sent with it.
///
/// The connection then starts with [`WebSocket::<Client<_>>::open`](crate::WebSocket::open).
///
/// # Errors
/// The first rule that the headers break. (Of a `connect` that could not have been sent, no subprotocol counts as
/// offered.)
pub fn check_response<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    key: &str,
    connect: &Connect<'_>,
) -> Result<Agreed<'h>, ResponseError> {
    let mut opening = connect.check().unwrap_or_default();
    // To a key of another length than a key has there is no answer.
    opening.key = key.as_bytes().try_into().ok();
    opening.status = 101;
    let mut protocol = None;
    for (name, value) in headers {
        let value = checked_value(value)?;
        opening.field(name.as_bytes(), value, 0)?;
        if head::is_same(name.as_bytes(), b"Sec-WebSocket-Protocol") {
            protocol = head::token(value);
        }
    }
    opening.chosen()?;
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

    #[test]
    fn c6_c7_c9_c10_c12_c13_c15_c16_the_request_has_the_parts_of_section_4_1() {
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

    #[test]
    fn u1_u2_u3_u4_c8_a_uri_names_host_port_path_and_query() {
        for (uri, host, port, secure, start) in [
            ("ws://a", "a", 80, false, "GET / HTTP/1.1\r\nHost: a\r\n"),
            ("WSS://a", "a", 443, true, "GET / HTTP/1.1\r\nHost: a\r\n"),
            ("ws://a:80/b", "a", 80, false, "GET /b HTTP/1.1\r\nHost: a\r\n"),
            ("wss://a:80/b?c", "a", 80, true, "GET /b?c HTTP/1.1\r\nHost: a:80\r\n"),
            ("ws://[::1]:9001?q", "[::1]", 9001, false, "GET /?q HTTP/1.1\r\nHost: [::1]:9001\r\n"),
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

    #[test]
    fn c14_offered_subprotocols_are_tokens_unique_and_short_enough_to_remember() {
        let check = |offer: &[&str]| Connect::new("a", "/").protocols(offer).check().map(|_| ());
        assert_eq!(check(&["a", "b", "aa"]), Ok(()));
        for invalid in ["", "a b", "a,b", "é", "a\r\nb", "a;b"] {
            assert_eq!(check(&[invalid]), Err(ConnectError::InvalidProtocol), "{invalid:?}");
        }
        assert_eq!(check(&["a", "a"]), Err(ConnectError::InvalidProtocol));
        assert_eq!(check(&[&"x".repeat(123)]), Ok(()));
        assert_eq!(check(&[&"x".repeat(124)]), Err(ConnectError::OfferTooLong));
    }

    #[test]
    fn d9_a_status_line_is_a_version_three_digits_and_a_reason() {
        assert_eq!(status_line(b"HTTP/1.1 101 Switching Protocols"), Some(((b'1', b'1'), 101)));
        assert_eq!(status_line(b"HTTP/1.0 404 "), Some(((b'1', b'0'), 404)));
        assert_eq!(status_line(b"HTTP/1.1 403"), Some(((b'1', b'1'), 403)));
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
    fn headers_that_other_software_has_parsed_get_the_same_verdict() {
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
        assert_eq!(check(valid, &["a"]), Err(ResponseError::UnofferedProtocol));
        assert_eq!(check(&valid[..2], &[]), Err(ResponseError::NoAccept));
    }
}
