//! [`Transport`] for tokio's streams.

use crate::Transport;
use crate::tcp::end_of_stream;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

/// A stream of tokio: TCP, TLS, a Unix socket, a pipe in memory, …
#[derive(Debug)]
pub struct Tokio<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Tokio<S> {
    type Error = io::Error;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        read.map(|read| end_of_stream(read.map(|()| buffer.filled().len())))
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
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
