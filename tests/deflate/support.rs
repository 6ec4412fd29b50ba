//! What the tests of compression share: both roles, peers that compress, a slow decompressor as the
//! reference, and streams that are received in slices.

use crate::common::*;
use rand::{RngExt, rngs::StdRng};
use sansocket::deflate::{Compress, Compressor, Deflate, Parameters, Window};
use sansocket::{
    Buffer, Close, Config, ControlPayload, Error, Established, Event, Handler, Message, Part, Piece,
    ProtocolError, Responder, Role, Server, WebSocket,
};
use zlib_rs::{DeflateConfig, DeflateFlush};

/// What the sender of a message cuts off.
pub const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

pub type ServerSide<W = Vec<u8>> = Deflate<Established<Server>, W>;
pub type ClientSide<W = Vec<u8>> = Deflate<Established<TestClient>, W>;

/// A role whose connections are open from the start, with compression.
pub trait Side: Role + Sized {
    type Window: Window;
    /// Whether the frames that it receives are masked.
    const MASKED: bool;
    fn ws(config: Config, parameters: Option<Parameters>, window: Self::Window) -> WebSocket<Self>;
    fn open(config: Config, parameters: Parameters, window: Self::Window) -> Peer<Self> {
        Peer::new(Self::ws(config, Some(parameters), window))
    }
    /// A frame that it receives.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        frame(first, Self::MASKED, payload)
    }
}

impl<W: Window> Side for ServerSide<W> {
    type Window = W;
    const MASKED: bool = true;
    fn ws(config: Config, parameters: Option<Parameters>, window: W) -> WebSocket<Self> {
        Self::open_deflate(config, parameters, window)
    }
}

impl<W: Window> Side for ClientSide<W> {
    type Window = W;
    const MASKED: bool = false;
    fn ws(config: Config, parameters: Option<Parameters>, window: W) -> WebSocket<Self> {
        Self::open_deflate(config, parameters, window)
    }
}

/// The constructors have one name, so that they cannot be called by the name of a type parameter.
trait OpenDeflate: Role + Sized {
    type Window;
    fn open_deflate(config: Config, parameters: Option<Parameters>, window: Self::Window) -> WebSocket<Self>;
}

impl<W: Window> OpenDeflate for ServerSide<W> {
    type Window = W;
    fn open_deflate(config: Config, parameters: Option<Parameters>, window: W) -> WebSocket<Self> {
        WebSocket::<Self>::open_deflate(config, parameters, window).unwrap()
    }
}

impl<W: Window> OpenDeflate for ClientSide<W> {
    type Window = W;
    fn open_deflate(config: Config, parameters: Option<Parameters>, window: W) -> WebSocket<Self> {
        WebSocket::<Self>::open_deflate(config, rng(), parameters, window).unwrap()
    }
}

/// The same in both directions.
pub fn agreed(takeover: bool, window_bits: u8) -> Parameters {
    Parameters {
        server_takeover: takeover,
        client_takeover: takeover,
        server_window_bits: window_bits,
        client_window_bits: window_bits,
    }
}

/// How the machine shows this error, and the Close that follows.
pub fn failure(error: ProtocolError) -> [Seen; 2] {
    [Seen::Error(Error::Protocol(error).to_string()), Seen::Close(1006, String::new(), false)]
}

/// The code in the Close frame that ends what a connection has sent.
pub fn sent_code<R: Side>(sent: &[u8]) -> u16 {
    let code = match R::MASKED {
        // A server: 88 02 and the code.
        true => sent[sent.len() - 2..].try_into().unwrap(),
        false => {
            let [.., a, b, _, _, high, low] = *sent else { panic!("{sent:?}") };
            [high ^ a, low ^ b]
        }
    };
    u16::from_be_bytes(code)
}

/// A peer that compresses with zlib.
pub struct Zlib {
    deflate: zlib_rs::Deflate,
    takeover: bool,
}

