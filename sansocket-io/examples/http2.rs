//! A page and its WebSocket over HTTP/2 (RFC 8441) and HTTP/1.1, on one TLS port:
//! `http2 127.0.0.1:9001 certificate.pem key.pem`.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, ext::Protocol, http, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sansocket_io::sansocket::handshake::{check_connect, check_request};
use sansocket_io::tokio::tokio_rustls::TlsAcceptor;
use sansocket_io::tokio::tokio_rustls::rustls::ServerConfig;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::pem::PemObject;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sansocket_io::tokio::{accept_tcp, open};
use sansocket_io::{Event, Settings};
use std::error::Error;
use std::sync::Arc;

const PAGE: &str = r#"<!doctype html><title>HTTP/2</title><pre></pre><script>
const say = (line) => document.querySelector("pre").append(line + "\n");
say("page over " + performance.getEntriesByType("navigation")[0].nextHopProtocol);
const socket = new WebSocket(`wss://${location.host}/echo`, ["echo"]);
socket.onopen = () => socket.send("Hello");
socket.onmessage = (event) => { say("echo: " + event.data); socket.close(1000); };
socket.onclose = (event) => say("closed: " + event.code);
</script>"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("http2 ADDRESS CERTIFICATE KEY");
    let listener = tokio::net::TcpListener::bind(argument()?).await?;
    let certificates = CertificateDer::pem_file_iter(argument()?)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(argument()?)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = accept_tcp(&listener).await;
        let accepting = acceptor.accept(stream);
        tokio::spawn(async {
            if let Ok(stream) = accepting.await {
                let mut http = auto::Builder::new(TokioExecutor::new());
                http.http2().enable_connect_protocol();
                let stream = TokioIo::new(stream);
                let _ = http.serve_connection_with_upgrades(stream, service_fn(respond)).await;
            }
        });
    }
}

async fn respond(mut request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let headers = || request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
    let checked = match (request.method(), request.uri().path(), protocol) {
        (&Method::CONNECT, "/echo", Some("websocket")) => check_connect(headers()),
        (&Method::GET, "/echo", None) => check_request(headers()),
        // Another protocol is "501 (Not Implemented)" (RFC 9220 section 3).
        (&Method::CONNECT, ..) if protocol != Some("websocket") => {
            return Response::builder().status(501).body(Full::default());
        }
        (&Method::GET, "/", None) => return Response::builder().body(Full::from(PAGE)),
        _ => return Response::builder().status(404).body(Full::default()),
    };
    let head = match checked {
        Ok(accept) => accept.select(headers(), &["echo"]).unwrap_or(accept).response(),
        Err(error) => error.response(),
    };
    if checked.is_ok() {
        tokio::spawn(echo(hyper::upgrade::on(&mut request)));
    }
    let response = Response::builder().status(head.status());
    head.headers()
        .fold(response, |response, (name, value)| response.header(name, value))
        .body(Full::default())
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
