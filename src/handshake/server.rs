//! The server's side of the opening handshake (RFC 6455 section 4.2): requests, acceptance,
//! refusal.

use super::head::{self, Head, HeadRules, HeaderSet, Step};
use super::{
    AcceptValue, HeaderName, Headers, KeyValue, Negotiation, Outcome, SelectedRange, ShownHeaders,
    accept_value, append, are_allowed, checked_header, extended_connect, is_key,
};
use crate::{AnswerError, Buffer, Config, HeadError, OutboxFull, RequestError};
use core::{fmt, mem};

/// A client's request to open a WebSocket, borrowed from the inbox; with
/// [`Config::plain_requests`](crate::Config::plain_requests) any GET request.
///
/// The machine has checked its form (RFC 6455 section 4.2.1). The application decides whether it
/// serves this host, path and origin: "If the server does not wish to accept this connection, it
/// MUST return an appropriate HTTP error code".
///
/// `Debug` and `defmt::Format` show no query, and only the values of headers that hold no secrets.
/// `Display` shows host and target with the query.
#[doc(alias = "upgrade")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'r> {
    head: Head<'r>,
    form: RequestForm,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub)] // As in `head`.
pub enum RequestForm {
    /// A WebSocket, with this value of `Sec-WebSocket-Key`.
    Upgrade(KeyValue),
    Get,
    /// The head of the response to a GET.
    Head,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("head", &self.head).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Request<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Request {{ head: {}, .. }}", self.head);
    }
}

impl<'r> Request<'r> {
    pub(crate) fn new(head: &'r [u8], form: RequestForm) -> Self {
        Self { head: Head::new(head), form }
    }

    /// Whether the request asks for a WebSocket; false only with
    /// [`Config::plain_requests`](crate::Config::plain_requests).
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        matches!(self.form, RequestForm::Upgrade(_))
    }

    /// The method: `GET`, or with [`Config::plain_requests`](crate::Config::plain_requests) also
    /// `HEAD`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        if matches!(self.form, RequestForm::Head) { "HEAD" } else { "GET" }
    }

    /// The path and the query, as in `/chat?room=1`.
    #[doc(alias = "path")]
    #[doc(alias = "uri")]
    #[must_use]
    pub fn target(&self) -> &'r str {
        self.split_target().1
    }

    /// The requested host, with its port if one is given: from `Host`, or from a target in absolute
    /// form, which overrides it (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn host(&self) -> &'r str {
        match self.split_target().0 {
            Some(authority) => authority,
            None => self.header("Host").and_then(|host| core::str::from_utf8(host).ok()).unwrap_or_default(),
        }
    }

    /// The value of `Origin`, of which there is at most one: the web page that a browser asks for
    /// (section 10.2); `None` without the header.
    ///
    /// A value that is not UTF-8 reads as `""`, which equals no origin.
    #[must_use]
    pub fn origin(&self) -> Option<&'r str> {
        self.header("Origin").map(|origin| core::str::from_utf8(origin).unwrap_or_default())
    }

    /// The value of the first header with this name, without the white space around it. Names are
    /// compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.headers()
    }

    /// Whether all headers are here. `false`: some did not fit into the inbox, and are missing. The
    /// headers of the opening handshake, `Host` and `Origin` are never among them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.head.is_complete()
    }

    /// The subprotocols that the client offers, in its order of preference.
    #[doc(alias = "subprotocols")]
    #[doc(alias = "Sec-WebSocket-Protocol")]
    pub fn protocols(&self) -> impl Iterator<Item = &'r str> {
        self.head.values("Sec-WebSocket-Protocol").flat_map(head::list).filter_map(head::token)
    }

    /// The extensions that the client offers, each with its parameters: `permessage-deflate;
    /// client_max_window_bits`.
    #[doc(alias = "Sec-WebSocket-Extensions")]
    pub fn extensions(&self) -> impl Iterator<Item = &'r str> {
        let values = self.head.values("Sec-WebSocket-Extensions");
        values.flat_map(head::list).filter_map(|extension| core::str::from_utf8(extension).ok())
    }

    /// Returns the acceptance of this request, without a subprotocol. It borrows nothing, and
    /// [`WebSocket::accept`](crate::WebSocket::accept) of the same connection takes it, now or
    /// later. Until then the rest of the input stays in the caller's slice: keep it, and pass it to
    /// [`receive`](crate::WebSocket::receive) after the answer.
    ///
    /// A browser that offered subprotocols fails the connection if none is selected, with close
    /// code 1006, as the WHATWG's WebSockets standard has it (Firefox does not): see
    /// [`select`](Self::select).
    pub fn accept(&self) -> Accept<'static> {
        Accept::new(self.form)
    }

    /// Returns the acceptance of this request with the first of `preferred` that the client offers
    /// too; `None` if it offers none of them. ("If the server does not wish to agree to one of
    /// the suggested subprotocols, it MUST NOT send back a |Sec-WebSocket-Protocol| header":
    /// then [`accept`](Self::accept), or reject.)
    #[doc(alias = "subprotocol")]
    #[must_use]
    pub fn select<'p>(&self, preferred: &[&'p str]) -> Option<Accept<'p>> {
        preferred.iter().find_map(|&protocol| {
            let offered = self.protocols().find(|&offered| offered == protocol)?;
            let start = self.head.offset_of(offered.as_bytes());
            let selected = SelectedRange { start, len: offered.len() as u16 };
            Some(Accept { protocol: Some(protocol), selected, ..self.accept() })
        })
    }

    /// The authority, if the target is in absolute form, and the path and query.
    fn split_target(&self) -> (Option<&'r str>, &'r str) {
        split_target(request_target(self.head.first_line()))
    }
}

