//! Connections from a URI, from an accepted stream, and from an upgraded one.

use super::stream::{Blocking, Stream, TcpStream};
use super::wait::{BlockingClock, Wait};
use super::{AcceptError, ClientSocket, OpenError, ServerSocket, Socket};
use crate::{Failure, Heap, Settings, tcp};
use core::time::Duration;
use sansocket::{Accept, Config, Connect, Open, Reject, Request, Role, Server, WebSocket};
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::time::Instant;

/// Connects to a `ws://` URI with the default [`Settings`].
///
/// # Errors
/// [`OpenError`]: which side failed, and how. A redirect or a 401 is
/// [`Refused`](crate::OpenError::Refused), with status and headers.
pub fn connect(uri: &str) -> Result<ClientSocket, OpenError> {
    let connect = Connect::from_uri(uri).map_err(OpenError::Request)?;
    let (socket, ()) = connect_with(connect, Settings::new(), |_| ())?;
    Ok(socket)
}

/// Connects over TCP, with subprotocols and headers of the caller. `on_open` sees the response;
/// what it returns is returned.
///
/// # Errors
/// [`OpenError`].
pub fn connect_with<O>(
    connect: Connect<'_>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(ClientSocket, O), OpenError> {
    if connect.is_secure() {
        return Err(OpenError::Scheme);
    }
    let stream = connect_tcp(&connect, deadline(&settings))?;
    connect_on(stream, Ok, connect, settings, on_open)
}

/// Sends the request on a TCP stream that is connected already: to a proxy, or by TLS. `wrap` makes
/// the TLS stream of the TCP stream, or returns it as it is.
///
/// # Errors
/// [`OpenError`].
pub fn connect_on<S: Stream, O>(
    stream: std::net::TcpStream,
    wrap: impl FnOnce(TcpStream) -> io::Result<S>,
    connect: Connect<'_>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(ClientSocket<S>, O), OpenError> {
    let ws = WebSocket::client(settings.config, tcp::rng().map_err(OpenError::Unreachable)?);
    let mut socket = new(stream, wrap, ws, settings).map_err(OpenError::Unreachable)?;
    let opened = socket.connect(connect, on_open)?;
    Ok((socket, opened))
}

/// When a connection that is begun now must be there.
pub(super) fn deadline(settings: &Settings) -> Option<Instant> {
    settings.connect_timeout.and_then(|time| Instant::now().checked_add(time))
}

/// Connects to the addresses of the host in turn, in time. The resolver of the operating system has
/// a timeout of its own.
pub(super) fn connect_tcp(
    connect: &Connect<'_>,
    deadline: Option<Instant>,
) -> Result<std::net::TcpStream, OpenError> {
    connect.check().map_err(OpenError::Request)?;
    let host = tcp::host(connect);
    let addresses = (host.as_str(), connect.port()).to_socket_addrs().map_err(OpenError::Unreachable)?;
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let Some(deadline) = deadline else {
            match std::net::TcpStream::connect(address) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(OpenError::ConnectTimeout);
        }
        match std::net::TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() >= deadline => {
                return Err(OpenError::ConnectTimeout);
            }
            Err(error) => failure = error,
        }
    }
    Err(OpenError::Unreachable(failure))
}

/// Serves the opening handshake on an accepted TCP stream, with the default [`Settings`]: `decide`
/// sees the request and accepts or rejects it.
///
/// # Errors
/// [`AcceptError`]. What had to be sent is sent, and the stream is closed.
pub fn accept<'a>(
    stream: std::net::TcpStream,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
) -> Result<ServerSocket, AcceptError> {
    accept_on(stream, Ok, Settings::new(), decide)
}

/// Serves the opening handshake on an accepted TCP stream, by TLS for example: `wrap` makes the TLS
/// stream of the TCP stream, or returns it as it is.
///
/// # Errors
/// [`AcceptError`]. What had to be sent is sent, and the stream is closed.
pub fn accept_on<'a, S: Stream>(
    stream: std::net::TcpStream,
    wrap: impl FnOnce(TcpStream) -> io::Result<S>,
    settings: Settings,
    decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
) -> Result<ServerSocket<S>, AcceptError> {
    let socket = new(stream, wrap, WebSocket::server(settings.config), settings);
    let mut socket = socket.map_err(|error| AcceptError::Transport(Failure::Read(error)))?;
    socket.accept(decide)?;
    Ok(socket)
}

/// A server's connection before the client's request: [`Event::Request`](crate::Event::Request) is
/// its first event. For an answer that takes time.
///
/// # Errors
/// The stream's error.
pub fn server(stream: std::net::TcpStream, settings: Settings) -> io::Result<ServerSocket> {
    new(stream, Ok, WebSocket::server(settings.config), settings)
}

/// A server's connection whose opening handshake other software has done: an upgraded stream.
///
/// # Errors
/// The stream's error.
pub fn open(stream: std::net::TcpStream, settings: Settings) -> io::Result<ServerSocket> {
    new(stream, Ok, WebSocket::<Server>::open(settings.config), settings)
}

pub(super) fn new<R: Role, S: Stream>(
    stream: std::net::TcpStream,
    wrap: impl FnOnce(TcpStream) -> io::Result<S>,
    ws: WebSocket<R>,
    settings: Settings,
) -> io::Result<Socket<R, S>> {
    let prepare = |stream, _| Ok((wrap(stream)?, ws));
    with_wait(Wait::new()?, stream, prepare, settings)
}

/// `prepare` makes the stream and the machine of the connection.
pub(super) fn with_wait<R: Role, S: Stream>(
    wait: Wait,
    stream: std::net::TcpStream,
    prepare: impl FnOnce(TcpStream, Config) -> io::Result<(S, WebSocket<R>)>,
    settings: Settings,
) -> io::Result<Socket<R, S>> {
    let (stream, ws) = prepare(TcpStream::new(stream, &wait)?, settings.config)?;
    let clock = BlockingClock(wait.signals().clone());
    let socket = crate::Socket::new(Blocking(stream), clock, ws, Heap::default(), settings);
    Ok(Socket { socket, wait })
}
