//! The little JSON that is written here.

use std::fmt::Write;

/// A string, in quotes.
pub fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            ' '.. => quoted.push(char),
            // Writing into a string cannot fail.
            _ => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Bytes as a string of hexadecimal digits, in quotes.
pub fn hex(bytes: &[u8]) -> String {
    let mut quoted = String::from('"');
    for byte in bytes {
        let _ = write!(quoted, "{byte:02x}");
    }
    quoted.push('"');
    quoted
}
