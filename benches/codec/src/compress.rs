//! Compression: the size and the speed at each level.

use crate::{Contender, Corpus, TAIL, measure, row};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush};
use sansocket::deflate::{Best, Better, Compress, Compressor, Fast, Level};

/// Compresses a message into a buffer; returns the number of bytes.
type Run = Box<dyn FnMut(&[u8], &mut [u8]) -> usize>;

/// The memory of one of our compressors: window, entries of the table, history, tokens.
#[derive(Clone, Copy)]
struct Memory(u8, usize, usize, usize);

fn own<L: Level + Copy + 'static>(level: L, memory: Memory, takeover: bool) -> Run {
    let Memory(window_bits, table, history, tokens) = memory;
    let history = if takeover { history } else { 0 };
    let mut compressor = Compressor::with_takeover(vec![0; table], vec![0; history]).level(level);
    let mut tokens = vec![0; tokens];
    Box::new(move |message, out| {
        if tokens.is_empty() {
            compressor.compress(message, window_bits, out)
        } else {
            compressor.with_codes(&mut tokens).compress(message, window_bits, out)
        }
    })
}

fn zlib_rs(level: i32, window_bits: i32, mem_level: i32, takeover: bool) -> Run {
    let mut config = zlib_rs::DeflateConfig::default();
    (config.level, config.window_bits, config.mem_level) = (level, -window_bits, mem_level);
    let mut deflate = zlib_rs::Deflate::new_with_config(config);
    Box::new(move |message, out| {
        if !takeover {
            deflate.reset();
        }
        let before = deflate.total_out();
        deflate.compress(message, out, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        (deflate.total_out() - before) as usize
    })
}

fn miniz_oxide(level: u8, takeover: bool) -> Run {
    let mut deflate = Box::<CompressorOxide>::default();
    deflate.set_format_and_level(miniz_oxide::DataFormat::Raw, level);
    Box::new(move |message, out| {
        if !takeover {
            deflate.reset();
            deflate.set_format_and_level(miniz_oxide::DataFormat::Raw, level);
        }
        miniz_oxide::deflate::core::compress(&mut deflate, message, out, TDEFLFlush::Sync).2
    })
}

/// It has no context takeover, and ends with a final block; [`TAIL`] is counted as if it wrote it.
fn libdeflate(level: i32) -> Run {
    let mut deflate = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(level).unwrap());
    Box::new(move |message, out| deflate.deflate_compress(message, out).unwrap() + TAIL.len())
}

/// All compressors, by name; `None` if it does not support takeover.
fn all(takeover: bool) -> Vec<(String, Option<Run>)> {
    fn named(level: &str, Memory(window_bits, table, _, tokens): Memory) -> String {
        let codes = if tokens > 0 { " with codes" } else { "" };
        format!("`{level}`{codes}, window 2^{window_bits}, {} KB of table", table as f64 / 512.0)
    }
    const TOKENS: usize = 4096;
    let mut all = Vec::new();
    for memory in [
        Memory(9, 128, 768, 0),
        Memory(9, 512, 768, 0),
        Memory(10, 512, 1536, 0),
        Memory(12, 512, 6144, 0),
        Memory(12, 1024, 6144, 0),
        Memory(12, 2048, 6144, 0),
        Memory(15, 4096, 38 << 10, 0),
        Memory(15, 16_384, 38 << 10, 0),
        Memory(15, 4096, 38 << 10, TOKENS),
    ] {
        all.push((named("Fast", memory), Some(own(Fast, memory, takeover))));
    }
    for memory in [
        Memory(12, 2048, 6144, 0),
        Memory(12, 2048, 6144, TOKENS),
        Memory(15, 8192, 38 << 10, 0),
        Memory(15, 8192, 38 << 10, TOKENS),
        Memory(15, 16_384, 38 << 10, TOKENS),
    ] {
        all.push((named("Better", memory), Some(own(Better, memory, takeover))));
    }
    for memory in [Memory(15, 16_384, 38 << 10, TOKENS), Memory(15, 32_768, 38 << 10, TOKENS)] {
        all.push((named("Best", memory), Some(own(Best, memory, takeover))));
    }
    for (level, window_bits, mem_level) in [(1, 15, 8), (6, 15, 8), (6, 12, 5), (6, 9, 1)] {
        let name = format!("zlib-rs -{level}, window 2^{window_bits}, memLevel {mem_level}");
        all.push((name, Some(zlib_rs(level, window_bits, mem_level, takeover))));
    }
    for level in [1, 6] {
        all.push((format!("miniz_oxide -{level}"), Some(miniz_oxide(level, takeover))));
    }
    for level in [1, 6] {
        all.push((format!("libdeflate -{level}"), (!takeover).then(|| libdeflate(level))));
    }
    all
}

/// The compressors that support the corpus. Each message's last four bytes are not counted.
pub fn contenders(corpus: &Corpus) -> Vec<Contender<'_>> {
    let longest = corpus.longest();
    let contender = |(name, run): (String, Option<Run>)| {
        let (mut run, mut out) = (run?, vec![0; longest + longest / 4 + 300]);
        let run =
            Box::new(move || corpus.messages.iter().map(|message| run(message, &mut out) - TAIL.len()).sum());
        Some(Contender { name, run })
    };
    all(corpus.takeover).into_iter().filter_map(contender).collect()
}

/// Decompresses what each compressor has written, with a decompressor that is not its own.
fn check(corpus: &Corpus) {
    for (name, run) in all(corpus.takeover) {
        let Some(mut run) = run else { continue };
        let mut inflate = zlib_rs::Inflate::new(false, 15);
        let longest = corpus.longest();
        let (mut out, mut text) = (vec![0; longest + longest / 4 + 300], vec![0; longest + 300]);
        for message in &corpus.messages {
            let len = run(message, &mut out);
            let payload = if name.starts_with("libdeflate") { &out[..len - TAIL.len()] } else { &out[..len] };
            if !corpus.takeover {
                inflate.reset(false);
            }
            let before = inflate.total_out();
            inflate.decompress(payload, &mut text, zlib_rs::InflateFlush::SyncFlush).unwrap();
            let len = (inflate.total_out() - before) as usize;
            assert!(text[..len] == message[..], "{name}: {}", corpus.name);
        }
    }
}

pub fn table(corpora: &[Corpus], rounds: usize) -> String {
    let mut names: Vec<String> = all(true).into_iter().map(|(name, _)| name).collect();
    names.insert(0, String::new());
    let mut rows: Vec<Vec<String>> = names.into_iter().map(|name| vec![name]).collect();
    for corpus in corpora {
        check(corpus);
        let mut contenders = contenders(corpus);
        let results = measure(&mut contenders, rounds);
        rows[0].push(corpus.name.clone());
        for row in &mut rows[1..] {
            let result = contenders.iter().position(|each| each.name == row[0]).map(|at| results[at]);
            row.push(result.map_or(String::new(), |result| {
                let percent = 100.0 * result.output as f64 / corpus.bytes() as f64;
                format!("{percent:.1} / {:.0}", corpus.speed(result.seconds))
            }));
        }
    }
    let mut text =
        "\n## Compression\n\nThe size in % of the messages / MB/s. A history has 1.2 to 1.5 times the \
        size of the window; tokens for codes: 16 KB.\n\n"
            .to_owned();
    for (at, cells) in rows.into_iter().enumerate() {
        let columns = cells.len();
        row(&mut text, cells);
        if at == 0 {
            text += &("|---".repeat(columns) + "|\n");
        }
    }
    text
}
