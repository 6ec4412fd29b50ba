//! Masking (RFC 6455 section 5.3): every octet of a payload XOR the octet of the key at its index modulo 4.
//!
//! Three forms: in place, into other memory, and behind what a `Vec` holds.

use crate::IS_64_BIT;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(all(feature = "alloc", feature = "simd"))]
use core::mem;

/// The key that a client masks a frame with.
pub(crate) type MaskingKey = [u8; 4];

/// What the payload of a frame is masked with: a client's [`Mask`], or `()`, a server's, which changes nothing.
pub trait Masking {
    /// Masks the next part of the payload in place.
    fn apply(&mut self, part: &mut [u8]);
}

impl Masking for () {
    fn apply(&mut self, _: &mut [u8]) {}
}

impl Masking for Mask {
    fn apply(&mut self, part: &mut [u8]) {
        Self::apply(self, part);
    }
}

/// The masking key of a frame whose payload is masked part by part: it goes on where the last part ended.
///
/// A client gets one from [`send_header`](crate::WebSocket::send_header) and applies it to the payload, in order,
/// before sending it.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Rotated, so that its first octet is the one for the next octet of the payload.
    key: MaskingKey,
}

impl Mask {
    pub(crate) const fn new(key: MaskingKey) -> Self {
        Self { key }
    }

    pub(crate) const fn key(&self) -> MaskingKey {
        self.key
    }

    /// Masks, or unmasks, the next part of the payload in place.
    #[inline]
    pub fn apply(&mut self, part: &mut [u8]) {
        xor(part, self.key);
        self.advance(part.len());
    }

    /// Goes on to what comes `by` octets later.
    #[inline]
    pub(crate) fn advance(&mut self, by: usize) {
        self.key = rotate(self.key, by);
    }
}

/// The key as it applies `by` octets further on.
#[inline]
fn rotate(key: MaskingKey, by: usize) -> MaskingKey {
    // Little-endian on every machine: the first octet is the lowest.
    u32::from_le_bytes(key).rotate_right(8 * (by & 3) as u32).to_le_bytes()
}

/// Masks in place.
///
/// Up to 128 octets: two blocks that may overlap, without a loop and without a tail of single octets. On a 32-bit core
/// they would spill: a word at a time.
#[inline(never)]
pub(crate) fn xor(bytes: &mut [u8], key: MaskingKey) {
    match bytes.len() {
        _ if !IS_64_BIT => xor_words(bytes, key),
        129.. => xor_long(bytes, key),
        64.. => xor_ends::<64>(bytes, key),
        32.. => xor_ends::<32>(bytes, key),
        16.. => xor_ends::<16>(bytes, key),
        8.. => xor_ends::<8>(bytes, key),
        4.. => xor_ends::<4>(bytes, key),
        _ => xor_words(bytes, key),
    }
}

/// `N` octets XOR the key; `N` is a multiple of 4.
#[inline(always)]
fn xor_block<const N: usize>(mut block: [u8; N], key: MaskingKey) -> [u8; N] {
    // Word by word: what the compiler turns into vector instructions, the key spread over a register.
    for word in block.as_chunks_mut().0 {
        *word = xor_word(*word, key);
    }
    block
}

/// The first and the last `N` of `N` to `2 * N` octets, masked.
#[inline(always)]
fn ends<const N: usize>(bytes: &[u8], key: MaskingKey) -> Option<([u8; N], [u8; N])> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((xor_block(*first, key), xor_block(*last, rotate(key, bytes.len() - N))))
}

#[inline(always)]
fn xor_ends<const N: usize>(bytes: &mut [u8], key: MaskingKey) {
    // Both are read before either is written: where they overlap, both write the same.
    let Some((first, last)) = ends::<N>(bytes, key) else { return };
    if let Some(target) = bytes.first_chunk_mut() {
        *target = first;
    }
    if let Some(target) = bytes.last_chunk_mut() {
        *target = last;
    }
}

/// The first and the last block as above, and between them whole blocks that begin on a cache line: a store that
/// crosses two costs twice. From the back: of what has just been read, more than it holds, the nearest cache has the end;
/// and of what is looked at next it then has the beginning.
#[inline(never)]
fn xor_long(bytes: &mut [u8], key: MaskingKey) {
    let ahead = LINE - bytes.as_ptr().addr() % LINE;
    let Some((first, last)) = ends::<LINE>(bytes, key) else { return };
    xor_lines(bytes.get_mut(ahead..).unwrap_or_default().as_chunks_mut().0, rotate(key, ahead));
    if let Some(target) = bytes.first_chunk_mut() {
        *target = first;
    }
    if let Some(target) = bytes.last_chunk_mut() {
        *target = last;
    }
}

