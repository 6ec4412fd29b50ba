//! The server's side of the opening handshake (RFC 6455 section 4.2): requests, acceptance, refusal.

use super::head::{self, Decimal, Head};
use super::{
    AcceptValue, Chosen, Headers, KeyValue, Opening, Outcome, accept_value, append, are_allowed,
    checked_value,
};
use crate::{AnswerError, Buffer, Config, HeadError, OutboxFull, RequestError};
use core::fmt;

/// A client's request to open a WebSocket, lent from the inbox; with
/// [`Config::plain_requests`](crate::Config::plain_requests) any GET.
///
/// The machine has checked it (section 4.2.1). What it cannot know is whether the host, the path and the origin are
/// welcome: "If the server does not wish to accept this connection, it MUST return an appropriate HTTP error code".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'r> {
    head: Head<'r>,
    asked: Asked,
}

/// Where the request's key lies in the head; `None` where it asks for no upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Asked {
    key: Option<u16>,
}

impl Asked {
    /// The key, in this head.
    pub(crate) fn key(self, octets: &[u8]) -> Option<KeyValue> {
        octets.get(usize::from(self.key?)..)?.first_chunk().copied()
    }
}

impl<'r> Request<'r> {
    pub(crate) const fn new(octets: &'r [u8], asked: Asked) -> Self {
        Self { head: Head::new(octets), asked }
    }

    /// Whether it asks for a WebSocket; false only with [`Config::plain_requests`](crate::Config::plain_requests).
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        self.asked.key.is_some()
    }

    /// The path and the query, as in `/chat?room=1`.
    #[must_use]
    pub fn target(&self) -> &'r str {
        self.split_target().1
    }

    /// The host that is asked for, with its port if one is given: from `Host`, or from a target in absolute form,
    /// which overrides it (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn host(&self) -> &'r str {
        match self.split_target().0 {
            Some(authority) => authority,
            None => self.header("Host").and_then(|host| core::str::from_utf8(host).ok()).unwrap_or_default(),
        }
    }

    /// The one `Origin` header: present when a browser asks, and then the page that does (section 10.2).
    #[must_use]
    pub fn origin(&self) -> Option<&'r [u8]> {
        self.header("Origin")
    }

    /// The value of the first header with this name, without the white space around it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.fields()
    }

    /// The subprotocols that the client offers, the ones it likes best first.
    pub fn protocols(&self) -> impl Iterator<Item = &'r str> {
        self.head.values("Sec-WebSocket-Protocol").flat_map(head::list).filter_map(head::token)
    }

    /// The extensions that the client offers, each with its parameters: `permessage-deflate; client_max_window_bits`.
    pub fn extensions(&self) -> impl Iterator<Item = &'r str> {
        let values = self.head.values("Sec-WebSocket-Extensions");
        values.flat_map(head::list).filter_map(|extension| core::str::from_utf8(extension).ok())
    }

    /// The acceptance of this request, without a subprotocol. It borrows nothing, and can be given to
    /// [`accept`](crate::WebSocket::accept), of this connection and no other, now or later.
    pub fn accept(&self) -> Accept<'static> {
        Accept::new(self.asked.key(self.head.octets()).unwrap_or_default())
    }

    /// The acceptance of this request with the first of `preferred` that the client offers too; `None` where it
    /// offers none of them. ("If the server does not wish to agree to one of the suggested subprotocols, it MUST NOT
    /// send back a |Sec-WebSocket-Protocol| header": then [`accept`](Self::accept), or reject.)
    #[must_use]
    pub fn select<'p>(&self, preferred: &[&'p str]) -> Option<Accept<'p>> {
        preferred.iter().find_map(|&protocol| {
            let offered = self.protocols().find(|&offered| offered == protocol)?;
            let chosen = Chosen { start: self.head.offset_of(offered.as_bytes()), len: offered.len() as u16 };
            Some(Accept { protocol: Some(protocol), chosen, ..self.accept() })
        })
    }

    /// The authority, where the target is in absolute form, and the rest of it.
    fn split_target(&self) -> (Option<&'r str>, &'r str) {
        let (_, target) = head::split(self.head.first_line(), b' ');
        let (target, _) = head::split(target, b' ');
        split_target(core::str::from_utf8(target).unwrap_or_default())
    }
}

/// A target's authority, where it is in absolute form, and its path and query.
fn split_target(target: &str) -> (Option<&str>, &str) {
    match split_absolute(target.as_bytes()) {
        Some((scheme, authority)) => {
            let (front, path) =
                target.split_at_checked(scheme.len() + 3 + authority.len()).unwrap_or_default();
            (front.get(scheme.len() + 3..), if path.is_empty() { "/" } else { path })
        }
        None => (None, target),
    }
}

