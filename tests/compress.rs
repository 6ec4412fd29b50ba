//! What the compressor writes is read back by three decompressors, and keeps to the window.

use proptest::prelude::*;
use sansocket::deflate::{Best, Better, Compress, Compressor, Context, Fast, Level};

/// The end of each message (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// xorshift64
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 to `n` - 1.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Data of `len` bytes, of a random kind.
    fn data(&mut self, len: usize) -> Vec<u8> {
        match self.below(6) {
            0 => (0..len).map(|_| self.next() as u8).collect(),
            1 => (0..len).map(|_| b"ab"[self.below(2)]).collect(),
            2 => vec![self.next() as u8; len],
            3 => self.text(len, ""),
            4 => self.text(len, "ÄÖÜ 語"),
            // Random bytes within text.
            _ => {
                let mut data = self.text(len, "");
                let from = self.below(len + 1);
                let to = from + self.below(len - from + 1);
                data[from..to].fill_with(|| self.next() as u8);
                data
            }
        }
    }

    fn text(&mut self, len: usize, more: &str) -> Vec<u8> {
        const WORDS: [&str; 12] = [
            "{\"temperature\":",
            "humidity",
            "the",
            "quick",
            "brown",
            "fox",
            ",\"v\":",
            "true",
            "],",
            "of",
            "receive",
            "transmit",
        ];
        let mut text = Vec::new();
        while text.len() < len {
            text.extend_from_slice(WORDS[self.below(WORDS.len())].as_bytes());
            text.extend_from_slice(format!(" {} {more}", self.below(1000)).as_bytes());
        }
        text.truncate(len);
        text
    }
}

/// Reads DEFLATE bit by bit, and checks each distance.
struct Checker {
    /// Earlier messages, if there is context takeover.
    before: Vec<u8>,
    window: usize,
}

struct Input<'i> {
    bytes: &'i [u8],
    bit: usize,
}

impl Input<'_> {
    fn bits(&mut self, n: u32) -> usize {
        let mut value = 0;
        for i in 0..n {
            value |= (usize::from(self.bytes[self.bit / 8]) >> (self.bit % 8) & 1) << i;
            self.bit += 1;
        }
        value
    }

    fn symbol(&mut self, code: &Code) -> usize {
        let (mut bits, mut first, mut index) = (0, 0, 0);
        for count in code.counts {
            bits = bits << 1 | self.bits(1);
            if bits - first < count {
                return code.symbols[index + bits - first];
            }
            index += count;
            first = (first + count) << 1;
        }
        panic!("no such code");
    }
}

/// A Huffman code (RFC 1951 section 3.2.2): its symbols by length, and their number for each.
struct Code {
    counts: [usize; 15],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut code = Self { counts: [0; 15], symbols: Vec::new() };
        for (count, len) in code.counts.iter_mut().zip(1..) {
            let before = code.symbols.len();
            code.symbols.extend((0..lengths.len()).filter(|symbol| lengths[*symbol] == len));
            *count = code.symbols.len() - before;
        }
        code
    }

    /// It is complete, but that of distances can have a single symbol, or none.
    fn checked(lengths: &[u8]) -> Self {
        let code = Self::new(lengths);
        let sum: usize = code.counts.iter().zip(1..).map(|(count, len)| count << (15 - len)).sum();
        assert!(sum == 1 << 15 || code.symbols.len() <= 1, "incomplete or over-subscribed: {lengths:?}");
        code
    }
}

impl Checker {
    fn new(window_bits: u8) -> Self {
        Self { before: Vec::new(), window: 1 << window_bits }
    }

