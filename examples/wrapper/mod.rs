//! A WebSocket over any tokio stream. Events borrow from the connection; all methods are
//! cancel-safe.
//!
//! Every await is one `read`, `write`, `flush`, timer or stop. Each of these has no effect when it
//! is dropped, and its result is stored before the next await. A dropped [`Connection::next`]
//! therefore loses no byte and no event.

#[path = "../../sansocket-io/examples/common/pace.rs"]
mod pace;

use pace::{Pace, WRITE_TIMEOUT, too_slow};
use sansocket::{CloseCode, Event, Inbox, Role, State, WebSocket};
use std::future::pending;
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// With more unsent bytes than this, no events are returned: this bounds the replies to a peer that
/// does not read. Buffers that are empty keep at most this capacity.
const BACKLOG: usize = 64 << 10;
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
    /// The last event was a large message, which is still in the inbox.
    large: bool,
    /// The bytes to send, and how many of them were written.
    outbox: Vec<u8>,
    written: usize,
    /// The stream may hold bytes that it has not flushed.
    unflushed: bool,
    pace: Pace,
    /// A write failed: drop all further output.
    broken: bool,
    started: Instant,
    stop: Option<watch::Receiver<bool>>,
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
            large: false,
            outbox: Vec::new(),
            written: 0,
            unflushed: false,
            pace: Pace::new(WRITE_TIMEOUT),
            broken: false,
            started: Instant::now(),
            stop: None,
            linger_deadline: None,
            finished: false,
            error: None,
        }
    }

    /// Replaces the time in which the peer must take some bytes.
    #[allow(dead_code, reason = "some programs keep the default")]
    pub fn write_timeout(self, timeout: Duration) -> Self {
        Self { pace: Pace::new(timeout), ..self }
    }

    /// Closes the connection with code 1001 when `stop` becomes true.
    pub fn stop_when(self, stop: watch::Receiver<bool>) -> Self {
        Self { stop: Some(stop), ..self }
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
        if self.large {
            (self.inbox, self.large) = (Inbox::new(), false);
        }
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
                (self.written, self.unflushed) = (0, false);
                self.pace.sent(0, 0);
            }
            if self.ws.is_closed() && self.outbox.is_empty() && !self.unflushed {
                self.finish().await;
                return None;
            }
            self.progress().await;
        };
        let input = &mut self.buffer[self.unread.clone()];
        self.unread.start += ready.consumed();
        // Always `Some`: input and inbox are those of `poll`.
        let event = self.ws.event(ready, input, &mut self.inbox)?;
        self.large = matches!(&event, Event::Message(message) if message.as_bytes().len() > BACKLOG);
        Some((event, Reply { ws: &mut self.ws, outbox: &mut self.outbox }))
    }

    /// Waits for one write, read or timer.
    async fn progress(&mut self) {
        let to_write = &self.outbox[self.written..];
        let writes = !to_write.is_empty() || self.unflushed;
        let reads = self.unread.is_empty() && !self.ws.awaits_caller();
        self.pace.sent(0, to_write.len() + usize::from(self.unflushed));
        let write = async {
            match to_write {
                [] => self.writer.flush().await.map(|()| 0),
                bytes => self.writer.write(bytes).await.and_then(|written| match written {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    written => Ok(written),
                }),
            }
        };
        let timer = self.ws.poll_timeout().map(|at| self.started + at);
        let deadline = [timer, self.pace.deadline.map(Instant::from_std)].into_iter().flatten().min();
        let mut silent = false;
        tokio::select! {
            // Writing ahead of reading, because it terminates. Timers last: the peer is only silent
            // if there is nothing to read.
            biased;
            () = stopped(&mut self.stop) => {
                self.stop = None;
                match self.ws.state() {
                    State::Connecting => self.ws.receive_eof(),
                    // Fails if the connection is closing already.
                    _ => _ = self.ws.close(CloseCode::GOING_AWAY, "", &mut self.outbox),
                }
            }
            written = write, if writes => {
                match written {
                    Ok(written) => {
                        self.unflushed = written > 0;
                        self.written += written;
                        self.pace.sent(written, self.unsent() + usize::from(self.unflushed));
                        // A peer that takes bytes is alive, although it cannot answer a Ping behind
                        // them.
                        self.ws.output_sent(written, self.unsent());
                        // Drop written bytes, even if the outbox never becomes empty. Fewer unsent
                        // bytes are moved than were written, so the cost is linear.
                        if self.written >= self.unsent() {
                            self.outbox.drain(..self.written);
                            self.written = 0;
                            self.outbox.shrink_to(BACKLOG);
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
                if self.pace.deadline.is_some_and(|deadline| deadline <= std::time::Instant::now()) {
                    self.error = Some(too_slow());
                    self.broken = true;
                    self.ws.receive_eof();
                }
                silent = true;
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

async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
    match stop {
        // An error means that the sender is gone.
        Some(stop) => _ = stop.wait_for(|stop| *stop).await,
        None => pending().await,
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
