//! A page, and echoes at `/echo`, with axum: `axum_server 127.0.0.1:9001`.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, http};
use hyper_util::rt::TokioIo;
use sansocket_io::sansocket::{RequestError, handshake::check_request};
use sansocket_io::tokio::{open, tune};
use sansocket_io::{Event, Settings};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(tune(stream)));
    let routes = Router::new().route("/", get("A page")).route("/echo", get(upgrade));
    axum::serve(listener, routes).await
}

async fn upgrade(mut request: Request) -> Result<Response, String> {
    let head = match check_request(request.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes()))) {
        Ok(_) if request.method() != "GET" => RequestError::MethodNotAllowed.response(),
        checked => checked.map_or_else(RequestError::response, |accept| accept.response()),
    };
    if head.status() == 101 {
        tokio::spawn(echo(hyper::upgrade::on(&mut request)));
    }
    let response = http::Response::builder().status(head.status());
    let response = head.headers().fold(response, |response, (name, value)| response.header(name, value));
    response.body(Body::empty()).map_err(|error| error.to_string())
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
