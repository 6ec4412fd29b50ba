//! Where the caller's memory comes in: one trait for the inbox and the outbox, and the buffers that implement it.

use crate::mask;
use core::str::Utf8Error;

/// Memory that the caller owns and the machine appends to: an inbox, in which a handshake's head or a message that
/// spans several reads is collected, or an outbox, which takes the bytes to send.
///
/// Implemented for [`heapless::Vec<u8, N>`](heapless::Vec), [`Slice`] and [`FixedInbox`]; with the feature `alloc`
/// for `alloc::vec::Vec<u8>` and `Inbox`. The trait can be used as `dyn Buffer`.
///
/// The machine never appends more than [`remaining`](Self::remaining) says there is, and sizes nothing by a length that a peer
/// declared: a growing buffer grows by what has really come.
pub trait Buffer {
    /// The bytes that it holds.
    fn bytes(&self) -> &[u8];

    /// How many more bytes it takes.
    fn remaining(&self) -> usize;

    /// Appends `bytes`, of which there are at most [`remaining`](Self::remaining); where there are more, nothing is appended.
    fn append(&mut self, bytes: &[u8]);

    /// Makes it empty.
    fn clear(&mut self);

    /// How many bytes it can hold at most.
    fn max_len(&self) -> usize {
        self.bytes().len().saturating_add(self.remaining())
    }

    /// Appends `bytes`, each XOR the byte of `key` at its index modulo 4 (RFC 6455 section 5.3): masked, or unmasked,
    /// on the way. Of more than [`remaining`](Self::remaining), nothing is appended.
    ///
    /// By default it goes through the stack, 64 bytes at a time: a buffer can do better.
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        if bytes.len() > self.remaining() {
            return;
        }
        for part in bytes.chunks(64) {
            if let Ok(mut masked) = heapless::Vec::<u8, 64>::from_slice(part) {
                mask::xor(&mut masked, key);
                self.append(&masked);
            }
        }
    }

    /// Appends `text`, of which there are at most [`remaining`](Self::remaining) bytes.
    fn append_text(&mut self, text: &str) {
        self.append(text.as_bytes());
    }

    /// The bytes that it holds, as text. By default they are validated now; a buffer that keeps text as text need not.
    fn text(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.bytes())
    }
}

impl<B: Buffer + ?Sized> Buffer for &mut B {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
    fn remaining(&self) -> usize {
        (**self).remaining()
    }
    fn append(&mut self, bytes: &[u8]) {
        (**self).append(bytes);
    }
    fn clear(&mut self) {
        (**self).clear();
    }
    fn max_len(&self) -> usize {
        (**self).max_len()
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        (**self).append_masked(bytes, key);
    }
    fn append_text(&mut self, text: &str) {
        (**self).append_text(text);
    }
    fn text(&self) -> Result<&str, Utf8Error> {
        (**self).text()
    }
}

impl<const N: usize> Buffer for heapless::Vec<u8, N> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn remaining(&self) -> usize {
        N - self.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        // Its error is that nothing was appended.
        let _ = self.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.clear();
    }
    fn max_len(&self) -> usize {
        N
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        let start = self.len();
        if self.extend_from_slice(bytes).is_ok() {
            mask::xor(self.get_mut(start..).unwrap_or_default(), key);
        }
    }
}

#[cfg(feature = "alloc")]
impl Buffer for alloc::vec::Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn remaining(&self) -> usize {
        isize::MAX.unsigned_abs() - self.len()
    }
    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.clear();
    }
    fn max_len(&self) -> usize {
        isize::MAX.unsigned_abs()
    }
    #[inline]
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        mask::append(bytes, key, self);
    }
}

/// A borrowed slice with a length: a [`Buffer`] over memory that lies anywhere.
#[derive(Debug)]
pub struct Slice<'a> {
    memory: &'a mut [u8],
    len: usize,
}

impl<'a> Slice<'a> {
    /// An empty buffer that can take as many bytes as `memory` has.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// Appends `bytes` and returns where they lie now; where they do not fit, appends and returns nothing.
    fn extend(&mut self, bytes: &[u8]) -> &mut [u8] {
        let end = self.len.saturating_add(bytes.len());
        match self.memory.get_mut(self.len..end) {
            // The comparison shows the compiler that `copy_from_slice` cannot panic.
            Some(target) if target.len() == bytes.len() => {
                target.copy_from_slice(bytes);
                self.len = end;
                target
            }
            _ => &mut [],
        }
    }
}