/// The scheme and the authority of a target in absolute form (RFC 9112 section 3.2.2).
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    match head::split(target, b':') {
        (scheme, [b'/', b'/', rest @ ..]) if !target.starts_with(b"/") => {
            let (authority, _) = head::split(rest, b'/');
            Some((scheme, head::split(authority, b'?').0))
        }
        _ => None,
    }
}

/// A decision to accept a request: `Copy`, and it borrows only what the caller gives to it, so that it may be made at
/// any time before [`accept`](crate::WebSocket::accept), and tried again when the outbox was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request is accepted by WebSocket::accept"]
pub struct Accept<'a> {
    key: KeyValue,
    protocol: Option<&'a str>,
    chosen: Chosen,
    headers: Headers<'a>,
}

impl<'a> Accept<'a> {
    const fn new(key: KeyValue) -> Self {
        Self { key, protocol: None, chosen: Chosen { start: 0, len: 0 }, headers: &[] }
    }

    /// Adds headers to the response, cookies for example; they replace those given before.
    pub const fn headers(self, headers: Headers<'a>) -> Self {
        Self { headers, ..self }
    }

    /// The value of `Sec-WebSocket-Accept`: 28 characters.
    #[must_use]
    pub fn value(&self) -> AcceptValue {
        accept_value(&self.key)
    }

    pub(crate) const fn key(&self) -> KeyValue {
        self.key
    }

    pub(crate) const fn chosen(&self) -> Chosen {
        self.chosen
    }

    pub(crate) fn check(&self) -> Result<(), AnswerError> {
        if are_allowed(self.headers, "") { Ok(()) } else { Err(AnswerError::InvalidHeader) }
    }

    /// Appends the response (section 4.2.2).
    pub(crate) fn append<B: Buffer + ?Sized>(&self, outbox: &mut B) -> Result<(), OutboxFull> {
        let protocol: [&[u8]; 3] = match self.protocol {
            Some(protocol) => [b"Sec-WebSocket-Protocol: ", protocol.as_bytes(), b"\r\n"],
            None => [b""; 3],
        };
        let [name, protocol, end] = protocol;
        let front: [&[u8]; _] = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: ",
            &self.value(),
            b"\r\n",
            name,
            protocol,
            end,
        ];
        append(&front, self.headers, b"", outbox)
    }
}

/// A decision to refuse a request: a status, headers and a body.
///
/// ```
/// let reject = sansocket::Reject::status(401).headers(&[("WWW-Authenticate", "Basic")]).body(b"who are you?");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request is rejected by WebSocket::reject"]
pub struct Reject<'a> {
    status: u16,
    headers: Headers<'a>,
    body: &'a [u8],
}

impl<'a> Reject<'a> {
    /// A response with this status, from 200 to 599, and an empty body.
    ///
    /// It carries `Connection: close` and, but for 204 and 304, `Content-Length`; with 405 `Allow: GET`, and with 426
    /// `Upgrade: websocket` and `Sec-WebSocket-Version: 13` (section 4.4).
    pub const fn status(status: u16) -> Self {
        Self { status, headers: &[], body: &[] }
    }

    /// Adds headers; they replace those given before.
    pub const fn headers(self, headers: Headers<'a>) -> Self {
        Self { headers, ..self }
    }

    /// Adds a body; it replaces the one given before.
    pub const fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), AnswerError> {
        if !(200..=599).contains(&self.status) {
            return Err(AnswerError::InvalidStatus);
        }
        if matches!(self.status, 204 | 205 | 304) && !self.body.is_empty() {
            return Err(AnswerError::BodyNotAllowed);
        }
        if !are_allowed(self.headers, if self.status == 405 { "Allow" } else { "" }) {
            return Err(AnswerError::InvalidHeader);
        }
        Ok(())
    }

    /// Appends the response.
    pub(crate) fn append<B: Buffer + ?Sized>(&self, outbox: &mut B) -> Result<(), OutboxFull> {
        let (status, len) = (Decimal::new(self.status.into()), Decimal::new(self.body.len()));
        let status = status.as_bytes();
        // With its phrase, as in "404 Not Found".
        let known = head::list(STATUSES).find(|known| known.starts_with(status));
        let connection: &[u8] = match self.status {
            405 => b"\r\nConnection: close\r\nAllow: GET\r\n",
            // A sender of Upgrade names it in Connection too (RFC 9110 section 7.8).
            426 => b"\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => b"\r\nConnection: close\r\n",
        };
        let front: [&[u8]; _] = [
            b"HTTP/1.1 ",
            known.unwrap_or(status),
            if known.is_none() { b" " } else { b"" },
            connection,
            b"Content-Length: ",
            len.as_bytes(),
            b"\r\n",
        ];
        // RFC 9110 section 8.6: a 204 has no length, and a 304 would tell that of another response.
        let without = if matches!(self.status, 204 | 304) { 3 } else { 0 };
        let front = front.get(..front.len() - without).unwrap_or_default();
        append(front, self.headers, self.body, outbox)
    }
}

