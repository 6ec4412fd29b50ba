//! A frame's header: what each of its octets may say (RFC 6455 section 5.2), and how one is written.
//!
//! Stateless: what depends on the frames before (fragmentation, limits) is judged in `inbound`.

use crate::data::Kind;
use crate::mask::MaskingKey;
use crate::{Buffer, ProtocolError};
use core::ops::Range;

/// What a frame is (section 5.2). The discriminants are the codes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    /// Control frames have the most significant bit of the opcode set (section 5.5).
    pub(crate) const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// A frame's header with all that it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) len: u64,
    pub(crate) mask: Option<MaskingKey>,
}

/// The longest header: two octets, a 64-bit length and a masking key.
pub(crate) const MAX_HEADER: usize = 14;

/// The largest payload of a control frame (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const FINAL_TEXT: u8 = FIN | Opcode::Text as u8;
const FINAL_BINARY: u8 = FIN | Opcode::Binary as u8;

/// The first octet: FIN and opcode.
#[inline]
pub(crate) fn first(octet: u8) -> Result<(bool, Opcode), ProtocolError> {
    if octet & RESERVED != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = octet & FIN != 0;
    let opcode = match octet & 0xF {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xA => Opcode::Pong,
        _ => return Err(ProtocolError::ReservedOpcode),
    };
    if opcode.is_control() && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    Ok((fin, opcode))
}

/// The second octet: whether the payload is masked, and the 7-bit length, which may be 126 or 127.
#[inline]
pub(crate) const fn second(octet: u8) -> (bool, u8) {
    (octet & MASKED != 0, octet & !MASKED)
}

/// The length that `short`, the 7-bit length, begins and `rest` goes on with, and what comes after it; `None` where
/// `rest` does not reach. "The minimal number of bytes MUST be used to encode the length" (section 5.2).
#[inline]
pub(crate) fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    match short {
        126 => match rest.split_first_chunk::<2>() {
            Some((octets, rest)) => match u16::from_be_bytes(*octets) {
                0..126 => Err(ProtocolError::NonMinimalLength),
                len => Ok(Some((u64::from(len), rest))),
            },
            None => Ok(None),
        },
        127 => long_length(rest),
        _ => Ok(Some((u64::from(short), rest))),
    }
}

fn long_length(rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    // "the most significant bit MUST be 0": said on its own octet, like the six leading zeros of a short length.
    if rest.first().is_some_and(|octet| octet & 0x80 != 0) {
        return Err(ProtocolError::LengthOver63Bits);
    }
    if rest.first_chunk::<6>() == Some(&[0; 6]) {
        return Err(ProtocolError::NonMinimalLength);
    }
    Ok(rest.split_first_chunk::<8>().map(|(octets, rest)| (u64::from_be_bytes(*octets), rest)))
}

