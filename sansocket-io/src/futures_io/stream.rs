//! [`Transport`] for the streams of futures-io.

use crate::Transport;
use crate::tcp::end_of_stream;
use ::futures_io::{AsyncRead, AsyncWrite};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

/// A stream of futures-io: TCP or a Unix socket of smol or async-std, TLS, …
#[derive(Debug)]
pub struct FuturesIo<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for FuturesIo<S> {
    type Error = io::Error;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer).map(end_of_stream)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        match (first, second) {
            (bytes, []) | ([], bytes) => stream.poll_write(cx, bytes),
            _ => stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)]),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
