//! The head of an HTTP/1.1 message (RFC 9112): its lines as they arrive, headers, lists and tokens.
// `pub`, as the sealed role is: compilers up to 1.89 do not see that its bound reaches them.
#![allow(unreachable_pub)]

use super::{HeadError, HeaderName, Negotiation, RequestError, RequestForm};
use crate::{Buffer, Config};
use core::{convert::Infallible, fmt, hint::black_box, marker::PhantomData, mem, ops::Range};

/// What a role requires of the peer's head, checked line by line.
pub trait HeadRules {
    /// Whether the head is a request.
    const READS_REQUEST: bool;
    /// A rule that the head breaks.
    type Error: From<HeadError>;
    /// What is negotiated of extensions.
    type Negotiation: Negotiation;
    /// Checks a line, which ends in CRLF, or in LF if it was read leniently. The first line of a
    /// response comes twice: its version and status alone, then all of it.
    fn line(&mut self, line: &[u8], is_first: bool, config: &Config) -> Result<Step, Self::Error>;
    /// The error for a head that breaks the rules of HTTP or is over a limit, in its first line or
    /// after it.
    fn head_error(error: HeadError, _is_first: bool) -> Self::Error {
        error.into()
    }
    /// Whether there are rules for headers of this name: they must be whole to be checked.
    fn has_rules_for(&self, name: &[u8]) -> bool;
    /// Whether the current line may hold any bytes, and end in LF alone.
    fn is_lenient(&self) -> bool {
        false
    }
    /// The negotiation as far as the head is read.
    fn negotiation(&self) -> &Self::Negotiation;
    /// A server: declines all offers that were read.
    #[cfg(feature = "deflate")]
    fn decline(&mut self) {}
    /// A client: the final status other than 101 of the head that is being read.
    fn refusal(&self) -> Option<u16> {
        None
    }
    /// A server: the range for [`insert_path`], if the target of the complete request lacks a path;
    /// else empty.
    fn missing_path(&self) -> Range<usize> {
        0..0
    }
    /// A server: the form of the request whose head is complete.
    fn request(&self) -> Option<&RequestForm> {
        None
    }
}

/// The rules of a connection that is open from the start, and reads no head: there is no value.
#[derive(Clone, Debug)]
pub struct NoHead<N>(Infallible, PhantomData<N>);

impl<N: Negotiation> HeadRules for NoHead<N> {
    const READS_REQUEST: bool = false;
    type Error = RequestError;
    type Negotiation = N;

    fn line(&mut self, _: &[u8], _: bool, _: &Config) -> Result<Step, RequestError> {
        match self.0 {}
    }

    fn negotiation(&self) -> &N {
        match self.0 {}
    }

    fn has_rules_for(&self, _: &[u8]) -> bool {
        match self.0 {}
    }
}

/// Where the subprotocol that a server has selected lies in the head; empty if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectedRange {
    pub(super) start: u16,
    pub(super) len: u16,
}

impl SelectedRange {
    pub(super) const NONE: Self = Self { start: 0, len: 0 };
    /// A client's: in the header of its name.
    pub(super) const BY_NAME: Self = Self { start: 0, len: u16::MAX };
}

/// The outcome of a head.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Server: a request, which the caller must answer.
    Request,
    /// Server: a request that breaks a rule.
    BadRequest,
    /// The handshake is complete. A server has selected this subprotocol.
    Open(SelectedRange),
    /// Client: a status other than 101.
    Refused(u16),
}

/// What follows a line of a head.
#[derive(Debug)]
pub enum Step {
    /// The next line of the head.
    NextLine,
    /// Another head, which replaces this one.
    NextHead,
    /// Nothing: the head is complete.
    Done(Outcome),
}

/// Reads a head: finds its lines, looks at each byte once, checks each line, and collects them in
/// the inbox.
///
/// A head may be longer than the inbox. A header line that does not fit is left out, if there are
/// no rules for it; to make room for any other line, the headers without rules are removed. (A name
/// must fit to be known.) Which lines are kept does not depend on how the input is cut. Two bytes
/// are reserved for the empty line at the end, so that it always fits. It is left out if headers
/// are missing: [`Head::is_complete`] looks for it.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// Number of bytes received: of this head, and of those that it replaced.
    received: u32,
    /// Where the current line begins in the inbox.
    line_start: u32,
    /// Number of bytes of the current line in the inbox, from earlier inputs.
    line_len: u32,
    /// Number of complete lines in the head.
    lines: u16,
    /// The current line is left out.
    skips_line: bool,
    /// Nothing has been left out.
    is_complete: bool,
    /// The last byte received is a CR.
    after_cr: bool,
}

