//! Sends every line of its input to all clients. See `--help`.
//!
//! A line is compressed once, for those clients that have agreed to compression, and its bytes are
//! shared. A client that reads too slowly is dropped, so that the others need not wait.

#[path = "common/mod.rs"]
mod common;

use common::{Parsed, Result};
use sansocket::ServerRole;
#[cfg(feature = "deflate")]
use sansocket::deflate::{self, Compressor};
use sansocket_io::tokio::{Server, Tokio, TokioClock};
use sansocket_io::{Broadcast, Pooled, Sender, Socket, TrySendError};
#[cfg(feature = "deflate")]
use sansocket_io::{Settings, tokio::deflate_server};
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const USAGE: &str = "\
usage: broadcast ADDR [--deflate]

Sends every line of its input to all clients. ADDR is an address and a port: 127.0.0.1:9001.

  --deflate  compress each line, once, for the clients that agree (needs the feature `deflate`)
";

/// A compressed line needs a window of 2^12 bytes, as `deflate::Settings::server` agrees to.
#[cfg(feature = "deflate")]
const WINDOW_BITS: u8 = 12;

struct Options {
    address: String,
    deflate: bool,
}

fn main() -> ExitCode {
    common::start(USAGE, parse, |options| {
        Runtime::new()?.block_on(run(options))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn parse(args: &mut lexopt::Parser) -> Parsed<Options> {
    use lexopt::prelude::*;
    let (mut address, mut deflate) = (None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("deflate") if cfg!(feature = "deflate") => deflate = true,
            Long("deflate") => return Err(common::NO_DEFLATE.into()),
            Value(value) if address.is_none() => address = Some(value.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(Options { address: address.ok_or("ADDR is missing")?, deflate }))
}

type Clients = Arc<Mutex<Vec<Sender>>>;

async fn run(Options { address, deflate }: Options) -> Result<()> {
    let server = Server::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("listening on {}", server.local_addr()?);
    let server = server.on_error(|error| eprintln!("{error}"));
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    ctrlc::set_handler(move || stop.notify_one())?;
    let clients = Clients::default();
    let lines = Arc::clone(&clients);
    thread::spawn(move || send_lines(&lines, deflate));
    #[cfg(feature = "deflate")]
    if deflate {
        let prepare =
            |stream| async { Ok(deflate_server(stream, Settings::new(), deflate::Settings::server())) };
        server.run_with(stopped.notified(), prepare, move |socket, _| join(socket, clients.clone())).await;
        return Ok(());
    }
    server.run(stopped.notified(), move |socket, _| join(socket, clients.clone())).await;
    Ok(())
}

/// Runs one connection. What the client sends is ignored.
async fn join<R: ServerRole>(mut socket: Socket<R, Tokio<TcpStream>, TokioClock, Pooled>, clients: Clients) {
    // Lines wait until the connection is open.
    clients.lock().unwrap().push(socket.reply().sender());
    if socket.accept(|request| Ok(request.accept())).await.is_ok() {
        while socket.next().await.is_some() {}
    }
}

fn send_lines(clients: &Clients, deflate: bool) {
    for line in io::stdin().lines().map_while(io::Result::ok) {
        let message = encode(line, deflate);
        // Clients that have left are removed.
        clients.lock().unwrap().retain(|client| match client.try_send(&message) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                client.abort();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        });
    }
}

fn encode(line: String, deflate: bool) -> Broadcast {
    #[cfg(feature = "deflate")]
    if deflate {
        return Broadcast::deflated(line, WINDOW_BITS, &mut Compressor::shared(vec![0; 4096]));
    }
    let _ = deflate;
    line.into()
}
