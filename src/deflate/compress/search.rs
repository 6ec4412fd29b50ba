//! The search for repetitions (RFC 1951 section 4): a hash table of positions, and the levels of
//! effort.

use super::bits::{MAX_COPY, Sink};
use core::mem;

/// The shortest copy that is searched for, in bytes: what is hashed.
const MIN_COPY: usize = 4;
/// Tables of fewer buckets are not used.
const MIN_BUCKETS: usize = 16;

/// How much effort a [`Compressor`](super::Compressor) spends: [`Fast`], [`Better`] or [`Best`]. A
/// level that a program does not name is not linked.
pub trait Level: sealed::Search {}

impl<L: sealed::Search> Level for L {}

/// One earlier position for each hash, and the first match is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fast;

/// Four earlier positions for each hash, and a match is given up for a longer one at the next
/// position. About a tenth shorter than [`Fast`], in twice the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Better;

/// [`Better`] with eight earlier positions, in chains: a few percent shorter in the same time, but
/// it is of use only with a table of 16,384 entries or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Best;

pub(super) mod sealed {
    use super::Sink;

    pub trait Search {
        /// Finds the copies in `data[from..]` that refer to `data`, at most `window` bytes back.
        /// `base` is the position of the first byte of `data`, modulo 2^16.
        fn search<S: Sink>(
            table: &mut [u16],
            base: u16,
            data: &[u8],
            from: usize,
            window: usize,
            sink: &mut S,
        );
    }
}

/// Earlier positions, found by the four bytes that were seen there.
///
/// An entry may be of any age, or of other data: it is a candidate, which is compared before it is
/// used.
trait Positions {
    /// Enters the position of `data[at]`, where these four bytes are. Returns the longest match
    /// with an earlier position, if it has more than `least` bytes.
    fn longest(&mut self, data: &[u8], at: usize, bytes: u32, least: usize, window: usize) -> Option<Found>;

    /// Enters positions in `data[from..to]`: a copy without its first two, which are entered.
    fn enter_copy(&mut self, data: &[u8], from: usize, to: usize);
}

/// A match.
struct Found {
    len: usize,
    distance: usize,
}

/// The index of the hash of four bytes in a table of 2^(32 - `shift`) entries.
const fn hash(bytes: u32, shift: u32) -> usize {
    (bytes.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

/// For each hash a bucket of the last `N` positions, the newest first.
struct Buckets<'t, const N: usize> {
    /// A power of two of buckets: positions modulo 2^16.
    buckets: &'t mut [[u16; N]],
    /// 32 less the binary logarithm of their number.
    shift: u32,
    /// The position of the first byte of the data.
    base: u16,
}

impl<'t, const N: usize> Buckets<'t, N> {
    /// Uses the largest power of two of `entries`; `None` if they are too few.
    fn new(entries: &'t mut [u16], base: u16) -> Option<Self> {
        let (buckets, _) = entries.as_chunks_mut();
        let bits = buckets.len().checked_ilog2()?.min(16);
        let buckets = buckets.get_mut(..1 << bits)?;
        (buckets.len() >= MIN_BUCKETS).then_some(Self { buckets, shift: 32 - bits, base })
    }

    /// The position of `data[at]`.
    const fn position(&self, at: usize) -> u16 {
        self.base.wrapping_add(at as u16)
    }

    /// The bucket of four bytes.
    fn bucket(&mut self, bytes: u32) -> Option<&mut [u16; N]> {
        self.buckets.get_mut(hash(bytes, self.shift))
    }

    /// Enters the position of `data[at]` in place of the oldest. Returns the entries before.
    fn enter(&mut self, bytes: u32, at: usize) -> Option<[u16; N]> {
        let position = self.position(at);
        let bucket = self.bucket(bytes)?;
        let before = *bucket;
        bucket.copy_within(..N - 1, 1);
        if let Some(newest) = bucket.first_mut() {
            *newest = position;
        }
        Some(before)
    }
}

impl<const N: usize> Positions for Buckets<'_, N> {
    fn longest(&mut self, data: &[u8], at: usize, bytes: u32, least: usize, window: usize) -> Option<Found> {
        let position = self.position(at);
        let distances = self.enter(bytes, at)?.into_iter().map(|before| position.wrapping_sub(before));
        longest(data, at, distances, least, window)
    }

    fn enter_copy(&mut self, data: &[u8], from: usize, to: usize) {
        for (bytes, at) in data.get(from..).unwrap_or_default().windows(MIN_COPY).zip(from..to) {
            if let Some(bytes) = bytes.first_chunk() {
                self.enter(u32::from_le_bytes(*bytes), at);
            }
        }
    }
}

