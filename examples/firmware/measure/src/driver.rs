//! The application of `app` over the driver crate, `sansocket-io`: the same answers to all events,
//! and buffers of the same sizes.

use crate::{BUFFER, consume, now, read, wants, write};
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
use sansocket::{
    Accept, ClientRole, CloseCode, Connect, Event, Message, Reject, Request, Role, SendError, ServerRole,
    WebSocket,
};
use sansocket_io::embedded_io_async::Embedded;
use sansocket_io::{Clock, Fixed};

/// The driver's types for this stream.
pub type Socket<R> = sansocket_io::Socket<R, Embedded<Stream>, Time, Memory>;
pub type Reply<R> = sansocket_io::Reply<R, Embedded<Stream>, Time, Memory>;
type Memory = Fixed<BUFFER, BUFFER, { 2 * BUFFER }>;

/// A connection over the driver.
pub fn socket<R: Role>(ws: WebSocket<R>) -> Socket<R> {
    Socket::new(Embedded::new(Stream), Time, ws, Memory::new(), sansocket_io::Settings::new())
}

/// Polls a connection until it ends, as an executor does.
#[inline(always)]
pub fn block_on(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

/// Runs a server: opens the connection, echoes messages, pings and closes. The driver handles
/// timeouts.
#[inline(always)]
pub async fn serve<R: ServerRole>(
    mut socket: Socket<R>,
    send: impl FnMut(&mut Reply<R>, Message<'_>) -> Result<(), SendError>,
) {
    let opened = socket.accept(answer).await;
    consume(opened.is_ok());
    echo(socket, send).await;
}

/// Accepts a request for `/`, and rejects all others.
fn answer<'a>(request: &Request<'_>) -> Result<Accept<'a>, Reject<'a>> {
    if request.target() == "/" { Ok(request.accept()) } else { Err(Reject::status(404)) }
}

/// Runs a client that requests `/`.
#[inline(always)]
pub async fn request<R: ClientRole>(
    mut socket: Socket<R>,
    send: impl FnMut(&mut Reply<R>, Message<'_>) -> Result<(), SendError>,
) {
    let connect = Connect::new("device.example", "/");
    let opened = socket.connect(connect, |open| consume(open.protocol())).await;
    consume(opened.is_ok());
    echo(socket, send).await;
}

#[inline(always)]
async fn echo<R: Role>(
    mut socket: Socket<R>,
    mut send: impl FnMut(&mut Reply<R>, Message<'_>) -> Result<(), SendError>,
) {
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => consume(send(reply, message)),
            Event::Request(_) | Event::Open(_) | Event::BadRequest(_) | Event::Refused(_) => {}
            Event::Piece(_) => {}
            Event::Ping(payload) | Event::Pong(payload) => consume(payload),
            Event::Error(error) => consume((error.close_code(), error.status())),
            Event::Close(close) => consume((close.code, close.reason, close.clean)),
        }
        if wants() {
            consume(reply.ping(b"still there?"));
        }
        if wants() {
            consume(reply.close(CloseCode::GOING_AWAY, "that is all"));
        }
    }
}

/// The opaque stream: each call may have to wait.
#[derive(Debug)]
pub struct Stream;

fn ready<T>(value: impl FnOnce() -> T) -> Poll<T> {
    if wants() { Poll::Pending } else { Poll::Ready(value()) }
}

impl ErrorType for Stream {
    type Error = Infallible;
}

impl Read for Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| ready(|| Ok(read(buffer).len()))).await
    }
}

impl Write for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|_| ready(|| write(bytes))).await;
        Ok(bytes.len())
    }
    async fn flush(&mut self) -> Result<(), Infallible> {
        poll_fn(|_| ready(|| Ok(()))).await
    }
}

/// The opaque clock.
#[derive(Debug)]
pub struct Time;

impl Clock for Time {
    fn now(&self) -> Duration {
        now()
    }
    fn poll_until(&mut self, _: &mut Context<'_>, at: Duration) -> Poll<()> {
        ready(|| consume(at))
    }
}
