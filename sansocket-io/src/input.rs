//! The bytes that are read and not yet received by the machine. The buffer starts small, grows with
//! the bytes that arrive to what a frame lacks, and is given back.

use crate::memory::{ReadBuffer, SMALL, drop_front};
use core::ops::Range;

/// A buffer that a read has filled grows up to this size, whatever the frames: a message of 64 KiB
/// in one frame.
pub(crate) const LARGE_READ: usize = (64 << 10) + 64;
/// A buffer grows at most by this factor at a time. So its size follows the bytes that have
/// arrived, not the length that a peer declares.
const GROWTH: usize = 4;

pub(crate) struct Input<B> {
    buffer: B,
    unread: Range<usize>,
    /// The last read has filled the buffer: the next one may bring more.
    was_filled: bool,
}

impl<B: ReadBuffer> Input<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self { buffer, unread: 0..0, was_filled: false }
    }

    pub(crate) fn unread(&mut self) -> &mut [u8] {
        self.buffer.as_slice_mut().get_mut(self.unread.clone()).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Takes the first `len` unread bytes.
    pub(crate) fn take(&mut self, len: usize) -> &mut [u8] {
        let start = self.unread.start;
        self.unread.start = start.saturating_add(len).min(self.unread.end);
        self.buffer.as_slice_mut().get_mut(start..self.unread.start).unwrap_or_default()
    }

    /// All unread bytes are taken.
    pub(crate) fn clear(&mut self) {
        self.unread = 0..0;
    }

    /// Makes room for the `missing` bytes of a frame that begins the unread bytes, or for a part of
    /// them. `false` if the frame would need more than `max` bytes, or more than the buffer can
    /// have.
    pub(crate) fn make_room(&mut self, missing: u64, max: usize) -> bool {
        let capacity = self.buffer.as_slice_mut().len();
        let Ok(missing) = usize::try_from(missing) else { return false };
        let needed = self.unread.len().saturating_add(missing);
        if needed > max.max(capacity) {
            return false;
        }
        if self.unread.start.saturating_add(needed) <= capacity {
            return true;
        }
        self.move_to_front();
        if needed <= capacity {
            return true;
        }
        self.buffer.grow(needed.min(capacity.max(SMALL).saturating_mul(GROWTH)));
        self.buffer.as_slice_mut().len() > capacity
    }

    /// Where to read. It is not empty, unless a buffer of fixed size is full.
    pub(crate) fn room(&mut self, max: usize) -> &mut [u8] {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        let capacity = self.buffer.as_slice_mut().len();
        let mut wanted = B::FIRST.min(max);
        if self.was_filled {
            wanted = wanted.max(capacity.saturating_mul(GROWTH).min(LARGE_READ).min(max));
        }
        wanted = wanted.max(self.unread.end.saturating_add(1));
        if capacity < wanted {
            self.buffer.grow(wanted);
        }
        self.buffer.as_slice_mut().get_mut(self.unread.end..).unwrap_or_default()
    }

    /// `count` bytes were read into the front of [`room`](Self::room).
    pub(crate) fn filled(&mut self, count: usize) {
        let capacity = self.buffer.as_slice_mut().len();
        self.unread.end = self.unread.end.saturating_add(count).min(capacity);
        self.was_filled = self.unread.end == capacity;
    }

    /// The connection waits for input. Of a large buffer, a few unread bytes need only a part.
    pub(crate) fn park(&mut self) {
        if self.unread.len() <= SMALL {
            self.move_to_front();
            self.buffer.park(self.unread.len());
        }
    }

    pub(crate) fn release(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
            self.was_filled = false;
            self.buffer.release();
        }
    }

    /// Whether it has more memory than an idle connection should.
    pub(crate) fn is_large(&mut self) -> bool {
        self.buffer.as_slice_mut().len() > SMALL
    }

    fn move_to_front(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start > 0 {
            let filled = self.buffer.as_slice_mut().get_mut(..self.unread.end).unwrap_or_default();
            drop_front(filled, self.unread.start);
            self.unread = 0..self.unread.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_fixed_size_holds_no_frame_that_is_longer() {
        let mut input = Input::new([0; 8]);
        input.room(8)[..6].copy_from_slice(b"abcdef");
        input.filled(6);
        assert_eq!(input.take(4), b"abcd");
        assert!(input.make_room(6, 1 << 20));
        assert_eq!(input.room(8).len(), 6);
        assert_eq!(input.unread(), b"ef");
        assert!(!input.make_room(7, 1 << 20));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_buffer_on_the_heap_grows_with_the_bytes_that_arrive() {
        let mut input = Input::new(alloc::vec::Vec::new());
        assert_eq!(input.room(1 << 20).len(), SMALL);
        input.filled(20);
        assert!(input.make_room(1_000_000, 1 << 20));
        assert_eq!(input.room(1 << 20).len(), SMALL * GROWTH - 20);
        assert!(!input.make_room(1 << 20, 1 << 20));
        assert!(input.is_large());
        input.release();
        assert!(input.is_large(), "unread bytes are kept");
        input.clear();
        input.release();
        assert!(!input.is_large());
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_small_maximum_is_kept() {
        let mut input = Input::new(alloc::vec::Vec::new());
        for _ in 0..3 {
            assert_eq!(input.room(7).len(), 7);
            input.filled(7);
            input.clear();
        }
        assert_eq!(Input::new(alloc::vec::Vec::new()).room(0).len(), 1, "it is never empty");
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_buffer_that_is_filled_grows() {
        let mut input = Input::new(alloc::vec::Vec::new());
        for expected in [1 << 10, 4 << 10, 16 << 10, 64 << 10, LARGE_READ, LARGE_READ] {
            assert_eq!(input.room(1 << 20).len(), expected);
            input.filled(expected);
            input.clear();
        }
    }
}
