//! Negotiation of permessage-deflate in the opening handshake (RFC 7692 sections 5 and 7.1).

/// The parameters of permessage-deflate that both endpoints have agreed on (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The server may refer to its earlier messages: no `server_no_context_takeover`.
    pub server_takeover: bool,
    /// The client may refer to its earlier messages: no `client_no_context_takeover`.
    pub client_takeover: bool,
    /// The server's window has at most 2^`server_window_bits` bytes: 8 to 15.
    pub server_window_bits: u8,
    /// The client's window has at most 2^`client_window_bits` bytes: 8 to 15.
    pub client_window_bits: u8,
}

/// What an endpoint offers or accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) send_takeover: bool,
    pub(crate) receive_takeover: bool,
    pub(crate) send_window_bits: u8,
    pub(crate) receive_window_bits: u8,
}

impl Parameters {
    /// Context takeover and the window bits of the messages that the server or the client receives.
    pub(crate) const fn received_by(&self, is_server: bool) -> (bool, u8) {
        match is_server {
            true => (self.client_takeover, self.client_window_bits),
            false => (self.server_takeover, self.server_window_bits),
        }
    }
}
