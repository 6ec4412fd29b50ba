//! Incremental UTF-8 validation: invalid text is found on its first invalid byte (RFC 6455 section
//! 8.1, RFC 3629).
//!
//! The text is validated slice by slice. The only state is the character that one slice begins and
//! a later one completes.

/// An incomplete character at the end of a slice: at most three bytes, a prefix of valid UTF-8.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfinished {
    bytes: [u8; 4],
    len: u8,
}

impl Unfinished {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 4], len: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Continues the unfinished character, if there is one, with the front of `bytes`: how many
    /// bytes it takes, and the character once it is complete, else "". `None` on the byte that
    /// makes it invalid.
    pub(crate) fn finish(&mut self, bytes: &[u8]) -> Option<(usize, &str)> {
        let (mut taken, mut complete) = (0, 0);
        while self.len > 0
            && let Some(byte) = bytes.get(taken)
        {
            *self.bytes.get_mut(usize::from(self.len))? = *byte;
            self.len += 1;
            taken += 1;
            match core::str::from_utf8(self.bytes.get(..usize::from(self.len))?) {
                Ok(_) => (complete, self.len) = (self.len, 0),
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => {}
            }
        }
        let character = self.bytes.get(..usize::from(complete))?;
        Some((taken, core::str::from_utf8(character).ok()?))
    }

    /// Splits an unfinished character off the end of `bytes`, and stores it. The rest is not
    /// validated.
    pub(crate) fn split_off<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (rest, tail) = bytes.split_at_checked(bytes.len() - unfinished_len(bytes)).unwrap_or_default();
        for (slot, byte) in self.bytes.iter_mut().zip(tail) {
            *slot = *byte;
        }
        self.len = tail.len() as u8;
        rest
    }
}

/// `bytes` as text; `None` if they are not UTF-8.
#[inline]
pub(crate) fn validate(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simdutf8"))]
    core::str::from_utf8(bytes).ok()
}

/// The longest prefix of `bytes` that is text.
#[cold]
pub(crate) fn valid_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes.get(..error.valid_up_to()).and_then(validate).unwrap_or_default(),
    }
}

/// The length of the incomplete character at the end of `bytes`: 0 to 3.
fn unfinished_len(bytes: &[u8]) -> usize {
    let mut tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    // Skips the end of a character that begins before the tail.
    while let [0x80..0xC0, rest @ ..] = tail {
        tail = rest;
    }
    match core::str::from_utf8(tail) {
        // No `error_len`: nothing is wrong except that the text ends inside a character.
        Err(error) if error.error_len().is_none() => tail.len() - error.valid_up_to(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Validates `bytes` one by one: the state after them if they are a prefix of valid UTF-8, or
    /// the index of the first invalid byte.
    fn one_by_one(bytes: &[u8]) -> Result<Unfinished, usize> {
        let mut state = Unfinished::new();
        for (at, byte) in bytes.iter().enumerate() {
            let slice = core::slice::from_ref(byte);
            let (taken, _) = state.finish(slice).ok_or(at)?;
            if taken == 0 {
                validate(state.split_off(slice)).ok_or(at)?;
            }
        }
        Ok(state)
    }

    /// Proves: T3, T6.
    #[test]
    fn every_four_bytes_fail_at_the_byte_where_the_standard_library_fails() {
        // Every first and second byte; third and fourth on both sides of each boundary.
        let edges = [0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC2];
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                for third in edges {
                    for fourth in edges {
                        let bytes = [first, second, third, fourth];
                        let expected = match core::str::from_utf8(&bytes) {
                            Ok(_) => Ok(true),
                            Err(error) if error.error_len().is_none() => Ok(false),
                            // The first byte that makes the prefix invalid.
                            Err(error) => Err((error.valid_up_to()..4)
                                .find(|&end| {
                                    core::str::from_utf8(&bytes[..=end])
                                        .is_err_and(|error| error.error_len().is_some())
                                })
                                .unwrap()),
                        };
                        assert_eq!(one_by_one(&bytes).map(|state| state.is_empty()), expected, "{bytes:x?}");
                    }
                }
            }
        }
    }

    /// Proves: T2.
    #[test]
    fn a_character_is_completed_across_any_cut() {
        for text in ["é", "€", "😀", "\u{10FFFF}", "\u{800}", "\u{D7FF}", "\u{E000}"] {
            let bytes = text.as_bytes();
            for cut in 1..bytes.len() {
                let mut state = Unfinished::new();
                assert_eq!(state.split_off(&bytes[..cut]), b"");
                assert_eq!(state.finish(&bytes[cut..]), Some((bytes.len() - cut, text)));
                assert!(state.is_empty());
            }
        }
    }

    #[test]
    fn an_invalid_end_is_not_an_unfinished_character() {
        for wrong in [&b"a\xE0\x80"[..], b"a\xED\xA0", b"a\xF4\x90", b"a\xC0", b"a\xF5", b"a\x80\x80\x80"] {
            assert_eq!(validate(Unfinished::new().split_off(wrong)), None, "{wrong:x?}");
            assert_eq!(valid_prefix(wrong), "a", "{wrong:x?}");
        }
    }
}
