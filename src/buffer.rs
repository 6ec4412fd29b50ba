//! Buffers: the trait through which the machine writes to the caller's memory, and the types that
//! implement it.

use crate::frame::mask;
use core::str::Utf8Error;

/// Memory that the caller owns and the machine appends to: an inbox or an outbox.
///
/// - An inbox collects the head of the opening handshake, as far as it fits, and each message that
///   does not lie whole and in one frame in the input.
/// - An outbox takes the bytes to send. The caller sends them and clears it.
///
/// Implemented for [`heapless::Vec<u8, N>`](heapless::Vec), [`Slice`] and [`FixedInbox`]; with the
/// feature `alloc` also for `alloc::vec::Vec<u8>` and `Inbox`. The trait is dyn-compatible.
///
/// The machine never appends more than [`remaining`](Self::remaining) bytes. It reserves nothing
/// for a length that a peer has only declared: a growing buffer grows with the bytes received.
#[doc(alias = "inbox")]
#[doc(alias = "outbox")]
#[doc(alias = "capacity")]
pub trait Buffer {
    /// The bytes in it.
    fn bytes(&self) -> &[u8];

    /// The capacity left, in bytes.
    fn remaining(&self) -> usize;

    /// Appends `bytes`. If they are more than [`remaining`](Self::remaining), it appends nothing.
    fn append(&mut self, bytes: &[u8]);

    /// Removes all bytes.
    fn clear(&mut self);

    /// The capacity when it is empty, in bytes. An inbox's is a limit for the length of a message.
    fn max_len(&self) -> usize {
        self.bytes().len().saturating_add(self.remaining())
    }

    /// Appends each byte of `bytes` XOR the byte of `key` at its index modulo 4, which masks or
    /// unmasks them (RFC 6455 section 5.3). If they are more than [`remaining`](Self::remaining),
    /// it appends nothing.
    ///
    /// The default masks 64 bytes at a time on the stack. A buffer that can mask in place is
    /// faster.
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        if bytes.len() > self.remaining() {
            return;
        }
        for part in bytes.chunks(64) {
            let mut masked = [0; 64];
            if let Some(masked) = masked.get_mut(..part.len()) {
                mask::copy(part, key, masked);
                self.append(masked);
            }
        }
    }

    /// The bytes in it, to be changed in place.
    ///
    /// With this and [`truncate`](Self::truncate), the machine removes headers that it does not
    /// need from a head that is longer than the inbox, and gives a target like `http://a?b` its path.
    /// With [`grow`](Self::grow) too, it compresses into an outbox and inflates into an inbox.
    ///
    /// The default is an empty slice. Then the whole head must fit, and that target is `?b`;
    /// messages are sent uncompressed, and a compressed one that is received is too big.
    /// Implement all three or none.
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut []
    }

    /// Keeps the first `len` bytes, and removes all others. The default does nothing: see
    /// [`bytes_mut`](Self::bytes_mut).
    fn truncate(&mut self, len: usize) {
        let _ = len;
    }

    /// Appends `len` bytes of any value, which the machine then overwrites, and returns whether it
    /// did. If they are more than [`remaining`](Self::remaining), it appends nothing. The default
    /// appends nothing: see [`bytes_mut`](Self::bytes_mut).
    fn grow(&mut self, len: usize) -> bool {
        let _ = len;
        false
    }

    /// Appends `text`. If it is longer than [`remaining`](Self::remaining), it appends nothing.
    fn append_text(&mut self, text: &str) {
        self.append(text.as_bytes());
    }

    /// The bytes in it as text.
    ///
    /// The default validates them. A buffer that stores what [`append_text`](Self::append_text)
    /// appends as text need not.
    ///
    /// # Errors
    /// [`Utf8Error`] if they are not UTF-8.
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
    fn bytes_mut(&mut self) -> &mut [u8] {
        (**self).bytes_mut()
    }
    fn truncate(&mut self, len: usize) {
        (**self).truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        (**self).grow(len)
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
        // On error it has appended nothing.
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
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        self.resize_default(self.len().saturating_add(len)).is_ok()
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
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        mask::append(bytes, key, self);
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        let fits = len <= self.remaining();
        if fits {
            self.resize(self.len() + len, 0);
        }
        fits
    }
}

/// A borrowed slice with a length: a [`Buffer`] over memory of any origin.
///
/// ```
/// use sansocket::{Buffer, Slice};
///
/// let mut memory = [0; 8];
/// let mut outbox = Slice::new(&mut memory);
/// outbox.append(b"bytes");
/// assert_eq!((outbox.bytes(), outbox.remaining()), (&b"bytes"[..], 3));
/// ```
#[derive(Debug)]
pub struct Slice<'a> {
    memory: &'a mut [u8],
    len: usize,
}

