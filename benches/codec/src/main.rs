//! The decompressor and the compressor beside zlib-rs, miniz_oxide and libdeflate, without frames.
//!
//! ```sh
//! cargo run --release --manifest-path benches/codec/Cargo.toml   # all tables, written to results.md
//! … -- --inflate                                    # decompression only; `--compress`: compression
//! … -- JSON                                         # only corpora with this in their names
//! … -- --html=FILE                                  # adds HTML in messages of 16 KiB
//! … -- --test                                       # everything once, checked, not timed
//! … -- --profile=SECONDS 'JSON 994 B N' Fast        # only this work, for a profiler; both names exact
//! ```
//!
//! Times are CPU times of the thread, the best of several rounds; in each round every contender has a
//! turn of at least 3 ms.

mod compress;
#[path = "../../corpus.rs"]
mod corpus;
mod inflate;

use rustix::time::{ClockId, clock_gettime};
use std::{fmt::Write, hint::black_box, time::Duration};

/// Messages of one kind, with or without context takeover.
pub struct Corpus {
    pub name: String,
    pub takeover: bool,
    pub messages: Vec<Vec<u8>>,
}

/// A way to do the work on all messages of a corpus, by name. Returns the number of output bytes.
pub struct Contender<'c> {
    pub name: String,
    pub run: Box<dyn FnMut() -> usize + 'c>,
}

/// A contender's result: its output in bytes, and the seconds for all messages.
#[derive(Clone, Copy)]
pub struct Measured {
    pub output: usize,
    pub seconds: f64,
}

/// The end of compressed data that the sender of a message cuts off (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

impl Corpus {
    /// All corpora; with few messages if they are only checked.
    fn all(html: Option<&str>, test: bool) -> Vec<Self> {
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect::<Vec<_>>();
        let cut = |text: &[u8], size: usize, count: usize| -> Vec<Vec<u8>> {
            text.chunks(size).take(count).map(<[u8]>::to_vec).collect()
        };
        let mut random = corpus::Random::seeded();
        let mut kinds = vec![
            ("JSON 105 B", bytes(corpus::telemetry(1000, 125))),
            ("JSON 994 B", bytes(corpus::telemetry(1000, 1024))),
            ("feed 16 KiB", bytes(corpus::feed(60, 16 * 1024))),
            ("feed 1 MiB", bytes(corpus::feed(2, 1024 * 1024))),
            ("random 1 KiB", (0..200).map(|_| (0..1024).map(|_| random.number() as u8).collect()).collect()),
        ];
        if let Some(path) = html {
            kinds.push(("HTML 16 KiB", cut(&std::fs::read(path).unwrap(), 16 * 1024, 20)));
        }
        // On Debian.
        let licenses = ["Apache-2.0", "GPL-3", "Artistic", "MPL-2.0", "LGPL-2.1"];
        let licenses = licenses.map(|name| std::fs::read(format!("/usr/share/common-licenses/{name}")));
        let english: Vec<u8> = licenses.into_iter().flatten().flatten().collect();
        if !english.is_empty() {
            kinds.push(("English 1 KiB", cut(&english, 1024, 80)));
        }
        let mut all = Vec::new();
        for (name, mut messages) in kinds {
            if test {
                messages.truncate(messages.len().div_ceil(20));
            }
            for takeover in [true, false] {
                let name = format!("{name} {}", if takeover { "T" } else { "N" });
                all.push(Self { name, takeover, messages: messages.clone() });
            }
        }
        all
    }

    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Vec::len).sum()
    }

    pub fn longest(&self) -> usize {
        self.messages.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Megabytes of messages in a second.
    pub fn speed(&self, seconds: f64) -> f64 {
        self.bytes() as f64 / seconds / 1e6
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Does the work of each contender once, and then times it unless there are no rounds.
pub fn measure(contenders: &mut [Contender<'_>], rounds: usize) -> Vec<Measured> {
    let once = |contender: &mut Contender<'_>| Measured { output: (contender.run)(), seconds: f64::MAX };
    let mut best: Vec<Measured> = contenders.iter_mut().map(once).collect();
    for _ in 0..rounds {
        for (contender, best) in contenders.iter_mut().zip(&mut best) {
            let (start, mut runs) = (cpu_time(), 0);
            let elapsed = loop {
                black_box((contender.run)());
                runs += 1;
                let elapsed = cpu_time() - start;
                if elapsed >= Duration::from_millis(3) {
                    break elapsed;
                }
            };
            best.seconds = best.seconds.min(elapsed.as_secs_f64() / f64::from(runs));
        }
    }
    best
}

/// Does the work of one contender for some seconds.
fn profile(corpora: &[Corpus], seconds: u64, corpus: &str, contender: &str) {
    let corpus = corpora.iter().find(|each| each.name == corpus).expect("a corpus of this name");
    let payloads = inflate::Payloads::new(corpus);
    let mut all = payloads.contenders();
    all.extend(compress::contenders(corpus));
    let contender = all.iter_mut().find(|each| each.name == contender).expect("a contender of this name");
    let start = cpu_time();
    while cpu_time() - start < Duration::from_secs(seconds) {
        black_box((contender.run)());
    }
}

fn main() {
    let (mut rounds, mut html, mut words, mut seconds) = (15, None, Vec::new(), None);
    let (mut inflates, mut compresses) = (true, true);
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.split_once('=')) {
            ("--inflate", _) => compresses = false,
            ("--compress", _) => inflates = false,
            ("--test", _) => rounds = 0,
            (_, Some(("--html", path))) => html = Some(path.to_owned()),
            (_, Some(("--profile", value))) => seconds = Some(value.parse().unwrap()),
            _ => words.push(argument),
        }
    }
    let mut corpora = Corpus::all(html.as_deref(), rounds == 0);
    if let (Some(seconds), [corpus, contender]) = (seconds, &words[..]) {
        return profile(&corpora, seconds, corpus, contender);
    }
    corpora.retain(|corpus| words.is_empty() || words.iter().any(|word| corpus.name.contains(word)));
    let mut text = format!(
        "# The codec beside others\n\nWritten by `cargo run --release --manifest-path \
        benches/codec/Cargo.toml -- --html=FILE`; its `src/main.rs` describes the method. The best of \
        {rounds} rounds, {}, {}. T: with context takeover, N: without. MB/s count uncompressed bytes.\n",
        processor(),
        compiler(),
    );
    if inflates {
        text += &inflate::table(&corpora, rounds);
    }
    if compresses {
        text += &compress::table(&corpora, rounds);
    }
    if rounds == 0 {
        return println!("{} corpora checked", corpora.len());
    }
    print!("{text}");
    if inflates && compresses && words.is_empty() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results.md"), text).unwrap();
    }
}

/// Appends a row of a Markdown table.
pub fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        _ = write!(text, "| {cell} ");
    }
    *text += "|\n";
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or(std::env::consts::ARCH.into(), |(_, name)| name.into())
}

fn compiler() -> String {
    let version = std::process::Command::new("rustc").arg("--version").output();
    version.map_or("rustc".into(), |version| String::from_utf8_lossy(&version.stdout).trim().into())
}
