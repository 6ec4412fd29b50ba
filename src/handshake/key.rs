//! `Sec-WebSocket-Key` and the accept value that answers it (RFC 6455 sections 4.1 and 4.2.2): base64 (RFC 4648) and
//! SHA-1 (RFC 3174), for these two lengths alone.
//!
//! They are written here because of their size: a general SHA-1 and a general base64 were 4 KB of firmware, these are less
//! than 1. Nothing secret goes through them, and the handshake asks of SHA-1 no security (section 10.8).

use core::cell::Cell;

/// The value of `Sec-WebSocket-Key`: 16 octets in base64.
pub(crate) type KeyValue = [u8; 24];

/// The value of `Sec-WebSocket-Accept`: 20 octets in base64.
pub type AcceptValue = [u8; 28];

/// A key of 16 random octets.
pub(crate) fn key_value(random: &[u8; 16]) -> KeyValue {
    let mut octets = [0; 18];
    if let Some(slot) = octets.first_chunk_mut() {
        *slot = *random;
    }
    let mut value = [0; 24];
    base64(&octets, 2, &mut value);
    value
}

/// "Concatenate the key with the GUID, take the SHA-1 hash, base64-encode it" (section 4.2.2).
pub(crate) fn accept_value(key: &KeyValue) -> AcceptValue {
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
    let mut octets = [0; 21];
    for (slot, word) in octets.as_chunks_mut().0.iter_mut().zip(&hash) {
        *slot = word.to_be_bytes();
    }
    let mut value = [0; 28];
    base64(&octets, 1, &mut value);
    value
}

/// The first block behind the key: the GUID, and the bit that ends the message.
const BEHIND_KEY: [u32; 16] = {
    let mut block = [0; 16];
    let (_, mut slots) = block.split_at_mut(24 / 4);
    let (mut words, _) = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\x80\0\0\0".as_chunks();
    while let ([slot, other_slots @ ..], [word, other_words @ ..]) = (slots, words) {
        *slot = u32::from_be_bytes(*word);
        (slots, words) = (other_slots, other_words);
    }
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

/// Puts `octets` in base64 (RFC 4648 section 4) into `text`, the last `padding` of them not counted.
fn base64(octets: &[u8], padding: usize, text: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (four, [a, b, c]) in text.as_chunks_mut::<4>().0.iter_mut().zip(octets.as_chunks().0) {
        let mut bits = u32::from_be_bytes([0, *a, *b, *c]);
        for character in four.iter_mut().rev() {
            *character = ALPHABET.get((bits & 63) as usize).copied().unwrap_or_default();
            bits >>= 6;
        }
    }
    text.iter_mut().rev().take(padding).for_each(|character| *character = b'=');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_d4_the_accept_value_is_the_one_of_section_1_3() {
        assert_eq!(&accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn r8_accept_values_are_those_of_other_implementations() {
        // Computed by Python's hashlib and base64.
        for (key, value) in [
            (b"AAAAAAAAAAAAAAAAAAAAAA==", b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
            (b"x3JJHMbDL1EzLkh9GBhXDw==", b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ] {
            assert_eq!(&accept_value(key), value);
        }
    }

    #[test]
    fn c11_a_key_is_16_octets_in_base64() {
        assert_eq!(&key_value(b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&key_value(&[0xFF; 16]), b"/////////////////////w==");
        let counted: [u8; 16] = core::array::from_fn(|at| at as u8 * 17);
        assert_eq!(&key_value(&counted), b"ABEiM0RVZneImaq7zN3u/w==");
    }
}
