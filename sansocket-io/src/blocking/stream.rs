//! [`Transport`] for the streams of `std::io`, and a TCP stream that a thread can wait for.

use super::wait::{Signals, Wait};
use crate::Transport;
use crate::tcp::{self, end_of_stream};
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Poll};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// A stream that fails with [`ErrorKind::WouldBlock`] where it would have to wait: [`TcpStream`],
/// or a TLS stream over it.
pub trait Stream: Read + Write {
    /// Ends our side of the stream, so that the peer reads its end. Reading goes on.
    ///
    /// # Errors
    /// The stream's error.
    fn shutdown(&mut self) -> io::Result<()>;
}

/// A [`Stream`] as a transport. It wakes nobody: the thread waits for the TCP stream below.
#[derive(Debug)]
pub struct Blocking<S>(pub S);

impl<S: Stream> Transport for Blocking<S> {
    type Error = io::Error;

    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        poll(|| self.0.read(buffer)).map(end_of_stream)
    }

    fn poll_write(&mut self, _: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        poll(|| match (first, second) {
            (bytes, []) | ([], bytes) => self.0.write(bytes),
            _ => self.0.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
        })
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(|| self.0.flush())
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(|| self.0.shutdown())
    }
}

pub(super) fn poll<O>(mut call: impl FnMut() -> io::Result<O>) -> Poll<io::Result<O>> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

/// A TCP stream of a connection. Reading and writing do not wait: the connection does.
pub struct TcpStream {
    stream: mio::net::TcpStream,
    signals: Arc<Signals>,
}

/// With epoll, a read or a write that was cut short needs no second call that says so.
const EPOLL: bool = cfg!(any(target_os = "android", target_os = "linux"));

impl TcpStream {
    pub(super) fn new(stream: std::net::TcpStream, wait: &Wait) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        tcp::tune(&SockRef::from(&stream))?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        wait.register(&mut stream)?;
        Ok(Self { stream, signals: wait.signals().clone() })
    }

    /// The stream, for its addresses and options.
    pub const fn get_ref(&self) -> &mio::net::TcpStream {
        &self.stream
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Signals { readable, ended, .. } = &*self.signals;
        if !readable.load(Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = self.stream.read(buffer);
        let is_drained = match &read {
            Ok(count) => EPOLL && *count < buffer.len() && *count > 0 && !ended.load(Relaxed),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        readable.store(!is_drained, Relaxed);
        read
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let writable = &self.signals.writable;
        if !writable.load(Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let written = self.stream.write_vectored(slices);
        let is_full = match &written {
            Ok(count) => EPOLL && *count > 0 && *count < slices.iter().map(|slice| slice.len()).sum(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        writable.store(!is_full, Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for TcpStream {
    fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}