/// The target in a request line; empty if it is not UTF-8.
fn request_target(line: &[u8]) -> &str {
    let (_, target) = head::split(line, b' ');
    core::str::from_utf8(head::split(target, b' ').0).unwrap_or_default()
}

/// A request that the machine refuses, borrowed from the inbox: what it has received up to the
/// fault, for the log. Nothing in it is checked, and it cannot be answered.
///
/// `Debug` and `defmt::Format` show no query, and only the values of headers that hold no secrets.
/// `Display` shows the first line, with the query, and escapes what is not visible ASCII, quotes
/// and the backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadRequest<'r> {
    head: Head<'r>,
}

impl<'r> BadRequest<'r> {
    pub(crate) fn new(head: &'r [u8]) -> Self {
        Self { head: Head::new(head) }
    }

    /// The first line, or as much of it as was received.
    #[must_use]
    pub fn first_line(&self) -> &'r [u8] {
        self.head.first_line()
    }

    /// The method; empty if it is not UTF-8.
    #[must_use]
    pub fn method(&self) -> &'r str {
        core::str::from_utf8(head::split(self.first_line(), b' ').0).unwrap_or_default()
    }

    /// The target as it was sent; empty if there is none, or if it is not UTF-8.
    #[doc(alias = "path")]
    #[doc(alias = "uri")]
    #[must_use]
    pub fn target(&self) -> &'r str {
        request_target(self.first_line())
    }

    /// The value of the first header with this name, without the white space around it. Names are
    /// compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers that were received and can be read.
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> + use<'r> {
        self.head.headers()
    }
}

impl fmt::Display for BadRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first_line().escape_ascii().fmt(f)
    }
}

/// Host and target, with the query.
impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host(), self.target())
    }
}

/// The authority of a target, if it is in absolute form, and its path and query.
fn split_target(target: &str) -> (Option<&str>, &str) {
    match split_absolute(target.as_bytes()) {
        Some((scheme, authority)) => {
            let (front, path) =
                target.split_at_checked(scheme.len() + 3 + authority.len()).unwrap_or_default();
            // An inbox that can only append has no path inserted.
            (front.get(scheme.len() + 3..), if path.is_empty() { "/" } else { path })
        }
        None => (None, target),
    }
}

/// The scheme and the authority of a target in absolute form (RFC 9112 section 3.2.2).
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    match head::split(target, b':') {
        (scheme, [b'/', b'/', rest @ ..]) if !matches!(target, [b'/', ..]) => {
            let (authority, _) = head::split(rest, b'/');
            Some((scheme, head::split(authority, b'?').0))
        }
        _ => None,
    }
}

