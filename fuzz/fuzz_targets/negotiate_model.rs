//! Proves that a server accepts the first offer of permessage-deflate that is valid and within its
//! settings, and answers as RFC 7692 section 7.1 allows; that a client takes an answer exactly if it
//! fits one of its offers; and that both then have the same parameters, also through the machine.
#![no_main]

use sansocket::deflate::{self, Offers, Parameters, Settings};
use sansocket::{Config, Connect, Delivery, Event, ResponseError, WebSocket};
use sansocket_fuzz::{Choices, rng};

// The settings of a server and of a client, five bytes each, and values of the header with their
// lengths before them. A byte of a value is a part of one, or, from 0x80 on, a character.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (server, client) = (End::choose(&mut choices), End::choose(&mut choices));
    let mut values = Vec::new();
    while !choices.is_empty() && values.len() < 4 {
        let value = choices.counted().iter().flat_map(|byte| match byte {
            0x80.. => vec![byte & 0x7F],
            part => PARTS[usize::from(*part) % PARTS.len()].into(),
        });
        values.push(value.collect::<Vec<u8>>());
    }
    server.check_as_server(&values);
    client.check_as_client(&values);
    meet(&server, &client);
});

const PARTS: [&[u8]; 22] = [
    b"permessage-deflate",
    b"; server_no_context_takeover",
    b"; client_no_context_takeover",
    b"; server_max_window_bits",
    b"; client_max_window_bits",
    b"permessage-deflate; client_max_window_bits",
    b", ",
    b"=",
    b"=8",
    b"=9",
    b"=10",
    b"=12",
    b"=15",
    b"=16",
    b"=\"1\\5\"",
    b"=08",
    b"; ",
    b" ",
    b"\"",
    b"Permessage-Deflate",
    b"x-other",
    b"; Server_Max_Window_Bits=11",
];

/// The settings of an endpoint, as they were chosen.
struct End {
    settings: Settings,
    send_takeover: bool,
    receive_takeover: bool,
    send_bits: u8,
    /// The largest window of the peer that is allowed and for which there is memory.
    memory_bits: u8,
    pieces: bool,
    /// The memory, in bytes.
    window: usize,
}

