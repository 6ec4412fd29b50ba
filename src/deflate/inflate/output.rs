//! The output of a message: literals, and copies of earlier bytes (RFC 1951 section 2).

use super::super::window::Ring;

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
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let len = usize::from(max).min(room.len()).min(input.len());
        if let (Some(room), Some((bytes, rest))) = (room.get_mut(..len), input.split_at_checked(len)) {
            room.copy_from_slice(bytes);
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
    pub(super) fn copy(&mut self, distance: usize, length: u16) -> u16 {
        let room = self.room();
        let end = self.len + usize::from(length).min(room);
        self.copy_from_ring(distance, end);
        self.copy_within(distance, end);
        // At most `length`.
        usize::from(length).saturating_sub(room) as u16
    }

    fn copy_from_ring(&mut self, distance: usize, end: usize) {
        while self.len < end && self.len < distance {
            let back = distance - self.len;
            let source = self.ring.last(back);
            let len = back.min(end - self.len).min(source.len());
            let (Some(source), Some(target)) =
                (source.get(..len), self.bytes.get_mut(self.len..self.len + len))
            else {
                return;
            };
            if len == 0 {
                return;
            }
            target.copy_from_slice(source);
            self.len += len;
        }
    }

    fn copy_within(&mut self, distance: usize, end: usize) {
        let Some(from) = self.len.checked_sub(distance) else { return };
        while self.len < end {
            // The bytes from there on repeat at each multiple of the distance.
            let len = (self.len - from).min(end - self.len);
            self.bytes.copy_within(from..from + len, self.len);
            self.len += len;
        }
    }
}
