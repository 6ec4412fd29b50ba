//! Negotiation of permessage-deflate in the opening handshake (RFC 7692 sections 5 and 7.1).
//!
//! A client sends offers, the server answers one of them or none, and both derive the same
//! [`Parameters`]. The machine negotiates while it reads the peer's head. The public functions do
//! the same for a handshake that another HTTP stack does.

use crate::handshake::{Accept, Agreed, Connect, HeaderName, Negotiation, head};
use crate::handshake::{
    check_connect_response_with, check_connect_with, check_request_with, check_response_with,
};
use crate::{Delivery, RequestError, ResponseError};
use core::fmt;

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
///
/// The crate `sansocket-io` has a type `Settings` too, the limits of a connection: beside it, write
/// `deflate::Settings` for this one.
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
        let Element([server_alone, client_alone, server_limit, client_limit]) = *offer;
        // A value in the offer is a limit that the client keeps in any case (section 7.1.2.2).
        let offered = client_limit.window_bits();
        // Without the parameter in the offer, it cannot be in the answer.
        let is_reducible = client_limit.is_present();
        let kept = if is_reducible { offered.min(self.receive_window_bits) } else { offered };
        // zlib has no window of 8 for raw DEFLATE: nobody is asked for it.
        let can_keep = kept <= self.receive_window_bits && (kept == offered || kept >= MIN_ASKED_BITS);
        if self.pieces && !can_keep {
            return None;
        }
        let client_takeover = self.receive_takeover && !client_alone.is_present() && can_keep;
        let server_takeover = self.send_takeover && !server_alone.is_present();
        let server_window_bits = self.send_window_bits.min(server_limit.window_bits());
        let client_window_bits = if client_takeover || self.pieces { kept } else { offered };
        Some(Answer(Element([
            Value::flag(!server_takeover),
            Value::flag(!client_takeover),
            match server_limit {
                Value::ABSENT => Value::below_max(server_window_bits),
                // It is answered whatever its value.
                _ => Value(server_window_bits),
            },
            // It is smaller than the largest only if the parameter is offered.
            Value::below_max(client_window_bits),
        ])))
    }

    /// A client: whether there is anything to offer.
    const fn can_offer(&self) -> bool {
        !self.pieces || self.can_keep_server()
    }

    /// A client: whether its memory is large enough for a window that it can ask the server for.
    const fn can_keep_server(&self) -> bool {
        self.receive_window_bits >= MIN_ASKED_BITS
    }

    /// A client's offers. In the second one, the server has no context takeover and any window.
    fn offers(&self) -> [Option<Element>; 2] {
        let client_alone = Value::flag(!self.send_takeover);
        let client_limit = match self.send_window_bits {
            MAX_BITS => Value::EMPTY,
            bits => Value(bits),
        };
        let server_limit = Value::below_max(self.receive_window_bits);
        let keeps = self.can_keep_server() && (self.receive_takeover || self.pieces);
        let kept = Element([Value::flag(!self.receive_takeover), client_alone, server_limit, client_limit]);
        let alone = Element([Value::EMPTY, client_alone, Value::ABSENT, client_limit]);
        // A server that cannot limit its window can accept it.
        let needs_alone = !(self.pieces || keeps && server_limit == Value::ABSENT);
        [keeps.then_some(kept), needs_alone.then_some(alone)]
    }

    /// A client: takes a server's answer; `None` if it answers none of the offers. What the client
    /// has announced holds even if the answer does not repeat it.
    fn take(&self, answer: &Element) -> Option<Answer> {
        let Element([server_alone, client_alone, server_limit, client_limit]) = *answer;
        let server_takeover = !server_alone.is_present();
        let fits = self.can_keep_server() && server_limit.window_bits() <= self.receive_window_bits;
        let client_window_bits = match client_limit {
            Value::ABSENT => self.send_window_bits,
            Value::EMPTY => return None,
            Value(bits) => bits,
        };
        if client_window_bits > self.send_window_bits
            || server_takeover && !self.receive_takeover
            || (server_takeover || self.pieces) && !fits
        {
            return None;
        }
        let client_alone = Value::flag(client_alone.is_present() || !self.send_takeover);
        Some(Answer(Element([server_alone, client_alone, server_limit, Value(client_window_bits)])))
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

/// One element of `Sec-WebSocket-Extensions` that names permessage-deflate, an offer or the answer
/// to one: its parameters in the order of [`NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element([Value; 4]);

/// The name of the extension.
const NAME: &[u8] = b"permessage-deflate";

const NAMES: [&[u8]; 4] = [
    b"server_no_context_takeover",
    b"client_no_context_takeover",
    b"server_max_window_bits",
    b"client_max_window_bits",
];

/// The value of a parameter, 8 to 15; or there is none. One byte, because an enum takes more flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value(u8);

impl Value {
    /// There is no such parameter.
    const ABSENT: Self = Self(0);
    /// The parameter has no value.
    const EMPTY: Self = Self(1);

    const fn flag(is_present: bool) -> Self {
        if is_present { Self::EMPTY } else { Self::ABSENT }
    }

    /// A limit of a window; the largest needs none.
    const fn below_max(bits: u8) -> Self {
        if bits < MAX_BITS { Self(bits) } else { Self::ABSENT }
    }

    const fn is_present(self) -> bool {
        self.0 != Self::ABSENT.0
    }

    /// The largest window that it allows.
    const fn window_bits(self) -> u8 {
        if self.0 > Self::EMPTY.0 { self.0 } else { MAX_BITS }
    }

    /// Parses what follows the equals sign, which may be quoted; empty if there is none.
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
            0 => Some(Self::EMPTY),
            8.. => Some(Self(bits)),
            _ => None,
        }
    }

    /// The equals sign and the value, if there is one.
    fn written(self) -> &'static [u8] {
        // One chunk for each value from 8 on.
        let (values, _) = b"=8 =9 =10=11=12=13=14=15".as_chunks::<3>();
        values.get(usize::from(self.0.wrapping_sub(8))).map_or(&[], |value| head::trim(value))
    }
}

