//! Huffman codes (RFC 1951 section 3.2): tables for decoding, built from the lengths of the codes.
//!
//! A table of the first level decodes codes of up to a number of bits with one look-up. Longer
//! codes are rare, and are found by counting.

use super::bits::Hold;

#[cfg(not(target_pointer_width = "64"))]
pub(super) use narrow::{Entries, Entry};
#[cfg(target_pointer_width = "64")]
pub(super) use wide::{Entries, Entry, FIXED};

/// The largest number of literals and lengths, of distances, and of code lengths (sections 3.2.5
/// and 3.2.7).
pub(super) const LITERALS: usize = 286;
pub(super) const DISTANCES: usize = 30;
pub(super) const CODE_LENGTHS: usize = 19;

/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: u16 = 256;

/// The bits of the first level of each table: 1 KB in all, on 64-bit targets about 6 KB.
const LITERAL_BITS: u32 = if cfg!(target_pointer_width = "64") { 10 } else { 7 };
const DISTANCE_BITS: u32 = if cfg!(target_pointer_width = "64") { 8 } else { 5 };

/// The longest code, in bits.
const MAX_LENGTH: usize = 15;

/// The tables of a block with dynamic codes.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Literals, lengths and the end of the block; before it, the code of code lengths.
    pub(super) literals: Code<{ 1 << LITERAL_BITS }, LITERALS>,
    pub(super) distances: Code<{ 1 << DISTANCE_BITS }, DISTANCES>,
}

impl Tables {
    pub(super) const fn new() -> Self {
        Self { literals: Code::new(), distances: Code::new() }
    }
}

/// A code of `S` symbols, with `N` entries in the first level, a power of two.
#[derive(Clone, Debug)]
pub(super) struct Code<const N: usize, const S: usize> {
    first_level: [Entry; N],
    rest: Rest,
    /// The symbols in the order of their codes.
    symbols: [u16; S],
}

/// What finds codes that are longer than the first level.
#[derive(Clone, Debug)]
struct Rest {
    /// The number of entries of the first level in use, less one.
    mask: u16,
    /// The number of codes of each length, from 1 on.
    counts: [u16; MAX_LENGTH],
    /// The number of codes of the first level. The next longer code is the first that needs
    /// `symbols`, from this index on.
    index: u16,
    /// The value of that code, without its last bit.
    code: u16,
}

impl<const N: usize, const S: usize> Code<N, S> {
    const fn new() -> Self {
        Self {
            first_level: [Entry::LONG; N],
            rest: Rest { mask: 0, counts: [0; MAX_LENGTH], index: 0, code: 0 },
            symbols: [0; S],
        }
    }

    /// The entry of the code at the lowest bits, of which the highest may be missing: then the
    /// entry's length is larger than the number of bits.
    pub(super) fn entry(&self, hold: Hold, entries: Entries) -> Entry {
        let entry = self.first(hold);
        if entry.is_long() { self.long(hold, entries) } else { entry }
    }

    /// The entry of the first level.
    pub(super) fn first(&self, hold: Hold) -> Entry {
        // Truncated: the mask has at most 10 bits.
        let index = hold as usize & usize::from(self.rest.mask) & (N - 1);
        self.first_level.get(index).copied().unwrap_or(Entry::LONG)
    }

    /// The entry of a code that is longer than the first level.
    pub(super) fn long(&self, hold: Hold, entries: Entries) -> Entry {
        find_long(&self.rest, &self.symbols, hold, entries)
    }

    /// Builds the tables. `None` if the lengths are no code: too many codes, or too few. If
    /// `allows_one`, no code at all and one of a single bit are enough.
    pub(super) fn build(&mut self, lengths: &[u8], entries: Entries, allows_one: bool) -> Option<()> {
        build(&mut self.first_level, &mut self.rest, &mut self.symbols, lengths, entries, allows_one)
    }
}

