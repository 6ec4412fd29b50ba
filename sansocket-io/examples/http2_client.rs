//! Sends a message over a stream of HTTP/2 (RFC 8441), and prints the answer:
//! `http2_client wss://localhost:9001/echo roots.pem`.

use http_body_util::Empty;
use hyper::{Request, body::Bytes, client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansocket_io::sansocket::handshake::check_connect_response;
use sansocket_io::tokio::tokio_rustls::TlsConnector;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sansocket_io::tokio::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use sansocket_io::tokio::{connect_tcp, open_client};
use sansocket_io::{CloseCode, Connect, Event, Settings};
use std::error::Error;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("http2_client URI ROOTS");
    let uri = argument()?;
    let connect = Connect::from_uri(&uri)?.protocol("echo");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(argument()?)? {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect_tcp(&connect, &Settings::new()).await?;
    let name = ServerName::try_from(connect.host().to_owned())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;

    let (mut http, mut connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // With the first response, the server's settings have arrived: whether it takes an extended CONNECT
    // (RFC 8441 section 3).
    let first = Request::head(connect.http_uri().to_string()).body(Empty::<Bytes>::new())?;
    tokio::select! {
        response = http.send_request(first) => drop(response?),
        ended = &mut connection => ended?,
    }
    if !connection.is_extended_connect_protocol_enabled() {
        return Err("the server has no WebSockets over HTTP/2".into());
    }
    tokio::spawn(connection);
    let request =
        Request::connect(connect.http_uri().to_string()).extension(Protocol::from_static("websocket"));
    let request =
        connect.connect_headers().fold(request, |request, (name, value)| request.header(name, value));
    let response = http.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let agreed = check_connect_response(response.status().as_u16(), headers, &connect)?;
    println!("subprotocol: {:?}", agreed.protocol());

    let upgraded = hyper::upgrade::on(response).await?;
    let mut socket = open_client(TokioIo::new(upgraded), Settings::new())?;
    socket.reply().send("Hello")?;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => {
                println!("{message:?}");
                reply.close(CloseCode::NORMAL, "")?;
            }
            Event::Error(error) => return Err(error.into()),
            Event::Close(close) => println!("closed: {close}"),
            _ => {}
        }
    }
    Ok(())
}
