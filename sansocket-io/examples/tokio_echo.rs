//! Echoes every message, on tokio. See `--help`.
//!
//! A client may identify itself with `/?token=NAME`; its request is answered after a look-up on
//! another task.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;
use common::{Parsed, Result};
use compression::{Compression, Encoder};
use sansocket::ServerRole;
#[cfg(feature = "deflate")]
use sansocket_io::tokio::deflate_server;
use sansocket_io::tokio::{Server, Tokio, TokioClock};
use sansocket_io::{Config, Event, Pooled, Reject, Socket};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const USAGE: &str = "\
usage: tokio_echo ADDR [OPTION]...

Echoes every message. ADDR is an address and a port: 127.0.0.1:9001.

  --patience SECONDS  replace the default timeouts
  --connections N     the maximum number of connections (default: 1000); others wait
";

struct Options {
    address: String,
    connections: usize,
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
    Ok(Some(Options { address, connections, patience, compression }))
}

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), parse, |options| {
        Runtime::new()?.block_on(run(options))?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn run(Options { address, connections, patience, compression }: Options) -> Result<()> {
    let server = Server::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("listening on {}", server.local_addr()?);
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    ctrlc::set_handler(move || stop.notify_one())?;
    let settings = common::settings(Config::new(), patience);
    let server = server.settings(settings).max_connections(connections);
    let server = server.on_error(|error| eprintln!("{error}"));
    #[cfg(feature = "deflate")]
    if let Some(deflate) = compression.settings() {
        let prepare = move |stream| async move { Ok(deflate_server(stream, settings, deflate)) };
        let serve = move |socket, peer| serve(socket, peer, compression);
        server.run_with(stopped.notified(), prepare, serve).await;
        return Ok(());
    }
    server.run(stopped.notified(), move |socket, peer| serve(socket, peer, compression)).await;
    Ok(())
}

/// A connection with compression or without.
type Connection<R> = Socket<R, Tokio<TcpStream>, TokioClock, Pooled>;

async fn serve<R: ServerRole>(mut socket: Connection<R>, peer: SocketAddr, compression: Compression) {
    if let Err(error) = echo(&mut socket, peer, compression).await {
        eprintln!("{peer}: {error}");
    }
    if let Some(failure) = socket.failure() {
        eprintln!("{peer}: {failure}");
    }
}

async fn echo<R: ServerRole>(
    socket: &mut Connection<R>,
    peer: SocketAddr,
    compression: Compression,
) -> Result<()> {
    let mut encoder = Encoder::default();
    while let Some((event, reply)) = socket.next().await {
        common::log(peer, &event);
        match event {
            Event::Request(request) => {
                let token = request.target().split_once("token=").map(|(_, token)| token.to_owned());
                // Frames that follow the request wait until it is answered.
                match tokio::spawn(lookup(token)).await? {
                    Some(name) => reply.accept(request.accept().headers(&[("X-Name", &name)]))?,
                    None => reply.reject(Reject::status(401).body(b"who are you?\n"))?,
                }
            }
            Event::Open(open) => encoder = compression.encoder(&open, true),
            Event::Message(message) => encoder.send(reply, message)?,
            _ => {}
        }
    }
    Ok(())
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