impl Buffer for Slice<'_> {
    fn bytes(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }
    fn remaining(&self) -> usize {
        self.memory.len() - self.len
    }
    fn append(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
    fn clear(&mut self) {
        self.len = 0;
    }
    fn max_len(&self) -> usize {
        self.memory.len()
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        mask::xor(self.extend(bytes), key);
    }
}

/// An inbox on the heap that keeps text as text, so that a text message which spans several reads is validated once,
/// piece by piece, and not a second time at its end.
#[cfg(feature = "alloc")]
pub type Inbox = TextInbox<alloc::string::String>;

/// An inbox of `N` bytes that keeps text as text, so that a text message which spans several reads is validated once,
/// piece by piece, and not a second time at its end.
///
/// Between one [`clear`](Buffer::clear) and the next it takes bytes, or text: behind text, bytes that are not UTF-8 are
/// not appended, nor are masked ones. (The machine never mixes them.)
pub type FixedInbox<const N: usize> = TextInbox<heapless::String<N>>;

/// What [`FixedInbox`] and `Inbox` are: bytes or text, whichever came first into the empty buffer.
#[derive(Debug)]
pub struct TextInbox<T: Text>(Kept<T>);

#[derive(Debug)]
enum Kept<T: Text> {
    Bytes(T::Bytes),
    Text(T),
}

#[cfg(feature = "alloc")]
impl Inbox {
    /// An empty inbox; it allocates with the first bytes that it takes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Kept::Bytes(alloc::vec::Vec::new()))
    }
}

impl<const N: usize> FixedInbox<N> {
    /// An empty inbox.
    #[must_use]
    pub const fn new() -> Self {
        Self(Kept::Bytes(heapless::Vec::new()))
    }
}

impl<T: Text> Default for TextInbox<T> {
    fn default() -> Self {
        Self(Kept::Bytes(T::Bytes::default()))
    }
}

impl<T: Text> TextInbox<T> {
    /// What it keeps, as bytes; or the text, where it cannot become bytes without being moved.
    #[inline]
    fn bytes_mut(&mut self) -> Result<&mut T::Bytes, &mut T> {
        // Empty memory changes its kind where it lies: moved, it would take as much stack.
        if let Kept::Text(text) = &mut self.0 {
            if text.as_str().is_empty() {
                self.0 = Kept::Bytes(T::empty_bytes(text));
            } else if let Some(bytes) = T::into_bytes(text) {
                self.0 = Kept::Bytes(bytes);
            }
        }
        match &mut self.0 {
            Kept::Bytes(bytes) => Ok(bytes),
            Kept::Text(text) => Err(text),
        }
    }
}

impl<T: Text> Buffer for TextInbox<T> {
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Bytes(bytes) => bytes.bytes(),
            Kept::Text(text) => text.as_str().as_bytes(),
        }
    }
    fn remaining(&self) -> usize {
        match &self.0 {
            Kept::Bytes(bytes) => bytes.remaining(),
            Kept::Text(text) => text.remaining(),
        }
    }
    fn append(&mut self, bytes: &[u8]) {
        match self.bytes_mut() {
            Ok(kept) => kept.append(bytes),
            Err(text) => text.append(core::str::from_utf8(bytes).unwrap_or_default()),
        }
    }
    fn max_len(&self) -> usize {
        match &self.0 {
            Kept::Bytes(bytes) => bytes.max_len(),
            Kept::Text(text) => text.max_len(),
        }
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        if let Ok(kept) = self.bytes_mut() {
            kept.append_masked(bytes, key);
        }
    }
    fn clear(&mut self) {
        match &mut self.0 {
            Kept::Bytes(bytes) => bytes.clear(),
            Kept::Text(text) => text.clear(),
        }
    }
    fn append_text(&mut self, text: &str) {
        if let Kept::Bytes(bytes) = &mut self.0
            && bytes.bytes().is_empty()
        {
            self.0 = Kept::Text(T::empty_text(bytes));
        }
        match &mut self.0 {
            Kept::Bytes(bytes) => bytes.append(text.as_bytes()),
            Kept::Text(kept) => kept.append(text),
        }
    }
    fn text(&self) -> Result<&str, Utf8Error> {
        match &self.0 {
            Kept::Bytes(bytes) => bytes.text(),
            Kept::Text(text) => Ok(text.as_str()),
        }
    }
}

