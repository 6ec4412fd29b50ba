//! Compressed messages (permessage-deflate, RFC 7692), at the server's side: receiving what a browser
//! sends, sending, and echoing; and the memory of a connection.
//!
//! The received messages are compressed by zlib-rs as browsers do: level 6, a window of 2^15 bytes,
//! `memLevel` 8. All windows have 2^15 bytes. Everything else is as in the other rows: every message
//! is checked before times are measured, those that are sent with zlib-rs's decompressor.
//!
//! soketto is left out: its compression links the C zlib, which the other peers would use then too.
//! The remaining peers have no compression.

use crate::{
    corpus,
    heap::counted,
    measure::{Effort, Job, Measured, time},
    peers::{Bench, sockudo, wtx, yawc},
    report::{compiler, processor, short},
    sansocket::compressed as own,
    wire::{Kept, READ, Wire},
    work::{self, Message, Role},
};
use bytes::Bytes;
use sansocket::deflate::{Best, Better};
use std::{fmt::Write, sync::Arc};

/// What is done with the messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    Receive,
    Send,
    Echo,
}

/// The work of one contender in one row.
pub struct Case {
    pub work: Work,
    /// Whether messages refer to earlier ones, in both directions.
    pub takeover: bool,
    /// What the client sends.
    pub wire: Wire,
    /// The text messages that are received, or sent.
    pub messages: Arc<[Bytes]>,
}

