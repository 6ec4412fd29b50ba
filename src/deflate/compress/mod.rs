//! Compression of messages (RFC 1951, RFC 7692 section 7.2.1).

mod bits;
mod dynamic;
mod search;

pub use dynamic::DynamicCodes;
pub use search::{Best, Better, Fast, Level};

use super::memory::move_to_front;
use crate::buffer::copy;
use bits::{Bits, FixedBlock, Sink, stored_len};
use core::fmt;
use core::marker::PhantomData;

/// A compressor: [`Compressor`], or another implementation, such as zlib-rs or a peripheral of a
/// microcontroller.
pub trait Compress {
    /// The most bytes that [`compress`](Self::compress) writes for `len` bytes.
    fn max_len(&self, len: usize) -> usize;

    /// Compresses `data` into the front of `out`, which has at least [`max_len`](Self::max_len)
    /// bytes, and returns the number of bytes written. They are whole blocks that are not final,
    /// and end in an empty stored block, whose last four bytes are `00 00 FF FF` (RFC 7692 section
    /// 7.2.1). No distance is larger than 2^`window_bits` bytes; `window_bits` is 8 to 15.
    ///
    /// The bytes of `out` behind the output can be overwritten too. If `out` is shorter than it
    /// must be, and the output does not fit into it, the result is 0, and later output does not
    /// refer to `data`.
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

impl Context {
    /// The context of data that was compressed for no connection.
    const UNKNOWN: Self = Self(1);
}

/// Compresses messages with the fixed Huffman codes (RFC 1951 section 3.2.6), or without
/// compression where they would get longer. [`with_codes`](Self::with_codes) adds codes that are
/// made for each message.
///
/// All its memory is the caller's: arrays, `&mut` slices, boxes or vectors.
///
/// - The *table* finds repetitions. Its length is used as far as it is a power of two: 128 entries
///   of 2 bytes are of use, 512 to 4,096 are usual. It is never cleared, and may hold anything at
///   the beginning.
/// - The *history* holds earlier messages and the one under way, so that a message can refer to
///   those before it ("context takeover"). Such a compressor belongs to one connection. Without a
///   history each message stands alone, and one compressor serves all connections of a thread.
///
/// The window, which is how far back a message can refer, is the one that was agreed on, but at
/// most 7/8 of the history. When the history is full, the last window of it is moved to its front:
/// a history of 3/2 of the window is moved less often than one of 8/7.
///
/// | window | table | history | together |
/// |---|---|---|---|
/// | 2^9 = 512 bytes | 512 entries, 1 KiB | 768 bytes | 1.75 KiB |
/// | 2^10 = 1 KiB | 512 entries, 1 KiB | 1,536 bytes | 2.5 KiB |
/// | 2^12 = 4 KiB | 1,024 entries, 2 KiB | 6 KiB | 8 KiB |
/// | 2^15 = 32 KiB | 4,096 entries, 8 KiB | 38 KiB | 46 KiB |
/// | none: each message stands alone | 512 to 4,096 entries | – | 1 to 8 KiB |
///
/// For [`Better`](super::Better), a table of twice the size pays, and for [`Best`](super::Best) one
/// of 32 or 64 KiB.
///
/// ```
/// use sansocket::deflate::{Better, Compress, Compressor};
/// // For one connection; the types of the memory are free.
/// let mut own = Compressor::with_takeover([0u16; 512], [0u8; 768]);
/// // For all connections of a thread, with more effort.
/// let mut shared = Compressor::shared(vec![0u16; 4096]).level(Better);
///
/// let message = b"the same, the same, the same";
/// let mut out = [0; 64];
/// let len = own.compress(message, 9, &mut out);
/// assert!(len < message.len());
/// assert!(out[..len].ends_with(&[0, 0, 0xFF, 0xFF]));
/// # assert!(shared.compress(message, 15, &mut out) < message.len());
/// ```
#[derive(Clone)]
pub struct Compressor<T, H = [u8; 0], L = Fast> {
    table: T,
    history: H,
    level: PhantomData<L>,
    /// How many bytes of the history are in use.
    held: usize,
    /// Where in it the last message begins; 0 if that has been moved out.
    last: usize,
    /// The position, modulo 2^16, of the first byte of the history, or of the next message.
    base: u16,
    /// `UNKNOWN` after each message, until the connection that sends it notes its own.
    context: Context,
    /// The context before the last message.
    last_context: Context,
}

/// Hides the history, which holds messages.
impl<T, H, L> fmt::Debug for Compressor<T, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("held", &self.held)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl<T> Compressor<T> {
    /// Compresses each message by itself, for any number of connections: those that have agreed on
    /// no context takeover, and others.
    pub const fn shared(table: T) -> Self {
        Self::with_takeover(table, [])
    }
}

impl<T, H> Compressor<T, H> {
    /// Compresses the messages of one connection, which refer to those before them as far as
    /// `history` holds them.
    pub const fn with_takeover(table: T, history: H) -> Self {
        Self {
            table,
            history,
            level: PhantomData,
            held: 0,
            last: 0,
            base: 0,
            context: Context(0),
            last_context: Context(0),
        }
    }
}

impl<T, H, L> Compressor<T, H, L> {
    /// The same with another level of effort.
    pub fn level<M: Level>(self, level: M) -> Compressor<T, H, M> {
        let _ = level;
        let Self { table, history, held, last, base, context, last_context, .. } = self;
        Compressor { table, history, level: PhantomData, held, last, base, context, last_context }
    }

