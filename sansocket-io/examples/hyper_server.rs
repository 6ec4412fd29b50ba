//! Echoes behind hyper, which does HTTP: `hyper_server 127.0.0.1:9001`.

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, http, server::conn::http1};
use hyper_util::rt::TokioIo;
use sansocket_io::sansocket::{RequestError, handshake::check_request};
use sansocket_io::tokio::{accept_tcp, open};
use sansocket_io::{Event, Settings};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(std::env::args().nth(1).unwrap()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = accept_tcp(&listener).await;
        let stream = TokioIo::new(stream);
        tokio::spawn(http1::Builder::new().serve_connection(stream, service_fn(respond)).with_upgrades());
    }
}

async fn respond(mut request: Request<Incoming>) -> http::Result<Response<Empty<Bytes>>> {
    let head = match check_request(request.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes()))) {
        Ok(_) if request.method() != "GET" => RequestError::MethodNotAllowed.response(),
        checked => checked.map_or_else(RequestError::response, |accept| accept.response()),
    };
    if head.status() == 101 {
        tokio::spawn(echo(hyper::upgrade::on(&mut request)));
    }
    let response = Response::builder().status(head.status());
    head.headers().fold(response, |response, (name, value)| response.header(name, value)).body(Empty::new())
}

async fn echo(upgrade: hyper::upgrade::OnUpgrade) -> hyper::Result<()> {
    let mut socket = open(TokioIo::new(upgrade.await?), Settings::new());
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            let _ = reply.send(message);
        }
    }
    Ok(())
}