/// Length of the version and the status in a status line: `HTTP/1.1 403`.
pub(crate) const STATUS_LEN: u32 = 12;

impl Reader {
    pub(crate) const fn new() -> Self {
        Self {
            received: 0,
            line_start: 0,
            line_len: 0,
            lines: 0,
            skips_line: false,
            is_complete: true,
            after_cr: false,
        }
    }

    /// Takes bytes from the front of `input` until the head is complete. Returns its outcome and
    /// how many bytes were taken, or `None` if all input is used up. Fails at the first byte
    /// that is invalid or over a limit; the inbox then holds the head up to there.
    pub(crate) fn read<H: HeadRules, B: Buffer + ?Sized>(
        &mut self,
        input: &[u8],
        inbox: &mut B,
        rules: &mut H,
        config: &Config,
    ) -> Result<Option<(Outcome, usize)>, H::Error> {
        if self.received == 0 {
            // The caller's inbox may hold anything.
            inbox.clear();
        } else if inbox.bytes().len() != (self.line_start + self.line_len) as usize {
            // The caller has cleared the inbox, and the head with it.
            return Err(H::head_error(HeadError::TooLong, false));
        }
        let mut taken = 0;
        // On 64-bit, for speed: the lines in `input[pending..taken]` have been checked there, and are still
        // to be appended.
        let mut pending = 0;
        let append_pending = |pending: usize, taken: usize, inbox: &mut B| {
            if cfg!(target_pointer_width = "64") {
                inbox.append(input.get(pending..taken).unwrap_or_default());
            }
        };
        loop {
            let is_first = self.lines == 0;
            let mut rest = input.get(taken..).unwrap_or_default();
            if !H::READS_REQUEST && is_first && self.line_len < STATUS_LEN {
                // Version and status come first: they decide how the rest is read. (Without another round on
                // 64-bit, for speed.)
                let start = rest.get(..(STATUS_LEN - self.line_len) as usize).unwrap_or(rest);
                let is_known = cfg!(target_pointer_width = "64")
                    && start.len() == STATUS_LEN as usize
                    && inbox.remaining() >= start.len() + 2
                    && rules.line(start, true, config).is_ok();
                if !is_known {
                    rest = start;
                }
            }
            let (len, complete) = self.advance(rest, rules, config);
            let mut line = rest.get(..len).unwrap_or_default();
            let in_input = cfg!(target_pointer_width = "64")
                && complete == Ok(true)
                && self.line_len == 0
                && !self.skips_line
                && taken + len - pending + 2 <= remaining(inbox, rules, config);
            let mut stored = Ok(());
            if !in_input {
                append_pending(pending, taken, inbox);
                if self.line_len == 0 {
                    self.line_start = inbox.bytes().len() as u32;
                }
                pending = taken + len;
                stored = self.store(line, inbox, rules, config);
                line = inbox.bytes().get(self.line_start as usize..).unwrap_or_default();
            }
            taken += len;
            if is_first && stored.is_err() && rules.is_lenient() {
                // Of a refusal's first line, the beginning is enough.
                (self.skips_line, self.is_complete, stored) = (true, false, Ok(()));
            }
            let step = match stored.and(complete) {
                Ok(true) if self.skips_line => Step::NextLine,
                Ok(true) => match rules.line(line, is_first, config) {
                    Ok(step) => step,
                    Err(error) => {
                        append_pending(pending, taken, inbox);
                        return Err(error);
                    }
                },
                Ok(false) => {
                    self.line_len = line.len() as u32;
                    if !H::READS_REQUEST && is_first && self.line_len == STATUS_LEN {
                        rules.line(line, is_first, config)?;
                    }
                    if taken == input.len() {
                        return Ok(None);
                    }
                    continue;
                }
                Err(error) => {
                    return match rules.refusal() {
                        Some(status) => Ok(Some((Outcome::Refused(status), taken))),
                        None => Err(H::head_error(error, is_first)),
                    };
                }
            };
            match step {
                Step::NextLine if self.lines > config.max_headers && !rules.is_lenient() => {
                    append_pending(pending, taken, inbox);
                    return Err(H::head_error(HeadError::TooManyHeaders, is_first));
                }
                Step::NextLine => self.lines += 1,
                Step::NextHead => {
                    inbox.clear();
                    pending = taken;
                    (self.lines, self.is_complete) = (0, true);
                }
                Step::Done(outcome) => {
                    let blank_len = line.len();
                    append_pending(pending, taken, inbox);
                    if H::READS_REQUEST {
                        insert_path(rules.missing_path(), inbox.bytes_mut());
                    }
                    if !self.is_complete {
                        inbox.truncate(inbox.bytes().len().saturating_sub(blank_len));
                    }
                    return Ok(Some((outcome, taken)));
                }
            }
            (self.line_len, self.skips_line) = (0, false);
            if !in_input {
                self.line_start = inbox.bytes().len() as u32;
            }
        }
    }

