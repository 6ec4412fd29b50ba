//! SHA-1 (RFC 3174) of a key and the GUID behind it (RFC 6455 section 4.2.2). The handshake asks no security of it (section
//! 10.8).

const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The message that is hashed, but for the key in front: the GUID, the bit that ends it, and its length in bits.
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

/// The hash.
pub(super) fn sha1(key: &[u8; 24]) -> [u8; 20] {
    // By the processor's own instructions where it has them.
    #[cfg(feature = "simd")]
    use sha1::block_api::compress;
    #[cfg(not(feature = "simd"))]
    use small::compress;

    let mut blocks = BLOCKS;
    if let Some(slot) = blocks.as_flattened_mut().first_chunk_mut() {
        *slot = *key;
    }
    let mut hash = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    compress(&mut hash, &blocks);
    let mut octets = [0; 20];
    for (slot, word) in octets.as_chunks_mut().0.iter_mut().zip(&hash) {
        *slot = word.to_be_bytes();
    }
    octets
}

/// In little code: a general one was 3.5 KB of firmware.
#[cfg(any(test, not(feature = "simd")))]
mod small {
    use core::cell::Cell;

    /// Takes blocks into the hash (RFC 3174 section 6.1).
    pub(super) fn compress(hash: &mut [u32; 5], blocks: &[[u8; 64]]) {
        for block in blocks {
            // Behind the last 16 words of the schedule, the next 20: one of the four kinds of rounds.
            let mut words = [0; 36];
            if let Some((_, next)) = words.split_first_chunk_mut::<16>() {
                for (slot, octets) in next.iter_mut().zip(block.as_chunks().0) {
                    *slot = u32::from_be_bytes(*octets);
                }
                extend(next);
            }
            let mut state = *hash;
            rounds(&mut state, &words, 0x5A82_7999, |b, c, d| d ^ b & (c ^ d));
            go_on(&mut words);
            rounds(&mut state, &words, 0x6ED9_EBA1, |b, c, d| b ^ c ^ d);
            go_on(&mut words);
            rounds(&mut state, &words, 0x8F1B_BCDC, |b, c, d| b & c | d & (b | c));
            go_on(&mut words);
            rounds(&mut state, &words, 0xCA62_C1D6, |b, c, d| b ^ c ^ d);
            for (hash, state) in hash.iter_mut().zip(&state) {
                *hash = hash.wrapping_add(*state);
            }
        }
    }

    /// Goes on with the schedule: the next 20 words.
    fn go_on(words: &mut [u32; 36]) {
        if let Some(last) = words.last_chunk::<16>().copied()
            && let Some(front) = words.first_chunk_mut()
        {
            *front = last;
        }
        extend(words);
    }

    /// Fills `words` with the schedule, from the 17th on: each by those before it.
    fn extend(words: &mut [u32]) {
        for window in Cell::from_mut(words).as_slice_of_cells().windows(17) {
            if let [a, _, b, _, _, _, _, _, c, _, _, _, _, d, _, _, next] = window {
                next.set((a.get() ^ b.get() ^ c.get() ^ d.get()).rotate_left(1));
            }
        }
    }

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

#[cfg(all(test, feature = "simd"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn r8_both_forms_are_the_same(mut hash: [u32; 5], halves: [[u8; 32]; 4]) {
            let (blocks, _) = halves.as_flattened().as_chunks();
            let mut other = hash;
            small::compress(&mut hash, blocks);
            sha1::block_api::compress(&mut other, blocks);
            prop_assert_eq!(hash, other);
        }
    }
}
