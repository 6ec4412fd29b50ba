//! Inflate (RFC 1951): compressed bytes to bytes, with the input and the output cut anywhere.

use super::Window;

/// Why [`Inflater::inflate`] has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All input is taken.
    InputUsed,
    /// The output is full, and at least one more byte is to be written.
    OutputFull,
    /// The input is not DEFLATE, or refers to bytes before the window.
    Invalid,
}

/// Inflates the messages of one direction of a connection.
#[derive(Clone, Debug)]
pub struct Inflater<W> {
    window: W,
}

impl<W: Window> Inflater<W> {
    /// At the beginning of the first message.
    pub const fn new(window: W) -> Self {
        Self { window }
    }

    /// The largest window that its memory holds: 8 to 15, or 0 for none.
    pub fn max_window_bits(&self) -> u8 {
        self.window.max_bits()
    }

    /// Takes bytes from the front of `input`, and writes to `out` from `pos` on. `out[..pos]` is
    /// what was written before; the window lies before it. No distance may be larger than
    /// 2^`window_bits`.
    pub fn inflate(&mut self, window_bits: u8, input: &mut &[u8], out: &mut [u8], pos: &mut usize) -> Status {
        let _ = (window_bits, input, out, pos);
        Status::Invalid
    }

    /// The end of a message: what its sender has cut off (RFC 7692 section 7.2.2). To be called
    /// again after [`Status::OutputFull`].
    pub fn finish(&mut self, window_bits: u8, out: &mut [u8], pos: &mut usize) -> Status {
        let _ = (window_bits, out, pos);
        Status::Invalid
    }

    /// Appends bytes to the window, which keeps the last 2^`window_bits` at most.
    pub fn remember(&mut self, bytes: &[u8], window_bits: u8) {
        let _ = (bytes, window_bits);
    }

    /// Empties the window.
    pub fn forget(&mut self) {}
}
