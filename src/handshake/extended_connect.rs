//! The opening handshake over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220): an extended CONNECT, checked
//! by the rules of RFC 6455 that are left of it.

use super::client::{Agreed, Checks, Connect};
use super::server::{Accept, ServerOpening};
use super::{HeaderName, Negotiation, checked_header};
use crate::{RequestError, ResponseError};

/// The version that a client asks for, and that a server's refusal names.
pub(super) const VERSION: (&str, &str) = ("sec-websocket-version", "13");
pub(super) const PROTOCOL: &str = "sec-websocket-protocol";

/// The headers of a request that HTTP/2 replaces (RFC 8441 section 5).
const REPLACED_IN_REQUEST: &[(HeaderName, &str)] = &[
    HeaderName::Host.named(),
    HeaderName::Upgrade.named(),
    HeaderName::Connection.named(),
    HeaderName::SecWebSocketKey.named(),
];

/// The headers of a response that HTTP/2 replaces.
const REPLACED_IN_RESPONSE: &[(HeaderName, &str)] =
    &[HeaderName::Upgrade.named(), HeaderName::Connection.named(), HeaderName::SecWebSocketAccept.named()];

/// Checks the headers of an extended CONNECT over HTTP/2 or HTTP/3 (RFC 8441 section 5): version
/// 13, at most one `Origin`, valid lists of subprotocols and extensions, no body, and no control
/// characters.
///
/// The caller checks the pseudo-headers, which must not be among `headers`: `:method` is CONNECT
/// and `:protocol` is websocket. It writes the response: its status and headers are those of
/// [`Accept::response`], here with status 200, or of [`RequestError::response`].
/// [`Accept::select`] selects a subprotocol. The connection then starts with
/// [`WebSocket::<Server>::open`](crate::WebSocket::open).
///
/// Not looked at:
/// - `Sec-WebSocket-Key`, which is not processed (RFC 8441 section 5).
/// - `Host`: the requested host is `:authority`. An HTTP/2 stack treats a request in which they
///   differ as malformed (RFC 9113 section 8.3.1).
/// - `Upgrade` and `Connection`: an HTTP/2 stack treats a request with them as malformed (RFC 9113
///   section 8.2.2).
///
/// No extension is accepted. (With the feature `deflate`, `deflate::check_connect` negotiates
/// compression too.)
///
/// ```
/// use sansocket::{RequestError, handshake::check_connect};
///
/// let headers: [(&str, &[u8]); _] =
///     [("sec-websocket-version", b"13"), ("sec-websocket-protocol", b"v2, v1"), ("origin", b"https://example.com")];
/// let accept = check_connect(headers)?;
/// let response = accept.select(headers, &["v1"]).unwrap_or(accept).response();
/// assert_eq!(response.status(), 200);
/// assert!(response.headers().eq([("sec-websocket-protocol", "v1")]));
///
/// let refusal = check_connect([]).unwrap_err().response();
/// assert_eq!(refusal.status(), 400);
/// assert!(refusal.headers().eq([("sec-websocket-version", "13")]));
/// # Ok::<_, RequestError>(())
/// ```
///
/// # Errors
/// The first rule that the headers break; [`RequestError::status`] is the status for the response.
#[doc(alias = "http2")]
#[doc(alias = "http3")]
pub fn check_connect<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Accept<'static>, RequestError> {
    let (accept, ()) = check_connect_with(headers, ())?;
    Ok(accept)
}

/// [`check_connect`] with the negotiation of extensions.
pub(crate) fn check_connect_with<'h, N: Negotiation>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    negotiation: N,
) -> Result<(Accept<'static>, N), RequestError> {
    let mut opening = ServerOpening::new(negotiation);
    for (name, value) in headers {
        let (name, value) = checked_header(name, value)?;
        if HeaderName::find(name, REPLACED_IN_REQUEST).is_none() {
            opening.header(name, value).map_err(|error| match error {
                RequestError::Invalid(HeaderName::SecWebSocketVersion) => RequestError::UnsupportedVersion,
                error => error,
            })?;
        }
    }
    opening.finish_connect()
}

/// Checks the response to an extended CONNECT over HTTP/2 or HTTP/3: a status of 2xx, at most one
/// subprotocol, which was offered, and no extension. `connect` is the request, and `headers` does
/// not have the pseudo-header `:status`.
///
/// The connection then starts with [`WebSocket::<Client<_>>::open`](crate::WebSocket::open).
/// `Sec-WebSocket-Accept`, `Upgrade` and `Connection` are not looked at.
///
/// An extension is refused, because none is offered. (With the feature `deflate`,
/// `deflate::check_connect_response` takes the answer to an offer of compression.)
///
/// # Errors
/// [`Refused`](ResponseError::Refused) if the status is not 2xx; else the first rule that the
/// headers break. The caller then resets the stream.
#[doc(alias = "http2")]
#[doc(alias = "http3")]
pub fn check_connect_response<'h>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    connect: &Connect<'_>,
) -> Result<Agreed<'h>, ResponseError> {
    let (agreed, ()) = check_connect_response_with(status, headers, connect, ())?;
    Ok(agreed)
}