#[inline(never)]
fn find_long(rest: &Rest, symbols: &[u16], mut hold: Hold, entries: Entries) -> Entry {
    let root = rest.mask.count_ones();
    // The bits of a code come with the highest first.
    let mut code = rest.mask & hold as u16;
    code = code.reverse_bits().checked_shr(16 - root).unwrap_or_default() << 1;
    hold >>= root;
    let (mut first, mut index) = (rest.code << 1, rest.index);
    for (count, length) in rest.counts.iter().zip(1..).skip(root as usize) {
        code |= hold as u16 & 1;
        hold >>= 1;
        let nth = code.wrapping_sub(first);
        if nth < *count {
            let symbol = symbols.get(usize::from(index.wrapping_add(nth))).copied().unwrap_or_default();
            return entries.entry(symbol, length);
        }
        index = index.wrapping_add(*count);
        first = first.wrapping_add(*count) << 1;
        code <<= 1;
    }
    // The code is complete.
    Entry::unused(1)
}

#[inline(never)]
fn build(
    first_level: &mut [Entry],
    rest: &mut Rest,
    symbols: &mut [u16],
    lengths: &[u8],
    entries: Entries,
    allows_one: bool,
) -> Option<()> {
    let mut counts = [0_u16; 16];
    for_each_code(lengths, |_, length| {
        if let Some(count) = counts.get_mut(length) {
            *count += 1;
        }
    });

    // Each symbol's place in the order of the codes. What is left of the codes of each length
    // decides whether they are a code.
    let (mut places, mut place) = ([0_u16; 16], 0);
    let (mut left, mut longest) = (1_u32, 0);
    for ((count, first), length) in counts.iter().zip(&mut places).zip(0..).skip(1) {
        left = (left << 1).checked_sub(u32::from(*count))?;
        *first = place;
        place += count;
        if *count != 0 {
            longest = length;
        }
    }
    if left != 0 && !(longest <= 1 && allows_one) {
        return None;
    }
    for_each_code(lengths, |symbol, length| {
        if let Some(place) = places.get_mut(length) {
            if let Some(slot) = symbols.get_mut(usize::from(*place)) {
                *slot = symbol;
            }
            *place += 1;
        }
    });

    // The first level, doubled from one length to the next. An entry's index is the code with its
    // bits reversed.
    let root = first_level.len().trailing_zeros().min(longest).max(1);
    let mut sorted = symbols.iter();
    let (mut size, mut code) = (1, 0_usize);
    if let Some(slot) = first_level.first_mut() {
        *slot = if left != 0 { Entry::unused(1) } else { Entry::LONG };
    }
    for (count, length) in counts.iter().zip(0..=root).skip(1) {
        double(first_level, size);
        size <<= 1;
        for symbol in sorted.by_ref().take(usize::from(*count)) {
            if let Some(slot) = first_level.get_mut(code) {
                *slot = entries.entry(*symbol, length);
            }
            code = next_code(code, size);
        }
    }
    let index = symbols.len() - sorted.len();
    *rest = Rest {
        // At most 1,023, 286 and 1,023.
        mask: (size - 1) as u16,
        counts: [0; MAX_LENGTH],
        index: index as u16,
        code: (code as u16).reverse_bits() >> (16 - root),
    };
    if let Some(all) = counts.last_chunk() {
        rest.counts = *all;
    }
    Some(())
}

/// Copies the first `size` entries behind themselves.
fn double(entries: &mut [Entry], size: usize) {
    if let Some((low, high)) = entries.split_at_mut_checked(size)
        && let Some(high) = high.get_mut(..size)
    {
        high.copy_from_slice(low);
    }
}

/// The code after `code`, both with their bits reversed. After the last one it is 0.
fn next_code(code: usize, size: usize) -> usize {
    // The highest bit that is zero becomes one, and the ones above it zero.
    match (code ^ (size - 1)).checked_ilog2() {
        Some(highest) => {
            let bit = 1 << highest;
            code & (bit - 1) | bit
        }
        None => 0,
    }
}

/// A symbol of the literals and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal(u8),
    EndOfBlock,
    Length(Number),
    /// Not used, or no code.
    Invalid,
}

