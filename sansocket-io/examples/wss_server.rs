//! Echoes over TLS: `wss_server 127.0.0.1:9001 certificate.pem key.pem`.

use sansocket_io::tokio::tokio_rustls::TlsAcceptor;
use sansocket_io::tokio::tokio_rustls::rustls::ServerConfig;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::pem::PemObject;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sansocket_io::tokio::{Server, server};
use sansocket_io::{Event, Settings};
use std::error::Error;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("wss_server ADDRESS CERTIFICATE KEY");
    let listener = Server::bind(argument()?).await?;
    let certificates = CertificateDer::pem_file_iter(argument()?)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(argument()?)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    println!("listening on {}", listener.local_addr()?);

    let prepare = move |stream| {
        let accepting = acceptor.accept(stream);
        async { Ok(server(accepting.await?, Settings::new())) }
    };
    let echo = |mut socket: sansocket_io::tokio::ServerSocket<_>, _| async move {
        if socket.accept(|request| Ok(request.accept())).await.is_err() {
            return;
        }
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                let _ = reply.send(message);
            }
        }
    };
    listener.run_with(tokio::signal::ctrl_c(), prepare, echo).await;
    Ok(())
}
