//! Decompression. The messages are compressed by zlib-rs at level 6, with a window of 2^15 bytes.

use crate::{Contender, Corpus, TAIL, measure, row};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use sansocket::deflate::{Inflater, Status, Window, WithTables};

/// The compressed messages of a corpus.
pub struct Payloads<'c> {
    corpus: &'c Corpus,
    /// As they are received: without [`TAIL`].
    cut: Vec<Vec<u8>>,
    /// With it.
    whole: Vec<Vec<u8>>,
    /// With it, and an empty block that is final, which libdeflate needs.
    ended: Vec<Vec<u8>>,
}

/// The header of the table; the order of [`Payloads::contenders`].
const NAMES: [&str; 5] = ["sansocket", "sansocket, `WithTables`", "zlib-rs", "miniz_oxide", "libdeflate"];

impl<'c> Payloads<'c> {
    pub fn new(corpus: &'c Corpus) -> Self {
        let mut deflate = zlib_rs::Deflate::new(6, false, 15);
        let compress = |message: &Vec<u8>| {
            if !corpus.takeover {
                deflate.reset();
            }
            let mut payload = vec![0; message.len() + message.len() / 4 + 264];
            let before = deflate.total_out();
            deflate.compress(message, &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
            payload.truncate((deflate.total_out() - before) as usize);
            payload
        };
        let whole: Vec<Vec<u8>> = corpus.messages.iter().map(compress).collect();
        let cut = whole.iter().map(|payload| payload.strip_suffix(&TAIL).unwrap().to_vec()).collect();
        let ended = whole.iter().map(|payload| [payload, &[3, 0][..]].concat()).collect();
        Self { corpus, cut, whole, ended }
    }

    /// Of [`NAMES`]; libdeflate has no context takeover.
    pub fn contenders(&self) -> Vec<Contender<'_>> {
        let mut runs: Vec<Box<dyn FnMut() -> usize + '_>> = if self.corpus.takeover {
            vec![Box::new(self.own(vec![0; 32768])), Box::new(self.own(WithTables::new(vec![0; 32768])))]
        } else {
            vec![Box::new(self.own(())), Box::new(self.own(WithTables::new(())))]
        };
        runs.push(Box::new(self.zlib_rs()));
        runs.push(Box::new(self.miniz_oxide()));
        if !self.corpus.takeover {
            runs.push(Box::new(self.libdeflate()));
        }
        runs.into_iter().zip(NAMES).map(|(run, name)| Contender { name: name.into(), run }).collect()
    }

    fn out(&self) -> Vec<u8> {
        vec![0; self.corpus.longest() + 300]
    }

    fn own<W: Window>(&self, window: W) -> impl FnMut() -> usize {
        let (mut inflater, mut out) = (Inflater::new(window), self.out());
        move || {
            inflater.forget();
            let mut sum = 0;
            for (payload, message) in self.cut.iter().zip(&self.corpus.messages) {
                let (mut input, mut len) = (&payload[..], 0);
                assert_eq!(inflater.inflate(15, &mut input, &mut out, &mut len), Status::InputUsed);
                assert_eq!(inflater.finish(15, &mut out, &mut len), Status::InputUsed);
                assert!(cfg!(not(debug_assertions)) || out[..len] == message[..]);
                if self.corpus.takeover {
                    inflater.remember(&out[..len], 15);
                }
                sum += len;
            }
            sum
        }
    }

    fn zlib_rs(&self) -> impl FnMut() -> usize {
        let (mut inflate, mut out) = (zlib_rs::Inflate::new(false, 15), self.out());
        move || {
            inflate.reset(false);
            let mut sum = 0;
            for payload in &self.whole {
                if !self.corpus.takeover {
                    inflate.reset(false);
                }
                let before = inflate.total_out();
                inflate.decompress(payload, &mut out, zlib_rs::InflateFlush::SyncFlush).unwrap();
                sum += (inflate.total_out() - before) as usize;
            }
            sum
        }
    }

    /// Without takeover the output is the window; with takeover it is copied out of a ring.
    fn miniz_oxide(&self) -> impl FnMut() -> usize {
        const MORE: u32 = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        const FLAT: u32 = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let mut inflate = Box::<DecompressorOxide>::default();
        let (mut ring, mut out) = (vec![0; 32768], self.out());
        move || {
            let (mut sum, mut next) = (0, 0);
            inflate.init();
            for payload in &self.whole {
                if !self.corpus.takeover {
                    inflate.init();
                    sum += decompress(&mut inflate, payload, &mut out, 0, MORE | FLAT).2;
                    continue;
                }
                let (mut input, mut len) = (&payload[..], 0);
                loop {
                    let (status, read, written) = decompress(&mut inflate, input, &mut ring, next, MORE);
                    out[len..len + written].copy_from_slice(&ring[next..next + written]);
                    (input, len, next) = (&input[read..], len + written, (next + written) & 32767);
                    if status != miniz_oxide::inflate::TINFLStatus::HasMoreOutput {
                        break;
                    }
                }
                sum += len;
            }
            sum
        }
    }

    fn libdeflate(&self) -> impl FnMut() -> usize {
        let (mut inflate, mut out) = (libdeflater::Decompressor::new(), self.out());
        move || self.ended.iter().map(|payload| inflate.deflate_decompress(payload, &mut out).unwrap()).sum()
    }
}

pub fn table(corpora: &[Corpus], rounds: usize) -> String {
    let mut text = "\n## Decompression\n\nMB/s, and the time as a multiple of zlib-rs's.\n\n".to_owned();
    row(&mut text, ["".into()].into_iter().chain(NAMES.map(String::from)));
    text += "|---|---|---|---|---|---|\n";
    for corpus in corpora {
        let payloads = Payloads::new(corpus);
        let results = measure(&mut payloads.contenders(), rounds);
        assert!(results.iter().all(|result| result.output == corpus.bytes()), "{}", corpus.name);
        let cells = results.iter().map(|result| {
            let ratio = result.seconds / results[2].seconds;
            format!("{:.0} ({ratio:.2})", corpus.speed(result.seconds))
        });
        let mut cells: Vec<String> = cells.collect();
        cells.resize(NAMES.len(), String::new());
        row(&mut text, [corpus.name.clone()].into_iter().chain(cells));
    }
    text
}