impl Element {
    /// Parses the parameters of an offer or an answer. `None` if one is unknown, repeated or
    /// invalid.
    fn parse(mut parameters: &[u8]) -> Option<Self> {
        let mut values = [Value::ABSENT; 4];
        while !parameters.is_empty() {
            let (parameter, rest) = head::split(parameters, b';');
            parameters = rest;
            let (name, value) = head::split(parameter, b'=');
            let name = head::trim(name);
            let at = NAMES.iter().position(|known| head::eq(known, name))?;
            let value = Value::parse(head::trim(value))?;
            let is_allowed = match value {
                Value::EMPTY => at != SERVER_MAX_WINDOW_BITS,
                _ => at >= SERVER_MAX_WINDOW_BITS,
            };
            let slot = values.get_mut(at)?;
            if !is_allowed || slot.is_present() {
                return None;
            }
            *slot = value;
        }
        Some(Self(values))
    }

    /// Appends the element to a text that has room for it.
    fn write<const N: usize>(&self, text: &mut Text<N>) {
        let mut append = |part| {
            let _ = text.extend_from_slice(part);
        };
        append(NAME);
        for (name, value) in NAMES.iter().zip(self.0) {
            if value.is_present() {
                append(b"; ");
                append(name);
                append(value.written());
            }
        }
    }
}

/// The index of the parameter that always has a value, in [`NAMES`]. Those before it have none.
const SERVER_MAX_WINDOW_BITS: usize = 2;

/// The parameters of an element of a list that follows the grammar, if it names permessage-deflate.
fn parameters_of(element: &[u8]) -> Option<&[u8]> {
    let (name, parameters) = head::split(element, b';');
    head::eq(head::trim(name), NAME).then_some(parameters)
}

/// Up to two lines of a head, or the value of the header.
type Text<const N: usize> = heapless::Vec<u8, N>;
/// With one element, at most 158 bytes.
type AnswerText = Text<158>;
/// With two elements, at most 261 bytes.
type OffersText = Text<261>;

fn fmt_text(text: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(core::str::from_utf8(text).unwrap_or_default())
}

/// The end of a line, and the header's line with the value that `write` appends, if there is one.
fn lines<const N: usize, V>(value: Option<V>, write: impl FnOnce(V, &mut Text<N>)) -> Text<N> {
    let mut text = Text::new();
    if let Some(value) = value {
        let _ = text.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        write(value, &mut text);
    }
    let _ = text.extend_from_slice(b"\r\n");
    text
}

/// A server's answer to an offer of permessage-deflate. `Display` is the value of the response's
/// `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(Element);

