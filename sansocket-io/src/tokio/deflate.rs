//! Connections whose messages can be compressed (RFC 7692).

use super::connect::new;
use super::{OpenError, Tokio, TokioClock, connect_tcp};
use crate::{Pooled, Settings, Socket, tcp};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::TcpStream;
use rand::rngs::StdRng;
use sansocket::deflate::{self, Deflate, Parameters, WindowTooSmall};
use sansocket::{Client, Connect, Established, Server, WebSocket};
use std::vec::Vec;

/// A server's connection that can compress messages.
pub type DeflateServerSocket<S = TcpStream> = Socket<Deflate<Server, Vec<u8>>, Tokio<S>, TokioClock, Pooled>;
/// A client's connection that can compress messages.
pub type DeflateClientSocket<S = TcpStream> =
    Socket<Deflate<Client<StdRng>, Vec<u8>>, Tokio<S>, TokioClock, Pooled>;
/// A server's connection that can compress messages, and whose opening handshake other software has
/// done.
pub type OpenDeflateSocket<S = TcpStream> =
    Socket<Deflate<Established<Server>, Vec<u8>>, Tokio<S>, TokioClock, Pooled>;

/// Connects to a `ws://` URI with the default [`Settings`], and offers compression:
/// `deflate::Settings::client()`, for example. Messages of [`send_deflated`] are compressed if the
/// server has agreed.
///
/// With subprotocols, headers or TLS, a stream of [`connect_tcp`] or `connect_tls_stream` goes to
/// [`deflate_client`].
///
/// ```no_run
/// use sansocket_io::sansocket::deflate::{self, Compressor};
/// use sansocket_io::tokio::connect_deflate;
/// # async fn talk() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = connect_deflate("ws://127.0.0.1:9001/", deflate::Settings::client()).await?;
/// let mut compressor = Compressor::with_takeover([0u16; 1024], [0u8; 6144]);
/// socket.reply().send_deflated("Hello, hello, hello", &mut compressor)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`OpenError`]: see [`connect`](super::connect).
///
/// [`send_deflated`]: crate::Reply::send_deflated
pub async fn connect_deflate(
    uri: &str,
    deflate: deflate::Settings,
) -> Result<DeflateClientSocket, OpenError> {
    let connect = Connect::from_uri(uri).map_err(OpenError::Request)?;
    if connect.is_secure() {
        return Err(OpenError::Scheme);
    }
    let settings = Settings::new();
    let mut socket = deflate_client(connect_tcp(&connect, &settings).await?, settings, deflate)?;
    socket.connect(connect, |_| ()).await?;
    Ok(socket)
}

/// A server's connection whose opening handshake other software has done, with what
/// [`check_request`](deflate::check_request) or [`negotiate`](deflate::negotiate) has agreed to:
/// `None` if messages are not compressed.
///
/// # Errors
/// [`WindowTooSmall`]: none today, since the memory grows to any window.
pub fn open_deflate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
    agreed: Option<Parameters>,
) -> Result<OpenDeflateSocket<S>, WindowTooSmall> {
    let ws = WebSocket::<Deflate<Established<Server>, _>>::open_deflate(settings.config, agreed, Vec::new())?;
    Ok(new(stream, ws, settings))
}

/// A server's connection that agrees to compression, before the client's request: call
/// [`accept`](Socket::accept) next. Of a TCP stream, set the options before with
/// [`tune`](super::tune).
///
/// [`Reply::send_deflated`](crate::Reply::send_deflated) sends compressed messages, `send` does not
/// compress. For many connections, [`Broadcast::deflated`](crate::Broadcast::deflated) compresses
/// once. The compressor of one connection is
/// [`Compressor::with_takeover`](deflate::Compressor::with_takeover); the module
/// [`deflate`](sansocket::deflate) says how large its memory should be.
/// [`Compressor::shared`](deflate::Compressor::shared) serves any number of connections.
///
/// ```no_run
/// use sansocket_io::sansocket::deflate::{self, Compressor};
/// use sansocket_io::{Event, Settings, tokio::deflate_server};
/// # async fn serve(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = deflate_server(stream, Settings::new(), deflate::Settings::server());
/// socket.accept(|request| Ok(request.accept())).await?;
/// let mut compressor = Compressor::with_takeover([0u16; 1024], [0u8; 6144]);
/// while let Some((event, reply)) = socket.next().await {
///     if let Event::Message(message) = event {
///         reply.send_deflated(message, &mut compressor)?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn deflate_server<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
    deflate: deflate::Settings,
) -> DeflateServerSocket<S> {
    new(stream, WebSocket::deflate_server(settings.config, deflate, Vec::new()), settings)
}

/// A client's connection that offers compression, before its request: call
/// [`connect`](Socket::connect) next. [`connect_tcp`](super::connect_tcp) or `connect_tls_stream`
/// makes the stream.
///
/// # Errors
/// [`Unreachable`](crate::OpenError::Unreachable): the operating system has no random numbers.
pub fn deflate_client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
    deflate: deflate::Settings,
) -> Result<DeflateClientSocket<S>, OpenError> {
    let rng = tcp::rng().map_err(OpenError::Unreachable)?;
    Ok(new(stream, WebSocket::deflate_client(settings.config, rng, deflate, Vec::new()), settings))
}
