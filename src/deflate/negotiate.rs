//! Negotiation of permessage-deflate in the opening handshake (RFC 7692 sections 5 and 7.1).
//!
//! A client sends offers, the server answers one of them or none, and both derive the same
//! [`Parameters`]. The machine negotiates while it reads the peer's head. The public functions do
//! the same for a handshake that another HTTP stack does.

use crate::handshake::{Accept, Agreed, Connect, HeaderName, Negotiation, head};
use crate::handshake::{check_request_with, check_response_with};
use crate::{Delivery, RequestError, ResponseError};
use core::{fmt, mem};

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

/// What an endpoint offers or accepts, seen from itself.
///
/// A message is compressed as references to earlier bytes: those in the sender's *window*, a power
/// of two between 2^8 and 2^15. With *context takeover* the window reaches back into earlier
/// messages, which makes small messages much smaller. The receiver then needs memory for the
/// sender's window; it also needs it to deliver messages [in pieces](Delivery::Pieces). Otherwise
/// it needs none: a whole message is its own window.
///
/// | | [`firmware`](Self::firmware) | [`server`](Self::server) | [`client`](Self::client) |
/// |---|---|---|---|
/// | [`send_takeover`](Self::send_takeover), [`receive_takeover`](Self::receive_takeover) | no | yes | yes |
/// | [`send_window_bits`](Self::send_window_bits), [`receive_window_bits`](Self::receive_window_bits) | 15 | 12 | 15 |
///
/// The peer may ask for less than these settings allow, never for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) send_takeover: bool,
    pub(crate) receive_takeover: bool,
    /// Messages are delivered in pieces.
    pub(crate) pieces: bool,
    pub(crate) send_window_bits: u8,
    /// 0 for no memory.
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

impl Settings {
    /// For an endpoint that keeps no earlier messages: no context takeover in either direction.
    /// Received messages must be delivered whole.
    #[must_use]
    pub const fn firmware() -> Self {
        Self {
            send_takeover: false,
            receive_takeover: false,
            pieces: false,
            send_window_bits: MAX_BITS,
            receive_window_bits: MAX_BITS,
        }
    }

    /// For a server with many connections: context takeover in both directions, with windows of
    /// 4 KiB.
    #[must_use]
    pub const fn server() -> Self {
        Self::client().send_window_bits(12).receive_window_bits(12)
    }

    /// For a client with one connection, or a few: context takeover in both directions, with
    /// windows of 32 KiB.
    #[must_use]
    pub const fn client() -> Self {
        Self::firmware().send_takeover(true).receive_takeover(true)
    }

    /// Sets whether our messages may refer to our earlier ones. It takes a compressor for each
    /// connection.
    #[must_use]
    #[doc(alias = "server_no_context_takeover")]
    #[doc(alias = "client_no_context_takeover")]
    pub const fn send_takeover(self, allow: bool) -> Self {
        Self { send_takeover: allow, ..self }
    }

    /// Sets whether the peer's messages may refer to its earlier ones. It takes memory for the
    /// peer's window; without, it is as if this were `false`.
    #[must_use]
    #[doc(alias = "server_no_context_takeover")]
    #[doc(alias = "client_no_context_takeover")]
    pub const fn receive_takeover(self, allow: bool) -> Self {
        Self { receive_takeover: allow, ..self }
    }

    /// Sets the largest window for our messages, as a power of two: 9 to 15. (A value outside
    /// becomes the nearest.) A peer that asks for a smaller one is given it, down to 8.
    #[must_use]
    #[doc(alias = "server_max_window_bits")]
    #[doc(alias = "client_max_window_bits")]
    pub const fn send_window_bits(self, bits: u8) -> Self {
        Self { send_window_bits: askable(bits), ..self }
    }

    /// Sets the largest window of the peer that we keep memory for, as a power of two: 9 to 15. (A
    /// value outside becomes the nearest.) A peer whose messages need no such memory may use any.
    #[must_use]
    #[doc(alias = "server_max_window_bits")]
    #[doc(alias = "client_max_window_bits")]
    pub const fn receive_window_bits(self, bits: u8) -> Self {
        Self { receive_window_bits: askable(bits), ..self }
    }

