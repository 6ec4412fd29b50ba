//! The section that each fault breaks.

use sansocket::handshake::HeaderName;
use sansocket::{Error, HeadError, ProtocolError, RequestError, ResponseError};

/// Where the broken rule stands; `None` for what is no rule.
pub fn section(error: &Error) -> Option<&'static str> {
    match error {
        Error::Protocol(error) => protocol(*error),
        Error::Request(RequestError::Head(error)) | Error::Response(ResponseError::Head(error)) => {
            head(*error)
        }
        Error::Request(error) => request(*error),
        Error::Response(error) => response(*error),
        Error::HandshakeTimeout | Error::PongTimeout => Some("RFC 6455 section 7.1.7"),
        Error::EndOfStream => Some("RFC 6455 section 7.1.5"),
        _ => None,
    }
}

fn protocol(error: ProtocolError) -> Option<&'static str> {
    Some(match error {
        ProtocolError::ReservedBits | ProtocolError::ReservedOpcode => "RFC 6455 section 5.2",
        ProtocolError::NonMinimalLength | ProtocolError::LengthOver63Bits => "RFC 6455 section 5.2",
        ProtocolError::FragmentedControl | ProtocolError::ControlTooLong => "RFC 6455 section 5.5",
        ProtocolError::UnexpectedContinuation | ProtocolError::ExpectedContinuation => "RFC 6455 section 5.4",
        ProtocolError::Unmasked | ProtocolError::Masked => "RFC 6455 section 5.1",
        ProtocolError::FrameTooBig | ProtocolError::MessageTooBig => "RFC 6455 section 10.4",
        ProtocolError::TooManyEmptyFragments => "RFC 6455 section 10.4",
        ProtocolError::InvalidUtf8 => "RFC 6455 section 8.1",
        ProtocolError::InvalidDeflate => "RFC 7692 section 7.2.2",
        ProtocolError::TruncatedCloseCode => "RFC 6455 section 5.5.1",
        ProtocolError::InvalidCloseCode => "RFC 6455 section 7.4",
        ProtocolError::InvalidCloseReason => "RFC 6455 sections 5.5.1 and 8.1",
        _ => return None,
    })
}

fn head(error: HeadError) -> Option<&'static str> {
    Some(match error {
        HeadError::BareCr | HeadError::BareLf => "RFC 9112 section 2.2",
        HeadError::NoColon | HeadError::InvalidName => "RFC 9112 section 5",
        HeadError::SpaceBeforeColon => "RFC 9112 section 5.1",
        HeadError::Folded => "RFC 9112 section 5.2",
        HeadError::ControlCharacter => "RFC 9110 section 5.5",
        HeadError::TooLong | HeadError::TooManyHeaders => "RFC 9110 section 5.4",
        _ => return None,
    })
}

fn request(error: RequestError) -> Option<&'static str> {
    Some(match error {
        RequestError::Duplicate(HeaderName::Origin) => "RFC 6454 section 7.3",
        RequestError::Invalid(HeaderName::SecWebSocketExtensions) => "RFC 6455 section 9.1",
        RequestError::InvalidRequestLine => "RFC 9112 section 3",
        RequestError::InvalidTarget => "RFC 9112 section 3.2",
        _ => "RFC 6455 section 4.2.1",
    })
}

fn response(error: ResponseError) -> Option<&'static str> {
    Some(match error {
        ResponseError::InvalidStatusLine => "RFC 9112 section 4",
        ResponseError::Invalid(HeaderName::SecWebSocketExtensions) => "RFC 7692 section 5.1",
        _ => "RFC 6455 section 4.1",
    })
}
