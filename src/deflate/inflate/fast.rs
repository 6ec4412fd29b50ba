//! The fast loop of 64-bit targets.

use super::bits::{Bits, low_bits};
use super::codes::{Entries, Tables};
use super::output::Output;
use crate::buffer::copy;

/// The bytes that are copied at once.
const BLOCK: usize = 32;

/// Decodes symbols while they are complete and fit. What it leaves, the caller does: the end of the
/// block, what is cut by the end of input or output, and what is invalid.
pub(super) fn decode(tables: &Tables, bits: &mut Bits<'_>, output: &mut Output<'_>) {
    let (mut hold, mut len, mut input) = (bits.hold, bits.len, bits.input);
    loop {
        // Bits above `len` are those of the bytes that follow, or zero.
        macro_rules! refill {
            () => {
                if let Some(word) = input.first_chunk() {
                    hold |= u64::from_le_bytes(*word) << (len & 63);
                    input = input.get(7 - (len as usize >> 3 & 7)..).unwrap_or_default();
                    len |= 56;
                } else if !input.is_empty() {
                    (hold, len, input) = refill_from_last(hold, len, input);
                }
            };
        }
        macro_rules! literal {
            ($entry:expr) => {
                let Some(rest) = len.checked_sub($entry.total_len()) else { break };
                if output.push($entry.literal()).is_none() {
                    break;
                }
                hold >>= $entry.total_len();
                len = rest;
            };
        }
        refill!();
        let mut entry = tables.literals.first(hold);
        if entry.is_literal() {
            literal!(entry);
            entry = tables.literals.first(hold);
            if entry.is_literal() {
                literal!(entry);
                entry = tables.literals.first(hold);
                if entry.is_literal() {
                    literal!(entry);
                    continue;
                }
            }
            refill!();
        }
        if !entry.is_number() {
            if !entry.is_long() {
                break;
            }
            entry = tables.literals.long(hold, Entries::LITERALS);
            if entry.is_literal() {
                literal!(entry);
                continue;
            }
            if !entry.is_number() {
                break;
            }
        }
        let length = entry.value(hold);
        let used = entry.total_len();
        let after = hold >> used;
        let mut entry = tables.distances.first(after);
        if !entry.is_number() {
            if !entry.is_long() {
                break;
            }
            entry = tables.distances.long(after, Entries::DISTANCES);
            if !entry.is_number() {
                break;
            }
        }
        let distance = entry.value(after);
        if !output.reaches(distance) {
            break;
        }
        let Some(rest) = len.checked_sub(used + entry.total_len()) else { break };
        if length > output.room() {
            break;
        }
        hold = after >> entry.total_len();
        len = rest;
        append(output, distance, length);
    }
    (bits.hold, bits.len, bits.input) = (hold & low_bits(len & 63), len, input);
}

/// Takes bytes of the last seven, as [`Bits::refill`] does.
fn refill_from_last(hold: u64, len: u32, input: &[u8]) -> (u64, u32, &[u8]) {
    let mut bits = Bits { hold: hold & low_bits(len & 63), len, input };
    bits.refill();
    (bits.hold, bits.len, bits.input)
}

/// Appends a match for which there is room: a whole block, and the rest of a longer match.
fn append(output: &mut Output<'_>, distance: usize, length: usize) {
    let start = output.len;
    let Some((before, room)) = output.bytes.split_at_mut_checked(start) else { return };
    let (source, available) = match start.checked_sub(distance) {
        Some(from) => (before.get(from..).unwrap_or_default(), distance),
        None => {
            let back = distance - start;
            (output.ring.last(back), back)
        }
    };
    // A tuple: the three are tested at once, not one after the other.
    if let (true, Some(block), Some(target)) =
        (length <= available, source.first_chunk::<BLOCK>(), room.first_chunk_mut())
    {
        *target = *block;
        if length > BLOCK {
            match (source.get(BLOCK..length), room.get_mut(BLOCK..length)) {
                (Some(source), Some(room)) => copy(room, source),
                _ => return append_rarely(output, distance, length),
            }
        }
        output.len = start + length;
        return;
    }
    append_rarely(output, distance, length);
}

/// Appends a match that repeats itself, or goes on at the front of the ring, or ends near the end
/// of the output.
// Outlined, and so out of the fast loop: benches/README.md, "Inflate".
#[inline(never)]
fn append_rarely(output: &mut Output<'_>, distance: usize, length: usize) {
    // At most 258.
    output.copy(distance, length as u16);
}
