//! The head of an HTTP/1.1 message (RFC 9112): lines as they arrive, header fields, lists and tokens.

use crate::{Buffer, Config, HeadError};
use core::{fmt, ops::Range};

/// Collects a head in the inbox and finds its lines, octet by octet and each octet once.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Where the current line begins in the inbox.
    line: usize,
    /// How many lines are complete.
    lines: u16,
    /// How many octets have come, those of skipped heads included.
    total: usize,
    /// The last octet was the CR that ends a line.
    after_cr: bool,
}

impl Reader {
    /// Whether the first line is still incomplete.
    pub(crate) const fn is_in_first_line(&self) -> bool {
        self.lines == 0
    }

    /// Moves octets from the front of `input` to the inbox until a line is complete: where it lies there, without its
    /// CRLF. `None` once the input is used up. Fails on the very octet that is wrong or one too many.
    pub(crate) fn next_line<B: Buffer + ?Sized>(
        &mut self,
        input: &mut &[u8],
        inbox: &mut B,
        config: &Config,
    ) -> Result<Option<Range<usize>>, HeadError> {
        if self.total == 0 {
            // The caller's inbox may hold anything.
            inbox.clear();
        }
        if !self.after_cr {
            let text = text_len(input);
            match input.get(text..).unwrap_or_default() {
                // The whole line, as most lines come.
                [b'\r', b'\n', ..] => {
                    self.take(text + 2, input, inbox, config)?;
                    return self.end_line(inbox, config).map(Some);
                }
                [] | [b'\r', ..] => {
                    self.after_cr = text < input.len();
                    self.take(text + usize::from(self.after_cr), input, inbox, config)?;
                }
                [wrong, ..] => {
                    self.take(text, input, inbox, config)?;
                    return Err(if *wrong == b'\n' {
                        HeadError::BareLf
                    } else {
                        HeadError::ControlCharacter
                    });
                }
            }
        }
        match input.first() {
            Some(b'\n') if self.after_cr => {
                self.take(1, input, inbox, config)?;
                self.after_cr = false;
                self.end_line(inbox, config).map(Some)
            }
            Some(_) => Err(HeadError::BareCr),
            None => Ok(None),
        }
    }

    /// The line that ends where the inbox does.
    fn end_line<B: Buffer + ?Sized>(
        &mut self,
        inbox: &B,
        config: &Config,
    ) -> Result<Range<usize>, HeadError> {
        let end = inbox.bytes().len();
        // Less than was put there: the caller has cleared the inbox, and the head with it.
        let last = end.checked_sub(2).filter(|last| *last >= self.line).ok_or(HeadError::TooLong)?;
        let line = core::mem::replace(&mut self.line, end)..last;
        if !line.is_empty() && self.lines > config.max_headers {
            return Err(HeadError::TooManyHeaders);
        }
        self.lines = self.lines.saturating_add(1);
        Ok(line)
    }

    /// Forgets the lines so far, but not how long they were: another head follows, or the first line was empty.
    pub(crate) fn restart<B: Buffer + ?Sized>(&mut self, inbox: &mut B) {
        inbox.clear();
        *self = Self { total: self.total, ..Self::default() };
    }

    fn take<B: Buffer + ?Sized>(
        &mut self,
        count: usize,
        input: &mut &[u8],
        inbox: &mut B,
        config: &Config,
    ) -> Result<(), HeadError> {
        let limit = usize::from(config.max_head).min(inbox.limit());
        let Some((octets, rest)) = input.split_at_checked(count) else { return Ok(()) };
        if count > limit.saturating_sub(self.total) || count > inbox.room() {
            return Err(HeadError::TooLong);
        }
        self.total += count;
        inbox.append(octets);
        *input = rest;
        Ok(())
    }
}

/// How many octets there are ahead of the first control character.
fn text_len(octets: &[u8]) -> usize {
    // A word of octets at a time. A subtraction borrows across octets only above one that is found: the lowest is right.
    const EACH: usize = usize::from_ne_bytes([1; size_of::<usize>()]);
    let below = |word: usize, limit: u8| word.wrapping_sub(EACH * usize::from(limit)) & !word & (EACH << 7);
    let mut start = 0;
    while let Some(next) = octets.get(start..).and_then(<[u8]>::first_chunk) {
        let word = usize::from_le_bytes(*next);
        let found = below(word, b' ') | below(word ^ (EACH * 0x7F), 1);
        if found == 0 {
            start += size_of::<usize>();
            continue;
        }
        start += found.trailing_zeros() as usize / 8;
        if octets.get(start) != Some(&b'\t') {
            return start;
        }
        start += 1;
    }
    let rest = octets.get(start..).unwrap_or_default();
    start + rest.iter().position(|&octet| is_control(octet)).unwrap_or(rest.len())
}

/// A control character other than a tab: none may be in a head, but CR and LF at the end of its lines.
pub(crate) const fn is_control(octet: u8) -> bool {
    octet < b' ' && octet != b'\t' || octet == 0x7F
}

/// A complete head, whose every line has been checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'h> {
    octets: &'h [u8],
}

