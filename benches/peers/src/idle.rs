//! What an idle connection holds: many of them in memory at once, each after its handshake and one small
//! message.
//!
//! Each peer has a process of its own, and the buffers that it has by default, which are smaller than those of
//! the rows where a note says so. Whoever leaves its buffers to the caller is counted with what the caller must
//! keep for an idle connection; the read buffer is then the thread's.

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

/// How many connections are held, if there is room for them.
pub const CONNECTIONS: usize = 100_000;
/// The most memory that they may take.
const ROOM: usize = 1 << 30;

/// Connections that are held, and how large the type of one is.
pub struct Held(Box<dyn Any>, usize);

/// Makes the peer's connections, as many as are asked for.
pub type Hold = fn(usize) -> Held;

/// Holds `count` connections.
pub fn hold<T: 'static>(count: usize, mut make: impl FnMut(Line) -> T) -> Held {
    let mut all = Vec::with_capacity(count);
    all.extend((0..count).map(|_| {
        Line::restart();
        make(Line)
    }));
    Held(Box::new(all), size_of::<T>())
}

/// A socket that takes no room: a request, then a message, then nothing for as long as anybody waits.
pub struct Line;

/// The text of that message.
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

    /// For who has no handshake of its own.
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

/// The bytes of memory that this process has for itself.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Holds the connections of one peer, and prints its line of the table.
pub fn one(peer: &Peer, most: usize) {
    let Some(hold) = peer.idle else { return };
    // The first ones warm what all share, and tell how many there is room for.
    let (few, _, held) = counted(|| hold(100));
    let count = (ROOM / (held as usize / 100)).min(most);
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
