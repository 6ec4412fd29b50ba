//! A socket in memory that never blocks. Reads and writes copy, as with a kernel.

use std::{
    io::{self, IoSlice, Read, Write},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest read, unless a row has another limit.
pub const READ: usize = 64 * 1024;
/// The size of the ring buffer that writes are copied into.
const SPACE: usize = 64 * 1024;

/// Makes the response to the bytes that were written.
pub type Answer = fn(&[u8]) -> Vec<u8>;

/// One end of a connection.
pub struct Wire {
    bytes: Arc<[u8]>,
    at: usize,
    most: usize,
    after: After,
    space: Box<[u8]>,
    filled: usize,
    kept: Option<Kept>,
}

/// The behaviour once all bytes are read.
enum After {
    /// The same bytes again.
    Again,
    /// The end of the stream; the flag is set when it is read.
    End(Arc<AtomicBool>),
    /// The response to the bytes that were written.
    Answer(Answer),
}

/// A handle on the bytes that were written.
pub type Kept = Arc<Mutex<Vec<u8>>>;

impl Wire {
    fn new(bytes: Arc<[u8]>, most: usize, after: After) -> Self {
        Self { bytes, at: 0, most, after, space: vec![0; SPACE].into(), filled: 0, kept: None }
    }

    /// Delivers `bytes` repeatedly, at most `most` at a time; no read crosses their end.
    pub fn again(bytes: Arc<[u8]>, most: usize) -> Self {
        Self::new(bytes, most, After::Again)
    }

    /// Delivers `bytes` once, then the end of the stream; the flag is set when that end is read.
    pub fn once(bytes: &[u8]) -> (Self, Arc<AtomicBool>) {
        let seen = Arc::new(AtomicBool::new(false));
        (Self::new(bytes.into(), READ, After::End(seen.clone())), seen)
    }

    /// Delivers the response of `answer` to the bytes that were written.
    pub fn answering(answer: Answer) -> Self {
        Self::new([].into(), READ, After::Answer(answer))
    }

    /// Discards all bytes, for the next connection.
    #[inline]
    pub fn reset(&mut self) {
        self.at = self.bytes.len();
        self.filled = 0;
    }

    /// Keeps a copy of all bytes written from now on.
    pub fn keep(&mut self) -> Kept {
        self.kept.get_or_insert_default().clone()
    }

    /// Reads into `buffer`.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.at == self.bytes.len() && !self.refill() {
            return 0;
        }
        let len = buffer.len().min(self.most).min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..][..len]);
        self.at += len;
        len
    }

    #[cold]
    fn refill(&mut self) -> bool {
        self.at = 0;
        match &self.after {
            After::Again => true,
            After::End(seen) => {
                self.at = self.bytes.len();
                seen.store(true, Relaxed);
                false
            }
            After::Answer(answer) => {
                self.bytes = answer(&self.space[..self.filled]).into();
                true
            }
        }
    }

    /// Writes `bytes`.
    #[inline]
    pub fn write(&mut self, mut bytes: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap().extend_from_slice(bytes);
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(SPACE - self.filled));
            self.space[self.filled..][..now.len()].copy_from_slice(now);
            self.filled = (self.filled + now.len()) % SPACE;
            bytes = later;
        }
        // Keeps the compiler from removing the copy.
        std::hint::black_box(&mut self.space);
    }
}

/// The output of a future that is ready at once.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a socket in memory never blocks"),
    }
}

impl Read for Wire {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read(buffer))
    }
}

impl Write for Wire {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes);
        Ok(bytes.len())
    }
    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().for_each(|slice| self.write(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        // As with a kernel, the buffer need not be initialized.
        if wire.at == wire.bytes.len() && !wire.refill() {
            return Poll::Ready(Ok(()));
        }
        let len = buffer.remaining().min(wire.most).min(wire.bytes.len() - wire.at);
        buffer.put_slice(&wire.bytes[wire.at..][..len]);
        wire.at += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(self.get_mut(), bytes))
    }
    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().write_vectored(slices))
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::io::AsyncRead for Wire {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.get_mut().read(buffer)))
    }
}

impl futures::io::AsyncWrite for Wire {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(self.get_mut(), bytes))
    }
    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().write_vectored(slices))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Wire {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.read(buffer))
    }
}

impl wtx::stream::StreamWriter for Wire {
    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.write(bytes);
        Ok(())
    }
    #[inline]
    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        slices.iter().for_each(|slice| self.write(slice));
        Ok(())
    }
}
