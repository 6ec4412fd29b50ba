//! Connections whose messages can be compressed (RFC 7692).

use super::connect::new;
use super::{OpenError, Tokio, TokioClock};
use crate::{Pooled, Settings, Socket, tcp};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::TcpStream;
use rand::rngs::StdRng;
use sansocket::deflate::{self, Deflate};
use sansocket::{Client, Server, WebSocket};
use std::vec::Vec;

/// A server's connection that can compress messages.
pub type DeflateServerSocket<S = TcpStream> = Socket<Deflate<Server, Vec<u8>>, Tokio<S>, TokioClock, Pooled>;
/// A client's connection that can compress messages.
pub type DeflateClientSocket<S = TcpStream> =
    Socket<Deflate<Client<StdRng>, Vec<u8>>, Tokio<S>, TokioClock, Pooled>;

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
/// use sansocket_io::sansocket::deflate::{Compressor, Settings as Deflate};
/// use sansocket_io::{Event, Settings, tokio::deflate_server};
/// # async fn serve(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = deflate_server(stream, Settings::new(), Deflate::server());
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
