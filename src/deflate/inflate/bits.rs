//! Bits of the compressed input, the lowest bit of a byte first (RFC 1951 section 3.1.1).

use super::Status;
use core::ops::ControlFlow::{self, Break, Continue};

/// The bits in hold: a register. A match with all its bits has at most 48; where they do not fit,
/// length and distance are read one after the other.
#[cfg(target_pointer_width = "64")]
pub(super) type Hold = u64;
#[cfg(not(target_pointer_width = "64"))]
pub(super) type Hold = u32;

/// The input, and the bits of it that are taken and not yet used.
#[derive(Debug)]
pub(super) struct Bits<'i> {
    /// Zero above the lowest `len` bits.
    pub(super) hold: Hold,
    /// Less than `Hold::BITS` before bits are added.
    pub(super) len: u32,
    pub(super) input: &'i [u8],
}

impl Bits<'_> {
    /// Takes bytes while a whole one fits, if there are any: at least 24 bits, or 56 of 64.
    // On 32-bit, outlined from its callers, which mostly have the bits: benches/README.md, "Inflate".
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn refill(&mut self) {
        #[cfg(target_pointer_width = "64")]
        if let Some(word) = self.input.first_chunk() {
            let bits = (63 - self.len) & !7;
            let word = u64::from_le_bytes(*word) & low_bits(bits);
            self.hold |= word << self.len;
            self.len += bits;
            self.input = self.input.get(bits as usize / 8..).unwrap_or_default();
            return;
        }
        while self.len < Hold::BITS - 8 {
            let [byte, rest @ ..] = self.input else { break };
            self.hold |= Hold::from(*byte) << self.len;
            self.len += 8;
            self.input = rest;
        }
    }

    /// Takes bytes unless there are `len` bits: at most 24. They may not be there afterwards.
    #[cfg_attr(not(target_pointer_width = "64"), inline(always))]
    pub(super) fn look_ahead(&mut self, len: u32) {
        if self.len < len {
            self.refill();
        }
    }

    /// Stops unless there are `len` bits.
    pub(super) const fn check(&self, len: u32) -> ControlFlow<Status> {
        if self.len < len { Break(Status::InputUsed) } else { Continue(()) }
    }

    /// Removes bits that are there: at most 24.
    pub(super) fn remove(&mut self, len: u32) {
        self.hold >>= len;
        self.len -= len;
    }

    /// Takes `len` bits: at most 16.
    pub(super) fn take(&mut self, len: u32) -> ControlFlow<Status, u16> {
        self.look_ahead(len);
        self.check(len)?;
        // Truncated to 16 bits.
        let value = (self.hold & low_bits(len)) as u16;
        self.remove(len);
        Continue(value)
    }

    /// Takes one byte of the bits in hold, which stand at the boundary of a byte.
    pub(super) fn take_held_byte(&mut self) -> Option<u8> {
        if self.len < 8 {
            return None;
        }
        // Truncated to the lowest byte.
        let byte = self.hold as u8;
        self.remove(8);
        Some(byte)
    }

    /// Removes bits up to the boundary of a byte.
    pub(super) fn align(&mut self) {
        self.remove(self.len & 7);
    }
}

/// The lowest `len` bits: less than all.
pub(super) const fn low_bits(len: u32) -> Hold {
    (1 << len) - 1
}