/// A number of which some bits follow the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// To which the extra bits are added.
    pub(super) base: u16,
    /// The number of extra bits: at most 13.
    pub(super) extra: u8,
}

impl Number {
    /// The length of a symbol from 257 to 285.
    pub(super) const fn length(symbol: u16) -> Self {
        let nth = symbol.wrapping_sub(257);
        match nth {
            0..8 => Self { base: nth + 3, extra: 0 },
            28 => Self { base: 258, extra: 0 },
            _ => {
                let extra = (nth >> 2).wrapping_sub(1) & 7;
                Self { base: ((4 | nth & 3) << extra) + 3, extra: extra as u8 }
            }
        }
    }

    /// The distance of a symbol from 0 to 29.
    pub(super) const fn distance(symbol: u16) -> Self {
        match symbol {
            0..4 => Self { base: symbol + 1, extra: 0 },
            _ => {
                let extra = (symbol >> 1).wrapping_sub(1) & 15;
                Self { base: ((2 | symbol & 1) << extra) + 1, extra: extra as u8 }
            }
        }
    }
}

/// Lengths of codes, two to a byte: 0 for a symbol without a code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths<const BYTES: usize>([u8; BYTES]);

/// The bytes for the lengths of `symbols` codes: whole words.
pub(super) const fn bytes_of(symbols: usize) -> usize {
    symbols.div_ceil(2).next_multiple_of(size_of::<usize>())
}

impl<const BYTES: usize> Lengths<BYTES> {
    pub(super) const fn new() -> Self {
        Self([0; BYTES])
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Sets a length that is zero.
    pub(super) fn set(&mut self, symbol: u16, length: u8) {
        if let Some(byte) = self.0.get_mut(usize::from(symbol / 2)) {
            *byte |= length << (4 * (symbol & 1));
        }
    }

    pub(super) fn get(&self, symbol: u16) -> u8 {
        self.0.get(usize::from(symbol / 2)).copied().unwrap_or_default() >> (4 * (symbol & 1)) & 15
    }
}

/// Calls `each` with every symbol that has a code, in order, and the length of the code: 1 to 15.
fn for_each_code(lengths: &[u8], mut each: impl FnMut(u16, usize)) {
    let mut first = 0;
    for bytes in lengths.as_chunks().0 {
        let mut word = usize::from_le_bytes(*bytes);
        while word != 0 {
            let shift = word.trailing_zeros() & !3;
            // At most 15.
            each(first + (shift / 4) as u16, word >> shift & 15);
            word &= !(15 << shift);
        }
        first += 2 * size_of::<usize>() as u16;
    }
}

/// Entries of 32 bits, which hold the base and the number of extra bits: one look-up a symbol.
#[cfg(target_pointer_width = "64")]
mod wide {
    use super::*;

    /// - bits 0 to 7: the length of the code and of the extra bits
    /// - bits 8 to 14: the length of the code
    /// - bit 15: a length or a distance, whose base are bits 16 to 30
    /// - bit 31: a literal: bits 16 to 23
    /// - neither of the two: bit 16 for the end of the block, bit 17 for an invalid symbol; or the
    ///   length of a code
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Entry(u32);

    const LITERAL: u32 = 1 << 31;
    const NUMBER: u32 = 1 << 15;
    const END: u32 = 1 << 16;
    const INVALID: u32 = 1 << 17;

    impl Entry {
        /// A code that is longer than the first level: its length is 0.
        pub(in super::super) const LONG: Self = Self(0);

        /// Bits that are no code, as `length` bits tell.
        pub(in super::super) const fn unused(length: u32) -> Self {
            Self(INVALID + length * 0x101)
        }

        pub(in super::super) const fn is_long(self) -> bool {
            self.0 == Self::LONG.0
        }

        /// The length of the code.
        pub(in super::super) const fn len(self) -> u32 {
            self.0 >> 8 & 15
        }

        const fn number(self) -> Number {
            Number { base: (self.0 >> 16) as u16, extra: self.0.wrapping_sub(self.0 >> 8) as u8 & 15 }
        }

