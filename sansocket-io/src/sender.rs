//! Sending from other tasks and threads: a bounded queue for each connection, which its
//! [`next`](crate::Socket::next) empties.

use crate::memory::Memory;
use crate::reply::{Reply, Stream};
use crate::transport::{Clock, Transport};
use crate::{Broadcast, Failure};
use core::task::{Context, Waker};
use core::{error, fmt, mem};
#[cfg(not(target_family = "wasm"))]
use event_listener::Listener;
use event_listener::{Event, EventListener};
use sansocket::{CloseCode, Role, SendError, State};
use std::collections::VecDeque;
use std::string::String;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a message in the queue counts beside its payload, so that empty messages are bounded too.
const OVERHEAD: usize = 64;

/// Sends on a connection from any task or thread: [`Reply::sender`]. It can be cloned, stored in a
/// map of peers, and outlives the connection.
///
/// Messages wait in a queue of the connection, and its [`next`](crate::Socket::next) sends them in
/// order. The queue takes [`Settings::max_queued`](crate::Settings::max_queued) bytes. If the peer
/// reads too slowly it fills, and the caller chooses what happens:
///
/// ```
/// # use sansocket_io::{Broadcast, Sender, TrySendError};
/// # async fn three_choices(peers: &mut Vec<Sender>, message: Broadcast) {
/// // The slow peer loses this message.
/// for peer in &*peers {
///     let _ = peer.try_send(&message);
/// }
/// // The slow peer is dropped: the connection ends without a Close frame, behind which it would
/// // wait for the peer to read on.
/// for peer in &*peers {
///     if let Err(TrySendError::Full(_)) = peer.try_send(&message) {
///         peer.abort();
///     }
/// }
/// // All wait for the slow peer, at most for its write timeout. Those that are gone are removed.
/// for peer in &*peers {
///     let _ = peer.send(&message).await;
/// }
/// peers.retain(|peer| !peer.is_closed());
/// # }
/// ```
#[derive(Clone)]
pub struct Sender {
    queue: Arc<Queue>,
}

impl Sender {
    /// Queues a message, if there is room for it.
    ///
    /// # Errors
    /// [`TrySendError`], which returns the message: the queue is full, or the connection is
    /// closing.
    pub fn try_send(&self, message: impl Into<Broadcast>) -> Result<(), TrySendError> {
        self.queue.push(message.into())
    }

    /// Waits until there is room for a message, and queues it. Cancel-safe: if the future is
    /// dropped, the message is not sent.
    ///
    /// Do not wait in the task that calls the connection's `next`: nothing would empty the queue.
    ///
    /// # Errors
    /// [`Closed`], which returns the message: the connection is closing.
    pub async fn send(&self, message: impl Into<Broadcast>) -> Result<(), Closed> {
        let mut message = message.into();
        while let Some((back, emptied)) = self.queue.push_or_listen(message)? {
            message = back;
            emptied.await;
        }
        Ok(())
    }

    /// As [`send`](Self::send), and blocks the thread. Not on WebAssembly, where no thread can
    /// block.
    ///
    /// # Errors
    /// [`Closed`], which returns the message: the connection is closing.
    #[cfg(not(target_family = "wasm"))]
    pub fn send_blocking(&self, message: impl Into<Broadcast>) -> Result<(), Closed> {
        let mut message = message.into();
        while let Some((back, emptied)) = self.queue.push_or_listen(message)? {
            message = back;
            emptied.wait();
        }
        Ok(())
    }

    /// Starts the closing handshake, with a reason of up to 123 bytes, after the messages that are
    /// queued. No more messages are taken. A connection whose opening handshake is not complete
    /// ends at once.
    ///
    /// # Errors
    /// [`SendError`]: a code that must not be sent, or a reason that is too long. Nothing has
    /// changed.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if !code.is_sendable() {
            return Err(SendError::InvalidCode);
        }
        if reason.len() > MAX_REASON {
            return Err(SendError::TooLong);
        }
        self.queue.end(End::Close(code, reason.into()));
        Ok(())
    }

    /// Ends the connection at once, without a Close frame. Its failure is
    /// [`Aborted`](Failure::Aborted).
    pub fn abort(&self) {
        self.queue.end(End::Abort);
    }

    /// Whether no more messages are taken: the connection is closing, or its socket was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.lock().is_closed
    }

    /// How many bytes wait in the queue, 64 for each message included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.lock().bytes
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents = self.queue.lock();
        f.debug_struct("Sender")
            .field("queued", &contents.bytes)
            .field("is_closed", &contents.is_closed)
            .finish()
    }
}