/// A decision to accept a request. It is `Copy` and borrows only the caller's data, so it can be
/// made at any time before [`WebSocket::accept`](crate::WebSocket::accept), and used again after
/// the outbox was full.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "a request is accepted by WebSocket::accept"]
pub struct Accept<'a> {
    /// `None` if there is nothing to answer: in an extended CONNECT, and in a request that asks for
    /// no upgrade.
    key: Option<KeyValue>,
    protocol: Option<&'a str>,
    selected: SelectedRange,
    headers: Headers<'a>,
}

impl<'a> Accept<'a> {
    /// A form other than an upgrade is not accepted later.
    const fn new(form: RequestForm) -> Self {
        let key = if let RequestForm::Upgrade(key) = form { Some(key) } else { None };
        Self { key, protocol: None, selected: SelectedRange::NONE, headers: &[] }
    }

    /// Adds headers to the response, cookies for example; they replace those given before.
    pub const fn headers(self, headers: Headers<'a>) -> Self {
        Self { headers, ..self }
    }

    /// The value of `Sec-WebSocket-Accept` (section 4.2.2): 28 characters. It is empty for an
    /// extended CONNECT, which has none.
    #[doc(alias = "Sec-WebSocket-Accept")]
    #[must_use]
    pub fn value(&self) -> AcceptValue {
        let mut value = AcceptValue::new();
        if let Some(key) = &self.key {
            // Base64 is text, and its 28 characters fit.
            let _ = value.push_str(core::str::from_utf8(&accept_value(key)).unwrap_or_default());
        }
        value
    }

    /// Returns this acceptance with the first of `preferred` that the client offers too, as
    /// [`Request::select`] does, for a request that [`check_request`] or
    /// [`check_connect`](super::check_connect) has checked: `headers` are its headers. `None` if
    /// the client offers none of them.
    #[doc(alias = "subprotocol")]
    #[must_use]
    pub fn select<'h, 'p>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        preferred: &[&'p str],
    ) -> Option<Accept<'p>>
    where
        'a: 'p,
    {
        let name = HeaderName::SecWebSocketProtocol.as_str().as_bytes();
        let best = headers
            .into_iter()
            .filter(|(other, _)| head::eq_ignore_case(other.as_bytes(), name))
            .flat_map(|(_, value)| head::list(value))
            .filter_map(|offered| preferred.iter().position(|known| known.as_bytes() == offered))
            .min()?;
        Some(Accept { protocol: preferred.get(best).copied(), ..*self })
    }

    /// The complete response, for software that writes it itself: with status 101, or for an
    /// extended CONNECT with 200.
    #[must_use]
    pub fn response(&self) -> ResponseHead<'a> {
        let (status, fixed) = match self.key {
            Some(_) => (101, SWITCHING),
            None => (200, &[][..]),
        };
        let accept = self.key.map(|_| self.value());
        ResponseHead { status, fixed, accept, protocol: self.protocol, headers: self.headers }
    }

    pub(crate) const fn key(&self) -> Option<KeyValue> {
        self.key
    }

    pub(crate) const fn selected(&self) -> SelectedRange {
        self.selected
    }

    pub(crate) fn check(&self) -> Result<(), AnswerError> {
        if are_allowed(self.headers, "") { Ok(()) } else { Err(AnswerError::InvalidHeader) }
    }

    /// Appends the response (section 4.2.2), and returns what is agreed.
    pub(crate) fn append<N: Negotiation, B: Buffer + ?Sized>(
        &self,
        negotiation: &N,
        outbox: &mut B,
    ) -> Result<N::Agreed, OutboxFull> {
        let answer = negotiation.answer();
        let front: [&[u8]; _] = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: ",
            &accept_value(&self.key.unwrap_or_default()),
            answer.as_ref(),
            b"Sec-WebSocket-Protocol: ",
            self.protocol.unwrap_or_default().as_bytes(),
            b"\r\n",
        ];
        let without = if self.protocol.is_none() { 3 } else { 0 };
        let front = front.get(..front.len() - without).unwrap_or_default();
        append(front, self.headers, b"", outbox)?;
        Ok(negotiation.agreed())
    }
}

/// Shows the added headers; the key and the subprotocol may be secret.
impl fmt::Debug for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("headers", &ShownHeaders(self.headers)).finish_non_exhaustive()
    }
}

