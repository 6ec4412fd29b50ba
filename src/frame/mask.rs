//! Masking (RFC 6455 section 5.3): each byte of a payload XOR the byte of the masking key at its
//! index modulo 4.
//!
//! The length decides the form. Measurements: benches/README.md, "Masking".

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(feature = "alloc")]
use core::mem;

/// The key of a masked frame.
pub(crate) type MaskingKey = [u8; 4];

/// Masks the payload of a frame whose header [`send_header`](crate::WebSocket::send_header) has
/// appended: a client's [`Mask`], or `()` for a server, which changes nothing (RFC 6455 section
/// 5.3).
pub trait Masking {
    /// Masks the next part of the payload in place. The parts go in order, in any sizes.
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

/// The masking key of one frame, and the position in its payload (RFC 6455 section 5.3).
///
/// A client gets one from [`send_header`](crate::WebSocket::send_header), applies it to all parts
/// of the payload in order, and then sends them.
#[doc(alias = "masking key")]
#[doc(alias = "unmask")]
#[derive(Clone, Debug)]
pub struct Mask {
    /// Rotated: its first byte belongs to the next byte of the payload.
    key: MaskingKey,
}

impl Mask {
    pub(crate) const fn new(key: MaskingKey) -> Self {
        Self { key }
    }

    /// The key, rotated to the next byte of the payload.
    pub(crate) const fn key(&self) -> MaskingKey {
        self.key
    }

    /// Masks, or unmasks, the next part of the payload in place, and advances by its length.
    #[inline]
    pub fn apply(&mut self, part: &mut [u8]) {
        xor(part, self.key);
        self.advance(part.len());
    }

    /// Skips `by` bytes of the payload.
    #[inline]
    pub(crate) const fn advance(&mut self, by: usize) {
        self.key = rotate(self.key, by);
    }
}

/// The key as it applies `by` bytes later.
#[inline]
const fn rotate(key: MaskingKey, by: usize) -> MaskingKey {
    // Little-endian on every machine: the first byte is the lowest.
    u32::from_le_bytes(key).rotate_right(8 * (by & 3) as u32).to_le_bytes()
}

/// Whether whole blocks fit into registers. A 32-bit core would spill them, and takes less flash
/// word by word.
const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

/// The size of a cache line, in bytes.
const LINE: usize = 64;

/// Masks, or unmasks, in place.
#[inline(never)]
pub(crate) fn xor(bytes: &mut [u8], key: MaskingKey) {
    match bytes.len() {
        _ if !IS_64_BIT => xor_words(bytes, key),
        129.. => xor_long(bytes, key),
        64.. => xor_ends::<64>(bytes, key, |_| ()),
        32.. => xor_ends::<32>(bytes, key, |_| ()),
        16.. => xor_ends::<16>(bytes, key, |_| ()),
        _ => xor_words(bytes, key),
    }
}

#[inline]
fn xor_words(bytes: &mut [u8], key: MaskingKey) {
    let (words, tail) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = xor_word(*word, key);
    }
    tail.iter_mut().zip(key).for_each(|(byte, mask)| *byte ^= mask);
}

/// Masks the first `N` and the last `N` bytes, which may overlap, and calls `middle` to mask the
/// bytes between them.
#[inline(always)]
fn xor_ends<const N: usize>(bytes: &mut [u8], key: MaskingKey, middle: impl FnOnce(&mut [u8])) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return };
    // Both are computed before anything is written: bytes that are written twice get the same
    // value.
    let (first, last) = (xor_block(*first, key), xor_block(*last, rotate(key, bytes.len())));
    middle(bytes);
    if let Some(target) = bytes.first_chunk_mut() {
        *target = first;
    }
    if let Some(target) = bytes.last_chunk_mut() {
        *target = last;
    }
}

/// More than 128 bytes: the cache lines between the ends are masked from back to front.
#[inline(never)]
fn xor_long(bytes: &mut [u8], key: MaskingKey) {
    let ahead = LINE - bytes.as_ptr().addr() % LINE;
    xor_ends::<LINE>(bytes, key, |bytes| {
        let key = rotate(key, ahead);
        let lines = bytes.get_mut(ahead..).unwrap_or_default().as_chunks_mut::<LINE>().0;
        xor_lines(lines, key);
    });
}

#[cfg(not(feature = "simd"))]
#[inline(always)]
fn xor_lines(lines: &mut [[u8; LINE]], key: MaskingKey) {
    lines.iter_mut().rev().for_each(|line| *line = xor_block(*line, key));
}

/// With the widest vector instructions of the processor: benches/README.md, "Masking".
#[cfg(feature = "simd")]
#[inline(always)]
fn xor_lines(lines: &mut [[u8; LINE]], key: MaskingKey) {
    use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

    #[inline(always)]
    fn xor_vectors<S: Simd>(simd: S, lines: &mut [[u8; LINE]], key: MaskingKey) {
        let key = u8x64::simd_from(simd, xor_block([0; LINE], key));
        for line in lines.iter_mut().rev() {
            (u8x64::simd_from(simd, *line) ^ key).store_slice(line);
        }
    }
    let level = Level::new();
    dispatch!(level, simd => xor_vectors(simd, lines, key));
}

/// `N` bytes XOR the key; `N` is a multiple of 4.
#[inline(always)]
fn xor_block<const N: usize>(mut block: [u8; N], key: MaskingKey) -> [u8; N] {
    for word in block.as_chunks_mut().0 {
        *word = xor_word(*word, key);
    }
    block
}

