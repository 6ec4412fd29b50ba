//! SHA-1 (RFC 3174) of a key followed by the GUID (RFC 6455 section 4.2.2).
//!
//! The features choose one of three implementations: the processor's instructions (`simd`),
//! `sha1_smol`, or a compact one for firmware. The handshake needs no security from SHA-1 (section
//! 10.8).

#[cfg(not(any(feature = "sha1_smol", feature = "simd")))]
pub(super) use with_compact as sha1;
#[cfg(feature = "simd")]
pub(super) use with_sha1 as sha1;
#[cfg(all(feature = "sha1_smol", not(feature = "simd")))]
pub(super) use with_sha1_smol as sha1;

const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// With the processor's own SHA-1 instructions, where it has them.
#[cfg(any(test, feature = "simd"))]
pub(super) fn with_sha1(key: &[u8; 24]) -> [u8; 20] {
    hash(key, sha1::block_api::compress)
}

#[cfg(any(test, all(feature = "sha1_smol", not(feature = "simd"))))]
pub(super) fn with_sha1_smol(key: &[u8; 24]) -> [u8; 20] {
    let mut hasher = sha1_smol::Sha1::from(key);
    hasher.update(GUID);
    hasher.digest().bytes()
}

#[cfg(any(test, not(any(feature = "sha1_smol", feature = "simd"))))]
// Outlined for stack use: benches/README.md, "Handshake key".
#[inline(never)]
pub(super) fn with_compact(key: &[u8; 24]) -> [u8; 20] {
    hash(key, compact::compress)
}

/// Pads the message to two blocks and hashes them with `compress` (RFC 3174 sections 4 and 6.1).
#[cfg(any(test, feature = "simd", not(feature = "sha1_smol")))]
fn hash(key: &[u8; 24], compress: impl Fn(&mut [u32; 5], &[[u8; 64]])) -> [u8; 20] {
    /// The two blocks without the key: the GUID, the bit that ends it, and the length of key and
    /// GUID in bits.
    const BLOCKS: [[u8; 64]; 2] = {
        let mut blocks = [[0; 64]; 2];
        let (guid, end) = blocks.as_flattened_mut().split_at_mut(24).1.split_at_mut(GUID.len());
        guid.copy_from_slice(GUID);
        if let [bit, .., high, low] = end {
            *bit = 0x80;
            [*high, *low] = (8 * (24 + 36_u16)).to_be_bytes();
        }
        blocks
    };
    let mut blocks = BLOCKS;
    if let Some(front) = blocks.as_flattened_mut().first_chunk_mut() {
        *front = *key;
    }
    let mut hash = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    compress(&mut hash, &blocks);
    let mut bytes = [0; 20];
    for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip(&hash) {
        *slot = word.to_be_bytes();
    }
    bytes
}

/// A small compression function: benches/README.md, "Handshake key".
#[cfg(any(test, not(any(feature = "sha1_smol", feature = "simd"))))]
mod compact {
    use core::cell::Cell;

    /// Adds blocks to the hash (RFC 3174 section 6.1).
    pub(super) fn compress(hash: &mut [u32; 5], blocks: &[[u8; 64]]) {
        for block in blocks {
            // The last 16 words of the schedule, then the next 20: those of one kind of rounds.
            let mut words = [0; 36];
            if let Some((_, next)) = words.split_first_chunk_mut::<16>() {
                for (slot, bytes) in next.iter_mut().zip(block.as_chunks().0) {
                    *slot = u32::from_be_bytes(*bytes);
                }
                extend(next);
            }
            let mut state = *hash;
            rounds(&mut state, &words, 0x5A82_7999, |b, c, d| d ^ b & (c ^ d));
            advance(&mut words);
            rounds(&mut state, &words, 0x6ED9_EBA1, |b, c, d| b ^ c ^ d);
            advance(&mut words);
            rounds(&mut state, &words, 0x8F1B_BCDC, |b, c, d| b & c | d & (b | c));
            advance(&mut words);
            rounds(&mut state, &words, 0xCA62_C1D6, |b, c, d| b ^ c ^ d);
            for (hash, state) in hash.iter_mut().zip(&state) {
                *hash = hash.wrapping_add(*state);
            }
        }
    }

    /// Replaces the words by the next 20 of the schedule, and the 16 before them.
    fn advance(words: &mut [u32; 36]) {
        if let Some(last) = words.last_chunk::<16>().copied()
            && let Some(front) = words.first_chunk_mut()
        {
            *front = last;
        }
        extend(words);
    }

    /// Computes the words of the schedule from the 17th on, each from the 16 before it.
    fn extend(words: &mut [u32]) {
        for window in Cell::from_mut(words).as_slice_of_cells().windows(17) {
            if let [a, _, b, _, _, _, _, _, c, _, _, _, _, d, _, _, next] = window {
                next.set((a.get() ^ b.get() ^ c.get() ^ d.get()).rotate_left(1));
            }
        }
    }

    /// Twenty rounds of one kind.
    #[inline(always)]
    fn rounds(state: &mut [u32; 5], words: &[u32; 36], constant: u32, mix: impl Fn(u32, u32, u32) -> u32) {
        let [mut a, mut b, mut c, mut d, mut e] = *state;
        let Some((_, next)) = words.split_first_chunk::<16>() else { return };
        for word in next {
            let sum = a.rotate_left(5).wrapping_add(mix(b, c, d)).wrapping_add(e);
            (a, b, c, d, e) = (sum.wrapping_add(constant).wrapping_add(*word), a, b.rotate_left(30), c, d);
        }
        *state = [a, b, c, d, e];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Proves: R8.
        #[test]
        fn the_three_implementations_agree(key: [u8; 24]) {
            prop_assert_eq!(with_compact(&key), with_sha1(&key));
            prop_assert_eq!(with_compact(&key), with_sha1_smol(&key));
        }

        /// Proves: R8.
        #[test]
        fn the_compression_functions_agree(mut hash: [u32; 5], halves: [[u8; 32]; 4]) {
            let (blocks, _) = halves.as_flattened().as_chunks();
            let mut other = hash;
            compact::compress(&mut hash, blocks);
            sha1::block_api::compress(&mut other, blocks);
            prop_assert_eq!(hash, other);
        }
    }
}
