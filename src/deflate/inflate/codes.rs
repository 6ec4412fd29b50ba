//! Huffman codes (RFC 1951 section 3.2.2): tables for decoding, built from the lengths of the
//! codes.
//!
//! The first level of a table decodes a code with one look-up, if it is short. Longer codes are
//! rare, and are found by counting.

use super::bits::Hold;
use super::lengths::for_each_code;
#[cfg(not(target_pointer_width = "64"))]
use super::narrow as format;
use super::symbols::{DISTANCES, LITERALS};
#[cfg(target_pointer_width = "64")]
use super::wide as format;

pub(super) use format::{BlockCodes, Entries, Entry};

/// The longest code, in bits.
const MAX_LENGTH: usize = 15;

/// The tables of a block with dynamic codes.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The literals and lengths; before them, the code lengths.
    pub(super) literals: Code<{ 1 << format::LITERAL_BITS }, LITERALS>,
    pub(super) distances: Code<{ 1 << format::DISTANCE_BITS }, DISTANCES>,
}

impl Tables {
    pub(in super::super) const fn new() -> Self {
        Self { literals: Code::new(), distances: Code::new() }
    }
}

/// The code of at most `S` symbols.
#[derive(Clone, Debug)]
pub(super) struct Code<const N: usize, const S: usize> {
    /// The entries by the lowest bits: as many as the longest code has, up to N, a power of two.
    pub(super) first_level: [Entry; N],
    pub(super) shape: Shape,
    /// The symbols in the order of their codes.
    symbols: [u16; S],
}

/// Where longer codes are found.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The number of entries of the first level in use, less one.
    pub(super) mask: u16,
    /// The number of codes of each length, from 1 on.
    counts: [u16; MAX_LENGTH],
    /// The number of codes in the first level. The symbols of longer codes follow them.
    index: u16,
    /// The first code that is not in the first level, without its last bits.
    code: u16,
}

impl<const N: usize, const S: usize> Code<N, S> {
    const fn new() -> Self {
        let shape = Shape { mask: 0, counts: [0; MAX_LENGTH], index: 0, code: 0 };
        Self { first_level: [Entry::LONG; N], shape, symbols: [0; S] }
    }

    /// Builds the tables. `None` if there is no such code: too many codes, or too few. If
    /// `allows_one`, no code at all and one of a single bit are enough, as in zlib.
    pub(super) fn build(&mut self, lengths: &[u8], entries: Entries, allows_one: bool) -> Option<()> {
        build(&mut self.first_level, &mut self.shape, &mut self.symbols, lengths, entries, allows_one)
    }

    /// The entry of the code that begins at the lowest bit. If some of its bits are missing, the
    /// entry is one whose length is larger than the number of bits.
    pub(super) fn entry(&self, hold: Hold, entries: Entries) -> Entry {
        let entry = self.first(hold);
        if entry.is_long() { self.long(hold, entries) } else { entry }
    }

    /// The entry of the first level.
    pub(super) fn first(&self, hold: Hold) -> Entry {
        // Truncated to the mask, which has at most 10 bits.
        let index = hold as usize & usize::from(self.shape.mask) & (N - 1);
        self.first_level.get(index).copied().unwrap_or(Entry::LONG)
    }

    /// The entry of a code that is not in the first level.
    pub(super) fn long(&self, hold: Hold, entries: Entries) -> Entry {
        find_long(&self.shape, &self.symbols, hold, entries)
    }
}

// Outlined, and so out of the fast loop: benches/README.md, "Inflate".
#[inline(never)]
fn find_long(shape: &Shape, symbols: &[u16], mut hold: Hold, entries: Entries) -> Entry {
    let root = shape.mask.count_ones();
    // The bits of a code come with the highest first.
    let bits = shape.mask & hold as u16;
    let mut code = bits.reverse_bits().checked_shr(16 - root).unwrap_or_default();
    hold >>= root;
    let (mut first, mut index) = (shape.code, shape.index);
    for (count, length) in shape.counts.iter().zip(1..).skip(root as usize) {
        code = code << 1 | hold as u16 & 1;
        hold >>= 1;
        first <<= 1;
        let nth = code.wrapping_sub(first);
        if nth < *count {
            let symbol = symbols.get(usize::from(index.wrapping_add(nth))).copied().unwrap_or_default();
            return entries.entry(symbol, length);
        }
        index = index.wrapping_add(*count);
        first = first.wrapping_add(*count);
    }
    // All bits are codes, unless there is at most one code.
    Entry::unused(1)
}

/// The number of codes of each length.
type Counts = [u16; MAX_LENGTH + 1];

fn build(
    first_level: &mut [Entry],
    shape: &mut Shape,
    symbols: &mut [u16],
    lengths: &[u8],
    entries: Entries,
    allows_one: bool,
) -> Option<()> {
    let counts = count(lengths);
    let longest = counts.iter().rposition(|count| *count != 0).unwrap_or_default();
    let is_complete = is_complete(&counts)?;
    if !(is_complete || allows_one && longest <= 1) {
        return None;
    }
    sort(lengths, &counts, symbols);
    // At most 15.
    let root = first_level.len().trailing_zeros().min(longest as u32).max(1);
    let empty = if is_complete { Entry::LONG } else { Entry::unused(1) };
    fill(first_level, root, empty, &counts, symbols, entries, shape);
    if let Some(all) = counts.last_chunk() {
        shape.counts = *all;
    }
    Some(())
}