/// A decision to refuse a request: a status, headers and a body.
///
/// ```
/// let reject = sansocket::Reject::status(401).headers(&[("WWW-Authenticate", "Basic")]).body(b"who are you?");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "a request is rejected by WebSocket::reject"]
pub struct Reject<'a> {
    status: u16,
    headers: Headers<'a>,
    body: &'a [u8],
}

impl<'a> Reject<'a> {
    /// A response with this status, from 200 to 599, and an empty body.
    ///
    /// The machine adds `Connection: close` and, except with 204 and 304, `Content-Length`; with
    /// 405 `Allow: GET`, and with 426 `Upgrade: websocket` and `Sec-WebSocket-Version: 13`
    /// (section 4.4).
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

    /// The status and the headers, for software that writes the response itself: what
    /// [`status`](Self::status) lists, without `Connection: close` and `Content-Length`, which that
    /// software knows.
    #[must_use]
    pub fn response(&self) -> ResponseHead<'a> {
        let fixed: &[_] = match self.status {
            405 => &[("Allow", "GET")],
            // Section 4.4, and RFC 9110 section 15.5.22.
            426 => &[UPGRADE, CONNECTION, ("Sec-WebSocket-Version", "13")],
            _ => &[],
        };
        ResponseHead { status: self.status, fixed, accept: None, protocol: None, headers: self.headers }
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

    /// Appends the response, to a HEAD without the body.
    pub(crate) fn append<B: Buffer + ?Sized>(&self, is_head: bool, outbox: &mut B) -> Result<(), OutboxFull> {
        let (mut status, mut len) = ([0; 20], [0; 20]);
        let status = head::write_decimal(self.status.into(), &mut status);
        let len = head::write_decimal(self.body.len(), &mut len);
        // With its reason phrase, as in "404 Not Found".
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
            len,
            b"\r\n",
        ];
        // RFC 9110 section 8.6: a 204 has no length, and a 304 would give the length of another response.
        let without = if matches!(self.status, 204 | 304) { 3 } else { 0 };
        let front = front.get(..front.len() - without).unwrap_or_default();
        // "The server MUST NOT send content in the response" to a HEAD (RFC 9110 section 9.3.2).
        let body = if is_head { &[] } else { self.body };
        append(front, self.headers, body, outbox)
    }
}

/// Shows the status and the added headers; the body may be secret.
impl fmt::Debug for Reject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = ShownHeaders(self.headers);
        f.debug_struct("Reject")
            .field("status", &self.status)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// The status and all headers of a response to an opening handshake (RFC 6455 section 4.2.2), for
/// software that writes heads itself: that of [`Accept::response`], of [`Reject::response`], or of
/// [`RequestError::response`].
///
/// ```
/// # fn respond(headers: &[(&str, &[u8])]) {
/// use sansocket::handshake::check_request;
/// let head = match check_request(headers.iter().copied()) {
///     Ok(accept) => accept.response(),
///     Err(error) => error.response(),
/// };
/// println!("HTTP/1.1 {}", head.status());
/// for (name, value) in head.headers() {
///     println!("{name}: {value}");
/// }
/// # }
/// # respond(&[]);
/// ```
///
/// The headers that the caller has added are not checked here.
#[derive(Clone)]
pub struct ResponseHead<'a> {
    status: u16,
    fixed: &'static [(&'static str, &'static str)],
    accept: Option<AcceptValue>,
    protocol: Option<&'a str>,
    headers: Headers<'a>,
}

impl ResponseHead<'_> {
    /// The refusal of an extended CONNECT with another version: "an appropriate HTTP error code […]
    /// and a |Sec-WebSocket-Version| header field" (RFC 6455 section 4.2.2). HTTP/2 has no 426: it
    /// would need `Upgrade` (RFC 9110 section 15.5.22).
    pub(super) const UNSUPPORTED_VERSION: Self =
        Self { status: 400, fixed: &[extended_connect::VERSION], accept: None, protocol: None, headers: &[] };

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The names and values of the headers. In the answer to an extended CONNECT, the names are in
    /// lower case, but for those of the caller's headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let accept = self.accept.as_deref().map(|value| ("Sec-WebSocket-Accept", value));
        let name = if accept.is_some() { "Sec-WebSocket-Protocol" } else { extended_connect::PROTOCOL };
        let protocol = self.protocol.map(|value| (name, value));
        self.fixed.iter().copied().chain(accept).chain(protocol).chain(self.headers.iter().copied())
    }
}

