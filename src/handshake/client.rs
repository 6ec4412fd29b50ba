//! The client's side of the opening handshake (RFC 6455 section 4.1): the request, and the rules
//! for the response.

use super::head::{self, Head, HeadRules, HeaderSet, Step};
use super::{
    HeaderName, Headers, KeyValue, Negotiation, Outcome, SelectedRange, ShownHeaders, accept_value, append,
    are_allowed, checked_header, extended_connect, is_key, key_value, size,
};
use crate::{Buffer, Config, ConnectError, OutboxFull, ResponseError};
use core::fmt;
use rand_core::CryptoRng;

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

    /// The host to connect to: a name, an IPv4 address, or an IPv6 address without brackets and
    /// [zone](Self::zone).
    #[must_use]
    pub fn host(&self) -> &'a str {
        let host = self.host_and_port().map_or(self.authority, |(host, _)| host);
        match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.split_once('%').map_or(address, |(address, _)| address),
            None => host,
        }
    }

    /// The zone of a link-local IPv6 address: `eth0` in `ws://[fe80::1%25eth0]/` (RFC 6874).
    ///
    /// The request does not name it, since it means something on this machine only. The connection
    /// needs it: resolve `fe80::1%eth0`, or set the `scope_id` of the socket's address.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        let (_, zone) = self.authority.strip_prefix('[')?.split_once(']')?.0.split_once('%')?;
        Some(zone.strip_prefix("25").unwrap_or(zone))
    }

    /// The port to connect to: if none is given, 443 for `wss` and 80 for `ws`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.host_and_port().and_then(|(_, port)| port).unwrap_or(default_port(self.secure))
    }

    /// Host and port as they were given: the host, in brackets if it is an IPv6 address, and a port
    /// if one was given (of a URI: other than the scheme's). That is the value of the `Host`
    /// header, but for a [zone](Self::zone).
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

    /// The value of the `Host` header in two parts, between which a zone is left out: it means
    /// something on this machine only (RFC 6874 section 1).
    fn host_value(&self) -> (&'a [u8], &'a [u8]) {
        if !self.authority.starts_with('[') {
            return (self.authority.as_bytes(), &[]);
        }
        let (address, rest) = head::split(self.authority.as_bytes(), b'%');
        (address, rest.get(head::split(rest, b']').0.len()..).unwrap_or_default())
    }

    /// The `http` or `https` URI of the request (RFC 8441 section 5): the scheme, the authority and
    /// the path of an extended CONNECT, for the HTTP stack that sends it.
    ///
    /// ```
    /// let connect = sansocket::Connect::from_uri("wss://example.com:443/chat?room=1")?;
    /// assert_eq!(connect.http_uri().to_string(), "https://example.com/chat?room=1");
    /// # Ok::<_, sansocket::ConnectError>(())
    /// ```
    #[must_use]
    pub fn http_uri(&self) -> impl fmt::Display + use<'a> {
        HttpUri(*self)
    }

    /// The names and values of the headers of an extended CONNECT (RFC 8441 section 5): the
    /// version, a header for each offered subprotocol, and the caller's headers. The
    /// pseudo-headers are `:method` CONNECT, `:protocol` websocket, and those of
    /// [`http_uri`](Self::http_uri). Call [`check`](Self::check) before.
    ///
    /// Names are in lower case, but for those of the caller's headers. A map of headers must keep
    /// all values of the same name. [`check_connect_response`](super::check_connect_response)
    /// checks the response.
    pub fn connect_headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (one, many) = match self.offer {
            Offer::One(protocol) => (Some(protocol), &[][..]),
            Offer::Many(protocols) => (None, protocols),
        };
        let protocols = one.into_iter().chain(many.iter().copied());
        core::iter::once(extended_connect::VERSION)
            .chain(protocols.map(|protocol| (extended_connect::PROTOCOL, protocol)))
            .chain(self.headers.iter().copied())
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

    /// Checks the request, as [`connect`](crate::WebSocket::connect) does: for a caller of
    /// [`new`](Self::new) before it opens the transport. [`port`](Self::port) of a malformed port
    /// is the scheme's default.
    ///
    /// # Errors
    /// [`ConnectError`], but for [`OutboxFull`](ConnectError::OutboxFull) and
    /// [`AlreadySent`](ConnectError::AlreadySent).
    pub fn check(&self) -> Result<(), ConnectError> {
        head::host_and_port(self.authority.as_bytes()).ok_or(ConnectError::InvalidHost)?;
        self.check_path()?;
        if !are_allowed(self.headers, "Host") {
            return Err(ConnectError::InvalidHeader);
        }
        let offered = self.offered();
        for (at, protocol) in offered.iter().enumerate() {
            if !head::is_token(protocol.as_bytes()) || offered.iter().take(at).any(|one| one == protocol) {
                return Err(ConnectError::InvalidProtocol);
            }
        }
        if offered.len() > Offered::MAX { Err(ConnectError::TooManyProtocols) } else { Ok(()) }
    }

    /// Appends the request (section 4.1, "The requirements for this handshake"), and returns what
    /// the client must remember until the response.
    pub(crate) fn append<N: Negotiation, R: CryptoRng, B: Buffer + ?Sized>(
        &self,
        negotiation: N,
        rng: &mut R,
        outbox: &mut B,
    ) -> Result<ClientOpening<N>, OutboxFull> {
        let (host, rest) = self.host_value();
        let front: [&[u8]; _] = [
            if self.path.starts_with('/') { b"GET " } else { b"GET /" },
            self.path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            host,
            rest,
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
        ];
        let offered = self.offered();
        let offers = negotiation.offers();
        // The key, and for each subprotocol what comes before it.
        let mut needed = size(&front, self.headers, &[0; 24]).saturating_add(offers.as_ref().len());
        let mut separator: &[u8] = b"Sec-WebSocket-Protocol: ";
        for protocol in offered {
            needed = needed.saturating_add(separator.len()).saturating_add(protocol.len());
            separator = b", ";
        }
        if !offered.is_empty() {
            needed = needed.saturating_add(2);
        }
        if outbox.remaining() < needed {
            return Err(OutboxFull { needed });
        }
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let key = key_value(&random);
        for part in front {
            outbox.append(part);
        }
        outbox.append(&key);
        outbox.append(offers.as_ref());
        separator = b"Sec-WebSocket-Protocol: ";
        for protocol in offered {
            outbox.append(separator);
            outbox.append(protocol.as_bytes());
            separator = b", ";
        }
        append(if offered.is_empty() { &[] } else { &[b"\r\n"] }, self.headers, &[], outbox)?;
        Ok(ClientOpening::new(key, Offered::new(offered, rng), negotiation))
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

/// Shows the `http` or `https` URI of a request.
struct HttpUri<'a>(Connect<'a>);

