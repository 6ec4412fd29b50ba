//! A naive reading of heads (RFC 9112), and what the conditions of RFC 6455 sections 4.1 and 4.2.1 say about one.

use crate::Choices;

/// Requests that ask for a WebSocket, but for the last one.
pub const REQUESTS: [&str; 4] = [
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET /chat?room=1 HTTP/1.1\r\nHost: a.example:8080\r\nOrigin: http://example.com\r\nUpgrade: websocket\r\n\
     Connection: keep-alive, Upgrade\r\nSec-WebSocket-Protocol: soap, chat\r\nSec-WebSocket-Protocol: v2\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15, x; y=\"z\"\r\nCookie: a=b\r\n\
     Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "\r\nGET ws://b.example/c HTTP/1.2\r\nhost: [::1]:80\r\nupgrade: h2c,WebSocket\r\nconnection:upgrade\r\n\
     content-length: 0\r\nsec-websocket-version:\t13\t\r\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /index.html HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
];

/// The `Sec-WebSocket-Key` that [`rng`](crate::rng) makes.
pub const CLIENT_KEY: &str = "RQE9uqHfVtmZ7bZFdnNgzQ==";

/// The `Sec-WebSocket-Accept` that answers a key, by another implementation.
pub fn accept_of(key: &str) -> String {
    tungstenite::handshake::derive_accept_key(key.as_bytes())
}

/// Responses to a request that offered `chat` and `v2`; the last ones refuse it.
pub fn responses(accept: &str) -> [String; 4] {
    let switching = |reason: &str, more: &str| {
        format!(
            "HTTP/1.1 101 {reason}\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    };
    [
        switching("Switching Protocols", ""),
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_owned()
            + &switching("", "Sec-WebSocket-Protocol: v2\r\nServer: b\r\n"),
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nbody".into(),
        switching("Switching", "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Protocol: other\r\n"),
    ]
}

/// What an edit can insert as a word.
const WORDS: [&str; 32] = [
    "\r\n",
    "\r\n\r\n",
    ", ",
    "HTTP/1.0",
    "HTTP/1.2 200 OK",
    "HTTP/1.1 100 \r\n\r\n",
    "HTTP/1.1 101 \r\n",
    "POST",
    "/x?y",
    "http://c",
    "\r\nHost: d",
    "\r\nUpgrade: ",
    "\r\nConnection: ",
    "\r\nSec-WebSocket-Key: ",
    "\r\nSec-WebSocket-Accept: ",
    "\r\nSec-WebSocket-Version: ",
    "\r\nSec-WebSocket-Protocol: ",
    "\r\nSec-WebSocket-Extensions: ",
    "\r\nTransfer-Encoding: ",
    "\r\nContent-Length: ",
    "websocket",
    "upgrade",
    "close",
    "chunked",
    "chat",
    "v2",
    "13",
    "0",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "a; b=\"c\"",
    "\t \t",
    ": ",
];

/// The template with edits: each is a place (two bytes), how many bytes to delete there (high nibble) and to insert (low
/// nibble; 14 for a word, which a byte chooses, 15 for all bytes that are left), and these.
pub fn edit(template: &str, mut choices: Choices<'_>) -> Vec<u8> {
    let mut octets = template.as_bytes().to_vec();
    while !choices.is_empty() {
        let place = u16::from_be_bytes([choices.byte(), choices.byte()]);
        let start = usize::from(place) % (octets.len() + 1);
        let counts = choices.byte();
        let end = (start + usize::from(counts >> 4)).min(octets.len());
        let inserted = match counts & 0xF {
            14 => WORDS[usize::from(choices.byte() % 32)].as_bytes(),
            15 => choices.slice(usize::MAX),
            len => choices.slice(len.into()),
        };
        octets.splice(start..end, inserted.iter().copied());
    }
    octets
}

/// A head without the lines that go on with the one before (obs-fold, RFC 9112 section 5.2).
pub fn without_folds(head: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    for end in (1..=head.len()).filter(|&end| head[..end].ends_with(b"\r\n")) {
        let line = &head[start..end];
        if !matches!(line, [b' ' | b'\t', ..]) {
            lines.push(line);
        }
        start = end;
    }
    lines.concat()
}

/// A head: its first line, and the names in lower case and the values of its fields.
#[derive(Debug)]
pub struct Head {
    pub first: String,
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads lines up to an empty one, or to the end; what is no field is left out. And whether the head is complete.
    pub fn read(octets: &[u8]) -> (Self, bool) {
        let octets = octets.strip_prefix(b"\r\n").unwrap_or(octets);
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
        let text = &octets[..end.unwrap_or(octets.len())];
        let mut lines = Vec::new();
        let mut start = 0;
        for at in 0..text.len() {
            if text[at..].starts_with(b"\r\n") {
                lines.push(&text[start..at]);
                start = at + 2;
            }
        }
        lines.push(&text[start.min(text.len())..]);
        let fields = lines[1..].iter().filter_map(|line| {
            let colon = line.iter().position(|&octet| octet == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, trim(&line[colon + 1..]).to_vec()))
        });
        (Self { first: String::from_utf8_lossy(lines[0]).into(), fields: fields.collect() }, end.is_some())
    }

    /// The values of the fields with this name, which is in lower case.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| &value[..]).collect()
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(|value| str::from_utf8(value).unwrap())
    }

    /// Whether a list, in one field or several, names `token`, which is in lower case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let values = self.values(name).join(&b',');
        values
            .split(|&octet| octet == b',')
            .any(|element| trim(element).to_ascii_lowercase() == token.as_bytes())
    }

    /// The `SP`-separated parts of the first line.
    pub fn parts(&self) -> Vec<&str> {
        self.first.split(' ').collect()
    }
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether a version is HTTP/1.1 or higher.
pub fn is_new_enough(version: &str) -> bool {
    let digits = version.strip_prefix("HTTP/").and_then(|digits| digits.parse::<f32>().ok());
    version.len() == 8 && digits.is_some_and(|version| version >= 1.1)
}