const UPGRADE: (&str, &str) = ("Upgrade", "websocket");
/// A sender of `Upgrade` names it in `Connection` too (RFC 9110 section 7.8).
const CONNECTION: (&str, &str) = ("Connection", "Upgrade");
const SWITCHING: &[(&str, &str)] = &[UPGRADE, CONNECTION];

/// Shows the status and the added headers; the key and the subprotocol may be secret.
impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = ShownHeaders(self.headers);
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// The usual statuses with their reason phrases. Others have an empty phrase, which RFC 9112
/// section 4 allows.
const STATUSES: &[u8] = b"200 OK,301 Moved Permanently,302 Found,303 See Other,307 Temporary Redirect,\
    308 Permanent Redirect,400 Bad Request,401 Unauthorized,403 Forbidden,404 Not Found,405 Method Not Allowed,\
    414 URI Too Long,426 Upgrade Required,429 Too Many Requests,431 Request Header Fields Too Large,\
    500 Internal Server Error,503 Service Unavailable";

/// The headers of a request that there are rules for.
const REQUEST_HEADERS: &[(HeaderName, &str)] = &[
    HeaderName::Host.named(),
    HeaderName::Origin.named(),
    HeaderName::Upgrade.named(),
    HeaderName::Connection.named(),
    HeaderName::SecWebSocketKey.named(),
    HeaderName::SecWebSocketVersion.named(),
    HeaderName::SecWebSocketProtocol.named(),
    HeaderName::SecWebSocketExtensions.named(),
    HeaderName::ContentLength.named(),
    HeaderName::TransferEncoding.named(),
];

/// The part of a request that a server has read so far.
#[derive(Clone, Debug)]
pub struct ServerOpening<N = ()> {
    /// An empty line preceded the request.
    skipped_blank: bool,
    /// The request is HTTP/1.0, which has no upgrade.
    is_old: bool,
    seen: HeaderSet,
    /// Where the target of the request lies up to its path, if it lacks one: the range of
    /// [`head::insert_path`].
    missing_path: (u16, u16),
    /// What the request asks for, as far as it is read.
    form: RequestForm,
    negotiation: N,
}

impl<N: Negotiation> ServerOpening<N> {
    pub(crate) const fn new(negotiation: N) -> Self {
        Self {
            negotiation,
            skipped_blank: false,
            is_old: false,
            seen: HeaderSet::EMPTY,
            missing_path: (0, 0),
            form: RequestForm::Get,
        }
    }

    /// Checks the request line (section 4.2.1 point 1, RFC 9112 section 3).
    fn request_line(&mut self, line: &[u8], plain_requests: bool) -> Result<Step, RequestError> {
        let (method, rest) = head::split(line, b' ');
        let (target, version) = head::split(rest, b' ');
        let version = head::http_version(version).ok_or(RequestError::InvalidRequestLine)?;
        if !head::is_token(method) {
            return Err(RequestError::InvalidRequestLine);
        }
        self.is_old = version < 11;
        if self.is_old && !(plain_requests && version == 10) {
            return Err(RequestError::HttpTooOld);
        }
        if plain_requests && method == b"HEAD" {
            self.form = RequestForm::Head;
        } else if method != b"GET" {
            return Err(RequestError::MethodNotAllowed);
        }
        if !head::is_all(target, head::TARGET) {
            return Err(RequestError::InvalidTarget);
        }
        match split_absolute(target) {
            None if matches!(target, [b'/', ..]) => Ok(Step::NextLine),
            Some((scheme, authority))
                if head::list(SCHEMES).any(|known| head::eq_ignore_case(known, scheme))
                    && head::host_and_port(authority).is_some() =>
            {
                let path = scheme.len() + 3 + authority.len();
                // An empty path is "/" (RFC 9110 section 4.2.3).
                let has_path = target.get(path) == Some(&b'/');
                if !has_path {
                    self.missing_path =
                        ((method.len() + scheme.len()) as u16, (method.len() + 1 + path) as u16);
                }
                Ok(Step::NextLine)
            }
            _ => Err(RequestError::InvalidTarget),
        }
    }