#[inline(always)]
fn xor_word(word: [u8; 4], key: MaskingKey) -> [u8; 4] {
    (u32::from_ne_bytes(word) ^ u32::from_ne_bytes(key)).to_ne_bytes()
}

/// Calls `work`. With the feature `simd`, it is compiled for the widest vector instructions of the
/// processor.
#[cfg(feature = "alloc")]
#[inline(always)]
fn widest(work: impl FnOnce()) {
    #[cfg(not(feature = "simd"))]
    work();
    #[cfg(feature = "simd")]
    {
        let level = fearless_simd::Level::new();
        fearless_simd::dispatch!(level, _simd => work());
    }
}

/// Masks `bytes` into `target`, which has their length, in one pass.
#[inline]
pub(crate) fn copy(bytes: &[u8], key: MaskingKey, target: &mut [u8]) {
    let (words, tail) = bytes.as_chunks::<4>();
    let (targets, target_tail) = target.as_chunks_mut::<4>();
    for (target, word) in targets.iter_mut().zip(words) {
        *target = xor_word(*word, key);
    }
    for ((target, byte), mask) in target_tail.iter_mut().zip(tail).zip(key) {
        *target = byte ^ mask;
    }
}

/// Appends `bytes`, masked, to `target`.
#[cfg(feature = "alloc")]
#[inline(never)]
pub(crate) fn append(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    target.reserve(bytes.len());
    match bytes.len() {
        512.. if IS_64_BIT => widest(
            #[inline(always)]
            || append_blocks::<{ 4 * LINE }>(bytes, key, target),
        ),
        64.. if IS_64_BIT => append_blocks::<64>(bytes, key, target),
        32.. if IS_64_BIT => append_blocks::<32>(bytes, key, target),
        16.. if IS_64_BIT => append_blocks::<16>(bytes, key, target),
        _ => {
            let start = target.len();
            target.extend_from_slice(bytes);
            xor(target.get_mut(start..).unwrap_or_default(), key);
        }
    }
}

/// Appends at least `N` bytes, masked, in one pass of blocks of `N` bytes. The last one overlaps
/// the one before it; large ones are aligned to cache lines.
#[cfg(feature = "alloc")]
#[inline(always)]
fn append_blocks<const N: usize>(bytes: &[u8], key: MaskingKey, target: &mut Vec<u8>) {
    // The length of a local vector stays in a register.
    let mut vec = mem::take(target);
    let start = vec.len();
    let mut ahead = 0;
    if N > LINE
        && let Some(first) = bytes.first_chunk()
    {
        ahead = LINE - (vec.as_ptr().addr() + start) % LINE;
        append_block::<LINE>(first, key, &mut vec);
        vec.truncate(start + ahead);
    }
    let aligned = rotate(key, ahead);
    for block in bytes.get(ahead..).unwrap_or_default().as_chunks().0 {
        append_block::<N>(block, aligned, &mut vec);
    }
    if let Some(last) = bytes.last_chunk() {
        vec.truncate(start + bytes.len() - N);
        append_block::<N>(last, rotate(key, bytes.len()), &mut vec);
    }
    *target = vec;
}

#[cfg(feature = "alloc")]
#[inline(always)]
fn append_block<const N: usize>(block: &[u8; N], key: MaskingKey, vec: &mut Vec<u8>) {
    // Always true after `reserve`: it shows the compiler that no block makes the vector grow.
    if vec.capacity() - vec.len() >= N {
        vec.extend_from_slice(&xor_block(*block, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskingKey = [0x37, 0xFA, 0x21, 0x3D];

    fn byte_by_byte(bytes: &[u8]) -> std::vec::Vec<u8> {
        bytes.iter().zip(KEY.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    /// Proves: K6.
    #[test]
    fn masking_follows_the_rfc_at_every_length() {
        let bytes: std::vec::Vec<u8> = (0..1200).map(|i| (i * 7) as u8).collect();
        for len in (0..=400).chain([1023, 1024, 1025, 1199]) {
            let mut masked = bytes[..len].to_vec();
            Mask::new(KEY).apply(&mut masked);
            assert_eq!(masked, byte_by_byte(&bytes[..len]), "{len}");
            copy(&bytes[..len], KEY, &mut masked);
            assert_eq!(masked, byte_by_byte(&bytes[..len]), "{len}, to other memory");
            #[cfg(feature = "alloc")]
            {
                append(&bytes[..len], KEY, &mut masked);
                assert_eq!(masked, [byte_by_byte(&bytes[..len]), byte_by_byte(&bytes[..len])].concat());
            }
        }
    }

    /// Proves: K6.
    #[test]
    fn masking_does_not_depend_on_alignment_and_stays_inside_the_payload() {
        let bytes: std::vec::Vec<u8> = (0..500).map(|i| (i * 13) as u8).collect();
        for start in 0..70 {
            for len in [1, 3, 60, 64, 100, 127, 128, 129, 130, 192, 193, 320, 400] {
                let mut masked = bytes.clone();
                xor(&mut masked[start..start + len], KEY);
                assert_eq!(masked[start..start + len], byte_by_byte(&bytes[start..start + len]));
                assert_eq!(
                    (&masked[..start], &masked[start + len..]),
                    (&bytes[..start], &bytes[start + len..])
                );
            }
        }
    }

    /// Proves: K6.
    #[test]
    fn masking_continues_across_parts_of_any_length() {
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
                assert_eq!(masked, byte_by_byte(&bytes), "{first} {second}");
            }
        }
    }
}
