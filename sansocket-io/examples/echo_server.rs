//! Echoes every message: blocking sockets, one thread per connection. See `--help`.

#[path = "blocking/mod.rs"]
mod blocking;
#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;

use blocking::{Socket, WRITE_TIMEOUT, linger, listen};
use common::{Parsed, Result, is_trusted, printable};
use compression::{Compression, Encoder};
use sansocket::{
    Accept, Buffer, CloseCode, Config, Delivery, Event, FixedInbox, Inbox, Message, Reject, Request, Role,
    ServerRole, State, WebSocket,
};
use std::io;
use std::net::{IpAddr, TcpStream};
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "\
usage: echo_server ADDR [OPTION]...

Echoes every message. ADDR is an address and a port: 127.0.0.1:9001.

  --heap              growing buffers, messages up to 64 MiB (default)
  --fixed             buffers of fixed size, messages up to 4096 bytes
  --pieces            echo each message piece by piece while it arrives, without a size limit. A client that
                      does not read meanwhile can send 64 MiB, or with --fixed a few socket buffers
  --protocol P        a supported subprotocol; the first one has the highest preference
  --origin O          an allowed origin; without this option, all are allowed
  --host NAME         with --origin: a host name of this server, beside its address and localhost
  --bye WORD          close the connection when this text message arrives (not with --pieces)
  --read BYTES        limit the size of a read, for tests
  --patience SECONDS  replace the default timeouts
  --connections N     the maximum number of connections (default: 1000)
";

/// The maximum message size with `--fixed`. Larger messages are not copied into the outbox.
const SMALL: usize = 4096;
/// Holds a header of 4 bytes, a small message, what compression can add to it, and a Pong.
const OUTBOX: usize = SMALL + 4 + 16 + 127;
/// The maximum size of a message with `--heap`, and the maximum of unsent bytes with `--pieces`: in
/// both cases, a client can send a message of this size before it reads the echo.
const LARGE: usize = 64 << 20;

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), Options::parse, |options| {
        let (address, connections) = (options.address.clone(), options.connections);
        let options = Arc::new(options);
        listen(&address, connections, move |stream| serve(stream, &options))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn serve(stream: &TcpStream, options: &Options) -> Result<()> {
    #[cfg(feature = "deflate")]
    if let Some(settings) = options.compression.settings() {
        buffers(stream, options, WebSocket::deflate_server(options.config(), settings, Vec::new()))?;
        return linger(stream);
    }
    buffers(stream, options, WebSocket::server(options.config()))?;
    linger(stream)
}

/// Runs one connection with the buffers that are asked for.
fn buffers<R: ServerRole>(stream: &TcpStream, options: &Options, ws: WebSocket<R>) -> Result<()> {
    let most = |buffer: usize| buffer.min(options.read.unwrap_or(buffer));
    if options.fixed {
        let outbox = sansocket::heapless::Vec::<u8, OUTBOX>::new();
        converse(stream, options, ws, &mut [0; SMALL][..most(SMALL)], FixedInbox::<SMALL>::new(), outbox)
    } else {
        converse(stream, options, ws, &mut vec![0; most(64 << 10)], Inbox::new(), Vec::new())
    }
}

/// Runs one connection until the last pending byte is sent. `buffer` limits the size of a piece.
fn converse<R: ServerRole, I: Buffer + Default, O: Buffer + Default>(
    stream: &TcpStream,
    options: &Options,
    mut ws: WebSocket<R>,
    buffer: &mut [u8],
    mut inbox: I,
    outbox: O,
) -> Result<()> {
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?.ip());
    let socket = Socket::new(stream, options.patience.unwrap_or(WRITE_TIMEOUT))?;
    let mut out = Outgoing { socket, outbox, sent: 0, backlog: 0 };
    let mut encoder = Encoder::default();
    if options.pieces && !options.fixed {
        out.backlog = LARGE;
        out.socket.take_turns()?;
    }
    let mut filled = 0;
    loop {
        let mut input = &mut buffer[..filled];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            // After our own Close frame, messages still arrive but cannot be answered.
            let open = ws.state() == State::Open;
            match event {
                Event::Request(request) => match options.answer(&request, local) {
                    Ok(accept) => out.put(&mut ws, |ws, outbox| ws.accept(accept, outbox))?,
                    Err(reject) => out.put(&mut ws, |ws, outbox| ws.reject(reject, outbox))?,
                },
                Event::Message(Message::Text(text)) if open && options.bye.as_deref() == Some(text) => {
                    out.put(&mut ws, |ws, outbox| ws.close(CloseCode::NORMAL, text, outbox))?;
                }
                Event::Message(message) if open => {
                    out.echo(&mut ws, &mut encoder, message)?;
                    if message.as_bytes().len() > SMALL {
                        // Free the memory of a large message.
                        inbox = I::default();
                    }
                }
                Event::Piece(piece) if open => {
                    out.put(&mut ws, |ws, outbox| encoder.send_piece(ws, &piece, outbox))?;
                }
                Event::Error(error) => eprintln!("{peer}: {error}"),
                Event::Close(close) => eprintln!("{peer}: closed: {}", printable(&close.to_string())),
                Event::BadRequest(request) => eprintln!("{peer}: refused: {request}"),
                Event::Open(open) => encoder = options.compression.encoder(&open, true),
                Event::Refused(_) | Event::Message(_) => {}
                Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => {}
            }
            out.put(&mut ws, |ws, outbox| ws.transmit(outbox))?;
        }
        out.put(&mut ws, |ws, outbox| ws.transmit(outbox))?;
        if ws.is_closed() {
            out.backlog = 0;
        }
        out.flush(&mut ws)?;
        if ws.is_closed() {
            return Ok(());
        }
        let unsent = out.unsent().len();
        filled = out.socket.read(&mut ws, buffer, &mut out.outbox, unsent)?;
    }
}

