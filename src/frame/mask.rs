//! Masking (RFC 6455 section 5.3): every octet of a payload XOR the octet of the key at its index modulo 4.

use super::MaskingKey;

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
        self.key = rotate(self.key, part.len());
    }
}

/// The key as it applies `by` octets further on.
#[inline]
fn rotate(key: MaskingKey, by: usize) -> MaskingKey {
    // Little-endian on every machine: the first octet is the lowest.
    u32::from_le_bytes(key).rotate_right(8 * (by & 3) as u32).to_le_bytes()
}

/// `N` octets XOR the key; `N` is a multiple of 4.
#[cfg(target_pointer_width = "64")]
#[inline]
fn xor_block<const N: usize>(mut block: [u8; N], key: MaskingKey) -> [u8; N] {
    // An array as long as the block is what the compiler turns into vector instructions.
    let mut pattern = [0; N];
    for lane in pattern.as_chunks_mut::<4>().0 {
        *lane = key;
    }
    for (octet, mask) in block.iter_mut().zip(pattern) {
        *octet ^= mask;
    }
    block
}

#[cfg(target_pointer_width = "64")]
#[inline]
fn xor(bytes: &mut [u8], key: MaskingKey) {
    match bytes.len() {
        0..4 => bytes.iter_mut().zip(key).for_each(|(octet, mask)| *octet ^= mask),
        4..8 => xor_ends::<4>(bytes, key),
        8..16 => xor_ends::<8>(bytes, key),
        16..32 => xor_ends::<16>(bytes, key),
        32..64 => xor_ends::<32>(bytes, key),
        64..=128 => xor_ends::<64>(bytes, key),
        _ => xor_long(bytes, key),
    }
}

/// `N` to `2 * N` octets, as two blocks that may overlap: no loop, and no tail of single octets.
#[cfg(target_pointer_width = "64")]
#[inline]
fn xor_ends<const N: usize>(bytes: &mut [u8], key: MaskingKey) {
    let last_key = rotate(key, bytes.len() - N);
    // Both are read before either is written: where they overlap, both then write the same.
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>().copied(), bytes.last_chunk::<N>().copied())
    else {
        return;
    };
    if let Some(target) = bytes.first_chunk_mut::<N>() {
        *target = xor_block(first, key);
    }
    if let Some(target) = bytes.last_chunk_mut::<N>() {
        *target = xor_block(last, last_key);
    }
}

/// Whole blocks of 64, then the last 64 octets, which were read before the loop.
#[cfg(target_pointer_width = "64")]
#[inline(never)]
fn xor_long(bytes: &mut [u8], key: MaskingKey) {
    let last_key = rotate(key, bytes.len() & 63);
    let Some(last) = bytes.last_chunk::<64>().copied() else { return };
    for block in bytes.as_chunks_mut::<64>().0 {
        *block = xor_block(*block, key);
    }
    if let Some(target) = bytes.last_chunk_mut::<64>() {
        *target = xor_block(last, last_key);
    }
}

/// On a 32-bit core the blocks above would spill: a word at a time.
#[cfg(not(target_pointer_width = "64"))]
fn xor(bytes: &mut [u8], key: MaskingKey) {
    let (words, tail) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    tail.iter_mut().zip(key).for_each(|(octet, mask)| *octet ^= mask);
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
