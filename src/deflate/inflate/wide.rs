//! The format of tables on 64-bit targets: about 6 KB. An entry is all that has to be known of a
//! symbol, and fixed codes have tables too.

use super::bits::{Bits, Hold};
use super::codes::Tables;
use super::fast;
use super::output::Output;
use super::symbols::{self, CODE_LENGTHS, DISTANCES, END_OF_BLOCK, LITERALS, Number, Symbol};

/// The most bits that select an entry of the first level.
pub(super) const LITERAL_BITS: u32 = 10;
pub(super) const DISTANCE_BITS: u32 = 8;

/// A symbol, and the length of its code.
///
/// - Bits 0 to 7: the length of the code and its extra bits.
/// - Bits 8 to 14: the length of the code.
/// - Bit 15: a length or distance, whose base are the bits from 16 on.
/// - Bit 31: a literal, in bits 16 to 23.
/// - None of the two: bit 16 for the end of the block, bit 17 if it is invalid. In the table of the
///   code lengths, the bits from 16 on are one of their symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

const NUMBER: u32 = 1 << 15;
const END: u32 = 1 << 16;
const INVALID: u32 = 1 << 17;
const LITERAL: u32 = 1 << 31;

impl Entry {
    /// The code is not in the first level.
    pub(super) const LONG: Self = Self(0);

    /// Bits that are no code, as their first `length` tell.
    pub(super) const fn unused(length: u32) -> Self {
        Self::new(INVALID, length)
    }

    const fn new(symbol: u32, length: u32) -> Self {
        Self(symbol + length * 0x101)
    }

    pub(super) const fn is_long(self) -> bool {
        self.0 == Self::LONG.0
    }

    pub(super) const fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    /// Whether it is a length or distance.
    pub(super) const fn is_number(self) -> bool {
        self.0 & NUMBER != 0
    }

    /// The length of the code.
    pub(super) const fn len(self) -> u32 {
        self.0 >> 8 & 15
    }

    /// The length of the code and its extra bits.
    pub(super) const fn total_len(self) -> u32 {
        self.0 & 63
    }

    /// The byte, if it is a literal.
    pub(super) const fn literal(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The value, if it is a length or distance. The code begins at the lowest bit of `hold`.
    pub(super) const fn value(self, hold: Hold) -> usize {
        let extra = (hold & ((1 << self.total_len()) - 1)) >> self.len();
        (self.0 >> 16) as usize + extra as usize
    }

    const fn number(self) -> Number {
        // At most 13.
        let extra = (self.total_len() - self.len()) as u8;
        Number { base: (self.0 >> 16) as u16, extra }
    }

    /// Of the literals and lengths.
    pub(super) const fn symbol(self) -> Symbol {
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
    pub(super) const fn distance(self) -> Option<Number> {
        if self.is_number() { Some(self.number()) } else { None }
    }

    /// Of the code lengths: 0 to 18.
    pub(super) const fn code_length(self) -> u8 {
        (self.0 >> 16) as u8
    }
}

/// An alphabet: its entries without the lengths of the codes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries(&'static [u32]);

impl Entries {
    pub(super) const LITERALS: Self = Self(&LITERAL_ENTRIES);
    pub(super) const DISTANCES: Self = Self(&DISTANCE_ENTRIES);
    pub(super) const CODE_LENGTHS: Self = Self(&CODE_LENGTH_ENTRIES);

    pub(super) fn entry(self, symbol: u16, length: u32) -> Entry {
        Entry::new(self.0.get(usize::from(symbol)).copied().unwrap_or(INVALID), length)
    }
}

/// The codes of a block: fixed or dynamic.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockCodes<'t>(&'t Tables);

impl<'t> BlockCodes<'t> {
    pub(super) const FIXED: Self = Self(&FIXED);

    pub(super) const fn dynamic(tables: &'t Tables) -> Self {
        Self(tables)
    }

    /// The entry of the literal or length whose code begins at the lowest bit.
    pub(super) fn literal(self, hold: Hold) -> Entry {
        self.0.literals.entry(hold, Entries::LITERALS)
    }

    /// The entry of the distance whose code begins at the lowest bit.
    pub(super) fn distance(self, hold: Hold) -> Entry {
        self.0.distances.entry(hold, Entries::DISTANCES)
    }

    /// Decodes symbols while they are complete and there is room for their bytes. It can stop
    /// before.
    pub(super) fn decode(self, bits: &mut Bits<'_>, output: &mut Output<'_>) {
        fast::decode(self.0, bits, output);
    }
}

/// Calls a function with 0, 1, …, and collects the results in an array.
macro_rules! table {
    ($len:expr, $entry:expr, $of:expr) => {{
        let mut table = [$of; $len];
        let (mut index, mut rest): (_, &mut [_]) = (0, &mut table);
        while let Some((slot, next)) = rest.split_first_mut() {
            *slot = $entry(index);
            (index, rest) = (index + 1, next);
        }
        table
    }};
}

static LITERAL_ENTRIES: [u32; LITERALS] = table!(LITERALS, literal_entry, 0);
static DISTANCE_ENTRIES: [u32; DISTANCES] = table!(DISTANCES, distance_entry, 0);
static CODE_LENGTH_ENTRIES: [u32; CODE_LENGTHS] = table!(CODE_LENGTHS, code_length_entry, 0);

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

const fn code_length_entry(symbol: u32) -> u32 {
    symbol << 16
}

/// The tables of the fixed codes (RFC 1951 section 3.2.6).
static FIXED: Tables = {
    const fn literal(bits: u32) -> Entry {
        let (symbol, length) = symbols::fixed_literal(bits);
        Entry::new(literal_entry(symbol), length)
    }
    const fn distance(bits: u32) -> Entry {
        Entry::new(distance_entry(symbols::fixed_distance(bits)), 5)
    }
    let mut tables = Tables::new();
    tables.literals.first_level = table!(1 << LITERAL_BITS, literal, Entry::LONG);
    // The longest codes have nine bits, and five.
    tables.literals.shape.mask = (1 << 9) - 1;
    tables.distances.first_level = table!(1 << DISTANCE_BITS, distance, Entry::LONG);
    tables.distances.shape.mask = (1 << 5) - 1;
    tables
};