    /// Continues the current line: returns how many bytes of `input` belong to it, and whether they
    /// complete it.
    // For speed on 64-bit only: benches/README.md, "Heads".
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn advance<H: HeadRules>(
        &mut self,
        input: &[u8],
        rules: &H,
        config: &Config,
    ) -> (usize, Result<bool, HeadError>) {
        // More is read than is kept of a head that is read leniently, and until the status is known.
        let knows_form = H::READS_REQUEST || self.lines > 0;
        let limit = if knows_form && !rules.is_lenient() { config.max_head } else { u16::MAX };
        let capacity = u32::from(limit).saturating_sub(self.received) as usize;
        let after_cr = mem::take(&mut self.after_cr);
        let text = if after_cr { 0 } else { text_len(input) };
        let (mut len, mut complete) = match input.get(text..).unwrap_or_default() {
            [b'\n', ..] if after_cr => (1, Ok(true)),
            [_, ..] if after_cr => (0, Err(HeadError::BareCr)),
            [] => {
                self.after_cr = after_cr;
                (text, Ok(false))
            }
            [b'\r', b'\n', ..] => (text + 2, Ok(true)),
            [b'\r'] => {
                self.after_cr = true;
                (text + 1, Ok(false))
            }
            [b'\r', ..] => (text + 1, Err(HeadError::BareCr)),
            [b'\n', ..] => (text, Err(HeadError::BareLf)),
            _ => (text, Err(HeadError::ControlCharacter)),
        };
        if complete.is_err() && rules.is_lenient() {
            let line = split(input, b'\n').0.len();
            (len, complete) = if line < input.len() { (line + 1, Ok(true)) } else { (line, Ok(false)) };
        }
        if len > capacity {
            (len, complete) = (capacity, Err(HeadError::TooLong));
        }
        self.received += len as u32;
        (len, complete)
    }

    /// Appends a part of the current line to the inbox. If the line does not fit, it is skipped, or
    /// the headers without rules make room for it.
    #[inline(never)]
    fn store<H: HeadRules, B: Buffer + ?Sized>(
        &mut self,
        mut part: &[u8],
        inbox: &mut B,
        rules: &H,
        config: &Config,
    ) -> Result<(), HeadError> {
        while !self.skips_line {
            let start = self.line_start as usize;
            let line = inbox.bytes().get(start..).unwrap_or_default();
            let reserved = if is_blank(line, part) { 0 } else { 2 };
            let room = remaining(inbox, rules, config).saturating_sub(reserved);
            let (front, rest) = part.split_at_checked(room).unwrap_or((part, &[]));
            inbox.append(front);
            if rest.is_empty() {
                break;
            }
            part = rest;
            self.is_complete = false;
            // A buffer that cannot be changed has to hold the whole head.
            let bytes = inbox.bytes_mut();
            let line = bytes.get(start..).ok_or(HeadError::TooLong)?;
            self.skips_line =
                self.lines > 0 && reserved > 0 && (rules.is_lenient() || has_no_rules(line, rules));
            let len = if self.skips_line { start } else { self.remove_headers(bytes, rules) };
            inbox.truncate(len);
            if remaining(inbox, rules, config) <= reserved && !self.skips_line {
                return Err(HeadError::TooLong);
            }
        }
        Ok(())
    }