    /// Reads a message, and checks that it is as the compressor says.
    fn read(&mut self, compressed: &[u8], takeover: bool) -> Vec<u8> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let mut input = Input { bytes: compressed, bit: 0 };
        if !takeover {
            self.before.clear();
        }
        let start = self.before.len();
        let out = &mut self.before;
        loop {
            assert_eq!(input.bits(1), 0, "BFINAL");
            let (literals, distances) = match input.bits(2) {
                0 => {
                    input.bit = input.bit.next_multiple_of(8);
                    let len = input.bits(16);
                    assert_eq!(input.bits(16), len ^ 0xFFFF);
                    for _ in 0..len {
                        out.push(input.bits(8) as u8);
                    }
                    if len == 0 {
                        assert_eq!(input.bit, compressed.len() * 8, "the empty stored block is the last");
                        return out[start..].to_vec();
                    }
                    continue;
                }
                1 => {
                    let bits = |symbol| match symbol {
                        144..256 => 9,
                        256..280 => 7,
                        _ => 8,
                    };
                    (Code::new(&(0..288).map(bits).collect::<Vec<_>>()), Code::new(&[5; 30]))
                }
                2 => {
                    let (literals, distances) = (input.bits(5) + 257, input.bits(5) + 1);
                    assert!(literals <= 286 && distances <= 30);
                    let mut of_lengths = [0; 19];
                    for symbol in &ORDER[..input.bits(4) + 4] {
                        of_lengths[*symbol] = input.bits(3) as u8;
                    }
                    let of_lengths = Code::checked(&of_lengths);
                    let mut lengths = Vec::new();
                    while lengths.len() < literals + distances {
                        match input.symbol(&of_lengths) {
                            16 => {
                                let last = *lengths.last().unwrap();
                                let n = input.bits(2) + 3;
                                lengths.extend(std::iter::repeat_n(last, n));
                            }
                            17 => lengths.resize(lengths.len() + 3 + input.bits(3), 0),
                            18 => lengths.resize(lengths.len() + 11 + input.bits(7), 0),
                            len => lengths.push(len as u8),
                        }
                    }
                    assert_eq!(lengths.len(), literals + distances);
                    let distances = lengths.split_off(literals);
                    (Code::checked(&lengths), Code::checked(&distances))
                }
                _ => panic!("BTYPE 3"),
            };
            loop {
                let len = match input.symbol(&literals) {
                    literal @ 0..256 => {
                        out.push(literal as u8);
                        continue;
                    }
                    256 => break,
                    length @ 257..265 => length - 254,
                    285 => 258,
                    length => {
                        let extra = (length - 261) / 4;
                        ((4 + (length - 265) % 4) << extra) + 3 + input.bits(extra as u32)
                    }
                };
                let distance = match input.symbol(&distances) {
                    distance @ 0..4 => distance + 1,
                    distance => {
                        let extra = distance / 2 - 1;
                        ((2 + distance % 2) << extra) + 1 + input.bits(extra as u32)
                    }
                };
                assert!(distance <= self.window, "a distance of {distance} in a window of {}", self.window);
                let from = out.len().checked_sub(distance).expect("a distance to before the first byte");
                for i in from..from + len {
                    out.push(out[i]);
                }
            }
        }
    }
}

/// Reads the messages of one connection with three decompressors.
struct Readers {
    checker: Checker,
    zlib: zlib_rs::Inflate,
    miniz: Box<miniz_oxide::inflate::stream::InflateState>,
    window_bits: u8,
    takeover: bool,
}

impl Readers {
    fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            checker: Checker::new(window_bits),
            zlib: zlib_rs::Inflate::new(false, window_bits),
            miniz: miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Raw),
            window_bits,
            takeover,
        }
    }

    /// Checks that `compressed` is `message`.
    fn check(&mut self, message: &[u8], compressed: &[u8]) {
        assert!(compressed.ends_with(&TAIL));
        assert!(self.checker.read(compressed, self.takeover) == message, "the checker");
        if !self.takeover {
            *self = Self::new(self.window_bits, false);
        }
        let mut out = vec![0; message.len() + 1];
        let before = self.zlib.total_out();
        self.zlib.decompress(compressed, &mut out, zlib_rs::InflateFlush::SyncFlush).expect("zlib-rs");
        assert!(&out[..(self.zlib.total_out() - before) as usize] == message, "zlib-rs");

        let mut input = compressed;
        let mut len = 0;
        loop {
            let result = miniz_oxide::inflate::stream::inflate(
                &mut self.miniz,
                input,
                &mut out[len..],
                miniz_oxide::MZFlush::None,
            );
            input = &input[result.bytes_consumed..];
            len += result.bytes_written;
            if input.is_empty() && len >= message.len() || result.status.is_err() {
                break;
            }
        }
        assert!(&out[..len] == message, "miniz_oxide");
    }
}

fn compress<C: Compress>(compressor: &mut C, message: &[u8], window_bits: u8) -> Vec<u8> {
    let mut out = vec![0xAA; compressor.max_len(message.len())];
    let len = compressor.compress(message, window_bits, &mut out);
    assert!(len >= 5 && len <= out.len());
    out.truncate(len);
    out
}

/// Sends messages of random kinds and lengths, some of which are undone, and some come after a
/// reset.
fn converse<L: Level>(
    level: L,
    random: &mut Random,
    window_bits: u8,
    table: usize,
    history: usize,
    tokens: usize,
    longest: usize,
) {
    let takeover = history > 0;
    let table: Vec<u16> = (0..table).map(|_| random.next() as u16).collect();
    let mut compressor = Compressor::with_takeover(table, vec![0; history]).level(level);
    let mut tokens = vec![0; tokens];
    let mut readers = Readers::new(window_bits, takeover);
    assert_eq!(compressor.context().is_some(), takeover);
    for _ in 0..12 {
        let len = random.below(longest + 1) >> random.below(6);
        let message = random.data(len);
        let compressed = if tokens.is_empty() {
            compress(&mut compressor, &message, window_bits)
        } else {
            compress(&mut compressor.with_codes(&mut tokens), &message, window_bits)
        };
        match random.below(6) {
            0 => compressor.undo(),
            // An output that is too short.
            1 => {
                compressor.undo();
                let mut out = vec![0; random.below(compressed.len())];
                let written = if tokens.is_empty() {
                    compressor.compress(&message, window_bits, &mut out)
                } else {
                    compressor.with_codes(&mut tokens).compress(&message, window_bits, &mut out)
                };
                assert!(written <= out.len());
                // With a shorter history, the output can be another one.
                if written > 0 {
                    readers.check(&message, &out[..written]);
                }
            }
            2 => {
                readers.check(&message, &compressed);
                compressor.reset();
                assert!(compressor.context().is_none_or(|context| *context == Context::default()));
                // Nothing before is referred to.
                if random.below(2) == 0 {
                    readers = Readers::new(window_bits, takeover);
                }
            }
            _ => readers.check(&message, &compressed),
        }
    }
}

