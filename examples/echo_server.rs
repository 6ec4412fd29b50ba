//! Echoes every message: blocking sockets, one thread per connection.
//!
//! ```text
//! echo_server ADDR [--fixed | --heap] [--pieces] [--protocol P]... [--origin O]... [--bye WORD] [--read BYTES]
//!             [--patience SECONDS]
//! ```
//!
//! - `--heap` (default): growing buffers, messages up to 64 MiB.
//! - `--fixed`: buffers of fixed size, messages up to 4096 bytes.
//! - `--pieces`: echoes each message piece by piece while it arrives, without a size limit.
//! - `--protocol P`: a supported subprotocol. The first one has the highest preference.
//! - `--origin O`: an allowed origin. Without this option, all origins are allowed.
//! - `--bye WORD`: closes the connection when this text message arrives (not with `--pieces`).
//! - `--read BYTES`: limits the size of a read, for tests.
//! - `--patience SECONDS`: replaces the default timeouts.

#[path = "blocking/mod.rs"]
mod blocking;

use blocking::{Result, linger, listen, read};
use sansocket::{
    Accept, Buffer, CloseCode, Config, Delivery, Event, FixedInbox, Inbox, Message, Reject, Request, Server,
    State, WebSocket,
};
use std::io::{self, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The maximum message size with `--fixed`. Larger messages are not copied into the outbox.
const SMALL: usize = 4096;
/// Holds a header of 4 bytes, a small message and a Pong.
const OUTBOX: usize = SMALL + 4 + 127;
/// The maximum message size with `--heap`.
const LARGE: u64 = 64 << 20;
/// A peer that reads nothing for this long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let Some((address, options)) = Options::parse(std::env::args().skip(1)) else {
        eprintln!(
            "usage: echo_server ADDR [--fixed | --heap] [--pieces] [--protocol P]... [--origin O]... [--bye WORD] \
             [--read BYTES] [--patience SECONDS]"
        );
        return ExitCode::from(2);
    };
    let options = Arc::new(options);
    match listen(&address, move |stream| serve(stream, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(stream: &TcpStream, options: &Options) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(options.patience.or(Some(WRITE_TIMEOUT)))?;
    let most = |buffer: usize| buffer.min(options.read.unwrap_or(buffer));
    if options.fixed {
        let outbox = heapless::Vec::<u8, OUTBOX>::new();
        converse(stream, options, &mut [0; SMALL][..most(SMALL)], FixedInbox::<SMALL>::new(), outbox)?;
    } else {
        converse(stream, options, &mut vec![0; most(64 << 10)], Inbox::new(), Vec::new())?;
    }
    Ok(linger(stream)?)
}

/// Runs one connection until the last pending byte is sent. `buffer` limits the size of a piece.
fn converse<I: Buffer + Default, O: Buffer>(
    stream: &TcpStream,
    options: &Options,
    buffer: &mut [u8],
    mut inbox: I,
    outbox: O,
) -> Result<()> {
    let peer = stream.peer_addr()?;
    let started = Instant::now();
    let mut ws = WebSocket::server(options.config());
    let mut out = Outgoing { stream, outbox };
    let mut filled = 0;
    loop {
        let mut input = &mut buffer[..filled];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            // After our own Close frame, messages still arrive but cannot be answered.
            let open = ws.state() == State::Open;
            match event {
                Event::Request(request) => match options.answer(&request) {
                    Ok(accept) => out.put(|outbox| ws.accept(accept, outbox))?,
                    Err(reject) => out.put(|outbox| ws.reject(reject, outbox))?,
                },
                Event::Message(Message::Text(text)) if open && options.bye.as_deref() == Some(text) => {
                    out.put(|outbox| ws.close(CloseCode::NORMAL, text, outbox))?;
                }
                Event::Message(message) if open => {
                    out.echo(&mut ws, message)?;
                    if message.as_bytes().len() > SMALL {
                        // Free the memory of a large message.
                        inbox = I::default();
                    }
                }
                Event::Piece(piece) if open => out.put(|outbox| ws.send_piece(&piece, outbox))?,
                Event::Error(error) => eprintln!("{peer}: {error}"),
                Event::Close(close) => eprintln!("{peer}: closed: {close}"),
                Event::Open(_) | Event::BadRequest(_) | Event::Refused(_) | Event::Message(_) => {}
                Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => {}
            }
            out.put(|outbox| ws.transmit(outbox))?;
        }
        out.put(|outbox| ws.transmit(outbox))?;
        out.flush()?;
        if ws.is_closed() {
            return Ok(());
        }
        filled = read(stream, &mut ws, buffer, started)?;
    }
}