    /// Removes the header lines before the current line that there are no rules for: moves all
    /// other bytes to the front, and returns how many they are.
    fn remove_headers<H: HeadRules>(&mut self, bytes: &mut [u8], rules: &H) -> usize {
        let start = self.line_start as usize;
        let (mut len, mut previous, mut keeps_line) = (0, 0, true);
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if at >= start {
                keeps_line = true;
            } else if previous == b'\n' {
                keeps_line = !has_no_rules(bytes.get(at..).unwrap_or_default(), rules);
            }
            if keeps_line && let Some(slot) = bytes.get_mut(len) {
                *slot = byte;
                len += 1;
            }
            previous = byte;
            at += 1;
        }
        self.line_start = (start + len).saturating_sub(at) as u32;
        len
    }
}

/// The capacity left for a head. Of one that is read leniently, `max_head` bytes are kept, at least
/// the status, and the empty line.
fn remaining<H: HeadRules, B: Buffer + ?Sized>(inbox: &B, rules: &H, config: &Config) -> usize {
    let capacity = inbox.remaining();
    if !rules.is_lenient() {
        return capacity;
    }
    let kept = u32::from(config.max_head).max(STATUS_LEN) + 2;
    capacity.min((kept as usize).saturating_sub(inbox.bytes().len()))
}

/// Whether a line is the empty line at the end of a head, or its CR, once `part` is appended.
fn is_blank(line: &[u8], part: &[u8]) -> bool {
    matches!((line, part), ([], b"\r" | b"\n" | b"\r\n") | (b"\r", b"\n"))
}

/// Whether a header line begins with a whole name that there are no rules for.
fn has_no_rules<H: HeadRules>(line: &[u8], rules: &H) -> bool {
    let (name, rest) = line.split_at_checked(name_len(line)).unwrap_or_default();
    !name.is_empty() && matches!(rest, [b':', ..]) && !rules.has_rules_for(name)
}

/// Gives a target in absolute form the path `/`, in the same memory: `http://a?b` becomes
/// `htt://a/?b`. The range is that of `p://a`: the letter makes room, since nobody needs the
/// scheme.
fn insert_path(front: Range<usize>, head: &mut [u8]) {
    let mut moved = b'/';
    for byte in head.get_mut(front).unwrap_or_default().iter_mut().rev() {
        // Firmware would link `memmove` for a loop that the compiler recognises.
        moved = mem::replace(byte, black_box(moved));
    }
}

/// The name and the value of a header line, if they can be read.
fn readable_header(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = without_cr(line);
    let (name, value) = split(line, b':');
    if name.len() == line.len() || !is_text(value) {
        return None;
    }
    Some((token(trim_end(name))?, trim(value)))
}

/// A line without its CRLF, or LF, or as much of it as was received.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    without_cr(if let [line @ .., b'\n'] = line { line } else { line })
}

fn without_cr(line: &[u8]) -> &[u8] {
    if let [line @ .., b'\r'] = line { line } else { line }
}

/// A word with 1 in each byte (SWAR). In the searches below, bit 7 of each lane marks a match.
/// Carries spill upwards, so only the lowest marked lane is exact.
const LANES: usize = usize::from_ne_bytes([1; size_of::<usize>()]);

/// How many bytes precede the first control character other than a tab.
#[inline]
fn text_len(bytes: &[u8]) -> usize {
    if !cfg!(target_pointer_width = "64") {
        let is_control = |&byte: &u8| byte < b' ' && byte != b'\t' || byte == 0x7F;
        return bytes.iter().position(is_control).unwrap_or(bytes.len());
    }
    let mut len = visible_len(bytes);
    while let Some((b'\t', rest)) = bytes.get(len..).and_then(<[u8]>::split_first) {
        len += 1 + visible_len(rest);
    }
    len
}

/// How many bytes precede the first control character; a tab is one.
fn visible_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let mut len = 0;
    for word in words {
        let word = usize::from_le_bytes(*word);
        let below_space = word.wrapping_sub(LANES * 0x20);
        let delete = (word ^ (LANES * 0x7F)).wrapping_sub(LANES);
        let found = (below_space | delete) & !word & (LANES * 0x80);
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += size_of::<usize>();
    }
    len + visible_len_bytewise(rest)
}

/// `visible_len` for less than a word.
#[cold]
fn visible_len_bytewise(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte < b' ' || byte == 0x7F).unwrap_or(bytes.len())
}

/// Whether a header's value may hold these bytes: no control characters but tabs.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    text_len(bytes) == bytes.len()
}

/// The lines of a head that the inbox holds. Those of a request, and of a response with status 101,
/// have been checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'h> {
    bytes: &'h [u8],
}