/// [`check_connect_response`] with the negotiation of extensions.
pub(crate) fn check_connect_response_with<'h, N: Negotiation>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    connect: &Connect<'_>,
    negotiation: N,
) -> Result<(Agreed<'h>, N), ResponseError> {
    if !(200..300).contains(&status) {
        return Err(ResponseError::Refused(status));
    }
    // No key was sent, and the accept value is not looked at.
    let mut checks = Checks::new([0; _], negotiation);
    let agreed = checks.headers(headers, connect, REPLACED_IN_RESPONSE)?;
    checks.check_extensions()?;
    Ok((agreed, checks.negotiation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeadError;

    const VALID: &[(&str, &[u8])] = &[
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"v2, v1"),
        ("sec-websocket-extensions", b"permessage-deflate"),
        ("origin", b"https://example.com"),
    ];

    fn check_with(headers: &[(&'static str, &'static [u8])]) -> Result<Accept<'static>, RequestError> {
        check_connect(VALID.iter().chain(headers).copied())
    }

    /// Proves: H6, H7.
    #[test]
    fn the_rules_of_http_1_1_hold_but_for_the_headers_that_are_replaced() {
        let accept = check_connect(VALID.iter().copied()).unwrap();
        assert_eq!(accept.value(), "");
        for ignored in [
            ("host", &b"a b"[..]),
            ("upgrade", b"h2c"),
            ("connection", b"close"),
            ("sec-websocket-key", b"none"),
            ("Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
            ("sec-websocket-accept", b"a"),
            ("content-length", b"0"),
        ] {
            assert_eq!(check_with(&[ignored, ignored]), Ok(accept), "{ignored:?}");
        }
        for (header, error) in [
            (("origin", &b"b"[..]), RequestError::Duplicate(HeaderName::Origin)),
            (("Sec-WebSocket-Version", b"13"), RequestError::Duplicate(HeaderName::SecWebSocketVersion)),
            (("sec-websocket-protocol", b"a b"), RequestError::Invalid(HeaderName::SecWebSocketProtocol)),
            (("sec-websocket-extensions", b"a;"), RequestError::Invalid(HeaderName::SecWebSocketExtensions)),
            (("content-length", b"1"), RequestError::Body),
            (("host", b"\0"), HeadError::ControlCharacter.into()),
            ((":protocol", b"websocket"), HeadError::InvalidName.into()),
        ] {
            assert_eq!(check_with(&[header]), Err(error), "{header:?}");
            assert_eq!(error.status(), 400);
        }
    }

    /// Proves: H7, H8.
    #[test]
    fn another_version_is_refused_with_400_and_the_version() {
        for headers in [&[][..], &VALID[1..], &[("sec-websocket-version", b"8")]] {
            let error = check_connect(headers.iter().copied()).unwrap_err();
            assert_eq!(error, RequestError::UnsupportedVersion);
            assert_eq!((error.status(), error.response().status()), (400, 400));
            assert!(error.response().headers().eq([VERSION]));
        }
    }

    /// Proves: H7, H8.
    #[test]
    fn the_response_is_a_2xx_that_selects_what_was_offered() {
        let connect = Connect::new("a", "/").protocols(&["v2", "v1"]);
        let check = |status, headers: &[(&'static str, &'static [u8])]| {
            check_connect_response(status, headers.iter().copied(), &connect).map(|agreed| agreed.protocol())
        };
        let ignored: [(_, &[u8]); _] =
            [("sec-websocket-accept", b"a"), ("upgrade", b"a"), ("connection", b"a"), ("server", b"a")];
        assert_eq!(check(200, &ignored), Ok(None));
        assert_eq!(check(299, &[(PROTOCOL, b"v1")]), Ok(Some("v1")));
        for status in [0, 101, 199, 300, 404, u16::MAX] {
            assert_eq!(check(status, &[]), Err(ResponseError::Refused(status)));
        }
        for (headers, error) in [
            (&[(PROTOCOL, &b"V1"[..])][..], ResponseError::Unoffered(HeaderName::SecWebSocketProtocol)),
            (
                &[(PROTOCOL, b"v1"), (PROTOCOL, b"v2")],
                ResponseError::Duplicate(HeaderName::SecWebSocketProtocol),
            ),
            (
                &[("sec-websocket-extensions", b"permessage-deflate")],
                ResponseError::Unoffered(HeaderName::SecWebSocketExtensions),
            ),
            (&[("server", b"\r")], HeadError::ControlCharacter.into()),
        ] {
            assert_eq!(check(200, headers), Err(error), "{headers:?}");
        }
    }

    /// Proves: H3, H4, H5, J1.
    #[test]
    fn a_request_has_the_headers_of_rfc_8441_section_5() {
        let connect = Connect::from_uri("wss://server.example.com/chat").unwrap();
        let headers = [("origin", "https://www.example.com")];
        let connect = connect.protocols(&["chat", "superchat"]).headers(&headers);
        assert_eq!(std::format!("{}", connect.http_uri()), "https://server.example.com/chat");
        assert!(connect.connect_headers().eq([
            VERSION,
            (PROTOCOL, "chat"),
            (PROTOCOL, "superchat"),
            headers[0]
        ]));
        let one = Connect::new("a", "/").protocol("b");
        assert!(one.connect_headers().eq([VERSION, (PROTOCOL, "b")]));
        for (uri, expected) in [
            ("ws://a:80", "http://a/"),
            ("ws://a:8080?b", "http://a:8080/?b"),
            ("wss://[fe80::1%25eth0]:8443/b%25c?d", "https://[fe80::1]:8443/b%25c?d"),
        ] {
            let connect = Connect::from_uri(uri).unwrap();
            assert_eq!(std::format!("{}", connect.http_uri()), expected);
        }
    }
}