/// For each hash a chain of positions, the newest first. To enter a position takes less time than
/// in [`Buckets`], but half of the entries are spent on the links.
struct Chains<'t> {
    /// A power of two of hashes: for each the newest position, modulo 2^16.
    newest: &'t mut [u16],
    /// For each position, modulo the same power of two, the one before it in its chain.
    before: &'t mut [u16],
    /// 32 less the binary logarithm of their number.
    shift: u32,
    /// The position of the first byte of the data.
    base: u16,
}

impl<'t> Chains<'t> {
    /// How many positions of a chain are compared.
    const DEPTH: usize = 8;

    /// Uses the largest power of two of `entries`; `None` if they are too few.
    fn new(entries: &'t mut [u16], base: u16) -> Option<Self> {
        let bits = (entries.len() / 2).checked_ilog2()?.min(16);
        let (newest, before) = entries.split_at_mut_checked(1 << bits)?;
        let before = before.get_mut(..1 << bits)?;
        (newest.len() >= MIN_BUCKETS).then_some(Self { newest, before, shift: 32 - bits, base })
    }

    /// Enters the position of `data[at]`. Returns the one before it in its chain.
    fn enter(&mut self, bytes: u32, at: usize) -> Option<u16> {
        let position = self.base.wrapping_add(at as u16);
        let newest = self.newest.get_mut(hash(bytes, self.shift))?;
        let candidate = mem::replace(newest, position);
        // A position that was entered already does not become its own link.
        if candidate != position {
            let index = usize::from(position) & (self.before.len() - 1);
            *self.before.get_mut(index)? = candidate;
        }
        Some(candidate)
    }
}

/// The distances from a position to those of a chain. The links may lead anywhere, without end.
struct Distances<'c> {
    before: &'c [u16],
    position: u16,
    /// The next in the chain.
    candidate: u16,
}

impl Iterator for Distances<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let distance = self.position.wrapping_sub(self.candidate);
        self.candidate = *self.before.get(usize::from(self.candidate) & (self.before.len() - 1))?;
        Some(distance)
    }
}

impl Positions for Chains<'_> {
    fn longest(&mut self, data: &[u8], at: usize, bytes: u32, least: usize, window: usize) -> Option<Found> {
        let position = self.base.wrapping_add(at as u16);
        let candidate = self.enter(bytes, at)?;
        // If the newest position of a chain has other bytes, few of the older have the same.
        if least < MIN_COPY
            && last(data.get(..at + MIN_COPY)?, position.wrapping_sub(candidate)) != Some(bytes)
        {
            return None;
        }
        let distances = Distances { before: self.before, position, candidate };
        longest(data, at, distances.take(Self::DEPTH), least, window)
    }

    /// Enters the first two and the last two: to enter all takes longer, and gains one percent.
    fn enter_copy(&mut self, data: &[u8], from: usize, to: usize) {
        for at in [from, from + 1, to - 2, to - 1] {
            if let Some(bytes) = load(data, at) {
                self.enter(bytes, at);
            }
        }
    }
}

/// The longest match at `at`, of more than `least` bytes, at one of these distances; of equally
/// long ones the first.
fn longest(
    data: &[u8],
    at: usize,
    distances: impl Iterator<Item = u16>,
    least: usize,
    window: usize,
) -> Option<Found> {
    /// After a match of this length there is no search for a longer one.
    const LONG_ENOUGH: usize = 30;
    let mut found = None;
    // A longer match has the same last four bytes.
    let mut longer = data.get(..at + least + 1)?;
    let mut bytes = last(longer, 0)?;
    for distance in distances {
        if usize::from(distance).wrapping_sub(1) >= window {
            // Those after it are older.
            break;
        }
        if last(longer, distance) != Some(bytes) {
            continue;
        }
        let distance = usize::from(distance);
        let len = match_len(data, at, distance);
        if at + len >= longer.len() {
            found = Some(Found { len, distance });
            match data.get(..at + len + 1).and_then(|longer| Some((longer, last(longer, 0)?))) {
                Some(next) if len < LONG_ENOUGH => (longer, bytes) = next,
                _ => break,
            }
        }
    }
    found
}

/// The four bytes at `at`.
fn load(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..).and_then(|data| data.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes))
}

