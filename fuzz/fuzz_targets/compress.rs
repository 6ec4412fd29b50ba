//! Proves that every level, with every table, history and window, compresses messages to what the
//! decompressor and zlib-rs read back, also after some were undone and after resets, in no more bytes
//! than announced.
#![no_main]

use sansocket::deflate::{Best, Better, Compress, Compressor, Inflater, Status};
use sansocket_fuzz::Choices;
use zlib_rs::{Inflate, InflateFlush};

// The window, the level, the sizes of table, history and scratch; then messages, each with an
// action and its length before it.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let window_bits = 8 + choices.byte() % 8;
    let level = choices.byte();
    let table = vec![0; 1 << (choices.byte() % 14)];
    let history = vec![0; usize::from(choices.byte()) * 40];
    let mut tokens = vec![0; usize::from(choices.byte()) * 4];
    let compressor = Compressor::with_takeover(table, history);
    match level % 3 {
        0 => run(compressor, window_bits, &mut tokens, choices),
        1 => run(compressor.level(Better), window_bits, &mut tokens, choices),
        _ => run(compressor.level(Best), window_bits, &mut tokens, choices),
    }
});

fn run<L>(
    mut compressor: Compressor<Vec<u16>, Vec<u8>, L>,
    window_bits: u8,
    tokens: &mut [u32],
    mut choices: Choices<'_>,
) where
    Compressor<Vec<u16>, Vec<u8>, L>: Compress,
    L: sansocket::deflate::Level,
{
    let mut inflater = Inflater::new(Vec::new());
    let mut zlib = Inflate::new(false, window_bits);
    assert!(!format!("{compressor:?}").is_empty(), "Debug does not panic");
    while !choices.is_empty() {
        let action = choices.byte();
        let mut message = choices.counted().to_vec();
        // A long one repeats itself.
        if action & 1 != 0 {
            message = message.repeat(1 + usize::from(choices.byte()));
        }
        let max_len = compressor.max_len(message.len());
        let mut out = vec![0; max_len];
        let len = match action & 2 {
            0 => compressor.compress(&message, window_bits, &mut out),
            _ => compressor.with_codes(tokens).compress(&message, window_bits, &mut out),
        };
        assert!(len <= max_len && out[..len].ends_with(&[0, 0, 0xFF, 0xFF]));
        if action & 4 != 0 {
            compressor.undo();
            continue;
        }
        let (mut read, mut pos) = (vec![0; message.len()], 0);
        let mut input = &out[..len - 4];
        assert_eq!(inflater.inflate(window_bits, &mut input, &mut read, &mut pos), Status::InputUsed);
        assert_eq!(inflater.finish(window_bits, &mut read, &mut pos), Status::InputUsed);
        assert_eq!((pos, &read), (message.len(), &message));
        inflater.remember(&read, window_bits);
        let before = zlib.total_out();
        let mut read = vec![0; message.len() + 1];
        zlib.decompress(&out[..len], &mut read, InflateFlush::SyncFlush).unwrap();
        assert_eq!(&read[..(zlib.total_out() - before) as usize], message);
        if action & 8 != 0 {
            compressor.reset();
        }
        // Too short an output: nothing, and later messages do not refer to it.
        if action & 16 != 0 {
            let short = usize::from(action) % max_len;
            let len = compressor.compress(&message, window_bits, &mut out[..short]);
            assert!(len <= short);
            compressor.undo();
        }
    }
}
