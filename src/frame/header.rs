//! A frame's header: what each of its octets may say (RFC 6455 section 5.2), and how one is written.
//!
//! What depends on the frames before (fragmentation, limits) is judged in `inbound`.

use crate::data::Kind;
use crate::mask::MaskingKey;
use crate::{Buffer, IS_64_BIT, ProtocolError};

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

impl Opcode {
    /// The kind of the message that a frame with it begins.
    pub(crate) const fn kind(self) -> Option<Kind> {
        match self {
            Self::Text => Some(Kind::Text),
            Self::Binary => Some(Kind::Binary),
            _ => None,
        }
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

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) len: u64,
    pub(crate) mask: Option<MaskingKey>,
}

/// The largest payload of a control frame (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// The longest header.
pub(crate) const MAX_HEADER: usize = 14;
const MASKED: u8 = 0x80;
const FINAL_TEXT: u8 = FIN | Opcode::Text as u8;
const FINAL_BINARY: u8 = FIN | Opcode::Binary as u8;

/// The first byte: FIN and opcode.
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

/// The payload length in the header that `bytes` begin with, and the size of the header without its masking key. `None` while
/// it is incomplete. Fails on the first byte that makes it invalid, however many follow.
#[inline]
pub(crate) fn length(
    bytes: &[u8],
    opcode: Opcode,
    masked: bool,
) -> Result<Option<(u64, usize)>, ProtocolError> {
    let [_, second, rest @ ..] = bytes else { return Ok(None) };
    if (second & MASKED != 0) != masked {
        // Section 5.1: a server closes on a frame without mask, a client on one with.
        return Err(if masked { ProtocolError::Unmasked } else { ProtocolError::Masked });
    }
    let short = second & !MASKED;
    if opcode.is_control() && usize::from(short) > MAX_CONTROL {
        return Err(ProtocolError::ControlTooLong);
    }
    // "the minimal number of bytes MUST be used to encode the length", "the most significant bit MUST be 0"
    match (short, rest) {
        (126, [high, low, ..]) => match u16::from_be_bytes([*high, *low]) {
            0..126 => Err(ProtocolError::NonMinimalLength),
            len => Ok(Some((u64::from(len), 4))),
        },
        (127, [0x80..=0xFF, ..]) => Err(ProtocolError::LengthOver63Bits),
        (127, [0, 0, 0, 0, 0, 0, ..]) => Err(ProtocolError::NonMinimalLength),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            Ok(Some((u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)))
        }
        (126 | 127, _) => Ok(None),
        (len, _) => Ok(Some((u64::from(len), 2))),
    }
}

