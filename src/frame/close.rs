//! Close codes and the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use crate::ProtocolError;
use core::fmt;

/// The status code of a Close frame (RFC 6455 section 7.4): any 16-bit number.
///
/// The constants are the codes of the RFC and of IANA's registry. An application may use 4000 to
/// 4999 for itself, as `CloseCode(4000)`; libraries and frameworks register 3000 to 3999 (section
/// 7.4.2).
#[doc(alias = "status code")]
#[doc(alias = "close code")]
#[doc(alias = "StatusCode")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The connection has done its work.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The endpoint does not accept this kind of message: it takes text only, or binary only.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The peer's Close frame had no code. Only reported, never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// The connection ended without a Close frame from the peer. Only reported, never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// The data of a message does not match its kind: text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A message violates the endpoint's policy. Use it when no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// The server did not agree to an extension that the client needs; the reason names it. Only
    /// clients send it.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// An unexpected condition keeps the server from going on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts; the client may reconnect (IANA).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The service is overloaded; the client may try again later (IANA).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway received an invalid response from its upstream server (IANA).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Whether it may stand in a Close frame: 1000 to 1003 and 1007 to 1011 (RFC 6455 section
    /// 7.4.1), 1012 to 1014 (IANA), and 3000 to 4999 (section 7.4.2).
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The code and the reason in the payload of a received Close frame. The code is 1005 if the
/// payload is empty.
pub(crate) fn parse(payload: &[u8]) -> Result<(CloseCode, &str), ProtocolError> {
    // One byte is refused at its header, by `receiver::push`.
    let Some((code, reason)) = payload.split_first_chunk() else { return Ok((CloseCode::NO_STATUS, "")) };
    let code = CloseCode(u16::from_be_bytes(*code));
    if !code.is_sendable() {
        return Err(ProtocolError::InvalidCloseCode);
    }
    let reason = crate::utf8::validate(reason).ok_or(ProtocolError::InvalidCloseReason)?;
    Ok((code, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: X1, X2, X3, X4, X5.
    #[test]
    fn a_close_code_is_valid_exactly_where_section_7_4_allows_it() {
        for code in 0..=u16::MAX {
            let valid = match code {
                1000..=1003 | 1007..=1011 | 1012..=1014 => true, // 7.4.1 and IANA
                3000..=4999 => true,                             // 7.4.2
                _ => false,
            };
            assert_eq!(CloseCode(code).is_sendable(), valid);
            let parsed = parse(&code.to_be_bytes()).map(|(code, _)| code.0);
            assert_eq!(parsed, if valid { Ok(code) } else { Err(ProtocolError::InvalidCloseCode) });
        }
    }

    /// Proves: L1, L2, L4.
    #[test]
    fn a_close_payload_is_empty_or_a_code_and_a_reason_in_utf8() {
        assert_eq!(parse(b""), Ok((CloseCode(1005), "")));
        assert_eq!(parse(b"\x03\xE8bye"), Ok((CloseCode(1000), "bye")));
        assert_eq!(parse(b"\x03\xE8\xFF"), Err(ProtocolError::InvalidCloseReason));
        assert_eq!(parse(b"\x03\xE8\xC3"), Err(ProtocolError::InvalidCloseReason));
    }

    /// Proves: L3.
    #[test]
    fn a_reason_may_have_123_bytes() {
        let mut body = std::vec![0x03, 0xE8];
        body.resize(125, b'x');
        assert_eq!(parse(&body).unwrap().1.len(), 123);
    }
}
