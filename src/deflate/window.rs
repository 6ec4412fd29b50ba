//! The receive window: the last bytes of earlier messages, to which the next message can refer
//! (RFC 7692 section 7.2.2).
//!
//! The caller provides the memory. It is used as a ring, whose size is a power of two.

use super::inflate::Tables;
use crate::buffer::copy;
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};

/// The smallest and the largest exponent of a window's size (RFC 7692 section 7.1.2).
const MIN_BITS: u8 = 8;
pub(super) const MAX_BITS: u8 = 15;

/// The memory for a receive window. Only the memory is named; what lies in it at first does not
/// matter.
///
/// | memory | for |
/// |---|---|
/// | `()` | no window: each message is compressed by itself, and is inflated in one piece |
/// | `[u8; N]`, `&mut [u8]`, `Box<[u8]>` | a fixed window |
/// | `Vec<u8>` | a window that grows with the bytes received, up to the agreed size |
/// | [`WithTables<W>`] | a window, and memory for the decoding tables |
///
/// A fixed window uses the largest power of two that fits, from 256 to 32,768 bytes, and not more
/// than the agreed size. Less than 256 bytes are no window.
pub trait Window: sealed::Memory {}

impl<W: sealed::Memory> Window for W {}

pub(crate) mod sealed {
    use super::{MAX_BITS, MIN_BITS, Tables};

    pub trait Memory {
        /// The bytes that exist now.
        fn bytes(&self) -> &[u8];

        /// The bytes that exist now.
        fn bytes_mut(&mut self) -> &mut [u8];

        /// The bytes that exist now, and the memory for decoding tables, if it is not the stack.
        fn parts(&mut self) -> (&[u8], Option<&mut Tables>) {
            (self.bytes(), None)
        }

        /// The most bytes that can exist.
        fn max_len(&self) -> usize {
            self.bytes().len()
        }

        /// Makes the first `len` bytes exist; later at most `max_len`.
        fn grow(&mut self, len: usize, max_len: usize) {
            let _ = (len, max_len);
        }

        /// Its size in bytes, as a power of two: the exponent, 8 to 15; 0 if there is none.
        fn max_bits(&self) -> u8 {
            match self.max_len().checked_ilog2() {
                // At most 63, so that it is a `u8`.
                Some(bits) if bits as u8 >= MIN_BITS => (bits as u8).min(MAX_BITS),
                _ => 0,
            }
        }
    }
}

use sealed::Memory;

impl Memory for () {
    fn bytes(&self) -> &[u8] {
        &[]
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut []
    }
}

impl<const N: usize> Memory for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Memory for &mut [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl Memory for Box<[u8]> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl Memory for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
    fn max_len(&self) -> usize {
        1 << MAX_BITS
    }
    fn grow(&mut self, len: usize, max_len: usize) {
        if len > self.capacity() {
            // As `Vec` does, but never beyond the window.
            let capacity = len.max(self.capacity().saturating_mul(2)).min(len.max(max_len));
            self.reserve_exact(capacity.saturating_sub(self.len()));
        }
        if len > self.len() {
            self.resize(len, 0);
        }
    }
}

/// A window that also has the memory for the decoding tables: 1 KB, on 64-bit targets about 6 KB.
/// With a window that has none, they lie on the stack while a block with dynamic codes is decoded
/// (RFC 1951 section 3.2.7).
///
/// The tables are not built again when a block goes on in the next call.
#[derive(Clone, Debug)]
pub struct WithTables<W> {
    window: W,
    tables: Tables,
}

impl<W: Window> WithTables<W> {
    /// Adds the memory for tables to a window.
    pub const fn new(window: W) -> Self {
        Self { window, tables: Tables::new() }
    }
}

impl<W: Window> Memory for WithTables<W> {
    fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.window.bytes_mut()
    }
    fn parts(&mut self) -> (&[u8], Option<&mut Tables>) {
        (self.window.bytes(), Some(&mut self.tables))
    }
    fn max_len(&self) -> usize {
        self.window.max_len()
    }
    fn grow(&mut self, len: usize, max_len: usize) {
        self.window.grow(len, max_len);
    }
}