impl<'h> Head<'h> {
    /// A header line that is not complete is left out.
    pub(crate) fn new(bytes: &'h [u8]) -> Self {
        let len = bytes.iter().rposition(|&byte| byte == b'\n').map_or(bytes.len(), |last| last + 1);
        Self { bytes: bytes.get(..len).unwrap_or_default() }
    }

    /// Whether it is complete: an empty line ends it.
    pub(crate) fn is_complete(&self) -> bool {
        without_line_end(self.bytes).ends_with(b"\n")
    }

    pub(crate) fn first_line(&self) -> &'h [u8] {
        without_cr(split(self.bytes, b'\n').0)
    }

    /// The names and values of all headers that can be read: their names are tokens, and their
    /// values text in one line. White space before the colon "MUST be removed" from a response
    /// (RFC 9112 section 5.1). A folded header (section 5.2) is left out.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> + use<'h> {
        let mut rest = split(self.bytes, b'\n').1;
        core::iter::from_fn(move || {
            while !rest.is_empty() {
                let (line, after) = split(rest, b'\n');
                rest = after;
                let is_folded = matches!(after, [b' ' | b'\t', ..]);
                if let Some(header) = readable_header(line)
                    && !is_folded
                {
                    return Some(header);
                }
            }
            None
        })
    }

    /// The value of the first header with this name, in a head that has been checked.
    pub(crate) fn first_value(&self, name: HeaderName) -> Option<&'h [u8]> {
        let name = name.as_str().as_bytes();
        let mut rest = self.bytes;
        while !rest.is_empty() {
            let (line, after) = split(rest, b'\n');
            match line.split_at_checked(name.len()) {
                Some((other, [b':', value @ ..])) if eq_ignore_case(other, name) => {
                    return Some(trim(without_cr(value)));
                }
                _ => rest = after,
            }
        }
        None
    }

    /// The values of each header with this name, in order; names are compared without case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.headers()
            .filter(move |(other, _)| eq_ignore_case(other.as_bytes(), name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Where `part`, a slice of this head, begins in it. (A head has at most 65,535 bytes.)
    pub(crate) fn offset_of(&self, part: &[u8]) -> u16 {
        part.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr()) as u16
    }

    /// The first line as text, up to a query and after it: a query may hold secrets.
    fn first_line_without_query(&self) -> (&'h str, &'h str) {
        let (front, query) = split(self.first_line(), b'?');
        let (_, version) = split(query, b' ');
        (core::str::from_utf8(front).unwrap_or_default(), core::str::from_utf8(version).unwrap_or_default())
    }
}

/// Prints the first line without its query, and headers as [`shown_value`] allows.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (front, version) = self.first_line_without_query();
        let separator = if version.is_empty() { "" } else { "?... " };
        let (front, version) = (front.as_bytes().escape_ascii(), version.as_bytes().escape_ascii());
        write!(f, "{front}{separator}{version} ")?;
        fmt_headers(self.headers(), f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Head<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (front, version) = self.first_line_without_query();
        let separator = if version.is_empty() { "" } else { "?... " };
        defmt::write!(f, "{=str}{=str}{=str}", front, separator, version);
        for (name, value) in self.headers() {
            defmt::write!(f, ", {=str}: {=[u8]:a}", name, shown_value(name, value));
        }
    }
}

/// Prints headers as a map, with their values as [`shown_value`] allows.
pub(crate) fn fmt_headers<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let shown = headers.map(|(name, value)| (name, shown_value(name, value).escape_ascii()));
    let mut map = f.debug_map();
    for (name, value) in shown {
        map.entry(&format_args!("{name}"), &format_args!("{value}"));
    }
    map.finish()
}

/// A header's value as `Debug` shows it: `...` unless the header is known to hold no secret.
fn shown_value<'v>(name: &str, value: &'v [u8]) -> &'v [u8] {
    const HARMLESS: &[&str] = &[
        "Host",
        "Origin",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "User-Agent",
        "Server",
        "Date",
        "Allow",
        "Accept",
        "Content-Type",
        "Content-Length",
        "Transfer-Encoding",
    ];
    let harmless = HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless));
    if harmless { value } else { b"..." }
}

/// The headers that a head has had so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderSet(u16);

