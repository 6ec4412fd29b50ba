//! Blocks with Huffman codes of their own (RFC 1951 section 3.2.7).

use super::bits::{
    BLOCK_HEADER_BITS, Bits, DYNAMIC, FixedBlock, MAX_COPY, MAX_STORED, ROOM, Sink, Word, distance_symbol,
    length_symbol,
};
use super::search::Level;
use super::{Compress, Compressor, Context};

/// A [`Compressor`] that writes each block in the shortest form: with Huffman codes made for it,
/// with the fixed codes, or stored. From [`Compressor::with_codes`].
///
/// The codes are worth 5 to 30 % from a few hundred bytes of message on. Below, the fixed codes
/// win, and making codes to see that costs time.
///
/// It borrows memory for tokens, in which nothing remains between calls, so that one piece of
/// memory serves all connections of a thread. A token stands for a copy and the literals before it:
/// 4,096 of them, 16 KiB, are enough for 16 to 60 KB of text. A message that needs more becomes
/// several blocks. With an empty slice, the compressor is as without codes.
///
/// The call takes 8 KiB of stack.
///
/// ```
/// use sansocket::deflate::{Better, Compress, Compressor};
/// let mut compressor = Compressor::shared([0u16; 4096]).level(Better);
/// let mut tokens = [0; 1024];
/// let mut out = [0; 1024];
/// let len = compressor.with_codes(&mut tokens).compress(b"text", 15, &mut out);
/// # assert!(len > 4);
/// ```
#[derive(Debug)]
pub struct DynamicCodes<'c, T, H, L> {
    compressor: &'c mut Compressor<T, H, L>,
    tokens: &'c mut [u32],
}

impl<'c, T, H, L> DynamicCodes<'c, T, H, L> {
    pub(super) const fn new(compressor: &'c mut Compressor<T, H, L>, tokens: &'c mut [u32]) -> Self {
        Self { compressor, tokens }
    }
}

impl<T, H, L> Compress for DynamicCodes<'_, T, H, L>
where
    T: AsRef<[u16]> + AsMut<[u16]>,
    H: AsRef<[u8]> + AsMut<[u8]>,
    L: Level,
{
    fn max_len(&self, len: usize) -> usize {
        self.compressor.max_len(len)
    }

    fn compress(&mut self, data: &[u8], window_bits: u8, out: &mut [u8]) -> usize {
        if self.tokens.is_empty() {
            return self.compressor.compress(data, window_bits, out);
        }
        let tokens = &mut *self.tokens;
        self.compressor.compress_with(data, out, |compressor, bits| {
            let counts = Counts::NONE;
            let mut blocks = Blocks { bits, tokens, len: 0, rest: data, covered: 0, literals: 0, counts };
            compressor.search(data, window_bits, &mut blocks);
            blocks.end_block();
        })
    }

    fn undo(&mut self) {
        self.compressor.undo();
    }

    fn reset(&mut self) {
        self.compressor.reset();
    }

    fn context(&mut self) -> Option<&mut Context> {
        self.compressor.context()
    }
}

/// A number of literals, and a copy after them: from the highest bits on, 9 bits for the number, 15
/// for the distance less 1, and 8 for the length less 3.
#[derive(Clone, Copy)]
struct Token(u32);

impl Token {
    /// This number of literals, and no copy.
    const LITERALS: u32 = 511;

    const fn new(literals: u32, len: usize, distance: usize) -> Self {
        Self(
            literals << 23
                | (distance.wrapping_sub(1) as u32 & 0x7FFF) << 8
                | (len.wrapping_sub(3) as u32 & 255),
        )
    }

    const fn literals(self) -> usize {
        (self.0 >> 23) as usize
    }

    /// Length and distance.
    const fn copy(self) -> Option<(usize, usize)> {
        if self.0 >> 23 == Self::LITERALS {
            return None;
        }
        Some(((self.0 & 255) as usize + 3, (self.0 >> 8 & 0x7FFF) as usize + 1))
    }
}

