//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept`, the value that answers it (RFC 6455 sections 4.1
//! and 4.2.2).

use super::sha1::sha1;
use base64ct::{Base64Unpadded, Encoding};

/// The value of `Sec-WebSocket-Key`: 16 bytes in base64.
pub(crate) type KeyValue = [u8; 24];

/// The value of `Sec-WebSocket-Accept`: 28 characters, which are 20 bytes in base64.
pub type AcceptValue = heapless::String<28, u8>;

/// The key that is made of 16 random bytes.
pub(crate) fn key_value(random: &[u8; 16]) -> KeyValue {
    let mut bytes = [0; 21];
    let [front @ .., _, _, _, _, _] = &mut bytes;
    *front = *random;
    let [mut value @ .., _, _, _, _] = base64(&bytes);
    let [.., last_but_one, last] = &mut value;
    [*last_but_one, *last] = *b"==";
    value
}

/// "Concatenate the key with the GUID, take the SHA-1 hash, base64-encode it" (section 4.2.2).
pub(crate) fn accept_value(key: &KeyValue) -> [u8; 28] {
    let mut bytes = [0; 21];
    let [front @ .., _] = &mut bytes;
    *front = sha1(key);
    let mut value = base64(&bytes);
    let [.., last] = &mut value;
    *last = b'=';
    value
}

/// Base64 (RFC 4648 section 4) without padding. The caller puts `=` over the characters that only
/// zeros went into.
// Outlined, with constant lengths, for code size: benches/README.md, "Outlined functions".
#[inline(never)]
fn base64(bytes: &[u8; 21]) -> [u8; 28] {
    let mut text = [0; 28];
    // The text of 21 bytes fits.
    let _ = Base64Unpadded::encode(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Proves: R8, D4.
    #[test]
    fn the_accept_value_is_the_one_of_section_1_3() {
        assert_eq!(&accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    /// Proves: R8.
    #[test]
    fn accept_values_are_those_of_other_implementations() {
        // Computed by Python's hashlib and base64.
        for (key, value) in [
            (b"AAAAAAAAAAAAAAAAAAAAAA==", b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
            (b"x3JJHMbDL1EzLkh9GBhXDw==", b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ] {
            assert_eq!(&accept_value(key), value);
        }
    }

    /// Proves: C11.
    #[test]
    fn a_key_is_16_bytes_in_base64() {
        assert_eq!(&key_value(b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&key_value(&[0xFF; 16]), b"/////////////////////w==");
        let counted: [u8; 16] = core::array::from_fn(|at| at as u8 * 17);
        assert_eq!(&key_value(&counted), b"ABEiM0RVZneImaq7zN3u/w==");
    }

    proptest! {
        /// Proves: C11.
        #[test]
        fn a_key_decodes_to_its_random_bytes(random: [u8; 16]) {
            let mut decoded = [0; 16];
            let decoded = base64ct::Base64::decode(key_value(&random), &mut decoded);
            prop_assert_eq!(decoded, Ok(&random[..]));
        }
    }
}
