//! Frame headers: the decoder, the encoder, and the fast path for the commonest header (RFC 6455
//! section 5.2).
//!
//! The decoder checks what a header says by itself. Rules that depend on earlier frames
//! (fragmentation, limits) are in `receiver`.

use crate::data::Kind;
#[cfg(feature = "deflate")]
use crate::deflate::move_to_front;
#[cfg(feature = "deflate")]
use crate::frame::mask;
use crate::frame::mask::MaskingKey;
use crate::{Buffer, ProtocolError};

/// An opcode (section 5.2). The discriminants are the values on the wire.
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

/// The largest payload of a control frame (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// On the first frame of a message: it is compressed (RFC 7692 section 6).
pub(crate) const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;
/// The 7-bit lengths that announce a length of 16 or of 64 bits.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The decoder: a header as far as its bytes have arrived.
///
/// It takes one byte at a time, so an error is found on the byte that causes it, however the input
/// is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderDecoder {
    /// The position of the next byte in the longest header: the first byte, the 7-bit length, 8
    /// bytes of a 64-bit length (a 16-bit length takes the place of the last two), 4 bytes of the
    /// masking key. A shorter header skips positions.
    position: u8,
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) key: MaskingKey,
    pub(crate) len: u64,
}

/// The positions where the parts of a header begin, and where the longest one ends.
mod position {
    pub(super) const FIRST: u8 = 0;
    pub(super) const SECOND: u8 = 1;
    pub(super) const LENGTH_64: u8 = 2;
    pub(super) const LENGTH_16: u8 = 8;
    pub(super) const KEY: u8 = 10;
    pub(super) const END: u8 = 14;
    /// The sixth byte of a 64-bit length, and the last byte of either length.
    pub(super) const SIXTH: u8 = LENGTH_16 - 1;
    pub(super) const LAST: u8 = KEY - 1;
}

/// What a byte has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    Opcode,
    Length,
    Nothing,
}

impl HeaderDecoder {
    pub(crate) const fn new() -> Self {
        Self { position: position::FIRST, fin: false, opcode: Opcode::Continuation, key: [0; 4], len: 0 }
    }

    const fn end(masked: bool) -> u8 {
        if masked { position::END } else { position::KEY }
    }

    /// Whether the header is complete, its masking key included.
    #[inline]
    pub(crate) const fn is_complete(&self, masked: bool) -> bool {
        self.position == Self::end(masked)
    }

    /// The number of bytes until the header is complete, as far as it is known: 1 before the 7-bit
    /// length, and 0 before the first byte.
    pub(crate) const fn missing(&self, masked: bool) -> u64 {
        match self.position {
            position::FIRST => 0,
            position::SECOND => 1,
            position => (Self::end(masked) - position) as u64,
        }
    }

    /// Whether `byte`, the next one, is the first of a frame that begins a compressed message.
    /// (RSV1 of any other frame is an error.)
    pub(crate) const fn marks_compressed(&self, byte: u8) -> bool {
        const TEXT: u8 = Opcode::Text as u8;
        const BINARY: u8 = Opcode::Binary as u8;
        self.position == position::FIRST && byte & RSV1 != 0 && matches!(byte & 0xF, TEXT | BINARY)
    }

    /// Takes the next byte of a header that is not complete. `masked`: whether the peer must mask
    /// (section 5.1).
    // Inlined into its one caller: benches/README.md, "Outlined functions".
    #[inline]
    pub(crate) fn push(&mut self, byte: u8, masked: bool) -> Result<Completed, ProtocolError> {
        match self.position {
            position::FIRST => {
                (self.fin, self.opcode) = first_byte(byte)?;
                self.position = position::SECOND;
                return Ok(Completed::Opcode);
            }
            position::SECOND => {
                if (byte & MASKED != 0) != masked {
                    return Err(if masked { ProtocolError::Unmasked } else { ProtocolError::Masked });
                }
                let short = byte & !MASKED;
                if self.opcode.is_control() && usize::from(short) > MAX_CONTROL {
                    return Err(ProtocolError::ControlTooLong);
                }
                self.position = match short {
                    LENGTH_16 => position::LENGTH_16,
                    LENGTH_64 => position::LENGTH_64,
                    _ => {
                        self.len = u64::from(short);
                        position::KEY
                    }
                };
            }
            position @ position::LENGTH_64..position::KEY => {
                self.len = self.len << 8 | u64::from(byte);
                // "the minimal number of bytes MUST be used to encode the length", "the most significant bit
                // MUST be 0"
                match position {
                    position::LENGTH_64 if byte & 0x80 != 0 => return Err(ProtocolError::LengthOver63Bits),
                    position::SIXTH if self.len == 0 => return Err(ProtocolError::NonMinimalLength),
                    position::LAST if self.len < 126 => return Err(ProtocolError::NonMinimalLength),
                    _ => {}
                }
                self.position = position + 1;
            }
            position => {
                let [_, b, c, d] = self.key;
                self.key = [b, c, d, byte];
                self.position = position + 1;
                return Ok(Completed::Nothing);
            }
        }
        Ok(if self.position == position::KEY { Completed::Length } else { Completed::Nothing })
    }
}

