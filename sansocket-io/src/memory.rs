//! The memory of a connection: what is read, what is collected, what is to be written. On the heap
//! it grows and shrinks; without a heap it is fixed.

use core::fmt;
use sansocket::{Buffer, FixedInbox, Slice, heapless};
#[cfg(feature = "alloc")]
use {alloc::vec::Vec, sansocket::Inbox};

/// The buffers that a connection begins with. Larger ones are given back when they are not needed.
pub(crate) const SMALL: usize = 1 << 10;

/// The memory of a connection: `Heap`, [`Fixed`], or [`Buffers`] of other types.
pub trait Memory: sealed::Sealed {
    /// Takes the bytes that are read.
    type Input: ReadBuffer;
    /// Takes heads, and messages that do not lie whole in the input.
    type Inbox: Buffer + Release;
    /// Takes the bytes to be written.
    type Outbox: Buffer + Release;
    /// The three buffers.
    fn into_buffers(self) -> Buffers<Self::Input, Self::Inbox, Self::Outbox>;
}

/// The three buffers of a connection.
#[derive(Clone, Default)]
pub struct Buffers<I, B, O> {
    /// Takes the bytes that are read: for one read, or a frame that is delivered from there.
    pub input: I,
    /// Takes heads, and messages that do not lie whole in the input. Its capacity limits the length
    /// of every message.
    pub inbox: B,
    /// Takes the bytes to be written: at least 131, for a Pong with 125 bytes of payload. With less
    /// capacity, a Ping that cannot be answered stops the connection until it times out.
    pub outbox: O,
}

/// The sizes, not the bytes.
impl<I, B, O> fmt::Debug for Buffers<I, B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl<I: ReadBuffer, B: Buffer + Release, O: Buffer + Release> Memory for Buffers<I, B, O> {
    type Input = I;
    type Inbox = B;
    type Outbox = O;
    fn into_buffers(self) -> Self {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl<I, B, O> Sealed for super::Buffers<I, B, O> {}
}

/// Memory on the heap. A new connection has none; it grows with what is received and sent, and is
/// given back when it is not needed.
#[cfg(feature = "alloc")]
pub type Heap = Buffers<Vec<u8>, Inbox, Vec<u8>>;

/// Memory of fixed size inside the connection, for programs without a heap: `INPUT` bytes for one
/// read, `INBOX` for the longest message and the head of the opening handshake, `OUTBOX` for the
/// bytes to be written.
///
/// An outbox should hold twice the longest message: while more than half of it is unsent, no event
/// is returned. It must have 131 bytes, for a Pong with 125 bytes of payload and a masking key:
///
/// ```
/// # use sansocket_io::Fixed;
/// let memory = Fixed::<512, 1024, 131>::new();
/// ```
///
/// ```compile_fail
/// # use sansocket_io::Fixed;
/// let memory = Fixed::<512, 1024, 130>::new();
/// ```
pub type Fixed<const INPUT: usize, const INBOX: usize, const OUTBOX: usize> =
    Buffers<[u8; INPUT], FixedInbox<INBOX>, heapless::Vec<u8, OUTBOX>>;

impl<const INPUT: usize, const INBOX: usize, const OUTBOX: usize> Fixed<INPUT, INBOX, OUTBOX> {
    /// Empty buffers. An outbox that is too small does not compile.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(OUTBOX >= 131, "an OUTBOX of less than 131 bytes cannot answer a Ping of 125 bytes") };
        Self { input: [0; INPUT], inbox: FixedInbox::new(), outbox: heapless::Vec::new() }
    }
}

/// Moves the bytes behind the first `count` to the front.
pub(crate) fn drop_front(bytes: &mut [u8], count: usize) {
    bytes.copy_within(count.min(bytes.len()).., 0);
}

/// A buffer to read into.
pub trait ReadBuffer {
    /// What it grows to before the first read, in bytes.
    const FIRST: usize = SMALL;
    /// Whether [`release`](Self::release) can give memory back.
    const RELEASES: bool = true;
    /// All of it.
    fn as_slice_mut(&mut self) -> &mut [u8];
    /// Makes it `len` bytes long, if it can; the bytes in it stay.
    fn grow(&mut self, len: usize) {
        let _ = len;
    }
    /// The connection waits for input, and needs only the first `len` bytes meanwhile.
    fn park(&mut self, len: usize) {
        let _ = len;
    }
    /// Gives its memory back, if it can. The bytes in it are lost.
    fn release(&mut self) {}
}

impl<const N: usize> ReadBuffer for [u8; N] {
    const RELEASES: bool = false;
    fn as_slice_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl ReadBuffer for &mut [u8] {
    const RELEASES: bool = false;
    fn as_slice_mut(&mut self) -> &mut [u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl ReadBuffer for Vec<u8> {
    fn as_slice_mut(&mut self) -> &mut [u8] {
        self
    }
    fn grow(&mut self, len: usize) {
        if len > self.len() {
            self.reserve_exact(len - self.len());
            self.resize(len, 0);
        }
    }
    fn release(&mut self) {
        *self = Self::new();
    }
}

/// A [`Buffer`] that may give its memory back when it is empty or not needed.
pub trait Release {
    /// Whether [`release`](Self::release) can give memory back.
    const RELEASES: bool = true;
    /// Removes all bytes, and gives the memory back, if it can.
    fn release(&mut self) {}
}

impl<const N: usize> Release for heapless::Vec<u8, N> {
    const RELEASES: bool = false;
}
impl<const N: usize> Release for FixedInbox<N> {
    const RELEASES: bool = false;
}
impl Release for Slice<'_> {
    const RELEASES: bool = false;
}
impl<B: Release + ?Sized> Release for &mut B {
    const RELEASES: bool = B::RELEASES;
    fn release(&mut self) {
        (**self).release();
    }
}

#[cfg(feature = "alloc")]
impl Release for Vec<u8> {
    fn release(&mut self) {
        *self = Self::new();
    }
}

#[cfg(feature = "alloc")]
impl Release for Inbox {
    fn release(&mut self) {
        *self = Self::new();
    }
}
