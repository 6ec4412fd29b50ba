//! Connections to `wss` URIs, over rustls.

use super::connect::{in_time, tcp_stream};
use super::{ClientSocket, OpenError, connect_on};
use crate::Settings;
use ::tokio::net::TcpStream;
use sansocket::{Connect, Open};
use std::borrow::ToOwned;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// A client's connection over TLS.
pub type TlsClientSocket = ClientSocket<TlsStream<TcpStream>>;

/// Connects to a `wss://` URI with the default [`Settings`]. `config` says which certificates are
/// trusted; its ALPN protocols, if it has any, must not offer HTTP/2. The program chooses a
/// provider of cryptography, with a feature of rustls: `ring` or `aws_lc_rs`.
///
/// # Errors
/// [`OpenError`]: a certificate that is not trusted is
/// [`Unreachable`](crate::OpenError::Unreachable). A redirect or a 401 is
/// [`Refused`](crate::OpenError::Refused), with status and headers.
pub async fn connect_tls(uri: &str, config: Arc<ClientConfig>) -> Result<TlsClientSocket, OpenError> {
    let connect = Connect::from_uri(uri).map_err(OpenError::Request)?;
    let (socket, ()) = connect_tls_with(connect, config, Settings::new(), |_| ()).await?;
    Ok(socket)
}

/// Connects over TLS, with subprotocols and headers of the caller. `on_open` sees the response;
/// what it returns is returned.
///
/// # Errors
/// [`OpenError`].
pub async fn connect_tls_with<O>(
    connect: Connect<'_>,
    config: Arc<ClientConfig>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(TlsClientSocket, O), OpenError> {
    let stream = connect_tls_stream(&connect, config, &settings).await?;
    connect_on(stream, connect, settings, on_open).await
}

/// Connects over TCP and TLS to the host of the request, within [`Settings::connect_timeout`]: for
/// `deflate_client`, for example.
///
/// # Errors
/// [`OpenError`].
pub async fn connect_tls_stream(
    connect: &Connect<'_>,
    config: Arc<ClientConfig>,
    settings: &Settings,
) -> Result<TlsStream<TcpStream>, OpenError> {
    if !connect.is_secure() {
        return Err(OpenError::Scheme);
    }
    connect.check().map_err(OpenError::Request)?;
    in_time(settings, async {
        let name = ServerName::try_from(connect.host().to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, tcp_stream(connect).await?).await
    })
    .await
}
