//! Inflate (RFC 1951): compressed bytes to bytes, with the input and the output cut anywhere.

mod bits;
mod codes;
#[cfg(target_pointer_width = "64")]
mod fast;
mod lengths;
#[cfg(not(target_pointer_width = "64"))]
mod narrow;
mod output;
mod symbols;
#[cfg(target_pointer_width = "64")]
mod wide;

pub(super) use codes::Tables;

use super::window::{History, MAX_BITS, Window};
use bits::{Bits, Hold};
use codes::{BlockCodes, Entries};
use core::fmt;
use core::ops::ControlFlow::{self, Break, Continue};
use lengths::{Lengths, bytes_for};
use output::Output;
use symbols::{CODE_LENGTHS, DISTANCES, END_OF_BLOCK, LITERALS, Number, Symbol};

/// Why [`Inflater::inflate`] has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All input is taken.
    InputUsed,
    /// The output is full, and at least one more byte is to be written.
    OutputFull,
    /// The input is not DEFLATE, or refers to bytes before the window. Later calls return the same.
    Invalid,
}

/// What a sender cuts off the end of a message (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Inflates the messages of one direction of a connection.
#[derive(Clone)]
pub struct Inflater<W> {
    window: W,
    history: History,
    decoder: Decoder,
}

/// Hides the window, which holds messages.
impl<W> fmt::Debug for Inflater<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("history", &self.history)
            .field("step", &self.decoder.step)
            .finish_non_exhaustive()
    }
}

impl<W: Window> Inflater<W> {
    /// At the beginning of the first message, with an empty window.
    pub const fn new(window: W) -> Self {
        Self { window, history: History::new(), decoder: Decoder::new() }
    }

    /// The largest window that its memory holds: 8 to 15, or 0 for none.
    pub fn max_window_bits(&self) -> u8 {
        self.window.max_bits()
    }

    /// Takes bytes from the front of `input`, and writes to `out` from `pos` on. `out[..pos]` is
    /// what was written before; the window lies before it. No distance may be larger than
    /// 2^`window_bits`, which is the same in all calls. `pos` moves behind the bytes written; bytes
    /// of `out` behind it can have changed.
    ///
    /// After [`Status::OutputFull`], `input` begins with the first byte that is not taken. The next
    /// call needs a longer `out`, with the same bytes in front; or a new one, with a `pos` of 0,
    /// after the old bytes were passed to [`remember`](Self::remember).
    pub fn inflate(&mut self, window_bits: u8, input: &mut &[u8], out: &mut [u8], pos: &mut usize) -> Status {
        let window_bits = window_bits.min(MAX_BITS);
        let ring_bits = window_bits.min(self.window.max_bits());
        let (memory, tables) = self.window.parts();
        let ring = self.history.ring(memory, ring_bits);
        let mut output = Output { ring, len: (*pos).min(out.len()), bytes: out, window: 1 << window_bits };
        let mut bits = Bits { hold: self.decoder.hold, len: u32::from(self.decoder.hold_len), input };
        let status = self.decoder.run(tables, &mut bits, &mut output);
        self.decoder.hold = bits.hold;
        // Less than 64.
        self.decoder.hold_len = bits.len as u8;
        *input = bits.input;
        *pos = output.len;
        status
    }

    /// The end of a message: what its sender has cut off (RFC 7692 section 7.2.2). To be called
    /// after [`inflate`](Self::inflate) has returned [`Status::InputUsed`], and again after
    /// [`Status::OutputFull`], with an `out` as for `inflate`. [`Status::InputUsed`] is the end:
    /// the next input is that of the next message.
    pub fn finish(&mut self, window_bits: u8, out: &mut [u8], pos: &mut usize) -> Status {
        if self.decoder.ends_without_tail() {
            self.decoder.step = Step::BlockHeader;
            return Status::InputUsed;
        }
        let mut tail = TAIL.get(usize::from(self.decoder.tail)..).unwrap_or_default();
        match self.inflate(window_bits, &mut tail, out, pos) {
            Status::InputUsed if self.decoder.step == Step::BlockHeader && self.decoder.hold_len == 0 => {
                self.decoder.tail = 0;
                Status::InputUsed
            }
            Status::OutputFull => {
                // At most four.
                self.decoder.tail = (TAIL.len() - tail.len()) as u8;
                Status::OutputFull
            }
            _ => {
                self.decoder.step = Step::Invalid;
                Status::Invalid
            }
        }
    }