impl Zlib {
    pub fn new(level: i32, window_bits: u8, takeover: bool) -> Self {
        let mut config = DeflateConfig::new(level);
        config.window_bits = -i32::from(window_bits);
        config.mem_level = 1 + level % 9;
        Self { deflate: zlib_rs::Deflate::new_with_config(config), takeover }
    }

    pub fn reset(&mut self) {
        self.deflate.reset();
    }

    /// Compresses and flushes.
    pub fn flush(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; data.len() + data.len() / 4 + 300];
        let before = self.deflate.total_out();
        self.deflate.compress(data, &mut out, DeflateFlush::SyncFlush).unwrap();
        out.truncate((self.deflate.total_out() - before) as usize);
        out
    }

    /// The payload of a compressed message.
    pub fn message(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = self.flush(data);
        if !self.takeover {
            self.deflate.reset();
        }
        // It does not flush twice.
        if out.is_empty() {
            return vec![0];
        }
        assert_eq!(out.split_off(out.len() - 4), TAIL);
        out
    }
}

/// A peer that compresses: with zlib, or with the crate's own compressor.
pub enum Sender {
    Zlib(Zlib),
    Own(Box<Compressor<Vec<u16>, Vec<u8>>>, Vec<u32>, u8, bool),
}

impl Sender {
    pub fn random(rng: &mut StdRng, window_bits: u8, takeover: bool) -> Self {
        if window_bits > 8 && rng.random() {
            return Self::Zlib(Zlib::new(rng.random_range(0..=9), window_bits, takeover));
        }
        let history = if takeover { 3 << window_bits >> 1 } else { 0 };
        let compressor = Compressor::with_takeover(vec![0; 512], vec![0; history]);
        let tokens = vec![0; rng.random_range(0..2) * 1000];
        Self::Own(Box::new(compressor), tokens, window_bits, takeover)
    }

    pub fn message(&mut self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Zlib(zlib) => zlib.message(data),
            Self::Own(compressor, tokens, window_bits, takeover) => {
                let mut out = vec![0; compressor.max_len(data.len())];
                let len = compressor.with_codes(tokens).compress(data, *window_bits, &mut out);
                if !*takeover {
                    compressor.reset();
                }
                out.truncate(len);
                assert_eq!(out.split_off(len - 4), TAIL);
                out
            }
        }
    }
}

/// Inflates bit by bit, as RFC 1951 and RFC 7692 say. It shares nothing with the crate.
pub struct Reference {
    pub window: Vec<u8>,
    pub window_bits: u8,
    pub takeover: bool,
    /// The longest message.
    pub max_len: usize,
}

/// Why a message cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Invalid,
    TooBig,
}

struct Source<'s> {
    bytes: &'s [u8],
    bit: usize,
}

impl Source<'_> {
    fn bits(&mut self, count: u32) -> Result<usize, Reason> {
        let mut value = 0;
        for i in 0..count {
            let byte = self.bytes.get(self.bit / 8).ok_or(Reason::Invalid)?;
            value |= (usize::from(*byte) >> (self.bit % 8) & 1) << i;
            self.bit += 1;
        }
        Ok(value)
    }

    fn symbol(&mut self, code: &[(u32, u32, usize)]) -> Result<usize, Reason> {
        let (mut bits, mut len) = (0, 0);
        while len < 15 {
            bits = bits << 1 | self.bits(1)? as u32;
            len += 1;
            if let Some((.., symbol)) = code.iter().find(|entry| (entry.0, entry.1) == (len, bits)) {
                return Ok(*symbol);
            }
        }
        Err(Reason::Invalid)
    }
}

/// The length, the code and the symbol of each code. A code of one bit, or none, is enough if
/// `allows_one`.
fn code(lengths: &[u32], allows_one: bool) -> Result<Vec<(u32, u32, usize)>, Reason> {
    let (mut entries, mut next) = (Vec::new(), 0_u32);
    for len in 1..=15 {
        next <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|(_, other)| **other == len) {
            if next >> len != 0 {
                return Err(Reason::Invalid);
            }
            entries.push((len, next, symbol));
            next += 1;
        }
    }
    let is_complete = next == 1 << 15;
    match entries[..] {
        _ if is_complete => Ok(entries),
        [] | [(1, ..)] if allows_one => Ok(entries),
        _ => Err(Reason::Invalid),
    }
}

