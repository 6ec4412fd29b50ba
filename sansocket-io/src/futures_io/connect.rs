//! Connections from a URI, from an accepted stream, and from an upgraded one.

use super::{AcceptError, AsyncIoClock, ClientSocket, FuturesIo, OpenError, ServerSocket};
use crate::{Pooled, Settings, Socket, tcp};
use ::futures_io::{AsyncRead, AsyncWrite};
use async_io::Timer;
use async_net::TcpStream;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use sansocket::{Accept, Connect, Open, Reject, Request, Role, Server, WebSocket};
use std::io;

/// Connects to a `ws://` URI with the default [`Settings`].
///
/// # Errors
/// [`OpenError`]: which side failed, and how. A redirect or a 401 is
/// [`Refused`](crate::OpenError::Refused), with status and headers.
pub async fn connect(uri: &str) -> Result<ClientSocket, OpenError> {
    let connect = Connect::from_uri(uri).map_err(OpenError::Request)?;
    let (socket, ()) = connect_with(connect, Settings::new(), |_| ()).await?;
    Ok(socket)
}

/// Connects over TCP, with subprotocols and headers of the caller. `on_open` sees the response;
/// what it returns is returned.
///
/// # Errors
/// [`OpenError`].
pub async fn connect_with<O>(
    connect: Connect<'_>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(ClientSocket, O), OpenError> {
    if connect.is_secure() {
        return Err(OpenError::Scheme);
    }
    let stream = connect_tcp(&connect, &settings).await?;
    connect_on(stream, connect, settings, on_open).await
}

/// Sends the request on a stream that is connected already: to a proxy, by TLS, or by another
/// runtime than smol. Of a TCP stream, set the options before with [`tune`].
///
/// # Errors
/// [`OpenError`].
pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin, O>(
    stream: S,
    connect: Connect<'_>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(ClientSocket<S>, O), OpenError> {
    let ws = WebSocket::client(settings.config, tcp::rng().map_err(OpenError::Unreachable)?);
    let mut socket = new(stream, ws, settings);
    let opened = socket.connect(connect, on_open).await?;
    Ok((socket, opened))
}

/// Connects over TCP to the host of the request, in time.
async fn connect_tcp(connect: &Connect<'_>, settings: &Settings) -> Result<TcpStream, OpenError> {
    connect.check().map_err(OpenError::Request)?;
    let host = tcp::host(connect);
    let connecting = async {
        let stream = TcpStream::connect((host.as_str(), connect.port())).await?;
        tune(&stream)?;
        Ok(stream)
    };
    let connected = within(settings.connect_timeout, connecting).await.ok_or(OpenError::ConnectTimeout)?;
    connected.map_err(OpenError::Unreachable)
}

/// `None`: the future is not ready in time.
pub(super) async fn within<F: Future>(time: Option<Duration>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut timer = time.map_or_else(Timer::never, Timer::after);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Pin::new(&mut timer).poll(cx).map(|_| None),
    })
    .await
}

/// Serves the opening handshake on an accepted TCP stream of smol, with the default [`Settings`]:
/// `decide` sees the request and accepts or rejects it.
///
/// # Errors
/// [`AcceptError`]. What had to be sent is sent, and the stream is closed.
pub async fn accept<'a>(
    stream: TcpStream,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
) -> Result<ServerSocket, AcceptError> {
    tune(&stream).map_err(|error| AcceptError::Transport(crate::Failure::Read(error)))?;
    accept_on(stream, Settings::new(), decide).await
}

/// Serves the opening handshake on any stream. Of a TCP stream, set the options before with
/// [`tune`].
///
/// # Errors
/// [`AcceptError`]. What had to be sent is sent, and the stream is closed.
pub async fn accept_on<'a, S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
) -> Result<ServerSocket<S>, AcceptError> {
    let mut socket = server(stream, settings);
    socket.accept(decide).await?;
    Ok(socket)
}

/// A server's connection before the client's request: [`Event::Request`](crate::Event::Request) is
/// its first event. For an answer that takes time.
pub fn server<S: AsyncRead + AsyncWrite + Unpin>(stream: S, settings: Settings) -> ServerSocket<S> {
    new(stream, WebSocket::server(settings.config), settings)
}

/// A server's connection whose opening handshake other software has done: an upgraded stream.
pub fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: S, settings: Settings) -> ServerSocket<S> {
    new(stream, WebSocket::<Server>::open(settings.config), settings)
}

fn new<R: Role, S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    ws: WebSocket<R>,
    settings: Settings,
) -> Socket<R, FuturesIo<S>, AsyncIoClock, Pooled> {
    Socket::new(FuturesIo(stream), AsyncIoClock::new(), ws, Pooled::default(), settings)
}

/// Sets the options that a WebSocket wants of a TCP stream: `TCP_NODELAY`, and `TCP_NOTSENT_LOWAT`
/// of 128 KiB where the platform has it. The functions that take or make a [`TcpStream`] call it;
/// call it for the streams of other runtimes.
///
/// # Errors
/// The stream's error.
pub fn tune<'s, S>(stream: &'s S) -> io::Result<()>
where
    socket2::SockRef<'s>: From<&'s S>,
{
    tcp::tune(&socket2::SockRef::from(stream))
}