/// Whether a `Sec-WebSocket-Key` is 16 octets in base64.
pub fn is_key(value: &[u8]) -> bool {
    let digit = |octet: &u8| octet.is_ascii_alphanumeric() || b"+/".contains(octet);
    value.len() == 24 && value[..22].iter().all(digit) && value[22..] == *b"=="
}

/// The start of an HTTP message, as httparse reads it.
pub struct Parsed {
    pub len: usize,
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
}

/// httparse knows no version but 1.0 and 1.1: a higher one is lowered.
fn lower_version(octets: &[u8], start: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    if let Some(version) = octets.get_mut(start..start + 8) {
        version.copy_from_slice(b"HTTP/1.1");
    }
    octets
}

/// Reads a request with httparse.
pub fn parse_request(octets: &[u8]) -> Result<Parsed, httparse::Error> {
    let line = octets.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    let octets = lower_version(octets, line.saturating_sub(8));
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(&octets)?;
    Ok(Parsed { len: len(status), status: 0, fields: owned(request.headers) })
}

/// Reads a response with httparse.
pub fn parse_response(octets: &[u8]) -> Result<Parsed, httparse::Error> {
    let octets = lower_version(octets, 0);
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut fields);
    let status = response.parse(&octets)?;
    Ok(Parsed { len: len(status), status: response.code.unwrap_or(0), fields: owned(response.headers) })
}

fn len(status: httparse::Status<usize>) -> usize {
    match status {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => usize::MAX,
    }
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|field| (field.name.into(), field.value.into())).collect()
}

/// A response that ends the connection is complete: status, `Connection: close`, a `Content-Length` that is right where
/// the status allows a body, and what the status asks for. Returns its fields and its body.
pub fn check_refusal(octets: &[u8], status: u16) -> (Head, &[u8]) {
    let parsed = parse_response(octets).expect("httparse reads the refusal");
    assert_eq!(parsed.status, status);
    let (head, complete) = Head::read(octets);
    assert!(complete && head.first.starts_with(&format!("HTTP/1.1 {status} ")));
    assert_eq!(parsed.fields.len(), head.fields.len());
    assert!(head.lists("connection", "close"));
    let body = &octets[parsed.len..];
    if matches!(status, 204 | 304) {
        assert!(body.is_empty() && head.value("content-length").is_none());
    } else {
        assert_eq!(head.values("content-length"), [body.len().to_string().as_bytes()]);
    }
    if status == 405 {
        assert_eq!(head.value("allow"), Some("GET"));
    }
    if status == 426 {
        assert_eq!(head.value("upgrade"), Some("websocket"));
        assert_eq!(head.value("sec-websocket-version"), Some("13"));
    }
    (head, body)
}
