//! The format of tables on targets that are not 64-bit: 1 KB. An entry is a symbol, whose meaning
//! is computed, as are the fixed codes.

use super::bits::{Bits, Hold};
use super::codes::Tables;
use super::output::Output;
use super::symbols::{self, END_OF_BLOCK, Number, Symbol};

/// The most bits that select an entry of the first level.
pub(super) const LITERAL_BITS: u32 = 7;
pub(super) const DISTANCE_BITS: u32 = 5;

/// A symbol in the bits from 4 on, and the length of its code in those below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u16);

/// A symbol that is invalid in all alphabets.
const INVALID: u16 = 287;

impl Entry {
    /// The code is not in the first level.
    pub(super) const LONG: Self = Self(0);

    /// Bits that are no code, as their first `length` tell.
    pub(super) const fn unused(length: u32) -> Self {
        Self::new(INVALID, length)
    }

    const fn new(symbol: u16, length: u32) -> Self {
        // At most 15.
        Self(symbol << 4 | length as u16)
    }

    pub(super) const fn is_long(self) -> bool {
        self.0 == Self::LONG.0
    }

    /// The length of the code.
    pub(super) const fn len(self) -> u32 {
        (self.0 & 15) as u32
    }

    /// Of the literals and lengths.
    pub(super) const fn symbol(self) -> Symbol {
        match self.0 >> 4 {
            symbol @ 0..END_OF_BLOCK => Symbol::Literal(symbol as u8),
            END_OF_BLOCK => Symbol::EndOfBlock,
            symbol @ 257..286 => Symbol::Length(Number::length(symbol)),
            _ => Symbol::Invalid,
        }
    }

    /// Of the distances. `None` if it is invalid.
    pub(super) const fn distance(self) -> Option<Number> {
        match self.0 >> 4 {
            symbol @ 0..30 => Some(Number::distance(symbol)),
            _ => None,
        }
    }

    /// Of the code lengths: 0 to 18.
    pub(super) const fn code_length(self) -> u8 {
        (self.0 >> 4) as u8
    }
}

/// An alphabet. Their entries do not differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries;

impl Entries {
    pub(super) const LITERALS: Self = Self;
    pub(super) const CODE_LENGTHS: Self = Self;
    pub(super) const DISTANCES: Self = Self;

    pub(super) const fn entry(self, symbol: u16, length: u32) -> Entry {
        Entry::new(symbol, length)
    }
}

/// The codes of a block: dynamic, or `None` for the fixed ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockCodes<'t>(Option<&'t Tables>);

impl<'t> BlockCodes<'t> {
    pub(super) const FIXED: Self = Self(None);

    pub(super) const fn dynamic(tables: &'t Tables) -> Self {
        Self(Some(tables))
    }

    /// The entry of the literal or length whose code begins at the lowest bit.
    pub(super) fn literal(self, hold: Hold) -> Entry {
        match self.0 {
            Some(tables) => tables.literals.entry(hold, Entries::LITERALS),
            None => {
                let (symbol, length) = symbols::fixed_literal(hold);
                Entry::new(symbol, length)
            }
        }
    }

    /// The entry of the distance whose code begins at the lowest bit.
    pub(super) fn distance(self, hold: Hold) -> Entry {
        match self.0 {
            Some(tables) => tables.distances.entry(hold, Entries::DISTANCES),
            None => Entry::new(symbols::fixed_distance(hold), 5),
        }
    }

    /// There is no fast loop: it costs flash.
    pub(super) const fn decode(self, _: &mut Bits<'_>, _: &mut Output<'_>) {}
}