    /// Appends bytes to the window, which keeps the last 2^`window_bits` at most: those of a
    /// message, or the first part of one, in the order in which they were written.
    pub fn remember(&mut self, bytes: &[u8], window_bits: u8) {
        self.history.append(&mut self.window, bytes, window_bits);
    }

    /// Empties the window.
    pub fn forget(&mut self) {
        self.history = History::new();
    }
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Three bits.
    BlockHeader,
    /// The length of a stored block (RFC 1951 section 3.2.4).
    StoredLength,
    /// The same, inverted.
    StoredCheck { len: u16 },
    /// The bytes of a stored block.
    Stored { left: u16 },
    /// The numbers of codes of a block with dynamic codes (section 3.2.7).
    Counts,
    /// The lengths of the codes of code lengths.
    CodeLengths { counts: Counts, count: u8, read: u8 },
    /// The lengths of the codes.
    Lengths { counts: Counts, read: u16 },
    /// A literal or length, or the end of the block.
    Symbol,
    /// The distance of a match.
    Distance { length: u16 },
    /// The extra bits of the distance.
    DistanceBits { length: u16, base: u16, extra: u8 },
    /// The bytes of a match for which there was no room.
    Match { length: u16, distance: u16 },
    /// After a block with BFINAL: a block at the next byte, or the end of the message (RFC 7692
    /// section 7.2.3.4).
    AfterFinal,
    /// The input was invalid.
    Invalid,
}

/// The numbers of codes of a block with dynamic codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// Of literals and lengths: 257 to 286.
    literals: u16,
    /// Of distances: 1 to 30.
    distances: u8,
}

/// The state of the decompression, but for the window.
#[derive(Clone, Debug)]
struct Decoder {
    /// The bits that are taken and not used; zero above the lowest `hold_len`.
    hold: Hold,
    hold_len: u8,
    step: Step,
    /// The block is the last one: BFINAL.
    is_final: bool,
    /// The block has dynamic codes.
    is_dynamic: bool,
    /// The tables that the window's memory provides are those of the block.
    has_tables: bool,
    /// The bytes of `TAIL` that are taken.
    tail: u8,
    /// The lengths of the codes of code lengths.
    code_lengths: Lengths<{ bytes_for(CODE_LENGTHS) }>,
    /// The lengths of the codes of a block with dynamic codes.
    literals: Lengths<{ bytes_for(LITERALS) }>,
    distances: Lengths<{ bytes_for(DISTANCES) }>,
}

impl Decoder {
    const fn new() -> Self {
        Self {
            hold: 0,
            hold_len: 0,
            step: Step::BlockHeader,
            is_final: false,
            is_dynamic: false,
            has_tables: false,
            tail: 0,
            code_lengths: Lengths::new(),
            literals: Lengths::new(),
            distances: Lengths::new(),
        }
    }

    /// Whether what the sender has cut off is exactly the rest of an empty stored block, or
    /// nothing, after a block with BFINAL. None of it is taken yet.
    fn ends_without_tail(&self) -> bool {
        self.tail == 0 && self.hold_len == 0 && matches!(self.step, Step::StoredLength | Step::AfterFinal)
    }

    /// Decodes until it stops.
    fn run(
        &mut self,
        mut tables: Option<&mut Tables>,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
    ) -> Status {
        loop {
            let flow = match self.step {
                Step::BlockHeader => self.block_header(bits),
                Step::AfterFinal => self.after_final(bits),
                Step::StoredLength => self.stored_length(bits),
                Step::StoredCheck { len } => self.stored_check(len, bits),
                Step::Stored { left } => self.stored(left, bits, output),
                Step::Counts => self.counts(bits),
                Step::CodeLengths { counts, count, read } => self.code_lengths(counts, count, read, bits),
                Step::Invalid => Break(Status::Invalid),
                _ if !self.is_dynamic => self.symbols(BlockCodes::FIXED, bits, output),
                _ => match &mut tables {
                    Some(tables) => self.dynamic(tables, bits, output),
                    None => self.dynamic_on_stack(bits, output),
                },
            };
            if let Break(status) = flow {
                if status == Status::Invalid {
                    self.step = Step::Invalid;
                }
                return status;
            }
        }
    }