/// Why [`Sender::try_send`] has not queued a message, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrySendError {
    /// The queue is full: the peer reads too slowly, or the connection's `next` is not called.
    Full(Broadcast),
    /// The connection is closing or closed.
    Closed(Broadcast),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue of messages to be sent is full",
            Self::Closed(_) => CLOSED,
        })
    }
}

impl error::Error for TrySendError {}

/// The connection is closing or closed: the message that was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed(pub Broadcast);

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl error::Error for Closed {}

const CLOSED: &str = "the connection is closing or closed";

/// A Close frame has 125 bytes of payload at most, 2 of them the code (RFC 6455 section 5.5).
const MAX_REASON: usize = 123;

/// The queue of a connection. When the connection is dropped, it is closed.
#[derive(Default)]
pub(crate) struct Queued(Option<Arc<Queue>>);

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            queue.close();
        }
    }
}

struct Queue {
    contents: Mutex<Contents>,
    /// Whether the connection has something to take, so that it need not lock to know.
    is_ready: AtomicBool,
    /// Told when there may be room, or the queue was closed.
    emptied: Event,
    /// How many bytes may wait.
    max: usize,
}

#[derive(Default)]
struct Contents {
    messages: VecDeque<Broadcast>,
    bytes: usize,
    /// How a sender wants to end the connection.
    end: Option<End>,
    /// No more messages are taken.
    is_closed: bool,
    /// The task that waits in the connection's `next`.
    task: Option<Waker>,
}

enum End {
    /// After the messages that are queued.
    Close(CloseCode, String),
    Abort,
}

/// What is next in the queue.
enum Item {
    Message(Broadcast),
    End(End),
}

/// What a connection takes from its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Messages and a Close.
    All,
    /// No message: too much is unsent, or a fragmented message is unfinished.
    Abort,
    /// The opening handshake is not complete: a Close ends it.
    AnyEnd,
}

impl Queue {
    fn new(max: usize) -> Self {
        Self { contents: Mutex::default(), is_ready: AtomicBool::new(false), emptied: Event::new(), max }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics while it holds the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, message: Broadcast) -> Result<(), TrySendError> {
        let mut contents = self.lock();
        let bytes = contents.bytes.saturating_add(cost(&message));
        if contents.is_closed {
            return Err(TrySendError::Closed(message));
        }
        if bytes > self.max && !contents.messages.is_empty() {
            return Err(TrySendError::Full(message));
        }
        contents.bytes = bytes;
        contents.messages.push_back(message);
        self.wake(contents);
        Ok(())
    }

    /// Queues the message. Without room for it: the message, and a listener that is notified when
    /// there may be room.
    fn push_or_listen(&self, message: Broadcast) -> Result<Option<(Broadcast, EventListener)>, Closed> {
        let message = match self.push(message) {
            Ok(()) => return Ok(None),
            Err(error) => error.full()?,
        };
        let listener = self.emptied.listen();
        // Room that was made before there was a listener.
        match self.push(message) {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some((error.full()?, listener))),
        }
    }

    fn end(&self, end: End) {
        let mut contents = self.lock();
        if contents.is_closed && matches!(end, End::Close(..)) {
            return;
        }
        contents.is_closed = true;
        contents.end = Some(end);
        self.wake(contents);
        self.emptied.notify(usize::MAX);
    }

    /// Wakes the connection's task: there is something to take.
    fn wake(&self, mut contents: MutexGuard<'_, Contents>) {
        self.is_ready.store(true, Ordering::Release);
        let task = contents.task.take();
        drop(contents);
        if let Some(task) = task {
            task.wake();
        }
    }

    fn take(&self, takes: Takes) -> Option<Item> {
        let mut contents = self.lock();
        if !contents.has(takes) {
            return None;
        }
        let message = if takes == Takes::All && !matches!(contents.end, Some(End::Abort)) {
            contents.messages.pop_front()
        } else {
            None
        };
        let item = match message {
            Some(message) => {
                contents.bytes = contents.bytes.saturating_sub(cost(&message));
                Some(Item::Message(message))
            }
            None => contents.end.take().map(Item::End),
        };
        self.is_ready.store(contents.has(Takes::All), Ordering::Release);
        drop(contents);
        self.emptied.notify(usize::MAX);
        item
    }

    /// Puts a message back that the outbox has no capacity for.
    fn put_back(&self, message: Broadcast) {
        let mut contents = self.lock();
        contents.bytes = contents.bytes.saturating_add(cost(&message));
        contents.messages.push_front(message);
        self.is_ready.store(true, Ordering::Release);
    }

    /// Takes no more messages, and drops those that are queued.
    fn close(&self) {
        let mut contents = self.lock();
        contents.is_closed = true;
        contents.bytes = 0;
        if !matches!(contents.end, Some(End::Abort)) {
            contents.end = None;
        }
        self.is_ready.store(contents.end.is_some(), Ordering::Release);
        let messages = mem::take(&mut contents.messages);
        drop(contents);
        drop(messages);
        self.emptied.notify(usize::MAX);
    }
}

