//! The bytes that are to be written: the outbox, how far it is written, and the peer's pace.

use crate::memory::{Release, SMALL, drop_front};
use crate::pace::Pace;
use crate::transport::Transport;
use core::task::{Context, Poll, Waker};
use sansocket::Buffer;

/// A payload of this length is written from where it lies. A shorter one is cheaper to copy than to
/// write on its own.
pub(crate) const LARGE: usize = 4 << 10;

pub(crate) struct Output<O> {
    pub(crate) outbox: O,
    /// How many bytes of the outbox are written.
    written: usize,
    /// The transport may hold bytes that it has not flushed.
    pub(crate) unflushed: bool,
    pub(crate) pace: Pace,
    /// How many unsent bytes are replies, at most: what was appended while an event was borrowed,
    /// and the machine's Pongs.
    replies: usize,
    /// How many bytes were unsent when the event was returned that is borrowed now.
    unsent_at_event: Option<usize>,
    /// An outbox of fixed size had no capacity for the machine's output, and nothing was written
    /// since.
    pub(crate) is_full: bool,
}

impl<O: Buffer + Release> Output<O> {
    pub(crate) fn new(outbox: O) -> Self {
        Self {
            outbox,
            written: 0,
            unflushed: false,
            pace: Pace::default(),
            replies: 0,
            unsent_at_event: None,
            is_full: false,
        }
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        self.outbox.bytes().get(self.written..).unwrap_or_default()
    }

    /// The length of [`unsent`](Self::unsent).
    pub(crate) fn unsent_len(&self) -> usize {
        self.outbox.bytes().len().saturating_sub(self.written)
    }

    /// All bytes are written and flushed.
    pub(crate) fn is_done(&self) -> bool {
        !self.unflushed && self.unsent_len() == 0
    }

    /// The first `count` unsent bytes are written. The outbox drops written bytes once they are as
    /// many as the others, so that the cost of moving those is linear.
    pub(crate) fn advance(&mut self, count: usize) {
        self.pace.taken(count);
        self.is_full = false;
        self.written = self.written.saturating_add(count);
        let unsent = self.unsent_len();
        self.replies = self.replies.min(unsent);
        if unsent == 0 {
            self.outbox.clear();
            self.written = 0;
            // A flush may be pending: its time begins with the last byte.
            self.pace.finish();
        } else if self.written >= unsent {
            self.compact();
        }
    }

    /// Drops the written bytes. `false`: there are none.
    pub(crate) fn compact(&mut self) -> bool {
        let unsent = self.unsent_len();
        let bytes = self.outbox.bytes_mut();
        if self.written == 0 || bytes.is_empty() {
            return false;
        }
        drop_front(bytes, self.written);
        self.outbox.truncate(unsent);
        self.written = 0;
        true
    }

    /// Drops all bytes: they can't be written.
    pub(crate) fn discard(&mut self) {
        self.outbox.clear();
        self.written = 0;
        self.unflushed = false;
        self.is_full = false;
        self.replies = 0;
        self.unsent_at_event = None;
        self.pace.finish();
    }

    /// An event is returned: what is appended from now on is a reply.
    pub(crate) fn begin_replies(&mut self) {
        self.unsent_at_event = Some(self.unsent_len());
    }

    /// The event is not borrowed any more.
    pub(crate) fn end_replies(&mut self) {
        if let Some(before) = self.unsent_at_event.take() {
            self.add_replies(before);
        }
    }

    /// What was appended since `before` bytes were unsent are replies. (While an event is borrowed,
    /// that is counted at its end.)
    pub(crate) fn add_replies(&mut self, before: usize) {
        if self.unsent_at_event.is_none() {
            self.replies = self.replies.saturating_add(self.unsent_len().saturating_sub(before));
        }
    }

    /// Whether more than `limit` bytes of replies are unsent, or an outbox of fixed size is more
    /// than half full. Then no event is returned, so that a peer that does not read gets no
    /// more replies.
    ///
    /// Messages that are no replies do not count. If they did, two programs that have sent much to
    /// each other would both stop reading, and wait for ever.
    pub(crate) fn is_over(&self, limit: usize) -> bool {
        self.is_full || self.replies > limit || self.unsent_len() > self.outbox.max_len() / 2
    }

    pub(crate) fn release(&mut self) {
        if self.outbox.bytes().is_empty() {
            self.outbox.release();
        }
    }

    pub(crate) fn is_large(&self) -> bool {
        self.unsent_len() > SMALL
    }
}

/// An outbox that hands a large payload to the transport from where it lies, behind the bytes that
/// are unsent. What the transport does not take at once is copied.
pub(crate) struct Direct<'d, T: Transport, O> {
    pub(crate) output: &'d mut Output<O>,
    pub(crate) io: &'d mut T,
    /// How many bytes the transport has taken, of the outbox and behind it.
    pub(crate) taken: usize,
    pub(crate) error: Option<T::Error>,
    /// Whether it still tries to write.
    pub(crate) writes: bool,
}

impl<'d, T: Transport, O: Buffer + Release> Direct<'d, T, O> {
    pub(crate) fn new(output: &'d mut Output<O>, io: &'d mut T, writes: bool) -> Self {
        Self { output, io, taken: 0, error: None, writes }
    }

    /// Writes what the transport takes at once: how many bytes of `payload`.
    fn write(&mut self, payload: &[u8]) -> usize {
        let mut written = 0;
        while self.writes && written < payload.len() {
            let unsent = self.output.unsent();
            let (waiting, rest) = (unsent.len(), payload.get(written..).unwrap_or_default());
            let mut cx = Context::from_waker(Waker::noop());
            match self.io.poll_write(&mut cx, unsent, rest) {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.taken += count;
                    written += count.saturating_sub(waiting);
                    self.output.advance(count.min(waiting));
                    self.output.unflushed = T::BUFFERS;
                }
                // The next write of the connection meets the same.
                Poll::Ready(Ok(0)) | Poll::Pending => self.writes = false,
                Poll::Ready(Err(error)) => {
                    self.writes = false;
                    self.error = Some(error);
                }
            }
        }
        written
    }
}

impl<T: Transport, O: Buffer + Release> Buffer for Direct<'_, T, O> {
    fn bytes(&self) -> &[u8] {
        self.output.outbox.bytes()
    }
    fn remaining(&self) -> usize {
        self.output.outbox.remaining()
    }
    fn append(&mut self, bytes: &[u8]) {
        // It fits into the outbox: if that is smaller, the compiler removes the write.
        let is_large = bytes.len() >= LARGE && self.max_len() >= LARGE;
        let written = if is_large { self.write(bytes) } else { 0 };
        self.output.outbox.append(bytes.get(written..).unwrap_or_default());
    }
    fn clear(&mut self) {
        self.output.discard();
    }
    fn max_len(&self) -> usize {
        self.output.outbox.max_len()
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        self.output.outbox.append_masked(bytes, key);
    }
}
