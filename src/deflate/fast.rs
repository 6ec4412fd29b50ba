//! The fast loop of 64-bit targets: symbols while there is enough input and room that neither has
//! to be checked for each of them.

use super::bits::{Bits, low_bits};
use super::codes::{Entries, Tables};
use super::output::Output;

/// The bytes that are copied at once. A copy can write up to this many beyond its end.
const BLOCK: usize = 32;

/// The room for the longest match.
const ROOM: usize = 258 + BLOCK;

/// Decodes symbols. What it leaves, [`Decoder::symbol`](super::inflate) does: the last ones, the
/// end of the block, and what is invalid.
pub(super) fn decode(tables: &Tables, bits: &mut Bits<'_>, output: &mut Output<'_>) {
    let Some(limit) = output.bytes.len().checked_sub(ROOM) else { return };
    let (mut hold, mut len, mut input) = (bits.hold, bits.len, bits.input);
    while output.len <= limit {
        // Bits above `len` are those of the bytes that follow, or zero.
        macro_rules! refill {
            () => {
                let Some(word) = input.first_chunk() else { break };
                hold |= u64::from_le_bytes(*word) << (len & 63);
                input = input.get(7 - (len as usize >> 3 & 7)..).unwrap_or_default();
                len |= 56;
            };
        }
        macro_rules! literal {
            ($entry:expr) => {
                if let Some(slot) = output.bytes.get_mut(output.len) {
                    *slot = $entry.literal();
                }
                output.len += 1;
                hold >>= $entry.total_len();
                len -= $entry.total_len();
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
        hold = after >> entry.total_len();
        len -= used + entry.total_len();
        copy(output, distance, length);
    }
    (bits.hold, bits.len, bits.input) = (hold & low_bits(len & 63), len, input);
}

/// A match for which there is room, and a block behind it.
#[inline(always)]
fn copy(output: &mut Output<'_>, distance: usize, length: usize) {
    let start = output.len;
    let Some((before, room)) = output.bytes.split_at_mut_checked(start) else { return };
    let (source, len) = match start.checked_sub(distance) {
        Some(from) => (before.get(from..).unwrap_or_default(), distance),
        None => {
            let back = distance - start;
            (output.ring.from(back), back)
        }
    };
    if let (true, Some(block), Some(target)) = (length <= len, source.first_chunk::<BLOCK>(), room.first_chunk_mut()) {
        *target = *block;
        if length > BLOCK {
            match (source.get(BLOCK..length), room.get_mut(BLOCK..length)) {
                (Some(source), Some(target)) => target.copy_from_slice(source),
                // The end of the ring.
                _ => {
                    output.copy(distance, length as u16);
                    return;
                }
            }
        }
        output.len = start + length;
        return;
    }
    // At most 258.
    output.copy(distance, length as u16);
}