/// The bytes to send, and their stream.
struct Outgoing<'s, O> {
    stream: &'s TcpStream,
    outbox: O,
}

impl<O: Buffer> Outgoing<'_, O> {
    /// Lets `call` append to the outbox. If it fails, it is retried once with an empty outbox: a
    /// failed call changes nothing. An error other than a full outbox is returned by the retry.
    fn put<E>(&mut self, mut call: impl FnMut(&mut O) -> std::result::Result<(), E>) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        if call(&mut self.outbox).is_err() {
            self.flush()?;
            call(&mut self.outbox)?;
        }
        Ok(())
    }

    /// Sends a message back. Small messages are copied and share one write; a large one is written
    /// without a copy.
    fn echo(&mut self, ws: &mut WebSocket<Server>, message: Message<'_>) -> Result<()> {
        let payload = message.as_bytes();
        if payload.len() <= SMALL {
            return self.put(|outbox| ws.send(message, outbox));
        }
        self.put(|outbox| ws.send_header(message.kind(), payload.len() as u64, outbox))?;
        self.flush()?;
        self.stream.write_all(payload)?;
        Ok(ws.payload_sent(payload.len() as u64)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(self.outbox.bytes())?;
        self.outbox.clear();
        Ok(())
    }
}

#[derive(Default)]
struct Options {
    fixed: bool,
    pieces: bool,
    protocols: Vec<String>,
    origins: Vec<String>,
    bye: Option<String>,
    read: Option<usize>,
    patience: Option<Duration>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<(String, Self)> {
        let mut options = Self::default();
        let mut address = None;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--fixed" => options.fixed = true,
                "--heap" => options.fixed = false,
                "--pieces" => options.pieces = true,
                "--protocol" => options.protocols.push(args.next()?),
                "--origin" => options.origins.push(args.next()?),
                // Must fit into a Close frame.
                "--bye" => options.bye = Some(args.next().filter(|word| word.len() <= 123)?),
                "--read" => options.read = Some(args.next()?.parse().ok().filter(|bytes| *bytes > 0)?),
                "--patience" => {
                    options.patience =
                        Some(Duration::from_secs(args.next()?.parse().ok().filter(|seconds| *seconds > 0)?))
                }
                _ if address.is_none() && !arg.starts_with('-') => address = Some(arg),
                _ => return None,
            }
        }
        Some((address?, options))
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        if self.patience.is_some() {
            config = config
                .handshake_timeout(self.patience)
                .idle_ping(self.patience)
                .pong_timeout(self.patience)
                .closing_timeout(self.patience);
        }
        match (self.pieces, self.fixed) {
            (true, _) => config.delivery(Delivery::Pieces).max_frame(u64::MAX).max_message(u64::MAX),
            (false, true) => config.max_frame(SMALL as u64).max_message(SMALL as u64),
            (false, false) => config.max_frame(LARGE).max_message(LARGE),
        }
    }

    /// "If the server does not validate the origin, it will accept connections from anywhere" (RFC
    /// 6455 section 10.2). A server that relies on cookies should only allow the origins of its own
    /// pages.
    fn answer(&self, request: &Request<'_>) -> std::result::Result<Accept<'_>, Reject<'static>> {
        let known = |origin: &str| self.origins.iter().any(|known| known == origin);
        if !self.origins.is_empty() && !request.origin().is_some_and(known) {
            return Err(Reject::status(403).body(b"origin not allowed\n"));
        }
        let preferred: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        Ok(request.select(&preferred).unwrap_or_else(|| request.accept()))
    }
}
