//! Proves that what a server answers is what one of the client's offers allows and its settings
//! want, that a client accepts every answer to its own offers, and only answers to them, and that the
//! machine agrees to the same as the functions for other HTTP stacks.
#![no_main]

use sansocket::deflate::{self, Offers, Parameters, Settings};
use sansocket::{Config, Connect, ConnectError, Delivery, Error, Event, WebSocket};
use sansocket_fuzz::heads::{self, CLIENT_KEY};
use sansocket_fuzz::{Choices, rng};

// Two bytes for the settings of each endpoint, and flags; then the values of one or two headers, the
// first with its length before it. A value is text, or bytes that choose its parts.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (of_server, of_client) = (Wanted::read(&mut choices), Wanted::read(&mut choices));
    let flags = choices.byte();
    let values: Vec<Vec<u8>> = [choices.counted(), choices.0]
        .into_iter()
        .map(|value| if flags & 1 != 0 { value.to_vec() } else { written(value) })
        // So that a head with both is received.
        .map(|mut value| {
            value.truncate(usize::from(u16::MAX / 4));
            value
        })
        .collect();
    let values: Vec<&[u8]> =
        values.iter().take(1 + usize::from(flags >> 1 & 1)).map(|value| &value[..]).collect();

    answer(&of_server, flags & 4 != 0, &values);
    check(&of_client, &values);
    // The offers of one endpoint, and the answer of the other.
    let offers = Offers::new(&of_client.settings).unwrap().to_string();
    let answer = deflate::negotiate([offers.as_bytes()], &of_server.settings).expect("an offer is accepted");
    let agreed = deflate::check([answer.to_string().as_bytes()], &of_client.settings);
    let agreed = agreed.expect("the answer to an own offer").expect("an answer");
    // A client that has announced its limits keeps them.
    let Parameters { server_takeover, server_window_bits, client_takeover, client_window_bits } = agreed;
    let answered = answer.parameters();
    assert_eq!(
        (server_takeover, server_window_bits),
        (answered.server_takeover, answered.server_window_bits)
    );
    assert!(client_takeover == (answered.client_takeover && of_client.send_takeover));
    assert!(client_window_bits <= answered.client_window_bits.min(of_client.send_window_bits));
    of_client.assert_allows(&agreed, false);
    of_server.assert_allows(&agreed, true);
});

/// The settings, as they were made.
struct Wanted {
    settings: Settings,
    send_takeover: bool,
    receive_takeover: bool,
    send_window_bits: u8,
    receive_window_bits: u8,
}

impl Wanted {
    fn read(choices: &mut Choices<'_>) -> Self {
        let (flags, windows) = (choices.byte(), choices.byte());
        let (send_takeover, receive_takeover) = (flags & 1 != 0, flags & 2 != 0);
        let [send_window_bits, receive_window_bits] =
            [windows & 15, windows >> 4].map(|bits| bits.clamp(9, 15));
        let preset = match flags >> 2 & 3 {
            0 => Settings::server(),
            1 => Settings::client(),
            _ => Settings::firmware(),
        };
        let settings = preset
            .send_takeover(send_takeover)
            .receive_takeover(receive_takeover)
            .send_window_bits(windows & 15)
            .receive_window_bits(windows >> 4);
        Self { settings, send_takeover, receive_takeover, send_window_bits, receive_window_bits }
    }

    /// What is received needs no more memory than there is, and what is sent is not more than wanted.
    fn assert_allows(&self, agreed: &Parameters, is_server: bool) {
        let Parameters { server_takeover, client_takeover, server_window_bits, client_window_bits } = *agreed;
        let ((sends, send_bits), (receives, receive_bits)) = match is_server {
            true => ((server_takeover, server_window_bits), (client_takeover, client_window_bits)),
            false => ((client_takeover, client_window_bits), (server_takeover, server_window_bits)),
        };
        assert!(self.send_takeover || !sends);
        assert!(self.receive_takeover || !receives);
        assert!(send_bits <= self.send_window_bits);
        assert!(!receives || receive_bits <= self.receive_window_bits);
        assert!((8..=15).contains(&send_bits) && (8..=15).contains(&receive_bits));
    }
}

/// A value of likely parts.
fn written(choices: &[u8]) -> Vec<u8> {
    const PARTS: [&str; 16] = [
        "permessage-deflate",
        "; server_no_context_takeover",
        "; client_no_context_takeover",
        "; server_max_window_bits=",
        "; client_max_window_bits",
        "; client_max_window_bits=",
        ", ",
        "; ",
        "=",
        "\"",
        "x-webkit-deflate-frame",
        "\\",
        " ",
        "Permessage-Deflate;Server_Max_Window_Bits=",
        ",,",
        "permessage-deflate, permessage-deflate",
    ];
    let mut value = Vec::new();
    for choice in choices {
        match PARTS.get(usize::from(*choice)) {
            Some(part) => value.extend(part.bytes()),
            None if *choice < 0x80 => value.push(*choice),
            None => value.extend((choice & 31).to_string().bytes()),
        }
    }
    value
}

