//! A WebSocket over any tokio stream. Events borrow from the connection; all methods are
//! cancel-safe.
//!
//! Every await is one `read`, `write`, `flush` or timer. Each of these has no effect when it is
//! dropped, and its result is stored before the next await. A dropped [`Connection::next`]
//! therefore loses no byte and no event.

use sansocket::{Event, Inbox, Role, State, WebSocket};
use std::future::pending;
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout_at};

/// With more unsent bytes than this, no events are returned: this bounds the replies to a peer that
/// does not read.
const BACKLOG: usize = 64 << 10;
/// A peer that reads nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);

/// A stream and its WebSocket.
pub struct Connection<S, R: Role> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    ws: WebSocket<R>,
    /// The result of one read, and the part that the machine has not consumed.
    buffer: Box<[u8]>,
    unread: Range<usize>,
    inbox: Inbox,
    /// The bytes to send, and how many of them were written.
    outbox: Vec<u8>,
    written: usize,
    /// The stream may hold bytes that it has not flushed.
    unflushed: bool,
    /// The peer must read some bytes before this time.
    write_deadline: Option<Instant>,
    /// A write failed: drop all further output.
    broken: bool,
    started: Instant,
    linger_deadline: Option<Instant>,
    finished: bool,
    /// The stream's error, if there was one. The machine reports it as [`Event::Error`] with
    /// `EndOfStream`.
    pub error: Option<io::Error>,
}

/// Sends replies: `reply.ws.send(message, reply.outbox)`. The next call of [`Connection::next`]
/// writes them.
pub struct Reply<'r, R: Role> {
    pub ws: &'r mut WebSocket<R>,
    pub outbox: &'r mut Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite, R: Role> Connection<S, R> {
    pub fn new(stream: S, ws: WebSocket<R>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            ws,
            buffer: vec![0; 16 << 10].into(),
            unread: 0..0,
            inbox: Inbox::new(),
            outbox: Vec::new(),
            written: 0,
            unflushed: false,
            write_deadline: None,
            broken: false,
            started: Instant::now(),
            linger_deadline: None,
            finished: false,
            error: None,
        }
    }

    /// For messages that are no reply to an event, and for a delayed answer to a request.
    #[allow(dead_code, reason = "some programs only reply to events")]
    pub fn reply(&mut self) -> Reply<'_, R> {
        Reply { ws: &mut self.ws, outbox: &mut self.outbox }
    }

    /// How many bytes wait to be written.
    pub fn unsent(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// Writes pending bytes and returns the next event; `None` after the connection has ended and
    /// all bytes are written.
    ///
    /// There is no event while a request is unanswered: answer it first, or `select!` between the
    /// answer and this.
    pub async fn next(&mut self) -> Option<(Event<'_>, Reply<'_, R>)> {
        // The loop cannot return an event: for the borrow checker, it would stay borrowed in the
        // next rounds (E0499). `Ready` borrows nothing, so the loop breaks with that.
        let ready = loop {
            let blocked = self.unsent() > BACKLOG && !self.ws.is_closed();
            if !blocked {
                // A `Vec` is never full.
                let _ = self.ws.transmit(&mut self.outbox);
                if let Some(ready) = self.ws.poll(&mut self.buffer[self.unread.clone()], &mut self.inbox) {
                    break ready;
                }
                // All input is consumed, except while a request waits for its answer.
                if !self.ws.awaits_caller() {
                    self.unread = 0..0;
                }
            }
            if self.broken {
                self.outbox.clear();
                (self.written, self.unflushed, self.write_deadline) = (0, false, None);
            }
            if self.ws.is_closed() && self.outbox.is_empty() && !self.unflushed {
                self.finish().await;
                return None;
            }
            self.progress(blocked).await;
        };
        let input = &mut self.buffer[self.unread.clone()];
        self.unread.start += ready.consumed();
        // Always `Some`: input and inbox are those of `poll`.
        let event = self.ws.event(ready, input, &mut self.inbox)?;
        Some((event, Reply { ws: &mut self.ws, outbox: &mut self.outbox }))
    }

    /// Waits for one write, read or timer.
    async fn progress(&mut self, blocked: bool) {
        let to_write = &self.outbox[self.written..];
        let writes = !to_write.is_empty() || self.unflushed;
        let reads = self.unread.is_empty() && !self.ws.awaits_caller();
        if writes {
            self.write_deadline.get_or_insert_with(|| Instant::now() + WRITE_TIMEOUT);
        }
        let write = async {
            match to_write {
                [] => self.writer.flush().await.map(|()| 0),
                bytes => self.writer.write(bytes).await.and_then(|written| match written {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    written => Ok(written),
                }),
            }
        };
        // While reading is blocked, the peer is not silent: ignore the machine's timers.
        let timer = self.ws.poll_timeout().filter(|_| !blocked).map(|at| self.started + at);
        let deadline = [timer, self.write_deadline].into_iter().flatten().min();
        let mut silent = false;
        tokio::select! {
            // Writing first, because it terminates. Timers last: the peer is only silent if there
            // is nothing to read.
            biased;
            written = write, if writes => {
                self.write_deadline = None;
                match written {
                    Ok(written) => {
                        self.unflushed = written > 0;
                        self.written += written;
                        // Drop written bytes, even if the outbox never becomes empty.
                        if self.written == self.outbox.len() || self.written > BACKLOG {
                            self.outbox.drain(..self.written);
                            self.written = 0;
                        }
                    }
                    // Continue reading: the peer may have sent a Close frame.
                    Err(error) => {
                        self.error = Some(error);
                        self.broken = true;
                    }
                }
            }
            read = self.reader.read(&mut self.buffer), if reads => match read {
                Ok(0) => self.ws.receive_eof(),
                Ok(read) => self.unread = 0..read,
                Err(error) => {
                    self.error = Some(error);
                    self.broken = true;
                    self.ws.receive_eof();
                }
            },
            () = sleep(deadline) => {
                if self.write_deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    self.error = Some(io::ErrorKind::TimedOut.into());
                    self.broken = true;
                    self.ws.receive_eof();
                }
                silent = !blocked;
            }
        }
        // The timers of an open connection measure silence. The timeouts of the opening and the
        // closing handshake apply in any case.
        if silent || self.ws.state() != State::Open {
            self.ws.handle_timeout(self.started.elapsed());
        }
    }

    /// Shuts down our side of the stream and waits for the peer to end its side. Dropping a socket
    /// that has unread input would make the kernel reset the connection, and the peer could lose
    /// our last bytes.
    async fn finish(&mut self) {
        if self.finished {
            return;
        }
        let deadline = *self.linger_deadline.get_or_insert_with(|| Instant::now() + LINGER);
        let end = async {
            self.writer.shutdown().await?;
            while self.reader.read(&mut self.buffer).await? > 0 {}
            io::Result::Ok(())
        };
        // The connection has ended, so errors no longer matter.
        let _ = timeout_at(deadline, end).await;
        self.finished = true;
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