/// The bytes to send, and their socket.
struct Outgoing<'s, O> {
    socket: Socket<'s>,
    outbox: O,
    /// How much of the outbox was sent.
    sent: usize,
    /// How many bytes can stay unsent while the peer does not read.
    backlog: usize,
}

impl<O: Buffer + Default> Outgoing<'_, O> {
    /// Lets `call` append to the outbox. If it fails, it is retried once with an empty outbox: a
    /// failed call changes nothing. An error other than a full outbox is returned by the retry.
    fn put<R: Role, E>(
        &mut self,
        ws: &mut WebSocket<R>,
        mut call: impl FnMut(&mut WebSocket<R>, &mut O) -> std::result::Result<(), E>,
    ) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        if call(ws, &mut self.outbox).is_err() {
            self.flush(ws)?;
            call(ws, &mut self.outbox)?;
        }
        Ok(())
    }

    /// Sends a message back. Small messages are copied and share one write; a large one is written
    /// without a copy, unless it is compressed.
    fn echo<R: ServerRole>(
        &mut self,
        ws: &mut WebSocket<R>,
        encoder: &mut Encoder,
        message: Message<'_>,
    ) -> Result<()> {
        let payload = message.as_bytes();
        if payload.len() <= SMALL || encoder.compresses() {
            return self.put(ws, |ws, outbox| encoder.send(ws, message, outbox));
        }
        self.put(ws, |ws, outbox| ws.send_header(message.kind(), payload.len() as u64, outbox))?;
        self.flush(ws)?;
        self.socket.write_all(ws, payload)?;
        Ok(ws.payload_sent(payload.len() as u64)?)
    }

    fn unsent(&self) -> &[u8] {
        &self.outbox.bytes()[self.sent..]
    }

    /// Writes the outbox. If the peer does not read, waits until only the backlog is unsent.
    fn flush<R: Role>(&mut self, ws: &mut WebSocket<R>) -> io::Result<()> {
        while !self.unsent().is_empty() {
            let sent = self.socket.write(ws, &self.outbox.bytes()[self.sent..])?;
            self.sent += sent;
            if sent == 0 && self.unsent().len() <= self.backlog {
                break;
            }
        }
        if self.unsent().is_empty() && self.sent <= LARGE >> 10 {
            self.outbox.clear();
            self.sent = 0;
        } else if self.unsent().len() <= self.sent {
            // Free the memory of what was sent.
            let mut rest = O::default();
            rest.append(self.unsent());
            (self.outbox, self.sent) = (rest, 0);
        }
        Ok(())
    }
}

struct Options {
    address: String,
    connections: usize,
    fixed: bool,
    pieces: bool,
    protocols: Vec<String>,
    origins: Vec<String>,
    hosts: Vec<String>,
    bye: Option<String>,
    read: Option<usize>,
    patience: Option<Duration>,
    compression: Compression,
}

impl Options {
    fn parse(args: &mut lexopt::Parser) -> Parsed<Self> {
        use lexopt::prelude::*;
        let (mut address, mut connections, mut fixed, mut pieces) = (None, 1000, false, false);
        let (mut protocols, mut origins, mut hosts) = (vec![], vec![], vec![]);
        let (mut bye, mut read, mut patience) = (None, None, None);
        let mut compression = Compression::default();
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("fixed") => fixed = true,
                Long("heap") => fixed = false,
                Long("pieces") => pieces = true,
                Long("protocol") => protocols.push(args.value()?.string()?),
                Long("origin") => origins.push(args.value()?.string()?),
                Long("host") => hosts.push(args.value()?.string()?),
                Long("bye") => {
                    let word = args.value()?.string()?;
                    if word.len() > 123 {
                        return Err(format!("--bye {word}: longer than the reason of a Close frame").into());
                    }
                    bye = Some(word);
                }
                Long("read") => read = Some(args.value()?.parse::<NonZeroUsize>()?.get()),
                Long("patience") => patience = Some(args.value()?.parse::<NonZeroU32>()?.get()),
                Long("connections") => connections = args.value()?.parse()?,
                Long(name) if Compression::has_option(name) => compression.take(name.to_owned(), args)?,
                Value(value) if address.is_none() => address = Some(value.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Some(Self {
            address: address.ok_or("ADDR is missing")?,
            connections,
            fixed,
            pieces,
            protocols,
            origins,
            hosts,
            bye,
            read,
            patience: patience.map(|seconds| Duration::from_secs(seconds.into())),
            compression,
        }))
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
            (false, false) => config.max_frame(LARGE as u64).max_message(LARGE as u64),
        }
    }

    fn answer(
        &self,
        request: &Request<'_>,
        local: IpAddr,
    ) -> std::result::Result<Accept<'_>, Reject<'static>> {
        if !self.origins.is_empty() && !is_trusted(request, local, &self.hosts, &self.origins) {
            return Err(Reject::status(403).body(b"origin or host not allowed\n"));
        }
        let preferred: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        Ok(request.select(&preferred).unwrap_or_else(|| request.accept()))
    }
}
