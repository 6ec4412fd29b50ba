//! A connection whose thread waits for it.

use super::stream::{Blocking, Stream, TcpStream};
use super::wait::{BlockingClock, Wait};
use super::{AcceptError, OpenError};
use crate::{Failure, Heap, Reply};
use core::fmt;
use core::future::poll_fn;
use core::time::Duration;
use sansocket::{Accept, ClientRole, Connect, Open, Reject, Request, Role, ServerRole};
use std::io;
use std::time::Instant;

/// A connection over the stream `S` whose thread waits for it.
///
/// It is [`sansocket_io::Socket`](crate::Socket) with calls that wait. It can be moved to another
/// thread.
pub struct Socket<R: Role, S: Stream = TcpStream> {
    pub(super) socket: Inner<R, S>,
    pub(super) wait: Wait,
}

/// The connection, without the wait.
pub type Inner<R, S> = crate::Socket<R, Blocking<S>, BlockingClock, Heap>;
/// The next event, and what to reply with; `None` after the end of the connection.
pub type Next<'s, R, S = TcpStream> = crate::Next<'s, R, Blocking<S>, BlockingClock, Heap>;

/// No event in time. The connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout;

impl<R: Role, S: Stream> Socket<R, S> {
    /// Waits for the next event: see [`Socket::next`](crate::Socket::next).
    #[allow(clippy::should_implement_trait, reason = "it lends what it returns")]
    pub fn next(&mut self) -> Next<'_, R, S> {
        let ready = self.wait.block_on(poll_fn(|cx| self.socket.poll_ready(cx)))?;
        self.socket.event(ready)
    }

    /// As [`next`](Self::next), for at most this time. Zero: it does not wait.
    ///
    /// # Errors
    /// [`Timeout`]: no event.
    pub fn next_timeout(&mut self, time: Duration) -> Result<Next<'_, R, S>, Timeout> {
        let now = Instant::now();
        // A time that the clock cannot express never comes.
        let Some(deadline) = now.checked_add(time) else { return Ok(self.next()) };
        let ready = self.wait.block_until(deadline, poll_fn(|cx| self.socket.poll_ready(cx)));
        let Some(ready) = ready.ok_or(Timeout)? else { return Ok(None) };
        Ok(self.socket.event(ready))
    }

    /// Waits until all bytes are written, or the transport has failed, or the peer has read too
    /// slowly. Events wait meanwhile.
    pub fn flush(&mut self) {
        self.wait.block_on(self.socket.reply().flush());
    }

    /// What to send with when no event is at hand: see [`Socket::reply`](crate::Socket::reply).
    pub fn reply(&mut self) -> &mut Reply<R, Blocking<S>, BlockingClock, Heap> {
        self.socket.reply()
    }

    /// Why the transport ended early, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure<io::Error>> {
        self.socket.failure()
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.socket.transport().0
    }

    /// The connection, without the wait.
    pub const fn get_mut(&mut self) -> &mut Inner<R, S> {
        &mut self.socket
    }
}

impl<R: ServerRole, S: Stream> Socket<R, S> {
    /// Waits for the client's request, and answers it: see
    /// [`Socket::accept`](crate::Socket::accept).
    ///
    /// # Errors
    /// [`AcceptError`]: the connection has ended.
    pub fn accept<'a>(
        &mut self,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
    ) -> Result<(), AcceptError> {
        self.wait.block_on(self.socket.accept(decide))
    }
}

impl<R: ClientRole, S: Stream> Socket<R, S> {
    /// Sends the request, and waits for the response: see
    /// [`Socket::connect`](crate::Socket::connect).
    ///
    /// # Errors
    /// [`OpenError`]: the connection has ended.
    pub fn connect<O>(
        &mut self,
        connect: Connect<'_>,
        on_open: impl FnOnce(&Open<'_>) -> O,
    ) -> Result<O, OpenError> {
        self.wait.block_on(self.socket.connect(connect, on_open))
    }
}

impl<R: Role, S: Stream> fmt::Debug for Socket<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no event in time")
    }
}

impl core::error::Error for Timeout {}
