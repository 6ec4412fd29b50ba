//! Echoes every message, with a thread for each connection. See `--help`.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;

use common::{Parsed, Result, is_trusted};
use compression::{Compression, Encoder};
#[cfg(feature = "deflate")]
use sansocket::WebSocket;
use sansocket::{Delivery, ServerRole};
use sansocket_io::blocking::{Server, Socket};
use sansocket_io::{Accept, CloseCode, Config, Event, Message, Reject, Request, Settings};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: echo_server ADDR [OPTION]...

Echoes every message. ADDR is an address and a port: 127.0.0.1:9001.

  --max-message BYTES  the maximum size of a message (default: 16 MiB)
  --pieces             echo each message piece by piece while it arrives, without a size limit. A
                       client that does not read meanwhile can send 64 MiB in 30 s
  --protocol P         a supported subprotocol; the first one has the highest preference
  --origin O           an allowed origin; without this option, all are allowed
  --host NAME          with --origin: a host name of this server, beside its address and localhost
  --bye WORD           close the connection when this text message arrives (not with --pieces)
  --read BYTES         limit the size of a read, for tests
  --patience SECONDS   replace the default timeouts
  --connections N      the maximum number of connections (default: 1000); others wait
";

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), Options::parse, |options| {
        let address = &options.address;
        let server = Server::bind(address).map_err(|error| format!("{address}: {error}"))?;
        println!("listening on {}", server.local_addr()?);
        let stop = server.stop_handle();
        ctrlc::set_handler(move || stop.stop())?;
        let server = server
            .settings(options.settings())
            .max_connections(options.connections)
            .on_error(|error| eprintln!("{error}"));
        #[cfg(feature = "deflate")]
        if let Some(deflate) = options.compression.settings() {
            let prepare =
                move |stream, config| Ok((stream, WebSocket::deflate_server(config, deflate, Vec::new())));
            server.run_with(prepare, move |socket, peer| serve(socket, peer, &options));
            return Ok(ExitCode::SUCCESS);
        }
        server.run(move |socket, peer| serve(socket, peer, &options));
        Ok(ExitCode::SUCCESS)
    })
}

fn serve<R: ServerRole>(mut socket: Socket<R>, peer: SocketAddr, options: &Options) {
    if let Err(error) = echo(&mut socket, peer, options) {
        eprintln!("{peer}: {error}");
    }
    if let Some(failure) = socket.failure() {
        eprintln!("{peer}: {failure}");
    }
}

/// Runs one connection, with compression or without.
fn echo<R: ServerRole>(socket: &mut Socket<R>, peer: SocketAddr, options: &Options) -> Result<()> {
    let local = socket.stream().get_ref().local_addr()?.ip();
    let mut encoder = Encoder::default();
    while let Some((event, reply)) = socket.next() {
        common::log(peer, &event);
        match event {
            Event::Request(request) => reply.answer(options.answer(&request, local))?,
            Event::Open(open) => encoder = options.compression.encoder(&open, true),
            Event::Message(Message::Text(text)) if options.bye.as_deref() == Some(text) => {
                reply.close(CloseCode::NORMAL, text)?;
            }
            Event::Message(message) => encoder.send(reply, message)?,
            Event::Piece(piece) => encoder.send_piece(reply, &piece)?,
            _ => {}
        }
    }
    Ok(())
}

struct Options {
    address: String,
    connections: usize,
    max_message: Option<u64>,
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
        let (mut address, mut connections, mut max_message, mut pieces) = (None, 1000, None, false);
        let (mut protocols, mut origins, mut hosts) = (vec![], vec![], vec![]);
        let (mut bye, mut read, mut patience) = (None, None, None);
        let mut compression = Compression::default();
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("max-message") => max_message = Some(args.value()?.parse()?),
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
            max_message,
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

    fn settings(&self) -> Settings {
        let mut config = Config::new();
        if let Some(max) = self.max_message {
            config = config.max_frame(max).max_message(max);
        }
        if self.pieces {
            config = config.delivery(Delivery::Pieces).max_frame(u64::MAX).max_message(u64::MAX);
        }
        let mut settings = common::settings(config, self.patience);
        if self.pieces {
            settings = settings.max_unsent(64 << 20);
        }
        if let Some(read) = self.read {
            settings = settings.max_read_buffer(read);
        }
        settings
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
