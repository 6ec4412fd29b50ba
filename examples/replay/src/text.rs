//! Streams as text: a time, a direction, and bytes in hexadecimal or in quotes.

use crate::record::{Content, Record, Side, Stream};
use std::time::Duration;

/// Reads a file of lines as in the usage. The error names the line.
pub fn read(text: &str) -> Result<Stream, String> {
    let mut stream = Stream::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let record = record(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        if stream.records.last().is_some_and(|last| last.time > record.time) {
            return Err(format!("line {}: the time goes back", number + 1));
        }
        stream.records.push(record);
    }
    Ok(stream)
}

fn record(line: &str) -> Result<Record, String> {
    let (time, rest) = line.split_once(char::is_whitespace).ok_or("no direction")?;
    let time = time.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = time.ok_or("the time is not a number of seconds")?;
    let rest = rest.trim_start();
    let (sender, rest) = match rest.split_at_checked(1) {
        Some((">", rest)) => (Side::Client, rest.trim()),
        Some(("<", rest)) => (Side::Server, rest.trim()),
        _ => return Err("the direction is neither > nor <".into()),
    };
    let content = if rest == "end" { Content::End } else { Content::Bytes(bytes(rest)?) };
    Ok(Record { time, sender, content })
}

/// Pairs of hexadecimal digits, and quoted text.
fn bytes(mut rest: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = unquote(quoted, &mut bytes)?;
        } else {
            let digits = rest.get(..2).unwrap_or(rest);
            bytes.push(hexadecimal(digits)?);
            rest = &rest[digits.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(bytes)
}

fn hexadecimal(digits: &str) -> Result<u8, String> {
    let is_pair = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_pair);
    byte.ok_or_else(|| format!("not two hexadecimal digits: {digits:?}"))
}

/// Reads to the closing quote, and returns what follows it.
fn unquote<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Result<&'t str, String> {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return Ok(chars.as_str()),
            '\\' => match chars.next() {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('x') => {
                    let digits = chars.as_str().get(..2).unwrap_or_default();
                    bytes.push(hexadecimal(digits)?);
                    chars = chars.as_str()[2..].chars();
                }
                Some(quoted @ ('"' | '\\')) => bytes.push(quoted as u8),
                _ => return Err("an escape other than \\r \\n \\t \\xNN \\\" \\\\".into()),
            },
            char => bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("a quote is not closed".into())
}