impl Contents {
    fn has(&self, takes: Takes) -> bool {
        match self.end {
            Some(End::Abort) => true,
            Some(End::Close(..)) => takes != Takes::Abort,
            None => takes == Takes::All && !self.messages.is_empty(),
        }
    }
}

fn cost(message: &Broadcast) -> usize {
    message.message().as_bytes().len().saturating_add(OVERHEAD)
}

impl TrySendError {
    /// The message, if the queue is full.
    fn full(self) -> Result<Broadcast, Closed> {
        match self {
            Self::Full(message) => Ok(message),
            Self::Closed(message) => Err(Closed(message)),
        }
    }
}

impl<R: Role, T: Transport, C: Clock, M: Memory> Reply<R, T, C, M> {
    /// A handle that sends on this connection from any task or thread. The connection's `next`
    /// sends what is queued, so go on calling it.
    pub fn sender(&mut self) -> Sender {
        let max = self.limits.max_queued;
        let queue = self.queued.0.get_or_insert_with(|| Arc::new(Queue::new(max)));
        Sender { queue: Arc::clone(queue) }
    }

    /// Appends what the [`Sender`]s of the connection have queued, as far as the outbox takes it.
    pub(crate) fn send_queued(&mut self) {
        // Taken out, because both are changed. If the transport panics, this closes the queue.
        let queued = mem::take(&mut self.queued);
        if let Some(queue) = &queued.0 {
            self.send_from(queue);
        }
        self.queued = queued;
    }

    fn send_from(&mut self, queue: &Queue) {
        if self.stream != Stream::Open || matches!(self.ws.state(), State::Closing | State::Closed) {
            queue.close();
        }
        if !queue.is_ready.load(Ordering::Acquire) {
            return;
        }
        while let Some(item) = queue.take(self.takes()) {
            match item {
                Item::Message(message) => {
                    let result = self.send_broadcast(&message);
                    // A message that an empty outbox has no capacity for can never be sent.
                    if matches!(result, Err(SendError::OutboxFull(_))) && !self.output.is_done() {
                        queue.put_back(message);
                        self.output.is_full = true;
                    }
                }
                Item::End(End::Close(code, reason)) if self.close(code, &reason).is_ok() => {}
                // A Close before the connection is open, or a server's with 1010.
                Item::End(_) => self.end(Failure::Aborted),
            }
        }
    }

    fn takes(&self) -> Takes {
        let is_over = self.output.is_full || self.output.unsent_len() > self.limits.max_unsent;
        match self.ws.state() {
            State::Connecting => Takes::AnyEnd,
            _ if is_over || !self.ws.can_send() => Takes::Abort,
            _ => Takes::All,
        }
    }

    /// Whether there is something to take from the queue. If not, its senders wake the task of
    /// `cx`.
    pub(crate) fn poll_queued(&self, cx: &Context<'_>) -> bool {
        self.poll_queue(cx, self.takes())
    }

    /// Whether a sender has aborted the connection. If not, the senders wake the task of `cx`.
    pub(crate) fn poll_aborted(&self, cx: &Context<'_>) -> bool {
        self.poll_queue(cx, Takes::Abort)
    }

    fn poll_queue(&self, cx: &Context<'_>, takes: Takes) -> bool {
        let Some(queue) = &self.queued.0 else { return false };
        let mut contents = queue.lock();
        let is_ready = contents.has(takes);
        if !is_ready {
            match &mut contents.task {
                Some(task) => task.clone_from(cx.waker()),
                task => *task = Some(cx.waker().clone()),
            }
        }
        is_ready
    }
}
