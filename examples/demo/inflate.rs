//! What the compressed payloads of one direction stand for (RFC 7692 section 7.2.2). It reads along
//! on the wire, beside the machine.

use crate::MAX_MESSAGE;
use crate::tap::{Inflated, SHOWN};
use sansocket::deflate::{Inflater, Status};

/// The largest window.
const WINDOW_BITS: u8 = 15;

pub struct Inflate {
    inflater: Inflater<Vec<u8>>,
    /// The message under way is compressed.
    compressed: bool,
    /// The inflated bytes of that message, so far.
    total: u64,
    /// The first inflated bytes of the frame under way, and the number of all.
    data: Vec<u8>,
    length: u64,
    /// The data is invalid, or the message is over the limit. The machine finds that too, and
    /// closes.
    failed: bool,
}

impl Default for Inflate {
    fn default() -> Self {
        Self {
            inflater: Inflater::new(Vec::new()),
            compressed: false,
            total: 0,
            data: Vec::new(),
            length: 0,
            failed: false,
        }
    }
}

impl Inflate {
    /// Begins a frame. Returns whether its payload is compressed.
    pub fn begin_frame(&mut self, first_byte: u8) -> bool {
        let (rsv1, opcode) = (first_byte & 0x40 != 0, first_byte & 0x0F);
        // A control frame can be between the frames of a message.
        if opcode >= 8 {
            return false;
        }
        // RSV1 is set in the first frame of a compressed message only.
        if opcode != 0 {
            (self.compressed, self.total) = (rsv1, 0);
        }
        self.data.clear();
        self.length = 0;
        self.compressed && !self.failed
    }

    /// Takes a part of the payload, unmasked. `end`: it is the last one of its message.
    pub fn take(&mut self, mut part: &[u8], end: bool) {
        let mut ending = false;
        while !self.failed {
            let (mut out, mut len) = ([0; 4096], 0);
            let status = if ending {
                self.inflater.finish(WINDOW_BITS, &mut out, &mut len)
            } else {
                self.inflater.inflate(WINDOW_BITS, &mut part, &mut out, &mut len)
            };
            let out = &out[..len];
            self.inflater.remember(out, WINDOW_BITS);
            self.data.extend_from_slice(&out[..len.min(SHOWN - self.data.len())]);
            self.length += len as u64;
            self.total += len as u64;
            self.failed = status == Status::Invalid || self.total > MAX_MESSAGE;
            if status == Status::InputUsed {
                if ending || !end {
                    return;
                }
                ending = true;
            }
        }
    }

    /// What the frame stands for.
    pub fn inflated(&self) -> Option<Inflated<'_>> {
        Some(Inflated { data: &self.data, length: self.length })
    }
}
