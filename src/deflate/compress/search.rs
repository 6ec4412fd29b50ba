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

/// [`Better`] with eight positions: a few percent shorter, in 1.3 times the time. It is of use with
/// a table of 16,384 entries or more.
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

/// A table of the positions at which four bytes were seen: for each hash a bucket of the last `N`,
/// the newest first.
///
/// An entry may be of any age, or of other data: it is a candidate, which is compared before it is
/// used.
struct Table<'t, const N: usize> {
    /// A power of two of buckets: positions modulo 2^16.
    buckets: &'t mut [[u16; N]],
    /// 32 less the binary logarithm of their number.
    shift: u32,
    /// The position of the first byte of the data.
    base: u16,
}

impl<'t, const N: usize> Table<'t, N> {
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
        self.buckets.get_mut((bytes.wrapping_mul(0x9E37_79B1) >> self.shift) as usize)
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

/// The four bytes at `at`.
fn load(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..).and_then(|data| data.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes, at most [`MAX_COPY`], are the same from `at` on and `distance` bytes before.
fn match_len(data: &[u8], at: usize, distance: usize) -> usize {
    let here = data.get(at..).unwrap_or_default();
    let here = here.get(..MAX_COPY).unwrap_or(here);
    let there = data.get(at - distance..).unwrap_or_default();
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
        let Some(mut table) = Table::<1>::new(table, base) else {
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
        search_lazily(Table::<4>::new(table, base), data, from, window, sink);
    }
}

impl sealed::Search for Best {
    fn search<S: Sink>(table: &mut [u16], base: u16, data: &[u8], from: usize, window: usize, sink: &mut S) {
        search_lazily(Table::<8>::new(table, base), data, from, window, sink);
    }
}

/// Searches at each position, and gives a match up for a longer one at the next position.
fn search_lazily<const N: usize, S: Sink>(
    table: Option<Table<'_, N>>,
    data: &[u8],
    from: usize,
    window: usize,
    sink: &mut S,
) {
    /// A match of this length is not given up.
    const LONG: usize = 32;
    let Some(mut table) = table else { return literals(data, from, data.len(), sink) };
    let mut at = from;
    let mut literal = from;
    while let Some(bytes) = load(data, at) {
        let Some(mut found) = longest(&mut table, data, at, bytes, MIN_COPY - 1, window)
            .filter(|found| found.len > MIN_COPY || found.distance <= S::FAR)
        else {
            at += 1;
            continue;
        };
        while found.len < LONG
            && let Some(bytes) = load(data, at + 1)
            && let Some(longer) = longest(&mut table, data, at + 1, bytes, found.len, window)
        {
            found = longer;
            at += 1;
        }
        literals(data, literal, at, sink);
        sink.copy(found.len, found.distance);
        // The first two positions are entered.
        let (next, end) = (at + 2, at + found.len);
        for (bytes, inside) in data.get(next..).unwrap_or_default().windows(MIN_COPY).zip(next..end) {
            if let Some(bytes) = bytes.first_chunk() {
                table.enter(u32::from_le_bytes(*bytes), inside);
            }
        }
        at = end;
        literal = end;
    }
    literals(data, literal, data.len(), sink);
}

/// A match.
struct Found {
    len: usize,
    distance: usize,
}

/// The longest match at `at` among the candidates for its first four bytes, if it has more than
/// `least` bytes. Enters the position.
fn longest<const N: usize>(
    table: &mut Table<'_, N>,
    data: &[u8],
    at: usize,
    bytes: u32,
    least: usize,
    window: usize,
) -> Option<Found> {
    /// For one longer than this there is no search.
    const LONG_ENOUGH: usize = 60;
    let position = table.position(at);
    let candidates = table.enter(bytes, at)?;
    let mut found = None;
    // A match that is longer has the same last four bytes.
    let mut end = at + least - (MIN_COPY - 1);
    let mut last = load(data, end)?;
    for candidate in candidates {
        let distance = usize::from(position.wrapping_sub(candidate));
        if distance.wrapping_sub(1) >= window.min(at) {
            // Those after it are older.
            break;
        }
        if load(data, end - distance) != Some(last) {
            continue;
        }
        let len = match_len(data, at, distance);
        if len > end + (MIN_COPY - 1) - at {
            found = Some(Found { len, distance });
            end = at + len - (MIN_COPY - 1);
            match load(data, end) {
                Some(bytes) if len < LONG_ENOUGH => last = bytes,
                _ => break,
            }
        }
    }
    found
}