impl fmt::Display for HttpUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(connect) = self;
        let (host, rest) = connect.host_value();
        f.write_str(if connect.secure { "https://" } else { "http://" })?;
        for part in [host, rest] {
            f.write_str(core::str::from_utf8(part).unwrap_or_default())?;
        }
        f.write_str(if connect.path.starts_with('/') { "" } else { "/" })?;
        f.write_str(connect.path)
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A server's response to an opening handshake with another status than 101, borrowed from the
/// inbox: status and headers.
///
/// It is read leniently, because it only has to be reported: lines may end in LF alone (RFC 9112
/// section 2.2), a header that cannot be read is left out, and the head may be cut short.
///
/// The machine does not read the body. It begins at the front of the input that
/// [`receive`](crate::WebSocket::receive) has left when it returns
/// [`Event::Refused`](crate::Event::Refused), and goes on in what the transport delivers next. Its
/// end is that of any response (RFC 9112 section 6.3): `Content-Length`, chunks, or the end of the
/// stream. The next `receive` discards it. (Of a head that is longer than 65,535 bytes, the rest is
/// left instead.)
///
/// `Debug` and `defmt::Format` show only the values of headers that hold no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response<'r> {
    head: Head<'r>,
}

impl<'r> Response<'r> {
    pub(crate) fn new(head: &'r [u8]) -> Self {
        Self { head: Head::new(head) }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        let line = self.head.first_line();
        // A line that was cut short to fit has been judged by these bytes.
        let line = line.get(..head::STATUS_LEN as usize).unwrap_or(line);
        status_line(line).map_or(0, |(_, status)| status)
    }

