//! The alphabets of literals, lengths and distances, and the fixed codes (RFC 1951 sections 3.2.5
//! and 3.2.6).

/// The number of literals and lengths, of distances, and of code lengths.
pub(super) const LITERALS: usize = 286;
pub(super) const DISTANCES: usize = 30;
pub(super) const CODE_LENGTHS: usize = 19;

/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: u16 = 256;

/// A symbol of the literals and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal(u8),
    EndOfBlock,
    Length(Number),
    /// One without a meaning, or bits that are no code.
    Invalid,
}

/// A length or distance: its lowest bits follow the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The value if the extra bits are 0.
    pub(super) base: u16,
    /// The number of extra bits: at most 5 for a length, and 13 for a distance.
    pub(super) extra: u8,
}

impl Number {
    /// The length of a symbol from 257 to 285.
    pub(super) const fn length(symbol: u16) -> Self {
        let index = symbol.wrapping_sub(257);
        match index {
            0..8 => Self { base: index + 3, extra: 0 },
            28 => Self { base: 258, extra: 0 },
            // Four symbols for each number of extra bits.
            _ => {
                let extra = (index >> 2).wrapping_sub(1) & 7;
                Self { base: ((4 | index & 3) << extra) + 3, extra: extra as u8 }
            }
        }
    }

    /// The distance of a symbol from 0 to 29.
    pub(super) const fn distance(symbol: u16) -> Self {
        match symbol {
            0..4 => Self { base: symbol + 1, extra: 0 },
            // Two symbols for each number of extra bits.
            _ => {
                let extra = (symbol >> 1).wrapping_sub(1) & 15;
                Self { base: ((2 | symbol & 1) << extra) + 1, extra: extra as u8 }
            }
        }
    }
}

/// The symbol of the fixed literals and lengths whose code begins at the lowest bit, and the length
/// of the code. 286 and 287 have codes, but no meaning.
pub(super) const fn fixed_literal(bits: u32) -> (u16, u32) {
    // The longest code has nine bits.
    let code = (bits.reverse_bits() >> 23) as u16;
    match code {
        0..0b0_0110_0000 => (256 + (code >> 2), 7),
        0b0_0110_0000..0b1_1000_0000 => ((code >> 1) - 0b0011_0000, 8),
        0b1_1000_0000..0b1_1001_0000 => (280 + (code >> 1) - 0b1100_0000, 8),
        _ => (144 + code - 0b1_1001_0000, 9),
    }
}

/// The symbol of the fixed distances whose code of five bits begins at the lowest bit. 30 and 31
/// have no meaning.
pub(super) const fn fixed_distance(bits: u32) -> u16 {
    (bits.reverse_bits() >> 27) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_one_another() {
        let mut next = 3;
        for symbol in 257..285 {
            let Number { base, extra } = Number::length(symbol);
            assert_eq!(base, next, "{symbol}");
            next += 1 << extra;
        }
        // 258 has a symbol of its own.
        assert_eq!(next, 259);
        assert_eq!(Number::length(285), Number { base: 258, extra: 0 });
    }

    #[test]
    fn distances_follow_one_another() {
        let mut next = 1_u32;
        for symbol in 0..30 {
            let Number { base, extra } = Number::distance(symbol);
            assert_eq!(u32::from(base), next, "{symbol}");
            next += 1 << extra;
        }
        assert_eq!(next, 32_769);
    }

    #[test]
    fn fixed_codes_are_those_of_the_rfc() {
        for (symbols, first, length) in [
            (0..=143, 0b0011_0000, 8),
            (144..=255, 0b1_1001_0000, 9),
            (256..=279, 0, 7),
            (280..=287, 0b1100_0000, 8),
        ] {
            for (symbol, code) in symbols.zip(first..) {
                let code: u32 = code;
                let bits = code.reverse_bits() >> (32 - length);
                assert_eq!(fixed_literal(bits), (symbol, length));
                // Whatever follows.
                assert_eq!(fixed_literal(bits | u32::MAX << length), (symbol, length));
            }
        }
        assert_eq!((fixed_distance(0b10000), fixed_distance(0b00001)), (1, 16));
    }
}
