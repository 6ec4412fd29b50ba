//! The search for repetitions (RFC 1951 section 4): hash tables of positions, and the levels of
//! effort.

use super::bit_writer::{MAX_COPY, Sink};

/// The shortest copy that is searched for, in bytes: what is hashed.
const MIN_COPY: usize = 4;
/// Tables of fewer entries are not used.
const MIN_TABLE: usize = 16;

/// How much effort a [`Compressor`](super::Compressor) spends: [`Fast`] or [`Better`]. A level that
/// a program does not name is not linked.
pub trait Level: sealed::Search {}

impl<L: sealed::Search> Level for L {}

/// One candidate for each position, and the first match is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fast;

/// Four candidates for each position, and a match is given up for a longer one at the next
/// position. About a tenth shorter than [`Fast`], in three times the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Better;

pub(super) mod sealed {
    use super::{Sink, Table};

    pub trait Search {
        /// Finds the copies in `data[from..]` that refer to `data`, at most `window` bytes back.
        fn search<S: Sink>(table: Table<'_>, data: &[u8], from: usize, window: usize, sink: &mut S);
    }
}

/// The positions at which hashes were seen. An entry may be of any age, or of other data: a
/// candidate is compared before it is used.
#[derive(Debug)]
pub struct Table<'t> {
    /// A power of two of entries: positions modulo 2^16.
    entries: &'t mut [u16],
    /// The binary logarithm of their number.
    bits: u32,
    /// The position of the first byte of the data.
    base: u16,
}

impl<'t> Table<'t> {
    /// Uses the largest power of two of `entries`; `None` if they are too few.
    pub(super) fn new(entries: &'t mut [u16], base: u16) -> Option<Self> {
        let bits = entries.len().checked_ilog2()?;
        let entries = entries.get_mut(..1 << bits)?;
        (entries.len() >= MIN_TABLE).then_some(Self { entries, bits, base })
    }

    /// The position of `data[at]`.
    const fn position(&self, at: usize) -> u16 {
        self.base.wrapping_add(at as u16)
    }

    /// The entry of the four bytes in `word`.
    fn entry(&mut self, word: u32) -> Option<&mut u16> {
        self.entries.get_mut(hash(word, self.bits))
    }

    /// The bucket of `N` entries, a power of two, of the four bytes in `word`.
    fn bucket<const N: usize>(&mut self, word: u32) -> Option<&mut [u16; N]> {
        let index = hash(word, self.bits - N.trailing_zeros()) * N;
        self.entries.get_mut(index..).and_then(|entries| entries.first_chunk_mut())
    }
}

/// Maps four bytes to `bits` bits, at least one.
const fn hash(word: u32, bits: u32) -> usize {
    (word.wrapping_mul(0x9E37_79B1) >> (32 - bits)) as usize
}

/// The four bytes at `at`.
fn load(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..).and_then(|data| data.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes, at most [`MAX_COPY`], are the same from `at` on and `distance` bytes before.
/// The first [`MIN_COPY`] are known to be.
fn match_len(data: &[u8], at: usize, distance: usize) -> usize {
    let here = data.get(at + MIN_COPY..).unwrap_or_default();
    let here = here.get(..MAX_COPY - MIN_COPY).unwrap_or(here);
    let there = data.get(at - distance + MIN_COPY..).unwrap_or_default();
    let there = there.get(..here.len()).unwrap_or_default();
    let ((here, here_rest), (there, there_rest)) = (here.as_chunks::<8>(), there.as_chunks::<8>());
    let mut len = MIN_COPY;
    for (a, b) in here.iter().zip(there) {
        let differs = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differs != 0 {
            return len + (differs.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len + here_rest.iter().zip(there_rest).take_while(|(a, b)| a == b).count()
}

/// Passes `data[from..to]` on as literals.
fn literals<S: Sink>(data: &[u8], from: usize, to: usize, sink: &mut S) {
    sink.literals(data.get(from..).unwrap_or_default(), to - from);
}

impl sealed::Search for Fast {
    fn search<S: Sink>(mut table: Table<'_>, data: &[u8], from: usize, window: usize, sink: &mut S) {
        // The more misses in a row, the more positions are skipped.
        const FIRST_STEP: usize = 32;
        let mut misses = FIRST_STEP;
        let mut at = from;
        let mut literal = from;
        while let Some(word) = load(data, at) {
            let position = table.position(at);
            let Some(entry) = table.entry(word) else { break };
            let distance = usize::from(position.wrapping_sub(*entry));
            *entry = position;
            let is_match =
                distance.wrapping_sub(1) < window.min(at) && load(data, at - distance) == Some(word);
            if !is_match {
                at += misses / FIRST_STEP;
                misses += 1;
                continue;
            }
            misses = FIRST_STEP;
            let len = match_len(data, at, distance);
            literals(data, literal, at, sink);
            sink.copy(len, distance);
            // Of the positions in the copy, one is entered.
            let inside = at + len - 2;
            let position = table.position(inside);
            if let Some(entry) = load(data, inside).and_then(|word| table.entry(word)) {
                *entry = position;
            }
            at += len;
            literal = at;
        }
        literals(data, literal, data.len(), sink);
    }
}

impl sealed::Search for Better {
    fn search<S: Sink>(mut table: Table<'_>, data: &[u8], from: usize, window: usize, sink: &mut S) {
        /// A match of this length is not given up.
        const LONG: usize = 32;
        let mut at = from;
        let mut literal = from;
        while let Some(word) = load(data, at) {
            let (mut len, mut distance) = longest::<4>(&mut table, data, at, word, window);
            if len == 0 {
                at += 1;
                continue;
            }
            while len < LONG
                && let Some(word) = load(data, at + 1)
                && let (next_len, next_distance) = longest::<4>(&mut table, data, at + 1, word, window)
                && next_len > len
            {
                (len, distance) = (next_len, next_distance);
                at += 1;
            }
            literals(data, literal, at, sink);
            sink.copy(len, distance);
            let end = at + len;
            for inside in at + 2..end {
                let position = table.position(inside);
                if let Some(bucket) = load(data, inside).and_then(|word| table.bucket::<4>(word)) {
                    enter(bucket, position);
                }
            }
            at = end;
            literal = end;
        }
        literals(data, literal, data.len(), sink);
    }
}

/// The longest match at `at` among the entries of its bucket, as length and distance; (0, 0) if
/// there is none. Enters the position.
fn longest<const N: usize>(
    table: &mut Table<'_>,
    data: &[u8],
    at: usize,
    word: u32,
    window: usize,
) -> (usize, usize) {
    let position = table.position(at);
    let Some(bucket) = table.bucket::<N>(word) else { return (0, 0) };
    let mut best = (0, 0);
    for entry in bucket.iter() {
        let distance = usize::from(position.wrapping_sub(*entry));
        if distance.wrapping_sub(1) < window.min(at) && load(data, at - distance) == Some(word) {
            let len = match_len(data, at, distance);
            if len > best.0 {
                best = (len, distance);
            }
        }
    }
    enter(bucket, position);
    best
}

/// Enters a position into a bucket in place of the oldest.
fn enter<const N: usize>(bucket: &mut [u16; N], position: u16) {
    bucket.copy_within(..N - 1, 1);
    if let Some(newest) = bucket.first_mut() {
        *newest = position;
    }
}
