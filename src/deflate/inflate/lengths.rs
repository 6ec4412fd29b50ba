//! The lengths of the codes of an alphabet, from which the codes follow (RFC 1951 section 3.2.2).

/// Lengths from 0 to 15, two to a byte. A symbol of length 0 has no code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths<const BYTES: usize>([u8; BYTES]);

/// The number of bytes for the lengths of `symbols` codes: whole words.
pub(super) const fn bytes_for(symbols: usize) -> usize {
    symbols.div_ceil(2).next_multiple_of(size_of::<usize>())
}

impl<const BYTES: usize> Lengths<BYTES> {
    /// All are 0.
    pub(super) const fn new() -> Self {
        Self([0; BYTES])
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Sets a length that is 0.
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
pub(super) fn for_each_code(lengths: &[u8], mut each: impl FnMut(u16, usize)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn symbols_without_a_code_are_skipped() {
        let mut lengths = Lengths::<{ bytes_for(286) }>::new();
        let set = [(0, 15), (1, 1), (15, 7), (16, 8), (256, 3), (285, 15)];
        for (symbol, length) in set {
            lengths.set(symbol, length);
            assert_eq!(lengths.get(symbol), length);
        }
        assert_eq!((lengths.get(2), lengths.get(284)), (0, 0));
        let mut codes = Vec::new();
        for_each_code(lengths.bytes(), |symbol, length| codes.push((symbol, length as u8)));
        assert_eq!(codes, set);
    }
}