impl Reference {
    pub fn new(takeover: bool, window_bits: u8) -> Self {
        Self { window: Vec::new(), window_bits, takeover, max_len: usize::MAX }
    }

    /// The message, or what comes before the error.
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, (Vec<u8>, Reason)> {
        if !self.takeover {
            self.window.clear();
        }
        let start = self.window.len();
        let result = self.inflate(payload, start.saturating_add(self.max_len));
        let message = self.window.split_off(start);
        match result {
            Ok(()) => {
                self.window.extend_from_slice(&message);
                Ok(message)
            }
            Err(reason) => Err((message, reason)),
        }
    }

    fn inflate(&mut self, payload: &[u8], max_len: usize) -> Result<(), Reason> {
        let bytes = [payload, &TAIL].concat();
        let mut source = Source { bytes: &bytes, bit: 0 };
        let out = &mut self.window;
        let push = |out: &mut Vec<u8>, byte| {
            if out.len() == max_len {
                return Err(Reason::TooBig);
            }
            out.push(byte);
            Ok(())
        };
        loop {
            let is_final = source.bits(1)? == 1;
            let kind = source.bits(2)?;
            let (literals, distances) = match kind {
                0 => {
                    source.bit = source.bit.next_multiple_of(8);
                    if source.bit == payload.len() * 8 {
                        return Ok(());
                    }
                    let len = source.bits(16)?;
                    if source.bits(16)? != len ^ 0xFFFF {
                        return Err(Reason::Invalid);
                    }
                    for _ in 0..len {
                        if out.len() == max_len {
                            return Err(Reason::TooBig);
                        }
                        push(out, source.bits(8)? as u8)?;
                    }
                    (Vec::new(), Vec::new())
                }
                1 => {
                    let lengths: Vec<_> = (0..288)
                        .map(|symbol| match symbol {
                            144..256 => 9,
                            256..280 => 7,
                            _ => 8,
                        })
                        .collect();
                    (code(&lengths, false)?, code(&[5; 32], false)?)
                }
                2 => Self::codes(&mut source)?,
                _ => return Err(Reason::Invalid),
            };
            loop {
                if kind == 0 {
                    break;
                }
                let len = match source.symbol(&literals)? {
                    literal @ 0..256 => {
                        push(out, literal as u8)?;
                        continue;
                    }
                    256 => break,
                    symbol @ 257..265 => symbol - 254,
                    285 => 258,
                    symbol @ 265..285 => {
                        let extra = (symbol - 261) / 4;
                        (((symbol - 261) % 4 + 4) << extra) + 3 + source.bits(extra as u32)?
                    }
                    _ => return Err(Reason::Invalid),
                };
                let distance = match source.symbol(&distances)? {
                    symbol @ 0..4 => symbol + 1,
                    symbol @ 4..30 => {
                        let extra = symbol / 2 - 1;
                        ((symbol % 2 + 2) << extra) + 1 + source.bits(extra as u32)?
                    }
                    _ => return Err(Reason::Invalid),
                };
                if distance > 1 << self.window_bits || distance > out.len() {
                    return Err(Reason::Invalid);
                }
                for _ in 0..len {
                    push(out, out[out.len() - distance])?;
                }
            }
            if is_final {
                source.bit = source.bit.next_multiple_of(8);
                if source.bit == payload.len() * 8 {
                    return Ok(());
                }
            } else if source.bit == bytes.len() * 8 {
                return Ok(());
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn codes(source: &mut Source<'_>) -> Result<(Vec<(u32, u32, usize)>, Vec<(u32, u32, usize)>), Reason> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances) = (source.bits(5)? + 257, source.bits(5)? + 1);
        let count = source.bits(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(Reason::Invalid);
        }
        let mut lengths = [0; 19];
        for symbol in &ORDER[..count] {
            lengths[*symbol] = source.bits(3)? as u32;
        }
        let of_lengths = code(&lengths, false)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (len, times) = match source.symbol(&of_lengths)? {
                16 => (*lengths.last().ok_or(Reason::Invalid)?, 3 + source.bits(2)?),
                17 => (0, 3 + source.bits(3)?),
                18 => (0, 11 + source.bits(7)?),
                len => (len as u32, 1),
            };
            lengths.extend(std::iter::repeat_n(len, times));
        }
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return Err(Reason::Invalid);
        }
        let distances = lengths.split_off(literals);
        Ok((code(&lengths, true)?, code(&distances, true)?))
    }
}

/// Bits, the lowest first, as bytes; to write blocks by hand.
#[derive(Clone, Default)]
pub struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    pub fn put(mut self, value: usize, count: u32) -> Self {
        self.bits.extend((0..count).map(|i| value >> i & 1 != 0));
        self
    }

