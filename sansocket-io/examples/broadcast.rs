//! Sends one message to 1,000 peers: its frame is encoded once, and each connection gets a copy of
//! its bytes. With compression there is a second frame, compressed once, for the peers that have
//! agreed to that.

#[path = "common/mod.rs"]
mod common;

use common::{Parsed, Result};
#[cfg(feature = "deflate")]
use sansocket::Established;
#[cfg(feature = "deflate")]
use sansocket::deflate::{self, Compressor, Deflate, Settings};
use sansocket::{Client, Config, Event, Message, Role, Server, WebSocket, frame};
use std::mem::size_of;
use std::process::ExitCode;

const USAGE: &str = "\
usage: broadcast [--deflate]

Sends one message to 1,000 peers, without a network.

  --deflate  compress it, once, for the peers that have agreed to compression (needs the feature `deflate`)
";

const PEERS: usize = 1_000;
/// The compressed frame needs a window of 2^12 bytes, as `Settings::server` agrees to.
#[cfg(feature = "deflate")]
const WINDOW_BITS: u8 = 12;

fn main() -> ExitCode {
    common::start(USAGE, parse, |deflate| {
        #[cfg(feature = "deflate")]
        if deflate {
            return broadcast(open_deflate);
        }
        let _ = deflate;
        broadcast(open)
    })
}

/// Returns whether to compress.
fn parse(args: &mut lexopt::Parser) -> Parsed<bool> {
    use lexopt::prelude::*;
    let mut deflate = false;
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("deflate") if cfg!(feature = "deflate") => deflate = true,
            Long("deflate") => return Err(common::NO_DEFLATE.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(deflate))
}

/// Both ends of a connection after the opening handshake.
fn open(_number: usize) -> Result<(WebSocket<impl Role>, WebSocket<impl Role>)> {
    let client = WebSocket::<Client<_>>::open(Config::new(), rand::rng());
    Ok((WebSocket::<Server>::open(Config::new()), client))
}

/// The same, with what the server answers to the client's offer of compression.
#[cfg(feature = "deflate")]
fn open_deflate(number: usize) -> Result<(WebSocket<impl Role>, WebSocket<impl Role>)> {
    type Deflating<R> = WebSocket<Deflate<Established<R>, Vec<u8>>>;
    let offer: &[u8] = match number % 4 {
        0 | 1 => b"permessage-deflate; client_max_window_bits",
        // Its window is too small for the compressed frame.
        2 => b"permessage-deflate; server_max_window_bits=10",
        // No compression.
        _ => b"",
    };
    let agreed = deflate::negotiate([offer], &Settings::server()).map(|answer| answer.parameters());
    let client = Deflating::<Client<_>>::open_deflate(Config::new(), rand::rng(), agreed, Vec::new())?;
    Ok((Deflating::<Server>::open_deflate(Config::new(), agreed, Vec::new())?, client))
}

/// A message, encoded for any number of connections.
struct News {
    plain: Vec<u8>,
    #[cfg(feature = "deflate")]
    deflated: Vec<u8>,
}

impl News {
    fn new(text: &str) -> Result<Self> {
        let mut plain = Vec::new();
        frame::encode(text, &mut plain)?;
        #[cfg(feature = "deflate")]
        let deflated = {
            let (mut compressor, mut frame) = (Compressor::shared(vec![0; 4096]), Vec::new());
            deflate::encode(text, WINDOW_BITS, &mut compressor, &mut frame)?;
            frame
        };
        Ok(Self {
            plain,
            #[cfg(feature = "deflate")]
            deflated,
        })
    }

    /// The frame for a connection; `None` if it takes none now: it is closing, or its caller is
    /// inside a fragmented message or a payload. The frame must be written next.
    fn frame<R: Role>(&self, ws: &mut WebSocket<R>) -> Option<&[u8]> {
        #[cfg(feature = "deflate")]
        if ws.note_deflated(WINDOW_BITS).is_ok() {
            return Some(&self.deflated);
        }
        ws.can_send().then_some(&self.plain)
    }
}

/// Text that is worth compressing.
fn quotes() -> String {
    let quote =
        |number| format!(r#"{{"symbol":"S{number:02}","bid":{}.25,"ask":{}.5}}"#, number * 7, number * 7);
    format!("[{}]", (10..40).map(quote).collect::<Vec<_>>().join(","))
}

/// The server's end of a connection. There is no stream here: the bytes in the outbox count as
/// sent.
struct Peer<R: Role> {
    ws: WebSocket<R>,
    outbox: Vec<u8>,
}

fn broadcast<S: Role, C: Role>(
    open: impl Fn(usize) -> Result<(WebSocket<S>, WebSocket<C>)>,
) -> Result<ExitCode> {
    let (mut peers, mut clients) = (Vec::new(), Vec::new());
    for number in 0..PEERS {
        let (ws, client) = open(number)?;
        peers.push(Peer { ws, outbox: Vec::new() });
        clients.push(client);
    }

    let quotes = quotes();
    let news = News::new(&quotes)?;
    let mut compressed = 0;
    for (number, peer) in peers.iter_mut().enumerate() {
        // Each connection can send messages of its own before the broadcast …
        peer.ws.send(&*format!("You are peer {number}."), &mut peer.outbox)?;
        let frame = news.frame(&mut peer.ws).ok_or("the peer takes no message now")?;
        peer.outbox.extend_from_slice(frame);
        // … and after it.
        peer.ws.ping(b"read?", &mut peer.outbox)?;
        compressed += usize::from(frame.len() < news.plain.len());
    }

    for (number, (peer, mut client)) in peers.iter_mut().zip(clients).enumerate() {
        let (mut input, mut inbox) = (&mut peer.outbox[..], Vec::new());
        let welcome = format!("You are peer {number}.");
        for expected in [&welcome, &quotes] {
            match client.receive(&mut input, &mut inbox) {
                Some(Event::Message(Message::Text(text))) if text == expected => {}
                _ => return Err(format!("peer {number} did not receive \"{expected}\"").into()),
            }
        }
        match client.receive(&mut input, &mut inbox) {
            Some(Event::Ping(payload)) if payload == b"read?" && input.is_empty() => {}
            _ => return Err(format!("peer {number} did not receive one Ping at the end").into()),
        }
    }
    println!("{PEERS} peers received a message of {} bytes:", quotes.len());
    println!("{} a frame of {} bytes, encoded once", PEERS - compressed, news.plain.len());
    #[cfg(feature = "deflate")]
    if compressed > 0 {
        println!("{compressed} a frame of {} bytes, compressed once", news.deflated.len());
    }
    println!("bytes per connection: {}, and an outbox", size_of::<WebSocket<S>>());
    Ok(ExitCode::SUCCESS)
}