/// One element of a value: its name, and its parameters with their values. Only read where the
/// grammar is followed.
struct Element {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// Splits a value at a byte that is not quoted.
fn split(value: &str, at: char) -> Vec<String> {
    let (mut parts, mut is_quoted, mut is_escaped) = (vec![String::new()], false, false);
    for one in value.chars() {
        match one {
            _ if one == at && !is_quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = is_quoted && one == '\\' && !is_escaped;
        parts.last_mut().unwrap().push(one);
    }
    parts
}

fn elements(value: &[u8]) -> Vec<Element> {
    let Ok(value) = str::from_utf8(value) else { return Vec::new() };
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_ascii_lowercase();
    let mut elements = Vec::new();
    for element in split(value, ',') {
        let mut parts = split(&element, ';').into_iter();
        let name = trim(&parts.next().unwrap());
        let parameters = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (trim(name), Some(trim(value).replace(['"', '\\'], ""))),
            None => (trim(&part), None),
        });
        let parameters = parameters.collect();
        if !name.is_empty() {
            elements.push(Element { name, parameters });
        }
    }
    elements
}

impl Element {
    /// The parameters of an offer or answer: whether `server_no_context_takeover` and
    /// `client_no_context_takeover` are there, and the limits. `None` if one breaks a rule.
    #[allow(clippy::type_complexity)]
    fn read(&self) -> Option<(bool, bool, Option<u8>, Option<Option<u8>>)> {
        let mut read = (false, false, None, None);
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            if self.parameters[..at].iter().any(|(other, _)| other == name) {
                return None;
            }
            let bits = || (8..=15_u8).find(|bits| value.as_deref() == Some(&bits.to_string()));
            match (&name[..], value) {
                ("server_no_context_takeover", None) => read.0 = true,
                ("client_no_context_takeover", None) => read.1 = true,
                ("server_max_window_bits", Some(_)) => read.2 = Some(bits()?),
                ("client_max_window_bits", None) => read.3 = Some(None),
                ("client_max_window_bits", Some(_)) => read.3 = Some(Some(bits()?)),
                _ => return None,
            }
        }
        (self.name == "permessage-deflate").then_some(read)
    }

    /// Whether a server can agree to this after this offer.
    fn allows(&self, agreed: &Parameters) -> bool {
        let Some((server_alone, client_alone, server_limit, client_limit)) = self.read() else {
            return false;
        };
        !(server_alone && agreed.server_takeover)
            && !(client_alone && agreed.client_takeover)
            && agreed.server_window_bits <= server_limit.unwrap_or(15)
            && match client_limit {
                None => agreed.client_window_bits == 15,
                Some(limit) => agreed.client_window_bits <= limit.unwrap_or(15),
            }
    }
}

fn can_be_in_a_head(value: &[u8]) -> bool {
    value.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t')
}

