//! Read buffers that the connections of a thread share: an idle connection has none, and the next
//! read goes to memory that the processor has in its cache.

use crate::input::LARGE_READ;
use crate::memory::{Buffers, ReadBuffer};
use core::cell::RefCell;
use core::fmt;
use sansocket::Inbox;
use std::thread_local;
use std::vec::Vec;

/// How many buffers a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Memory on the heap, as [`Heap`](crate::Heap), whose read buffer belongs to the thread: the
/// connection has one only while it has unread bytes. A thread keeps up to 16 buffers of 64 KiB.
///
/// For streams that are polled, with many connections on a thread. (Where each connection has a
/// thread, `Heap` needs less memory.)
pub type Pooled = Buffers<PooledInput, Inbox, Vec<u8>>;

/// The read buffer of [`Pooled`].
#[derive(Default)]
pub struct PooledInput(Vec<u8>);

/// The size, not the bytes.
impl fmt::Debug for PooledInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledInput").field("len", &self.0.len()).finish()
    }
}

impl ReadBuffer for PooledInput {
    const FIRST: usize = LARGE_READ;

    fn as_slice_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if self.0.len() < LARGE_READ {
            let mut buffer = take();
            if let Some(front) = buffer.get_mut(..self.0.len()) {
                front.copy_from_slice(&self.0);
            }
            self.0 = buffer;
        }
        self.0.grow(len);
    }

    fn park(&mut self, len: usize) {
        if self.0.len() == LARGE_READ {
            let rest = self.0.get(..len).unwrap_or_default().to_vec();
            give(core::mem::replace(&mut self.0, rest));
        }
    }

    fn release(&mut self) {
        self.0 = Vec::new();
    }
}

fn take() -> Vec<u8> {
    let taken = BUFFERS.try_with(|buffers| buffers.borrow_mut().pop());
    // Without the thread-local value, the thread is about to end.
    taken.ok().flatten().unwrap_or_else(|| std::vec![0; LARGE_READ])
}

fn give(buffer: Vec<u8>) {
    let _ = BUFFERS.try_with(|buffers| {
        let mut buffers = buffers.borrow_mut();
        if buffers.len() < KEPT {
            buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_buffer_keeps_its_bytes_and_gives_the_rest_back() {
        let mut buffer = PooledInput::default();
        buffer.grow(PooledInput::FIRST);
        assert_eq!(buffer.as_slice_mut().len(), LARGE_READ);
        buffer.as_slice_mut()[..3].copy_from_slice(b"abc");
        buffer.park(3);
        assert_eq!(buffer.as_slice_mut(), b"abc");
        let mut other = PooledInput::default();
        other.grow(PooledInput::FIRST);
        buffer.grow(2 * LARGE_READ);
        assert_eq!(buffer.as_slice_mut().len(), 2 * LARGE_READ);
        assert_eq!(&buffer.as_slice_mut()[..3], b"abc");
        other.park(0);
        assert!(other.as_slice_mut().is_empty());
        // A larger buffer stays with its connection.
        buffer.park(0);
        assert_eq!(buffer.as_slice_mut().len(), 2 * LARGE_READ);
    }
}