const LINE: usize = 64;

#[cfg(not(feature = "simd"))]
#[inline]
fn xor_lines(lines: &mut [[u8; LINE]], key: MaskingKey) {
    for line in lines.iter_mut().rev() {
        *line = xor_block(*line, key);
    }
}

/// With the widest vector instructions that the processor has.
#[cfg(feature = "simd")]
#[inline]
fn xor_lines(lines: &mut [[u8; LINE]], key: MaskingKey) {
    use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

    #[inline(always)]
    fn widest<S: Simd>(simd: S, lines: &mut [[u8; LINE]], key: MaskingKey) {
        let key = u8x64::simd_from(simd, xor_block([0; LINE], key));
        for line in lines.iter_mut().rev() {
            (u8x64::simd_from(simd, *line) ^ key).store_slice(line);
        }
    }
    let level = Level::new();
    dispatch!(level, simd => widest(simd, lines, key));
}

#[inline]
fn xor_words(bytes: &mut [u8], key: MaskingKey) {
    let (words, tail) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = xor_word(*word, key);
    }
    tail.iter_mut().zip(key).for_each(|(octet, mask)| *octet ^= mask);
}

#[inline(always)]
fn xor_word(word: [u8; 4], key: MaskingKey) -> [u8; 4] {
    (u32::from_ne_bytes(word) ^ u32::from_ne_bytes(key)).to_ne_bytes()
}

/// Masks `bytes` into `target`, which is as long.
#[inline]
pub(crate) fn copy(bytes: &[u8], key: MaskingKey, target: &mut [u8]) {
    let (words, tail) = bytes.as_chunks::<4>();
    let (targets, target_tail) = target.as_chunks_mut::<4>();
    for (target, word) in targets.iter_mut().zip(words) {
        *target = xor_word(*word, key);
    }
    for ((target, octet), mask) in target_tail.iter_mut().zip(tail).zip(key) {
        *target = octet ^ mask;
    }
}

/// Masks `bytes` behind what `target` holds.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) fn append(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    match bytes.len() {
        #[cfg(feature = "simd")]
        512.. => append_wide(bytes, key, target),
        _ => append_narrow(bytes, key, target),
    }
}

#[cfg(feature = "alloc")]
#[inline(never)]
fn append_narrow(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    match bytes.len() {
        129.. if !IS_64_BIT => append_words(bytes, key, target),
        257.. => append_long(bytes, key, target),
        129.. => append_ends::<128>(bytes, key, target),
        64.. => append_ends::<64>(bytes, key, target),
        32.. => append_ends::<32>(bytes, key, target),
        16.. => append_ends::<16>(bytes, key, target),
        8.. => append_ends::<8>(bytes, key, target),
        4.. => append_ends::<4>(bytes, key, target),
        _ => append_words(bytes, key, target),
    }
}

/// `N` to `2 * N` octets.
#[cfg(feature = "alloc")]
#[inline(always)]
fn append_ends<const N: usize>(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    let Some((first, last)) = ends::<N>(bytes, key) else { return };
    // Once for both: it never holds more than that.
    target.reserve(bytes.len());
    target.extend_from_slice(&first);
    target.truncate(target.len() + bytes.len() - 2 * N);
    target.extend_from_slice(&last);
}

/// More than 256 octets.
#[cfg(feature = "alloc")]
#[inline(never)]
fn append_long(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    target.reserve(bytes.len());
    append_lines(bytes, key, target);
}

/// With the widest vector instructions that the processor has: to choose them pays from some 512 octets on.
#[cfg(all(feature = "alloc", feature = "simd"))]
#[inline(never)]
fn append_wide(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    use fearless_simd::{Level, dispatch};

    #[inline(always)]
    fn widest(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
        target.reserve(bytes.len());
        // In a variable of this function, its length is kept in a register.
        let mut own = mem::take(target);
        append_lines(bytes, key, &mut own);
        *target = own;
    }
    let level = Level::new();
    dispatch!(level, _simd => widest(bytes, key, target));
}

