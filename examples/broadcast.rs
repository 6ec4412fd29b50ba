//! One message to 1,000 peers: it is encoded once, and the same bytes go to each connection.

use sansocket::{Client, Config, Event, Message, Server, WebSocket, frame};
use std::mem::size_of;

const PEERS: usize = 1_000;
const NEWS: &str = "The same frame for everybody: a server's frames are not masked.";

/// What a server keeps for each peer. Here the stream is left out: whatever is in the outbox has been sent.
struct Peer {
    ws: WebSocket<Server>,
    outbox: Vec<u8>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Their handshakes are done.
    let mut peers: Vec<Peer> = (0..PEERS)
        .map(|_| Peer { ws: WebSocket::<Server>::open(Config::default()), outbox: Vec::new() })
        .collect();

    let mut news = Vec::new();
    frame::encode(NEWS, &mut news)?;
    for (number, peer) in peers.iter_mut().enumerate() {
        // Each connection goes on by itself: before the news …
        peer.ws.send(&*format!("You are peer {number}."), &mut peer.outbox)?;
        // … which may go between any two of its frames. (Not where a message of its own is sent in fragments, nor where the
        // payload behind a `send_header` is still to come: that is for the caller to know.)
        peer.outbox.extend_from_slice(&news);
        // … and after them.
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
                other => return Err(format!("peer {number}: {other:?}").into()),
            }
        }
        match ws.receive(&mut input, &mut inbox) {
            Some(Event::Ping(payload)) if payload == b"read?" && input.is_empty() => received += 1,
            other => return Err(format!("peer {number}: {other:?}").into()),
        }
    }
    println!("{received} of {PEERS} peers received {} bytes, encoded once", news.len());
    println!(
        "bytes per connection: {} for the machine, {} for an outbox that is empty",
        size_of::<WebSocket<Server>>(),
        size_of::<Vec<u8>>()
    );
    Ok(())
}