    /// The value of the first header with this name, without the white space around it: `Location`,
    /// for example. Names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers that could be read.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.headers()
    }

    /// Whether the head was received to its end, and all of it is here. `false`: headers are
    /// missing, because they did not fit into the inbox, or because the head is longer than
    /// [`Config::max_head`](crate::Config::max_head), or was cut short.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.head.is_complete()
    }
}

/// The version (11 for `HTTP/1.1`) and the status of `HTTP/x.y STATUS REASON` (RFC 9112 section 4).
/// The reason may be empty; some servers omit the space before it too.
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let (version, rest) = line.split_at_checked(8)?;
    let [b' ', status @ ..] = rest else { return None };
    match status.split_at_checked(3)? {
        (status @ [b'1'..=b'9', ..], [] | [b' ', ..]) => {
            Some((head::http_version(version)?, head::parse_decimal(status)?))
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

/// The subprotocols that a client has offered, as digests of fixed size, because names may have any
/// length.
///
/// A digest is the name's bytes as a polynomial modulo 2^31 - 1, at a random point that no peer
/// knows. Names that differ in one byte never have the same digest. For any other two names, the
/// probability that they have is the length of the longer one by 2^30, the number of points.
#[derive(Clone)]
struct Offered {
    point: u32,
    digests: heapless::Vec<u32, { Self::MAX }, u8>,
}

impl Offered {
    const MAX: usize = 32;

    /// At most [`MAX`](Self::MAX) names are kept.
    fn new<R: CryptoRng>(names: &[&str], rng: &mut R) -> Self {
        let mut offered = Self { point: 0, digests: heapless::Vec::new() };
        if !names.is_empty() {
            // From 1 to 2^30.
            offered.point = (rng.next_u32() >> 2) + 1;
        }
        for name in names {
            let digest = offered.digest(name.as_bytes());
            let _ = offered.digests.push(digest);
        }
        offered
    }

    // The method `contains` of slices takes more flash.
    #[allow(clippy::manual_contains)]
    fn contains(&self, name: &[u8]) -> bool {
        let digest = self.digest(name);
        self.digests.iter().any(|other| *other == digest)
    }

    fn digest(&self, name: &[u8]) -> u32 {
        const PRIME: u64 = (1 << 31) - 1;
        name.iter().fold(0, |digest, byte| {
            // Less than 2^62.
            let digest = u64::from(digest) * u64::from(self.point) + u64::from(*byte);
            // 2^31 is 1 modulo the prime. The sum fits into 32 bits, and need not be less than the prime.
            ((digest & PRIME) + (digest >> 31)) as u32
        })
    }
}

/// The rules for a response with status 101, and the headers that it has had so far.
#[derive(Clone)]
pub(super) struct Checks<N> {
    /// The key that was sent.
    key: KeyValue,
    seen: HeaderSet,
    pub(super) negotiation: N,
}

impl<N> Checks<N> {
    pub(super) const fn new(key: KeyValue, negotiation: N) -> Self {
        Self { key, seen: HeaderSet::EMPTY, negotiation }
    }
}

impl<N: Negotiation> Checks<N> {
    /// Checks the headers that other software has parsed, except `ignored`.
    pub(super) fn headers<'h>(
        &mut self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        connect: &Connect<'_>,
        ignored: &[(HeaderName, &'static str)],
    ) -> Result<Agreed<'h>, ResponseError> {
        let mut protocol = None;
        for (name, value) in headers {
            let (name, value) = checked_header(name, value)?;
            if HeaderName::find(name, ignored).is_some() {
                continue;
            }
            self.header(name, value, |_| {
                protocol = head::token(value).filter(|value| connect.offered().contains(value));
                protocol.is_some()
            })?;
        }
        Ok(Agreed { protocol })
    }

    /// Checks a header (section 4.1 points 2 to 6 of the checks).
    // Outlined for registers: benches/README.md, "Outlined functions".
    #[inline(never)]
    fn header(
        &mut self,
        name: &[u8],
        value: &[u8],
        is_offered: impl FnOnce(&[u8]) -> bool,
    ) -> Result<(), ResponseError> {
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
            HeaderName::SecWebSocketAccept => head::eq(value, &accept_value(&self.key)),
            HeaderName::SecWebSocketProtocol => is_offered(value),
            // If none is offered, `check_extensions` refuses any.
            _ => true,
        };
        if !self.seen.insert(header) {
            return Err(ResponseError::Duplicate(header));
        }
        match header {
            HeaderName::SecWebSocketExtensions if N::NEGOTIATES => self.negotiation.read_answer(value),
            _ if valid => Ok(()),
            HeaderName::SecWebSocketProtocol => Err(ResponseError::Unoffered(header)),
            _ => Err(ResponseError::Invalid(header)),
        }
    }

    /// Checks that the complete head has all required headers.
    fn finish(&self) -> Result<(), ResponseError> {
        const REQUIRED: &[HeaderName] =
            &[HeaderName::Upgrade, HeaderName::Connection, HeaderName::SecWebSocketAccept];
        if let Some(header) = self.seen.first_missing(REQUIRED) {
            return Err(ResponseError::Missing(header));
        }
        self.check_extensions()
    }

    /// Checks that there was no extension if none is negotiated.
    pub(super) fn check_extensions(&self) -> Result<(), ResponseError> {
        if !N::NEGOTIATES && self.seen.contains(HeaderName::SecWebSocketExtensions) {
            return Err(ResponseError::Unoffered(HeaderName::SecWebSocketExtensions));
        }
        Ok(())
    }
}

/// What a client remembers of its request, and the part of the response that it has read so far.
#[derive(Clone)]
pub struct ClientOpening<N = ()> {
    checks: Checks<N>,
    offered: Offered,
    /// The status of the head that is being read; 0 until its first 12 bytes have arrived.
    status: u16,
}

/// Hides the key and the offered subprotocols, which may hold secrets.
impl<N> fmt::Debug for ClientOpening<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ClientOpening");
        debug.field("status", &self.status).field("seen", &self.checks.seen).finish_non_exhaustive()
    }
}