impl<'a> Slice<'a> {
    /// An empty buffer; its capacity is the length of `memory`.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// The next `len` bytes of the memory, which then belong to the contents; `None` if they are
    /// more than remain.
    fn extend(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.len.checked_add(len)?;
        let target = self.memory.get_mut(self.len..end)?;
        self.len = end;
        Some(target)
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
        if let Some(target) = self.extend(bytes.len()) {
            copy(target, bytes);
        }
    }
    fn clear(&mut self) {
        self.len = 0;
    }
    fn max_len(&self) -> usize {
        self.memory.len()
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        if let Some(target) = self.extend(bytes.len()) {
            mask::copy(bytes, key, target);
        }
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.len).unwrap_or_default()
    }
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        self.extend(len).is_some()
    }
}

/// Copies to the front of `target` as many bytes as both have. Unlike `copy_from_slice` it links no
/// panic.
pub(crate) fn copy(target: &mut [u8], source: &[u8]) {
    let (mut target, mut source) = (target, source);
    // Compiled for size, the loop below is no `memcpy`: benches/README.md, "Library code that is
    // avoided".
    if !cfg!(target_pointer_width = "64") {
        let len = target.len().min(source.len());
        let (target_blocks, target_rest) = target.get_mut(..len).unwrap_or_default().as_chunks_mut::<8>();
        let (source_blocks, source_rest) = source.get(..len).unwrap_or_default().as_chunks::<8>();
        target_blocks.iter_mut().zip(source_blocks).for_each(|(target, source)| *target = *source);
        (target, source) = (target_rest, source_rest);
    }
    target.iter_mut().zip(source).for_each(|(target, source)| *target = *source);
}

/// An inbox on the heap that stores text as text. A text message that spans several reads is then
/// validated once, part by part, and not again when it is complete.
#[cfg(feature = "alloc")]
pub type Inbox = TextInbox<alloc::string::String>;

/// An inbox of `N` bytes that stores text as text. A text message that spans several reads is then
/// validated once, part by part, and not again when it is complete.
///
/// Between two calls of [`clear`](Buffer::clear) it takes either bytes or text, as the machine does
/// it. After text it appends only bytes that are UTF-8, and no masked bytes.
pub type FixedInbox<const N: usize> = TextInbox<heapless::String<N>>;

/// The type behind [`FixedInbox`] and `Inbox`: it stores bytes, or text if text is the first thing
/// appended.
#[derive(Clone, Debug)]
pub struct TextInbox<T: Text>(Content<T>);

#[derive(Clone, Debug)]
enum Content<T: Text> {
    Bytes(T::Bytes),
    /// Never empty.
    Text(T),
}

#[cfg(feature = "alloc")]
impl Inbox {
    /// An empty inbox. It allocates when the first bytes are appended.
    #[must_use]
    pub const fn new() -> Self {
        Self(Content::Bytes(alloc::vec::Vec::new()))
    }
}

impl<const N: usize> FixedInbox<N> {
    /// An empty inbox.
    #[must_use]
    pub const fn new() -> Self {
        Self(Content::Bytes(heapless::Vec::new()))
    }
}

impl<T: Text> Default for TextInbox<T> {
    fn default() -> Self {
        Self(Content::Bytes(T::Bytes::default()))
    }
}

impl<T: Text> TextInbox<T> {
    /// Its content as bytes, or the text if it cannot become bytes without being moved.
    #[inline]
    fn content_mut(&mut self) -> Result<&mut T::Bytes, &mut T> {
        if let Content::Text(text) = &mut self.0
            && let Some(bytes) = T::into_bytes(text)
        {
            self.0 = Content::Bytes(bytes);
        }
        match &mut self.0 {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Text(text) => Err(text),
        }
    }
}

impl<T: Text> Buffer for TextInbox<T> {
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Content::Bytes(bytes) => bytes.bytes(),
            Content::Text(text) => text.as_ref().as_bytes(),
        }
    }
    fn remaining(&self) -> usize {
        T::MAX_LEN - self.bytes().len()
    }
    fn append(&mut self, bytes: &[u8]) {
        match self.content_mut() {
            Ok(content) => content.append(bytes),
            Err(text) => append(core::str::from_utf8(bytes).unwrap_or_default(), text),
        }
    }
    fn clear(&mut self) {
        match &mut self.0 {
            Content::Bytes(bytes) => bytes.clear(),
            Content::Text(text) => self.0 = Content::Bytes(T::cleared(text)),
        }
    }
    fn max_len(&self) -> usize {
        T::MAX_LEN
    }
    fn append_masked(&mut self, bytes: &[u8], key: [u8; 4]) {
        if let Ok(content) = self.content_mut() {
            content.append_masked(bytes, key);
        }
    }
    /// Of text, nothing: it must stay UTF-8.
    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Content::Bytes(bytes) => bytes.bytes_mut(),
            Content::Text(_) => &mut [],
        }
    }
    fn truncate(&mut self, len: usize) {
        if let Content::Bytes(bytes) = &mut self.0 {
            bytes.truncate(len);
        }
    }
    fn grow(&mut self, len: usize) -> bool {
        match self.content_mut() {
            Ok(content) => content.grow(len),
            Err(_) => false,
        }
    }
    fn append_text(&mut self, text: &str) {
        if let Content::Bytes(bytes) = &mut self.0
            && bytes.bytes().is_empty()
            && !text.is_empty()
            && text.len() <= T::MAX_LEN
        {
            self.0 = Content::Text(T::from_empty(bytes));
        }
        match &mut self.0 {
            Content::Bytes(bytes) => bytes.append(text.as_bytes()),
            Content::Text(content) => append(text, content),
        }
    }
    fn text(&self) -> Result<&str, Utf8Error> {
        match &self.0 {
            Content::Bytes(bytes) => bytes.text(),
            Content::Text(text) => Ok(text.as_ref()),
        }
    }
}