    /// Limits the settings to the memory for received messages, and to their delivery. The
    /// machine does that by itself.
    ///
    /// `window_bits` is the size of the memory for the peer's window, as a power of two; 0 for
    /// none. Without this call, it is large enough, and messages are delivered whole.
    #[must_use]
    pub const fn limited_to(self, window_bits: u8, delivery: Delivery) -> Self {
        let receive_window_bits =
            if window_bits < self.receive_window_bits { window_bits } else { self.receive_window_bits };
        Self { receive_window_bits, pieces: matches!(delivery, Delivery::Pieces), ..self }
    }

    /// A server's answer to an offer; `None` to decline it.
    fn answer(&self, offer: &Element) -> Option<Answer> {
        let server_limit = offer.server.max_window_bits.value()?;
        let names_server_window = offer.server.max_window_bits != MaxWindowBits::Absent;
        // A value in the offer is a limit that the client keeps in any case (section 7.1.2.2).
        let offered = offer.client.max_window_bits.value().unwrap_or(MAX_BITS);
        // Without the parameter in the offer, it cannot be in the answer.
        let is_reducible = offer.client.max_window_bits != MaxWindowBits::Absent;
        let kept = if is_reducible { offered.min(self.receive_window_bits) } else { offered };
        // zlib has no window of 8 for raw DEFLATE: nobody is asked for it.
        let can_keep = kept <= self.receive_window_bits && (kept == offered || kept >= MIN_ASKED_BITS);
        if self.pieces && !can_keep {
            return None;
        }
        let client_takeover = self.receive_takeover && !offer.client.no_context_takeover && can_keep;
        let parameters = Parameters {
            server_takeover: self.send_takeover && !offer.server.no_context_takeover,
            client_takeover,
            server_window_bits: self.send_window_bits.min(server_limit),
            client_window_bits: if client_takeover || self.pieces { kept } else { offered },
        };
        Some(Answer { parameters, names_server_window })
    }

    /// A client's offers; `None` if there is nothing to offer.
    fn offers(&self) -> Option<Offers> {
        let client = Direction {
            no_context_takeover: !self.send_takeover,
            max_window_bits: match self.send_window_bits {
                MAX_BITS => MaxWindowBits::Valueless,
                bits => MaxWindowBits::Value(bits),
            },
        };
        let limited = Direction {
            no_context_takeover: !self.receive_takeover,
            max_window_bits: match self.receive_window_bits {
                MAX_BITS => MaxWindowBits::Absent,
                bits => MaxWindowBits::Value(bits),
            },
        };
        let without_memory = Direction { no_context_takeover: true, max_window_bits: MaxWindowBits::Absent };
        let (server, fallback) = match self.can_keep_server() && (self.receive_takeover || self.pieces) {
            // A server that does not limit its window can still accept the second offer.
            true if self.receive_window_bits < MAX_BITS && !self.pieces => (limited, Some(without_memory)),
            true => (limited, None),
            false if self.pieces => return None,
            false => (without_memory, None),
        };
        Some(Offers {
            first: Element { server, client },
            second: fallback.map(|server| Element { server, client }),
        })
    }

    /// A client: whether its memory is large enough for a window that it can ask the server for.
    const fn can_keep_server(&self) -> bool {
        self.receive_window_bits >= MIN_ASKED_BITS
    }

    /// A client: what a server's answer means; `None` if it answers none of the offers.
    fn agree(&self, answer: &Element) -> Option<Parameters> {
        let server_window_bits = answer.server.max_window_bits.value()?;
        let client_window_bits = match answer.client.max_window_bits {
            MaxWindowBits::Absent => self.send_window_bits,
            bits => bits.value()?,
        };
        let server_takeover = !answer.server.no_context_takeover;
        let is_kept = server_takeover || self.pieces;
        let fits = self.can_keep_server() && server_window_bits <= self.receive_window_bits;
        if client_window_bits > self.send_window_bits
            || server_takeover && !self.receive_takeover
            || is_kept && !fits
        {
            return None;
        }
        Some(Parameters {
            server_takeover,
            client_takeover: self.send_takeover && !answer.client.no_context_takeover,
            server_window_bits,
            client_window_bits,
        })
    }
}

