//! The memory of idle connections: many at once, each after its handshake and one small message.
//!
//! Each peer has its own process and its default buffers, which are smaller than those of the timed
//! rows where the notes give a size. If a peer leaves its buffers to the caller, the memory that
//! the caller must keep for an idle connection counts, and the thread's read buffer does not.

use crate::{heap::counted, measure::REQUEST, peers::Peer, work::frame};
use std::{
    any::Any,
    cell::Cell,
    io::{self, Read, Write},
    pin::Pin,
    process::Command,
    sync::LazyLock,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of connections, if they fit into [`MEMORY`].
pub const CONNECTIONS: usize = 100_000;
/// The memory limit, in bytes.
const MEMORY: usize = 1 << 30;

/// Connections, and the size of their type.
pub struct Held(Box<dyn Any>, usize);

/// Makes this number of the peer's connections.
pub type Hold = fn(usize) -> Held;

/// Makes `count` connections.
pub fn hold<T: 'static>(count: usize, mut make: impl FnMut(Line) -> T) -> Held {
    let mut all = Vec::with_capacity(count);
    all.extend((0..count).map(|_| {
        Line::restart();
        make(Line)
    }));
    Held(Box::new(all), size_of::<T>())
}

/// A socket of size zero: it delivers a request, then a message, then nothing.
pub struct Line;

/// The text of the message.
pub const HELLO: &str = "a small message!";

thread_local! {
    static AT: Cell<usize> = const { Cell::new(0) };
}

static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    frame(&mut bytes, 0x81, Some([1, 2, 3, 4]), HELLO.as_bytes());
    bytes
});

impl Line {
    fn restart() {
        AT.set(0);
    }

    /// Skips the request, for peers without a handshake of their own.
    pub fn past_the_request(self) -> Self {
        AT.set(REQUEST.len());
        self
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = AT.get();
        let left = match REQUEST.as_bytes().get(at..) {
            Some(left @ [_, ..]) => left,
            _ => &MESSAGE[at - REQUEST.len()..],
        };
        let len = left.len().min(buffer.len());
        buffer[..len].copy_from_slice(&left[..len]);
        AT.set(at + len);
        if len > 0 { Ok(len) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn poll(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll(self.get_mut().read(buffer.initialize_unfilled())).map_ok(|len| buffer.advance(len))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::io::AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        poll(self.get_mut().read(buffer))
    }
}

impl futures::io::AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        Ok(Read::read(self, buffer)?)
    }
}

impl wtx::stream::StreamWriter for Line {
    async fn write_all(&mut self, _: &[u8]) -> wtx::Result<()> {
        Ok(())
    }
    async fn write_all_vectored(&mut self, _: &[&[u8]]) -> wtx::Result<()> {
        Ok(())
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Makes at most `most` connections of one peer, and prints its line of the table.
pub fn one(peer: &Peer, most: usize) {
    let Some(hold) = peer.idle else { return };
    // The first connections initialize shared state, and show how many fit.
    let (few, _, held) = counted(|| hold(100));
    let count = (MEMORY / (held as usize / 100)).min(most);
    drop(few);
    let before = resident();
    let (all, _, held) = counted(|| hold(count));
    let resident = (resident() - before) / count;
    let Held(connections, size) = all;
    println!("| {} | {count} | {} | {size} | {resident} |", peer.name, held as usize / count);
    drop(connections);
}

/// The table.
pub fn table(peers: &[&Peer], most: usize) -> String {
    let head =
        "| idle connections | held at once | bytes of memory, each | … in the type itself | … resident |";
    let mut text = format!("{head}\n|---|---|---|---|---|\n");
    for peer in peers.iter().filter(|peer| peer.idle.is_some()) {
        let this = std::env::current_exe().unwrap();
        let done = Command::new(this).args(["--idle-of", peer.name, &most.to_string()]).output().unwrap();
        assert!(done.status.success(), "{}: {}", peer.name, String::from_utf8_lossy(&done.stderr));
        text += &String::from_utf8(done.stdout).unwrap();
    }
    text
}
