//! Sends a message over TLS, and prints the answer: `wss_client wss://localhost:9001/ roots.pem`.

use sansocket_io::tokio::connect_tls;
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use sansocket_io::tokio::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use sansocket_io::{CloseCode, Event};
use std::error::Error;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("wss_client URI ROOTS");
    let uri = argument()?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(argument()?)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

    let mut socket = connect_tls(&uri, Arc::new(config)).await?;
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