/// The window without `max_window_bits`, and the largest.
const MAX_BITS: u8 = 15;
/// The smallest window that an endpoint asks the other for.
const MIN_ASKED_BITS: u8 = 9;

/// The nearest window that can be asked for.
const fn askable(bits: u8) -> u8 {
    match bits {
        ..MIN_ASKED_BITS => MIN_ASKED_BITS,
        MIN_ASKED_BITS..=MAX_BITS => bits,
        _ => MAX_BITS,
    }
}

/// One element of `Sec-WebSocket-Extensions` that names permessage-deflate: an offer, or the answer
/// to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    server: Direction,
    client: Direction,
}

/// The parameters for the messages of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    no_context_takeover: bool,
    max_window_bits: MaxWindowBits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MaxWindowBits {
    Absent,
    /// Only `client_max_window_bits` in an offer has no value.
    Valueless,
    /// 8 to 15.
    Value(u8),
}

impl MaxWindowBits {
    /// The largest window that it allows: the parameter's value, or the largest of all without the
    /// parameter. `None` if it lacks its value.
    fn value(self) -> Option<u8> {
        match self {
            Self::Absent => Some(MAX_BITS),
            Self::Valueless => None,
            Self::Value(bits) => Some(bits),
        }
    }

    /// Parses the value of the parameter, which may be quoted; empty if there is none.
    fn parse(value: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for &byte in value {
            match byte {
                // The grammar is checked: these only quote.
                b'"' | b'\\' => continue,
                b'0' if bits == 0 => return None,
                b'0'..=b'9' => bits = bits * 10 + (byte - b'0'),
                _ => return None,
            }
            if bits > MAX_BITS {
                return None;
            }
        }
        match bits {
            0 => Some(Self::Valueless),
            8.. => Some(Self::Value(bits)),
            _ => None,
        }
    }

    /// The value as it is written.
    fn written(self) -> &'static [u8] {
        let Self::Value(bits) = self else { return &[] };
        // One chunk for each value from 8 on.
        let (values, _) = b"=8 =9 =10=11=12=13=14=15".as_chunks::<3>();
        values.get(usize::from(bits.wrapping_sub(8))).map_or(&[], |value| head::trim(value))
    }
}

impl Element {
    /// Without parameters.
    const EMPTY: Self = {
        let direction = Direction { no_context_takeover: false, max_window_bits: MaxWindowBits::Absent };
        Self { server: direction, client: direction }
    };

    /// Parses the parameters of an offer or an answer. `None` if one is unknown, repeated or
    /// invalid.
    fn parse(mut parameters: &[u8]) -> Option<Self> {
        let mut element = Self::EMPTY;
        while !parameters.is_empty() {
            let (parameter, rest) = head::split(parameters, b';');
            parameters = rest;
            let (name, value) = head::split(parameter, b'=');
            let (endpoint, name) = head::trim(name).split_at_checked(b"server".len())?;
            let direction = if head::eq(endpoint, b"server") {
                &mut element.server
            } else if head::eq(endpoint, b"client") {
                &mut element.client
            } else {
                return None;
            };
            if head::eq(name, b"_no_context_takeover") {
                if mem::replace(&mut direction.no_context_takeover, true) || !value.is_empty() {
                    return None;
                }
            } else if head::eq(name, b"_max_window_bits")
                && direction.max_window_bits == MaxWindowBits::Absent
            {
                direction.max_window_bits = MaxWindowBits::parse(head::trim(value))?;
            } else {
                return None;
            }
        }
        Some(element)
    }

    /// The element as it is written, with what comes before and after it.
    fn written(&self, before: &'static [u8], after: &'static [u8]) -> Parts {
        let Self { server, client } = self;
        let present = |is_present, name| if is_present { name } else { &b""[..] };
        [
            before,
            NAME,
            present(server.no_context_takeover, b"; server_no_context_takeover"),
            present(client.no_context_takeover, b"; client_no_context_takeover"),
            present(server.max_window_bits != MaxWindowBits::Absent, b"; server_max_window_bits"),
            server.max_window_bits.written(),
            present(client.max_window_bits != MaxWindowBits::Absent, b"; client_max_window_bits"),
            client.max_window_bits.written(),
            after,
        ]
    }
}

