//! The negotiation of extensions in the opening handshake (RFC 6455 section 9.1).

use super::ResponseError;
use core::fmt;

/// What an endpoint negotiates with `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): nothing with
/// `()`.
pub trait Negotiation: Clone + fmt::Debug {
    /// Whether it offers anything, and so may be answered.
    const NEGOTIATES: bool;
    /// What both endpoints have agreed on.
    type Agreed: Copy + Default;
    /// Server: takes the offers in a header of the request, whose grammar is checked.
    fn read_offers(&mut self, value: &[u8]);
    /// Server: declines the offers that were read.
    #[cfg(feature = "deflate")]
    fn decline(&mut self) {}
    /// Server: the end of a header's line in the response, and the line of the header that answers,
    /// if an offer is accepted.
    fn answer(&self) -> impl AsRef<[u8]> + use<Self>;
    /// Client: the end of a header's line in the request, and the line of the header that offers,
    /// if anything is offered.
    fn offers(&self) -> impl AsRef<[u8]> + use<Self>;
    /// Client: checks the header of the response.
    fn read_answer(&mut self, value: &[u8]) -> Result<(), ResponseError>;
    /// What is agreed as far as the peer's head is read.
    fn agreed(&self) -> Self::Agreed;
}

impl Negotiation for () {
    const NEGOTIATES: bool = false;
    type Agreed = ();

    fn read_offers(&mut self, _: &[u8]) {}

    fn answer(&self) -> impl AsRef<[u8]> + use<> {
        b"\r\n"
    }

    fn offers(&self) -> impl AsRef<[u8]> + use<> {
        b"\r\n"
    }

    fn read_answer(&mut self, _: &[u8]) -> Result<(), ResponseError> {
        Ok(())
    }

    fn agreed(&self) {}
}