impl End {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let flags = choices.byte();
        let (send_takeover, receive_takeover, pieces) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let (send, receive) = (choices.byte() % 18, choices.byte() % 18);
        let window: usize = match choices.byte() % 9 {
            0 => 0,
            bits => 1 << (7 + bits),
        };
        let delivery = if pieces { Delivery::Pieces } else { Delivery::Whole };
        let bits = if window == 0 { 0 } else { window.ilog2() as u8 };
        let settings = Settings::firmware()
            .send_takeover(send_takeover)
            .receive_takeover(receive_takeover)
            .send_window_bits(send)
            .receive_window_bits(receive);
        Self {
            settings: settings.limited_to(bits, delivery),
            send_takeover,
            receive_takeover,
            send_bits: send.clamp(9, 15),
            memory_bits: receive.clamp(9, 15).min(bits),
            pieces,
            window,
        }
    }

    fn config(&self) -> Config {
        Config::new().delivery(if self.pieces { Delivery::Pieces } else { Delivery::Whole })
    }

    /// The window of a client that made this offer, if there is memory for it.
    fn kept(&self, offer: &Element) -> Option<u8> {
        let offered = offer.client_bits.flatten().unwrap_or(15);
        if offered <= self.memory_bits {
            return Some(offered);
        }
        // It is asked to reduce its window, but never to 8.
        (offer.client_bits.is_some() && self.memory_bits >= 9).then_some(self.memory_bits)
    }

    fn check_as_server(&self, values: &[Vec<u8>]) {
        let answer = deflate::negotiate(values.iter().map(|value| &value[..]), &self.settings);
        let offers = values.iter().filter_map(|value| parse(value)).flatten();
        let mut acceptable = offers
            .filter_map(|(name, parameters)| (name == NAME).then(|| Element::new(&parameters)).flatten())
            .filter(|offer| matches!(offer.server_bits, None | Some(Some(_))))
            .filter(|offer| !self.pieces || self.kept(offer).is_some());
        let Some(answer) = answer else { return assert_eq!(acceptable.next(), None, "it can be accepted") };
        let offer = acceptable.next().expect("an offer is accepted");
        let parameters = answer.parameters();
        let Parameters { server_takeover, client_takeover, server_window_bits, client_window_bits } =
            parameters;

        // 7.1.1: without takeover if it is asked for, or not wanted.
        assert_eq!(server_takeover, self.send_takeover && !offer.server_alone);
        let kept = self.kept(&offer);
        assert_eq!(client_takeover, self.receive_takeover && !offer.client_alone && kept.is_some());
        // 7.1.2: no larger than offered, than our settings, than the memory where it is needed.
        assert_eq!(server_window_bits, self.send_bits.min(offer.server_bits.flatten().unwrap_or(15)));
        let offered = offer.client_bits.flatten().unwrap_or(15);
        let needed = if client_takeover || self.pieces { kept } else { None };
        assert_eq!(client_window_bits, needed.unwrap_or(offered));

        let text = answer.to_string();
        let written = &parse(text.as_bytes()).unwrap()[..];
        let [(NAME, written)] = written else { panic!("{text}") };
        let written = Element::new(written).unwrap();
        assert_eq!(written.server_alone, !server_takeover, "{text}");
        assert_eq!(written.client_alone, !client_takeover, "{text}");
        assert_eq!(written.server_bits.map_or(Some(15), |bits| bits), Some(server_window_bits), "{text}");
        assert!(offer.server_bits.is_none() || written.server_bits.is_some(), "{text}");
        match written.client_bits {
            // What the client has offered holds.
            None => assert_eq!(client_window_bits, offered, "{text}"),
            Some(bits) => {
                assert_eq!(bits, Some(client_window_bits), "{text}");
                assert!(offer.client_bits.is_some(), "{text} was not offered");
            }
        }
    }

    fn check_as_client(&self, values: &[Vec<u8>]) {
        let checked = deflate::check(values.iter().map(|value| &value[..]), &self.settings);
        let offers = Offers::new(&self.settings).map_or(String::new(), |offers| offers.to_string());
        let offers: Vec<_> = parse(offers.as_bytes()).unwrap_or_default();
        let offers: Vec<_> = offers.iter().map(|(_, offer)| Element::new(offer).unwrap()).collect();
        assert!(offers.iter().all(|offer| offer.server_bits.is_none_or(|bits| bits >= Some(9))));

        let mut expected = Ok(None);
        let mut answers = 0;
        'values: for (at, value) in values.iter().enumerate() {
            if at > 0 {
                // One header at most (RFC 6455 section 11.3.2).
                expected = Err("Duplicate");
                break;
            }
            let Some(elements) = parse(value) else {
                expected = Err("Invalid");
                break;
            };
            for (name, parameters) in elements {
                if name != NAME || offers.is_empty() {
                    expected = Err("Unoffered");
                    break 'values;
                }
                answers += 1;
                let element = Element::new(&parameters)
                    .filter(|element| element.server_bits != Some(None) && element.client_bits != Some(None));
                let offer =
                    element.as_ref().and_then(|answer| offers.iter().find(|offer| answer.answers(offer)));
                expected = match (element, offer) {
                    _ if answers > 1 => Err("Duplicate"),
                    (Some(answer), Some(offer)) => Ok(Some(Parameters {
                        server_takeover: !answer.server_alone,
                        client_takeover: !answer.client_alone && !offer.client_alone,
                        server_window_bits: answer.server_bits.flatten().unwrap_or(15),
                        client_window_bits: answer
                            .client_bits
                            .flatten()
                            .unwrap_or(offer.client_bits.flatten().unwrap_or(15)),
                    })),
                    _ => Err("Invalid"),
                };
                if expected.is_err() {
                    break 'values;
                }
            }
        }
        let checked = checked.map_err(|error| match error {
            ResponseError::Invalid(_) => "Invalid",
            ResponseError::Unoffered(_) => "Unoffered",
            ResponseError::Duplicate(_) => "Duplicate",
            other => panic!("{other}"),
        });
        assert_eq!(checked, expected, "{offers:?} {values:?}");
        // There is memory for what is agreed.
        if let Ok(Some(parameters)) = checked {
            let needs_memory = parameters.server_takeover || self.pieces;
            assert!(!needs_memory || parameters.server_window_bits <= self.memory_bits);
            assert!(parameters.client_window_bits <= self.send_bits);
            assert!(self.send_takeover || !parameters.client_takeover);
            assert!(self.receive_takeover || !parameters.server_takeover);
        }
    }
}

const NAME: &str = "permessage-deflate";

