//! Writing of bits, of stored blocks and of the fixed codes (RFC 1951 sections 3.1.1, 3.2.4 and
//! 3.2.6).

use crate::buffer::copy;

/// What holds bits until they are written: as wide as a register.
#[cfg(target_pointer_width = "64")]
pub(super) type Word = u64;
#[cfg(not(target_pointer_width = "64"))]
pub(super) type Word = u32;

const BYTES: usize = size_of::<Word>();
/// Bits that can be put into an empty [`Bits`] before a flush.
pub(super) const ROOM: u32 = Word::BITS - 8;
/// The longest literals and copies of the fixed codes, in bits.
const COPY_BITS: u32 = (8 + 5) + (5 + 13);

/// The most bytes in a stored block.
pub(super) const MAX_STORED: usize = 65_535;
/// The bytes of a stored block's header that starts at a byte boundary.
const STORED_HEADER: usize = 5;

/// The bits of a block's header (RFC 1951 section 3.2.3): BFINAL = 0, and BTYPE.
pub(super) const BLOCK_HEADER_BITS: u32 = 3;
const STORED: u32 = 0b00 << 1;
const FIXED: u32 = 0b01 << 1;
pub(super) const DYNAMIC: u32 = 0b10 << 1;

/// The length of `len` bytes in stored blocks, with the empty one that ends a message.
pub(super) const fn stored_len(len: usize) -> usize {
    let headers = len.div_ceil(MAX_STORED).saturating_add(1).saturating_mul(STORED_HEADER);
    len.saturating_add(headers)
}

/// Appends bits to a slice. Past its end nothing is written, but the length is counted.
pub(super) struct Bits<'o> {
    out: &'o mut [u8],
    /// The length in whole bytes, which can exceed that of `out`.
    len: usize,
    /// Bits that are not written yet, from the lowest on.
    hold: Word,
    held: u32,
}

impl<'o> Bits<'o> {
    pub(super) const fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0, hold: 0, held: 0 }
    }

    /// Appends the lowest `n` bits of `bits`, whose other bits are zero. At most [`ROOM`] bits can
    /// be put after a [`flush`](Self::flush).
    pub(super) const fn put(&mut self, bits: Word, n: u32) {
        debug_assert!(self.held + n <= Word::BITS);
        self.hold |= bits << self.held;
        self.held += n;
    }

    /// Writes the whole bytes that are held: fewer than 8 bits remain.
    pub(super) fn flush(&mut self) {
        let bytes = self.hold.to_le_bytes();
        if let Some(to) = self.out.get_mut(self.len..).and_then(|out| out.first_chunk_mut()) {
            *to = bytes;
        } else {
            write_at_end(self.out.get_mut(self.len..).unwrap_or_default(), bytes);
        }
        self.len += self.held as usize / 8;
        self.hold >>= self.held & !7;
        self.held &= 7;
    }

    /// The bits that stored blocks of at most [`MAX_STORED`] bytes of data would append.
    pub(super) const fn stored_bits(&self, len: usize) -> u32 {
        let header = (self.held + BLOCK_HEADER_BITS).next_multiple_of(8) - self.held;
        header + 32 + len as u32 * 8
    }

    /// Ends the message in an empty stored block. The length in bytes; `None` if `out` is shorter.
    pub(super) fn finish(mut self) -> Option<usize> {
        self.stored(&[]);
        (self.len <= self.out.len()).then_some(self.len)
    }

    /// Appends a stored block of at most [`MAX_STORED`] bytes.
    fn stored(&mut self, data: &[u8]) {
        self.put(STORED as Word, BLOCK_HEADER_BITS);
        self.held = self.held.next_multiple_of(8);
        self.flush();
        let len = (data.len() & MAX_STORED) as u32;
        self.put(len as Word, 16);
        self.flush();
        self.put((len ^ 0xFFFF) as Word, 16);
        self.flush();
        if let Some(to) = self.out.get_mut(self.len..).and_then(|out| out.get_mut(..data.len())) {
            copy(to, data);
        }
        self.len = self.len.saturating_add(data.len());
    }

    /// Appends stored blocks for `data`.
    pub(super) fn stored_blocks(&mut self, data: &[u8]) {
        for part in data.chunks(MAX_STORED) {
            self.stored(part);
        }
    }
}

/// Writes bytes as far as they fit.
#[cold]
fn write_at_end(end: &mut [u8], bytes: [u8; BYTES]) {
    for (to, byte) in end.iter_mut().zip(bytes) {
        *to = byte;
    }
}

/// What the search for matches finds: the message as literals and copies, in order.
pub trait Sink {
    /// From farther back than this, a copy of four bytes is not worth its bits.
    const FAR: usize;

    /// The first `n` bytes of `data`, which goes on to the end of what is searched.
    fn literals(&mut self, data: &[u8], n: usize);
    /// A copy of `len` bytes, 3 to 258, from `distance` bytes back, 1 to 32,768.
    fn copy(&mut self, len: usize, distance: usize);
}

/// The longest copy.
pub(super) const MAX_COPY: usize = 258;

/// A block with the fixed codes.
pub(super) struct FixedBlock<'b, 'o>(&'b mut Bits<'o>);

