//! Echoes every message, on tokio: `tokio_echo ADDR [--patience SECONDS]`.
//!
//! `--patience` replaces the machine's default timeouts. A client may identify itself with
//! `/?token=NAME`; its request is answered after a look-up on another task.

#[path = "wrapper/mod.rs"]
mod wrapper;

use sansocket::{Config, Event, Reject, SendError, State, WebSocket};
use std::io::Write;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use wrapper::Connection;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (address, config) = match args[..] {
        [address] => (address, Config::default()),
        [address, "--patience", seconds] => {
            let patience = Some(Duration::from_secs(seconds.parse()?));
            let config = Config::default().handshake_timeout(patience).idle_ping(patience);
            (address, config.pong_timeout(patience).closing_timeout(patience))
        }
        _ => return Err("usage: tokio_echo ADDR [--patience SECONDS]".into()),
    };
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, config).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            // For example "too many open files": retry, because other connections may end.
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, config: Config) -> Result<()> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut connection = Connection::new(stream, WebSocket::server(config));
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
            Event::Message(message) => match reply.ws.send(message, reply.outbox) {
                Err(SendError::NotOpen) if reply.ws.state() != State::Open => {}
                sent => sent?,
            },
            Event::Error(error) => eprintln!("{peer}: {error}"),
            Event::Close(close) => eprintln!("{peer}: closed: {close}"),
            Event::Open(_)
            | Event::BadRequest(_)
            | Event::Refused(_)
            | Event::Piece(_)
            | Event::Ping(_)
            | Event::Pong(_) => {}
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
