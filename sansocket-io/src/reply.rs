//! The sending side of a connection: the machine, the outbox and the transport. It can be used
//! while an event is borrowed.

use crate::Failure;
use crate::memory::Memory;
use crate::output::{Direct, Output};
use crate::settings::Limits;
use crate::transport::{Clock, Transport};
use core::fmt;
use core::task::{Context, Poll, ready};
use core::time::Duration;
#[cfg(all(feature = "deflate", feature = "std"))]
use sansocket::Buffer;
use sansocket::{
    Accept, AnswerError, ClientRole, CloseCode, Config, Connect, ConnectError, Fragment, Message, Reject,
    Role, SendError, ServerRole, State, WebSocket,
};

/// Sends on a connection. [`Socket::next`](crate::Socket::next) returns it beside the event, and
/// [`Socket::reply`](crate::Socket::reply) at any time.
///
/// Its calls append to the connection's outbox and do not wait. The next call of `next` writes the
/// outbox, so a program that only sends must call `next` too. A large message is handed to the
/// transport at once, from where it lies.
///
/// Once the connection is closing, by either side or after a failure, messages are discarded, as in
/// a browser: the calls return `Ok`. [`state`](Self::state) tells.
pub struct Reply<R: Role, T: Transport, C, M: Memory> {
    pub(crate) ws: WebSocket<R>,
    pub(crate) io: T,
    pub(crate) clock: C,
    pub(crate) output: Output<M::Outbox>,
    pub(crate) limits: Limits,
    pub(crate) stream: Stream,
    pub(crate) failure: Option<Failure<T::Error>>,
    /// What other tasks send.
    #[cfg(feature = "std")]
    pub(crate) queued: crate::sender::Queued,
}

/// The state of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// It is read and written.
    Open,
    /// Writing has failed. Until this time, it is read: the peer may have sent messages and a Close
    /// frame before.
    ReadOnly { until: Duration },
    /// The connection is closed. The stream is shut down, and read until its end or this time.
    Lingering { until: Duration, shut: bool },
    /// It is not used any more.
    Ended,
}