/// Which bytes of a window's memory are in use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// The index of the next byte: less than the size of the ring.
    next: u16,
    /// The number of bytes in use: at most the size of the ring, 32,768.
    held: u16,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { next: 0, held: 0 }
    }

    /// The window as it is read. `memory` is that of [`append`](Self::append), with the same
    /// `bits`.
    pub(super) fn ring<'w>(&self, memory: &'w [u8], bits: u8) -> Ring<'w> {
        let size = 1 << bits.min(MAX_BITS);
        Ring {
            memory: memory.get(..size).unwrap_or(memory),
            mask: size - 1,
            next: usize::from(self.next),
            held: usize::from(self.held),
        }
    }

    /// Appends bytes, and keeps the last 2^`bits`.
    pub(super) fn append<M: Memory>(&mut self, memory: &mut M, bytes: &[u8], bits: u8) {
        let bits = bits.min(memory.max_bits());
        if bits < MIN_BITS {
            return;
        }
        let size = 1 << bits;
        let bytes = bytes.get(bytes.len().saturating_sub(size)..).unwrap_or_default();
        let next = usize::from(self.next);
        let end = next.saturating_add(bytes.len());
        memory.grow(end.min(size), size);
        // What does not fit before the end of the ring goes to its front.
        let (first, second) = bytes.split_at_checked(size.saturating_sub(next)).unwrap_or((bytes, &[]));
        copy(memory.bytes_mut().get_mut(next..).unwrap_or_default(), first);
        copy(memory.bytes_mut(), second);
        // Both are at most 32,768.
        self.next = (end & (size - 1)) as u16;
        self.held = bytes.len().saturating_add(usize::from(self.held)).min(size) as u16;
    }
}

/// The window as it is read while a message is inflated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring<'w> {
    /// All bytes in use lie in it; while it grows, it can be shorter than the ring.
    memory: &'w [u8],
    mask: usize,
    next: usize,
    held: usize,
}

impl<'w> Ring<'w> {
    /// The number of bytes in it.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// The last `back` bytes, or as many of them as lie before the end of the memory; other bytes
    /// can follow.
    pub(super) fn last(&self, back: usize) -> &'w [u8] {
        self.memory.get(self.next.wrapping_sub(back) & self.mask..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(history: History, memory: &[u8], bits: u8) -> std::vec::Vec<u8> {
        let ring = history.ring(memory, bits);
        (1..=ring.held()).rev().map(|back| ring.last(back)[0]).collect()
    }

    #[test]
    fn the_size_is_the_largest_power_of_two_that_fits() {
        assert_eq!(().max_bits(), 0);
        assert_eq!([0; 255].max_bits(), 0);
        assert_eq!([0; 256].max_bits(), 8);
        assert_eq!([0; 1023].max_bits(), 9);
        let memory: &mut [u8] = &mut [0; 4096];
        assert_eq!(Memory::max_bits(&memory), 12);
        assert_eq!([0; 100_000].max_bits(), 15);
        assert_eq!(WithTables::new([0; 512]).max_bits(), 9);
        #[cfg(feature = "alloc")]
        {
            assert_eq!(std::vec![0; 4096].into_boxed_slice().max_bits(), 12);
            assert_eq!(Vec::new().max_bits(), 15);
        }
    }

    /// Proves: Z23.
    #[test]
    fn the_last_bytes_are_kept_in_order() {
        for bits in 8..=10 {
            for step in [1, 7, 100, 255, 256, 257, 1000, 3000] {
                let (mut memory, mut history) = ([0; 600], History::new());
                let sent: std::vec::Vec<u8> = (0..4000).map(|i| (i % 251) as u8).collect();
                let mut end = 0;
                for part in sent.chunks(step) {
                    history.append(&mut memory, part, bits);
                    end += part.len();
                    let size = 1 << bits.min(9);
                    assert_eq!(contents(history, &memory, bits.min(9)), sent[end.saturating_sub(size)..end]);
                }
            }
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_vec_grows_up_to_the_agreed_size() {
        let (mut memory, mut history) = (Vec::new(), History::new());
        let mut sent = std::vec::Vec::new();
        for i in 0..2000 {
            sent.push(i as u8);
            history.append(&mut memory, &[i as u8], 10);
            assert_eq!(memory.len(), sent.len().min(1024));
            assert!(memory.capacity() <= 1024);
            assert_eq!(contents(history, &memory, 10), sent[sent.len().saturating_sub(1024)..]);
        }
    }
}