const NAME: &[u8] = b"permessage-deflate";

/// The parameters of an element of a list that follows the grammar, if it names permessage-deflate.
fn parameters_of(element: &[u8]) -> Option<&[u8]> {
    let (name, parameters) = head::split(element, b';');
    head::eq(head::trim(name), NAME).then_some(parameters)
}

/// An element in parts, some of which may be empty.
type Parts = [&'static [u8]; 9];

/// A header, or its value, with up to `N` elements.
struct Written<const N: usize>([Parts; N]);

impl<const N: usize> Written<N> {
    const NOTHING: Self = Self([[&[]; 9]; N]);
}

impl<const N: usize> AsRef<[&'static [u8]]> for Written<N> {
    fn as_ref(&self) -> &[&'static [u8]] {
        self.0.as_flattened()
    }
}

impl<const N: usize> fmt::Display for Written<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().iter().try_for_each(|part| f.write_str(core::str::from_utf8(part).unwrap_or_default()))
    }
}

/// What the machine writes before and after the value of the header.
const HEADER_LINE: (&[u8], &[u8]) = (b"Sec-WebSocket-Extensions: ", b"\r\n");

/// A server's answer to an offer of permessage-deflate. `Display` is the value of the response's
/// `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    parameters: Parameters,
    /// The offer has `server_max_window_bits`, so the answer has it too.
    names_server_window: bool,
}

impl Answer {
    /// What is agreed once the answer is sent.
    #[must_use]
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    fn written(&self, before: &'static [u8], after: &'static [u8]) -> Written<1> {
        let Parameters { server_takeover, client_takeover, server_window_bits, client_window_bits } =
            self.parameters;
        let max_window_bits = |bits, is_named| {
            if is_named || bits < MAX_BITS { MaxWindowBits::Value(bits) } else { MaxWindowBits::Absent }
        };
        let server = Direction {
            no_context_takeover: !server_takeover,
            max_window_bits: max_window_bits(server_window_bits, self.names_server_window),
        };
        // It is smaller than the largest only if the client has offered that.
        let client = Direction {
            no_context_takeover: !client_takeover,
            max_window_bits: max_window_bits(client_window_bits, false),
        };
        Written([Element { server, client }.written(before, after)])
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(b"", b"").fmt(f)
    }
}

/// A client's offers of permessage-deflate. `Display` is the value of the request's
/// `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    first: Element,
    second: Option<Element>,
}

impl Offers {
    /// The offers for these settings, in order of preference. `None` if there is nothing to offer:
    /// messages are delivered in pieces, and the memory for the window has less than 2^9 bytes.
    #[must_use]
    pub fn new(settings: &Settings) -> Option<Self> {
        settings.offers()
    }

    fn written(&self, before: &'static [u8], after: &'static [u8]) -> Written<2> {
        let Self { first, second } = self;
        match second {
            Some(second) => Written([first.written(before, b", "), second.written(b"", after)]),
            None => Written([first.written(before, after), [&[]; 9]]),
        }
    }
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(b"", b"").fmt(f)
    }
}

/// Answers the offers of a request: `values` are those of its `Sec-WebSocket-Extensions` headers,
/// in order. The first offer of permessage-deflate that is valid, and within the settings, is
/// accepted. `None` if there is none: then the response has no such header.
///
/// ```
/// use sansocket::deflate::{self, Settings};
/// let answer = deflate::negotiate([&b"permessage-deflate; client_max_window_bits"[..]], &Settings::server());
/// let answer = answer.ok_or("declined")?;
/// assert_eq!(answer.to_string(), "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
/// assert!(answer.parameters().client_takeover);
/// # Ok::<_, &str>(())
/// ```
#[must_use]
pub fn negotiate<'v>(values: impl IntoIterator<Item = &'v [u8]>, settings: &Settings) -> Option<Answer> {
    let mut negotiator = Negotiator::new(*settings);
    for value in values {
        if head::are_extensions(value) {
            negotiator.read_offers(value);
        }
    }
    negotiator.agreed
}

