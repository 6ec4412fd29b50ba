//! Sends one message to 1,000 peers: the frame is encoded once, and each connection gets a copy of
//! its bytes.

#[path = "common/mod.rs"]
mod common;

use common::Result;
use sansocket::{Client, Config, Event, Message, Server, WebSocket, frame};
use std::mem::size_of;
use std::process::ExitCode;

const USAGE: &str = "usage: broadcast\n\nSends one message to 1,000 peers, without a network.\n";

const PEERS: usize = 1_000;
const NEWS: &str = "The same frame for every peer: a server does not mask its frames.";

/// The state of one connection. There is no stream here: the bytes in the outbox count as sent.
struct Peer {
    ws: WebSocket<Server>,
    outbox: Vec<u8>,
}

fn main() -> ExitCode {
    common::start(USAGE, common::no_options, run)
}

fn run((): ()) -> Result<ExitCode> {
    // Connections after the opening handshake.
    let mut peers: Vec<Peer> = (0..PEERS)
        .map(|_| Peer { ws: WebSocket::<Server>::open(Config::default()), outbox: Vec::new() })
        .collect();

    let mut news = Vec::new();
    frame::encode(NEWS, &mut news)?;
    for (number, peer) in peers.iter_mut().enumerate() {
        // Each connection can send messages of its own before the broadcast …
        peer.ws.send(&*format!("You are peer {number}."), &mut peer.outbox)?;
        // … which fits between any two frames. (Except inside a fragmented message, and between
        // `send_header` and its payload: the caller must check that.)
        peer.outbox.extend_from_slice(&news);
        // … and after it.
        peer.ws.ping(b"read?", &mut peer.outbox)?;
    }

    let mut received = 0;
    for (number, peer) in peers.iter_mut().enumerate() {
        let mut ws = WebSocket::<Client<_>>::open(Config::default(), rand::rng());
        let mut inbox = Vec::new();
        let mut input = &mut peer.outbox[..];
        let welcome = format!("You are peer {number}.");
        for expected in [&*welcome, NEWS] {
            match ws.receive(&mut input, &mut inbox) {
                Some(Event::Message(Message::Text(text))) if text == expected => {}
                _ => return Err(format!("peer {number} did not receive \"{expected}\"").into()),
            }
        }
        match ws.receive(&mut input, &mut inbox) {
            Some(Event::Ping(payload)) if payload == b"read?" && input.is_empty() => received += 1,
            _ => return Err(format!("peer {number} did not receive one Ping at the end").into()),
        }
    }
    println!("{received} of {PEERS} peers received {} bytes, encoded once", news.len());
    println!(
        "bytes per connection: {} for the machine, {} for an empty outbox",
        size_of::<WebSocket<Server>>(),
        size_of::<Vec<u8>>()
    );
    Ok(ExitCode::SUCCESS)
}
