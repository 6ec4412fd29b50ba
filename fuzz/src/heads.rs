//! A naive parser of heads (RFC 9112), checks of RFC 6455 sections 4.1 and 4.2.1, and generators of
//! heads.

use crate::Choices;

/// Requests: three opening handshakes and one plain request.
pub const REQUESTS: [&str; 4] = [
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET /chat?room=1 HTTP/1.1\r\nHost: a.example:8080\r\nOrigin: http://example.com\r\n\
     Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Protocol: soap, chat\r\nSec-WebSocket-Protocol: v2\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15, x; y=\"z\"\r\nCookie: a=b\r\n\
     Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "\r\nGET ws://b.example/c HTTP/1.2\r\nhost: [::1]:80\r\nupgrade: h2c,WebSocket\r\nconnection:upgrade\r\n\
     content-length: 0\r\nsec-websocket-version:\t13\t\r\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /index.html HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
];

/// The `Sec-WebSocket-Key` that a client with [`rng`](crate::rng) sends.
pub const CLIENT_KEY: &str = "RQE9uqHfVtmZ7bZFdnNgzQ==";

/// The `Sec-WebSocket-Accept` for a key, computed by tungstenite.
pub fn accept_of(key: &str) -> String {
    tungstenite::handshake::derive_accept_key(key.as_bytes())
}

/// Responses to a request that offered `chat` and `v2`; the last two open no connection.
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

/// The words that an edit can insert.
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

/// Edits the template. Each edit is a position (two bytes), a byte of counts and the bytes to
/// insert. The high nibble counts the bytes to delete, the low nibble those to insert; 14 inserts a
/// word, chosen by one byte, and 15 all remaining bytes.
pub fn edit(template: &str, mut choices: Choices<'_>) -> Vec<u8> {
    let mut bytes = template.as_bytes().to_vec();
    while !choices.is_empty() {
        let place = u16::from_be_bytes([choices.byte(), choices.byte()]);
        let start = usize::from(place) % (bytes.len() + 1);
        let counts = choices.byte();
        let end = (start + usize::from(counts >> 4)).min(bytes.len());
        let inserted = match counts & 0xF {
            14 => WORDS[usize::from(choices.byte() % 32)].as_bytes(),
            15 => choices.slice(usize::MAX),
            len => choices.slice(len.into()),
        };
        bytes.splice(start..end, inserted.iter().copied());
    }
    bytes
}

/// A head without its continuation lines (obs-fold, RFC 9112 section 5.2).
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

/// A head: its first line, and its fields' names, in lower case, and values.
#[derive(Debug)]
pub struct Head {
    pub first: String,
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads lines up to an empty line or the end, and skips lines without a colon. Also returns
    /// whether the head is complete.
    pub fn read(bytes: &[u8]) -> (Self, bool) {
        let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let text = &bytes[..end.unwrap_or(bytes.len())];
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
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, trim(&line[colon + 1..]).to_vec()))
        });
        (Self { first: String::from_utf8_lossy(lines[0]).into(), fields: fields.collect() }, end.is_some())
    }

    /// The values of the fields with this name (in lower case).
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| &value[..]).collect()
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(|value| str::from_utf8(value).unwrap())
    }

    /// Whether a list, in one field or several, contains `token` (in lower case).
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let values = self.values(name).join(&b',');
        values
            .split(|&byte| byte == b',')
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

/// Whether the version is HTTP/1.1 or higher.
pub fn is_new_enough(version: &str) -> bool {
    let digits = version.strip_prefix("HTTP/").and_then(|digits| digits.parse::<f32>().ok());
    version.len() == 8 && digits.is_some_and(|version| version >= 1.1)
}

/// Whether a `Sec-WebSocket-Key` is 16 bytes in base64; the unused bits of the last character are
/// not checked.
pub fn is_key(value: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    value.len() == 24 && value[..22].iter().all(digit) && value[22..] == *b"=="
}

/// A head, as parsed by httparse.
pub struct Parsed {
    pub len: usize,
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
}

/// Replaces the version by HTTP/1.1: httparse accepts only 1.0 and 1.1.
fn lower_version(bytes: &[u8], start: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(version) = bytes.get_mut(start..start + 8) {
        version.copy_from_slice(b"HTTP/1.1");
    }
    bytes
}

/// Reads a request with httparse.
pub fn parse_request(bytes: &[u8]) -> Result<Parsed, httparse::Error> {
    let line = bytes.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    let bytes = lower_version(bytes, line.saturating_sub(8));
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(&bytes)?;
    Ok(Parsed { len: len(status), status: 0, fields: owned(request.headers) })
}

/// Reads a response with httparse.
pub fn parse_response(bytes: &[u8]) -> Result<Parsed, httparse::Error> {
    let bytes = lower_version(bytes, 0);
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut fields);
    let status = response.parse(&bytes)?;
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

/// Checks a response that ends the connection: status, `Connection: close`, the right
/// `Content-Length` if the status allows a body, and the headers that the status requires. Returns
/// its head and its body.
pub fn check_refusal(bytes: &[u8], status: u16) -> (Head, &[u8]) {
    let parsed = parse_response(bytes).expect("httparse reads the refusal");
    assert_eq!(parsed.status, status);
    let (head, complete) = Head::read(bytes);
    assert!(complete && head.first.starts_with(&format!("HTTP/1.1 {status} ")));
    assert_eq!(parsed.fields.len(), head.fields.len());
    assert!(head.lists("connection", "close"));
    let body = &bytes[parsed.len..];
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