/// The blocks of a message. Its tokens are collected until they are a block.
struct Blocks<'a, 'o> {
    bits: &'a mut Bits<'o>,
    tokens: &'a mut [u32],
    /// The number of tokens collected.
    len: usize,
    /// The message from the first byte on that is in no block yet.
    rest: &'a [u8],
    /// How many bytes of it the tokens and `literals` stand for.
    covered: usize,
    /// The literals after the last token.
    literals: u32,
    /// The symbols of all these.
    counts: Counts,
}

impl Blocks<'_, '_> {
    fn push(&mut self, token: Token) {
        if let Some(to) = self.tokens.get_mut(self.len) {
            *to = token.0;
        }
        self.len += 1;
        self.literals = 0;
        // The next token has to fit too. Symbols are counted in 16 bits.
        if self.len >= self.tokens.len() || self.covered > MAX_STORED - MAX_COPY - Token::LITERALS as usize {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let Some((block, rest)) = self.rest.split_at_checked(self.covered) else { return };
        if !block.is_empty() {
            count(&mut self.counts.literals, END);
            write(self.bits, block, self.tokens.get(..self.len).unwrap_or_default(), &self.counts);
            self.counts = Counts::NONE;
        }
        self.rest = rest;
        self.len = 0;
        self.covered = 0;
        self.literals = 0;
    }
}

impl Sink for Blocks<'_, '_> {
    const FAR: usize = 4096;

    fn literals(&mut self, data: &[u8], n: usize) {
        let mut rest = data.get(..n).unwrap_or_default();
        while !rest.is_empty() {
            let now = rest.len().min((Token::LITERALS - self.literals) as usize);
            let (part, later) = rest.split_at_checked(now).unwrap_or_default();
            for byte in part {
                count(&mut self.counts.literals, usize::from(*byte));
            }
            rest = later;
            self.covered += part.len();
            self.literals += part.len() as u32;
            if self.literals == Token::LITERALS {
                self.push(Token::new(Token::LITERALS, 3, 1));
            }
        }
    }

    fn copy(&mut self, len: usize, distance: usize) {
        count(&mut self.counts.literals, END + 1 + length_symbol(len).0 as usize);
        count(&mut self.counts.distances, distance_symbol(distance).0 as usize);
        self.covered += len;
        self.push(Token::new(self.literals, len, distance));
    }
}

/// Passes a block's literals and copies on. The literals after the last token have none.
fn replay<S: Sink>(mut block: &[u8], tokens: &[u32], sink: &mut S) {
    for token in tokens {
        let token = Token(*token);
        sink.literals(block, token.literals());
        let mut used = token.literals();
        if let Some((len, distance)) = token.copy() {
            sink.copy(len, distance);
            used += len;
        }
        block = block.get(used..).unwrap_or_default();
    }
    sink.literals(block, block.len());
}

/// The symbols of literals, the end of a block, and lengths; then those of distances.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;
/// The longest code of these, and of the code lengths.
const MAX_BITS: usize = 15;
const MAX_BITS_OF_LENGTHS: usize = 7;
/// The order in which the lengths of the codes of code lengths are sent.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How often each symbol occurs.
struct Counts {
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
}

fn count(counts: &mut [u16], symbol: usize) {
    if let Some(count) = counts.get_mut(symbol) {
        *count = count.wrapping_add(1);
    }
}

/// A Huffman code.
struct Code<const N: usize> {
    /// For each symbol the bits, reversed, as the lowest 16, and their number above.
    codes: [u32; N],
    /// The number of bits of all symbols of the block.
    total: u32,
}

impl<const N: usize> Code<N> {
    /// The shortest code for these counts, in which no symbol has more than `max_bits`. Symbols
    /// that do not occur have no bits.
    fn new(counts: &[u16; N], max_bits: usize) -> Self {
        let mut lengths = [0; N];
        let numbers = code_lengths(counts, max_bits, &mut lengths);
        // RFC 1951 section 3.2.2: the first code of each length.
        let mut next = [0; MAX_BITS + 1];
        let mut code = 0;
        for (next, number) in next.iter_mut().zip(numbers).skip(1) {
            *next = code;
            code = (code + number) << 1;
        }
        let mut made = Self { codes: [0; N], total: 0 };
        for ((code, len), count) in made.codes.iter_mut().zip(lengths).zip(counts) {
            if len > 0
                && let Some(next) = next.get_mut(usize::from(len))
            {
                let len = u32::from(len);
                *code = u32::from(next.reverse_bits() >> (16 - len)) | len << 16;
                *next += 1;
                made.total += len * u32::from(*count);
            }
        }
        made
    }