        /// Of the literals and lengths.
        pub(in super::super) const fn symbol(self) -> Symbol {
            if self.is_literal() {
                Symbol::Literal(self.literal())
            } else if self.is_number() {
                Symbol::Length(self.number())
            } else if self.0 & END != 0 {
                Symbol::EndOfBlock
            } else {
                Symbol::Invalid
            }
        }

        /// Of the distances. `None` if it is invalid.
        pub(in super::super) const fn distance(self) -> Option<Number> {
            if self.is_number() { Some(self.number()) } else { None }
        }

        /// Of the code lengths.
        pub(in super::super) const fn code_length(self) -> u8 {
            (self.0 >> 16) as u8
        }

        pub(in super::super) const fn is_literal(self) -> bool {
            self.0 & LITERAL != 0
        }

        /// A length or a distance.
        pub(in super::super) const fn is_number(self) -> bool {
            self.0 & NUMBER != 0
        }

        /// The byte, if it is a literal.
        pub(in super::super) const fn literal(self) -> u8 {
            (self.0 >> 16) as u8
        }

        /// The length of the code and of the extra bits.
        pub(in super::super) const fn total_len(self) -> u32 {
            self.0 & 63
        }

        /// The length or the distance, if it is one; `hold` begins with the code.
        pub(in super::super) const fn value(self, hold: u64) -> usize {
            let extra = (hold & ((1 << self.total_len()) - 1)) >> self.len();
            (self.0 >> 16) as usize + extra as usize
        }
    }

    /// The entries of an alphabet, without the lengths of their codes.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Entries(&'static [u32]);

    impl Entries {
        pub(in super::super) const LITERALS: Self = Self(&LITERAL_ENTRIES);
        pub(in super::super) const DISTANCES: Self = Self(&DISTANCE_ENTRIES);
        pub(in super::super) const CODE_LENGTHS: Self = Self(&CODE_LENGTH_ENTRIES);

        pub(in super::super) fn entry(self, symbol: u16, length: u32) -> Entry {
            Entry(self.0.get(usize::from(symbol)).copied().unwrap_or(INVALID) + length * 0x101)
        }
    }

    static LITERAL_ENTRIES: [u32; LITERALS] = {
        let mut entries = [0; LITERALS];
        let (mut symbol, mut rest): (_, &mut [_]) = (0, &mut entries);
        while let Some((entry, next)) = rest.split_first_mut() {
            *entry = literal_entry(symbol);
            (symbol, rest) = (symbol + 1, next);
        }
        entries
    };
    static DISTANCE_ENTRIES: [u32; DISTANCES] = {
        let mut entries = [0; DISTANCES];
        let (mut symbol, mut rest): (_, &mut [_]) = (0, &mut entries);
        while let Some((entry, next)) = rest.split_first_mut() {
            *entry = distance_entry(symbol);
            (symbol, rest) = (symbol + 1, next);
        }
        entries
    };
    static CODE_LENGTH_ENTRIES: [u32; CODE_LENGTHS] = {
        let mut entries = [0; CODE_LENGTHS];
        let (mut symbol, mut rest): (_, &mut [_]) = (0, &mut entries);
        while let Some((entry, next)) = rest.split_first_mut() {
            *entry = symbol << 16;
            (symbol, rest) = (symbol + 1, next);
        }
        entries
    };

    const fn literal_entry(symbol: u16) -> u32 {
        match symbol {
            0..END_OF_BLOCK => LITERAL | (symbol as u32) << 16,
            END_OF_BLOCK => END,
            257..286 => number_entry(Number::length(symbol)),
            _ => INVALID,
        }
    }

    const fn distance_entry(symbol: u16) -> u32 {
        match symbol {
            0..30 => number_entry(Number::distance(symbol)),
            _ => INVALID,
        }
    }

    const fn number_entry(number: Number) -> u32 {
        (number.base as u32) << 16 | NUMBER | number.extra as u32
    }