impl HeaderSet {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) const fn contains(self, header: HeaderName) -> bool {
        self.0 & (1 << header as u16) != 0
    }

    /// Adds a header; returns whether it is new.
    pub(crate) const fn insert(&mut self, header: HeaderName) -> bool {
        let is_new = !self.contains(header);
        self.0 |= 1 << header as u16;
        is_new
    }

    pub(crate) fn first_missing(self, required: &[HeaderName]) -> Option<HeaderName> {
        required.iter().copied().find(|&header| !self.contains(header))
    }
}

/// Parses a header line (RFC 9112 section 5): the name and the value.
#[inline]
pub(crate) fn parse_header(line: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    match line.split_at_checked(name_len(line)) {
        Some((name @ [_, ..], [b':', value @ ..])) => Ok((name, trim(value))),
        _ => Err(header_error(line)),
    }
}

/// How long the token at the front of a header line is.
fn name_len(line: &[u8]) -> usize {
    let mut len = 0;
    // Most names are letters and hyphens: skip those a word at a time, where words are long enough for
    // that to pay.
    if cfg!(target_pointer_width = "64") {
        for word in line.as_chunks().0 {
            let word = usize::from_le_bytes(*word);
            let lower_case = word | (LANES * 0x20);
            let below_a = !lower_case.wrapping_add(LANES * (0x80 - b'a' as usize));
            let above_z = lower_case.wrapping_add(LANES * (0x7F - b'z' as usize));
            let no_hyphen = (word ^ (LANES * b'-' as usize)).wrapping_add(LANES * 0x7F);
            let found = (((below_a | above_z) & no_hyphen) | word) & (LANES * 0x80);
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

/// The error of a header line that does not begin with a token and a colon.
#[cold]
fn header_error(line: &[u8]) -> HeadError {
    match split(line, b':').0 {
        // It continues the line before (obs-fold, RFC 9112 section 5.2).
        _ if matches!(line, [b' ' | b'\t', ..]) => HeadError::Folded,
        name if name.len() == line.len() => HeadError::NoColon,
        [.., b' ' | b'\t'] => HeadError::SpaceBeforeColon,
        _ => HeadError::InvalidName,
    }
}

/// Compares names or tokens without case. Most are equal in case too, so that is tried first.
// For speed on 64-bit only: benches/README.md, "Heads".
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(crate) fn eq_ignore_case(one: &[u8], other: &[u8]) -> bool {
    // 32-bit firmware would link a comparison of slices for it.
    cfg!(target_pointer_width = "64") && one == other
        || one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b || a.eq_ignore_ascii_case(b))
}

/// Whether both are equal. (32-bit firmware would link a comparison of slices for it.)
pub(crate) fn eq(one: &[u8], other: &[u8]) -> bool {
    if cfg!(target_pointer_width = "64") {
        return one == other;
    }
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b)
}

/// Removes the optional white space around a value (RFC 9110 section 5.6.3).
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits at the first `separator`, which is in neither part; without one, the second part is
/// empty.
pub(crate) fn split(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&byte| byte == separator);
    match at.and_then(|at| bytes.split_at_checked(at)) {
        Some((front, [_, rest @ ..])) => (front, rest),
        _ => (bytes, &[]),
    }
}

/// The elements of a comma-separated list; empty ones are ignored (RFC 9110 section 5.6.1).
pub(crate) fn list(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || next_element(&mut value))
}

fn next_element<'v>(value: &mut &'v [u8]) -> Option<&'v [u8]> {
    while !value.is_empty() {
        let (element, rest) = split(value, b',');
        *value = rest;
        if let element @ [_, ..] = trim(element) {
            return Some(element);
        }
    }
    None
}

/// Whether one element of the list is `token`, in any case.
pub(crate) fn contains_token(value: &[u8], token: &str) -> bool {
    // Most lists have one element.
    cfg!(target_pointer_width = "64") && eq_ignore_case(value, token.as_bytes())
        || list(value).any(|element| eq_ignore_case(element, token.as_bytes()))
}

/// The bytes as text, if they are a token (RFC 9110 section 5.6.2).
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    if is_token(bytes) { core::str::from_utf8(bytes).ok() } else { None }
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && is_all(bytes, TOKEN)
}