/// A way to do the work; `None` if it is not supported.
type Contender = (&'static str, fn(Case) -> Option<Box<dyn Bench>>);

/// Those of this crate are compared with one of the peers each: see [`PAIRS`].
const CONTENDERS: [Contender; 7] = [
    ("sansocket `Fast`", own::fast),
    ("sansocket `Better`, `with_codes`", |case| own::with_codes(case, Better, 8 * 1024)),
    ("sansocket `Best`, `with_codes`", |case| own::with_codes(case, Best, 32 * 1024)),
    ("sockudo-ws 1", |case| sockudo::compressed(case, 1)),
    ("sockudo-ws 6", |case| sockudo::compressed(case, 6)),
    ("yawc 1", yawc::compressed),
    ("wtx 1", wtx::compressed),
];
/// This crate's and the peer's that it is compared with.
const PAIRS: [[usize; 2]; 3] = [[0, 3], [1, 4], [2, 4]];

/// Without context takeover, a message is decompressed by itself.
const TAIL: &[u8] = &[0, 0, 0xFF, 0xFF];

struct Row {
    name: String,
    work: Work,
    takeover: bool,
    messages: Arc<[Bytes]>,
    /// The client's frames.
    stream: Arc<[u8]>,
}

impl Row {
    /// All rows; with a part of the messages if they are only checked.
    fn all(test: bool) -> Vec<Self> {
        let part = |messages: Vec<String>| -> Arc<[Bytes]> {
            let count = if test { messages.len() / 20 } else { messages.len() };
            messages.into_iter().take(count).map(Bytes::from).collect()
        };
        let corpora = [
            ("105 B", part(corpus::telemetry(1000, 125))),
            ("994 B", part(corpus::telemetry(1000, 1024))),
            ("16 KiB", part(corpus::feed(60, 16 * 1024))),
        ];
        let mut rows = Vec::new();
        for work in [Work::Receive, Work::Send, Work::Echo] {
            for (name, messages) in &corpora {
                for takeover in [true, false] {
                    let takeover_name = if takeover { "T" } else { "N" };
                    let name = format!("{} {name} {takeover_name}", format!("{work:?}").to_lowercase());
                    rows.push(Self {
                        name,
                        work,
                        takeover,
                        messages: messages.clone(),
                        stream: stream(messages, takeover),
                    });
                }
            }
        }
        rows
    }

    fn case(&self) -> Case {
        let Self { work, takeover, .. } = *self;
        let wire = Wire::again(self.stream.clone(), READ);
        Case { work, takeover, wire, messages: self.messages.clone() }
    }

    /// The bench of a contender, whose messages are checked, and the bytes that it sends for each
    /// message.
    fn prepare(&self, (name, contender): Contender) -> Option<(Job, f64)> {
        let name = format!("{name}: {}", self.name);
        let expected: Vec<Message> =
            self.messages.iter().map(|text| Message { text: true, payload: text.to_vec() }).collect();
        let mut case = self.case();
        let kept = case.wire.keep();
        let mut bench = contender(case)?;
        let mut decompressor = Decompressor::new(self.takeover);
        // The second pass shows that the first left no state behind.
        let mut sent = 0;
        for _ in 0..2 {
            kept.lock().unwrap().clear();
            let received = bench.received();
            let messages = if self.work == Work::Receive { received } else { decompressor.messages(&kept) };
            assert!(messages == expected, "{name}: the messages differ from the originals");
            sent = kept.lock().unwrap().len();
        }
        let count = self.messages.len();
        Some((Job { bench: contender(self.case())?, count }, sent as f64 / count as f64))
    }

    fn payload(&self) -> f64 {
        self.messages.iter().map(Bytes::len).sum::<usize>() as f64 / self.messages.len() as f64
    }
}

/// The frames of a client.
fn stream(messages: &[Bytes], takeover: bool) -> Arc<[u8]> {
    let mut config = zlib_rs::DeflateConfig::default();
    (config.level, config.window_bits, config.mem_level) = (6, -15, 8);
    let mut deflate = zlib_rs::Deflate::new_with_config(config);
    let (mut frames, mut key) = (Vec::new(), 0x9E37_79B9_u32);
    for message in messages {
        if !takeover {
            deflate.reset();
        }
        let mut compressed = vec![0; message.len() + message.len() / 4 + 64];
        let before = deflate.total_out();
        deflate.compress(message, &mut compressed, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        compressed.truncate((deflate.total_out() - before) as usize);
        let payload = compressed.strip_suffix(TAIL).unwrap();
        key = key.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        work::frame(&mut frames, 0xC1, Some(key.to_le_bytes()), payload);
    }
    frames.into()
}

/// Decompresses what a server has sent.
struct Decompressor {
    inflate: zlib_rs::Inflate,
    takeover: bool,
}

impl Decompressor {
    fn new(takeover: bool) -> Self {
        Self { inflate: zlib_rs::Inflate::new(false, 15), takeover }
    }

    fn messages(&mut self, kept: &Kept) -> Vec<Message> {
        work::messages_with(&kept.lock().unwrap(), Role::Server, |mut payload| {
            if !self.takeover {
                self.inflate.reset(false);
            }
            payload.extend(TAIL);
            let mut message = vec![0; 32 * 1024];
            let before = self.inflate.total_out();
            let flush = zlib_rs::InflateFlush::SyncFlush;
            self.inflate.decompress(&payload, &mut message, flush).map_err(|error| format!("{error:?}"))?;
            message.truncate((self.inflate.total_out() - before) as usize);
            Ok(message)
        })
        .unwrap()
    }
}

/// Checks all rows whose names are `chosen`, and times them unless there are no rounds. Prints the
/// table, and returns it.
pub fn table(effort: &Effort, chosen: impl Fn(&str) -> bool) -> String {
    let names = CONTENDERS.map(|(name, _)| name);
    let mut text = format!(
        "# Compressed messages beside other implementations\n\nWritten by `cargo run --release \
        --manifest-path benches/peers/Cargo.toml -- --compression`; `src/compression.rs` describes the \
        work. {} rounds, turns of {} ms, {}, {}. The cells are nanoseconds per message, the median and \
        the quartiles in brackets, and for what is sent the size of the frames in % of the messages. The \
        last columns are ratios of time and size: `Fast` to sockudo-ws at level 1, the others, with \
        codes, to sockudo-ws at level 6. The table of `Fast` has 8 KiB, without takeover 32 KiB, of \
        `Better` 16 KiB, of `Best` 64 KiB; tokens have 16 KiB. T: with context takeover, N: without.\n\n| | {} | `Fast` | `Better` | `Best` |\n\
        |---|{}---|---|---|\n",
        effort.rounds,
        effort.turn.as_millis(),
        processor(),
        compiler(),
        names.join(" | "),
        "---|".repeat(names.len()),
    );
    if effort.rounds > 0 {
        print!("{text}");
    }
    for row in Row::all(effort.rounds == 0).iter().filter(|row| chosen(&row.name)) {
        let prepared = CONTENDERS.map(|contender| row.prepare(contender));
        if effort.rounds == 0 {
            let done = prepared.iter().flatten().count();
            println!("{}: {done} checked", row.name);
            continue;
        }
        let sizes = prepared.each_ref().map(|prepared| prepared.as_ref().map(|(_, size)| *size));
        let jobs = prepared.into_iter().map(|prepared| prepared.map(|(job, _)| job)).collect();
        let line = line(row, &time(jobs, effort), &sizes);
        print!("{line}");
        text += &line;
    }
    let memory = memory();
    print!("\n{memory}");
    text + "\n" + &memory
}

fn line(row: &Row, times: &[Option<Measured>], sizes: &[Option<f64>]) -> String {
    let is_sent = row.work != Work::Receive;
    let mut line = format!("| {} |", row.name);
    for (measured, size) in times.iter().zip(sizes) {
        if let (Some(measured), Some(size)) = (measured, size) {
            let [low, median, high] = measured.times.map(short);
            _ = write!(line, " {median} [{low}, {high}]");
            if is_sent {
                _ = write!(line, " {:.1} %", 100.0 * size / row.payload());
            }
        }
        line += " |";
    }
    for [own, peer] in PAIRS {
        if let (Some(own_time), Some(peer_time)) = (&times[own], &times[peer]) {
            _ = write!(line, " {:.2}", own_time.ratio(peer_time));
        }
        if let (true, Some(own), Some(peer)) = (is_sent, sizes[own], sizes[peer]) {
            _ = write!(line, ", size {:.2}", own / peer);
        }
        line += " |";
    }
    line + "\n"
}

/// What is left of a connection after its last message, and the size of its type.
pub type Held = (Box<dyn std::any::Any>, usize);

/// The memory of one connection that has echoed a message of 40 kB.
fn memory() -> String {
    let message: Arc<[Bytes]> = corpus::feed(1, 40_000).into_iter().map(Bytes::from).collect();
    let mut text = String::from(
        "| memory of a connection in bytes, after an echo of 40 kB | heap | the type itself | together |\n\
        |---|---|---|---|\n",
    );
    let mut add = |name: &str, make: &dyn Fn(&mut Wire) -> Held| {
        let mut wire = Wire::again(stream_limited(&message, 9), READ);
        // The first run initializes shared state.
        drop(make(&mut wire));
        let ((connection, size), _, heap) = counted(|| make(&mut wire));
        // The box that holds the type.
        let heap = heap as usize - size;
        _ = writeln!(text, "| {name} | {heap} | {size} | {} |", heap + size);
        drop(connection);
    };
    for bits in [9, 12, 15] {
        let size = 1_u32 << bits;
        add(&format!("sansocket, takeover, windows of {size} bytes"), &|wire| own::after_echo(wire, bits));
    }
    add("sansocket, no takeover", &own::after_echo_alone);
    for (bits, takeover) in [(9, true), (12, true), (15, true), (15, false)] {
        let size = 1_u32 << bits;
        let takeover_name = if takeover { "takeover" } else { "no takeover" };
        add(&format!("sockudo-ws 1, {takeover_name}, windows of {size} bytes"), &|wire| {
            sockudo::after_echo(wire, bits, takeover)
        });
    }
    text
}

/// The frame of a client whose window has 2^`bits` bytes.
fn stream_limited(messages: &[Bytes], bits: i32) -> Arc<[u8]> {
    let mut config = zlib_rs::DeflateConfig::default();
    (config.level, config.window_bits) = (6, -bits);
    let mut deflate = zlib_rs::Deflate::new_with_config(config);
    let mut frames = Vec::new();
    for message in messages {
        let mut compressed = vec![0; 2 * message.len()];
        deflate.compress(message, &mut compressed, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        compressed.truncate(deflate.total_out() as usize);
        work::frame(&mut frames, 0xC1, Some([1, 2, 3, 4]), compressed.strip_suffix(TAIL).unwrap());
    }
    frames.into()
}