impl<N> ClientOpening<N> {
    const fn new(key: KeyValue, offered: Offered, negotiation: N) -> Self {
        Self { checks: Checks::new(key, negotiation), offered, status: 0 }
    }
}

impl<N: Negotiation> HeadRules for ClientOpening<N> {
    const READS_REQUEST: bool = false;
    type Error = ResponseError;
    type Negotiation = N;

    // For speed on 64-bit only: benches/README.md, "Heads".
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn line(&mut self, line: &[u8], is_first: bool, _: &Config) -> Result<Step, ResponseError> {
        if is_first {
            let text = head::without_line_end(line);
            if self.status != 0 {
                // Its beginning has been judged.
                return match text.get(head::STATUS_LEN as usize..) {
                    Some([] | [b' ', ..]) => Ok(Step::NextLine),
                    _ => Err(ResponseError::InvalidStatusLine),
                };
            }
            let (version, status) = status_line(text).ok_or(ResponseError::InvalidStatusLine)?;
            if status == 101 && version < 11 {
                return Err(ResponseError::HttpTooOld);
            }
            self.status = status;
            return Ok(Step::NextLine);
        }
        let text = match self.status {
            // Read strictly: it ends in CRLF.
            101 => line.get(..line.len().saturating_sub(2)).unwrap_or_default(),
            _ => head::without_line_end(line),
        };
        match (text, self.status) {
            ([], 101) => {
                self.checks.finish()?;
                let has_selected = self.checks.seen.contains(HeaderName::SecWebSocketProtocol);
                let selected = if has_selected { SelectedRange::BY_NAME } else { SelectedRange::NONE };
                return Ok(Step::Done(Outcome::Open(selected)));
            }
            // "A client MUST be able to parse one or more 1xx responses received prior to a final response"
            // (RFC 9110 section 15.2)
            ([], 100..200) => {
                self.status = 0;
                return Ok(Step::NextHead);
            }
            ([], status) => return Ok(Step::Done(Outcome::Refused(status))),
            (_, 101) => {
                let (name, value) = head::parse_header(text)?;
                self.checks.header(name, value, |protocol| self.offered.contains(protocol))?;
            }
            // The application reads the headers of a refusal.
            _ => {}
        }
        Ok(Step::NextLine)
    }