    /// The tables of blocks with fixed codes (section 3.2.6).
    pub(in super::super) static FIXED: Tables = {
        let mut tables = Tables::new();
        let mut index = 0;
        let mut rest = tables.literals.first_level.split_at_mut(512).0;
        while let Some((entry, next)) = rest.split_first_mut() {
            let (symbol, length) = fixed_literal(index);
            *entry = Entry(literal_entry(symbol) + length * 0x101);
            (index, rest) = (index + 1, next);
        }
        tables.literals.rest.mask = 511;
        let mut index = 0;
        let mut rest = tables.distances.first_level.split_at_mut(32).0;
        while let Some((entry, next)) = rest.split_first_mut() {
            *entry = Entry(distance_entry(fixed_distance(index)) + 5 * 0x101);
            (index, rest) = (index + 1, next);
        }
        tables.distances.rest.mask = 31;
        tables
    };
}

/// Entries of 16 bits, which hold the symbol.
#[cfg(not(target_pointer_width = "64"))]
mod narrow {
    use super::*;

    /// Bits 0 to 3: the length of the code; from bit 4 on: the symbol.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Entry(u16);

    const INVALID: u16 = 287;

    impl Entry {
        /// A code that is longer than the first level: its length is 0.
        pub(in super::super) const LONG: Self = Self(0);

        /// Bits that are no code, as `length` bits tell.
        pub(in super::super) const fn unused(length: u32) -> Self {
            Self::new(INVALID, length)
        }

        pub(in super::super) const fn new(symbol: u16, length: u32) -> Self {
            Self(symbol << 4 | length as u16)
        }

        pub(in super::super) const fn is_long(self) -> bool {
            self.0 == Self::LONG.0
        }

        /// The length of the code.
        pub(in super::super) const fn len(self) -> u32 {
            (self.0 & 15) as u32
        }

        /// Of the literals and lengths.
        pub(in super::super) const fn symbol(self) -> Symbol {
            let symbol = self.0 >> 4;
            match symbol {
                0..END_OF_BLOCK => Symbol::Literal(symbol as u8),
                END_OF_BLOCK => Symbol::EndOfBlock,
                257..286 => Symbol::Length(Number::length(symbol)),
                _ => Symbol::Invalid,
            }
        }

        /// Of the distances. `None` if it is invalid.
        pub(in super::super) const fn distance(self) -> Option<Number> {
            match self.0 >> 4 {
                symbol @ 0..30 => Some(Number::distance(symbol)),
                _ => None,
            }
        }

        /// Of the code lengths.
        pub(in super::super) const fn code_length(self) -> u8 {
            (self.0 >> 4) as u8
        }
    }

    /// The entries of an alphabet: they do not depend on it.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Entries;

    impl Entries {
        pub(in super::super) const LITERALS: Self = Self;
        pub(in super::super) const DISTANCES: Self = Self;
        pub(in super::super) const CODE_LENGTHS: Self = Self;

        pub(in super::super) fn entry(self, symbol: u16, length: u32) -> Entry {
            Entry::new(symbol, length)
        }
    }
}

/// The symbol of the fixed literals and lengths at the lowest nine bits, and the length of its code
/// (section 3.2.6). 286 and 287 have codes, but are not used.
pub(super) const fn fixed_literal(bits: u32) -> (u16, u32) {
    // At most nine bits.
    let code = (bits.reverse_bits() >> 23) as u16;
    match code >> 2 {
        0..0b001_1000 => (END_OF_BLOCK + (code >> 2), 7),
        0b001_1000..0b110_0000 => ((code >> 1) - 0b0011_0000, 8),
        0b110_0000..0b110_0100 => (280 + (code >> 1) - 0b1100_0000, 8),
        _ => (144 + code - 0b1_1001_0000, 9),
    }
}

/// The symbol of the fixed distances at the lowest five bits. 30 and 31 are not used.
pub(super) const fn fixed_distance(bits: u32) -> u16 {
    (bits.reverse_bits() >> 27) as u16
}