/// The classes of each byte, a bit for each class: token (RFC 9110 section 5.6.2), host name or
/// IPv4 address (RFC 3986 section 3.2.2), hexadecimal digit, request target, base64 (RFC 4648
/// section 4).
const CLASSES: [u8; CLASSIFIED] = {
    let mut classes = [0; CLASSIFIED];
    let mut slots: &mut [u8] = &mut classes;
    let mut byte = 0_u8;
    while let [slot, rest @ ..] = slots {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let token = alphanumeric
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        let host = token && !matches!(byte, b'#' | b'^' | b'`' | b'|')
            || matches!(byte, b'(' | b')' | b',' | b';' | b'=');
        let target = byte.is_ascii_graphic() && byte != b'#';
        let base64 = alphanumeric || matches!(byte, b'+' | b'/');
        *slot = (TOKEN * token as u8)
            | (HOST * host as u8)
            | (HEX * byte.is_ascii_hexdigit() as u8)
            | (TARGET * target as u8)
            | (BASE64 * base64 as u8);
        slots = rest;
        byte = byte.wrapping_add(1);
    }
    classes
};
/// Bytes beyond ASCII have no class. The table holds them too where speed matters more than its
/// size.
const CLASSIFIED: usize = if cfg!(target_pointer_width = "64") { 256 } else { 128 };
const TOKEN: u8 = 1;
const HOST: u8 = 2;
const HEX: u8 = 4;
/// Visible ASCII without `#`, which begins a fragment.
pub(crate) const TARGET: u8 = 8;
pub(crate) const BASE64: u8 = 16;

/// How many bytes at the front are of a class.
fn span(bytes: &[u8], class: u8) -> usize {
    let mut len = 0;
    for &byte in bytes {
        if !is_in(byte, class) {
            break;
        }
        len += 1;
    }
    len
}

/// Whether all bytes are of a class.
pub(crate) fn is_all(bytes: &[u8], class: u8) -> bool {
    span(bytes, class) == bytes.len()
}

fn is_in(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// Whether `value` follows the grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a list
/// of tokens, each with parameters, whose values are tokens or quoted strings that are tokens once
/// unescaped.
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

/// The rest after an extension with its parameters.
fn after_extension(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = after_token(bytes)?;
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

/// The rest after a token and the white space around it.
fn after_token(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = trim_start(bytes);
    match bytes.split_at_checked(span(bytes, TOKEN))? {
        ([], _) => None,
        (_, rest) => Some(trim_start(rest)),
    }
}

/// The rest after a quoted token, whose opening quotation mark is not in `bytes`, and the white
/// space behind it.
fn after_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'"', after @ ..] if rest.len() < bytes.len() => return Some(trim_start(after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] if is_in(*byte, TOKEN) => after,
            _ => return None,
        };
    }
}

/// The two digits of an HTTP version as one number: 11 for `HTTP/1.1`.
pub(crate) fn http_version(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
            Some((major - b'0') * 10 + (minor - b'0'))
        }
        _ => None,
    }
}

/// Parses `host[:port]` (RFC 3986 section 3.2.2): the length of the host, and the port if one is
/// given.
pub(crate) fn host_and_port(authority: &[u8]) -> Option<(usize, Option<u16>)> {
    // A colon inside brackets belongs to an IPv6 address.
    let (len, rest) = match authority {
        [b'[', inside @ ..] => {
            let (address, rest) = inside.split_at_checked(inside.iter().position(|&byte| byte == b']')?)?;
            if !is_ipv6(address) {
                return None;
            }
            (address.len() + 2, rest.get(1..)?)
        }
        _ => {
            let len = span(authority, HOST);
            (len, if len > 0 { authority.get(len..)? } else { return None })
        }
    };
    match rest {
        [] | [b':'] => Some((len, None)),
        [b':', digits @ ..] => Some((len, Some(parse_decimal(digits)?))),
        _ => None,
    }
}

/// Whether it is an IPv6 address, with or without a zone (RFC 3986 section 3.2.2, RFC 6874). Of an
/// IPv4 address at its end, only the characters are checked. (`core::net` takes 900 bytes of
/// flash.)
fn is_ipv6(text: &[u8]) -> bool {
    let (address, zone) = split(text, b'%');
    let has_zone = address.len() < text.len();
    if has_zone && !is_token(if let [b'2', b'5', zone @ ..] = zone { zone } else { zone }) {
        return false;
    }
    // Colons separate groups of 16 bits. "::" stands for any number of groups.
    let (mut groups, mut gaps, mut colons, mut digits, mut dots) = (0, 0, 0, 0, 0);
    for &byte in address {
        match byte {
            b':' if dots == 0 => {
                digits = 0;
                colons += 1;
                if colons > 1 {
                    gaps += 1;
                }
            }
            b'.' if digits > 0 => (digits, dots) = (1, dots + 1),
            byte if is_in(byte, HEX) && digits < 4 => {
                if digits == 0 {
                    // The address begins with one colon.
                    if groups == 0 && colons == 1 {
                        return false;
                    }
                    groups += 1;
                }
                colons = 0;
                digits += 1;
            }
            _ => return false,
        }
    }
    // An IPv4 address at the end stands for two groups.
    groups += match dots {
        0 => 0,
        3 => 1,
        _ => return false,
    };
    colons != 1 && if gaps == 0 { groups == 8 } else { gaps == 1 && groups < 8 }
}

