//! SHA-1 (RFC 3174) of a key and the GUID behind it (RFC 6455 section 4.2.2). The handshake asks no security of it (section
//! 10.8).

const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(not(feature = "simd"))]
pub(super) use small::sha1;

/// The hash, by the processor's own instructions where it has them.
#[cfg(feature = "simd")]
pub(super) fn sha1(key: &[u8; 24]) -> [u8; 20] {
    use sha1::{Digest, Sha1};

    Sha1::new().chain_update(key).chain_update(GUID).finalize().into()
}

/// For this length alone, in little code: a general one was 3.5 KB of firmware.
#[cfg(any(test, not(feature = "simd")))]
mod small {
    use super::GUID;
    use core::cell::Cell;

    /// The hash.
    pub(in super::super) fn sha1(key: &[u8; 24]) -> [u8; 20] {
        // The message and the bit that ends it, then its length in bits: two blocks.
        let mut block = BEHIND_KEY;
        for (word, octets) in block.iter_mut().zip(key.as_chunks().0) {
            *word = u32::from_be_bytes(*octets);
        }
        let mut hash = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
        digest(&mut hash, &block);
        block = [0; 16];
        if let Some(bits) = block.last_mut() {
            *bits = 8 * (24 + 36);
        }
        digest(&mut hash, &block);
        let mut octets = [0; 20];
        for (slot, word) in octets.as_chunks_mut().0.iter_mut().zip(&hash) {
            *slot = word.to_be_bytes();
        }
        octets
    }

    /// The first block behind the key: the GUID, and the bit that ends the message.
    const BEHIND_KEY: [u32; 16] = {
        let mut block = [0; 16];
        let (_, mut slots) = block.split_at_mut(24 / 4);
        let (mut words, _) = GUID.as_chunks();
        while let ([slot, other_slots @ ..], [word, other_words @ ..]) = (slots, words) {
            *slot = u32::from_be_bytes(*word);
            (slots, words) = (other_slots, other_words);
        }
        block[15] = 1 << 31;
        block
    };

    /// Takes a block into the hash (RFC 3174 section 6.1).
    #[inline(never)]
    fn digest(hash: &mut [u32; 5], block: &[u32; 16]) {
        // Behind the last 16 words of the schedule, the next 20: one of the four kinds of rounds.
        let mut words = [0; 36];
        if let Some((_, next)) = words.split_first_chunk_mut::<16>() {
            if let Some(slot) = next.first_chunk_mut() {
                *slot = *block;
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
        fn r8_both_forms_are_the_same(key: [u8; 24]) {
            prop_assert_eq!(small::sha1(&key), sha1(&key));
        }
    }
}
