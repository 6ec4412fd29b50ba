//! A stream that copies all bytes that its socket reads and writes to a sink, in order; and a
//! parser that cuts these bytes into heads and frames.

use crate::inflate::Inflate;
use crate::session::now;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the browser.
    In,
    /// To the browser.
    Out,
}

/// Takes the time at which bytes were read, or given to the socket, and the bytes.
pub type Sink = Box<dyn FnMut(u64, Direction, &[u8]) + Send>;

/// A socket whose bytes are copied to a sink.
pub struct Tap {
    stream: TcpStream,
    wire: Wire,
}

/// Selects the sink for the bytes.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Claim>>);

struct Claim {
    sink: Option<Sink>,
    /// The sink also gets bytes that are read. Otherwise they belong to the next request, whose
    /// sink is not known yet.
    both: bool,
    /// The bytes read of that request.
    held: Vec<u8>,
}

/// More than the maximum head of the machine plus one read. A longer request ends the connection.
const MAX_HELD: usize = 32 << 10;

impl Tap {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, wire: Wire(Arc::new(Mutex::new(Claim { sink: None, both: false, held: Vec::new() }))) }
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    pub fn wire(&self) -> Wire {
        self.wire.clone()
    }
}

impl Wire {
    /// Ignores the current request and its response.
    pub fn claim_nothing(&self) {
        *self.lock() = Claim { sink: None, both: false, held: Vec::new() };
    }

    /// Passes the current request and its response to `sink`.
    pub fn claim_exchange(&self, sink: Sink) {
        self.claim(sink, false);
    }

    /// Passes the current request and everything after it to `sink`.
    pub fn claim_connection(&self, sink: Sink) {
        self.claim(sink, true);
    }

    fn claim(&self, mut sink: Sink, both: bool) {
        let mut claim = self.lock();
        sink(now(), Direction::In, &claim.held);
        *claim = Claim { sink: Some(sink), both, held: Vec::new() };
    }

    fn lock(&self) -> MutexGuard<'_, Claim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        let mut claim = self.wire.lock();
        match &mut *claim {
            Claim { sink: Some(sink), both: true, .. } => sink(now(), Direction::In, read),
            Claim { held, .. } => held.extend_from_slice(&read[..read.len().min(MAX_HELD - held.len())]),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The browser may have the bytes before the call returns.
        let at = now();
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if let Some(sink) = &mut self.wire.lock().sink {
            sink(at, Direction::Out, &bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Cuts one direction of a connection into its head and frames. Payloads stay masked, and
/// compressed.
#[derive(Default)]
pub struct Cutter {
    head_ended: bool,
    frame: Frame,
    inflate: Inflate,
}

#[derive(Default)]
struct Frame {
    /// The header; at first the HTTP head.
    header: Vec<u8>,
    payload: Vec<u8>,
    length: u64,
    /// How many payload bytes were seen.
    seen: u64,
    compressed: bool,
    reported: bool,
}

pub enum Found<'f> {
    Head(&'f [u8]),
    /// `payload` has the first [`SHOWN`] bytes at most; `length` is the full length.
    Frame {
        header: &'f [u8],
        payload: &'f [u8],
        length: u64,
        inflated: Option<Inflated<'f>>,
    },
}

/// What a compressed payload stands for: the first [`SHOWN`] bytes at most, and the full length.
pub struct Inflated<'f> {
    pub data: &'f [u8],
    pub length: u64,
}

/// The maximum part of a payload that is kept.
pub const SHOWN: usize = 128;
const MAX_HEAD: usize = 16 << 10;

impl Cutter {
    pub fn cut(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        let Self { head_ended, frame, inflate } = self;
        while let Some((&byte, rest)) = bytes.split_first() {
            if !*head_ended {
                frame.header.push(byte);
                bytes = rest;
                if frame.header.ends_with(b"\r\n\r\n") || frame.header.len() == MAX_HEAD {
                    *head_ended = true;
                    found(Found::Head(&frame.header));
                    frame.header.clear();
                }
                continue;
            }
            if frame.header.len() < frame.header_size() {
                frame.header.push(byte);
                bytes = rest;
                if frame.header.len() < frame.header_size() {
                    continue;
                }
                frame.length = frame.payload_length();
                frame.compressed = inflate.begin_frame(frame.header[0]);
            }
            let left = usize::try_from(frame.length - frame.seen).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(left.min(bytes.len()));
            if frame.compressed {
                let data = frame.unmasked(part);
                let is_last = frame.seen + part.len() as u64 == frame.length && frame.header[0] & 0x80 != 0;
                inflate.take(&data, is_last);
            }
            frame.seen += part.len() as u64;
            frame.payload.extend_from_slice(&part[..part.len().min(SHOWN - frame.payload.len())]);
            bytes = rest;
            let ends = frame.seen == frame.length;
            // Report a long frame before it ends, so that the log shows it before its event. What a
            // compressed one stands for is only known at its end.
            if !frame.reported && (ends || frame.payload.len() == SHOWN && !frame.compressed) {
                frame.reported = true;
                found(Found::Frame {
                    header: &frame.header,
                    payload: &frame.payload,
                    length: frame.length,
                    inflated: if frame.compressed { inflate.inflated() } else { None },
                });
            }
            if ends {
                *frame = Frame::default();
            }
        }
    }
}

impl Frame {
    /// The size of the frame header, as far as the bytes so far determine it.
    fn header_size(&self) -> usize {
        let Some(second) = self.header.get(1) else { return 2 };
        let length = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 != 0 { 4 } else { 0 }
    }

    fn payload_length(&self) -> u64 {
        let extended =
            |len: usize| self.header[2..2 + len].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        match self.header[1] & 0x7F {
            126 => extended(2),
            127 => extended(8),
            short => u64::from(short),
        }
    }

    /// The next part of the payload without its mask.
    fn unmasked(&self, part: &[u8]) -> Vec<u8> {
        let key = match self.header[1] & 0x80 {
            0 => &[0; 4],
            _ => self.header.last_chunk().unwrap_or(&[0; 4]),
        };
        let key = key.iter().cycle().skip((self.seen % 4) as usize);
        part.iter().zip(key).map(|(byte, key)| byte ^ key).collect()
    }
}
