//! Both ends of the WebSocket, by this crate.

use super::http::USER_AGENT;
use super::{Counted, Feed, Log, Result};
use sansocket::{CloseCode, Config, Connect, Event, Inbox, Message, WebSocket};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;

/// Sends each update as a message, then closes.
pub fn serve(mut stream: Counted, feed: &Feed, updates: u32) -> Result<()> {
    let mut ws = WebSocket::server(Config::default());
    let (mut buffer, mut inbox, mut outbox) = ([0; 4096], Inbox::new(), Vec::new());
    let mut told = 0;
    while !ws.is_closed() {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            ws.receive_eof();
        }
        let mut input = &mut buffer[..read];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            if let Event::Request(request) = event {
                ws.accept(request.accept(), &mut outbox)?;
                stream.counter.requests.fetch_add(1, Relaxed);
            }
            ws.transmit(&mut outbox)?;
        }
        // This client says nothing before it is told everything.
        while ws.can_send() && told < updates {
            stream.write_all(&outbox)?;
            outbox.clear();
            for (id, update) in feed.wait_since(told) {
                ws.send(&*update, &mut outbox)?;
                told = id;
            }
        }
        if ws.can_send() {
            ws.close(CloseCode::NORMAL, "", &mut outbox)?;
        }
        ws.transmit(&mut outbox)?;
        stream.write_all(&outbox)?;
        outbox.clear();
    }
    Ok(())
}

/// Takes messages until the server closes.
pub fn listen(mut stream: TcpStream, log: &mut Log<'_>) -> Result<()> {
    let address = stream.peer_addr()?.to_string();
    let origin = format!("http://{address}");
    let mut ws = WebSocket::client(Config::default(), rand::rng());
    let (mut buffer, mut inbox, mut outbox) = ([0; 4096], Inbox::new(), Vec::new());
    // What Chromium 156 adds of its own.
    let headers = [
        ("Pragma", "no-cache"),
        ("Cache-Control", "no-cache"),
        ("User-Agent", USER_AGENT),
        ("Origin", &origin),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en-US,en;q=0.9"),
    ];
    ws.connect(Connect::new(&address, "/updates").headers(&headers), &mut outbox)?;
    stream.write_all(&outbox)?;
    outbox.clear();
    while !ws.is_closed() {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            ws.receive_eof();
        }
        let mut input = &mut buffer[..read];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Message(Message::Text(update)) => log.take(update)?,
                Event::Error(error) => return Err(error.to_string().into()),
                _ => {}
            }
            ws.transmit(&mut outbox)?;
        }
        ws.transmit(&mut outbox)?;
        stream.write_all(&outbox)?;
        outbox.clear();
    }
    if log.is_complete() { Ok(()) } else { Err("some updates never came".into()) }
}
