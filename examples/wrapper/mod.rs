//! A WebSocket over any stream of tokio's, which lends events without copying them and can be cancelled at any await.
//!
//! Every await is one `read`, `write`, `flush` or timer, all of which have done nothing when they are dropped; what they
//! have done is noted before the next await. A dropped [`Connection::next`] therefore loses no byte and no event.

use sansocket::{Event, Inbox, Role, State, WebSocket};
use std::future::pending;
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout_at};

/// With this much unsent, no more events are handed out: a peer that does not read is not answered without end.
const BACKLOG: usize = 64 << 10;
/// A peer that takes nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);

/// A stream and its machine.
pub struct Connection<S, R: Role> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    ws: WebSocket<R>,
    /// What one read brings, and the part of it that the machine has not taken.
    buffer: Box<[u8]>,
    unread: Range<usize>,
    inbox: Inbox,
    /// What is to be sent, and how much of it has been.
    outbox: Vec<u8>,
    written: usize,
    /// Bytes may lie in buffers of the stream's.
    unflushed: bool,
    /// When the peer must have taken some more.
    write_deadline: Option<Instant>,
    /// Nothing can be written any more.
    broken: bool,
    started: Instant,
    linger_deadline: Option<Instant>,
    finished: bool,
    /// The error behind an [`Event::Error`] that tells of the end of the stream, if the stream gave one.
    pub error: Option<io::Error>,
}

/// What events are answered with: `reply.ws.send(message, reply.outbox)`. It goes out with the following
/// [`Connection::next`].
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

    /// For what is sent unasked, and for an answer that comes later.
    #[allow(dead_code, reason = "not every program sends unasked")]
    pub fn reply(&mut self) -> Reply<'_, R> {
        Reply { ws: &mut self.ws, outbox: &mut self.outbox }
    }

    /// How much waits to be written.
    pub fn unsent(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// The next event, after having written what is owed; `None` once the connection has ended and all is written.
    ///
    /// While a request is unanswered there is no next event: answer it, or `select!` between the answer and this.
    pub async fn next(&mut self) -> Option<(Event<'_>, Reply<'_, R>)> {
        // An event cannot be returned from within the loop: the borrow checker would take it to be borrowed in all further
        // rounds (E0499). So the loop ends with a `Ready`, which borrows nothing.
        let ready = loop {
            let blocked = self.unsent() > BACKLOG && !self.ws.is_closed();
            if !blocked {
                // A `Vec` is never full.
                let _ = self.ws.transmit(&mut self.outbox);
                if let Some(ready) = self.ws.poll(&mut self.buffer[self.unread.clone()], &mut self.inbox) {
                    break ready;
                }
                // All is used up, except while the machine waits for the answer to a request.
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
        // With the input and the inbox that `poll` had, there is an event.
        let event = self.ws.event(ready, input, &mut self.inbox)?;
        Some((event, Reply { ws: &mut self.ws, outbox: &mut self.outbox }))
    }

    /// Writes or reads something, or tells the machine the time.
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
        // While the machine is kept from what the peer has sent, it must not be told of a silence.
        let timer = self.ws.poll_timeout().filter(|_| !blocked).map(|at| self.started + at);
        let deadline = [timer, self.write_deadline].into_iter().flatten().min();
        let mut silent = false;
        tokio::select! {
            // Writing first: it comes to an end. The time last: a peer is silent only if there is nothing to read.
            biased;
            written = write, if writes => {
                self.write_deadline = None;
                match written {
                    Ok(written) => {
                        self.unflushed = written > 0;
                        self.written += written;
                        // What was written goes, even if a peer that reads slowly never takes all of it.
                        if self.written == self.outbox.len() || self.written > BACKLOG {
                            self.outbox.drain(..self.written);
                            self.written = 0;
                        }
                    }
                    // What the peer has sent before, a Close frame perhaps, is still read.
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
        // The timers of an open connection are about silence. The opening and the closing handshake have to end in time
        // whatever comes.
        if silent || self.ws.state() != State::Open {
            self.ws.handle_timeout(self.started.elapsed());
        }
    }

    /// Ends our side of the stream and waits for the peer to end its own: to drop a socket with unread input makes the
    /// kernel reset the connection, and our last bytes may be lost.
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
        // Whatever goes wrong now, the connection has ended.
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
