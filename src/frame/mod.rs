//! Frames outside any connection: the wire format of RFC 6455 sections 5.2, 5.3 and 7.4.

mod close;
mod header;
pub(crate) mod mask;

pub(crate) use close::parse as parse_close;
pub(crate) use header::{
    Completed, Header, HeaderDecoder, MAX_CONTROL, Opcode, RSV1, looks_uncut, short_header,
};

pub use close::CloseCode;
pub use mask::{Mask, Masking};

use crate::data::{Kind, Message};
use crate::frame::mask::MaskingKey;
use crate::{Buffer, OutboxFull};

/// Appends `message` to `outbox` as one unmasked frame, as a server sends it.
///
/// A server's frame is the same for every peer: encode a broadcast once and write the same bytes to
/// thousands of sockets, between the frames that their own machines send, wherever
/// [`can_send`](crate::WebSocket::can_send) says so.
///
/// # Errors
/// [`OutboxFull`], and nothing was appended.
///
/// ```
/// let mut outbox = heapless::Vec::<u8, 16>::new();
/// sansocket::frame::encode("Hello", &mut outbox)?;
/// assert_eq!(outbox, b"\x81\x05Hello");
/// # Ok::<_, sansocket::OutboxFull>(())
/// ```
pub fn encode<'m, B: Buffer + ?Sized>(
    message: impl Into<Message<'m>>,
    outbox: &mut B,
) -> Result<(), OutboxFull> {
    let message = message.into();
    let payload = message.as_bytes();
    let needed = size(payload.len(), false);
    if outbox.remaining() < needed {
        return Err(OutboxFull { needed });
    }
    append_message(message.kind(), payload, None, outbox);
    Ok(())
}

/// The size of a frame with `len` bytes of payload.
#[inline]
pub(crate) fn size(len: usize, masked: bool) -> usize {
    Header::size(len as u64, masked) + len
}

/// Appends a message as one frame. There must be capacity for it.
#[inline(always)]
pub(crate) fn append_message<B: Buffer + ?Sized>(
    kind: Kind,
    payload: &[u8],
    key: Option<MaskingKey>,
    outbox: &mut B,
) {
    Header { fin: true, opcode: kind.into(), len: payload.len() as u64, key }.append(outbox);
    match key {
        None => outbox.append(payload),
        Some(key) => outbox.append_masked(payload, key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: F7.
    #[test]
    fn a_broadcast_frame_has_the_shortest_header() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = std::vec![0x5A; len];
            let mut outbox = heapless::Vec::<u8, 70_000>::new();
            encode(&payload[..], &mut outbox).unwrap();
            let header: &[u8] = match len {
                0..126 => &[0x82, len as u8],
                126..=65_535 => &[0x82, 126, (len >> 8) as u8, len as u8],
                _ => &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0],
            };
            assert_eq!(outbox[..], [header, &payload].concat());
        }
    }

    #[test]
    fn a_broadcast_that_does_not_fit_says_what_it_needs_and_writes_nothing() {
        let mut outbox = heapless::Vec::<u8, 6>::new();
        assert_eq!(encode("Hello", &mut outbox), Err(OutboxFull { needed: 7 }));
        assert!(outbox.is_empty());
    }
}
