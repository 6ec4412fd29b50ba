//! A connection: reads, writes and keeps time for its machine, and returns its events.
//!
//! [`Socket::poll_ready`] is the loop. Each round looks for an event in the bytes that were read.
//! Without one it writes, reads and advances the time, each as far as it can at once, and begins
//! anew if anything has changed. All state is stored before it returns, so a dropped future of
//! [`Socket::next`] loses nothing.

use crate::Failure;
use crate::input::Input;
use crate::memory::{Buffers, Memory, ReadBuffer, Release, SMALL};
use crate::output::Output;
use crate::reply::{Reply, Stream};
use crate::settings::Settings;
use crate::transport::{Clock, Transport};
use core::fmt;
use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll};
use core::time::Duration;
use sansocket::{Buffer, Error, Event, Message, Ready, Role, State, WebSocket};

/// A WebSocket connection over a transport.
///
/// | | |
/// |---|---|
/// | `R` | the side: [`Server`](sansocket::Server), [`Client`](sansocket::Client), … |
/// | `T` | the stream of bytes |
/// | `C` | the clock |
/// | `M` | the buffers: `Heap`, or [`Fixed`](crate::Fixed) without a heap |
///
/// The modules of the runtimes have aliases, and functions that make one.
pub struct Socket<R: Role, T: Transport, C, M: Memory> {
    input: Input<M::Input>,
    inbox: M::Inbox,
    tidy: Tidy,
    /// How many events were returned since it has last waited.
    in_a_row: u8,
    reply: Kept<Reply<R, T, C, M>>,
}

/// After so many events in a row, other tasks have their turn: a peer that sends many small
/// messages at once must not keep the connections that they are sent on to from writing them.
const MOST_IN_A_ROW: u8 = 128;

