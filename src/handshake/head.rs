//! The head of an HTTP/1.1 message (RFC 9112): lines as they arrive, header fields, lists and tokens.

use super::{Opening, Outcome};
use crate::{Buffer, Config, HeadError, IS_64_BIT};
use core::fmt;

/// Reads a head: finds its lines, looking at each octet once, and collects it in the inbox.
///
/// Its places are counted from the first octet that has come, which may be in an earlier head that does not count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// Where the head begins.
    head: usize,
    /// Where the current line begins.
    line: usize,
    /// How many octets have come.
    end: usize,
    /// How many lines are complete.
    lines: u16,
}

impl Reader {
    /// Takes octets from the front of `input` until the head is complete: what it says, and how many those are. `None`
    /// once the input is used up. Fails on the very octet that is wrong or one too many.
    ///
    /// A line that is whole in the input is judged where it lies: only one that is not waits in the inbox.
    pub(crate) fn read<O: Opening, B: Buffer + ?Sized>(
        &mut self,
        input: &[u8],
        inbox: &mut B,
        opening: &mut O,
        config: &Config,
    ) -> Result<Option<(Outcome, usize)>, O::Error> {
        if self.end == 0 {
            // The caller's inbox may hold anything.
            inbox.clear();
        }
        let limit = usize::from(config.max_head).min(inbox.max_len());
        let mut most = limit.saturating_sub(self.end).min(inbox.remaining());
        if inbox.bytes().len() != self.end - self.head {
            // The caller has cleared the inbox, and the head with it.
            most = 0;
        }
        // How much of the input has been looked at, and how much of that need not be appended any more.
        let (mut taken, mut kept) = (0, 0);
        let mut rest = input;
        let head = loop {
            // An earlier input began the line, and it waits in the inbox.
            let begun = self.line != self.end;
            let after_cr = begun && inbox.bytes().ends_with(b"\r");
            let (len, complete) = self
                .advance(rest, after_cr, most - taken, config)
                .map_err(|error| opening.fault(error, self.lines == 0))?;
            let (mut line, behind) = rest.split_at_checked(len).unwrap_or_default();
            taken += len;
            rest = behind;
            if !complete {
                break None;
            }
            if begun {
                inbox.append(line);
                kept = taken;
                line = inbox.bytes().get(self.line - self.head..).unwrap_or_default();
            }
            // Without its CRLF. (From an inbox that does not keep what it is given there is nothing to learn.)
            let [line @ .., _, _] = line else { break None };
            let mut counts = true;
            if self.lines == 0 {
                counts = opening.first_line(line, config)?;
            } else if let [_, ..] = line {
                match field(line) {
                    Ok((name, value, offset)) => {
                        opening.field(name, value, self.line - self.head + offset)?
                    }
                    Err(HeadError::Folded) if opening.may_fold() => {}
                    Err(error) => return Err(opening.fault(error, false)),
                }
            } else if let Some(head) = opening.finish(config)? {
                break Some((head, taken));
            } else {
                counts = false;
            }
            self.line = self.end;
            self.lines = self.lines.saturating_add(1);
            if !counts {
                inbox.clear();
                kept = taken;
                (self.head, self.lines) = (self.end, 0);
            }
        };
        inbox.append(input.get(kept..taken).unwrap_or_default());
        Ok(head)
    }

    /// Goes on in the current line: counts the octets of `input` that belong to it, of which at most `most` are allowed. How
    /// many those are, and whether it is complete with them.
    #[inline]
    fn advance(
        &mut self,
        input: &[u8],
        after_cr: bool,
        most: usize,
        config: &Config,
    ) -> Result<(usize, bool), HeadError> {
        let text = if after_cr { 0 } else { text_len(input) };
        let (len, complete) = match input.get(text..).unwrap_or_default() {
            [b'\n', ..] if after_cr => (1, Ok(true)),
            [] => (text, Ok(false)),
            [_, ..] if after_cr => (0, Err(HeadError::BareCr)),
            [b'\r', b'\n', ..] => (text + 2, Ok(true)),
            [b'\r'] => (text + 1, Ok(false)),
            [b'\r', ..] => (text + 1, Err(HeadError::BareCr)),
            [b'\n', ..] => (text, Err(HeadError::BareLf)),
            _ => (text, Err(HeadError::ControlCharacter)),
        };
        if len > most {
            return Err(HeadError::TooLong);
        }
        self.end += len;
        let complete = complete?;
        if complete && self.lines > config.max_headers && self.end - self.line > 2 {
            return Err(HeadError::TooManyHeaders);
        }
        Ok((len, complete))
    }
}

