//! [`Transport`] for the streams of embedded-io-async.

use crate::Transport;
use ::embedded_io_async::{ErrorType, Read, Write};
use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll};

/// A stream of embedded-io-async whose futures may be dropped: see the [module](super).
///
/// `F` ends our side of the stream: see [`with_close`](Self::with_close).
pub struct Embedded<S, F = fn(&mut S)> {
    stream: S,
    close: F,
}

impl<S> Embedded<S> {
    /// A stream that the program ends on its own, after [`Socket::next`](crate::Socket::next) has
    /// returned `None`. Set [`Settings::linger`](crate::Settings::linger) to zero: until then, the
    /// peer would wait for the end as the connection does.
    pub const fn new(stream: S) -> Self {
        Self { stream, close: |_| {} }
    }
}

impl<S, F: FnMut(&mut S)> Embedded<S, F> {
    /// A stream that `close` ends, so that the peer reads its end and we can read on:
    /// `TcpSocket::close` of embassy-net, for example. (The traits of embedded-io-async have no
    /// such call.) It may be called again, until the stream is flushed.
    pub const fn with_close(stream: S, close: F) -> Self {
        Self { stream, close }
    }
}

impl<S, F> Embedded<S, F> {
    /// The stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Read + Write, F: FnMut(&mut S)> Transport for Embedded<S, F> {
    type Error = S::Error;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, S::Error>> {
        pin!(self.stream.read(buffer)).poll(cx)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<Result<usize, S::Error>> {
        pin!(self.stream.write(if first.is_empty() { second } else { first })).poll(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        pin!(self.stream.flush()).poll(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        (self.close)(&mut self.stream);
        self.poll_flush(cx)
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Embedded<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(&self.stream).finish()
    }
}

/// The two halves of a stream as one: of a UART, for example.
#[derive(Debug)]
pub struct Halves<R, W> {
    /// What is read.
    pub reader: R,
    /// What is written.
    pub writer: W,
}

impl<R: ErrorType, W> ErrorType for Halves<R, W> {
    type Error = R::Error;
}

impl<R: Read, W> Read for Halves<R, W> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.reader.read(buffer).await
    }
}

impl<R: ErrorType, W: Write<Error = R::Error>> Write for Halves<R, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.writer.write(bytes).await
    }
    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.writer.flush().await
    }
}