/// A value that is on the heap where there is one. A future has room for each place that a socket
/// passes through on its way to the loop, and most of a socket is its [`Reply`].
struct Kept<T>(#[cfg(feature = "std")] std::boxed::Box<T>, #[cfg(not(feature = "std"))] T);

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        #[cfg(feature = "std")]
        return Self(std::boxed::Box::new(value));
        #[cfg(not(feature = "std"))]
        Self(value)
    }

    fn into_inner(self) -> T {
        #[cfg(feature = "std")]
        return *self.0;
        #[cfg(not(feature = "std"))]
        self.0
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// An event, and what to reply with; `None` after the end of the connection.
pub type Next<'s, R, T, C, M> = Option<(Event<'s>, &'s mut Reply<R, T, C, M>)>;

/// There is room for more bytes that wait to be written: see [`Socket::next_or_room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room;

/// When memory that is not needed is given back: checked at intervals, so that no message costs
/// more than a flag.
#[derive(Default)]
struct Tidy {
    /// More than the small buffers were needed since the last check.
    was_needed: bool,
    /// The next check.
    at: Option<Duration>,
}

impl<R: Role, T: Transport, C: Clock, M: Memory> Socket<R, T, C, M> {
    /// A connection over `io`, with a machine in any state: for example
    /// [`WebSocket::server`], or [`WebSocket::open`] if other software has done the opening
    /// handshake. The configuration in `settings` is not used: the machine has its own.
    pub fn new(io: T, clock: C, ws: WebSocket<R>, memory: M, settings: Settings) -> Self {
        let Buffers { input, inbox, outbox } = memory.into_buffers();
        let output = Output::new(outbox);
        Self {
            input: Input::new(input),
            inbox,
            tidy: Tidy::default(),
            in_a_row: 0,
            reply: Kept::new(Reply {
                ws,
                io,
                clock,
                output,
                limits: settings.limits,
                stream: Stream::Open,
                failure: None,
                #[cfg(feature = "std")]
                queued: Default::default(),
            }),
        }
    }

    /// The next event, and what to reply with. `None` once the connection has ended, all is written
    /// and the stream is shut down.
    ///
    /// It writes what was sent before, answers Pings and keeps the timeouts, so call it again soon
    /// after each event, until it returns `None`. It reads while it writes. If more than
    /// [`Settings::max_unsent`] bytes of replies are unsent, it returns no event until the peer has
    /// read some.
    /// There is no event either while a request is unanswered: answer it first, or `select!`
    /// between the answer and this.
    ///
    /// Cancel-safe: a future that is dropped has lost nothing, and the next one goes on. After 128
    /// events in a row it lets other tasks run once.
    pub async fn next(&mut self) -> Next<'_, R, T, C, M> {
        // For the borrow checker, an event that a loop returned would stay borrowed in the next
        // rounds (E0499). `Ready` borrows nothing.
        let ready = poll_fn(|cx| self.poll_ready(cx)).await?;
        self.event(ready)
    }

    /// As [`next`](Self::next), but returns [`Room`] if there is no event, the connection is open,
    /// and fewer bytes than `below` wait to be written. A program that sends more than it wants to
    /// hold, a file for example, sends the next part then, and receives meanwhile.
    ///
    /// ```no_run
    /// # async fn send_file(socket: &mut sansocket_io::tokio::ClientSocket) -> Result<(), Box<dyn std::error::Error>> {
    /// # use sansocket_io::{Event, sansocket::Fragment};
    /// # use std::io::Read;
    /// let mut file = std::fs::File::open("a.bin")?;
    /// let mut chunk = [0; 16 << 10];
    /// loop {
    ///     match socket.next_or_room(64 << 10).await {
    ///         Ok(Some((event, _))) => println!("{event:?}"),
    ///         Ok(None) => return Ok(()),
    ///         Err(_) => match file.read(&mut chunk)? {
    ///             0 => break,
    ///             len => socket.reply().send_piece(Fragment::new(&chunk[..len], false))?,
    ///         },
    ///     }
    /// }
    /// socket.reply().send_piece(Fragment::new(&[][..], true))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Room`]: no event, or the turn of other tasks after 128 events in a row.
    pub async fn next_or_room(&mut self, below: usize) -> Result<Next<'_, R, T, C, M>, Room> {
        let ready = poll_fn(|cx| match self.poll_ready(cx) {
            Poll::Pending if self.reply.unsent() < below && self.reply.state() == State::Open => {
                Poll::Ready(Err(Room))
            }
            polled => polled.map(Ok),
        });
        let Some(ready) = ready.await? else { return Ok(None) };
        Ok(self.event(ready))
    }

    /// As [`next`](Self::next), for those who write a future or a combinator.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<'_, R, T, C, M>> {
        match self.poll_ready(cx) {
            Poll::Ready(Some(ready)) => Poll::Ready(self.event(ready)),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The first half of [`poll_next`](Self::poll_next): what is next, without borrowing. Pass it
    /// to [`event`](Self::event) before any other call.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ready>> {
        self.reply.output.end_replies();
        if self.in_a_row >= MOST_IN_A_ROW {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            self.reply.send_queued();
            if let Some(ready) = self.find_event() {
                self.in_a_row = self.in_a_row.saturating_add(1);
                return Poll::Ready(Some(ready));
            }
            if self.reply.is_done() {
                match self.poll_finish(cx) {
                    Poll::Pending if self.reply.poll_queued(cx) => {}
                    finished => return finished.map(|()| None),
                }
            } else if self.poll_io(cx) {
                self.reply.keep_deadlines();
            } else if !self.poll_time(cx) && !self.reply.poll_queued(cx) {
                self.input.park();
                self.in_a_row = 0;
                return Poll::Pending;
            }
        }
    }

    /// The second half of [`poll_next`](Self::poll_next).
    pub fn event(&mut self, ready: Ready) -> Next<'_, R, T, C, M> {
        let input = self.input.take(ready.consumed());
        let event = self.reply.ws.event(ready, input, &mut self.inbox)?;
        match &event {
            Event::Message(message) if len(message) > SMALL => self.tidy.was_needed = true,
            // The head lies in the inbox.
            Event::Open(_) => self.tidy.was_needed = true,
            // The peer is gone: what it has not read, it never will.
            Event::Error(Error::PongTimeout | Error::HandshakeTimeout) => self.reply.output.discard(),
            _ => {}
        }
        self.reply.output.begin_replies();
        Some((event, &mut *self.reply))
    }

    /// What to send with when no event is at hand: messages that are no reply, or the answer to a
    /// request that took time.
    pub fn reply(&mut self) -> &mut Reply<R, T, C, M> {
        self.reply.output.end_replies();
        &mut self.reply
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.reply.io
    }

    /// Why the transport ended early, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure<T::Error>> {
        self.reply.failure()
    }

    /// The transport, and why it ended early, if it did. Unread and unsent bytes are lost.
    pub fn into_transport(self) -> (T, Option<Failure<T::Error>>) {
        let Reply { io, failure, .. } = self.reply.into_inner();
        (io, failure)
    }

    /// The next event in the bytes that were read. `None` with unread bytes left: too much is
    /// unsent, a request awaits its answer, or the rest of a frame is to be read behind them.
    fn find_event(&mut self) -> Option<Ready> {
        if self.reply.is_blocked() || !self.reply.transmit() || self.waits_for_frame() {
            return None;
        }
        let ready = self.reply.ws.poll(self.input.unread(), &mut self.inbox);
        if ready.is_none() && !self.reply.ws.awaits_caller() {
            self.input.clear();
        }
        ready
    }

    /// Whether the first unread frame is cut, and the rest of it fits into the read buffer: then
    /// the frame is delivered from there, without a copy.
    fn waits_for_frame(&mut self) -> bool {
        let Self { input, inbox, reply, .. } = self;
        if input.is_empty() || reply.ws.is_closed() {
            return false;
        }
        let missing = reply.ws.missing(input.unread(), inbox);
        missing > 0 && input.make_room(missing, reply.limits.max_read_buffer)
    }

    /// Writes and reads. `true`: there may be an event now.
    fn poll_io(&mut self, cx: &mut Context<'_>) -> bool {
        let (was_blocked, stream) = (self.reply.is_blocked(), self.reply.stream);
        self.tidy.was_needed |= self.reply.output.is_large();
        let _ = self.reply.poll_output(cx);
        // Unblocked, a round looks at what was read before it reads more.
        !was_blocked && self.poll_input(cx)
            || was_blocked && !self.reply.is_blocked()
            || self.reply.stream != stream
            || self.reply.is_done()
    }

    /// Reads, unless there is unread input for which there is no need to read on. `true`: bytes,
    /// the end of the stream, or an error.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        if self.reply.ws.awaits_caller() || self.reply.ws.is_closed() {
            return false;
        }
        let room = self.input.room(self.reply.limits.max_read_buffer);
        if room.is_empty() {
            return false;
        }
        match self.reply.io.poll_read(cx, room) {
            Poll::Ready(Ok(0)) => self.reply.ws.receive_eof(),
            Poll::Ready(Ok(count)) => {
                self.input.filled(count);
                self.tidy.was_needed |= self.input.len() > SMALL;
            }
            Poll::Ready(Err(error)) => self.reply.end(Failure::Read(error)),
            Poll::Pending => return false,
        }
        true
    }

    /// Acts on the deadlines that have passed, and waits for the next. `true`: there may be an
    /// event now.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.reply.clock.now();
        if self.reply.advance(now) {
            return true;
        }
        if Self::RELEASES {
            self.tidy(now);
        }
        self.poll_alarm(cx).is_ready()
    }

    /// Sets the alarm for the next deadline. Ready if that has passed.
    pub(crate) fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = earlier(self.reply.deadline(), self.tidy.at);
        deadline.map_or(Poll::Pending, |at| self.reply.clock.poll_until(cx, at))
    }

    /// Whether any buffer can give memory back. The code for it is linked only then.
    const RELEASES: bool = M::Input::RELEASES || M::Inbox::RELEASES || M::Outbox::RELEASES;

    /// Gives memory back that was not needed since the last check.
    fn tidy(&mut self, now: Duration) {
        let next = now.saturating_add(self.reply.limits.keep_memory);
        match self.tidy.at {
            None if self.tidy.was_needed || self.input.is_large() => self.tidy.at = Some(next),
            Some(at) if at <= now && self.tidy.was_needed => self.tidy.at = Some(next),
            Some(at) if at <= now => {
                self.tidy.at = None;
                self.release();
                return;
            }
            _ => return,
        }
        self.tidy.was_needed = false;
    }

    fn release(&mut self) {
        self.input.release();
        self.reply.output.release();
        if !self.reply.ws.is_inbox_in_use() {
            self.inbox.release();
        }
    }

    /// Shuts down our side of the stream and reads until the peer has ended its side. Dropping a
    /// socket that has unread input would make the kernel reset the connection, and the peer could
    /// lose our last bytes.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reply = &mut self.reply;
        let (until, mut shut) = match reply.stream {
            Stream::Ended => return Poll::Ready(()),
            Stream::Lingering { until, shut } => (until, shut),
            Stream::Open | Stream::ReadOnly { .. } => {
                (reply.clock.now().saturating_add(reply.limits.linger), false)
            }
        };
        shut = shut || reply.io.poll_shutdown(cx).is_ready();
        reply.stream = Stream::Lingering { until, shut };
        self.input.clear();
        let ended = shut && self.poll_end_of_stream(cx, until).is_ready();
        let clock = &mut self.reply.clock;
        if !ended && clock.now() < until && clock.poll_until(cx, until).is_pending() {
            self.input.park();
            return Poll::Pending;
        }
        self.reply.stream = Stream::Ended;
        Poll::Ready(())
    }

    /// Reads and discards until the end of the stream, an error, or this time: a peer may send
    /// without end.
    fn poll_end_of_stream(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        loop {
            let room = self.input.room(SMALL);
            match core::task::ready!(self.reply.io.poll_read(cx, room)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) if until <= self.reply.clock.now() => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no event, and room for more bytes to be sent")
    }
}