    /// The bits of a symbol, and their number.
    fn get(&self, symbol: usize) -> (Word, u32) {
        let code = self.codes.get(symbol).copied().unwrap_or(0);
        (Word::from(code & 0xFFFF), code >> 16)
    }

    fn len(&self, symbol: usize) -> u32 {
        self.get(symbol).1
    }

    /// The symbols up to the last one that has a code.
    fn used(&self) -> &[u32] {
        let mut codes = &self.codes[..];
        while let [used @ .., 0] = codes {
            codes = used;
        }
        codes
    }
}

/// The symbols of a Huffman tree: each a count, or the index of a parent, or a depth, in the upper
/// bits, and a symbol in the lower 10.
struct Tree {
    nodes: [u32; LITERALS],
    len: usize,
}

const SYMBOL_BITS: u32 = 10;
const SYMBOL: u32 = (1 << SYMBOL_BITS) - 1;

impl Tree {
    const EMPTY: Self = Self { nodes: [0; LITERALS], len: 0 };

    /// Fills in the symbols that occur, the rarest first.
    fn fill(&mut self, counts: &[u16]) {
        for (symbol, count) in (0..).zip(counts).filter(|(_, count)| **count > 0) {
            if let Some(node) = self.nodes.get_mut(self.len) {
                *node = u32::from(*count) << SYMBOL_BITS | symbol;
                self.len += 1;
            }
        }
        let most = counts.iter().fold(0, |all, count| all | count);
        self.sort_by_byte(SYMBOL_BITS);
        if most > 255 {
            self.sort_by_byte(SYMBOL_BITS + 8);
        }
    }

    /// Sorts by 8 bits, and leaves the order where they are equal.
    fn sort_by_byte(&mut self, shift: u32) {
        let from = self.nodes;
        let from = from.get(..self.len).unwrap_or_default();
        let mut starts = [0u16; 256];
        for node in from {
            count(&mut starts, (node >> shift & 255) as usize);
        }
        let mut start = 0;
        for next in &mut starts {
            let count = *next;
            *next = start;
            start += count;
        }
        for node in from {
            if let Some(start) = starts.get_mut((node >> shift & 255) as usize) {
                if let Some(to) = self.nodes.get_mut(usize::from(*start)) {
                    *to = *node;
                }
                *start += 1;
            }
        }
    }

    fn at(&self, index: usize) -> u32 {
        self.nodes.get(index).copied().unwrap_or(0)
    }

    fn set_upper(&mut self, index: usize, upper: u32) {
        if let Some(node) = self.nodes.get_mut(index) {
            *node = upper << SYMBOL_BITS | *node & SYMBOL;
        }
    }

    fn count(&self, index: usize) -> u32 {
        self.at(index) >> SYMBOL_BITS
    }

    /// Makes the Huffman tree in place: the upper bits of the inner nodes, which stand in the order
    /// of their counts in front, become the indices of their parents. The last is the root.
    fn join(&mut self) {
        // The next leaf, and the next inner node, that have no parent.
        let (mut leaf, mut inner) = (0, 0);
        for parent in 0..self.len.saturating_sub(1) {
            let mut sum = 0;
            for _ in 0..2 {
                let takes_leaf =
                    leaf < self.len && (inner >= parent || self.count(leaf) <= self.count(inner));
                if takes_leaf {
                    sum += self.count(leaf);
                    leaf += 1;
                } else {
                    sum += self.count(inner);
                    self.set_upper(inner, parent as u32);
                    inner += 1;
                }
            }
            self.set_upper(parent, sum);
        }
    }

