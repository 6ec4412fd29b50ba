//! Compression of messages (RFC 1951, RFC 7692 section 7.2.1).

/// A compressor: [`Compressor`](super::Compressor), or another implementation, such as zlib-rs or
/// a peripheral of a microcontroller.
pub trait Compress {
    /// The most bytes that [`compress`](Self::compress) writes for `len` bytes.
    fn max_len(&self, len: usize) -> usize;

    /// Compresses `data` into the front of `out`, which has at least [`max_len`](Self::max_len)
    /// bytes, and returns the number of bytes written. They are whole blocks that are not final,
    /// and end in an empty stored block, whose last four bytes are `00 00 FF FF` (RFC 7692 section
    /// 7.2.1). No distance is larger than 2^`window_bits`.
    fn compress(&mut self, data: &[u8], window_bits: u8, out: &mut [u8]) -> usize;

    /// Undoes the last [`compress`](Self::compress), whose output was not sent: later output does
    /// not refer to its data. A compressor that cannot do that resets itself.
    fn undo(&mut self);

    /// Forgets all earlier data, and its [`context`](Self::context).
    fn reset(&mut self);

    /// The connection whose messages later output can refer to. `None` for a compressor that
    /// compresses each message by itself, and so can be shared by connections.
    fn context(&mut self) -> Option<&mut Context>;
}

/// The messages that a compressor can refer to: those that one connection has sent with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context(pub(crate) u32);