/// How many bytes are missing from a valid header that `bytes` begin with; 0 where there are none at all.
pub(crate) fn missing(bytes: &[u8], masked: bool) -> usize {
    match bytes {
        [] => 0,
        [_] => 1,
        [_, second, ..] => {
            let length = match second & !MASKED {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            (2 + length + if masked { 4 } else { 0 }) - bytes.len()
        }
    }
}

/// A message in one frame, its length in at most 16 bits, that the input begins with.
pub(crate) struct Plain {
    pub(crate) kind: Kind,
    pub(crate) key: Option<MaskingKey>,
    /// Where its payload begins: that much is there.
    pub(crate) start: usize,
    /// The length of its payload, which need not be there.
    pub(crate) len: usize,
}

/// The short way to what most headers are. `None` for everything else, faults included.
#[inline(always)]
pub(crate) fn plain(input: &[u8], masked: bool) -> Option<Plain> {
    let [first, second, rest @ ..] = input else { return None };
    let kind = match *first {
        FINAL_TEXT => Kind::Text,
        FINAL_BINARY => Kind::Binary,
        _ => return None,
    };
    let masked_bit = if masked { MASKED } else { 0 };
    let (start, len, rest) = match *second ^ masked_bit {
        len @ 0..=125 => (2, usize::from(len), rest),
        126 => match rest {
            [high, low, rest @ ..] if (*high, *low) >= (0, 126) => {
                (4, usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(match masked {
        false => Plain { kind, key: None, start, len },
        true => Plain { kind, key: Some(*rest.first_chunk()?), start: start + 4, len },
    })
}

/// Whether `input` is empty, or a frame with a length of at most 16 bits lies whole at its front: a cheap first look, asked ahead
/// of each message. An unmasked frame may be taken for cut.
#[inline(always)]
pub(crate) fn looks_uncut(input: &[u8]) -> bool {
    let [_, second, high, low, _, _, rest @ ..] = input else { return input.is_empty() };
    let (len, rest) = match (second & !MASKED, rest) {
        (126, [_, _, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        (126 | 127, _) => return false,
        (short, rest) => (usize::from(short), rest),
    };
    len <= rest.len()
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
            // In one register, and one store. (As octets, they would be loaded again before they are all stored.)
            (126..0x1_0000, Some(key)) if IS_64_BIT => {
                let front = u64::from(self.first()) << 56 | u64::from(MASKED | 126) << 48 | self.len << 32;
                outbox.append(&(front | u64::from(u32::from_be_bytes(key))).to_be_bytes());
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
    let masked = if mask.is_some() { MASKED } else { 0 };
    match (u16::try_from(len).map(u16::to_be_bytes), len.to_be_bytes()) {
        (Ok([high, low]), _) => outbox.append(&[first, masked | 126, high, low]),
        (_, [a, b, c, d, e, f, g, h]) => outbox.append(&[first, masked | 127, a, b, c, d, e, f, g, h]),
    }
    if let Some(key) = mask {
        outbox.append(&key);
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
            let firsts = [
                (0x82, true, Opcode::Binary),
                (0x01, false, Opcode::Text),
                (0x00, false, Opcode::Continuation),
            ];
            let masks = [None, Some([1, 2, 3, 0xFF])];
            for ((first, fin, opcode), mask) in
                firsts.into_iter().flat_map(|first| masks.map(|mask| (first, mask)))
            {
                let header = Header { fin, opcode, len, mask };
                let mut written = heapless::Vec::<u8, 14>::new();
                header.append(&mut written);
                let masked = mask.is_some();
                assert_eq!(written[..2], [first, octets[0] | if masked { MASKED } else { 0 }]);
                assert_eq!(written[2..1 + octets.len()], octets[1..]);
                assert_eq!(header_size(len, masked), written.len());
                let key = if masked { 4 } else { 0 };
                let read = |len: usize| length(&written[..len], opcode, masked);
                assert_eq!(read(written.len()), Ok(Some((len, written.len() - key))));
                for cut in 0..written.len() - key {
                    assert_eq!(read(cut), Ok(None));
                    let expected = [0, 1].get(cut).copied().unwrap_or(written.len() - cut);
                    assert_eq!(missing(&written[..cut], masked), expected, "{cut} of {}", written.len());
                }
            }
        }
    }

    #[test]
    fn f4_f5_f9_a_length_that_is_too_long_a_form_or_over_63_bits_is_refused_on_its_octet() {
        let refused = |octets: &[u8], error| {
            let (_, opcode) = first(octets[0]).unwrap();
            assert_eq!(length(&octets[..octets.len() - 1], opcode, false), Ok(None));
            assert_eq!(length(octets, opcode, false), Err(error), "{octets:?}");
        };
        refused(&[0x82, 126, 0, 125], ProtocolError::NonMinimalLength);
        refused(&[0x82, 127, 0, 0, 0, 0, 0, 0], ProtocolError::NonMinimalLength);
        refused(&[0x82, 127, 0x80], ProtocolError::LengthOver63Bits);
        refused(&[0x89, 126], ProtocolError::ControlTooLong);
        refused(&[0x82, 0x80], ProtocolError::Masked);
    }
}