    fn has_rules_for(&self, name: &[u8]) -> bool {
        HeaderName::find(name, RESPONSE_HEADERS).is_some()
    }

    fn negotiation(&self) -> &N {
        &self.checks.negotiation
    }

    fn is_lenient(&self) -> bool {
        !matches!(self.status, 0 | 101)
    }

    fn refusal(&self) -> Option<u16> {
        if self.status < 200 { None } else { Some(self.status) }
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
/// An extension is refused, because none is offered. (With the feature `deflate`,
/// `deflate::check_response` takes the answer to an offer of compression.)
///
/// # Errors
/// [`InvalidKey`](ResponseError::InvalidKey) if `key` is not the value of a `Sec-WebSocket-Key`;
/// else the first rule that the headers break.
pub fn check_response<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    key: &str,
    connect: &Connect<'_>,
) -> Result<Agreed<'h>, ResponseError> {
    let (agreed, ()) = check_response_with(headers, key, connect, ())?;
    Ok(agreed)
}

/// [`check_response`] with the negotiation of extensions.
pub(crate) fn check_response_with<'h, N: Negotiation>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    key: &str,
    connect: &Connect<'_>,
    negotiation: N,
) -> Result<(Agreed<'h>, N), ResponseError> {
    let key = key.as_bytes();
    let (true, Ok(key)) = (is_key(key), key.try_into()) else { return Err(ResponseError::InvalidKey) };
    let mut checks = Checks::new(key, negotiation);
    let agreed = checks.headers(headers, connect, &[])?;
    checks.finish()?;
    Ok((agreed, checks.negotiation))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields zeros.
    struct Zero;

    impl rand_core::TryRng for Zero {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.fill(0);
            Ok(())
        }
    }

    impl rand_core::TryCryptoRng for Zero {}

    fn written(connect: &Connect<'_>) -> std::string::String {
        connect.check().unwrap();
        let mut outbox = heapless::Vec::<u8, 1024>::new();
        connect.append((), &mut Zero, &mut outbox).unwrap();
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
            (
                "ws://[fe80::1%25eth0]:81/a%25b",
                "fe80::1",
                81,
                false,
                "GET /a%25b HTTP/1.1\r\nHost: [fe80::1]:81\r\n",
            ),
            ("wss://[fe80::1%25wlan0.1]", "fe80::1", 443, true, "GET / HTTP/1.1\r\nHost: [fe80::1]\r\n"),
            ("ws://[FE80::a%2]/", "FE80::a", 80, false, "GET / HTTP/1.1\r\nHost: [FE80::a]\r\n"),
            (
                "ws://[::ffff:192.0.2.1]/",
                "::ffff:192.0.2.1",
                80,
                false,
                "GET / HTTP/1.1\r\nHost: [::ffff:192.0.2.1]\r\n",
            ),
            ("ws://a%25b/", "a%25b", 80, false, "GET / HTTP/1.1\r\nHost: a%25b\r\n"),
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
            ("ws://[fe80::1%]", ConnectError::InvalidHost),
            ("ws://[fe80::1%25]", ConnectError::InvalidHost),
            ("ws://[%25eth0]", ConnectError::InvalidHost),
            ("ws://[fe80::1%25a b]", ConnectError::InvalidHost),
            ("ws://[a.example]", ConnectError::InvalidHost),
            ("ws://[192.0.2.1]", ConnectError::InvalidHost),
            ("ws://[v1.a]", ConnectError::InvalidHost),
            ("ws://[1:2]", ConnectError::InvalidHost),
            ("ws://[::1::]", ConnectError::InvalidHost),
            ("ws://[12345::]", ConnectError::InvalidHost),
            ("ws://a/é", ConnectError::InvalidPath),
            ("ws://a/ b", ConnectError::InvalidPath),
            ("ws://a/\r\nX: y", ConnectError::InvalidPath),
        ] {
            assert_eq!(Connect::from_uri(uri), Err(error), "{uri}");
        }
    }

    /// Proves: C14.
    #[test]
    fn offered_subprotocols_are_unique_tokens_of_any_length() {
        let check = |offer: &[&str]| Connect::new("a", "/").protocols(offer).check();
        assert_eq!(check(&["a", "b", "aa"]), Ok(()));
        for invalid in ["", "a b", "a,b", "é", "a\r\nb", "a;b"] {
            assert_eq!(check(&[invalid]), Err(ConnectError::InvalidProtocol), "{invalid:?}");
        }
        assert_eq!(check(&["a", "b", "a"]), Err(ConnectError::InvalidProtocol));
        assert_eq!(check(&[&"x".repeat(100_000)]), Ok(()));
        let names: std::vec::Vec<_> = (0..33).map(|name| std::format!("v{name}")).collect();
        let names: std::vec::Vec<_> = names.iter().map(|name| &name[..]).collect();
        assert_eq!(check(&names[..32]), Ok(()));
        assert_eq!(check(&names), Err(ConnectError::TooManyProtocols));
    }

    /// Proves: D6.
    #[test]
    fn a_digest_tells_names_apart() {
        let offered = Offered::new(&["chat", "v2.example"], &mut Zero);
        for name in ["chat", "v2.example"] {
            assert!(offered.contains(name.as_bytes()));
            for at in 0..name.len() {
                for byte in 0..=255 {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    assert_eq!(offered.contains(&other), other == name.as_bytes());
                }
            }
        }
        let long = "header-".repeat(1000);
        let mut offered = Offered::new(&[&long], &mut Zero);
        for point in [1, 2, 12_345, 1 << 30] {
            offered.point = point;
            offered.digests[0] = offered.digest(long.as_bytes());
            assert!(offered.contains(long.as_bytes()));
            assert!(!offered.contains(&long.as_bytes()[1..]));
            assert!(!offered.contains(long.to_uppercase().as_bytes()));
        }
        assert!(!Offered::new(&[], &mut Zero).contains(b""));
    }

    #[test]
    fn a_zone_is_kept_for_the_connection() {
        for (uri, zone) in [
            ("ws://[fe80::1%25eth0]:81/", Some("eth0")),
            ("ws://[fe80::1%eth0]/", Some("eth0")),
            ("ws://[fe80::1%2]/", Some("2")),
            ("ws://[fe80::1]/%25a", None),
            ("ws://a%25b/", None),
        ] {
            assert_eq!(Connect::from_uri(uri).unwrap().zone(), zone, "{uri}");
        }
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
        for key in ["", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==="] {
            let verdict = check_response(valid.iter().copied(), key, &Connect::new("a", "/").protocol("b"));
            assert_eq!(verdict, Err(ResponseError::InvalidKey));
        }
    }
}