fn append<T: Text>(text: &str, content: &mut T) {
    // On error it has appended nothing.
    let _ = content.write_str(text);
}

use text::Text;

mod text {
    use super::Buffer;
    use core::fmt::{Debug, Write};

    /// A string, and the vector of bytes that can take its place in the same memory.
    ///
    /// The conversions that `heapless` uses are inlined: a large array is then not moved over the
    /// stack.
    pub trait Text: Clone + Default + Debug + AsRef<str> + Write {
        type Bytes: Buffer + Clone + Default + Debug;
        /// The capacity of either, in bytes.
        const MAX_LEN: usize;
        /// Empty text in the memory of `bytes`, which are empty.
        fn from_empty(bytes: &mut Self::Bytes) -> Self;
        /// No bytes, in the memory of `text`.
        fn cleared(text: &mut Self) -> Self::Bytes;
        /// The bytes of `text` in its memory; `None` if they would have to be moved.
        fn into_bytes(text: &mut Self) -> Option<Self::Bytes>;
    }

    #[cfg(feature = "alloc")]
    impl Text for alloc::string::String {
        type Bytes = alloc::vec::Vec<u8>;
        const MAX_LEN: usize = isize::MAX.unsigned_abs();
        fn from_empty(bytes: &mut Self::Bytes) -> Self {
            Self::from_utf8(core::mem::take(bytes)).unwrap_or_default()
        }
        fn cleared(text: &mut Self) -> Self::Bytes {
            text.clear();
            core::mem::take(text).into_bytes()
        }
        fn into_bytes(text: &mut Self) -> Option<Self::Bytes> {
            Some(core::mem::take(text).into_bytes())
        }
    }

    impl<const N: usize> Text for heapless::String<N> {
        type Bytes = heapless::Vec<u8, N>;
        const MAX_LEN: usize = N;
        #[inline(always)]
        fn from_empty(_: &mut Self::Bytes) -> Self {
            Self::new()
        }
        #[inline(always)]
        fn cleared(_: &mut Self) -> Self::Bytes {
            Self::Bytes::new()
        }
        #[inline(always)]
        fn into_bytes(_: &mut Self) -> Option<Self::Bytes> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a buffer, of eight bytes if its capacity is fixed.
    fn check(buffer: &mut dyn Buffer, fixed: bool) {
        buffer.append(b"ab");
        assert_eq!((buffer.bytes(), buffer.text()), (&b"ab"[..], Ok("ab")));
        buffer.append_text("é");
        assert_eq!(buffer.text(), Ok("abé"));
        if fixed {
            assert_eq!((buffer.remaining(), buffer.max_len()), (4, 8));
            buffer.append(b"12345");
            buffer.append_masked(b"12345", [0; 4]);
            buffer.append_text("12345");
            assert_eq!(buffer.bytes(), "abé".as_bytes(), "bytes that do not fit are not appended in part");
        }
        buffer.clear();
        assert_eq!(buffer.bytes(), b"");
        if fixed {
            buffer.append_text("longer than all memory");
        }
        buffer.append_text("");
        buffer.append_masked(b"\xFFabcd", [1, 2, 3, 4]);
        assert_eq!(buffer.bytes(), [0xFE, b'a' ^ 2, b'b' ^ 3, b'c' ^ 4, b'd' ^ 1]);
        buffer.clear();
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
    fn a_buffer_of_fixed_capacity_holds_what_is_appended() {
        check(&mut heapless::Vec::<u8, 8>::new(), true);
        check(&mut Slice::new(&mut [0; 8]), true);
        check(&mut FixedInbox::<8>::new(), true);
        check(&mut &mut FixedInbox::<8>::default(), true);
    }

    /// The default of `append_masked`.
    #[test]
    fn a_buffer_that_only_appends_can_append_masked_bytes() {
        struct Plain(heapless::Vec<u8, 100>);
        impl Buffer for Plain {
            fn bytes(&self) -> &[u8] {
                &self.0
            }
            fn remaining(&self) -> usize {
                self.0.remaining()
            }
            fn append(&mut self, bytes: &[u8]) {
                self.0.append(bytes);
            }
            fn clear(&mut self) {
                self.0.clear();
            }
        }
        let mut plain = Plain(heapless::Vec::new());
        plain.append_masked(&[0; 101], [1, 2, 3, 4]);
        assert_eq!((plain.bytes(), plain.max_len()), (&[][..], 100));
        plain.append_masked(&[0; 99], [1, 2, 3, 4]);
        assert!(plain.bytes().iter().eq([1, 2, 3, 4].iter().cycle().take(99)));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_buffer_on_the_heap_holds_what_is_appended() {
        check(&mut alloc::vec::Vec::new(), false);
        check(&mut Inbox::new(), false);
    }
}
