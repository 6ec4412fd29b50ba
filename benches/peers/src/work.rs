//! The work: the rows of the table, and their messages and frames, which are encoded and parsed
//! here, without any of the measured implementations.

use crate::wire::READ;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::Arc;

/// The role of the measured end: a server receives masked frames, a client sends them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Server,
    Client,
}

/// The content of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    Binary,
    /// Text in ASCII.
    Json,
    /// Text whose characters have two bytes each, except for spaces and punctuation.
    Greek,
}

/// A received message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub text: bool,
    pub payload: Vec<u8>,
}

/// The work of one row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Work {
    /// Messages of `len` bytes in `fragments` frames each, in reads of at most `read` bytes.
    Receive { role: Role, content: Content, len: usize, fragments: usize, read: usize },
    /// As a server, sends each message back.
    Echo { len: usize },
    /// Binary messages; a client masks them.
    Send { role: Role, len: usize },
    /// The server's side of the opening handshake.
    Accept,
    /// The client's side of it.
    Connect,
}

/// One row of the table.
pub struct Row {
    pub group: &'static str,
    pub name: String,
    pub work: Work,
    /// The ratio of uWebSockets' time to that of sockudo-ws's `Protocol`, if it was measured.
    pub uws: Option<f64>,
    /// Whether the row is in the short table.
    pub main: bool,
    /// Rows with the same value are run in the same rounds and compared with the first of them.
    pub beside: Option<String>,
}

fn size(len: usize) -> String {
    match len {
        0x400..0x10_0000 => format!("{} KiB", len / 1024),
        0x10_0000.. => format!("{} MiB", len >> 20),
        _ => format!("{len} B"),
    }
}

/// All rows.
pub fn rows() -> Vec<Row> {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let mut rows = Vec::new();
    let mut add =
        |group, name: String, work, uws, main| rows.push(Row { group, name, work, uws, main, beside: None });
    let whole = |role, content, len| Work::Receive { role, content, len, fragments: 1, read: READ };
    let sizes = [16, 125, KIB, 16 * KIB, 64 * KIB, MIB];
    for (len, uws) in sizes.into_iter().zip([Some(0.15), Some(0.32), Some(0.73), None, None, None]) {
        let name = format!("receive masked binary {}", size(len));
        add("receive", name, whole(Role::Server, Content::Binary, len), uws, len != 64 * KIB);
    }
    for (content, name, uws) in [(Content::Json, "JSON", Some(0.42)), (Content::Greek, "multi-byte", None)] {
        for len in [125, KIB, 16 * KIB] {
            let uws = uws.filter(|_| len == 125);
            let name = format!("receive masked {name} text {}", size(len));
            add("text", name, whole(Role::Server, content, len), uws, len != 16 * KIB);
        }
    }
    for (len, uws) in sizes.into_iter().zip([Some(0.13), Some(0.19), Some(0.46), None]) {
        let name = format!("receive unmasked binary {}", size(len));
        add("unmasked", name, whole(Role::Client, Content::Binary, len), uws, len == 125);
    }
    let work = Work::Receive {
        role: Role::Server,
        content: Content::Binary,
        len: 64 * KIB,
        fragments: 16,
        read: READ,
    };
    add("fragments", "receive 64 KiB in 16 fragments".into(), work, None, true);
    for (len, uws) in sizes.into_iter().zip([Some(0.19), Some(0.34), Some(0.74), None]) {
        add("echo", format!("echo {}", size(len)), Work::Echo { len }, uws, true);
    }
    for (len, uws) in sizes.into_iter().zip([Some(0.94), Some(0.97), Some(0.83), None, None, None]) {
        let work = Work::Send { role: Role::Server, len };
        add("send", format!("send unmasked {}", size(len)), work, uws, ![16 * KIB, MIB].contains(&len));
    }
    for len in [125, KIB, 16 * KIB] {
        let work = Work::Send { role: Role::Client, len };
        add("send masked", format!("send masked {}", size(len)), work, None, len != 16 * KIB);
    }
    add("handshake", "server handshake".into(), Work::Accept, None, true);
    add("handshake", "client handshake".into(), Work::Connect, None, true);
    let cut = [KIB, 16 * KIB, 64 * KIB, MIB].map(|len| (Content::Binary, "", len));
    for (content, suffix, len) in cut.into_iter().chain([(Content::Greek, " of multi-byte text", 16 * KIB)]) {
        for (read, cut) in [(READ, "64 KiB"), (16 * KIB, "16 KiB"), (1460, "1,460 B"), (64, "64 B")] {
            let work = Work::Receive { role: Role::Server, content, len, fragments: 1, read };
            let name = format!("receive {}{suffix} in reads of {cut}", size(len));
            let beside = Some(format!("{}{suffix}", size(len)));
            rows.push(Row { group: "cut", name, work, uws: None, main: false, beside });
        }
    }
    rows
}

