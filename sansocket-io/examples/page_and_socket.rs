//! Serves a page and its WebSocket on one port: run `page_and_socket ADDR` and open `http://ADDR/`
//! in a browser.

#[path = "blocking/mod.rs"]
mod blocking;
#[path = "common/mod.rs"]
mod common;

use blocking::{Socket, WRITE_TIMEOUT, linger, listen};
use common::{PageServer, Result, is_trusted};
use sansocket::{Config, Event, Inbox, Reject, Request, Server, State, WebSocket};
use std::net::TcpStream;
use std::process::ExitCode;

const USAGE: &str = "\
usage: page_and_socket ADDR [--host NAME]... [--connections N]

Serves a page and its WebSocket on ADDR, an address and a port: 127.0.0.1:8080.

  --host NAME      a host name of this server, beside its address and localhost
  --connections N  the maximum number of connections (default: 1000)
";

const BUFFER: usize = 4096;

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

fn main() -> ExitCode {
    let parse = |args: &mut _| PageServer::parse(args, 1000);
    common::start(USAGE, parse, |PageServer { address, hosts, connections }| {
        let address = address.ok_or(lexopt::Error::from("ADDR is missing"))?;
        listen(&address, connections, move |stream| serve(stream, &hosts))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn serve(stream: &TcpStream, hosts: &[String]) -> Result<()> {
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?.ip());
    let mut socket = Socket::new(stream, WRITE_TIMEOUT)?;
    // Each connection may collect a message of this size in memory.
    let mut ws = WebSocket::server(Config::new().plain_requests(true).max_message(1 << 20));
    let (mut buffer, mut inbox, mut outbox) = ([0; BUFFER], Inbox::new(), Vec::new());
    let mut filled = 0;
    loop {
        let mut input = &mut buffer[..filled];
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Request(request) => {
                    let trusted = is_trusted(&request, local, hosts, &[]);
                    answer(&mut ws, &request, trusted, &mut outbox)?;
                }
                // After our own Close frame, messages still arrive but cannot be answered.
                Event::Message(message) if ws.state() == State::Open => {
                    ws.send(message, &mut outbox)?;
                    // Free the memory of a large message.
                    inbox = Inbox::new();
                }
                Event::Error(error) => eprintln!("{peer}: {error}"),
                // Follows a plain response too, with code 1006: there was no WebSocket.
                Event::Close(_) => {}
                Event::BadRequest(request) => eprintln!("{peer}: refused: {request}"),
                Event::Open(_) | Event::Refused(_) | Event::Message(_) => {}
                Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => {}
            }
            ws.transmit(&mut outbox)?;
            socket.write_all(&mut ws, &outbox)?;
            outbox.clear();
            outbox.shrink_to(BUFFER);
        }
        ws.transmit(&mut outbox)?;
        socket.write_all(&mut ws, &outbox)?;
        outbox.clear();
        if ws.is_closed() {
            return linger(stream);
        }
        filled = socket.read(&mut ws, &mut buffer, &mut outbox, 0)?;
    }
}

/// Answers upgrades and plain requests. The page goes out through `reject`, with status 200.
fn answer(
    ws: &mut WebSocket<Server>,
    request: &Request<'_>,
    trusted: bool,
    outbox: &mut Vec<u8>,
) -> Result<()> {
    let path = request.target().split('?').next();
    match (path, request.is_upgrade()) {
        (Some("/socket"), true) if trusted => ws.accept(request.accept(), outbox)?,
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
