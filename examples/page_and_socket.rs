//! Serves a page and its WebSocket on one port: run `page_and_socket ADDR` and open `http://ADDR/`
//! in a browser.

#[path = "blocking/mod.rs"]
mod blocking;

use blocking::{Result, linger, listen, read};
use sansocket::{Config, Event, Inbox, Reject, Request, Server, WebSocket};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PAGE: &[u8] = br#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>A page and its socket</title>
<form><input autofocus placeholder="say something"> <button>Send</button></form>
<pre></pre>
<script>
const say = (line) => document.querySelector("pre").append(line + "\n");
const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
socket.onopen = () => say("open");
socket.onmessage = (event) => say("echo: " + event.data);
socket.onclose = (event) => say("closed: " + event.code);
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  const input = document.querySelector("input");
  socket.send(input.value);
  input.value = "";
};
</script>
</html>
"#;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).ok_or("usage: page_and_socket ADDR")?;
    Ok(listen(&address, serve)?)
}

fn serve(mut stream: &TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let started = Instant::now();
    // Each connection may collect a message of this size in memory.
    let mut ws = WebSocket::server(Config::new().plain_requests(true).max_message(1 << 20));
    let (mut buffer, mut inbox, mut outbox) = ([0; 4096], Inbox::new(), Vec::new());
    let mut filled = 0;
    loop {
        let mut input = &mut buffer[..filled];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Request(request) => answer(&mut ws, &request, &mut outbox)?,
                Event::Message(message) => ws.send(message, &mut outbox)?,
                Event::Error(error) => eprintln!("{error}"),
                // Follows a plain response too, with code 1006: there was no WebSocket.
                Event::Close(_) => {}
                Event::Open(_)
                | Event::BadRequest(_)
                | Event::Refused(_)
                | Event::Piece(_)
                | Event::Ping(_)
                | Event::Pong(_) => {}
            }
            ws.transmit(&mut outbox)?;
            stream.write_all(&outbox)?;
            outbox.clear();
        }
        ws.transmit(&mut outbox)?;
        stream.write_all(&outbox)?;
        outbox.clear();
        if ws.is_closed() {
            return Ok(linger(stream)?);
        }
        filled = read(stream, &mut ws, &mut buffer, started)?;
    }
}

/// Answers upgrades and plain requests. The page goes out through `reject`, with status 200.
fn answer(ws: &mut WebSocket<Server>, request: &Request<'_>, outbox: &mut Vec<u8>) -> Result<()> {
    let path = request.target().split('?').next();
    match (path, request.is_upgrade()) {
        (Some("/socket"), true) if is_from_our_page(request) => ws.accept(request.accept(), outbox)?,
        (Some("/socket"), true) => ws.reject(Reject::status(403), outbox)?,
        (Some("/socket"), false) => ws.reject(Reject::status(426), outbox)?,
        (Some("/"), _) => {
            let html = Reject::status(200).headers(&[("Content-Type", "text/html; charset=utf-8")]);
            ws.reject(html.body(PAGE), outbox)?;
        }
        _ => ws.reject(Reject::status(404).body(b"there is only /\n"), outbox)?,
    }
    Ok(())
}

/// Checks `Origin`, which browsers always send. Other clients may leave it out.
fn is_from_our_page(request: &Request<'_>) -> bool {
    let host = request.host();
    request.origin().is_none_or(|origin| origin.strip_prefix("http://").is_some_and(|page| page == host))
}