/// A word of octets is looked at at once: each says in its highest bit whether it is one of those that are looked for. What a
/// sum or a difference carries goes into the octets above it, and only from one that is found: the lowest is right.
const EACH: usize = usize::from_ne_bytes([1; size_of::<usize>()]);

/// How many octets there are ahead of the first control character other than a tab.
#[inline]
fn text_len(octets: &[u8]) -> usize {
    let mut len = visible_len(octets);
    while let Some((b'\t', rest)) = octets.get(len..).and_then(<[u8]>::split_first) {
        len += 1 + visible_len(rest);
    }
    len
}

/// How many octets there are ahead of the first control character, tabs among them.
fn visible_len(octets: &[u8]) -> usize {
    let (words, rest) = octets.as_chunks();
    let mut len = 0;
    for word in words {
        let word = usize::from_le_bytes(*word);
        let below_space = word.wrapping_sub(EACH * 0x20);
        let delete = (word ^ (EACH * 0x7F)).wrapping_sub(EACH);
        let found = (below_space | delete) & !word & (EACH * 0x80);
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += size_of::<usize>();
    }
    len + visible_len_of_few(rest)
}

/// The same for the end of the input, where not as much as a word is left.
#[cold]
fn visible_len_of_few(octets: &[u8]) -> usize {
    octets.iter().position(|&octet| octet < b' ' || octet == 0x7F).unwrap_or(octets.len())
}

/// Whether no control character is among `octets`: so they can be a header's value.
pub(crate) fn is_text(octets: &[u8]) -> bool {
    text_len(octets) == octets.len()
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

    pub(crate) fn first_line(&self) -> &'h [u8] {
        split(self.octets, b'\r').0
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> + use<'h> {
        // No other LF is in a head, and each has a CR before it.
        let lines = self.octets.split(|&octet| octet == b'\n').skip(1);
        let fields = lines.filter_map(|line| field(line.strip_suffix(b"\r")?).ok());
        fields.filter_map(|(name, value, _)| Some((core::str::from_utf8(name).ok()?, value)))
    }

    /// The values of each header with this name, in order; names are compared without case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        let fields = self.fields().filter(move |(other, _)| is_same(other.as_bytes(), name.as_bytes()));
        fields.map(|(_, value)| value)
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
#[inline]
fn field(line: &[u8]) -> Result<(&[u8], &[u8], usize), HeadError> {
    match line.split_at_checked(name_len(line)) {
        Some((name @ [_, ..], [b':', value @ ..])) => {
            let value = trim_start(value);
            Ok((name, trim_end(value), line.len() - value.len()))
        }
        _ => Err(wrong_field(line)),
    }
}

/// How long the token in front of a header line is. Most names are letters and hyphens: those a word at a time, where a word is
/// long enough to make up for it.
fn name_len(line: &[u8]) -> usize {
    let mut len = 0;
    if IS_64_BIT {
        for word in line.as_chunks().0 {
            let word = usize::from_le_bytes(*word);
            let lower_case = word | (EACH * 0x20);
            let below_a = !lower_case.wrapping_add(EACH * (0x80 - b'a' as usize));
            let above_z = lower_case.wrapping_add(EACH * (0x7F - b'z' as usize));
            let no_hyphen = (word ^ (EACH * b'-' as usize)).wrapping_add(EACH * 0x7F);
            let found = (((below_a | above_z) & no_hyphen) | word) & (EACH * 0x80);
            if found != 0 {
                len += found.trailing_zeros() as usize / 8;
                break;
            }
            len += size_of::<usize>();
        }
    }
    match line.get(len..) {
        Some(rest @ [next, ..]) if *next != b':' => len + span(rest, TOKEN),
        _ => len,
    }
}

/// What is wrong with a header line that does not begin with a token and a colon.
#[cold]
fn wrong_field(line: &[u8]) -> HeadError {
    match split(line, b':').0 {
        // It goes on with the line before (obs-fold, RFC 9112 section 5.2).
        _ if matches!(line, [b' ' | b'\t', ..]) => HeadError::Folded,
        name if name.len() == line.len() => HeadError::NoColon,
        [.., b' ' | b'\t'] => HeadError::SpaceBeforeColon,
        _ => HeadError::InvalidName,
    }
}

/// Notes that a header has come, which may come once.
pub(crate) fn once<E>(seen: &mut bool, fault: E) -> Result<(), E> {
    if core::mem::replace(seen, true) { Err(fault) } else { Ok(()) }
}