    /// A code: the highest bit first.
    pub fn code(self, value: usize, count: u32) -> Self {
        (0..count).rev().fold(self, |bits, i| bits.put(value >> i & 1, 1))
    }

    /// A literal with the fixed code.
    pub fn literal(self, byte: u8) -> Self {
        match byte {
            0..144 => self.code(0x30 + usize::from(byte), 8),
            _ => self.code(0x190 + usize::from(byte) - 144, 9),
        }
    }

    /// A match of 3 to 10 bytes with the fixed codes.
    pub fn repeat(self, len: usize, distance: usize) -> Self {
        let bits = self.code(len - 2, 7);
        match distance {
            1..=4 => bits.code(distance - 1, 5),
            _ => {
                let extra = (distance - 1).ilog2() - 1;
                let rest = (distance - 1) - (2 << extra);
                bits.code(2 * (extra as usize + 1) + (rest >> extra), 5).put(rest & ((1 << extra) - 1), extra)
            }
        }
    }

    /// The end of a block with the fixed codes.
    pub fn end(self) -> Self {
        self.code(0, 7)
    }

    pub fn align(mut self) -> Self {
        self.bits.resize(self.bits.len().next_multiple_of(8), false);
        self
    }

    pub fn stored(self, is_final: bool, data: &[u8]) -> Self {
        let len = data.len();
        let bits = self.put(is_final.into(), 1).put(0, 2).align().put(len, 16).put(len ^ 0xFFFF, 16);
        data.iter().fold(bits, |bits, byte| bits.put((*byte).into(), 8))
    }

    /// An empty stored block whose last four bytes are cut off.
    pub fn finish(self) -> Vec<u8> {
        self.put(0, 3).bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bits
            .chunks(8)
            .map(|byte| byte.iter().zip(0..).map(|(bit, i)| u8::from(*bit) << i).sum())
            .collect()
    }
}

/// Text that compresses, of about `len` bytes, with characters of one to four bytes.
pub fn text(rng: &mut StdRng, len: usize) -> String {
    const WORDS: [&str; 10] =
        ["{\"id\": ", "temperature", "°C ", "ключ", "値段 ", "😀", ", ", "true}", "the quick ", "\n"];
    let mut text = String::new();
    while text.len() < len {
        text += WORDS[rng.random_range(0..WORDS.len())];
        if rng.random() {
            text += &rng.random_range(0..2000).to_string();
        }
    }
    text
}

/// Bytes of one of several kinds.
pub fn bytes(rng: &mut StdRng, len: usize) -> Vec<u8> {
    match rng.random_range(0..4) {
        0 => text(rng, len).into_bytes(),
        1 => (0..len).map(|_| rng.random()).collect(),
        2 => vec![rng.random(); len],
        _ => {
            let period: Vec<u8> = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
            period.iter().copied().cycle().take(len).collect()
        }
    }
}

/// The positions where a stream is cut, in order.
pub fn cuts(rng: &mut StdRng, len: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = (0..rng.random_range(0..8)).map(|_| rng.random_range(0..=len)).collect();
    cuts.sort_unstable();
    cuts
}

/// How a caller takes the events.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Receive,
    TwoSteps,
    Dispatch,
}