impl<'h> Head<'h> {
    pub(crate) const fn new(octets: &'h [u8]) -> Self {
        Self { octets }
    }

    pub(crate) const fn octets(&self) -> &'h [u8] {
        self.octets
    }

    fn lines(&self) -> impl Iterator<Item = &'h [u8]> + use<'h> {
        // No other LF is in a head, and each has a CR before it.
        self.octets.split(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    pub(crate) fn first_line(&self) -> &'h [u8] {
        self.lines().next().unwrap_or_default()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> + use<'h> {
        let fields = self.lines().skip(1).filter_map(|line| field(line).ok());
        fields.filter_map(|(name, value, _)| Some((core::str::from_utf8(name).ok()?, value)))
    }

    /// The values of each header with this name, in order; names are compared without case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Where `part`, a part of this head, begins in it. (A head has at most 65,535 octets.)
    pub(crate) fn offset_of(&self, part: &[u8]) -> u16 {
        part.as_ptr().addr().wrapping_sub(self.octets.as_ptr().addr()) as u16
    }
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.octets.escape_ascii())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Head<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[u8]:a}", self.octets);
    }
}

/// The name and the value of a header line (RFC 9112 section 5), and where the value begins in it.
pub(crate) fn field(line: &[u8]) -> Result<(&[u8], &[u8], usize), HeadError> {
    let end = line.iter().position(|&octet| !is_token_octet(octet)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let value = match rest {
        [b':', value @ ..] if !name.is_empty() => value.trim_ascii_start(),
        _ => return Err(wrong_field(line)),
    };
    Ok((name, value.trim_ascii_end(), line.len() - value.len()))
}

/// What is wrong with a header line that does not begin with a token and a colon.
#[cold]
fn wrong_field(line: &[u8]) -> HeadError {
    let mut parts = line.split(|&octet| octet == b':');
    match (parts.next(), parts.next()) {
        _ if is_folded(line) => HeadError::Folded,
        (_, None) => HeadError::NoColon,
        (Some([.., b' ' | b'\t']), _) => HeadError::SpaceBeforeColon,
        _ => HeadError::InvalidName,
    }
}

/// Whether a line goes on with the one before (obs-fold, RFC 9112 section 5.2).
pub(crate) const fn is_folded(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// The elements of a comma-separated list; empty ones are ignored (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether one element of the list is `token`, whatever its case.
pub(crate) fn lists(value: &[u8], token: &str) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// `octets` as a token (RFC 9110 section 5.6.2).
pub(crate) fn token(octets: &[u8]) -> Option<&str> {
    if is_token(octets) { core::str::from_utf8(octets).ok() } else { None }
}

pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|&octet| is_token_octet(octet))
}

/// Whether a token may hold it.
#[inline]
fn is_token_octet(octet: u8) -> bool {
    // A bit for each octet, 32 in a word.
    const fn bits(word: u8) -> u32 {
        let (mut bits, mut at) = (0, 0);
        while at < 32 {
            let octet = 32 * word + at;
            let is_token = octet.is_ascii_alphanumeric()
                || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
            bits |= (is_token as u32) << at;
            at += 1;
        }
        bits
    }
    const TOKEN: [u32; 8] = [bits(0), bits(1), bits(2), bits(3), 0, 0, 0, 0];
    TOKEN.get(usize::from(octet / 32)).is_some_and(|bits| bits >> (octet % 32) & 1 != 0)
}

/// Whether `value` follows the grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a list of tokens, each
/// with parameters, whose values are tokens or quoted strings that are tokens once unescaped.
pub(crate) fn are_extensions(value: &[u8]) -> bool {
    // A quoted value is a token: no comma, semicolon or equals sign can be inside it.
    let mut elements = list(value).peekable();
    elements.peek().is_some()
        && elements.all(|element| {
            let mut parts = element.split(|&octet| octet == b';').map(<[u8]>::trim_ascii);
            parts.next().is_some_and(is_token) && parts.all(is_parameter)
        })
}

fn is_parameter(parameter: &[u8]) -> bool {
    let mut sides = parameter.splitn(2, |&octet| octet == b'=').map(<[u8]>::trim_ascii);
    let (name, value) = (sides.next().unwrap_or_default(), sides.next());
    is_token(name)
        && match value {
            None => true,
            Some([b'"', quoted @ .., b'"']) => {
                let mut octets = quoted.iter();
                let mut unescaped = core::iter::from_fn(|| match octets.next() {
                    Some(b'\\') => Some(octets.next().copied().unwrap_or(b'\\')),
                    other => other.copied(),
                });
                !quoted.is_empty() && unescaped.all(is_token_octet)
            }
            Some(value) => is_token(value),
        }
}

/// The digits of an HTTP version, `HTTP/1.1` for example.
pub(crate) fn http_version(octets: &[u8]) -> Option<(u8, u8)> {
    match octets {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
            Some((*major, *minor))
        }
        _ => None,
    }
}

/// Whether an HTTP version is 1.1 or later.
pub(crate) fn is_new_enough(version: (u8, u8)) -> bool {
    version >= (b'1', b'1')
}

