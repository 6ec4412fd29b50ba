//! A driver of your own: WebSockets over tokio's TCP streams, and an echo server that uses it.
//! `wrapper 127.0.0.1:9001`
//!
//! This is the least that a driver needs, to copy and to change; each necessity has a comment. The
//! crate `sansocket-io` has one for every day: over TLS and other streams, with senders for other
//! tasks, an orderly end of servers, and less memory.
//!
//! [`Connection::next`] can be dropped at any time, in `select!` for example. Each of its awaits is
//! one read, one write or a timer. These have no effect if they are dropped, and their results are
//! stored before the next await.

use sansocket::{Config, Event, Inbox, Role, Server, State, WebSocket};
use std::error::Error;
use std::future::pending;
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout_at};

/// With more unsent bytes than this, no event is returned.
const BACKLOG: usize = 64 << 10;
/// While bytes are unsent, the peer must take all of them, or [`PROGRESS`], in this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const PROGRESS: usize = 16 << 10;
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        // Small messages are not delayed.
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo(stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = Connection::new(stream, WebSocket::<Server>::server(Config::default()));
    while let Some((event, ws, outbox)) = connection.next().await {
        match event {
            Event::Request(request) => ws.accept(request.accept(), outbox)?,
            Event::Message(message) if ws.can_send() => ws.send(message, outbox)?,
            Event::Error(error) => eprintln!("{error}"),
            _ => {}
        }
    }
    Ok(())
}

/// A WebSocket over a stream that does not buffer what is written. (One that does, as TLS streams
/// do, has to be flushed too.)
pub struct Connection<S, R: Role> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// For messages that are no reply to an event: `connection.ws.send(message, &mut
    /// connection.outbox)`. The next call of [`next`](Self::next) writes them.
    pub ws: WebSocket<R>,
    /// The bytes to send, the first of which were written. Only append to it.
    pub outbox: Vec<u8>,
    written: usize,
    /// The result of one read, and the part that the machine has not consumed.
    buffer: Box<[u8]>,
    unread: Range<usize>,
    inbox: Inbox,
    /// The machine's time zero.
    start: Instant,
    pub write_timeout: Duration,
    /// The deadline for unsent bytes, and how many were taken since it was set.
    write_deadline: Option<Instant>,
    taken: usize,
    /// A write has failed: all further output is dropped.
    broken: bool,
    linger_deadline: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite, R: Role> Connection<S, R> {
    pub fn new(stream: S, ws: WebSocket<R>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            ws,
            outbox: Vec::new(),
            written: 0,
            buffer: vec![0; 16 << 10].into(),
            unread: 0..0,
            inbox: Inbox::new(),
            start: Instant::now(),
            write_timeout: WRITE_TIMEOUT,
            write_deadline: None,
            taken: 0,
            broken: false,
            linger_deadline: None,
        }
    }

    /// Writes pending bytes and returns the next event, with the machine and the outbox to reply;
    /// `None` after the connection has ended and all bytes are written.
    ///
    /// There is no event while a request is unanswered: answer it first.
    pub async fn next(&mut self) -> Option<(Event<'_>, &mut WebSocket<R>, &mut Vec<u8>)> {
        // An event that a loop returned would stay borrowed in the next rounds (E0499). `Ready`
        // borrows nothing.
        let ready = loop {
            // Back-pressure: a peer that does not read gets no more replies. As nothing is read from
            // it either, TCP stops it.
            if self.outbox.len() - self.written <= BACKLOG || self.ws.is_closed() {
                // A `Vec` is never full.
                let _ = self.ws.transmit(&mut self.outbox);
                if let Some(ready) = self.ws.poll(&mut self.buffer[self.unread.clone()], &mut self.inbox) {
                    break ready;
                }
                // Without an event all input is consumed, except while a request is unanswered.
                if !self.ws.awaits_caller() {
                    self.unread = 0..0;
                }
            }
            if self.broken {
                self.outbox.clear();
                (self.written, self.write_deadline) = (0, None);
            }
            if self.ws.is_closed() && self.outbox.is_empty() {
                self.finish().await;
                return None;
            }
            self.progress().await;
        };
        let input = &mut self.buffer[self.unread.clone()];
        self.unread.start += ready.consumed();
        // Always `Some`: input and inbox are those of `poll`.
        let event = self.ws.event(ready, input, &mut self.inbox)?;
        Some((event, &mut self.ws, &mut self.outbox))
    }

    /// Waits for one write, read or deadline.
    async fn progress(&mut self) {
        let unsent = &self.outbox[self.written..];
        if !unsent.is_empty() {
            self.write_deadline.get_or_insert_with(|| Instant::now() + self.write_timeout);
        }
        let reads = self.unread.is_empty() && !self.ws.awaits_caller();
        let timer = self.ws.poll_timeout().map(|at| self.start + at);
        let deadline = timer.into_iter().chain(self.write_deadline).min();
        let sleep = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let mut is_silent = false;
        tokio::select! {
            // Reading and writing at once: two peers that write before they read would wait for each
            // other for ever. The deadline is last: the peer is only silent if nothing can be read.
            biased;
            written = self.writer.write(unsent), if !unsent.is_empty() => match written {
                Ok(len @ 1..) => self.note_written(len),
                // Reading goes on: the peer may have sent a Close frame before.
                Ok(_) | Err(_) => self.broken = true,
            },
            read = self.reader.read(&mut self.buffer), if reads => match read {
                Ok(len @ 1..) => self.unread = 0..len,
                Ok(_) | Err(_) => self.ws.receive_eof(),
            },
            () = sleep => {
                is_silent = true;
                if self.write_deadline.is_some_and(|at| at <= Instant::now()) {
                    self.broken = true;
                    self.ws.receive_eof();
                }
            }
        }
        // The timer of an open connection measures silence. Those of the opening and the closing
        // handshake hold however much the peer sends.
        if is_silent || self.ws.state() != State::Open {
            self.ws.handle_timeout(self.start.elapsed());
        }
    }

    fn note_written(&mut self, len: usize) {
        self.written += len;
        self.taken += len;
        let unsent = self.outbox.len() - self.written;
        // A peer that takes bytes is alive, although it cannot answer a Ping behind them.
        self.ws.output_sent(len, unsent);
        // If the deadline moved with each byte, a peer that takes one now and then would hold the
        // connection for ever. If it did not move, a slow but steady reader would be dropped.
        if unsent == 0 || self.taken >= PROGRESS {
            (self.write_deadline, self.taken) = (None, 0);
        }
        // The outbox may never be empty. Fewer bytes are moved than were written.
        if self.written >= unsent {
            self.outbox.drain(..self.written);
            self.written = 0;
        }
    }

    /// Shuts down our side of the stream and waits for the peer to end its side. Dropping a socket
    /// that has unread input would make the kernel reset the connection, and the peer could lose
    /// our last bytes.
    async fn finish(&mut self) {
        let deadline = *self.linger_deadline.get_or_insert_with(|| Instant::now() + LINGER);
        let end = async {
            self.writer.shutdown().await?;
            while self.reader.read(&mut self.buffer).await? > 0 {}
            io::Result::Ok(())
        };
        // The connection has ended, so errors no longer matter.
        let _ = timeout_at(deadline, end).await;
    }
}