    /// How many symbols have codes of each length, of a joined tree with at least two symbols.
    fn numbers(&mut self, max_bits: usize) -> [u16; MAX_BITS + 2] {
        let mut numbers = [0u16; MAX_BITS + 2];
        let root = self.len - 2;
        self.set_upper(root, 0);
        numbers[1] = 2;
        for index in (0..root).rev() {
            let depth = self.count(self.count(index) as usize) + 1;
            self.set_upper(index, depth);
            // Two leaves under the node in place of one. Where they would be too deep, a leaf that
            // is less deep gets the two, which leaves the code complete.
            let mut depth = depth as usize;
            if depth >= max_bits {
                depth = max_bits - 1;
                while depth > 1 && numbers.get(depth).copied().unwrap_or(0) == 0 {
                    depth -= 1;
                }
            }
            if let Some([here, below]) = numbers.get_mut(depth..).and_then(|n| n.first_chunk_mut()) {
                *here = here.wrapping_sub(1);
                *below += 2;
            }
        }
        numbers
    }
}

/// The lengths of a Huffman code (RFC 1951 section 3.2.2), 0 for symbols that do not occur. Returns
/// how many symbols there are of each length.
fn code_lengths(counts: &[u16], max_bits: usize, lengths: &mut [u8]) -> [u16; MAX_BITS + 2] {
    let mut tree = Tree::EMPTY;
    tree.fill(counts);
    let mut numbers = [0; MAX_BITS + 2];
    if tree.len > 1 {
        tree.join();
        numbers = tree.numbers(max_bits);
    } else {
        numbers[1] = tree.len as u16;
    }
    // The rarest symbols have the longest codes.
    let mut nodes = tree.nodes.iter();
    for (len, number) in numbers.iter().enumerate().rev() {
        for node in nodes.by_ref().take(usize::from(*number)) {
            if let Some(length) = lengths.get_mut((node & SYMBOL) as usize) {
                *length = len as u8;
            }
        }
    }
    numbers
}

/// The lengths of the codes of a block, as they are sent (RFC 1951 section 3.2.7).
struct Lengths {
    /// The symbols, and above their lowest 5 bits the value of their extra bits.
    symbols: [u16; LITERALS + DISTANCES],
    len: usize,
    counts: [u16; ORDER.len()],
}

/// The same length again, 3 to 6 times.
const REPEAT: u16 = 16;
/// Zero 3 to 10 times, and 11 to 138 times.
const ZEROS: u16 = 17;
const MANY_ZEROS: u16 = 18;

impl Lengths {
    const NONE: Self = Self { symbols: [0; LITERALS + DISTANCES], len: 0, counts: [0; ORDER.len()] };

    /// Fills in the lengths of these codes.
    fn fill(&mut self, literals: &[u32], distances: &[u32]) {
        let (mut last, mut run) = (0, 0);
        for len in literals.iter().chain(distances).map(|code| (code >> 16) as u16) {
            if len != last && run > 0 {
                self.push_run(last, run);
                run = 0;
            }
            last = len;
            run += 1;
        }
        self.push_run(last, run);
    }

    fn push_run(&mut self, len: u16, mut run: u16) {
        if len > 0 {
            self.push(len, 0);
            run -= 1;
        }
        while run >= 3 {
            let (symbol, least, most) = match run {
                _ if len > 0 => (REPEAT, 3, 6),
                ..11 => (ZEROS, 3, 10),
                _ => (MANY_ZEROS, 11, 138),
            };
            let now = run.min(most);
            self.push(symbol, now - least);
            run -= now;
        }
        for _ in 0..run {
            self.push(len, 0);
        }
    }