/// Splits `text` ahead of its first octet, an ASCII one, that is a `stop`.
pub(crate) fn split_ahead(text: &str, stop: impl Fn(u8) -> bool) -> (&str, &str) {
    let at = text.bytes().position(stop).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Splits `scheme://rest`.
pub(crate) fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = split_ahead(uri, |octet| octet == b':');
    Some((scheme, rest.strip_prefix("://")?))
}

/// Splits `host[:port]` (RFC 3986 section 3.2.2): the host, and the port where one is given.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let is_bracketed = authority.starts_with('[');
    // A colon inside brackets belongs to an IPv6 address.
    let (host, rest) = match is_bracketed {
        true => {
            let (address, _) = split_ahead(authority, |octet| octet == b']');
            authority.split_at_checked(address.len() + 1)?
        }
        false => split_ahead(authority, |octet| octet == b':'),
    };
    let is_named = |octet: u8| match octet {
        b':' => is_bracketed,
        b'[' | b']' => false,
        b'(' | b')' | b',' | b';' | b'=' => true,
        b'#' | b'^' | b'`' | b'|' => false,
        octet => is_token_octet(octet),
    };
    let name = if is_bracketed { host.get(1..host.len() - 1)? } else { host };
    if name.is_empty() || !name.bytes().all(is_named) {
        return None;
    }
    match rest.as_bytes() {
        [] | [b':'] => Some((host, None)),
        [b':', digits @ ..] => Some((host, Some(port(digits)?))),
        _ => None,
    }
}

/// A port, in decimal.
fn port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |port, digit| match digit {
        b'0'..=b'9' => port.checked_mul(10)?.checked_add(u16::from(digit - b'0')),
        _ => None,
    })
}

/// Whether `target` can be a request's target: visible ASCII without a fragment.
pub(crate) fn is_target(target: &[u8]) -> bool {
    target.iter().all(|&octet| octet.is_ascii_graphic() && octet != b'#')
}

/// A decimal number, written without `core::fmt`.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: usize) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], start: 20 };
        for digit in decimal.digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            decimal.start -= 1;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        decimal
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n3_n4_extensions_follow_the_grammar_of_section_9_1() {
        for valid in [
            "a",
            "a, b",
            ",a,,",
            "a;b",
            "a; b=c ; d",
            "a;b=\"c\"",
            "a;b=\"\\c\"",
            "permessage-deflate; x=15, foo",
            "a ; b = c",
        ] {
            assert!(are_extensions(valid.as_bytes()), "{valid}");
        }
        for invalid in [
            "",
            ",",
            ";",
            "a;",
            "a;;b",
            "a b",
            "a;b=",
            "a;b=\"\"",
            "a;b=\"c d\"",
            "a;b=\"c",
            "a;b=c\"",
            "a;b=\"c,d\"",
            "a;=b",
            "a=b",
            "a;b=\"\\\"",
            "é",
            "a;b=\"c\\",
        ] {
            assert!(!are_extensions(invalid.as_bytes()), "{invalid}");
        }
    }

    #[test]
    fn s17_a_token_is_what_rfc_9110_lists() {
        for octet in 0..=255_u8 {
            let listed = octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
            assert_eq!(is_token_octet(octet), listed, "{octet}");
        }
    }

    #[test]
    fn s15_s17_a_header_line_is_a_token_a_colon_and_a_value() {
        assert_eq!(field(b"Host: a"), Ok((&b"Host"[..], &b"a"[..], 6)));
        assert_eq!(field(b"X:"), Ok((&b"X"[..], &b""[..], 2)));
        assert_eq!(field(b"X:\t a:b \xFF \t"), Ok((&b"X"[..], &b"a:b \xFF"[..], 4)));
        assert_eq!(field(b"X : a"), Err(HeadError::SpaceBeforeColon));
        assert_eq!(field(b" X: a"), Err(HeadError::Folded));
        assert_eq!(field(b"\tX: a"), Err(HeadError::Folded));
        assert_eq!(field(b"X a"), Err(HeadError::NoColon));
        assert_eq!(field(b": a"), Err(HeadError::InvalidName));
        assert_eq!(field(b"X y: a"), Err(HeadError::InvalidName));
        assert_eq!(field(b"\xC3\xA9: a"), Err(HeadError::InvalidName));
    }

    #[test]
    fn a_port_is_split_off_its_host() {
        assert_eq!(split_port("a.example"), Some(("a.example", None)));
        assert_eq!(split_port("a:80"), Some(("a", Some(80))));
        assert_eq!(split_port("a:"), Some(("a", None)));
        assert_eq!(split_port("[::1]"), Some(("[::1]", None)));
        assert_eq!(split_port("[::1]:9001"), Some(("[::1]", Some(9001))));
        for invalid in ["", ":80", "a:65536", "a:8x", "a b", "a/b", "a@b", "[]", "[::1", "::1", "a:+8", "é"]
        {
            assert_eq!(split_port(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_number_is_written_in_decimal() {
        for (number, text) in [(0, "0"), (7, "7"), (10, "10"), (403, "403"), (4_294_967_295, "4294967295")] {
            assert_eq!(Decimal::new(number).as_bytes(), text.as_bytes());
        }
    }
}
