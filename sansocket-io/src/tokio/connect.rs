//! Connections from a URI, from an accepted stream, and from an upgraded one.

use super::{AcceptError, ClientSocket, OpenError, ServerSocket, Tokio, TokioClock};
use crate::{Pooled, Settings, Socket, tcp};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::TcpStream;
use ::tokio::time::timeout;
use sansocket::{Accept, Client, Connect, Open, Reject, Request, Role, Server, WebSocket};
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
/// ```no_run
/// # async fn connect_to_chat() -> Result<(), sansocket_io::tokio::OpenError> {
/// use sansocket_io::{Connect, OpenError, Settings, tokio::connect_with};
/// let connect = Connect::from_uri("ws://example.com/chat").map_err(OpenError::Request)?;
/// let connect = connect.protocols(&["v2.chat", "v1.chat"]);
/// let protocol = |open: &sansocket_io::sansocket::Open<'_>| open.protocol().map(str::to_owned);
/// let (socket, protocol) = connect_with(connect, Settings::new(), protocol).await?;
/// # Ok(())
/// # }
/// ```
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

/// Sends the request on a stream that is connected already, to a proxy for example.
///
/// # Errors
/// [`OpenError`].
pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin, O>(
    stream: S,
    connect: Connect<'_>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(ClientSocket<S>, O), OpenError> {
    let mut socket = client(stream, settings)?;
    let opened = socket.connect(connect, on_open).await?;
    Ok((socket, opened))
}

/// A client's connection before its request: call [`connect`](Socket::connect) next, or
/// [`Reply::connect`](crate::Reply::connect) and wait for its events.
///
/// # Errors
/// [`Unreachable`](crate::OpenError::Unreachable): the operating system has no random numbers.
pub fn client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
) -> Result<ClientSocket<S>, OpenError> {
    let rng = tcp::rng().map_err(OpenError::Unreachable)?;
    Ok(new(stream, WebSocket::client(settings.config, rng), settings))
}

/// Connects over TCP to the host of the request, within
/// [`Settings::connect_timeout`], and sets the options of the stream with [`tune`].
///
/// # Errors
/// [`OpenError`].
pub async fn connect_tcp(connect: &Connect<'_>, settings: &Settings) -> Result<TcpStream, OpenError> {
    connect.check().map_err(OpenError::Request)?;
    in_time(settings, tcp_stream(connect)).await
}

pub(super) async fn tcp_stream(connect: &Connect<'_>) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((tcp::host(connect).as_str(), connect.port())).await?;
    tune(&stream)?;
    Ok(stream)
}

/// Waits for a transport, but not longer than the settings allow.
pub(super) async fn in_time<S>(
    settings: &Settings,
    connecting: impl Future<Output = io::Result<S>>,
) -> Result<S, OpenError> {
    let connected = match settings.connect_timeout {
        Some(time) => timeout(time, connecting).await.map_err(|_| OpenError::ConnectTimeout)?,
        None => connecting.await,
    };
    connected.map_err(OpenError::Unreachable)
}

/// Serves the opening handshake on an accepted TCP stream, with the default [`Settings`]: `decide`
/// sees the request and accepts or rejects it.
///
/// ```no_run
/// use sansocket_io::{Reject, tokio::accept};
/// # async fn serve(stream: tokio::net::TcpStream) -> Result<(), sansocket_io::tokio::AcceptError> {
/// let mut socket = accept(stream, |request| match request.target() {
///     "/chat" => Ok(request.accept()),
///     _ => Err(Reject::status(404)),
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
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

/// A server's connection whose opening handshake other software has done: the upgraded stream of
/// hyper or axum, for example, over HTTP/1.1 or HTTP/2.
pub fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: S, settings: Settings) -> ServerSocket<S> {
    new(stream, WebSocket::<Server>::open(settings.config), settings)
}

/// A client's connection whose opening handshake other software has done: a stream of HTTP/2, for
/// example.
///
/// # Errors
/// [`Unreachable`](crate::OpenError::Unreachable): the operating system has no random numbers.
pub fn open_client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: Settings,
) -> Result<ClientSocket<S>, OpenError> {
    let rng = tcp::rng().map_err(OpenError::Unreachable)?;
    Ok(new(stream, WebSocket::<Client<_>>::open(settings.config, rng), settings))
}

pub(super) fn new<R: Role, S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    ws: WebSocket<R>,
    settings: Settings,
) -> Socket<R, Tokio<S>, TokioClock, Pooled> {
    Socket::new(Tokio(stream), TokioClock::new(), ws, Pooled::default(), settings)
}

/// Sets the options that a WebSocket wants of a TCP stream: `TCP_NODELAY`, and `TCP_NOTSENT_LOWAT`
/// of 128 KiB where the platform has it. The functions that take or make a [`TcpStream`] call it.
///
/// # Errors
/// The stream's error.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    tcp::tune(&socket2::SockRef::from(stream))
}
