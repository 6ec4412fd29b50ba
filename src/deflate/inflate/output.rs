//! The output of a message: literals, and copies of earlier bytes (RFC 1951 section 2).

use super::super::window::Ring;
use crate::buffer::copy;

/// The bytes of a message so far, with the window in front of them.
#[derive(Debug)]
pub(super) struct Output<'o> {
    pub(super) ring: Ring<'o>,
    pub(super) bytes: &'o mut [u8],
    /// `bytes` are written up to here.
    pub(super) len: usize,
    /// The largest distance.
    pub(super) window: usize,
}

impl Output<'_> {
    /// The number of bytes that fit.
    pub(super) const fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.len)
    }

    /// Appends a byte. `None` if there is no room.
    pub(super) fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }

    /// Appends the first bytes of `input`: at most `max`, and as many as there is room for. Returns
    /// their number.
    pub(super) fn append(&mut self, input: &mut &[u8], max: u16) -> u16 {
        let len = usize::from(max).min(self.room()).min(input.len());
        if let Some((bytes, rest)) = input.split_at_checked(len) {
            copy(self.bytes.get_mut(self.len..).unwrap_or_default(), bytes);
            *input = rest;
            self.len += len;
        }
        // At most `max`.
        len as u16
    }

    /// Whether there is a byte at this distance, and within the window.
    pub(super) const fn reaches(&self, distance: usize) -> bool {
        distance <= self.window && distance <= self.len.saturating_add(self.ring.held())
    }

    /// Appends up to `length` bytes from a distance that it [`reaches`](Self::reaches). Returns how
    /// many there was no room for.
    pub(super) fn copy(&mut self, mut distance: usize, length: u16) -> u16 {
        let room = self.room();
        let end = self.len + usize::from(length).min(room);
        while self.len < end {
            let Some((before, after)) = self.bytes.split_at_mut_checked(self.len) else { break };
            let source = match self.len.checked_sub(distance) {
                Some(from) => before.get(from..).unwrap_or_default(),
                None => {
                    let back = distance - self.len;
                    let source = self.ring.last(back);
                    source.get(..back).unwrap_or(source)
                }
            };
            let len = source.len().min(end - self.len);
            if len == 0 {
                break;
            }
            copy(after.get_mut(..len).unwrap_or_default(), source);
            self.len += len;
            if len == distance {
                // The bytes repeat, so that the next copy can be twice as long.
                distance *= 2;
            }
        }
        // At most `length`.
        usize::from(length).saturating_sub(room) as u16
    }
}