/// The last four bytes of the data, or those that are `distance` bytes before them.
fn last(data: &[u8], distance: u16) -> Option<u32> {
    // In this form, the compiler checks the bounds with one comparison.
    let at = data.len().checked_sub(usize::from(distance) + MIN_COPY)?;
    data.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes, at most [`MAX_COPY`], are the same from `at` on and `distance` bytes before.
fn match_len(data: &[u8], at: usize, distance: usize) -> usize {
    let there = data.get(at - distance..).unwrap_or_default();
    let here = there.get(distance..).unwrap_or_default();
    let here = here.get(..MAX_COPY).unwrap_or(here);
    let there = there.get(..here.len()).unwrap_or_default();
    let ((here, here_rest), (there, there_rest)) = (here.as_chunks(), there.as_chunks());
    let mut len = 0;
    for (a, b) in here.iter().zip(there) {
        let differs = usize::from_le_bytes(*a) ^ usize::from_le_bytes(*b);
        if differs != 0 {
            return len + (differs.trailing_zeros() / 8) as usize;
        }
        len += size_of::<usize>();
    }
    len + here_rest.iter().zip(there_rest).take_while(|(a, b)| a == b).count()
}

/// Passes `data[from..to]` on as literals.
fn literals<S: Sink>(data: &[u8], from: usize, to: usize, sink: &mut S) {
    sink.literals(data.get(from..).unwrap_or_default(), to - from);
}

impl sealed::Search for Fast {
    fn search<S: Sink>(table: &mut [u16], base: u16, data: &[u8], from: usize, window: usize, sink: &mut S) {
        // The more misses in a row, the more positions are skipped.
        const FIRST_STEP: usize = 32;
        let Some(mut table) = Buckets::<1>::new(table, base) else {
            return literals(data, from, data.len(), sink);
        };
        let mut misses = FIRST_STEP;
        let mut at = from;
        let mut literal = from;
        while let Some(bytes) = load(data, at) {
            let position = table.position(at);
            let Some([entry]) = table.bucket(bytes) else { break };
            let distance = usize::from(position.wrapping_sub(mem::replace(entry, position)));
            let is_match = distance.wrapping_sub(1) < window
                && at.checked_sub(distance).is_some_and(|before| load(data, before) == Some(bytes));
            if !is_match {
                at += misses / FIRST_STEP;
                misses += 1;
                continue;
            }
            misses = FIRST_STEP;
            let len = match_len(data, at, distance);
            literals(data, literal, at, sink);
            sink.copy(len, distance);
            at += len;
            literal = at;
            // Of the positions in the copy, one is entered.
            let position = table.position(at - 2);
            if let Some([entry]) = load(data, at - 2).and_then(|bytes| table.bucket(bytes)) {
                *entry = position;
            }
        }
        literals(data, literal, data.len(), sink);
    }
}

impl sealed::Search for Better {
    fn search<S: Sink>(table: &mut [u16], base: u16, data: &[u8], from: usize, window: usize, sink: &mut S) {
        search_lazily(Buckets::<4>::new(table, base), data, from, window, sink);
    }
}

impl sealed::Search for Best {
    fn search<S: Sink>(table: &mut [u16], base: u16, data: &[u8], from: usize, window: usize, sink: &mut S) {
        search_lazily(Chains::new(table, base), data, from, window, sink);
    }
}

/// Searches at each position, and gives a match up for a longer one at the next position.
fn search_lazily<P: Positions, S: Sink>(
    positions: Option<P>,
    data: &[u8],
    from: usize,
    window: usize,
    sink: &mut S,
) {
    /// A match of this length is not given up.
    const LONG: usize = 32;
    let Some(mut positions) = positions else { return literals(data, from, data.len(), sink) };
    let mut at = from;
    let mut literal = from;
    while let Some(bytes) = load(data, at) {
        let window = window.min(at);
        let Some(mut found) = positions
            .longest(data, at, bytes, MIN_COPY - 1, window)
            .filter(|found| found.len > MIN_COPY || found.distance <= S::FAR)
        else {
            at += 1;
            continue;
        };
        while found.len < LONG
            && let Some(bytes) = load(data, at + 1)
            && let Some(longer) = positions.longest(data, at + 1, bytes, found.len, window)
        {
            found = longer;
            at += 1;
        }
        literals(data, literal, at, sink);
        sink.copy(found.len, found.distance);
        let end = at + found.len;
        positions.enter_copy(data, at + 2, end);
        at = end;
        literal = end;
    }
    literals(data, literal, data.len(), sink);
}