/// Parses a decimal number.
pub(crate) fn parse_decimal(digits: &[u8]) -> Option<u16> {
    let mut number = 0_u16;
    for digit in digits {
        match digit {
            b'0'..=b'9' => number = number.checked_mul(10)?.checked_add(u16::from(digit - b'0'))?,
            _ => return None,
        }
    }
    Some(number)
}

/// Writes a number in decimal at the end of `digits`, and returns that part. (`core::fmt` takes
/// more flash.)
pub(crate) fn write_decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: S15.
    #[test]
    fn a_search_by_words_equals_a_search_by_bytes() {
        let control = |&byte: &u8| byte < b' ' && byte != b'\t' || byte == 0x7F;
        for pair in 0..=u16::MAX {
            for at in 5..8 {
                let mut bytes = *b"Aa-zZ-Aa-zZ-Aa-zZ";
                bytes[at..at + 2].copy_from_slice(&pair.to_ne_bytes());
                assert_eq!(text_len(&bytes), bytes.iter().position(control).unwrap_or(bytes.len()));
                assert_eq!(name_len(&bytes), span(&bytes, TOKEN));
            }
        }
    }

    /// Proves: N3, N4.
    #[test]
    fn extensions_follow_the_grammar_of_section_9_1() {
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

    /// Proves: S17.
    #[test]
    fn a_token_has_the_characters_of_rfc_9110() {
        for byte in 0..=255_u8 {
            let listed = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_in(byte, TOKEN), listed, "{byte}");
        }
    }

    /// Proves: S15, S17.
    #[test]
    fn a_header_line_is_a_token_a_colon_and_a_value() {
        assert_eq!(parse_header(b"Host: a"), Ok((&b"Host"[..], &b"a"[..])));
        assert_eq!(parse_header(b"X:"), Ok((&b"X"[..], &b""[..])));
        assert_eq!(parse_header(b"X:\t a:b \xFF \t"), Ok((&b"X"[..], &b"a:b \xFF"[..])));
        assert_eq!(parse_header(b"X : a"), Err(HeadError::SpaceBeforeColon));
        assert_eq!(parse_header(b" X: a"), Err(HeadError::Folded));
        assert_eq!(parse_header(b"\tX: a"), Err(HeadError::Folded));
        assert_eq!(parse_header(b"X a"), Err(HeadError::NoColon));
        assert_eq!(parse_header(b": a"), Err(HeadError::InvalidName));
        assert_eq!(parse_header(b"X y: a"), Err(HeadError::InvalidName));
        assert_eq!(parse_header(b"\xC3\xA9: a"), Err(HeadError::InvalidName));
    }

    #[test]
    fn an_authority_is_a_host_and_an_optional_port() {
        for (authority, host, port) in [
            ("a.example", "a.example", None),
            ("a:80", "a", Some(80)),
            ("a:", "a", None),
            ("[::1]", "[::1]", None),
            ("[::1]:9001", "[::1]", Some(9001)),
        ] {
            assert_eq!(host_and_port(authority.as_bytes()), Some((host.len(), port)), "{authority}");
        }
        for invalid in ["", ":80", "a:65536", "a:8x", "a b", "a/b", "a@b", "[]", "[::1", "::1", "a:+8", "é"]
        {
            assert_eq!(host_and_port(invalid.as_bytes()), None, "{invalid}");
        }
    }

    #[test]
    fn a_number_is_written_in_decimal() {
        for (number, text) in [(0, "0"), (7, "7"), (10, "10"), (403, "403"), (4_294_967_295, "4294967295")] {
            assert_eq!(write_decimal(number, &mut [0; 20]), text.as_bytes());
        }
    }
}
