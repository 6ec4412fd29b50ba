//! Frames outside any connection: the wire format of RFC 6455 sections 5.2, 5.3 and 7.4, without state.

mod close;
mod header;
mod mask;

pub(crate) use close::parse as parse_close;
pub(crate) use header::{Header, MAX_CONTROL, MAX_HEADER, Opcode, first, header_size, length, second};

pub use close::CloseCode;
pub use mask::{Mask, Masking};

use crate::data::Message;
use crate::{Buffer, OutboxFull};

/// The key that a client masks a frame with (section 5.3).
pub(crate) type MaskingKey = [u8; 4];

/// Appends `message` to `outbox` as one unmasked frame, as a server sends it.
///
/// A server's frame is the same for every peer: encode a broadcast once and write the same bytes to thousands of
/// sockets, between the frames that their own machines send, wherever [`can_send`](crate::WebSocket::can_send) says so.
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
pub fn encode<'m, B>(message: impl Into<Message<'m>>, outbox: &mut B) -> Result<(), OutboxFull>
where
    B: Buffer + ?Sized,
{
    let message = message.into();
    let payload = message.as_bytes();
    let header = Header { fin: true, opcode: message.kind().into(), len: payload.len() as u64, mask: None };
    let needed = header_size(header.len, false) + payload.len();
    if outbox.room() < needed {
        return Err(OutboxFull { needed });
    }
    append(&header, &[payload], outbox);
    Ok(())
}

/// Appends a whole frame; the caller has seen that there is room. `parts` are the payload, one after the other.
#[inline]
pub(crate) fn append<B: Buffer + ?Sized>(header: &Header, parts: &[&[u8]], outbox: &mut B) {
    header.write(|octets| outbox.append(octets));
    match header.mask {
        None => parts.iter().for_each(|part| outbox.append(part)),
        Some(key) => {
            let mut mask = Mask::new(key);
            parts.iter().for_each(|part| append_masked(part, &mut mask, outbox));
        }
    }
}

/// How much of a payload is masked at a time on its way into the outbox. A 32-bit core has little stack, and no vector
/// instructions to keep busy.
const BLOCK: usize = if cfg!(target_pointer_width = "64") { 1024 } else { 64 };

/// Masks while copying: block by block through the stack, so that the payload is read and written once.
fn append_masked<B: Buffer + ?Sized>(payload: &[u8], mask: &mut Mask, outbox: &mut B) {
    let (blocks, tail) = payload.as_chunks::<BLOCK>();
    for block in blocks {
        let mut copy = *block;
        mask.apply(&mut copy);
        outbox.append(&copy);
    }
    match tail.len() {
        0 => {}
        // A small block costs little to make.
        1..=64 => append_masked_tail::<64, B>(tail, mask, outbox),
        _ => append_masked_tail::<BLOCK, B>(tail, mask, outbox),
    }
}

/// The last octets of a payload, at most `N`.
fn append_masked_tail<const N: usize, B: Buffer + ?Sized>(tail: &[u8], mask: &mut Mask, outbox: &mut B) {
    let mut copy = [0; N];
    for (copy, octet) in copy.iter_mut().zip(tail) {
        *copy = *octet;
    }
    if let Some(copy) = copy.get_mut(..tail.len()) {
        mask.apply(copy);
        outbox.append(copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_a_broadcast_frame_is_the_message_behind_the_shortest_header() {
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
