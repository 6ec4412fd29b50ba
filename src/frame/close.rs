//! Close codes and the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use crate::ProtocolError;
use core::fmt;

/// A close code (RFC 6455 section 7.4): any number of 16 bits, with names for those that the RFC and IANA's registry
/// define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A message of a kind that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The peer's Close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// The connection ended without a Close frame from the peer. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// Data that does not fit the message's kind: text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A message that breaks the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// A client expected extensions that the server did not agree to; its reason lists them. Servers do not use it.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// The server met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts (IANA).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// Try again later (IANA).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway got an invalid response from upstream (IANA).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Whether a Close frame may carry it: the codes of section 7.4.1 and of IANA's registry that are not reserved,
    /// and 3000 to 4999 (section 7.4.2).
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

/// What the payload of a received Close frame says: its code, 1005 where it has none, and its reason.
pub(crate) fn parse(payload: &[u8]) -> Result<(CloseCode, &str), ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok((CloseCode::NO_STATUS, "")),
        [_] => return Err(ProtocolError::CloseOfOneOctet),
        [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
    };
    if !code.is_sendable() {
        return Err(ProtocolError::InvalidCloseCode);
    }
    let reason = crate::utf8::validate(reason).ok_or(ProtocolError::InvalidCloseReason)?;
    Ok((code, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x1_x2_x3_x4_x5_each_close_code_is_accepted_or_refused_as_section_7_4_says() {
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

    #[test]
    fn l1_l2_l4_the_body_is_empty_or_a_code_and_a_reason_in_utf8() {
        assert_eq!(parse(b""), Ok((CloseCode(1005), "")));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::CloseOfOneOctet));
        assert_eq!(parse(b"\x03\xE8bye"), Ok((CloseCode(1000), "bye")));
        assert_eq!(parse(b"\x03\xE8\xFF"), Err(ProtocolError::InvalidCloseReason));
        assert_eq!(parse(b"\x03\xE8\xC3"), Err(ProtocolError::InvalidCloseReason));
    }

    #[test]
    fn l3_a_reason_of_123_octets_fits() {
        let mut body = std::vec![0x03, 0xE8];
        body.resize(125, b'x');
        assert_eq!(parse(&body).unwrap().1.len(), 123);
    }
}
