//! The load: connections that send frames which were made once, and count the bytes that return.

use futures::future::{join, join_all};
use std::{cell::RefCell, fmt, io};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::ReadHalf},
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The response to [`REQUEST`].
pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Json,
    /// Text of characters of two and three bytes.
    NonAscii,
    Binary,
}

pub const CONTENTS: [Content; 3] = [Content::Json, Content::NonAscii, Content::Binary];

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::NonAscii => "non-ASCII",
            Self::Binary => "binary",
        })
    }
}

impl Content {
    pub fn payload(self, len: usize) -> Vec<u8> {
        let pattern = match self {
            Self::Json => r#"{"id":1042,"name":"sensor","values":[20.25,1.5,-7],"ok":true},"#.as_bytes(),
            Self::NonAscii => "Grüße aus Köln, добрый день, 今日は。".as_bytes(),
            Self::Binary => &[0, 7, 14, 255, 128, 60, 3, 200, 91, 17, 33],
        };
        let mut bytes: Vec<_> = pattern.iter().copied().cycle().take(len).collect();
        if self != Self::Binary {
            // A character that is cut at the end is replaced.
            let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            bytes[valid..].fill(b'.');
        }
        bytes
    }

    const fn opcode(self) -> u8 {
        match self {
            Self::Json | Self::NonAscii => 1,
            Self::Binary => 2,
        }
    }
}

/// What a connection sends at once, and the echo of it.
pub struct Batch {
    sent: Vec<u8>,
    echo: Vec<u8>,
    pub messages: usize,
}

impl Batch {
    pub fn new(content: Content, len: usize, messages: usize) -> Self {
        let payload = content.payload(len);
        let key = [0x12, 0x34, 0x56, 0x78];
        let masked = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        let mut frame = header(content, len, 0x80);
        frame.extend(key);
        frame.extend(masked);
        let mut echo = header(content, len, 0);
        echo.extend(&payload);
        Self { sent: frame.repeat(messages), echo: echo.repeat(messages), messages }
    }
}

fn header(content: Content, len: usize, mask: u8) -> Vec<u8> {
    let mut header = vec![0x80 | content.opcode()];
    match len {
        ..126 => header.push(mask | len as u8),
        126..0x1_0000 => {
            header.push(mask | 126);
            header.extend((len as u16).to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header
}

/// Connections to one server.
pub struct Connections {
    streams: Vec<TcpStream>,
    read: RefCell<Vec<u8>>,
}

impl Connections {
    pub async fn open(port: u16, count: usize) -> io::Result<Self> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(connect(port).await?);
        }
        Ok(Self { streams, read: RefCell::new(vec![0; 256 << 10]) })
    }

    pub const fn count(&self) -> usize {
        self.streams.len()
    }

    /// On each connection: sends the batch, waits for its echo, and so on, this many times.
    pub async fn exchange(&mut self, batch: &Batch, laps: usize) -> io::Result<()> {
        let Self { streams, read } = self;
        let exchanges = streams.iter_mut().map(|stream| async {
            for _ in 0..laps {
                let (mut reader, mut writer) = stream.split();
                let (written, echoed) =
                    join(writer.write_all(&batch.sent), count(&mut reader, batch.echo.len(), read)).await;
                written.and(echoed)?;
            }
            io::Result::Ok(())
        });
        join_all(exchanges).await.into_iter().collect()
    }

    /// As [`exchange`](Self::exchange), once, and compares the echo.
    pub async fn check(&mut self, batch: &Batch) -> io::Result<()> {
        let exchanges = self.streams.iter_mut().map(|stream| async {
            let mut echo = vec![0; batch.echo.len()];
            let (mut reader, mut writer) = stream.split();
            let (written, echoed) = join(writer.write_all(&batch.sent), reader.read_exact(&mut echo)).await;
            written.and(echoed)?;
            if echo == batch.echo { Ok(()) } else { Err(io::Error::other("the echo differs")) }
        });
        join_all(exchanges).await.into_iter().collect()
    }
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(REQUEST.as_bytes()).await?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    if head.starts_with("HTTP/1.1 101 ") { Ok(stream) } else { Err(io::Error::other(head)) }
}

/// Reads this many bytes, into memory that all connections share.
async fn count(reader: &mut ReadHalf<'_>, mut bytes: usize, read: &RefCell<Vec<u8>>) -> io::Result<()> {
    while bytes > 0 {
        reader.readable().await?;
        let mut read = read.borrow_mut();
        let most = read.len().min(bytes);
        match reader.try_read(&mut read[..most]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes -= count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
