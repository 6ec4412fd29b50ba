//! Streaming UTF-8 validation, exact to the octet (RFC 6455 section 8.1, RFC 3629).
//!
//! Whole stretches go through `from_utf8`; the only state is the character that a slice leaves unfinished.

use core::str::Utf8Error;

/// The character that the bytes so far leave unfinished: at most three bytes, a prefix of valid UTF-8. Once they finish
/// it, it is kept until the next one is unfinished.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unfinished {
    bytes: [u8; 4],
    len: u8,
    finished: bool,
}

impl Unfinished {
    pub(crate) fn is_empty(&self) -> bool {
        self.finished || self.len == 0
    }

    fn so_far(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.bytes.get(..usize::from(self.len)).unwrap_or_default())
    }

    /// The character that was finished last.
    pub(crate) fn finished(&self) -> &str {
        self.so_far().unwrap_or_default()
    }

    /// Goes on with the unfinished character, if there is one: how many of `bytes` finish it, and 0 where it stays
    /// unfinished. `None` on the octet that makes it invalid.
    pub(crate) fn finish(&mut self, bytes: &[u8]) -> Option<u8> {
        if self.is_empty() {
            return Some(0);
        }
        let before = self.len;
        for &byte in bytes {
            *self.bytes.get_mut(usize::from(self.len))? = byte;
            self.len += 1;
            match self.so_far() {
                Ok(_) => {
                    self.finished = true;
                    return Some(self.len - before);
                }
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => {}
            }
        }
        Some(0)
    }

    /// Keeps `bytes` if they are nothing but the beginning of a character.
    pub(crate) fn is_all_of(&mut self, bytes: &[u8]) -> bool {
        matches!(bytes.len(), 1..=3) && self.split_off(bytes) == Some("")
    }

    /// Splits the unfinished character off the end of `bytes` and keeps it: what is left is text, or `None`.
    pub(crate) fn split_off<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a str> {
        let (whole, tail) = bytes.split_at_checked(bytes.len() - unfinished_len(bytes))?;
        for (slot, byte) in self.bytes.iter_mut().zip(tail) {
            *slot = *byte;
        }
        self.len = tail.len() as u8;
        self.finished = false;
        validate(whole)
    }
}

/// The text that `bytes` are.
#[inline]
pub(crate) fn validate(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simdutf8"))]
    core::str::from_utf8(bytes).ok()
}

/// The longest text that `bytes` begin with.
#[cold]
pub(crate) fn valid_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes.get(..error.valid_up_to()).and_then(validate).unwrap_or_default(),
    }
}

/// How many bytes at the end of `bytes` are the beginning of a character: 0 to 3.
fn unfinished_len(bytes: &[u8]) -> usize {
    let mut tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    // The end of a character that began before.
    while let [0x80..0xC0, rest @ ..] = tail {
        tail = rest;
    }
    match core::str::from_utf8(tail) {
        // A prefix of a character is what `from_utf8` finds no fault in but the missing rest.
        Err(error) if error.error_len().is_none() => tail.len() - error.valid_up_to(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `bytes`, handed in one by one, are a prefix of valid UTF-8; else the index of the wrong octet.
    fn one_by_one(bytes: &[u8]) -> Result<Unfinished, usize> {
        let mut state = Unfinished::default();
        for (at, byte) in bytes.iter().enumerate() {
            let begun = !state.is_empty();
            state.finish(core::slice::from_ref(byte)).ok_or(at)?;
            if !begun {
                state.split_off(core::slice::from_ref(byte)).ok_or(at)?;
            }
        }
        Ok(state)
    }

    #[test]
    fn t3_t6_every_sequence_of_four_bytes_is_judged_on_its_octet_as_the_standard_library_judges_it() {
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
                            // The octet that makes it wrong: the first that no valid text continues with.
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

    #[test]
    fn t2_a_character_is_put_together_over_any_cut() {
        for text in ["é", "€", "😀", "\u{10FFFF}", "\u{800}", "\u{D7FF}", "\u{E000}"] {
            let bytes = text.as_bytes();
            for cut in 1..bytes.len() {
                let mut state = Unfinished::default();
                assert_eq!(state.split_off(&bytes[..cut]), Some(""));
                assert_eq!(state.finish(&bytes[cut..]), Some((bytes.len() - cut) as u8));
                assert!(state.is_empty());
                assert_eq!(state.finished(), text);
            }
        }
    }

    #[test]
    fn a_wrong_end_is_not_taken_for_an_unfinished_character() {
        for wrong in [&b"a\xE0\x80"[..], b"a\xED\xA0", b"a\xF4\x90", b"a\xC0", b"a\xF5", b"a\x80\x80\x80"] {
            let mut state = Unfinished::default();
            assert_eq!(state.split_off(wrong), None, "{wrong:x?}");
            assert_eq!(valid_prefix(wrong), "a", "{wrong:x?}");
        }
    }
}