/// The first byte: FIN and the opcode. The reserved bits must be 0.
fn first_byte(byte: u8) -> Result<(bool, Opcode), ProtocolError> {
    if byte & RESERVED != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = byte & FIN != 0;
    let opcode = match byte & 0xF {
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

/// A header that the fast path decodes: of an unfragmented message whose length has 7 or 16 bits.
pub(crate) struct ShortHeader {
    pub(crate) kind: Kind,
    pub(crate) key: Option<MaskingKey>,
    /// The size of the header, in bytes.
    pub(crate) size: usize,
    /// The length of the payload, in bytes; they need not be there.
    pub(crate) len: usize,
}

/// The fast path of the decoder, for a whole header of the commonest form: going through the
/// decoder byte by byte would double the time of a small message (benches/README.md, "Fast path").
/// `None` for any other form, an invalid one included: the decoder judges it.
#[inline(always)]
pub(crate) fn short_header(input: &[u8], masked: bool) -> Option<ShortHeader> {
    const FINAL_TEXT: u8 = FIN | Opcode::Text as u8;
    const FINAL_BINARY: u8 = FIN | Opcode::Binary as u8;

    let [first, second, rest @ ..] = input else { return None };
    let kind = match *first {
        FINAL_TEXT => Kind::Text,
        FINAL_BINARY => Kind::Binary,
        _ => return None,
    };
    let (size, len, rest) = match *second ^ if masked { MASKED } else { 0 } {
        len @ 0..LENGTH_16 => (2, usize::from(len), rest),
        LENGTH_16 => match rest {
            [high, low, rest @ ..] if (*high, *low) >= (0, 126) => {
                (4, usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(match masked {
        false => ShortHeader { kind, key: None, size, len },
        true => ShortHeader { kind, key: Some(*rest.first_chunk()?), size: size + 4, len },
    })
}

/// Whether `input` is empty, or begins with a frame that is whole and whose length has 7 or 16
/// bits. It is a first look that costs little: an unmasked frame may be taken for a cut one.
#[inline(always)]
pub(crate) fn looks_uncut(input: &[u8]) -> bool {
    let [_, second, high, low, _, _, rest @ ..] = input else { return input.is_empty() };
    let (len, rest) = match (second & !MASKED, rest) {
        (LENGTH_16, [_, _, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        (LENGTH_16 | LENGTH_64, _) => return false,
        (short, rest) => (usize::from(short), rest),
    };
    len <= rest.len()
}

/// A header to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) len: u64,
    pub(crate) key: Option<MaskingKey>,
}

impl Header {
    /// The size of the header of a frame with `len` bytes of payload.
    #[inline]
    pub(crate) const fn size(len: u64, masked: bool) -> usize {
        let length = match len {
            0..126 => 0,
            126..0x1_0000 => 2,
            _ => 8,
        };
        2 + length + if masked { 4 } else { 0 }
    }

    /// Appends a frame whose payload `write` makes in place: at most `max_len` bytes, of which it
    /// returns the number. `compressed` sets RSV1. There must be capacity for the longest frame.
    /// `false`, and nothing is appended, if `write` returns `None`, or if the outbox can only be
    /// appended to.
    #[cfg(feature = "deflate")]
    pub(crate) fn append_written<B: Buffer + ?Sized>(
        self,
        compressed: bool,
        max_len: usize,
        outbox: &mut B,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let start = outbox.bytes().len();
        let widest = Self::size(max_len as u64, self.key.is_some());
        if !outbox.grow(widest + max_len) {
            return false;
        }
        let memory = outbox.bytes_mut().get_mut(start..).unwrap_or_default();
        let Some(len) = write(memory.get_mut(widest..).unwrap_or_default()) else {
            outbox.truncate(start);
            return false;
        };
        let mut header = heapless::Vec::<u8, { position::END as usize }>::new();
        Self { len: len as u64, ..self }.append(&mut header);
        if let (true, Some(first)) = (compressed, header.first_mut()) {
            *first |= RSV1;
        }
        // The header is as wide as the payload's length needs.
        let size = header.len();
        if let Some(payload) = memory.get_mut(size..widest + len) {
            move_to_front(payload, widest - size);
        }
        for (to, from) in memory.iter_mut().zip(&header) {
            *to = *from;
        }
        if let Some(key) = self.key {
            mask::xor(memory.get_mut(size..size + len).unwrap_or_default(), key);
        }
        outbox.truncate(start + size + len);
        true
    }

    /// Appends the header, with the shortest form of its length. There must be capacity for it.
    #[inline(always)]
    pub(crate) fn append<B: Buffer + ?Sized>(&self, outbox: &mut B) {
        let first = (if self.fin { FIN } else { 0 }) | self.opcode as u8;
        // The short forms are written as such: through a 14-byte array they take twice as long
        // (benches/README.md, "Headers").
        match (self.len, self.key) {
            (0..126, None) => outbox.append(&[first, self.len as u8]),
            (0..126, Some([a, b, c, d])) => outbox.append(&[first, MASKED | self.len as u8, a, b, c, d]),
            (126..0x1_0000, Some(key)) if cfg!(target_pointer_width = "64") => {
                // In one register, and one store.
                let front = u32::from_be_bytes([first, MASKED | LENGTH_16, 0, 0]) | self.len as u32;
                let word = u64::from(front) << 32 | u64::from(u32::from_be_bytes(key));
                outbox.append(&word.to_be_bytes());
            }
            _ => append_long(first, self.len, self.key, outbox),
        }
    }
}

/// A header whose length takes more than 7 bits.
#[inline(never)]
fn append_long<B: Buffer + ?Sized>(first: u8, len: u64, key: Option<MaskingKey>, outbox: &mut B) {
    let masked = if key.is_some() { MASKED } else { 0 };
    match (u16::try_from(len).map(u16::to_be_bytes), len.to_be_bytes()) {
        (Ok([high, low]), _) => outbox.append(&[first, masked | LENGTH_16, high, low]),
        (_, [a, b, c, d, e, f, g, h]) => {
            outbox.append(&[first, masked | LENGTH_64, a, b, c, d, e, f, g, h]);
        }
    }
    if let Some(key) = key {
        outbox.append(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `bytes`: the header, and whether it is complete.
    fn decode(bytes: &[u8], masked: bool) -> Result<(HeaderDecoder, bool), ProtocolError> {
        let mut decoder = HeaderDecoder::new();
        for byte in bytes {
            assert!(!decoder.is_complete(masked));
            decoder.push(*byte, masked)?;
        }
        Ok((decoder, decoder.is_complete(masked)))
    }

    /// Proves: F1, F2, P2.
    #[test]
    fn each_first_byte_gets_the_verdict_of_section_5_2() {
        for byte in 0..=255u8 {
            let expected = match byte {
                _ if byte & 0x70 != 0 => Err(ProtocolError::ReservedBits),
                0x00 | 0x80 => Ok(Opcode::Continuation),
                0x01 | 0x81 => Ok(Opcode::Text),
                0x02 | 0x82 => Ok(Opcode::Binary),
                0x88 => Ok(Opcode::Close),
                0x89 => Ok(Opcode::Ping),
                0x8A => Ok(Opcode::Pong),
                0x08..=0x0A => Err(ProtocolError::FragmentedControl),
                _ => Err(ProtocolError::ReservedOpcode),
            };
            assert_eq!(first_byte(byte), expected.map(|opcode| (byte & 0x80 != 0, opcode)), "{byte:#x}");
        }
    }

    /// Proves: F3, F7.
    #[test]
    fn an_encoded_header_has_the_shortest_length_and_is_decoded_again() {
        for (len, length) in [
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
            let keys = [None, Some([1, 2, 3, 0xFF])];
            for ((first, fin, opcode), key) in
                firsts.into_iter().flat_map(|first| keys.map(|key| (first, key)))
            {
                let masked = key.is_some();
                let mut written = heapless::Vec::<u8, 14>::new();
                Header { fin, opcode, len, key }.append(&mut written);
                assert_eq!(written[..2], [first, length[0] | if masked { MASKED } else { 0 }]);
                assert_eq!(written[2..1 + length.len()], length[1..]);
                assert_eq!(Header::size(len, masked), written.len());
                let (decoder, complete) = decode(&written, masked).unwrap();
                assert_eq!((decoder.opcode, decoder.fin, decoder.len), (opcode, fin, len));
                assert_eq!(decoder.key, key.unwrap_or_default());
                assert!(complete);
                for cut in 0..written.len() {
                    let (decoder, complete) = decode(&written[..cut], masked).unwrap();
                    assert!(!complete);
                    let missing = [0, 1].get(cut).copied().unwrap_or(written.len() - cut);
                    assert_eq!(decoder.missing(masked), missing as u64, "{cut} of {}", written.len());
                }
            }
        }
    }

    /// Proves: F4, F5, F9.
    #[test]
    fn an_invalid_length_is_refused_on_the_byte_that_makes_it_invalid() {
        let refused = |bytes: &[u8], error| {
            let (last, before) = bytes.split_last().unwrap();
            let (mut decoder, complete) = decode(before, false).unwrap();
            assert!(!complete);
            assert_eq!(decoder.push(*last, false), Err(error), "{bytes:?}");
        };
        refused(&[0x82, 126, 0, 125], ProtocolError::NonMinimalLength);
        refused(&[0x82, 127, 0, 0, 0, 0, 0, 0], ProtocolError::NonMinimalLength);
        refused(&[0x82, 127, 0x80], ProtocolError::LengthOver63Bits);
        refused(&[0x89, 126], ProtocolError::ControlTooLong);
        refused(&[0x82, 0x80], ProtocolError::Masked);
    }

    #[test]
    fn the_fast_path_agrees_with_the_decoder_on_every_header() {
        for masked in [false, true] {
            for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |second| (first, second))) {
                // For each length of 16 bits; the others do not depend on the bytes that follow.
                let lengths = if second & 0x7F == LENGTH_16 { 0..=u16::MAX } else { 0..=0 };
                // All lengths for the first bytes that the fast path takes, the edges for the others.
                let every = matches!(first, 0x81 | 0x82);
                for length in lengths.filter(|length| every || matches!(*length, 0 | 125 | 126 | u16::MAX)) {
                    let [high, low] = length.to_be_bytes();
                    let bytes = [first, second, high, low, 5, 6, 7, 8];
                    // The header ends in the input, or is cut at the masking key or before.
                    for cut in 0..=bytes.len() {
                        compare(&bytes[..cut], masked);
                    }
                }
            }
        }
    }

    fn compare(input: &[u8], masked: bool) {
        let mut decoder = HeaderDecoder::new();
        let mut bytes = input.iter();
        let mut valid = true;
        while valid && !decoder.is_complete(masked) {
            let Some(byte) = bytes.next() else { break };
            valid = decoder.push(*byte, masked).is_ok();
        }
        let kind = match decoder.opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            _ => None,
        };
        let expected = kind.filter(|_| {
            valid && decoder.is_complete(masked) && decoder.fin && decoder.len <= u64::from(u16::MAX)
        });
        let short = short_header(input, masked);
        assert_eq!(short.as_ref().map(|short| short.kind), expected, "{input:x?} {masked}");
        if let Some(short) = short {
            assert_eq!(short.len as u64, decoder.len);
            assert_eq!(short.size, input.len() - bytes.len());
            assert_eq!(short.key, masked.then_some(decoder.key));
            if masked {
                // The payload is not there.
                assert_eq!(looks_uncut(&input[..short.size]), short.len == 0, "{input:x?}");
            }
        }
    }
}