    fn push(&mut self, symbol: u16, extra: u16) {
        if let Some(to) = self.symbols.get_mut(self.len) {
            *to = extra << 5 | symbol;
            self.len += 1;
        }
        count(&mut self.counts, usize::from(symbol));
    }
}

const fn extra_bits_of_repeat(symbol: u16) -> u32 {
    match symbol {
        REPEAT => 2,
        ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

impl Counts {
    const NONE: Self = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };

    /// The extra bits of all lengths and distances.
    fn extra_bits(&self) -> u32 {
        // From the ninth length on, four have the same number, but the last one has none; from the
        // fifth distance on, two.
        let lengths = self.literals.iter().skip(END + 1).take(28).skip(8).zip(4..);
        let distances = self.distances.iter().skip(4).zip(2..);
        lengths.map(|(count, quarter)| u32::from(*count) * (quarter / 4)).sum::<u32>()
            + distances.map(|(count, half)| u32::from(*count) * (half / 2)).sum::<u32>()
    }

    /// The bits of all symbols with the fixed codes: 8 for literals and lengths, but 9 from 144 on,
    /// 7 from 256 on, and 8 again from 280 on; 5 for distances.
    fn fixed_bits(&self) -> u32 {
        let sum = |from, to| -> u32 {
            self.literals.get(from..to).unwrap_or_default().iter().map(|count| u32::from(*count)).sum()
        };
        let distances: u32 = self.distances.iter().map(|count| u32::from(*count)).sum();
        sum(0, LITERALS) * 8 + sum(144, END) - sum(END, 280) + distances * 5
    }
}

/// Writes a block, which is not empty, in the shortest form.
fn write(bits: &mut Bits<'_>, block: &[u8], tokens: &[u32], counts: &Counts) {
    let extra = counts.extra_bits();
    let stored = bits.stored_bits(block.len());
    let fixed = BLOCK_HEADER_BITS + counts.fixed_bits() + extra;
    if fixed < SHORT && fixed <= stored {
        return write_fixed(bits, block, tokens);
    }
    let codes = Codes::new(counts);
    let dynamic = codes.header_bits() + codes.literals.total + codes.distances.total + extra;
    if stored < fixed.min(dynamic) {
        bits.stored_blocks(block);
    } else if fixed <= dynamic {
        write_fixed(bits, block, tokens);
    } else {
        codes.write_header(bits);
        replay(block, tokens, &mut CodedBlock { bits, codes: &codes });
        let (code, len) = codes.literals.get(END);
        bits.put(code, len);
        bits.flush();
    }
}

/// Below this number of bits the fixed codes are taken: codes of their own have hardly ever been
/// shorter, and take longer.
const SHORT: u32 = 500;

fn write_fixed(bits: &mut Bits<'_>, block: &[u8], tokens: &[u32]) {
    let mut fixed = FixedBlock::begin(bits);
    replay(block, tokens, &mut fixed);
    fixed.end();
}

/// The codes of a block.
struct Codes {
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
    lengths: Lengths,
    of_lengths: Code<{ ORDER.len() }>,
    /// How many lengths of the codes of lengths are sent.
    sent: usize,
}

impl Codes {
    fn new(counts: &Counts) -> Self {
        let mut codes = Self {
            literals: Code::new(&counts.literals, MAX_BITS),
            distances: Code::new(&counts.distances, MAX_BITS),
            lengths: Lengths::NONE,
            of_lengths: Code { codes: [0; ORDER.len()], total: 0 },
            sent: 4,
        };
        // The length of one distance at least is sent.
        let distances = Some(codes.distances.used()).filter(|used| !used.is_empty());
        codes.lengths.fill(codes.literals.used(), distances.unwrap_or(&[0]));
        codes.of_lengths = Code::new(&codes.lengths.counts, MAX_BITS_OF_LENGTHS);
        let last = ORDER.iter().rposition(|symbol| codes.of_lengths.len(usize::from(*symbol)) > 0);
        codes.sent = last.map_or(4, |last| (last + 1).max(4));
        codes
    }

    fn header_bits(&self) -> u32 {
        let [.., repeat, zeros, many_zeros] = self.lengths.counts.map(u32::from);
        BLOCK_HEADER_BITS
            + (5 + 5 + 4)
            + 3 * self.sent as u32
            + self.of_lengths.total
            + repeat * 2
            + zeros * 3
            + many_zeros * 7
    }

    fn write_header(&self, bits: &mut Bits<'_>) {
        bits.put(DYNAMIC as Word, BLOCK_HEADER_BITS);
        bits.put(self.literals.used().len().saturating_sub(257) as Word, 5);
        bits.put(self.distances.used().len().saturating_sub(1) as Word, 5);
        bits.put(self.sent.saturating_sub(4) as Word, 4);
        bits.flush();
        for symbol in ORDER.iter().take(self.sent) {
            bits.put(Word::from(self.of_lengths.len(usize::from(*symbol))), 3);
            bits.flush();
        }
        for symbol in self.lengths.symbols.iter().take(self.lengths.len) {
            let (symbol, extra) = (symbol & 31, symbol >> 5);
            let (code, len) = self.of_lengths.get(usize::from(symbol));
            bits.put(code, len);
            bits.put(Word::from(extra), extra_bits_of_repeat(symbol));
            bits.flush();
        }
    }
}

/// A block with its own codes.
struct CodedBlock<'b, 'o> {
    bits: &'b mut Bits<'o>,
    codes: &'b Codes,
}

impl Sink for CodedBlock<'_, '_> {
    const FAR: usize = Blocks::FAR;

    fn literals(&mut self, data: &[u8], n: usize) {
        const AT_ONCE: usize = ROOM as usize / MAX_BITS;
        for bytes in data.get(..n).unwrap_or_default().chunks(AT_ONCE) {
            for byte in bytes {
                let (code, len) = self.codes.literals.get(usize::from(*byte));
                self.bits.put(code, len);
            }
            self.bits.flush();
        }
    }

    // For speed: benches/README.md, "Compression".
    #[inline(always)]
    fn copy(&mut self, len: usize, distance: usize) {
        const ALL_BITS: u32 = 2 * MAX_BITS as u32 + 5 + 13;
        let (symbol, extra_bits, extra) = length_symbol(len);
        let (code, code_bits) = self.codes.literals.get(END + 1 + symbol as usize);
        self.bits.put(code | (extra as Word) << code_bits, code_bits + extra_bits);
        if ALL_BITS > ROOM {
            self.bits.flush();
        }
        let (symbol, extra_bits, extra) = distance_symbol(distance);
        let (code, code_bits) = self.codes.distances.get(symbol as usize);
        self.bits.put(code, code_bits);
        // Both together are too many for a word of 32 bits.
        if ALL_BITS > ROOM {
            self.bits.flush();
        }
        self.bits.put(extra as Word, extra_bits);
        self.bits.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The numbers of Fibonacci make the longest codes: these symbols, and the first the longest.
    fn rare<const N: usize>(symbols: impl Iterator<Item = usize>) -> [u16; N] {
        let (mut counts, mut next) = ([0; N], (1, 1));
        for symbol in symbols {
            counts[symbol] = next.0;
            next = (next.1, next.0 + next.1);
        }
        counts
    }

    #[test]
    fn the_longest_codes_and_extra_bits_are_written_whole() {
        let (len, distance) = (257, 32_768);
        let (of_len, of_distance) = (length_symbol(len), distance_symbol(distance));
        let last = END + 1 + of_len.0 as usize;
        let codes = Codes::new(&Counts {
            literals: rare((0..=last).rev().take(16)),
            distances: rare((0..DISTANCES).rev().take(16)),
        });
        let (length_code, distance_code) =
            (codes.literals.get(last), codes.distances.get(of_distance.0 as usize));
        assert_eq!((length_code.1, of_len.1, distance_code.1, of_distance.1), (15, 5, 15, 13));
        for held in 0..8 {
            let mut out = [0; 32];
            let mut bits = Bits::new(&mut out);
            bits.put(0, held);
            CodedBlock { bits: &mut bits, codes: &codes }.copy(len, distance);
            bits.finish().unwrap();
            let parts = [
                (0, held),
                (length_code.0, 15),
                (of_len.2 as Word, 5),
                (distance_code.0, 15),
                (of_distance.2 as Word, 13),
            ];
            let expected: Vec<bool> = parts
                .iter()
                .flat_map(|(value, len)| (0..*len).map(move |bit| value >> bit & 1 != 0))
                .collect();
            let written = (0..expected.len()).map(|at| out[at / 8] >> (at % 8) & 1 != 0);
            assert!(written.eq(expected), "after {held} bits");
        }
    }
}
