//! `Sec-WebSocket-Key` and the accept value that answers it (RFC 6455 sections 4.1 and 4.2.2): base64 (RFC 4648), for these
//! two lengths alone.
//!
//! It is written here because of its size, like SHA-1: a general one of each was 4 KB of firmware, these are less than 1.
//! Nothing secret goes through them.

use super::sha1::sha1;

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
    let mut octets = [0; 21];
    if let Some(slot) = octets.first_chunk_mut() {
        *slot = sha1(key);
    }
    let mut value = [0; 28];
    base64(&octets, 1, &mut value);
    value
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
