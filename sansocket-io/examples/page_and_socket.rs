//! Serves a page and its WebSocket on one port: run `page_and_socket ADDR` and open `http://ADDR/`
//! in a browser.

#[path = "common/mod.rs"]
mod common;

use common::{PageServer, is_trusted};
use sansocket_io::blocking::{Server, ServerSocket};
use sansocket_io::{Accept, AcceptError, Config, Event, Reject, Request, Settings};
use std::net::SocketAddr;
use std::process::ExitCode;

const USAGE: &str = "\
usage: page_and_socket ADDR [--host NAME]... [--connections N]

Serves a page and its WebSocket on ADDR, an address and a port: 127.0.0.1:8080.

  --host NAME      a host name of this server, beside its address and localhost
  --connections N  the maximum number of connections (default: 1000); others wait
";

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
        let server = Server::bind(&address).map_err(|error| format!("{address}: {error}"))?;
        println!("listening on {}", server.local_addr()?);
        let stop = server.stop_handle();
        ctrlc::set_handler(move || stop.stop())?;
        // Requests that are no upgrades are events too. Each connection may collect a message of
        // this size in memory.
        let config = Config::new().plain_requests(true).max_message(1 << 20);
        let server = server.settings(Settings::new().config(config)).max_connections(connections);
        server.on_error(|error| eprintln!("{error}")).run(move |socket, peer| serve(socket, peer, &hosts));
        Ok(ExitCode::SUCCESS)
    })
}

fn serve(mut socket: ServerSocket, peer: SocketAddr, hosts: &[String]) {
    let local = socket.stream().get_ref().local_addr();
    let trusted = |request: &Request<'_>| match &local {
        Ok(local) => is_trusted(request, local.ip(), hosts, &[]),
        Err(_) => false,
    };
    match socket.accept(|request| answer(request, trusted(request))) {
        // The page was sent, or another response without a WebSocket.
        Err(AcceptError::Rejected) => return,
        Err(error) => return eprintln!("{peer}: {error}"),
        Ok(()) => {}
    }
    while let Some((event, reply)) = socket.next() {
        match event {
            Event::Message(message) => _ = reply.send(message),
            Event::Error(error) => eprintln!("{peer}: {error}"),
            _ => {}
        }
    }
}

/// Answers upgrades and plain requests. The page is a refusal with status 200.
fn answer(request: &Request<'_>, is_trusted: bool) -> Result<Accept<'static>, Reject<'static>> {
    match (request.target().split('?').next(), request.is_upgrade()) {
        (Some("/socket"), true) if is_trusted => Ok(request.accept()),
        (Some("/socket"), true) => Err(Reject::status(403)),
        (Some("/socket"), false) => Err(Reject::status(426)),
        (Some("/"), _) => {
            let html = Reject::status(200).headers(&[("Content-Type", "text/html; charset=utf-8")]);
            Err(html.body(PAGE))
        }
        _ => Err(Reject::status(404).body(b"there is only /\n")),
    }
}