impl<R: Role, T: Transport, C: Clock, M: Memory> Reply<R, T, C, M> {
    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError`]: the opening handshake is not complete, or a fragmented message is unfinished.
    /// Nothing has changed.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        self.append(|ws, outbox| ws.send(message, outbox))
    }

    /// Sends a fragment of a message: see [`WebSocket::send_piece`].
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn send_piece<'f>(&mut self, fragment: impl Into<Fragment<'f>>) -> Result<(), SendError> {
        let fragment = fragment.into();
        self.append(|ws, outbox| ws.send_piece(fragment, outbox))
    }

    /// Sends a message, compressed if the peer has agreed to that: see
    /// [`WebSocket::send_deflated`].
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    #[cfg(feature = "deflate")]
    pub fn send_deflated<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        compressor: &mut dyn sansocket::deflate::Compress,
    ) -> Result<(), SendError> {
        let message = message.into();
        // The compressor writes into the outbox.
        self.append(|ws, direct| ws.send_deflated(message, compressor, &mut direct.output.outbox))
    }

    /// Sends a fragment of a message, compressed if the peer has agreed to that: see
    /// [`WebSocket::send_piece_deflated`].
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    #[cfg(feature = "deflate")]
    pub fn send_piece_deflated<'f>(
        &mut self,
        fragment: impl Into<Fragment<'f>>,
        compressor: &mut dyn sansocket::deflate::Compress,
    ) -> Result<(), SendError> {
        let fragment = fragment.into();
        self.append(|ws, direct| ws.send_piece_deflated(fragment, compressor, &mut direct.output.outbox))
    }

    /// Sends a message that many connections share. A server sends its compressed frame, if it has
    /// one and the client has agreed to that.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    #[cfg(feature = "std")]
    pub fn send_broadcast(&mut self, message: &crate::Broadcast) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if let Some(deflated) = message.compressed() {
            return self.append(|ws, outbox| {
                let fits = outbox.remaining() >= deflated.frame.len();
                if !fits || ws.note_deflated(deflated.window_bits).is_err() {
                    return ws.send(message.message(), outbox);
                }
                outbox.append(&deflated.frame);
                Ok(())
            });
        }
        self.send(message)
    }

    /// Sends a Ping with up to 125 bytes of payload.
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.append(|ws, outbox| ws.ping(payload, outbox))
    }

    /// Sends a Pong that the machine does not send on its own: see [`WebSocket::pong`].
    ///
    /// # Errors
    /// [`SendError`]. Nothing has changed.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.append(|ws, outbox| ws.pong(payload, outbox))
    }

    /// Starts the closing handshake, with a reason of up to 123 bytes. Messages that the peer sends
    /// before its own Close frame still arrive. Go on calling `next` until it returns `None`.
    ///
    /// # Errors
    /// [`SendError`]: a code that must not be sent, a reason that is too long, or a connection that
    /// is not open yet. Nothing has changed.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.append(|ws, outbox| ws.close(code, reason, outbox))
    }

    /// The state of the connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.ws.state()
    }

    /// How many bytes wait to be written.
    #[must_use]
    #[doc(alias = "bufferedAmount")]
    pub fn unsent(&self) -> usize {
        self.output.unsent_len()
    }

    /// Why the transport ended early, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure<T::Error>> {
        self.failure.as_ref()
    }

    /// The machine of the connection.
    #[must_use]
    pub const fn websocket(&self) -> &WebSocket<R> {
        &self.ws
    }

    /// Replaces the limits and timeouts of the protocol, for example to allow larger messages after
    /// a login: see [`WebSocket::set_config`].
    pub fn set_config(&mut self, config: Config) {
        self.ws.set_config(config);
    }

    /// The machine and the outbox, for calls that have no method here. What is appended to the
    /// outbox is written by the next call of `next`. Remove nothing from it, and pass the machine
    /// no input.
    pub fn parts_mut(&mut self) -> (&mut WebSocket<R>, &mut M::Outbox) {
        (&mut self.ws, &mut self.output.outbox)
    }

    /// Waits until all bytes are written and flushed, or the transport has failed, or the peer has
    /// read too slowly. Events wait meanwhile. Cancel-safe.
    pub async fn flush(&mut self) {
        core::future::poll_fn(|cx| self.poll_flush(cx)).await;
    }

    /// Writes and flushes: ready once all bytes are sent, or the transport has failed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.transmit();
        while self.poll_output(cx).is_pending() {
            if self.poll_aborted(cx) {
                self.end(Failure::Aborted);
                continue;
            }
            let Some(at) = self.output.pace.deadline() else { return Poll::Pending };
            ready!(self.clock.poll_until(cx, at));
            self.advance_stream(self.clock.now());
        }
        Poll::Ready(())
    }

    /// Makes a call of the machine that appends output. If an outbox of fixed size is full, written
    /// bytes make room.
    fn append(
        &mut self,
        mut call: impl FnMut(&mut WebSocket<R>, &mut Direct<'_, T, M::Outbox>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        if matches!(self.ws.state(), State::Closing | State::Closed) {
            return Ok(());
        }
        let mut direct = Direct::new(&mut self.output, &mut self.io, self.stream == Stream::Open);
        let mut result = call(&mut self.ws, &mut direct);
        if matches!(result, Err(SendError::OutboxFull(_))) && direct.output.compact() {
            result = call(&mut self.ws, &mut direct);
        }
        let (taken, error) = (direct.taken, direct.error);
        if taken > 0 {
            self.ws.output_sent(taken, self.output.unsent_len());
        }
        if let Some(error) = error {
            self.fail(Failure::Write(error));
        }
        result
    }

    /// Without `std` there are no senders.
    #[cfg(not(feature = "std"))]
    pub(crate) fn send_queued(&mut self) {}

    /// Without `std` there are no senders.
    #[cfg(not(feature = "std"))]
    pub(crate) fn poll_queued(&self, _: &Context<'_>) -> bool {
        false
    }

    /// Without `std` there are no senders.
    #[cfg(not(feature = "std"))]
    pub(crate) fn poll_aborted(&self, _: &Context<'_>) -> bool {
        false
    }

    /// Appends the machine's pending output. `false`: an outbox of fixed size is full.
    pub(crate) fn transmit(&mut self) -> bool {
        let before = self.output.unsent_len();
        let done = self.ws.transmit(&mut self.output.outbox).is_ok()
            || self.output.compact() && self.ws.transmit(&mut self.output.outbox).is_ok();
        self.output.add_replies(before);
        self.output.is_full = !done;
        done
    }

    /// Whether so much is unsent that no more events are returned.
    pub(crate) fn is_blocked(&self) -> bool {
        self.output.is_over(self.limits.max_unsent) && !self.ws.is_closed()
    }

    /// Whether the connection has ended, and all is written.
    pub(crate) fn is_done(&self) -> bool {
        self.ws.is_closed() && self.output.is_done()
    }

    /// Writes and flushes until all is sent, or the transport takes no more.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream != Stream::Open {
            self.output.discard();
        }
        let polled = self.poll_write(cx);
        if polled.is_pending() {
            self.output.pace.wait(self.clock.now(), self.write_timeout());
        } else {
            self.output.pace.finish();
        }
        polled
    }

    /// How slowly the peer may read. There is a limit for the last bytes of a closed connection: no
    /// other timeout ends it.
    fn write_timeout(&self) -> Option<Duration> {
        let Limits { write_timeout, linger, .. } = self.limits;
        write_timeout.or_else(|| self.ws.is_closed().then_some(linger))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.output.unsent().is_empty() {
            match ready!(self.io.poll_write(cx, self.output.unsent(), &[])) {
                Ok(0) => self.fail(Failure::WriteZero),
                Ok(count) => {
                    self.output.advance(count);
                    self.output.unflushed = T::BUFFERS;
                    self.ws.output_sent(count, self.output.unsent_len());
                }
                Err(error) => self.fail(Failure::Write(error)),
            }
        }
        if self.output.unflushed {
            let flushed = ready!(self.io.poll_flush(cx));
            self.output.unflushed = false;
            if let Err(error) = flushed {
                self.fail(Failure::Write(error));
            }
        }
        Poll::Ready(())
    }

    /// Writing has failed: drops the output, and reads what the peer has sent before.
    pub(crate) fn fail(&mut self, failure: Failure<T::Error>) {
        self.output.discard();
        self.failure.get_or_insert(failure);
        if self.stream == Stream::Open {
            let until = self.clock.now().saturating_add(self.limits.linger);
            self.stream = Stream::ReadOnly { until };
        }
    }

    /// The transport has failed, or is not wanted any more: the connection ends at once.
    pub(crate) fn end(&mut self, failure: Failure<T::Error>) {
        self.output.discard();
        self.failure.get_or_insert(failure);
        self.stream = Stream::Ended;
        self.ws.receive_eof();
    }
}

impl<R: ServerRole, T: Transport, C: Clock, M: Memory> Reply<R, T, C, M> {
    /// Accepts the request: see [`WebSocket::accept`].
    ///
    /// # Errors
    /// [`AnswerError`]. Nothing has changed, and the request can still be answered.
    pub fn accept(&mut self, accept: Accept<'_>) -> Result<(), AnswerError> {
        self.ws.accept(accept, &mut self.output.outbox)
    }

    /// Refuses the request: see [`WebSocket::reject`].
    ///
    /// # Errors
    /// [`AnswerError`]. Nothing has changed, and the request can still be answered.
    pub fn reject(&mut self, reject: Reject<'_>) -> Result<(), AnswerError> {
        self.ws.reject(reject, &mut self.output.outbox)
    }

    /// Accepts the request or refuses it.
    ///
    /// # Errors
    /// [`AnswerError`]. Nothing has changed, and the request can still be answered.
    pub fn answer(&mut self, answer: Result<Accept<'_>, Reject<'_>>) -> Result<(), AnswerError> {
        match answer {
            Ok(accept) => self.accept(accept),
            Err(reject) => self.reject(reject),
        }
    }
}

impl<R: ClientRole, T: Transport, C: Clock, M: Memory> Reply<R, T, C, M> {
    /// Sends the request: see [`WebSocket::connect`]. The response is the event
    /// [`Open`](sansocket::Event::Open) or [`Refused`](sansocket::Event::Refused).
    /// [`Socket::connect`](crate::Socket::connect) waits for it.
    ///
    /// # Errors
    /// [`ConnectError`]. Nothing has changed.
    pub fn connect(&mut self, connect: Connect<'_>) -> Result<(), ConnectError> {
        self.ws.connect(connect, &mut self.output.outbox)
    }
}

impl<R: Role, T: Transport, C, M: Memory> fmt::Debug for Reply<R, T, C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("websocket", &self.ws)
            .field("unsent", &self.output.unsent_len())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
