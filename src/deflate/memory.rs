//! A copy of bytes that links little code.

use crate::buffer::copy;

/// Moves all bytes from `by` on to the front.
pub(crate) fn move_to_front(bytes: &mut [u8], by: usize) {
    if cfg!(target_pointer_width = "64") && by <= bytes.len() {
        bytes.copy_within(by.., 0);
        return;
    }
    // Not `copy_within`: benches/README.md, "Library code that is avoided".
    let mut rest = bytes;
    while by > 0
        && let Some((to, from)) = rest.split_at_mut_checked(by)
        && !from.is_empty()
    {
        copy(to, from);
        rest = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_moved_as_by_the_library() {
        for len in 0..40 {
            for by in 0..=45 {
                let mut bytes: std::vec::Vec<u8> = (0..len).collect();
                let mut expected = bytes.clone();
                if by <= bytes.len() {
                    expected.copy_within(by.., 0);
                }
                move_to_front(&mut bytes, by);
                assert_eq!(bytes, expected, "{len} {by}");
            }
        }
    }
}