/// Proves: Z18, Z19, Z20.
#[test]
fn conversations_are_read_back_at_every_window() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for window_bits in 8..=15 {
        for history in [0, 1, 9, 300, 1 << window_bits, 3 << window_bits >> 1] {
            for tokens in [0, 1, 50, 4096] {
                let table = [0, 100, 128, 512, 2048, 5000][random.below(6)];
                let longest = [300, 3000, 20_000][random.below(3)];
                match random.below(3) {
                    0 => converse(Fast, &mut random, window_bits, table, history, tokens, longest),
                    1 => converse(Better, &mut random, window_bits, table, history, tokens, longest),
                    _ => converse(Best, &mut random, window_bits, table, history, tokens, longest),
                }
            }
        }
    }
}

#[test]
fn lengths_around_the_limits_of_blocks_are_read_back() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for len in [0, 1, 2, 3, 4, 5, 258, 259, 511, 512, 32_768, 65_534, 65_535, 65_536, 70_000] {
        for kind in 0..3 {
            let message = match kind {
                0 => vec![b'x'; len],
                1 => (0..len).map(|_| random.next() as u8).collect(),
                _ => random.text(len, ""),
            };
            for history in [0, 40_000] {
                let mut compressor = Compressor::with_takeover([0; 512], vec![0; history]);
                let mut tokens = [0; 1000];
                let mut readers = Readers::new(15, history > 0);
                readers.check(&message, &compress(&mut compressor, &message, 15));
                readers.check(&message, &compress(&mut compressor.with_codes(&mut tokens), &message, 15));
            }
        }
    }
}

/// Proves: Z18.
#[test]
fn the_output_is_never_longer_than_stored_blocks() {
    let mut random = Random(1);
    let mut compressor = Compressor::shared([0; 128]);
    for len in (0..300usize).chain([65_535, 65_536, 200_000]) {
        let message: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let max = len + 5 * len.div_ceil(65_535) + 5;
        assert_eq!(compressor.max_len(len), max);
        assert!(compress(&mut compressor, &message, 15).len() <= max);
        assert!(compress(&mut compressor.with_codes(&mut [0; 3]), &message, 15).len() <= max);
    }
    assert_eq!(compress(&mut compressor, b"", 15), [0, 0, 0, 0xFF, 0xFF]);
    assert_eq!(compressor.max_len(usize::MAX), usize::MAX);
}

#[test]
fn a_message_refers_to_the_one_before() {
    let message = b"{\"temperature\":21.5,\"humidity\":40,\"pressure\":1013}";
    let mut compressor = Compressor::with_takeover([0; 128], [0; 256]);
    let first = compress(&mut compressor, message, 8).len();
    let second = compress(&mut compressor, message, 8).len();
    assert!(first > 40 && second < 12, "{first}, {second}");
    compressor.undo();
    compressor.reset();
    assert_eq!(compress(&mut compressor, message, 8).len(), first);
    compressor.undo();
    assert_eq!(compress(&mut compressor, message, 8).len(), first);

    let mut shared = Compressor::shared([0; 128]);
    assert!(shared.context().is_none());
    assert_eq!(compress(&mut shared, message, 8).len(), first);
    assert_eq!(compress(&mut shared, message, 8).len(), first);
}

#[test]
fn memory_can_be_arrays_slices_boxes_and_vectors() {
    const OWN: Compressor<[u16; 128], [u8; 300]> = Compressor::with_takeover([0; 128], [0; 300]);
    const SHARED: Compressor<[u16; 128]> = Compressor::shared([0; 128]);
    let message = b"one message, one message, one message";
    let expected = compress(&mut { OWN }, message, 9);
    assert_eq!(compress(&mut { SHARED }, message, 9), expected);
    let (mut table, mut history) = ([0; 128], [0; 300]);
    let mut borrowed = Compressor::with_takeover(&mut table[..], &mut history[..]);
    assert_eq!(compress(&mut borrowed, message, 9), expected);
    let boxed = (vec![0; 128].into_boxed_slice(), vec![0; 300].into_boxed_slice());
    assert_eq!(compress(&mut Compressor::with_takeover(boxed.0, boxed.1), message, 9), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_are_read_back(
        messages in prop::collection::vec(prop::collection::vec(0u8..4, 0..600), 1..6),
        window_bits in 8u8..=15,
        history in 0usize..900,
        tokens in 0usize..300,
    ) {
        let mut compressor = Compressor::with_takeover([0; 256], vec![0; history]).level(Better);
        let mut tokens = vec![0; tokens];
        let mut readers = Readers::new(window_bits, history > 0);
        for message in messages {
            readers.check(&message, &compress(&mut compressor.with_codes(&mut tokens), &message, window_bits));
        }
    }
}