/// The usual statuses with their reason phrases, which may be empty for the others (RFC 9112 section 4).
const STATUSES: &[u8] = b"200 OK,301 Moved Permanently,302 Found,303 See Other,307 Temporary Redirect,\
    308 Permanent Redirect,400 Bad Request,401 Unauthorized,403 Forbidden,404 Not Found,405 Method Not Allowed,\
    414 URI Too Long,426 Upgrade Required,429 Too Many Requests,431 Request Header Fields Too Large,\
    500 Internal Server Error,503 Service Unavailable";

/// What a server knows of the request so far.
#[derive(Clone, Debug, Default)]
pub struct ServerOpening {
    /// An empty line has come before it.
    blank: bool,
    /// It is a request of HTTP/1.0, which knows no upgrade.
    old: bool,
    host: bool,
    origin: bool,
    upgrade: bool,
    connection: bool,
    version: bool,
    key: Option<u16>,
}

impl ServerOpening {
    /// The request line (section 4.2.1 point 1, RFC 9112 section 3).
    fn request_line(&mut self, line: &[u8], plain_requests: bool) -> Result<(), RequestError> {
        let (method, rest) = head::split(line, b' ');
        let (target, version) = head::split(rest, b' ');
        let version = head::http_version(version).ok_or(RequestError::InvalidRequestLine)?;
        if !head::is_token(method) {
            return Err(RequestError::InvalidRequestLine);
        }
        self.old = !head::is_new_enough(version);
        if self.old && !(plain_requests && version == (b'1', b'0')) {
            return Err(RequestError::HttpTooOld);
        }
        if method != b"GET" {
            return Err(RequestError::MethodNotAllowed);
        }
        let valid = head::is_all(target, head::TARGET)
            && match split_absolute(target) {
                None => target.starts_with(b"/"),
                Some((scheme, authority)) => {
                    SCHEMES.iter().any(|known| head::is_same(known, scheme))
                        && head::host_and_port(authority).is_some()
                }
            };
        if valid { Ok(()) } else { Err(RequestError::InvalidTarget) }
    }

    /// A header whose name is `name` behind `Sec-WebSocket-`.
    fn websocket_field(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), RequestError> {
        let is = |other: &[u8]| head::is_same(name, other);
        let (valid, fault) = if is(b"Key") {
            if self.key.replace(at as u16).is_some() {
                return Err(RequestError::SecondKey);
            }
            (is_key(value), RequestError::InvalidKey)
        } else if is(b"Version") {
            head::once(&mut self.version, RequestError::SecondVersion)?;
            (value == b"13", RequestError::UnsupportedVersion)
        } else if is(b"Protocol") {
            (head::list(value).all(head::is_token), RequestError::InvalidProtocols)
        } else if is(b"Extensions") {
            // An empty line is an empty element of the list that all such headers together are.
            let valid = head::are_extensions(value) || head::list(value).next().is_none();
            (valid, RequestError::InvalidExtensions)
        } else {
            return Ok(());
        };
        if valid { Ok(()) } else { Err(fault) }
    }

    /// What the complete head asks for.
    fn asked(&self, plain_requests: bool) -> Result<Asked, RequestError> {
        if !self.host && !self.old {
            return Err(RequestError::NoHost);
        }
        if plain_requests && (self.old || !(self.upgrade && self.connection)) {
            return Ok(Asked { key: None });
        }
        if !self.upgrade {
            return Err(RequestError::NoUpgrade);
        }
        if !self.connection {
            return Err(RequestError::NoConnectionUpgrade);
        }
        if !self.version {
            return Err(RequestError::UnsupportedVersion);
        }
        if self.key.is_none() {
            return Err(RequestError::NoKey);
        }
        Ok(Asked { key: self.key })
    }
}

impl Opening for ServerOpening {
    type Error = RequestError;

    fn first_line(&mut self, line: &[u8], config: &Config) -> Result<bool, RequestError> {
        // "a server SHOULD ignore at least one empty line received prior to the request-line" (RFC 9112 2.2)
        if line.is_empty() && !core::mem::replace(&mut self.blank, true) {
            return Ok(false);
        }
        self.request_line(line, config.plain_requests)?;
        Ok(true)
    }