    /// Checks a header (section 4.2.1 points 2 to 10).
    // Outlined for registers: benches/README.md, "Outlined functions".
    #[inline(never)]
    pub(super) fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestError> {
        let Some(header) = HeaderName::find(name, REQUEST_HEADERS) else { return Ok(()) };
        // Whether it may come only once, and whether its value is valid.
        let (once, valid) = match header {
            // All headers of this name form one list: one of them must name the token.
            HeaderName::Upgrade if !head::contains_token(value, "websocket") => return Ok(()),
            HeaderName::Connection if !head::contains_token(value, "upgrade") => return Ok(()),
            HeaderName::ContentLength if is_zero(value) => return Ok(()),
            HeaderName::ContentLength | HeaderName::TransferEncoding => return Err(RequestError::Body),
            HeaderName::Host => (true, head::host_and_port(value).is_some()),
            HeaderName::Origin => (true, true),
            HeaderName::SecWebSocketKey => (true, is_key(value)),
            HeaderName::SecWebSocketVersion => (true, value == b"13"),
            HeaderName::SecWebSocketProtocol => (false, head::list(value).all(head::is_token)),
            // An empty value is an empty element of the list that all headers of this name form.
            HeaderName::SecWebSocketExtensions => {
                let valid = head::are_extensions(value) || head::list(value).next().is_none();
                if valid {
                    self.negotiation.read_offers(value);
                }
                (false, valid)
            }
            _ => (false, true),
        };
        if !self.seen.insert(header) && once {
            return Err(RequestError::Duplicate(header));
        }
        if let (HeaderName::SecWebSocketKey, RequestForm::Get, Some(key)) =
            (header, self.form, value.first_chunk())
        {
            self.form = RequestForm::Upgrade(*key);
        }
        if valid { Ok(()) } else { Err(RequestError::Invalid(header)) }
    }

    /// Accepts an extended CONNECT, whose only required header is the version.
    pub(super) fn finish_connect(self) -> Result<(Accept<'static>, N), RequestError> {
        if !self.seen.contains(HeaderName::SecWebSocketVersion) {
            return Err(RequestError::UnsupportedVersion);
        }
        Ok((Accept::new(RequestForm::Get), self.negotiation))
    }

    /// Checks that the complete head has all required headers.
    fn finish(&mut self, plain_requests: bool) -> Result<(), RequestError> {
        const REQUIRED: &[HeaderName] = &[
            HeaderName::Upgrade,
            HeaderName::Connection,
            HeaderName::SecWebSocketVersion,
            HeaderName::SecWebSocketKey,
        ];
        if !self.is_old && !self.seen.contains(HeaderName::Host) {
            return Err(RequestError::Missing(HeaderName::Host));
        }
        let is_plain = match self.seen.first_missing(REQUIRED) {
            _ if self.is_old || self.form == RequestForm::Head => true,
            Some(HeaderName::Upgrade | HeaderName::Connection) if plain_requests => true,
            Some(header) => return Err(RequestError::Missing(header)),
            None => false,
        };
        if is_plain && self.form != RequestForm::Head {
            self.form = RequestForm::Get;
        }
        Ok(())
    }
}

impl<N: Negotiation> HeadRules for ServerOpening<N> {
    const READS_REQUEST: bool = true;
    type Error = RequestError;
    type Negotiation = N;

    // For speed on 64-bit only: benches/README.md, "Heads".
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn line(&mut self, line: &[u8], is_first: bool, config: &Config) -> Result<Step, RequestError> {
        // Without its CRLF.
        let line = line.get(..line.len().saturating_sub(2)).unwrap_or_default();
        match line {
            // "a server SHOULD ignore at least one empty line received prior to the request-line" (RFC 9112
            // section 2.2)
            [] if is_first && !mem::replace(&mut self.skipped_blank, true) => return Ok(Step::NextHead),
            _ if is_first => return self.request_line(line, config.plain_requests),
            [] => {
                self.finish(config.plain_requests)?;
                return Ok(Step::Done(Outcome::Request));
            }
            _ => {
                let (name, value) = head::parse_header(line)?;
                self.header(name, value)?;
            }
        }
        Ok(Step::NextLine)
    }