/// A message in one frame that lies whole at the front of `input`, its length in at most 16 bits: its kind, its masking
/// key and where its payload lies. `None` for everything else.
#[inline]
pub(crate) fn whole(input: &[u8], masked: bool) -> Option<(Kind, Option<MaskingKey>, Range<usize>)> {
    let [first, second, rest @ ..] = input else { return None };
    let kind = match *first {
        FINAL_TEXT => Kind::Text,
        FINAL_BINARY => Kind::Binary,
        _ => return None,
    };
    let masked_bit = if masked { MASKED } else { 0 };
    let (header, len, rest) = match *second ^ masked_bit {
        len @ 0..=125 => (2, usize::from(len), rest),
        126 => match rest {
            [high, low, rest @ ..] if (*high, *low) >= (0, 126) => {
                (4, usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return None,
        },
        _ => return None,
    };
    let (header, key, rest) = match masked {
        false => (header, None, rest),
        true => rest.split_first_chunk().map(|(key, rest)| (header + 4, Some(*key), rest))?,
    };
    (len <= rest.len()).then_some((kind, key, header..header + len))
}

/// Whether a frame with a 7-bit length lies whole at the front of `input`. (One without a mask may be taken for cut.)
#[inline(always)]
pub(crate) fn is_short_and_whole(input: &[u8]) -> bool {
    matches!(input, [_, second, _, _, _, _, rest @ ..] if usize::from(second & !MASKED) <= rest.len().min(125))
}

/// How many octets the header takes that `input` begins with, as far as its first two say; 0 for no input.
pub(crate) fn header_octets(input: &[u8]) -> u64 {
    let second = match input {
        [] => return 0,
        [_] => return 2,
        [_, second, ..] => *second,
    };
    let length = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED == 0 { 0 } else { 4 }
}

/// How many octets the header of a frame with `len` octets of payload takes.
#[inline]
pub(crate) const fn header_size(len: u64, masked: bool) -> usize {
    let length = match len {
        0..126 => 0,
        126..0x1_0000 => 2,
        _ => 8,
    };
    2 + length + if masked { 4 } else { 0 }
}

impl Header {
    /// Appends the header; the caller has seen that there is room.
    #[inline(always)]
    pub(crate) fn append<B: Buffer + ?Sized>(&self, outbox: &mut B) {
        // A short header is written as such: over an array of the greatest length it takes twice as long.
        match (self.len, self.mask) {
            (0..126, None) => outbox.append(&[self.first(), self.len as u8]),
            (0..126, Some([a, b, c, d])) => {
                outbox.append(&[self.first(), MASKED | self.len as u8, a, b, c, d]);
            }
            _ => append_long(self.first(), self.len, self.mask, outbox),
        }
    }

    #[inline(always)]
    const fn first(&self) -> u8 {
        (if self.fin { FIN } else { 0 }) | self.opcode as u8
    }
}

/// A header whose length takes more than 7 bits.
#[inline(never)]
fn append_long<B: Buffer + ?Sized>(first: u8, len: u64, mask: Option<MaskingKey>, outbox: &mut B) {
    match (u16::try_from(len).map(u16::to_be_bytes), mask) {
        (Ok([high, low]), None) => outbox.append(&[first, 126, high, low]),
        (Ok([high, low]), Some([a, b, c, d])) => {
            outbox.append(&[first, MASKED | 126, high, low, a, b, c, d]);
        }
        (Err(_), mask) => {
            let [a, b, c, d, e, f, g, h] = len.to_be_bytes();
            outbox.append(&[first, if mask.is_some() { MASKED } else { 0 } | 127, a, b, c, d, e, f, g, h]);
            outbox.append(mask.as_ref().map_or(&[], |key| key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_f2_p2_each_first_octet_is_accepted_or_refused_as_section_5_2_says() {
        for octet in 0..=255u8 {
            let expected = match octet {
                _ if octet & 0x70 != 0 => Err(ProtocolError::ReservedBits),
                0x00 | 0x80 => Ok(Opcode::Continuation),
                0x01 | 0x81 => Ok(Opcode::Text),
                0x02 | 0x82 => Ok(Opcode::Binary),
                0x88 => Ok(Opcode::Close),
                0x89 => Ok(Opcode::Ping),
                0x8A => Ok(Opcode::Pong),
                0x08..=0x0A => Err(ProtocolError::FragmentedControl),
                _ => Err(ProtocolError::ReservedOpcode),
            };
            assert_eq!(first(octet), expected.map(|opcode| (octet & 0x80 != 0, opcode)), "{octet:#x}");
        }
    }

    #[test]
    fn f3_f7_lengths_are_written_in_network_order_and_read_back() {
        for (len, octets) in [
            (0, &[0x00][..]),
            (125, &[0x7D]),
            (126, &[0x7E, 0x00, 0x7E]),
            (127, &[0x7E, 0x00, 0x7F]),
            (65_535, &[0x7E, 0xFF, 0xFF]),
            (65_536, &[0x7F, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x7FFF_FFFF_FFFF_FFFF, &[0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ] {
            let header = Header { fin: true, opcode: Opcode::Binary, len, mask: None };
            let mut written = heapless::Vec::<u8, MAX_HEADER>::new();
            header.append(&mut written);
            assert_eq!((written[0], &written[1..]), (0x82, octets));
            assert_eq!(header_size(len, false), written.len());
            assert_eq!(length(octets[0], &octets[1..]), Ok(Some((len, &[][..]))));
            for cut in 1..octets.len() {
                assert_eq!(length(octets[0], &octets[1..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn f4_f5_f9_a_length_that_is_too_long_a_form_or_over_63_bits_is_refused_on_its_octet() {
        assert_eq!(length(126, &[0x00]), Ok(None));
        assert_eq!(length(126, &[0x00, 125]), Err(ProtocolError::NonMinimalLength));
        assert_eq!(length(127, &[0; 5]), Ok(None));
        assert_eq!(length(127, &[0; 6]), Err(ProtocolError::NonMinimalLength));
        assert_eq!(length(127, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Err(ProtocolError::NonMinimalLength));
        assert_eq!(length(127, &[0x80]), Err(ProtocolError::LengthOver63Bits));
    }
}