impl core::error::Error for Room {}

impl<R: Role, T: Transport, C: Clock, M: Memory> Reply<R, T, C, M> {
    /// Acts on the deadlines that have passed, where nothing is left to read. `true`: something
    /// has.
    fn advance(&mut self, now: Duration) -> bool {
        if self.advance_stream(now) {
            return true;
        }
        let Some(at) = self.machine_deadline() else { return false };
        self.ws.handle_timeout(now);
        // At zero it only starts the timer.
        !at.is_zero() && at <= now
    }

    /// Acts on the deadlines that hold however much the peer sends. (The machine's timer measures
    /// the silence of an open connection: the input that was just read must be received first.)
    fn keep_deadlines(&mut self) {
        let is_open = self.ws.state() == State::Open;
        if is_open && self.stream == Stream::Open && self.output.pace.deadline().is_none() {
            return;
        }
        let now = self.clock.now();
        if !self.advance_stream(now) && !is_open {
            self.ws.handle_timeout(now);
        }
    }

    /// Acts on the deadlines of the transport that have passed. `true`: one has.
    pub(crate) fn advance_stream(&mut self, now: Duration) -> bool {
        match self.stream {
            Stream::ReadOnly { until } if until <= now => {
                self.ws.receive_eof();
                self.stream = Stream::Ended;
                true
            }
            _ if self.output.pace.deadline().is_some_and(|at| at <= now) => {
                self.fail(Failure::WriteTimeout);
                true
            }
            _ => false,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let stream = match self.stream {
            Stream::ReadOnly { until } => Some(until),
            _ => None,
        };
        earlier(earlier(self.machine_deadline(), self.output.pace.deadline()), stream)
    }

    /// The machine's deadline. On an open connection it measures the peer's silence, which is
    /// unknown while no input is received because too much is unsent.
    fn machine_deadline(&self) -> Option<Duration> {
        if self.is_blocked() && self.ws.state() == State::Open { None } else { self.ws.poll_timeout() }
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

const fn len(message: &Message<'_>) -> usize {
    message.as_bytes().len()
}

impl<R: Role, T: Transport, C, M: Memory> fmt::Debug for Socket<R, T, C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("unread", &self.input.len())
            .field("inbox", &self.inbox.bytes().len())
            .field("reply", &*self.reply)
            .finish()
    }
}