    fn has_rules_for(&self, name: &[u8]) -> bool {
        HeaderName::find(name, REQUEST_HEADERS).is_some()
    }

    fn negotiation(&self) -> &N {
        &self.negotiation
    }

    #[cfg(feature = "deflate")]
    fn decline(&mut self) {
        self.negotiation.decline();
    }

    fn missing_path(&self) -> core::ops::Range<usize> {
        self.missing_path.0.into()..self.missing_path.1.into()
    }

    fn request(&self) -> Option<&RequestForm> {
        Some(&self.form)
    }

    fn head_error(error: HeadError, is_first: bool) -> RequestError {
        match error {
            HeadError::TooLong if is_first => RequestError::TargetTooLong,
            error => RequestError::Head(error),
        }
    }
}

/// The schemes of a target in absolute form.
const SCHEMES: &[u8] = b"http,https,ws,wss";

/// Whether a `Content-Length` announces no body.
fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && head::parse_decimal(value) == Some(0)
}

/// Checks the headers of a GET request that other software has parsed by the rules that the machine
/// applies to requests (section 4.2.1). The result's [`Accept::value`] is the value of
/// `Sec-WebSocket-Accept`.
///
/// The caller checks method, version and target, and writes the response: its status and headers
/// are those of [`Accept::response`], or of [`RequestError::response`]. The connection then starts
/// with [`WebSocket::<Server>::open`](crate::WebSocket::open).
///
/// No extension is accepted. (With the feature `deflate`, `deflate::check_request` negotiates
/// compression too.)
///
/// # Errors
/// The first rule that the headers break; [`RequestError::status`] is the status for the response.
#[doc(alias = "upgrade")]
pub fn check_request<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Accept<'static>, RequestError> {
    let (accept, ()) = check_request_with(headers, ())?;
    Ok(accept)
}

/// [`check_request`] with the negotiation of extensions.
pub(crate) fn check_request_with<'h, N: Negotiation>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    negotiation: N,
) -> Result<(Accept<'static>, N), RequestError> {
    let mut opening = ServerOpening::new(negotiation);
    for (name, value) in headers {
        let (name, value) = checked_header(name, value)?;
        opening.header(name, value)?;
    }
    opening.finish(false)?;
    Ok((Accept::new(opening.form), opening.negotiation))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: S6.
    #[test]
    fn a_key_is_22_digits_of_base64_and_two_equals_signs() {
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

    /// Proves: S14.
    #[test]
    fn a_target_in_absolute_form_is_split() {
        assert_eq!(split_target("/a?b=c://d"), (None, "/a?b=c://d"));
        assert_eq!(split_target("http://a.example:8/b?c"), (Some("a.example:8"), "/b?c"));
        assert_eq!(split_target("ws://a/?b"), (Some("a"), "/?b"));
    }

    #[test]
    fn check_request_applies_the_same_rules() {
        let valid: &[(&str, &[u8])] = &[
            ("host", b"a"),
            ("upgrade", b"websocket"),
            ("connection", b"keep-alive, Upgrade"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", b"13"),
        ];
        let accept = check_request(valid.iter().copied()).unwrap();
        assert_eq!(accept.value(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let missing = [
            HeaderName::Host,
            HeaderName::Upgrade,
            HeaderName::Connection,
            HeaderName::SecWebSocketKey,
            HeaderName::SecWebSocketVersion,
        ];
        for (left_out, expected) in missing.into_iter().enumerate() {
            let headers =
                valid.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, header)| *header);
            assert_eq!(check_request(headers), Err(RequestError::Missing(expected)));
        }
        for byte in 0..=255_u8 {
            let value = [b' ', byte, b'\t'];
            let verdict = check_request(valid.iter().copied().chain([("cookie", &value[..])]));
            match byte {
                b'\t' | b' '..=b'~' | 0x80.. => assert_eq!(verdict, Ok(accept), "{byte}"),
                _ => assert_eq!(verdict, Err(HeadError::ControlCharacter.into()), "{byte}"),
            }
        }
    }
}