fn count(lengths: &[u8]) -> Counts {
    let mut counts = [0; MAX_LENGTH + 1];
    for_each_code(lengths, |_, length| {
        if let Some(count) = counts.get_mut(length) {
            *count += 1;
        }
    });
    counts
}

/// Whether all bits are codes. `None` if there are more codes than bits for them.
fn is_complete(counts: &Counts) -> Option<bool> {
    let mut left = 1_u32;
    for count in counts.iter().skip(1) {
        left = (left << 1).checked_sub(u32::from(*count))?;
    }
    Some(left == 0)
}

/// Writes the symbols in the order of their codes: by length, and in the order of the alphabet.
fn sort(lengths: &[u8], counts: &Counts, symbols: &mut [u16]) {
    let (mut places, mut end) = ([0; MAX_LENGTH + 1], 0);
    for (place, count) in places.iter_mut().zip(counts) {
        *place = end;
        end += count;
    }
    for_each_code(lengths, |symbol, length| {
        if let Some(place) = places.get_mut(length) {
            if let Some(slot) = symbols.get_mut(usize::from(*place)) {
                *slot = symbol;
            }
            *place += 1;
        }
    });
}

/// Writes the entries of the codes of up to `root` bits. An entry's index is the code with its bits
/// reversed. The table is doubled from one length to the next.
fn fill(
    first_level: &mut [Entry],
    root: u32,
    empty: Entry,
    counts: &Counts,
    symbols: &[u16],
    entries: Entries,
    shape: &mut Shape,
) {
    let mut sorted = symbols.iter();
    let (mut size, mut code) = (1, 0);
    if let Some(slot) = first_level.first_mut() {
        *slot = empty;
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
    // At most 1,023, 286 and 1,023.
    shape.mask = (size - 1) as u16;
    shape.index = index as u16;
    shape.code = (code as u16).reverse_bits() >> (16 - root);
}

/// Copies the first `size` entries behind themselves.
fn double(entries: &mut [Entry], size: usize) {
    if let Some((low, high)) = entries.split_at_mut_checked(size) {
        high.iter_mut().zip(low).for_each(|(high, low)| *high = *low);
    }
}

/// The code after `code`, both with their bits reversed; after the last one, 0. `size` is 2 to the
/// power of their length.
fn next_code(code: usize, size: usize) -> usize {
    // The highest bit that is 0 becomes 1, and the bits above it become 0.
    match (code ^ (size - 1)).checked_ilog2() {
        Some(highest) => {
            let bit = 1 << highest;
            code & (bit - 1) | bit
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lengths::{Lengths, bytes_for};
    use super::super::symbols::Symbol;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn build(tables: &mut Tables, lengths: &[u8], allows_one: bool) -> Option<()> {
        let mut packed = Lengths::<{ bytes_for(LITERALS) }>::new();
        for (symbol, length) in (0..).zip(lengths) {
            packed.set(symbol, *length);
        }
        tables.literals.build(packed.bytes(), Entries::LITERALS, allows_one)
    }

    /// Assigns the codes as RFC 1951 section 3.2.2 does: code and length.
    fn assign(lengths: &[u8]) -> Vec<(u32, u32)> {
        let mut next = [0; 17];
        for length in 1..16 {
            next[length + 1] =
                (next[length] + lengths.iter().filter(|&&l| usize::from(l) == length).count() as u32) << 1;
        }
        let assign = |&length: &u8| {
            next[usize::from(length)] += 1;
            (next[usize::from(length)] - 1, length.into())
        };
        lengths.iter().map(assign).collect()
    }

    proptest! {
        /// Codes that are complete: a code is split again and again.
        #[test]
        fn every_code_is_decoded(splits in prop::collection::vec(any::<u16>(), 0..250), after: u32) {
            let mut lengths = std::vec![1_u8, 1];
            for split in splits {
                let split = usize::from(split) % lengths.len();
                if lengths[split] < 15 {
                    lengths[split] += 1;
                    lengths.push(lengths[split]);
                }
            }
            let mut tables = Tables::new();
            prop_assert!(build(&mut tables, &lengths, false).is_some());
            for (symbol, (code, length)) in assign(&lengths).into_iter().enumerate() {
                let bits = code.reverse_bits() >> (32 - length) | after << length;
                let entry = tables.literals.entry(bits.into(), Entries::LITERALS);
                prop_assert_eq!(entry.len(), length);
                if let Symbol::Literal(byte) = entry.symbol() {
                    prop_assert_eq!(usize::from(byte), symbol);
                }
            }
            // One code more, and one less.
            lengths.push(15);
            prop_assert!(build(&mut tables, &lengths, true).is_none());
            lengths.truncate(lengths.len() - 2);
            prop_assert_eq!(build(&mut tables, &lengths, true).is_some(), lengths.len() == 1);
            prop_assert!(build(&mut tables, &lengths, false).is_none());
        }
    }

    #[test]
    fn the_bits_that_are_no_code_are_invalid() {
        let mut tables = Tables::new();
        assert!(build(&mut tables, &[0, 1], true).is_some());
        let entry = |tables: &Tables, bits| tables.literals.entry(bits, Entries::LITERALS);
        assert_eq!(entry(&tables, 0).symbol(), Symbol::Literal(1));
        assert_eq!((entry(&tables, 1).symbol(), entry(&tables, 1).len()), (Symbol::Invalid, 1));
        assert!(build(&mut tables, &[], true).is_some());
        assert_eq!(
            (entry(&tables, 0).symbol(), entry(&tables, 1).symbol()),
            (Symbol::Invalid, Symbol::Invalid)
        );
    }
}