/// The events of `ws`, which receives `stream` in slices that end at `cuts`; and what it has sent.
pub fn run<R: Role>(
    mut ws: WebSocket<R>,
    stream: &[u8],
    cuts: &[usize],
    inbox: &mut dyn Buffer,
    way: Way,
) -> (Vec<Seen>, Vec<u8>) {
    let mut stream = stream.to_vec();
    let (mut seen, mut outbox) = (Vec::new(), Vec::new());
    let (mut start, end) = (0, stream.len());
    for &end in cuts.iter().chain([&end]) {
        let mut input = &mut stream[start..end];
        start = end;
        match way {
            Way::Dispatch => {
                let mut handler = Recorder(&mut seen);
                while ws.dispatch(&mut input, inbox, &mut outbox, &mut handler).unwrap() {}
            }
            Way::Receive => {
                while let Some(event) = ws.receive(&mut input, inbox) {
                    record(&mut seen, &event);
                    ws.transmit(&mut outbox).unwrap();
                }
            }
            Way::TwoSteps => {
                while let Some(ready) = ws.poll(input, inbox) {
                    let (taken, rest) = input.split_at_mut(ready.consumed());
                    input = rest;
                    record(&mut seen, &ws.event(ready, taken, inbox).unwrap());
                    ws.transmit(&mut outbox).unwrap();
                }
                input = &mut [];
            }
        }
        assert!(input.is_empty(), "the slice is used up");
        ws.transmit(&mut outbox).unwrap();
    }
    (seen, outbox)
}

/// Appends an event, or joins a piece.
pub fn record(seen: &mut Vec<Seen>, event: &Event<'_>) {
    if let Event::Piece(Piece { part, last: false, .. }) = event {
        let is_empty = match part {
            Part::Text { lead, text } => lead.is_none() && text.is_empty(),
            Part::Binary(bytes) => bytes.is_empty(),
        };
        assert!(!is_empty, "only the last piece may be empty");
    }
    push(seen, event);
}

struct Recorder<'r>(&'r mut Vec<Seen>);

impl Handler for Recorder<'_> {
    fn on_message(&mut self, message: Message<'_>, _: &mut Responder<'_>) {
        record(self.0, &Event::Message(message));
    }
    fn on_piece(&mut self, piece: &Piece<'_>, _: &mut Responder<'_>) {
        let Piece { part, first, last } = piece;
        let mut copy = Vec::new();
        let part = match part {
            Part::Text { lead, text } => Part::Text { lead: *lead, text },
            Part::Binary(bytes) => {
                copy.extend_from_slice(bytes);
                Part::Binary(&mut copy)
            }
        };
        record(self.0, &Event::Piece(Piece { part, first: *first, last: *last }));
    }
    fn on_ping(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        record(self.0, &Event::Ping(payload.clone()));
    }
    fn on_pong(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        record(self.0, &Event::Pong(payload.clone()));
    }
    fn on_error(&mut self, error: Error) {
        record(self.0, &Event::Error(error));
    }
    fn on_close(&mut self, close: &Close) {
        record(self.0, &Event::Close(close.clone()));
    }
}

/// A buffer with only the required methods of `Buffer`.
pub struct Plain {
    pub bytes: Vec<u8>,
    pub capacity: usize,
}

impl Plain {
    pub fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), capacity }
    }
}

impl Buffer for Plain {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn remaining(&self) -> usize {
        self.capacity - self.bytes.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining());
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// A buffer whose capacity is chosen at run time, which checks what it is asked.
pub struct Bounded {
    pub bytes: Vec<u8>,
    pub capacity: usize,
}

impl Bounded {
    pub fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), capacity }
    }
}

impl Buffer for Bounded {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn remaining(&self) -> usize {
        self.capacity - self.bytes.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining());
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    fn truncate(&mut self, len: usize) {
        assert!(len <= self.bytes.len());
        self.bytes.truncate(len);
    }
    fn grow(&mut self, len: usize) -> bool {
        assert!(len <= self.remaining());
        self.bytes.resize(self.bytes.len() + len, 0xA5);
        true
    }
}