impl<'b, 'o> FixedBlock<'b, 'o> {
    pub(super) fn begin(bits: &'b mut Bits<'o>) -> Self {
        bits.put(FIXED as Word, BLOCK_HEADER_BITS);
        bits.flush();
        Self(bits)
    }

    pub(super) fn end(self) {
        // The code of the end of the block is 7 zeros.
        self.0.put(0, 7);
        self.0.flush();
    }
}

impl Sink for FixedBlock<'_, '_> {
    const FAR: usize = usize::MAX;

    fn literals(&mut self, mut data: &[u8], mut n: usize) {
        // Bytes below 144 have codes of 8 bits, which follow each other without arithmetic between
        // them: a word of ASCII is turned into its codes at once.
        const AT_ONCE: usize = BYTES - 1;
        while n > 0 {
            let now = n.min(AT_ONCE);
            let word = data.first_chunk().map(|bytes| {
                // Without the bytes after `now`.
                Word::from_le_bytes(*bytes) & (Word::MAX >> ((BYTES - now) * 8))
            });
            match word {
                Some(word) if word & repeat(0x80) == 0 => {
                    let codes = reverse_bytes(word + repeat(0x30));
                    self.0.put(codes & (Word::MAX >> ((BYTES - now) * 8)), now as u32 * 8);
                    self.0.flush();
                }
                _ => {
                    for byte in data.iter().take(now) {
                        let (code, len) = literal(*byte);
                        self.0.put(code as Word, len);
                        self.0.flush();
                    }
                }
            }
            n -= now;
            data = data.get(now..).unwrap_or_default();
        }
    }

    fn copy(&mut self, len: usize, distance: usize) {
        let (symbol, extra_bits, extra) = length_symbol(len);
        let code = LENGTH_CODES.get(symbol as usize & 31).copied().unwrap_or(0);
        // 7 bits up to symbol 279, which is 22 here; then 8.
        let code_bits = if symbol < 23 { 7 } else { 8 };
        self.0.put((u32::from(code) | extra << code_bits) as Word, code_bits + extra_bits);
        let (symbol, extra_bits, extra) = distance_symbol(distance);
        if COPY_BITS > ROOM && self.0.held + 5 + extra_bits >= Word::BITS {
            self.0.flush();
        }
        let code = DISTANCE_CODES.get(symbol as usize & 31).copied().unwrap_or(0);
        self.0.put((u32::from(code) | extra << 5) as Word, 5 + extra_bits);
        self.0.flush();
    }
}

/// The fixed codes of lengths from symbol 257 on, reversed: 7 bits, and 8 from symbol 280 on.
// Evaluated by the compiler: no panic is linked.
#[allow(clippy::indexing_slicing)]
static LENGTH_CODES: [u8; 32] = {
    let mut codes = [0; 32];
    let mut i = 0;
    while i < 32 {
        let code = if i < 23 { (i as u8 + 1) << 1 } else { 0xC0 + (i as u8 - 23) };
        codes[i] = code.reverse_bits();
        i += 1;
    }
    codes
};

/// The fixed codes of distances, reversed: 5 bits.
// Evaluated by the compiler: no panic is linked.
#[allow(clippy::indexing_slicing)]
static DISTANCE_CODES: [u8; 32] = {
    let mut codes = [0; 32];
    let mut i = 0;
    while i < 32 {
        codes[i] = (i as u8).reverse_bits() >> 3;
        i += 1;
    }
    codes
};

/// The fixed code of a literal, and its bits.
const fn literal(byte: u8) -> (u32, u32) {
    if byte < 144 {
        ((byte + 0x30).reverse_bits() as u32, 8)
    } else {
        // 9 bits, the first of which is 1: 0x190 + (byte - 144) = 0x100 + byte.
        ((byte.reverse_bits() as u32) << 1 | 1, 9)
    }
}

/// A word of equal bytes.
const fn repeat(byte: u8) -> Word {
    Word::from_le_bytes([byte; BYTES])
}

/// Reverses the bits of each byte.
const fn reverse_bytes(word: Word) -> Word {
    word.swap_bytes().reverse_bits()
}

/// The symbol of a copy's length, 3 to 258, less 257, with its extra bits and their value (RFC 1951
/// section 3.2.5).
pub(super) const fn length_symbol(len: usize) -> (u32, u32, u32) {
    let n = len.wrapping_sub(3) as u32 & 255;
    if n == 255 {
        return (28, 0, 0);
    }
    // Four symbols for each power of two, and the first eight have no extra bits.
    let extra_bits = 29 - (n | 4).leading_zeros();
    ((extra_bits << 2) + (n >> extra_bits), extra_bits, n & ((1 << extra_bits) - 1))
}

/// The symbol of a distance, 1 to 32,768, with its extra bits and their value (RFC 1951 section
/// 3.2.5).
pub(super) const fn distance_symbol(distance: usize) -> (u32, u32, u32) {
    let n = distance.wrapping_sub(1) as u32 & 0x7FFF;
    // Two symbols for each power of two, and the first four have no extra bits.
    let extra_bits = 30 - (n | 2).leading_zeros();
    ((extra_bits << 1) + (n >> extra_bits), extra_bits, n & ((1 << extra_bits) - 1))
}