/// In one pass: the first line, then blocks that begin on a cache line, and the last block. (Copying first and masking
/// then takes up to twice as long.) There is room.
#[cfg(feature = "alloc")]
#[inline(always)]
fn append_lines(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) -> Option<()> {
    // Of less than four lines, the compiler makes a loop that gathers and scatters.
    const BLOCK: usize = 4 * LINE;
    let start = target.len();
    let ahead = LINE - (target.as_ptr().addr() + start) % LINE;
    append_block::<LINE>(bytes.first_chunk()?, key, target)?;
    target.truncate(start + ahead);
    let aligned = rotate(key, ahead);
    for block in bytes.get(ahead..)?.as_chunks::<BLOCK>().0 {
        append_block(block, aligned, target)?;
    }
    target.truncate(start + bytes.len() - BLOCK);
    append_block::<BLOCK>(bytes.last_chunk()?, rotate(key, bytes.len()), target)
}

/// `N` octets, for which there is room.
#[cfg(feature = "alloc")]
#[inline(always)]
fn append_block<const N: usize>(block: &[u8; N], key: MaskingKey, target: &mut Vec<u8>) -> Option<()> {
    // Said where the compiler sees it: then no call that grows is left in the loop, nor what is saved for one.
    if target.capacity() - target.len() < N {
        return None;
    }
    target.extend_from_slice(&xor_block(*block, key));
    Some(())
}

/// Copies, then masks what has been copied while the first-level cache still has it.
#[cfg(feature = "alloc")]
#[inline(never)]
fn append_words(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    target.reserve(bytes.len());
    for part in bytes.chunks(4096) {
        let start = target.len();
        target.extend_from_slice(part);
        xor(target.get_mut(start..).unwrap_or_default(), key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskingKey = [0x37, 0xFA, 0x21, 0x3D];

    fn octet_by_octet(bytes: &[u8]) -> std::vec::Vec<u8> {
        bytes.iter().zip(KEY.iter().cycle()).map(|(octet, mask)| octet ^ mask).collect()
    }

    #[test]
    fn k6_each_length_is_masked_as_the_rfc_defines_it() {
        let bytes: std::vec::Vec<u8> = (0..1200).map(|i| (i * 7) as u8).collect();
        for len in (0..=400).chain([1023, 1024, 1025, 1199]) {
            let mut masked = bytes[..len].to_vec();
            Mask::new(KEY).apply(&mut masked);
            assert_eq!(masked, octet_by_octet(&bytes[..len]), "{len}");
            copy(&bytes[..len], KEY, &mut masked);
            assert_eq!(masked, octet_by_octet(&bytes[..len]), "{len}, to other memory");
            #[cfg(feature = "alloc")]
            {
                append(&bytes[..len], KEY, &mut masked);
                assert_eq!(masked, [octet_by_octet(&bytes[..len]), octet_by_octet(&bytes[..len])].concat());
            }
        }
    }

    #[test]
    fn k6_where_the_payload_lies_does_not_matter() {
        let bytes: std::vec::Vec<u8> = (0..500).map(|i| (i * 13) as u8).collect();
        for start in 0..70 {
            for len in [1, 3, 60, 64, 100, 127, 128, 129, 130, 192, 193, 320, 400] {
                let mut masked = bytes.clone();
                xor(&mut masked[start..start + len], KEY);
                assert_eq!(masked[start..start + len], octet_by_octet(&bytes[start..start + len]));
                assert_eq!(
                    (&masked[..start], &masked[start + len..]),
                    (&bytes[..start], &bytes[start + len..])
                );
            }
        }
    }

    #[test]
    fn k6_the_phase_goes_on_over_parts_of_every_length() {
        let bytes: std::vec::Vec<u8> = (0..600).map(|i| (i * 11) as u8).collect();
        for first in 0..150 {
            for second in [0, 1, 2, 3, 5, 64, 129, 200] {
                let mut masked = bytes.clone();
                let mut mask = Mask::new(KEY);
                let (one, rest) = masked.split_at_mut(first);
                let (two, three) = rest.split_at_mut(second);
                mask.apply(one);
                mask.apply(two);
                mask.apply(three);
                assert_eq!(masked, octet_by_octet(&bytes), "{first} {second}");
            }
        }
    }
}