/// Checks the answer of a response to the [`Offers`] for the same settings: `values` are those of
/// its `Sec-WebSocket-Extensions` headers. `None` if it has none: nothing is agreed.
///
/// # Errors
/// The same as in the machine: [`Invalid`](ResponseError::Invalid) for an answer to none of the
/// offers, [`Unoffered`](ResponseError::Unoffered) for another extension, and
/// [`Duplicate`](ResponseError::Duplicate) for more than one answer. The connection must then be
/// failed (RFC 7692 section 5).
pub fn check<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
    settings: &Settings,
) -> Result<Option<Parameters>, ResponseError> {
    let mut negotiator = Negotiator::new(*settings);
    for value in values {
        negotiator.read_answer(value)?;
    }
    Ok(negotiator.agreed())
}

/// [`check_request`](crate::handshake::check_request) and [`negotiate`] in one.
///
/// # Errors
/// The first rule that the headers break. An offer that cannot be accepted is no error.
pub fn check_request<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    settings: &Settings,
) -> Result<(Accept<'static>, Option<Answer>), RequestError> {
    let (accept, negotiator) = check_request_with(headers, Negotiator::new(*settings))?;
    Ok((accept, negotiator.agreed))
}

/// [`check_response`](crate::handshake::check_response) for a request with the [`Offers`] for these
/// settings, and [`check`].
///
/// # Errors
/// The first rule that the headers break.
pub fn check_response<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    key: &str,
    connect: &Connect<'_>,
    settings: &Settings,
) -> Result<(Agreed<'h>, Option<Parameters>), ResponseError> {
    let (agreed, negotiator) = check_response_with(headers, key, connect, Negotiator::new(*settings))?;
    Ok((agreed, negotiator.agreed()))
}

/// The negotiation of a connection whose handshake the machine does, in either role.
#[derive(Clone, Copy, Debug)]
pub struct Negotiator {
    settings: Settings,
    agreed: Option<Answer>,
}

impl Negotiator {
    pub(crate) const fn new(settings: Settings) -> Self {
        Self { settings, agreed: None }
    }
}

impl Negotiation for Negotiator {
    const NEGOTIATES: bool = true;
    type Agreed = Option<Parameters>;

    fn read_offers(&mut self, value: &[u8]) {
        for parameters in head::list(value).filter_map(parameters_of) {
            if self.agreed.is_none() {
                self.agreed = Element::parse(parameters).and_then(|offer| self.settings.answer(&offer));
            }
        }
    }

    fn read_answer(&mut self, value: &[u8]) -> Result<(), ResponseError> {
        const HEADER: HeaderName = HeaderName::SecWebSocketExtensions;
        if !head::are_extensions(value) {
            return Err(ResponseError::Invalid(HEADER));
        }
        for element in head::list(value) {
            let parameters = match parameters_of(element) {
                Some(parameters) if self.settings.offers().is_some() => parameters,
                _ => return Err(ResponseError::Unoffered(HEADER)),
            };
            if self.agreed.is_some() {
                return Err(ResponseError::Duplicate(HEADER));
            }
            let parameters = Element::parse(parameters).and_then(|answer| self.settings.agree(&answer));
            let parameters = parameters.ok_or(ResponseError::Invalid(HEADER))?;
            self.agreed = Some(Answer { parameters, names_server_window: false });
        }
        Ok(())
    }

    fn agreed(&self) -> Option<Parameters> {
        self.agreed.map(|answer| answer.parameters)
    }

    fn offers(&self) -> impl AsRef<[&'static [u8]]> + use<> {
        let (before, after) = HEADER_LINE;
        self.settings.offers().map_or(Written::NOTHING, |offers| offers.written(before, after))
    }

    fn answer(&self) -> impl AsRef<[&'static [u8]]> + use<> {
        let (before, after) = HEADER_LINE;
        self.agreed.map_or(Written::NOTHING, |answer| answer.written(before, after))
    }

    fn decline(&mut self) {
        self.agreed = None;
    }
}