    /// Section 4.2.1 points 2 to 10.
    // Not to be inlined into the loop over the lines: there are not registers enough for both.
    #[inline(never)]
    fn field(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), RequestError> {
        if let Some(name) = head::after_prefix(name) {
            return self.websocket_field(name, value, at);
        }
        let is = |other: &[u8]| head::is_same(name, other);
        // By the length first: most names are none of these.
        match name.len() {
            4 if is(b"Host") => {
                head::once(&mut self.host, RequestError::SecondHost)?;
                if head::host_and_port(value).is_none() {
                    return Err(RequestError::InvalidHost);
                }
            }
            6 if is(b"Origin") => head::once(&mut self.origin, RequestError::SecondOrigin)?,
            7 if is(b"Upgrade") => self.upgrade |= head::lists(value, "websocket"),
            10 if is(b"Connection") => self.connection |= head::lists(value, "upgrade"),
            14 if is(b"Content-Length") && !is_zero(value) => return Err(RequestError::Body),
            17 if is(b"Transfer-Encoding") => return Err(RequestError::Body),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, config: &Config) -> Result<Option<Outcome>, RequestError> {
        self.asked(config.plain_requests).map(|asked| Some(Outcome::Request(asked)))
    }

    fn may_fold(&self) -> bool {
        false
    }

    fn fault(&self, error: HeadError, first_line: bool) -> RequestError {
        match error {
            HeadError::TooLong if first_line => RequestError::TargetTooLong,
            error => RequestError::Head(error),
        }
    }
}

/// What a target in absolute form may begin with.
const SCHEMES: &[&[u8]] = &[b"http", b"https", b"ws", b"wss"];

/// A length of nothing, whose digits are all 0.
fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && head::decimal(value) == Some(0)
}

/// 16 octets in base64: 22 characters of the alphabet and `==`. The trailing bits are ignored, as in section 4.1's own
/// example (erratum 3150).
fn is_key(value: &[u8]) -> bool {
    value.len() == 24 && value.strip_suffix(b"==").is_some_and(|digits| head::is_all(digits, head::BASE64))
}

/// Checks the headers of a GET request that other software has parsed, as the machine checks those it reads itself,
/// and computes the value for `Sec-WebSocket-Accept` ([`Accept::value`]).
///
/// Method, version and target are the caller's to check; so is the response, status 101 with `Upgrade: websocket` and
/// `Connection: Upgrade`. The connection then starts with [`WebSocket::<Server>::open`](crate::WebSocket::open).
///
/// # Errors
/// The first rule that the headers break; [`RequestError::status`] is for the response.
pub fn check_request<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Accept<'static>, RequestError> {
    let mut opening = ServerOpening::default();
    let mut key = KeyValue::default();
    for (name, value) in headers {
        let value = checked_value(value)?;
        opening.field(name.as_bytes(), value, 0)?;
        if head::is_same(name.as_bytes(), b"Sec-WebSocket-Key")
            && let Some(value) = value.first_chunk()
        {
            key = *value;
        }
    }
    opening.asked(false)?;
    Ok(Accept::new(key))
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host(), self.target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_a_key_is_22_digits_of_base64_and_two_equals_signs() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(b"AQIDBAUGBwgJCgsMDQ4PEC=="), "trailing bits: erratum 3150");
        for wrong in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZ===",
            "dGhlIHNhbXBsZSBub25jZ!==",
            "dGhlIHNhbXBsZSBub25jZQ===",
        ] {
            assert!(!is_key(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn s14_a_target_in_absolute_form_is_split() {
        assert_eq!(split_target("/a?b=c://d"), (None, "/a?b=c://d"));
        assert_eq!(split_target("http://a.example:8/b?c"), (Some("a.example:8"), "/b?c"));
        assert_eq!(split_target("ws://a"), (Some("a"), "/"));
        assert_eq!(split_target("ws://a?b"), (Some("a"), "?b"));
    }

    #[test]
    fn headers_that_other_software_has_parsed_get_the_same_verdict() {
        let valid: &[(&str, &[u8])] = &[
            ("host", b"a"),
            ("upgrade", b"websocket"),
            ("connection", b"keep-alive, Upgrade"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", b"13"),
        ];
        let accept = check_request(valid.iter().copied()).unwrap();
        assert_eq!(&accept.value(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let missing = [
            RequestError::NoHost,
            RequestError::NoUpgrade,
            RequestError::NoConnectionUpgrade,
            RequestError::NoKey,
            RequestError::UnsupportedVersion,
        ];
        for (left_out, expected) in missing.into_iter().enumerate() {
            let headers =
                valid.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, header)| *header);
            assert_eq!(check_request(headers), Err(expected));
        }
        for octet in 0..=255_u8 {
            let value = [b' ', octet, b'\t'];
            let verdict = check_request(valid.iter().copied().chain([("cookie", &value[..])]));
            match octet {
                b'\t' | b' '..=b'~' | 0x80.. => assert_eq!(verdict, Ok(accept), "{octet}"),
                _ => assert_eq!(verdict, Err(HeadError::ControlCharacter.into()), "{octet}"),
            }
        }
    }
}