impl Answer {
    /// What is agreed once the answer is sent.
    #[must_use]
    pub const fn parameters(&self) -> Parameters {
        let Element([server_alone, client_alone, server_limit, client_limit]) = self.0;
        Parameters {
            server_takeover: !server_alone.is_present(),
            client_takeover: !client_alone.is_present(),
            server_window_bits: server_limit.window_bits(),
            client_window_bits: client_limit.window_bits(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = AnswerText::new();
        self.0.write(&mut text);
        fmt_text(&text, f)
    }
}

/// A client's offers of permessage-deflate. `Display` is the value of the request's
/// `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers([Option<Element>; 2]);

impl Offers {
    /// The offers for these settings, in order of preference. `None` if there is nothing to offer:
    /// messages are delivered in pieces, and the memory for the window has less than 2^9 bytes.
    #[must_use]
    pub fn new(settings: &Settings) -> Option<Self> {
        settings.can_offer().then(|| Self(settings.offers()))
    }

    fn write(&self, text: &mut OffersText) {
        for (at, offer) in self.0.iter().flatten().enumerate() {
            if at > 0 {
                let _ = text.extend_from_slice(b", ");
            }
            offer.write(text);
        }
    }
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::new();
        self.write(&mut text);
        fmt_text(&text, f)
    }
}

/// Answers the offers of a request: `values` are those of its `Sec-WebSocket-Extensions` headers,
/// in order. The first offer of permessage-deflate that is valid, and within the settings, is
/// accepted. `None` if there is none: then the response has no such header. The names of the
/// extension and of its parameters are compared with case: they are sent in lower case.
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
/// [`Duplicate`](ResponseError::Duplicate) for more than one answer, or header. The connection must
/// then be failed (RFC 7692 section 5).
pub fn check<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
    settings: &Settings,
) -> Result<Option<Parameters>, ResponseError> {
    let mut negotiator = Negotiator::new(*settings);
    let mut values = values.into_iter();
    if let Some(value) = values.next() {
        negotiator.read_answer(value)?;
    }
    // "It MUST NOT appear more than once in an HTTP response" (RFC 6455 section 11.3.2).
    if values.next().is_some() {
        return Err(ResponseError::Duplicate(HeaderName::SecWebSocketExtensions));
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

/// [`check_connect`](crate::handshake::check_connect) and [`negotiate`] in one.
///
/// # Errors
/// The first rule that the headers break. An offer that cannot be accepted is no error.
pub fn check_connect<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    settings: &Settings,
) -> Result<(Accept<'static>, Option<Answer>), RequestError> {
    let (accept, negotiator) = check_connect_with(headers, Negotiator::new(*settings))?;
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

/// [`check_connect_response`](crate::handshake::check_connect_response) for a request with the
/// [`Offers`] for these settings, and [`check`].
///
/// # Errors
/// The first rule that the status and the headers break.
pub fn check_connect_response<'h>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    connect: &Connect<'_>,
    settings: &Settings,
) -> Result<(Agreed<'h>, Option<Parameters>), ResponseError> {
    let negotiator = Negotiator::new(*settings);
    let (agreed, negotiator) = check_connect_response_with(status, headers, connect, negotiator)?;
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
                Some(parameters) if self.settings.can_offer() => parameters,
                _ => return Err(ResponseError::Unoffered(HEADER)),
            };
            if self.agreed.is_some() {
                return Err(ResponseError::Duplicate(HEADER));
            }
            let answer = Element::parse(parameters).and_then(|answer| self.settings.take(&answer));
            self.agreed = Some(answer.ok_or(ResponseError::Invalid(HEADER))?);
        }
        Ok(())
    }

    fn agreed(&self) -> Option<Parameters> {
        self.agreed.map(|answer| answer.parameters())
    }

    fn offers(&self) -> impl AsRef<[u8]> + use<> {
        lines(Offers::new(&self.settings), |offers, text| offers.write(text))
    }

    fn answer(&self) -> impl AsRef<[u8]> + use<> {
        lines(self.agreed, |Answer(element), text: &mut AnswerText| element.write(text))
    }

    fn decline(&mut self) {
        self.agreed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::handshake::{Handshake, Outcome, ServerOpening};
    use proptest::prelude::*;
    use std::string::{String, ToString};
    use std::{vec, vec::Vec};

    const WHOLE: Delivery = Delivery::Whole;
    const PIECES: Delivery = Delivery::Pieces;
    const EXTENSIONS: HeaderName = HeaderName::SecWebSocketExtensions;

    /// A server's answer to these values; empty if it declines.
    fn answer(values: &[&str], settings: Settings) -> String {
        let answer = negotiate(values.iter().map(|value| value.as_bytes()), &settings);
        answer.map(|answer| answer.to_string()).unwrap_or_default()
    }

    fn offer(settings: Settings) -> String {
        Offers::new(&settings).map(|offers| offers.to_string()).unwrap_or_default()
    }

    fn parameters(takeover: (bool, bool), window_bits: (u8, u8)) -> Parameters {
        Parameters {
            server_takeover: takeover.0,
            client_takeover: takeover.1,
            server_window_bits: window_bits.0,
            client_window_bits: window_bits.1,
        }
    }

    /// Proves: Z4, Z10, Z11, Z13, Z14.
    #[test]
    fn a_server_answers_each_parameter_that_is_offered() {
        let large = Settings::client();
        for (offer, expected) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
            (
                "permessage-deflate; client_max_window_bits=10",
                "permessage-deflate; client_max_window_bits=10",
            ),
            ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
            (
                "permessage-deflate; server_max_window_bits=15",
                "permessage-deflate; server_max_window_bits=15",
            ),
            ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
            (
                "permessage-deflate;server_max_window_bits=\"10\"",
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                "permessage-deflate ; server_max_window_bits = \"1\\0\" ; client_max_window_bits",
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
            ),
            (
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=11; \
                 client_no_context_takeover; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=11; client_max_window_bits=9",
            ),
        ] {
            assert_eq!(answer(&[offer], large), expected, "{offer}");
        }
    }

    /// Proves: Z1, Z2, Z3, Z8, N6.
    #[test]
    fn a_server_declines_an_invalid_offer() {
        for parameter in [
            "x",
            "server_",
            "server",
            "client_takeover",
            "Server_max_window_bits=9",
            "max_window_bits=9",
            "no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=0",
            "server_max_window_bits=010",
            "server_max_window_bits=256",
            "server_max_window_bits=265",
            "server_max_window_bits=1000000000000000000000",
            "server_max_window_bits=+9",
            "server_max_window_bits=a",
            "server_max_window_bits=\"08\"",
            "server_max_window_bits=\"9a\"",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=\"\\0\\8\"",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"true\"",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits=9; client_max_window_bits=9",
            "server_max_window_bits=9; server_max_window_bits=10",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
        ] {
            let offer = std::format!("permessage-deflate; {parameter}");
            for settings in [Settings::firmware(), Settings::client()] {
                assert_eq!(answer(&[&offer], settings), "", "{offer}");
                // The next offer is tried, in the same header or in another.
                let both = std::format!("{offer}, permessage-deflate; server_max_window_bits=9");
                assert!(answer(&[&both], settings).ends_with("; server_max_window_bits=9"), "{both}");
                let next = "permessage-deflate; server_max_window_bits=9, permessage-deflate";
                assert!(answer(&["", &offer, next], settings).ends_with("; server_max_window_bits=9"));
            }
        }
        for values in [&[][..], &[""], &["x-webkit-deflate-frame"], &["permessage-bzip2, deflate"], &["a b"]]
        {
            assert_eq!(answer(values, Settings::client()), "");
        }
        assert_eq!(answer(&["mux; a=b, permessage-deflate"], Settings::client()), "permessage-deflate");
    }

    /// Proves: Z4, Z14.
    #[test]
    fn a_server_keeps_to_its_memory() {
        let (chrome, others) = ("permessage-deflate; client_max_window_bits", "permessage-deflate");
        let alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let server = Settings::server();
        let keeps_none = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12";
        let keeps = |bits: u8| {
            std::format!("permessage-deflate; server_max_window_bits=12; client_max_window_bits={bits}")
        };
        for (offer, settings, expected) in [
            (chrome, Settings::firmware().limited_to(0, WHOLE), alone),
            (others, Settings::firmware().limited_to(0, WHOLE), alone),
            (chrome, Settings::firmware().limited_to(0, PIECES), ""),
            (others, Settings::firmware().limited_to(14, PIECES), ""),
            (others, Settings::firmware().limited_to(15, PIECES), alone),
            (
                chrome,
                Settings::firmware().limited_to(9, PIECES),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits=9",
            ),
            (chrome, server, &keeps(12)),
            (chrome, server.limited_to(15, PIECES), &keeps(12)),
            (chrome, server.limited_to(9, WHOLE), &keeps(9)),
            // Nobody is asked for a window of 8 ...
            (chrome, server.limited_to(8, WHOLE), keeps_none),
            (chrome, server.limited_to(8, PIECES), ""),
            // ... but one that is offered is kept.
            ("permessage-deflate; client_max_window_bits=8", server.limited_to(8, WHOLE), &keeps(8)),
            ("permessage-deflate; client_max_window_bits=8", server.limited_to(8, PIECES), &keeps(8)),
            ("permessage-deflate; client_max_window_bits=9", server.limited_to(8, PIECES), ""),
            (others, server, keeps_none),
            (others, server.limited_to(15, PIECES), ""),
            // The first that can be kept.
            (
                "permessage-deflate, permessage-deflate; client_max_window_bits",
                server.limited_to(15, PIECES),
                &keeps(12),
            ),
        ] {
            assert_eq!(answer(&[offer], settings), expected, "{offer} {settings:?}");
        }
    }

    /// Proves: Z9.
    #[test]
    fn a_client_offers_what_it_can_receive() {
        for (settings, expected) in [
            (Settings::client(), "permessage-deflate; client_max_window_bits"),
            (Settings::client().send_window_bits(9), "permessage-deflate; client_max_window_bits=9"),
            (
                Settings::client().limited_to(10, WHOLE),
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits, \
                 permessage-deflate; server_no_context_takeover; client_max_window_bits",
            ),
            (
                Settings::client().limited_to(10, PIECES),
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
            ),
            (
                Settings::firmware().limited_to(10, PIECES),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10; client_max_window_bits",
            ),
            (
                Settings::firmware().limited_to(0, WHOLE),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits",
            ),
            (
                Settings::client().limited_to(8, WHOLE),
                "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            ),
            (Settings::client().limited_to(8, PIECES), ""),
            (Settings::firmware().limited_to(0, PIECES), ""),
            (
                Settings::server().send_takeover(false),
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; \
                 client_max_window_bits=12, permessage-deflate; server_no_context_takeover; \
                 client_no_context_takeover; client_max_window_bits=12",
            ),
        ] {
            assert_eq!(offer(settings), expected);
        }
    }

    /// Proves: Z5, Z6, Z7, Z10, Z12, Z13, Z14.
    #[test]
    fn a_client_takes_an_answer_to_its_offers_only() {
        let large = Settings::client();
        let limited = large.limited_to(10, WHOLE);
        let pieces = large.limited_to(10, PIECES);
        let firmware = Settings::firmware().limited_to(0, WHOLE);
        let invalid = Err(ResponseError::Invalid(EXTENSIONS));
        let unoffered = Err(ResponseError::Unoffered(EXTENSIONS));
        let duplicate = Err(ResponseError::Duplicate(EXTENSIONS));
        let agreed = |server, client, bits| Ok(Some(parameters((server, client), bits)));
        let deflate = "permessage-deflate";
        for (settings, values, expected) in [
            (large, &[][..], Ok(None)),
            (large, &[""], invalid),
            (large, &[deflate], agreed(true, true, (15, 15))),
            (large, &["permessage-deflate;client_max_window_bits=\"8\""], agreed(true, true, (15, 8))),
            (
                large,
                &["permessage-deflate; client_no_context_takeover; server_max_window_bits=8"],
                agreed(true, false, (8, 15)),
            ),
            (large, &["permessage-deflate; server_no_context_takeover"], agreed(false, true, (15, 15))),
            (large, &["permessage-deflate; client_max_window_bits"], invalid),
            (large, &["permessage-deflate; server_max_window_bits"], invalid),
            (large, &["permessage-deflate; server_max_window_bits=08"], invalid),
            (large, &["permessage-deflate; server_max_window_bits=16"], invalid),
            (large, &["permessage-deflate; server_no_context_takeover=1"], invalid),
            (large, &["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], invalid),
            (large, &["permessage-deflate; x"], invalid),
            (large, &["permessage-deflate;"], invalid),
            (large, &["permessage-deflate a"], invalid),
            (large, &["Permessage-Deflate"], unoffered),
            (large, &["x-webkit-deflate-frame"], unoffered),
            (large, &["permessage-deflate, mux"], unoffered),
            (large, &["mux", deflate], unoffered),
            (large, &["permessage-deflate, permessage-deflate"], duplicate),
            (large, &[deflate, deflate], duplicate),
            // No more than the client has offered.
            (large.send_window_bits(9), &["permessage-deflate; client_max_window_bits=10"], invalid),
            (large.send_window_bits(9), &[deflate], agreed(true, true, (15, 9))),
            (limited, &[deflate], invalid),
            (limited, &["permessage-deflate; server_max_window_bits=11"], invalid),
            (limited, &["permessage-deflate; server_max_window_bits=10"], agreed(true, true, (10, 15))),
            (limited, &["permessage-deflate; server_max_window_bits=8"], agreed(true, true, (8, 15))),
            (limited, &["permessage-deflate; server_no_context_takeover"], agreed(false, true, (15, 15))),
            (pieces, &["permessage-deflate; server_no_context_takeover"], invalid),
            (
                pieces,
                &["permessage-deflate; server_no_context_takeover; server_max_window_bits=9"],
                agreed(false, true, (9, 15)),
            ),
            (firmware, &[deflate], invalid),
            // The client keeps to what it has announced, whether it is echoed or not.
            (firmware, &["permessage-deflate; server_no_context_takeover"], agreed(false, false, (15, 15))),
            // It has asked for no window of 8.
            (large.limited_to(8, WHOLE), &["permessage-deflate; server_max_window_bits=8"], invalid),
            // It has offered nothing.
            (large.limited_to(8, PIECES), &["permessage-deflate; server_max_window_bits=8"], unoffered),
        ] {
            let verdict = check(values.iter().map(|value| value.as_bytes()), &settings);
            assert_eq!(verdict, expected, "{values:?} {settings:?}");
        }
    }

    /// The parameters of Autobahn's groups 12 and 13, from both ends.
    #[test]
    fn the_offers_of_autobahn_are_accepted() {
        for (offers, expected) in [
            ("permessage-deflate; client_max_window_bits", ""),
            (
                "permessage-deflate; client_no_context_takeover; client_max_window_bits",
                "; client_no_context_takeover",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_max_window_bits",
                "; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=8",
                "; server_max_window_bits=8",
            ),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
                "; server_max_window_bits=9",
            ),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=15",
                "; server_max_window_bits=15",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=8",
                "; server_no_context_takeover; server_max_window_bits=8",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=8, \
                 permessage-deflate; server_no_context_takeover; client_max_window_bits, \
                 permessage-deflate; client_max_window_bits",
                "; server_no_context_takeover; server_max_window_bits=8",
            ),
        ] {
            let expected = std::format!("permessage-deflate{expected}");
            assert_eq!(answer(&[offers], Settings::client()), expected, "{offers}");
        }
    }

    #[test]
    fn a_window_outside_9_to_15_becomes_the_nearest() {
        let bits = |bits| {
            let settings = Settings::client().send_window_bits(bits).receive_window_bits(bits);
            (settings.send_window_bits, settings.receive_window_bits)
        };
        assert_eq!([0, 8, 9, 12, 15, 16, 255].map(bits), [9, 9, 9, 12, 15, 15, 15].map(|bits| (bits, bits)));
    }

    /// Proves: Z8.
    #[test]
    fn the_machine_answers_in_its_response() {
        let response = |settings, headers: &str, accepts: bool| {
            let head = std::format!(
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{headers}\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            let mut handshake = Handshake::head(ServerOpening::new(Negotiator::new(settings)));
            let mut inbox = heapless::Vec::<u8, 1024>::new();
            let read = handshake.read(head.as_bytes(), &mut inbox, &Config::default());
            assert!(matches!(read, Ok(Some((Outcome::Request, _)))), "{read:?}");
            let accept = crate::Request::new(&inbox, *handshake.request().unwrap()).accept();
            if !accepts {
                handshake.decline();
            }
            let negotiation = handshake.negotiation().unwrap();
            let mut full = heapless::Vec::<u8, 180>::new();
            assert!(accept.append(negotiation, &mut full).is_err() == (accepts && !headers.is_empty()));
            let mut outbox = heapless::Vec::<u8, 1024>::new();
            let agreed = accept.append(negotiation, &mut outbox).unwrap();
            let response = String::from_utf8(outbox.to_vec()).unwrap();
            (agreed, response.split_once("xOo=\r\n").unwrap().1.to_string())
        };
        let headers = "Sec-WebSocket-Extensions: mux\r\nsec-websocket-extensions: permessage-deflate; x,\
            permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        assert_eq!(
            response(Settings::server(), headers, true),
            (
                Some(parameters((true, true), (12, 12))),
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; \
                 client_max_window_bits=12\r\n\r\n"
                    .to_string()
            )
        );
        assert_eq!(response(Settings::server(), headers, false), (None, "\r\n".to_string()));
        assert_eq!(response(Settings::server(), "", true), (None, "\r\n".to_string()));
    }

    /// Proves: Z5, Z9.
    #[test]
    fn the_machine_offers_in_its_request_and_reads_the_answer() {
        let connect = |settings, answer: &str| {
            let mut outbox = heapless::Vec::<u8, 1024>::new();
            let (connect, mut rng) = (Connect::new("a", "/").protocol("b"), rand::rng());
            let mut full = heapless::Vec::<u8, 160>::new();
            assert!(connect.append(Negotiator::new(settings), &mut rng, &mut full).is_err());
            let opening = connect.append(Negotiator::new(settings), &mut rng, &mut outbox).unwrap();
            let request = String::from_utf8(outbox.to_vec()).unwrap();
            let key = request.split_once("Key: ").unwrap().1.get(..24).unwrap();
            let accept = crate::handshake::accept_value(key.as_bytes().first_chunk().unwrap());
            let response = std::format!(
                "HTTP/1.1 101 a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
                 {answer}\r\n",
                core::str::from_utf8(&accept).unwrap()
            );
            let mut handshake = Handshake::head(opening);
            let mut inbox = heapless::Vec::<u8, 1024>::new();
            let read = handshake.read(response.as_bytes(), &mut inbox, &Config::default());
            let agreed = read.map(|read| {
                assert!(matches!(read, Some((Outcome::Open(_), _))), "{read:?}");
                handshake.negotiation().unwrap().agreed()
            });
            (request.split_once(key).unwrap().1.to_string(), agreed)
        };
        let settings = Settings::client().limited_to(10, WHOLE);
        let header = "sec-websocket-extensions: permessage-deflate; server_max_window_bits=9\r\n";
        let offers = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10; \
            client_max_window_bits, permessage-deflate; server_no_context_takeover; \
            client_max_window_bits\r\nSec-WebSocket-Protocol: b\r\n\r\n";
        let agreed = Some(parameters((true, true), (9, 15)));
        assert_eq!(connect(settings, header), (offers.to_string(), Ok(agreed)));
        assert_eq!(connect(settings, ""), (offers.to_string(), Ok(None)));
        for (answer, error) in [
            ("sec-websocket-extensions: permessage-deflate\r\n", ResponseError::Invalid(EXTENSIONS)),
            ("sec-websocket-extensions: mux\r\n", ResponseError::Unoffered(EXTENSIONS)),
            (&header.repeat(2), ResponseError::Duplicate(EXTENSIONS)),
        ] {
            assert_eq!(connect(settings, answer).1, Err(error));
        }
    }

    #[test]
    fn heads_of_other_software_are_checked_by_the_same_rules() {
        let request: &[(&str, &[u8])] = &[
            ("host", b"a"),
            ("upgrade", b"websocket"),
            ("connection", b"Upgrade"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", b"13"),
            ("sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        ];
        let (accept, answer) = check_request(request.iter().copied(), &Settings::server()).unwrap();
        let value = answer.unwrap().to_string();
        let accept = accept.value();
        let response: &[(&str, &[u8])] = &[
            ("upgrade", b"websocket"),
            ("connection", b"Upgrade"),
            ("sec-websocket-accept", accept.as_bytes()),
            ("sec-websocket-extensions", value.as_bytes()),
        ];
        let check = |settings: &Settings| {
            let (key, connect) = ("dGhlIHNhbXBsZSBub25jZQ==", Connect::new("a", "/"));
            check_response(response.iter().copied(), key, &connect, settings).map(|(_, agreed)| agreed)
        };
        assert_eq!(check(&Settings::client()), Ok(Some(answer.unwrap().parameters())));
        assert_eq!(check(&Settings::firmware()), Err(ResponseError::Invalid(EXTENSIONS)));
    }

    /// Proves: H7.
    #[test]
    fn an_extended_connect_negotiates_by_the_same_rules() {
        let request = [
            ("sec-websocket-version", &b"13"[..]),
            ("sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        ];
        let (_, answer) = check_connect(request, &Settings::server()).unwrap();
        let value = answer.unwrap().to_string();
        let response = [("sec-websocket-extensions", value.as_bytes())];
        let check = |settings: &Settings| {
            check_connect_response(200, response, &Connect::new("a", "/"), settings).map(|(_, agreed)| agreed)
        };
        assert_eq!(check(&Settings::client()), Ok(Some(answer.unwrap().parameters())));
        assert_eq!(check(&Settings::firmware()), Err(ResponseError::Invalid(EXTENSIONS)));
    }

    /// Settings of any kind, with any memory.
    fn settings() -> impl Strategy<Value = Settings> {
        let memory = prop_oneof![Just(0_u8), 8..=15_u8];
        (any::<(bool, bool, bool)>(), 9..=15_u8, 9..=15_u8, memory).prop_map(
            |((send, receive, pieces), send_bits, receive_bits, memory)| {
                Settings::firmware()
                    .send_takeover(send)
                    .receive_takeover(receive)
                    .send_window_bits(send_bits)
                    .receive_window_bits(receive_bits)
                    .limited_to(memory, if pieces { PIECES } else { WHOLE })
            },
        )
    }

    /// Whether an endpoint with these settings can receive messages so compressed.
    fn can_receive(settings: &Settings, takeover: bool, window_bits: u8) -> bool {
        let needs_memory = takeover || settings.pieces;
        (settings.receive_takeover || !takeover)
            && (!needs_memory || window_bits <= settings.receive_window_bits)
    }

    /// Bytes that look like the header's value.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("permessage-deflate"),
            Just("server_no_context_takeover"),
            Just("client_no_context_takeover"),
            Just("server_max_window_bits"),
            Just("client_max_window_bits"),
            Just("server_"),
            Just("="),
            Just("; "),
            Just(", "),
            Just("\""),
            Just("\\"),
            Just("8"),
            Just("15"),
            Just("é"),
        ];
        let parts = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes());
        prop_oneof![parts, prop::collection::vec(any::<u8>(), 0..40)]
    }

    proptest! {
        /// Proves: Z4, Z9, Z13, Z14.
        #[test]
        fn what_the_server_accepts_is_the_same_for_the_client(client in settings(), server in settings()) {
            let offers = Offers::new(&client).map(|offers| offers.to_string());
            let offered = offers.as_deref().unwrap_or_default();
            if let Some(answer) = negotiate([offered.as_bytes()], &server) {
                let agreed = answer.parameters();
                prop_assert_eq!(check([answer.to_string().as_bytes()], &client), Ok(Some(agreed)));
                prop_assert!(can_receive(&server, agreed.client_takeover, agreed.client_window_bits));
                prop_assert!(can_receive(&client, agreed.server_takeover, agreed.server_window_bits));
                prop_assert!(client.send_takeover || !agreed.client_takeover);
                prop_assert!(server.send_takeover || !agreed.server_takeover);
                prop_assert!((9..=client.send_window_bits).contains(&agreed.client_window_bits));
                prop_assert!((9..=server.send_window_bits).contains(&agreed.server_window_bits));
            } else {
                // A server that delivers whole messages needs no memory.
                prop_assert!(offers.is_none() || server.pieces);
            }
        }

        #[test]
        fn any_value_is_read_without_a_panic(
            values in prop::collection::vec(value(), 0..4),
            settings in settings(),
        ) {
            let slices = || values.iter().map(|value| &value[..]);
            if let Some(answer) = negotiate(slices(), &settings) {
                prop_assert!(head::are_extensions(answer.to_string().as_bytes()));
            }
            let _ = check(slices(), &settings);
        }

        #[test]
        fn an_element_that_is_written_is_read_back(
            server in (any::<bool>(), 7..=15_u8),
            client in (any::<bool>(), 7..=15_u8),
        ) {
            let bits = |bits: u8| if bits < 8 { Value::ABSENT } else { Value(bits) };
            let client_bits = if bits(client.1) == Value::ABSENT { Value::EMPTY } else { bits(client.1) };
            let flags = [server.0, client.0].map(Value::flag);
            let element = Element([flags[0], flags[1], bits(server.1), client_bits]);
            let mut text = AnswerText::new();
            element.write(&mut text);
            let written = String::from_utf8(text.to_vec()).unwrap();
            prop_assert!(head::are_extensions(written.as_bytes()));
            let parameters = parameters_of(written.as_bytes());
            prop_assert_eq!(parameters.and_then(Element::parse), Some(element));
        }
    }
}