/// What follows `Sec-WebSocket-` in a header's name, whatever its case.
pub(crate) fn after_prefix(name: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = name.split_at_checked(14)?;
    if is_same(prefix, b"Sec-WebSocket-") { Some(rest) } else { None }
}

/// Whether two names or tokens are the same, whatever their case. (Mostly the case is the same too.)
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b || a.eq_ignore_ascii_case(b))
}

/// Without the spaces and tabs around it: the optional white space of RFC 9110 section 5.6.3.
pub(crate) fn trim(octets: &[u8]) -> &[u8] {
    trim_end(trim_start(octets))
}

/// Without the spaces and tabs ahead of it.
fn trim_start(mut octets: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = octets.split_first() {
        octets = rest;
    }
    octets
}

/// Without the spaces and tabs behind it.
fn trim_end(mut octets: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = octets.split_last() {
        octets = rest;
    }
    octets
}

/// Splits `octets` at the first `separator`, which is in neither part; without one, the second part is empty.
pub(crate) fn split(octets: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let (mut len, mut rest) = (0, octets);
    while let [octet, after @ ..] = rest {
        rest = after;
        if *octet == separator {
            break;
        }
        len += 1;
    }
    (octets.get(..len).unwrap_or_default(), rest)
}

/// The elements of a comma-separated list; empty ones are ignored (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> List<'_> {
    List { rest: value }
}

#[derive(Debug)]
pub(crate) struct List<'v> {
    rest: &'v [u8],
}

impl<'v> Iterator for List<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        while let [_, ..] = self.rest {
            let (element, rest) = split(self.rest, b',');
            self.rest = rest;
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// Whether one element of the list is `token`, whatever its case. (Mostly it is the only one.)
pub(crate) fn lists(value: &[u8], token: &str) -> bool {
    is_same(value, token.as_bytes()) || list(value).any(|element| is_same(element, token.as_bytes()))
}

/// `octets` as a token (RFC 9110 section 5.6.2).
pub(crate) fn token(octets: &[u8]) -> Option<&str> {
    if is_token(octets) { core::str::from_utf8(octets).ok() } else { None }
}

pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && is_all(octets, TOKEN)
}

/// What an octet of ASCII may be in, a bit each: a token (RFC 9110 section 5.6.2), a host's name or IPv4 address, an IPv6
/// address in brackets (both RFC 3986 section 3.2.2), a request's target, base64 (RFC 4648 section 4).
const CLASSES: [u8; KNOWN] = {
    let mut classes = [0; KNOWN];
    let mut slots: &mut [u8] = &mut classes;
    let mut octet = 0_u8;
    while let [slot, rest @ ..] = slots {
        let alphanumeric = octet.is_ascii_alphanumeric();
        let token = alphanumeric
            || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        let host = token && !matches!(octet, b'#' | b'^' | b'`' | b'|')
            || matches!(octet, b'(' | b')' | b',' | b';' | b'=');
        let target = octet.is_ascii_graphic() && octet != b'#';
        let base64 = alphanumeric || matches!(octet, b'+' | b'/');
        *slot = (TOKEN * token as u8)
            | (HOST * host as u8)
            | (BRACKETED * (host || octet == b':') as u8)
            | (TARGET * target as u8)
            | (BASE64 * base64 as u8);
        slots = rest;
        octet = octet.wrapping_add(1);
    }
    classes
};
/// Beyond ASCII there is nothing: on 64-bit machines that stands in the table, which saves a comparison, and on others it
/// does not, which saves flash.
const KNOWN: usize = if IS_64_BIT { 256 } else { 128 };
const TOKEN: u8 = 1;
const HOST: u8 = 2;
const BRACKETED: u8 = 4;
/// Visible ASCII without the fragment's sign.
pub(crate) const TARGET: u8 = 8;
pub(crate) const BASE64: u8 = 16;

/// How many octets in front are all of a class.
fn span(octets: &[u8], class: u8) -> usize {
    let mut len = 0;
    for &octet in octets {
        if !is_in(octet, class) {
            break;
        }
        len += 1;
    }
    len
}

/// Whether all octets are of a class.
pub(crate) fn is_all(octets: &[u8], class: u8) -> bool {
    span(octets, class) == octets.len()
}

fn is_in(octet: u8, class: u8) -> bool {
    classes(octet) & class != 0
}

#[inline(always)]
fn classes(octet: u8) -> u8 {
    CLASSES.get(usize::from(octet)).copied().unwrap_or_default()
}

