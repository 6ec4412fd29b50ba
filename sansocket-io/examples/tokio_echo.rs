//! Echoes every message, on tokio. See `--help`.
//!
//! A client may identify itself with `/?token=NAME`; its request is answered after a look-up on
//! another task.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;
#[path = "../../examples/wrapper/listen.rs"]
mod listen;
#[path = "../../examples/wrapper/mod.rs"]
mod wrapper;

use common::{Parsed, Result, printable};
use compression::{Compression, Encoder};
use listen::listen;
use sansocket::{Config, Event, Reject, SendError, ServerRole, State, WebSocket};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use wrapper::Connection;

const USAGE: &str = "\
usage: tokio_echo ADDR [OPTION]...

Echoes every message. ADDR is an address and a port: 127.0.0.1:9001.

  --patience SECONDS  replace the default timeouts
  --connections N     the maximum number of connections (default: 1000)
";

struct Options {
    address: String,
    connections: usize,
    serving: Serving,
}

/// The options of each connection.
#[derive(Clone, Copy)]
struct Serving {
    patience: Option<Duration>,
    compression: Compression,
}

fn parse(args: &mut lexopt::Parser) -> Parsed<Options> {
    use lexopt::prelude::*;
    let (mut address, mut patience, mut connections) = (None, None, 1000);
    let mut compression = Compression::default();
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("patience") => {
                patience = Some(Duration::from_secs(args.value()?.parse::<NonZeroU32>()?.get().into()));
            }
            Long("connections") => connections = args.value()?.parse()?,
            Long(name) if Compression::has_option(name) => compression.take(name.to_owned(), args)?,
            Value(value) if address.is_none() => address = Some(value.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let address = address.ok_or("ADDR is missing")?;
    Ok(Some(Options { address, connections, serving: Serving { patience, compression } }))
}

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), parse, |options| {
        let Options { address, connections, serving } = options;
        Runtime::new()?.block_on(async {
            let listener =
                TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
            let greeting = format!("listening on {}", listener.local_addr()?);
            listen(listener, &greeting, connections, |stream, stop| serve(stream, serving, stop)).await
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn serve(stream: TcpStream, serving: Serving, stop: watch::Receiver<bool>) -> Result<()> {
    let mut config = Config::default();
    if let patience @ Some(_) = serving.patience {
        config = config
            .handshake_timeout(patience)
            .idle_ping(patience)
            .pong_timeout(patience)
            .closing_timeout(patience);
    }
    #[cfg(feature = "deflate")]
    if let Some(settings) = serving.compression.settings() {
        let ws = WebSocket::deflate_server(config, settings, Vec::new());
        return converse(stream, ws, serving, stop).await;
    }
    converse(stream, WebSocket::server(config), serving, stop).await
}

/// Runs one connection, with compression or without.
async fn converse<R: ServerRole>(
    stream: TcpStream,
    ws: WebSocket<R>,
    serving: Serving,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut connection = Connection::new(stream, ws).stop_when(stop);
    if let Some(patience) = serving.patience {
        connection = connection.write_timeout(patience);
    }
    let mut encoder = Encoder::default();
    while let Some((event, reply)) = connection.next().await {
        match event {
            Event::Request(request) => {
                let token = request.target().split_once("token=").map(|(_, token)| token.to_owned());
                // `Accept` borrows nothing, so it can be kept across an await. Until the answer,
                // the machine consumes no input: frames that follow the request stay in the buffer.
                let accept = request.accept();
                match tokio::spawn(lookup(token)).await? {
                    Some(name) => reply.ws.accept(accept.headers(&[("X-Name", &name)]), reply.outbox)?,
                    None => reply.ws.reject(Reject::status(401).body(b"who are you?\n"), reply.outbox)?,
                }
            }
            // After our own Close frame, messages are still delivered.
            Event::Message(message) => match encoder.send(reply.ws, message, reply.outbox) {
                Err(SendError::NotOpen) if reply.ws.state() != State::Open => {}
                sent => sent?,
            },
            Event::Error(error) => eprintln!("{peer}: {error}"),
            Event::Close(close) => eprintln!("{peer}: closed: {}", printable(&close.to_string())),
            Event::BadRequest(request) => eprintln!("{peer}: refused: {request}"),
            Event::Open(open) => encoder = serving.compression.encoder(&open, true),
            Event::Refused(_) | Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => {}
        }
    }
    connection.error.map_or(Ok(()), |error| Err(error.into()))
}

/// Stands for a database query.
async fn lookup(token: Option<String>) -> Option<String> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    match token.as_deref() {
        None => Some("guest".to_owned()),
        Some("alice" | "bob") => token,
        Some(_) => None,
    }
}