    /// Compresses with Huffman codes that are made for each message where that is shorter. See
    /// [`DynamicCodes`].
    pub const fn with_codes<'c>(&'c mut self, tokens: &'c mut [u32]) -> DynamicCodes<'c, T, H, L> {
        DynamicCodes::new(self, tokens)
    }

    /// Removes the last message from the history.
    fn forget_last(&mut self) {
        self.held = self.last;
        self.context = self.last_context;
    }

    /// Writes `message` with `blocks`, or in stored blocks where those are shorter. The length; 0
    /// if it does not fit.
    fn compress_with(
        &mut self,
        message: &[u8],
        out: &mut [u8],
        blocks: impl FnOnce(&mut Self, &mut Bits<'_>),
    ) -> usize {
        self.last = self.held;
        self.last_context = self.context;
        self.context = Context::UNKNOWN;
        let mut bits = Bits::new(out);
        if !message.is_empty() {
            blocks(self, &mut bits);
        }
        if let Some(len) = bits.finish()
            && len <= stored_len(message.len())
        {
            return len;
        }
        let mut bits = Bits::new(out);
        bits.stored_blocks(message);
        bits.finish().unwrap_or_else(|| {
            self.forget_last();
            0
        })
    }
}

impl<T, H, L> Compressor<T, H, L>
where
    T: AsRef<[u16]> + AsMut<[u16]>,
    H: AsRef<[u8]> + AsMut<[u8]>,
    L: Level,
{
    /// Finds the repetitions in `message`, which it enters into the history.
    fn search<S: Sink>(&mut self, message: &[u8], window_bits: u8, sink: &mut S) {
        let window = 1 << window_bits.clamp(8, 15);
        if self.history.as_ref().is_empty() {
            self.search_part(None, message, window, sink);
            self.base = self.base.wrapping_add(message.len() as u16);
            return;
        }
        let capacity = self.history.as_ref().len();
        let window = window.min(capacity - capacity.div_ceil(8));
        let mut rest = message;
        while !rest.is_empty() {
            if capacity - self.held < rest.len() {
                self.slide(window);
            }
            let (part, later) = rest.split_at_checked(capacity - self.held).unwrap_or((rest, &[]));
            rest = later;
            self.search_part(Some(part), &[], window, sink);
        }
    }

    /// Moves the last `window` bytes of the history to its front.
    fn slide(&mut self, window: usize) {
        let gone = self.held.saturating_sub(window);
        let history = self.history.as_mut();
        move_to_front(history.get_mut(..self.held).unwrap_or_default(), gone);
        self.held -= gone;
        self.last = self.last.saturating_sub(gone);
        self.base = self.base.wrapping_add(gone as u16);
    }

    /// Searches `part` behind the history, to which it is appended, or else `message` by itself.
    fn search_part<S: Sink>(&mut self, part: Option<&[u8]>, message: &[u8], window: usize, sink: &mut S) {
        let from = self.held;
        let data = match part {
            Some(part) => {
                self.held += part.len();
                let Some(data) = self.history.as_mut().get_mut(..self.held) else { return };
                if let Some(end) = data.get_mut(from..) {
                    copy(end, part);
                }
                &*data
            }
            None => message,
        };
        L::search(self.table.as_mut(), self.base, data, from, window, sink);
    }
}

impl<T, H, L> Compress for Compressor<T, H, L>
where
    T: AsRef<[u16]> + AsMut<[u16]>,
    H: AsRef<[u8]> + AsMut<[u8]>,
    L: Level,
{
    /// `len` + 5 bytes for each 65,535, and 5 for the end.
    fn max_len(&self, len: usize) -> usize {
        stored_len(len)
    }

    fn compress(&mut self, data: &[u8], window_bits: u8, out: &mut [u8]) -> usize {
        self.compress_with(data, out, |compressor, bits| {
            let mut block = FixedBlock::begin(bits);
            compressor.search(data, window_bits, &mut block);
            block.end();
        })
    }

    fn undo(&mut self) {
        self.forget_last();
    }

    fn reset(&mut self) {
        self.base = self.base.wrapping_add(self.held as u16);
        self.held = 0;
        self.last = 0;
        self.context = Context::default();
        self.last_context = Context::default();
    }

    fn context(&mut self) -> Option<&mut Context> {
        (!self.history.as_ref().is_empty()).then_some(&mut self.context)
    }
}