use text::Text;

mod text {
    use super::Buffer;

    /// What keeps text, and what keeps bytes in the same memory.
    pub trait Text: Default + core::fmt::Debug {
        type Bytes: Buffer + Default + core::fmt::Debug;
        /// Empty text, with the memory of `bytes`, which are empty.
        fn empty_text(bytes: &mut Self::Bytes) -> Self;
        /// No bytes, with the memory of `text`, which is empty.
        fn empty_bytes(text: &mut Self) -> Self::Bytes;
        /// The bytes of `text`, in its memory, if that goes without moving them.
        fn into_bytes(text: &mut Self) -> Option<Self::Bytes>;
        fn as_str(&self) -> &str;
        fn max_len(&self) -> usize;
        fn remaining(&self) -> usize {
            self.max_len() - self.as_str().len()
        }
        fn append(&mut self, text: &str);
        fn clear(&mut self);
    }

    #[cfg(feature = "alloc")]
    impl Text for alloc::string::String {
        type Bytes = alloc::vec::Vec<u8>;
        fn empty_text(bytes: &mut Self::Bytes) -> Self {
            Self::from_utf8(core::mem::take(bytes)).unwrap_or_default()
        }
        fn empty_bytes(text: &mut Self) -> Self::Bytes {
            core::mem::take(text).into_bytes()
        }
        fn into_bytes(text: &mut Self) -> Option<Self::Bytes> {
            Some(core::mem::take(text).into_bytes())
        }
        fn as_str(&self) -> &str {
            self
        }
        fn max_len(&self) -> usize {
            isize::MAX.unsigned_abs()
        }
        fn append(&mut self, text: &str) {
            self.push_str(text);
        }
        fn clear(&mut self) {
            self.clear();
        }
    }

    impl<const N: usize> Text for heapless::String<N> {
        type Bytes = heapless::Vec<u8, N>;
        #[inline(always)]
        fn empty_text(_: &mut Self::Bytes) -> Self {
            Self::new()
        }
        #[inline(always)]
        fn empty_bytes(_: &mut Self) -> Self::Bytes {
            Self::Bytes::new()
        }
        #[inline(always)]
        fn into_bytes(_: &mut Self) -> Option<Self::Bytes> {
            None
        }
        fn as_str(&self) -> &str {
            self
        }
        fn max_len(&self) -> usize {
            N
        }
        fn append(&mut self, text: &str) {
            // Its error is that nothing was appended.
            let _ = self.push_str(text);
        }
        fn clear(&mut self) {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every buffer of eight bytes does.
    fn check(buffer: &mut dyn Buffer, fixed: bool) {
        buffer.append(b"ab");
        assert_eq!((buffer.bytes(), buffer.text()), (&b"ab"[..], Ok("ab")));
        buffer.append_text("é");
        assert_eq!(buffer.text(), Ok("abé"));
        if fixed {
            assert_eq!(buffer.remaining(), 4);
            buffer.append(b"12345");
            assert_eq!(buffer.bytes(), "abé".as_bytes(), "what does not fit is not appended in part");
        }
        buffer.clear();
        assert_eq!(buffer.bytes(), b"");
        buffer.append_text("tex");
        buffer.append_text("t€");
        assert_eq!(buffer.text(), Ok("text€"));
        buffer.append(b"!");
        assert_eq!(buffer.bytes(), "text€!".as_bytes());
        buffer.clear();
        assert_eq!(buffer.text(), Ok(""));
        buffer.append(b"\xFF");
        buffer.append_text("a");
        assert_eq!(buffer.bytes(), b"\xFFa");
    }

    #[test]
    fn every_buffer_keeps_what_it_is_given() {
        check(&mut heapless::Vec::<u8, 8>::new(), true);
        check(&mut Slice::new(&mut [0; 8]), true);
        check(&mut FixedInbox::<8>::new(), true);
        check(&mut &mut FixedInbox::<8>::default(), true);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn every_buffer_on_the_heap_keeps_what_it_is_given() {
        check(&mut alloc::vec::Vec::new(), false);
        check(&mut Inbox::new(), false);
    }
}
