//! Both ends of the WebSocket, with this crate.

use super::http::USER_AGENT;
use super::{Counted, Feed, Log, Result};
use sansocket::{CloseCode, Config, Connect, Event, Inbox, Message, Role, WebSocket};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Sends each update as a message, then closes.
pub fn serve(mut stream: Counted, feed: &Feed, updates: u32) -> Result<()> {
    let counter = Arc::clone(&stream.counter);
    let mut ws = WebSocket::server(Config::default());
    let (mut inbox, mut outbox) = (Inbox::new(), Vec::new());
    let mut last = 0;
    while !ws.is_closed() {
        turn(&mut ws, &mut stream, &mut inbox, &mut outbox, |ws, event, outbox| {
            if let Event::Request(request) = event {
                ws.accept(request.accept(), outbox)?;
                counter.requests.fetch_add(1, Relaxed);
            }
            Ok(())
        })?;
        // The client sends nothing until it has all updates.
        while ws.can_send() && last < updates {
            for (id, update) in feed.wait_since(last) {
                ws.send(&*update, &mut outbox)?;
                last = id;
            }
            flush(&mut stream, &mut outbox)?;
        }
        if ws.can_send() {
            ws.close(CloseCode::NORMAL, "", &mut outbox)?;
            flush(&mut stream, &mut outbox)?;
        }
    }
    Ok(())
}

/// Receives messages until the server closes.
pub fn listen(mut stream: TcpStream, log: &mut Log<'_>) -> Result<()> {
    let address = stream.peer_addr()?.to_string();
    let origin = format!("http://{address}");
    let mut ws = WebSocket::client(Config::default(), rand::rng());
    let (mut inbox, mut outbox) = (Inbox::new(), Vec::new());
    // The headers that Chromium 156 adds.
    let headers = [
        ("Pragma", "no-cache"),
        ("Cache-Control", "no-cache"),
        ("User-Agent", USER_AGENT),
        ("Origin", &origin),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en-US,en;q=0.9"),
    ];
    ws.connect(Connect::new(&address, "/updates").headers(&headers), &mut outbox)?;
    flush(&mut stream, &mut outbox)?;
    while !ws.is_closed() {
        turn(&mut ws, &mut stream, &mut inbox, &mut outbox, |_, event, _| match event {
            Event::Message(Message::Text(update)) => log.take(update),
            Event::Error(error) => Err(error.to_string().into()),
            _ => Ok(()),
        })?;
    }
    if log.is_complete() { Ok(()) } else { Err("updates are missing".into()) }
}

/// Reads once, passes each event to `on_event`, and writes the output.
fn turn<R: Role>(
    ws: &mut WebSocket<R>,
    stream: &mut (impl Read + Write),
    inbox: &mut Inbox,
    outbox: &mut Vec<u8>,
    mut on_event: impl FnMut(&mut WebSocket<R>, Event<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer)?;
    if read == 0 {
        ws.receive_eof();
    }
    let mut input = &mut buffer[..read];
    while let Some(event) = ws.receive(&mut input, inbox) {
        on_event(ws, event, outbox)?;
        ws.transmit(outbox)?;
    }
    ws.transmit(outbox)?;
    flush(stream, outbox)
}

fn flush(stream: &mut impl Write, outbox: &mut Vec<u8>) -> Result<()> {
    stream.write_all(outbox)?;
    outbox.clear();
    Ok(())
}