/// The two meet, once by the functions and once in the machine.
fn meet(server: &End, client: &End) {
    let offers = Offers::new(&client.settings).map(|offers| offers.to_string());
    let answer = offers.as_ref().and_then(|offers| deflate::negotiate([offers.as_bytes()], &server.settings));
    let answered = answer.map(|answer| answer.to_string());
    let agreed = deflate::check(answered.iter().map(|answer| answer.as_bytes()), &client.settings);
    let parameters = answer.map(|answer| answer.parameters());
    assert_eq!(agreed, Ok(parameters), "{offers:?} {answered:?}");

    let window = |end: &End| vec![0; end.window].into_boxed_slice();
    let mut one = WebSocket::deflate_client(client.config(), rng(), client.settings, window(client));
    let mut other = WebSocket::deflate_server(server.config(), server.settings, window(server));
    let (mut request, mut response, mut inbox) = (Vec::new(), Vec::new(), Vec::new());
    one.connect(Connect::new("a", "/"), &mut request).unwrap();
    let mut input = &mut request[..];
    let Some(Event::Request(asked)) = other.receive(&mut input, &mut inbox) else { panic!() };
    assert_eq!(
        asked.header("Sec-WebSocket-Extensions").map(<[u8]>::to_vec),
        offers.map(|offers| offers.into_bytes())
    );
    other.accept(asked.accept(), &mut response).unwrap();
    let Some(Event::Open(open)) = other.receive(&mut input, &mut inbox) else { panic!() };
    assert_eq!(open.deflate(), parameters);
    let Some(Event::Open(open)) = one.receive(&mut &mut response[..], &mut inbox) else { panic!() };
    assert_eq!(open.deflate(), parameters);
    assert_eq!(
        open.header("Sec-WebSocket-Extensions").map(<[u8]>::to_vec),
        answered.map(|answer| answer.into_bytes())
    );
}

/// An offer or an answer.
#[derive(Debug, Default, PartialEq)]
struct Element {
    server_alone: bool,
    client_alone: bool,
    /// `Some(None)`: without a value.
    server_bits: Option<Option<u8>>,
    client_bits: Option<Option<u8>>,
}

impl Element {
    /// `None` if a parameter is unknown, repeated, or has an invalid value.
    fn new(parameters: &[(String, Option<String>)]) -> Option<Self> {
        let mut element = Self::default();
        for (name, value) in parameters {
            let bits = match value.as_deref() {
                None => None,
                Some(value) => Some((8..=15).find(|bits| value == format!("{bits}"))?),
            };
            let is_repeated = match &name[..] {
                "server_no_context_takeover" if bits.is_none() => {
                    std::mem::replace(&mut element.server_alone, true)
                }
                "client_no_context_takeover" if bits.is_none() => {
                    std::mem::replace(&mut element.client_alone, true)
                }
                "server_max_window_bits" => element.server_bits.replace(bits).is_some(),
                "client_max_window_bits" => element.client_bits.replace(bits).is_some(),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        Some(element)
    }

    /// Whether it is an answer to this offer (section 7.1).
    fn answers(&self, offer: &Self) -> bool {
        let at_most = |bits: Option<Option<u8>>, limit: Option<Option<u8>>| {
            bits.flatten().unwrap_or(15) <= limit.flatten().unwrap_or(15)
        };
        let client = self.client_bits.is_none()
            || offer.client_bits.is_some() && at_most(self.client_bits, offer.client_bits);
        (self.server_alone || !offer.server_alone) && at_most(self.server_bits, offer.server_bits) && client
    }
}

type Extension = (&'static str, Vec<(String, Option<String>)>);

/// The extensions in a value, with values without quotes; `None` if it does
/// not follow the grammar. Other names than that of permessage-deflate are `other`.
fn parse(value: &[u8]) -> Option<Vec<Extension>> {
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    let mut extensions = Vec::new();
    for element in text.split(',') {
        let element = element.trim_matches([' ', '\t']);
        if element.is_empty() {
            continue;
        }
        let mut parts = element.split(';').map(|part| part.trim_matches([' ', '\t']));
        let name = token(parts.next()?)?;
        let mut parameters = Vec::new();
        for part in parts {
            parameters.push(match part.split_once('=') {
                None => (token(part)?, None),
                Some((name, value)) => {
                    let (name, value) = (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
                    let value = match value.strip_prefix('"') {
                        None => token(value)?,
                        Some(quoted) => unquote(quoted)?,
                    };
                    (token(name)?, Some(value))
                }
            });
        }
        extensions.push((if name == NAME { NAME } else { "other" }, parameters));
    }
    (!extensions.is_empty()).then_some(extensions)
}

fn token(text: &str) -> Option<String> {
    let is_token = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
    (!text.is_empty() && text.chars().all(is_token)).then(|| text.into())
}

/// The token in a quoted string, after the first quotation mark.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return if chars.next().is_none() { token(&text) } else { None },
            '\\' => text.push(chars.next()?),
            _ => text.push(char),
        }
    }
    None
}