    /// The header of a block (RFC 1951 section 3.2.3).
    fn block_header(&mut self, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        let header = bits.take(3)?;
        self.is_final = header & 1 != 0;
        self.is_dynamic = header >> 1 == 2;
        self.has_tables = false;
        self.step = match header >> 1 {
            0 => {
                bits.align();
                Step::StoredLength
            }
            1 => Step::Symbol,
            2 => Step::Counts,
            _ => return Break(Status::Invalid),
        };
        Continue(())
    }

    fn block_end(&mut self, bits: &mut Bits<'_>) {
        self.step = Step::BlockHeader;
        if self.is_final {
            bits.align();
            self.step = Step::AfterFinal;
        }
    }

    fn after_final(&mut self, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        bits.look_ahead(8);
        bits.check(8)?;
        self.step = Step::BlockHeader;
        Continue(())
    }

    fn stored_length(&mut self, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        self.step = Step::StoredCheck { len: bits.take(16)? };
        Continue(())
    }

    fn stored_check(&mut self, len: u16, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        if bits.take(16)? != !len {
            return Break(Status::Invalid);
        }
        self.step = Step::Stored { left: len };
        Continue(())
    }

    fn stored(&mut self, mut left: u16, bits: &mut Bits<'_>, output: &mut Output<'_>) -> ControlFlow<Status> {
        while left > 0 {
            self.step = Step::Stored { left };
            if output.len == output.bytes.len() {
                return Break(Status::OutputFull);
            }
            match bits.take_held_byte() {
                Some(byte) => {
                    let _ = output.push(byte);
                    left -= 1;
                }
                None if bits.input.is_empty() => return Break(Status::InputUsed),
                None => left -= output.append(&mut bits.input, left),
            }
        }
        self.block_end(bits);
        Continue(())
    }

    fn counts(&mut self, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        let fields = bits.take(14)?;
        // At most 32 and 19.
        let counts = Counts { literals: 257 + (fields & 31), distances: 1 + (fields >> 5 & 31) as u8 };
        let count = 4 + (fields >> 10) as u8;
        if usize::from(counts.literals) > LITERALS || usize::from(counts.distances) > DISTANCES {
            return Break(Status::Invalid);
        }
        self.code_lengths = Lengths::new();
        self.step = Step::CodeLengths { counts, count, read: 0 };
        Continue(())
    }