/// The stream of a row, and the messages in it.
pub struct Stream {
    pub bytes: Arc<[u8]>,
    pub messages: Vec<Message>,
}

/// A payload of `len` bytes, different each time.
fn payload(rng: &mut StdRng, content: Content, len: usize) -> Vec<u8> {
    match content {
        Content::Binary => (0..len).map(|_| rng.random()).collect(),
        Content::Json => {
            let mut text = String::from("[");
            while text.len() < len {
                let (id, value): (u32, f32) = rng.random();
                text += &format!(
                    "{{\"id\":{id},\"name\":\"a sensor\",\"value\":{value},\"tags\":[\"a\",\"b\"]}},"
                );
            }
            text.into_bytes()[..len].to_vec()
        }
        Content::Greek => {
            let words = "Κόσμε, κάθε λέξη έχει τόνο. ";
            let skip = words.char_indices().nth(rng.random_range(0..20)).unwrap().0;
            let mut text = words[skip..].to_string() + &words.repeat(len / words.len() + 1);
            let end = (0..=len).rev().find(|&end| text.is_char_boundary(end)).unwrap();
            text.truncate(end);
            text.into_bytes()
        }
    }
}

impl Stream {
    /// The stream for a receiver of this role: whole messages in `amount` bytes, but at least one.
    pub fn new(role: Role, content: Content, len: usize, fragments: usize, amount: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(6455);
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        while bytes.is_empty() || bytes.len() + len <= amount {
            let payload = payload(&mut rng, content, len);
            let text = content != Content::Binary;
            for (i, part) in payload.chunks(len.div_ceil(fragments)).enumerate() {
                let opcode = if i > 0 {
                    0
                } else if text {
                    1
                } else {
                    2
                };
                let last = if i + 1 == fragments { 0x80 } else { 0 };
                let key = (role == Role::Server).then(|| rng.random());
                frame(&mut bytes, last | opcode, key, part);
            }
            messages.push(Message { text, payload });
        }
        Self { bytes: bytes.into(), messages }
    }
}

/// Appends a frame.
pub fn frame(bytes: &mut Vec<u8>, first: u8, key: Option<[u8; 4]>, payload: &[u8]) {
    let masked = if key.is_some() { 0x80 } else { 0 };
    bytes.push(first);
    match payload.len() {
        len @ 0..126 => bytes.push(masked | len as u8),
        len @ 126..0x1_0000 => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(masked | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Parses the messages that an endpoint of this role has sent: whole frames, masked as the role
/// requires.
pub fn messages(bytes: &[u8], role: Role) -> Result<Vec<Message>, String> {
    messages_with(bytes, role, |_| Err("a compressed message".into()))
}

/// The same; `inflate` decompresses the payload of a compressed message, which has one frame.
pub fn messages_with(
    mut bytes: &[u8],
    role: Role,
    mut inflate: impl FnMut(Vec<u8>) -> Result<Vec<u8>, String>,
) -> Result<Vec<Message>, String> {
    let mut messages: Vec<Message> = Vec::new();
    let mut whole = true;
    while let [first, second, rest @ ..] = bytes {
        let masked = second & 0x80 != 0;
        if masked != (role == Role::Client) {
            return Err(format!("a frame of a {role:?} is masked: {masked}"));
        }
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (len, rest) = rest.split_at_checked(extended).ok_or("a header ends too early")?;
        let len = match extended {
            0 => u64::from(second & 0x7F),
            _ => len.iter().fold(0, |len, &byte| len << 8 | u64::from(byte)),
        };
        let (key, rest) = rest.split_at_checked(if masked { 4 } else { 0 }).ok_or("no key")?;
        let (payload, rest) = rest.split_at_checked(len as usize).ok_or("a payload ends too early")?;
        let key = if masked { key } else { &[0; 4] };
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        match (first & 0x7F, whole) {
            (opcode @ (1 | 2), true) => {
                messages.push(Message { text: opcode == 1, payload: payload.collect() })
            }
            (opcode @ (0x41 | 0x42), true) if first & 0x80 != 0 => {
                messages.push(Message { text: opcode == 0x41, payload: inflate(payload.collect())? })
            }
            (0, false) => messages.last_mut().unwrap().payload.extend(payload),
            (first, _) => return Err(format!("a frame that begins with {first:#x}")),
        }
        whole = first & 0x80 != 0;
        bytes = rest;
    }
    if bytes.is_empty() && whole { Ok(messages) } else { Err("an unfinished message".into()) }
}
