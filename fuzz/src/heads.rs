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
    "HEAD",
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

/// A head as a lenient client reads it: lines end with LF, and fields that cannot be read are left
/// out.
#[derive(Debug)]
pub struct Lenient {
    pub status: String,
    /// The length of its first line.
    pub first: usize,
    /// Without folded headers.
    pub fields: Fields,
    /// With the first line of each folded header: its other lines may not fit into an inbox.
    pub all: Fields,
    /// Its length with the empty line; `None` if it is not complete.
    pub len: Option<usize>,
}

/// Names and values.
pub type Fields = Vec<(String, Vec<u8>)>;

impl Lenient {
    pub fn read(bytes: &[u8]) -> Self {
        let mut head =
            Self { status: String::new(), first: 0, fields: Vec::new(), all: Vec::new(), len: None };
        let (mut at, mut before) = (0, None);
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            at += line.len();
            let Some(text) = line.strip_suffix(b"\n") else { break };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if head.first == 0 {
                head.first = line.len();
                let parts = String::from_utf8_lossy(text);
                head.status = parts.split(' ').nth(1).unwrap_or("").into();
            } else if text.is_empty() {
                head.len = Some(at);
                break;
            } else {
                if text.starts_with(b" ") || text.starts_with(b"\t") {
                    before = None;
                }
                head.fields.extend(std::mem::replace(&mut before, field(text)));
                head.all.extend(before.clone());
            }
        }
        head.fields.extend(before);
        head
    }

    /// The length of the longest first line of complete heads.
    pub fn longest_first(mut bytes: &[u8]) -> usize {
        let mut longest = 0;
        while let Self { first, len: Some(len), .. } = Self::read(bytes) {
            longest = longest.max(first);
            bytes = &bytes[len..];
        }
        longest
    }

    /// The final head after interim ones, and where it begins.
    pub fn read_final(bytes: &[u8]) -> (Self, usize) {
        let mut start = 0;
        loop {
            let head = Self::read(&bytes[start..]);
            let interim = head.status.starts_with('1') && head.status != "101";
            match head.len {
                Some(len) if interim => start += len,
                _ => return (head, start),
            }
        }
    }
}

/// Whether a response before one with status 101 has a line that only a lenient client reads.
pub fn has_odd_line(mut bytes: &[u8]) -> bool {
    loop {
        let head = Lenient::read(bytes);
        if head.first == 0 || head.status == "101" {
            return false;
        }
        let (lines, rest) = bytes.split_at(head.len.unwrap_or(bytes.len()));
        let (first, headers) = lines.split_at(head.first);
        if !is_strict(first, true)
            || headers.split_inclusive(|&byte| byte == b'\n').any(|line| !is_strict(line, false))
        {
            return true;
        }
        if head.len.is_none() || !head.status.starts_with('1') {
            return false;
        }
        bytes = rest;
    }
}

/// Whether it is a line of a strict head, or the beginning of one.
fn is_strict(line: &[u8], is_first: bool) -> bool {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let is_text = text.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F);
    let colon = text.iter().position(|&byte| byte == b':');
    let name = str::from_utf8(&text[..colon.unwrap_or(text.len())]).unwrap_or("");
    let is_complete = text.len() < line.len();
    is_text && (is_first || text.is_empty() || is_token(name) && (colon.is_some() || !is_complete))
}

/// The name and the value of a header line: the name is a token, with white space behind it, and
/// the value is text.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (str::from_utf8(&line[..colon]).ok()?, trim(&line[colon + 1..]));
    let name = name.trim_end_matches([' ', '\t']);
    let is_text = line[colon..].iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F);
    (is_token(name) && is_text).then(|| (name.to_owned(), value.to_vec()))
}

pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether `kept` are some of `all`, in their order.
pub fn are_among(kept: &Fields, all: &Fields) -> bool {
    let mut all = all.iter();
    kept.iter().all(|kept| all.any(|field| field == kept))
}

/// The fields with these names (in lower case).
pub fn named(fields: &Fields, names: &[&str]) -> Fields {
    fields.iter().filter(|(name, _)| names.contains(&&*name.to_ascii_lowercase())).cloned().collect()
}

/// The capacity in which a strict head must open: its first line, the lines with these names, one
/// other name, and the empty line.
pub fn needed(bytes: &[u8], names: &[&str]) -> usize {
    let (mut needed, mut longest) = (2, 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line.iter().position(|&byte| byte == b':') {
            Some(colon) if needed > 2 && is_other(&line[..colon], names) => {
                longest = longest.max(colon + 1);
            }
            _ => needed += line.len(),
        }
    }
    needed + longest
}

/// Whether it is a name, but none of these.
fn is_other(name: &[u8], names: &[&str]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    is_token(&name) && !names.contains(&&*name)
}

/// The headers of a request that RFC 6455 and HTTP have rules for.
pub const REQUEST_RULES: [&str; 10] = [
    "host",
    "origin",
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "content-length",
    "transfer-encoding",
];

/// Those of a response.
pub const RESPONSE_RULES: [&str; 5] =
    ["upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"];

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
    pub fields: Fields,
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
    Ok(Parsed { len: len(status), status: 0, fields: fields_of(request.headers) })
}

/// Reads a response with httparse.
pub fn parse_response(bytes: &[u8]) -> Result<Parsed, httparse::Error> {
    let bytes = lower_version(bytes, 0);
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut fields);
    let status = response.parse(&bytes)?;
    Ok(Parsed { len: len(status), status: response.code.unwrap_or(0), fields: fields_of(response.headers) })
}

fn len(status: httparse::Status<usize>) -> usize {
    match status {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => usize::MAX,
    }
}

fn fields_of(fields: &[httparse::Header<'_>]) -> Fields {
    owned(fields.iter().map(|field| (field.name, field.value)))
}

pub fn owned<'h>(fields: impl Iterator<Item = (&'h str, &'h [u8])>) -> Fields {
    fields.map(|(name, value)| (name.into(), value.into())).collect()
}

/// Checks a response that ends the connection: status, `Connection: close`, a `Content-Length` of
/// `len` if the status allows a body, and the headers that the status requires. Returns its head
/// and its body.
pub fn check_refusal(bytes: &[u8], status: u16, len: usize) -> (Head, &[u8]) {
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
        assert_eq!(head.values("content-length"), [len.to_string().as_bytes()]);
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
