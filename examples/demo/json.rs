//! Writes JSON strings.

use std::fmt::Write;

/// A quoted JSON string.
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

/// Bytes as a quoted string of hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut quoted = String::from('"');
    for byte in bytes {
        let _ = write!(quoted, "{byte:02x}");
    }
    quoted.push('"');
    quoted
}