/// Whether `value` follows the grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a list of tokens, each
/// with parameters, whose values are tokens or quoted strings that are tokens once unescaped.
pub(crate) fn are_extensions(mut value: &[u8]) -> bool {
    let mut any = false;
    loop {
        match trim_start(value) {
            [] => return any,
            // Empty elements of a list are ignored.
            [b',', rest @ ..] => value = rest,
            extension => match after_extension(extension) {
                Some(rest @ ([] | [b',', ..])) => (any, value) = (true, rest),
                _ => return false,
            },
        }
    }
}

/// What follows an extension with its parameters.
fn after_extension(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = after_token(octets)?;
    while let [b';', parameter @ ..] = rest {
        rest = after_token(parameter)?;
        if let [b'=', value @ ..] = rest {
            rest = match trim_start(value) {
                [b'"', quoted @ ..] => after_quoted(quoted)?,
                value => after_token(value)?,
            };
        }
    }
    Some(rest)
}

/// What follows a token and the white space around it.
fn after_token(octets: &[u8]) -> Option<&[u8]> {
    let octets = trim_start(octets);
    match octets.split_at_checked(span(octets, TOKEN))? {
        ([], _) => None,
        (_, rest) => Some(trim_start(rest)),
    }
}

/// What follows a token that is quoted, and the white space behind it; the first quotation mark is not among `octets`.
fn after_quoted(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = octets;
    loop {
        rest = match rest {
            [b'"', after @ ..] if rest.len() < octets.len() => return Some(trim_start(after)),
            [b'\\', octet, after @ ..] | [octet, after @ ..] if is_in(*octet, TOKEN) => after,
            _ => return None,
        };
    }
}

/// The digits of an HTTP version, `HTTP/1.1` for example.
pub(crate) fn http_version(octets: &[u8]) -> Option<(u8, u8)> {
    match octets.strip_prefix(b"HTTP/")? {
        [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => Some((*major, *minor)),
        _ => None,
    }
}

/// Whether an HTTP version is 1.1 or later.
pub(crate) fn is_new_enough(version: (u8, u8)) -> bool {
    version >= (b'1', b'1')
}

/// Splits `text` ahead of its first octet that is one of `stops`, which are ASCII.
pub(crate) fn split_text<'t>(text: &'t str, stops: &[u8]) -> (&'t str, &'t str) {
    let mut front = text.as_bytes();
    for stop in stops {
        (front, _) = split(front, *stop);
    }
    text.split_at_checked(front.len()).unwrap_or_default()
}

/// Splits `scheme://rest`.
pub(crate) fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = split_text(uri, b":");
    Some((scheme, rest.strip_prefix("://")?))
}

/// Splits `host[:port]` (RFC 3986 section 3.2.2): the host, and the port where one is given.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (len, port) = host_and_port(authority.as_bytes())?;
    Some((authority.get(..len)?, port))
}

/// How long the host is in `host[:port]` (RFC 3986 section 3.2.2), and the port where one is given.
pub(crate) fn host_and_port(authority: &[u8]) -> Option<(usize, Option<u16>)> {
    // A colon inside brackets belongs to an IPv6 address.
    let (len, rest) = match authority {
        [b'[', inside @ ..] => {
            let len = span(inside, BRACKETED);
            match inside.get(len..)? {
                [b']', rest @ ..] if len > 0 => (len + 2, rest),
                _ => return None,
            }
        }
        _ => {
            let len = span(authority, HOST);
            (len, if len > 0 { authority.get(len..)? } else { return None })
        }
    };
    match rest {
        [] | [b':'] => Some((len, None)),
        [b':', digits @ ..] => Some((len, Some(decimal(digits)?))),
        _ => None,
    }
}

/// A number in decimal.
pub(crate) fn decimal(digits: &[u8]) -> Option<u16> {
    let mut number = 0_u16;
    for digit in digits {
        match digit {
            b'0'..=b'9' => number = number.checked_mul(10)?.checked_add(u16::from(digit - b'0'))?,
            _ => return None,
        }
    }
    Some(number)
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
    fn s15_a_word_at_a_time_finds_the_same_octet() {
        let control = |&octet: &u8| octet < b' ' && octet != b'\t' || octet == 0x7F;
        for pair in 0..=u16::MAX {
            for at in 5..8 {
                let mut octets = *b"Aa-zZ-Aa-zZ-Aa-zZ";
                octets[at..at + 2].copy_from_slice(&pair.to_ne_bytes());
                assert_eq!(text_len(&octets), octets.iter().position(control).unwrap_or(octets.len()));
                assert_eq!(name_len(&octets), span(&octets, TOKEN));
            }
        }
    }

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
            assert_eq!(is_in(octet, TOKEN), listed, "{octet}");
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