/// A server's answer to these values.
fn answer(wanted: &Wanted, declines: bool, values: &[&[u8]]) {
    let answer = deflate::negotiate(values.iter().copied(), &wanted.settings);
    let offers: Vec<_> = values.iter().flat_map(|value| elements(value)).collect();
    if let Some(answer) = &answer {
        let agreed = answer.parameters();
        wanted.assert_allows(&agreed, true);
        assert!(offers.iter().any(|offer| offer.allows(&agreed)), "{answer}");
        // The text says the same.
        let text = elements(answer.to_string().as_bytes());
        let [element] = &text[..] else { panic!("{answer}") };
        let (server_alone, client_alone, server_limit, client_limit) = element.read().expect("valid");
        let limit = client_limit.map_or(15, |limit| limit.expect("a value"));
        assert_eq!((!server_alone, !client_alone), (agreed.server_takeover, agreed.client_takeover));
        assert_eq!(
            (server_limit.unwrap_or(15), limit),
            (agreed.server_window_bits, agreed.client_window_bits)
        );
    }
    if !values.iter().all(|value| can_be_in_a_head(value)) {
        return;
    }
    let mut head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {CLIENT_KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for value in values {
        head += &format!("Sec-WebSocket-Extensions: {}\r\n", str::from_utf8(value).unwrap());
    }
    head += "\r\n";
    let config = Config::default().max_head(u16::MAX);
    let mut ws = WebSocket::deflate_server(config, wanted.settings, Vec::new());
    let (mut head, mut inbox, mut outbox) = (head.into_bytes(), Vec::new(), Vec::new());
    let mut input = &mut head[..];
    let mut headers = vec![
        ("Host", &b"a"[..]),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", CLIENT_KEY.as_bytes()),
        ("Sec-WebSocket-Version", b"13"),
    ];
    headers.extend(values.iter().map(|value| ("Sec-WebSocket-Extensions", *value)));
    let checked = deflate::check_request(headers.iter().copied(), &wanted.settings);
    // An extended CONNECT has the last of them.
    let connected = deflate::check_connect(headers[4..].iter().copied(), &wanted.settings);
    assert_eq!(connected.map(|(_, answer)| answer), checked.map(|(_, answer)| answer));
    // Or the values are no list of extensions.
    let Some(Event::Request(request)) = ws.receive(&mut input, &mut inbox) else {
        return assert!(checked.is_err());
    };
    let accept = request.accept();
    assert_eq!(checked.expect("a request").1, answer);
    let answer = answer.filter(|_| !declines);
    if declines {
        ws.decline_deflate();
    }
    ws.accept(accept, &mut outbox).unwrap();
    let Some(Event::Open(open)) = ws.receive(&mut input, &mut inbox) else { panic!("not open") };
    assert_eq!(open.deflate(), answer.map(|answer| answer.parameters()));
    let line = answer.map(|answer| format!("\r\nSec-WebSocket-Extensions: {answer}\r\n"));
    let response = String::from_utf8(outbox).unwrap();
    match line {
        Some(line) => assert!(response.contains(&line)),
        None => assert!(!response.to_ascii_lowercase().contains("extensions")),
    }
}

/// What a client makes of these values in a response.
fn check(wanted: &Wanted, values: &[&[u8]]) {
    let checked = deflate::check(values.iter().copied(), &wanted.settings);
    if let Ok(Some(agreed)) = &checked {
        wanted.assert_allows(agreed, false);
        let answers: Vec<_> = values.iter().flat_map(|value| elements(value)).collect();
        let [answer] = &answers[..] else { panic!("{} answers", answers.len()) };
        let (server_alone, client_alone, server_limit, client_limit) = answer.read().expect("valid");
        assert_eq!(agreed.server_takeover, !server_alone);
        assert_eq!(agreed.server_window_bits, server_limit.unwrap_or(15));
        assert!(!(client_alone && agreed.client_takeover));
        assert!(agreed.client_window_bits <= client_limit.map_or(15, |limit| limit.expect("a value")));
    }
    if !values.iter().all(|value| can_be_in_a_head(value)) {
        return;
    }
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        heads::accept_of(CLIENT_KEY)
    );
    for value in values {
        head += &format!("Sec-WebSocket-Extensions: {}\r\n", str::from_utf8(value).unwrap());
    }
    head += "\r\n";
    let config = Config::default().max_head(u16::MAX).delivery(Delivery::Whole);
    let mut ws = WebSocket::deflate_client(config, rng(), wanted.settings, Vec::new());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    ws.connect(Connect::new("a", "/"), &mut outbox).unwrap();
    assert_eq!(ws.connect(Connect::new("a", "/"), &mut outbox), Err(ConnectError::AlreadySent));
    let offers = format!("\r\nSec-WebSocket-Extensions: {}\r\n", Offers::new(&wanted.settings).unwrap());
    assert!(String::from_utf8(outbox).unwrap().contains(&offers));
    let accept = heads::accept_of(CLIENT_KEY);
    let mut headers = vec![
        ("Upgrade", &b"websocket"[..]),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Accept", accept.as_bytes()),
    ];
    headers.extend(values.iter().map(|value| ("Sec-WebSocket-Extensions", *value)));
    let (connect, settings) = (Connect::new("a", "/"), &wanted.settings);
    let by_other = deflate::check_response(headers.iter().copied(), CLIENT_KEY, &connect, settings);
    assert_eq!(by_other.map(|(_, agreed)| agreed), checked);
    let connected = deflate::check_connect_response(200, headers[3..].iter().copied(), &connect, settings);
    assert_eq!(connected, by_other);
    let mut head = head.into_bytes();
    match (ws.receive(&mut &mut head[..], &mut inbox), checked) {
        (Some(Event::Open(open)), Ok(agreed)) => assert_eq!(open.deflate(), agreed),
        (Some(Event::Error(Error::Response(error))), Err(expected)) => assert_eq!(error, expected),
        (event, checked) => panic!("{event:?} {checked:?}"),
    }
}
