//! The messages of a connection as a [`Stream`] and a [`Sink`], for combinators such as `forward`,
//! `split` and `map`.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn echo(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! use futures_util::StreamExt;
//! use sansocket_io::{stream::Messages, tokio::accept};
//!
//! let socket = accept(stream, |request| Ok(request.accept())).await?;
//! let (sink, stream) = Messages::new(socket).split();
//! stream.forward(sink).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each message is copied into memory of its own: [`Socket::next`] lends them, and is faster for
//! small messages that come in quick succession.

use crate::memory::Memory;
use crate::output::LARGE;
use crate::transport::{Clock, Transport};
use crate::{Failure, OwnedMessage, Socket};
use alloc::sync::Arc;
use alloc::task::Wake;
use atomic_waker::AtomicWaker;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::{error, fmt};
use futures_core::Stream;
use futures_sink::Sink;
use sansocket::{Close, CloseCode, Error, Event, Message, Role, SendError, State};

/// The messages of an open connection.
///
/// As a stream, it yields the messages that are received, an error if the connection fails, and
/// ends once all is written and the stream of bytes is shut down. Poll it to the end: it answers
/// Pings, keeps the timeouts and does the closing handshake.
///
/// As a sink, it is ready while no more than [`Settings::max_unsent`](crate::Settings::max_unsent)
/// bytes wait to be written. Closing it sends a Close frame with 1000; the stream goes on until the
/// peer has answered it. Once the connection is closing, it fails with [`StreamError::Closed`].
///
/// Two tasks may use it, one as the stream and one as the sink, after `split` for example.
pub struct Messages<R: Role, T: Transport, C, M: Memory> {
    socket: Socket<R, T, C, M>,
    close: Option<Close>,
    tasks: Arc<Tasks>,
    /// Wakes all of `tasks`.
    waker: Waker,
}

/// The tasks that wait. A transport and a clock remember one waker: whatever happens wakes both.
#[derive(Default)]
struct Tasks {
    stream: AtomicWaker,
    sink: AtomicWaker,
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.stream.wake();
        self.sink.wake();
    }
}

impl<R: Role, T: Transport, C: Clock, M: Memory> Messages<R, T, C, M> {
    /// The messages of a connection whose opening handshake is done.
    pub fn new(socket: Socket<R, T, C, M>) -> Self {
        let tasks = Arc::new(Tasks::default());
        Self { socket, close: None, waker: tasks.clone().into(), tasks }
    }

    /// How the connection was closed, once the stream has ended.
    #[must_use]
    pub const fn closed(&self) -> Option<&Close> {
        self.close.as_ref()
    }

    /// The connection: to send a Ping, or to close with another code than 1000.
    pub const fn socket_mut(&mut self) -> &mut Socket<R, T, C, M> {
        &mut self.socket
    }

    /// The connection.
    pub fn into_socket(self) -> Socket<R, T, C, M> {
        self.socket
    }

    /// Writes until no more than `limit` bytes are unsent.
    fn poll_unsent(&mut self, cx: &Context<'_>, limit: usize) -> Poll<Result<(), StreamError<T::Error>>> {
        self.tasks.sink.register(cx.waker());
        let cx = &mut Context::from_waker(&self.waker);
        let waits = |unsent| unsent > limit || limit == 0;
        if waits(self.socket.reply().unsent()) && self.socket.reply().poll_flush(cx).is_pending() {
            // The alarm is that of the write timeout: the stream may have an earlier deadline.
            if self.socket.poll_alarm(cx).is_ready() {
                self.tasks.stream.wake();
            }
            if waits(self.socket.reply().unsent()) {
                return Poll::Pending;
            }
        }
        if self.socket.failure().is_none() {
            return Poll::Ready(Ok(()));
        }
        // It ends the connection, and yields the failure.
        self.tasks.stream.wake();
        Poll::Ready(Err(StreamError::Closed))
    }
}

impl<R: Role, T: Transport, C, M: Memory> Unpin for Messages<R, T, C, M> {}

impl<R: Role, T: Transport, C: Clock, M: Memory> Stream for Messages<R, T, C, M> {
    type Item = Result<OwnedMessage, StreamError<T::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { socket, close, tasks, waker } = self.get_mut();
        tasks.stream.register(cx.waker());
        let cx = &mut Context::from_waker(waker);
        while let Some(ready) = ready!(socket.poll_ready(cx)) {
            match socket.event(ready) {
                Some((Event::Message(message), _)) => return Poll::Ready(Some(Ok(message.into()))),
                Some((Event::Error(error), reply)) => {
                    let failure = reply.failure.take();
                    let error = failure.map_or(StreamError::Connection(error), StreamError::Transport);
                    return Poll::Ready(Some(Err(error)));
                }
                Some((Event::Close(event), _)) => *close = Some(event),
                _ => {}
            }
        }
        Poll::Ready(None)
    }
}

impl<R: Role, T: Transport, C: Clock, M: Memory> Sink<OwnedMessage> for Messages<R, T, C, M> {
    type Error = StreamError<T::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        let limit = this.socket.reply().limits.max_unsent.max(1);
        ready!(this.poll_unsent(cx, limit))?;
        Poll::Ready(match this.socket.reply().state() {
            State::Closing | State::Closed => Err(StreamError::Closed),
            _ => Ok(()),
        })
    }

    fn start_send(self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), Self::Error> {
        let this = self.get_mut();
        this.socket.reply().send(&message).map_err(StreamError::Send)?;
        if Message::from(&message).as_bytes().len() >= LARGE {
            // It was offered to the transport with a waker that does nothing.
            this.tasks.stream.wake();
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_unsent(cx, 0)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        this.socket.reply().close(CloseCode::NORMAL, "").map_err(StreamError::Send)?;
        this.poll_unsent(cx, 0)
    }
}

impl<R: Role, T: Transport, C, M: Memory> fmt::Debug for Messages<R, T, C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("socket", &self.socket).field("close", &self.close).finish()
    }
}

/// Why a [`Messages`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// The peer is to blame: it broke the protocol, did not answer, or ended the stream of bytes
    /// without a Close frame.
    Connection(Error),
    /// The transport failed.
    Transport(Failure<E>),
    /// The message cannot be sent. The connection goes on.
    Send(SendError),
    /// The connection is closing, or has failed: the stream says why.
    Closed,
}

impl<E: fmt::Display> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "the connection failed: {error}"),
            Self::Transport(failure) => failure.fmt(f),
            Self::Send(error) => write!(f, "the message cannot be sent: {error}"),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for StreamError<E> {}
