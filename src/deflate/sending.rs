//! Messages that are sent compressed, and what they can refer to (RFC 7692 sections 6.1 and 7.2.1).

use super::{Compress, Context};
use crate::SendError;

/// The sending direction: what is agreed, and what the peer's window holds.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    takeover: bool,
    window_bits: u8,
    /// It changes with each compressed message. A compressor that refers to earlier messages must
    /// have the same, or none.
    context: Context,
}

/// With context takeover a message that is shorter, in bytes, is sent compressed even if that makes
/// it longer. A stream of short messages would else never begin a history.
const ALWAYS_COMPRESSED: usize = 1024;

/// The end of compressed data that the sender of a message cuts off (RFC 7692 section 7.2.1).
const TAIL: &[u8] = &[0, 0, 0xFF, 0xFF];

impl Sending {
    pub(super) const fn new(takeover: bool, window_bits: u8) -> Self {
        Self { takeover, window_bits, context: Context::NONE }
    }

    pub(super) const fn takeover(self) -> bool {
        self.takeover
    }

    pub(crate) const fn window_bits(self) -> u8 {
        self.window_bits
    }

    /// Whether `compressor` refers to nothing that the peer's window does not hold. At the
    /// beginning of a message, without context takeover, it is reset.
    pub(crate) fn check<C: Compress + ?Sized>(
        self,
        is_first: bool,
        compressor: &mut C,
    ) -> Result<(), SendError> {
        let is_reset = is_first && !self.takeover;
        match compressor.context() {
            Some(context) if !is_reset && ![Context::NONE, self.context].contains(context) => {
                Err(SendError::OtherCompressor)
            }
            _ => Ok(()),
        }
    }

    /// Compresses a message into `out`: the number of bytes, or `None` if it is to be sent as it
    /// is.
    pub(crate) fn compress_message<C: Compress + ?Sized>(
        &mut self,
        payload: &[u8],
        compressor: &mut C,
        out: &mut [u8],
    ) -> Option<usize> {
        self.begin_message(compressor);
        let len = compressor.compress(payload, self.window_bits, out);
        let compressed = out.get(..len).and_then(|out| out.strip_suffix(TAIL)).unwrap_or_default();
        let begins_history =
            self.takeover && payload.len() < ALWAYS_COMPRESSED && compressor.context().is_some();
        if compressed.is_empty() || compressed.len() >= payload.len() && !begins_history {
            compressor.undo();
            return None;
        }
        self.note(compressed, compressor);
        Some(compressed.len())
    }

    /// Compresses a fragment of a message into `out`: the number of bytes. Its payload comes in two
    /// parts.
    pub(crate) fn compress_fragment<C: Compress + ?Sized>(
        &mut self,
        parts: [&[u8]; 2],
        is_first: bool,
        is_last: bool,
        compressor: &mut C,
        out: &mut [u8],
    ) -> usize {
        if is_first {
            self.begin_message(compressor);
        }
        let mut len = 0;
        for part in parts {
            if !part.is_empty() {
                len += compressor.compress(part, self.window_bits, out.get_mut(len..).unwrap_or_default());
            }
        }
        self.note(out.get(..len).unwrap_or_default(), compressor);
        if is_last {
            // An empty block, of which all but the first byte is cut off.
            match out.get(..len).and_then(|out| out.strip_suffix(TAIL)) {
                Some(compressed) => len = compressed.len(),
                None => {
                    if let Some(end) = out.get_mut(len) {
                        *end = 0;
                        len += 1;
                    }
                }
            }
        }
        len
    }

    /// Notes that the peer receives compressed data that no compressor of this connection has made.
    pub(crate) fn note_other(&mut self) {
        self.context = self.context.after(b"another compressor");
    }

    /// Without context takeover, a message refers to nothing before it.
    fn begin_message<C: Compress + ?Sized>(self, compressor: &mut C) {
        if !self.takeover {
            compressor.reset();
        }
    }

    /// Notes that the peer's window will hold what was compressed to `output`.
    fn note<C: Compress + ?Sized>(&mut self, output: &[u8], compressor: &mut C) {
        self.context = self.context.after(output);
        if let Some(context) = compressor.context() {
            *context = self.context;
        }
    }
}

impl Context {
    /// That of a compressor that can refer to nothing.
    const NONE: Self = Self(0);

    /// The context after a message that was compressed to `output`: a hash of all output so far,
    /// not only of its length and end, because connections of one program often send messages
    /// that are alike. Two histories have the same one by chance in 1 of 2^32 cases.
    fn after(self, output: &[u8]) -> Self {
        let (words, rest) = output.as_chunks();
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let mixed = words.iter().chain([&last]).fold(self.0 ^ output.len() as u32, |mixed, word| {
            (mixed ^ u32::from_le_bytes(*word)).wrapping_mul(0x9E37_79B1).rotate_left(15)
        });
        // 0 and 1 have a meaning.
        Self(mixed.max(2))
    }
}