    /// The lengths of the codes of code lengths: the first `count`, of which `read` are read.
    fn code_lengths(
        &mut self,
        counts: Counts,
        count: u8,
        read: u8,
        bits: &mut Bits<'_>,
    ) -> ControlFlow<Status> {
        /// The order in which they are sent.
        const ORDER: [u8; CODE_LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        for (symbol, read) in ORDER.iter().zip(0..count).skip(usize::from(read)) {
            self.step = Step::CodeLengths { counts, count, read };
            // At most 7.
            self.code_lengths.set(u16::from(*symbol), bits.take(3)? as u8);
        }
        self.literals = Lengths::new();
        self.distances = Lengths::new();
        self.step = Step::Lengths { counts, read: 0 };
        Continue(())
    }

    /// The rest of a block with dynamic codes, with tables on the stack.
    // Outlined, so that other blocks do without their memory: benches/README.md, "Inflate".
    #[inline(never)]
    fn dynamic_on_stack(&mut self, bits: &mut Bits<'_>, output: &mut Output<'_>) -> ControlFlow<Status> {
        self.has_tables = false;
        self.dynamic(&mut Tables::new(), bits, output)
    }

    /// The rest of a block with dynamic codes, from the lengths of the codes on.
    fn dynamic(
        &mut self,
        tables: &mut Tables,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
    ) -> ControlFlow<Status> {
        if let Step::Lengths { counts, read } = self.step {
            self.lengths(counts, read, tables, bits)?;
            self.step = Step::Symbol;
            self.has_tables = false;
        }
        if !self.has_tables {
            if self.build(tables).is_none() {
                return Break(Status::Invalid);
            }
            self.has_tables = true;
        }
        self.symbols(BlockCodes::dynamic(tables), bits, output)
    }

    /// The lengths of the codes, of which `read` are read (RFC 1951 section 3.2.7).
    fn lengths(
        &mut self,
        counts: Counts,
        mut read: u16,
        tables: &mut Tables,
        bits: &mut Bits<'_>,
    ) -> ControlFlow<Status> {
        if tables.literals.build(self.code_lengths.bytes(), Entries::CODE_LENGTHS, false).is_none() {
            return Break(Status::Invalid);
        }
        let literals = counts.literals;
        let total = literals + u16::from(counts.distances);
        while read < total {
            self.step = Step::Lengths { counts, read };
            // A code of at most 7 bits, and 7 extra bits.
            bits.look_ahead(14);
            let entry = tables.literals.entry(bits.hold, Entries::CODE_LENGTHS);
            let (symbol, len) = (entry.code_length(), entry.len());
            let (extra, base) = match symbol {
                0..16 => (0, 1),
                16 => (2, 3),
                17 => (3, 3),
                _ => (7, 11),
            };
            bits.check(len + extra)?;
            bits.remove(len);
            let times = base + bits.take(extra)?;
            let length = match symbol {
                0..16 => symbol,
                16 => match read.checked_sub(1) {
                    Some(last) if last < literals => self.literals.get(last),
                    Some(last) => self.distances.get(last - literals),
                    None => return Break(Status::Invalid),
                },
                _ => 0,
            };
            if times > total - read {
                return Break(Status::Invalid);
            }
            // They are zero until they are set.
            if length != 0 {
                for symbol in read..read + times {
                    match symbol.checked_sub(literals) {
                        None => self.literals.set(symbol, length),
                        Some(symbol) => self.distances.set(symbol, length),
                    }
                }
            }
            read += times;
        }
        Continue(())
    }

    /// Builds the tables of the block. `None` if there are no such codes.
    fn build(&self, tables: &mut Tables) -> Option<()> {
        if self.literals.get(END_OF_BLOCK) == 0 {
            return None;
        }
        tables.literals.build(self.literals.bytes(), Entries::LITERALS, true)?;
        tables.distances.build(self.distances.bytes(), Entries::DISTANCES, true)
    }

    /// Literals and matches, up to the end of the block.
    fn symbols(
        &mut self,
        codes: BlockCodes<'_>,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
    ) -> ControlFlow<Status> {
        loop {
            match self.step {
                Step::Distance { length } => self.distance(length, codes, bits)?,
                Step::DistanceBits { length, base, extra } => {
                    self.distance_bits(length, base, extra, bits, output)?
                }
                Step::Match { length, distance } => self.copy(length, distance, output)?,
                _ => {
                    codes.decode(bits, output);
                    if self.symbol(codes, bits, output)? {
                        self.block_end(bits);
                        return Continue(());
                    }
                }
            }
        }
    }

    /// A literal, or a length; or the end of the block: `true`.
    fn symbol(
        &mut self,
        codes: BlockCodes<'_>,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
    ) -> ControlFlow<Status, bool> {
        // A code of at most 15 bits, and 5 extra bits.
        bits.look_ahead(20);
        let entry = codes.literal(bits.hold);
        let len = entry.len();
        bits.check(len)?;
        match entry.symbol() {
            Symbol::Literal(byte) => {
                if output.push(byte).is_none() {
                    return Break(Status::OutputFull);
                }
                bits.remove(len);
            }
            Symbol::Length(Number { base, extra }) => {
                bits.check(len + u32::from(extra))?;
                bits.remove(len);
                self.step = Step::Distance { length: base + bits.take(u32::from(extra))? };
            }
            Symbol::EndOfBlock => {
                bits.remove(len);
                return Continue(true);
            }
            Symbol::Invalid => return Break(Status::Invalid),
        }
        Continue(false)
    }

    fn distance(&mut self, length: u16, codes: BlockCodes<'_>, bits: &mut Bits<'_>) -> ControlFlow<Status> {
        bits.look_ahead(15);
        let entry = codes.distance(bits.hold);
        bits.check(entry.len())?;
        let Some(Number { base, extra }) = entry.distance() else { return Break(Status::Invalid) };
        bits.remove(entry.len());
        self.step = Step::DistanceBits { length, base, extra };
        Continue(())
    }

    fn distance_bits(
        &mut self,
        length: u16,
        base: u16,
        extra: u8,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
    ) -> ControlFlow<Status> {
        let distance = base + bits.take(u32::from(extra))?;
        if !output.reaches(usize::from(distance)) {
            return Break(Status::Invalid);
        }
        self.copy(length, distance, output)
    }

    fn copy(&mut self, length: u16, distance: u16, output: &mut Output<'_>) -> ControlFlow<Status> {
        match output.copy(usize::from(distance), length) {
            0 => {
                self.step = Step::Symbol;
                Continue(())
            }
            length => {
                self.step = Step::Match { length, distance };
                Break(Status::OutputFull)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::WithTables;
    use super::*;
    use std::vec::Vec;

    /// Inflates a message; `None` if it is invalid.
    fn inflate<W: Window>(inflater: &mut Inflater<W>, mut payload: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut pos) = ([0; 600], 0);
        if inflater.inflate(15, &mut payload, &mut out, &mut pos) != Status::InputUsed
            || inflater.finish(15, &mut out, &mut pos) != Status::InputUsed
        {
            return None;
        }
        inflater.remember(&out[..pos], 15);
        Some(out[..pos].to_vec())
    }

    /// The examples of RFC 7692 section 7.2.3.
    ///
    /// Proves: Z22, Z23, Z25.
    #[test]
    fn the_examples_of_the_rfc_are_inflated() {
        let inflater = || Inflater::new([0; 32768]);
        let hello: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let again: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];
        let stored: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let is_final: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two_blocks: &[u8] =
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        for payloads in
            [&[hello, again][..], &[stored, again], &[is_final, again], &[two_blocks, hello, again]]
        {
            let mut inflater = inflater();
            for payload in payloads {
                assert_eq!(inflate(&mut inflater, payload).as_deref(), Some(&b"Hello"[..]), "{payload:x?}");
            }
        }
    }

    /// Proves: Z25.
    #[test]
    fn empty_messages_are_inflated() {
        let mut inflater = Inflater::new([0; 256]);
        let stored_final = [1, 0, 0, 0xff, 0xff];
        for payload in
            [&[0][..], &[2, 0], &[3, 0], &[3, 0, 0], &stored_final, &[1, 0, 0, 0xff, 0xff, 0], &[0]]
        {
            assert_eq!(inflate(&mut inflater, payload), Some(Vec::new()), "{payload:x?}");
        }
    }

    /// Proves: Z21, Z25.
    #[test]
    fn blocks_follow_a_final_block_at_the_next_byte() {
        let is_final = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let again = [0xf3, 0x00, 0x11, 0x00];
        for tail in [&[][..], &[0], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
            let payload = [&is_final[..], &again, &again, tail].concat();
            let expected = "Hello".repeat(if tail.len() > 1 { 4 } else { 3 });
            for cut in 0..payload.len() {
                let mut inflater = Inflater::new(());
                let (mut out, mut pos) = ([0; 40], 0);
                let (mut first, rest) = payload.split_at(cut);
                assert_eq!(inflater.inflate(15, &mut first, &mut out, &mut pos), Status::InputUsed);
                assert_eq!(inflater.inflate(15, &mut &*rest, &mut out, &mut pos), Status::InputUsed);
                assert_eq!(inflater.finish(15, &mut out, &mut pos), Status::InputUsed);
                assert_eq!(&out[..pos], expected.as_bytes());
            }
        }
    }

    #[test]
    fn a_message_needs_a_byte_and_must_end_at_a_block() {
        for payload in
            [&[][..], &[0xf2], &[0xf2, 0x48, 0xcd, 0xc9], &[0, 5, 0, 0xfa, 0xff, 1, 2], &[0, 0], &[4]]
        {
            let mut inflater = Inflater::new(());
            assert_eq!(inflate(&mut inflater, &[0]), Some(Vec::new()));
            assert_eq!(inflate(&mut inflater, payload), None, "{payload:x?}");
            assert_eq!(inflate(&mut inflater, &[0]), None, "it stays invalid");
        }
    }

    /// A stored block whose bytes are the tail: the verdict does not depend on the size of the
    /// output.
    #[test]
    fn a_resumed_end_takes_the_rest_of_the_tail() {
        for (first, verdict) in [(0, Status::InputUsed), (1, Status::Invalid)] {
            for room in 0..=4 {
                let (mut inflater, mut out, mut pos) = (Inflater::new(()), [0; 4], 0);
                let mut input = &[first, 4, 0, 0xfb, 0xff][..];
                assert_eq!(inflater.inflate(15, &mut input, &mut out, &mut pos), Status::InputUsed);
                let mut status = inflater.finish(15, &mut out[..room], &mut pos);
                if room < 4 {
                    assert_eq!((status, pos), (Status::OutputFull, room));
                    // A caller can go on with either call.
                    status = inflater.clone().finish(15, &mut out, &mut { pos });
                    assert_eq!(status, verdict);
                    assert_eq!(inflater.inflate(15, &mut &[][..], &mut out, &mut pos), Status::InputUsed);
                    status = inflater.finish(15, &mut out, &mut pos);
                }
                assert_eq!(status, verdict);
            }
        }
    }

    #[test]
    fn full_is_reported_only_for_one_more_byte() {
        // "Hello", then empty blocks of each kind.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let payload = [&hello[..], &TAIL, &[2, 0], &TAIL, &[0]].concat();
        let run = |out: &mut [u8]| {
            let (mut inflater, mut input, mut pos) = (Inflater::new(()), &payload[..], 0);
            (inflater.inflate(15, &mut input, out, &mut pos), pos, input.is_empty())
        };
        assert_eq!(run(&mut [0; 5]), (Status::InputUsed, 5, true));
        assert_eq!(run(&mut [0; 4]).0, Status::OutputFull);
        assert_eq!(run(&mut []).0, Status::OutputFull);
    }

    /// Proves: Z24, Z28.
    #[test]
    fn a_distance_reaches_as_far_as_the_window_and_no_further() {
        /// A stored block of `len` bytes, and a match of three at a distance from 193 to 384.
        fn payloads(len: u16, distance: u16) -> (Vec<u8>, Vec<u8>) {
            let [low, high] = len.to_le_bytes();
            let mut first = std::vec![0, low, high, !low, !high];
            first.extend((0..len).map(|i| i as u8));
            first.push(0);
            let (symbol, base, extra) = if distance <= 256 { (15_u8, 193, 6) } else { (16, 257, 7) };
            let fields = [
                (2, 3),
                (0x40, 7),
                (u64::from(symbol.reverse_bits() >> 3), 5),
                (u64::from(distance - base), extra),
            ];
            let (mut bits, mut count) = (0, 0);
            for (value, len) in fields {
                bits |= value << count;
                count += len;
            }
            // The end of the block, and the header of an empty one.
            (first, bits.to_le_bytes()[..(count + 10_usize).div_ceil(8)].to_vec())
        }
        let accepts = |window_bits, len, distance, forget| {
            let (first, second) = payloads(len, distance);
            let mut inflater = Inflater::new([0; 600]);
            let (mut out, mut pos) = ([0; 600], 0);
            inflater.inflate(window_bits, &mut &first[..], &mut out, &mut pos);
            assert_eq!(inflater.finish(window_bits, &mut out, &mut pos), Status::InputUsed);
            let start = pos;
            // With the bytes in front of the output, and with the bytes in the window.
            let status = inflater.clone().inflate(window_bits, &mut &second[..], &mut out, &mut pos);
            let (bytes, mut beside) = ([out[pos - 3], out[pos - 2], out[pos - 1]], [0; 3]);
            inflater.remember(&out[..start], window_bits);
            if forget {
                inflater.forget();
            }
            pos = 0;
            assert!(
                forget || inflater.inflate(window_bits, &mut &second[..], &mut beside, &mut pos) == status
            );
            if forget {
                return inflater.inflate(window_bits, &mut &second[..], &mut beside, &mut pos)
                    == Status::InputUsed;
            }
            assert!(status != Status::InputUsed || bytes == beside);
            status == Status::InputUsed
        };
        assert!(accepts(8, 300, 256, false));
        assert!(!accepts(8, 300, 257, false));
        assert!(accepts(9, 300, 257, false));
        assert!(accepts(9, 300, 300, false));
        assert!(!accepts(9, 300, 301, false));
        assert!(accepts(15, 300, 300, false));
        assert!(!accepts(15, 300, 200, true));
    }

    #[test]
    fn the_state_is_small() {
        assert!(size_of::<Inflater<()>>() <= if cfg!(target_pointer_width = "64") { 216 } else { 200 });
        let tables = size_of::<Inflater<WithTables<()>>>() - size_of::<Inflater<()>>();
        assert!(tables <= if cfg!(target_pointer_width = "64") { 6144 } else { 1024 });
    }
}
