//! Proves that bytes that are inflated are what zlib-rs and miniz_oxide make of them, with every
//! window, and that the result is the same however input and output are cut, with the decoding
//! tables on the stack or kept.
#![no_main]

use miniz_oxide::inflate::stream::{self, InflateState};
use miniz_oxide::{DataFormat, MZFlush};
use sansocket::deflate::{Inflater, Status, Window, WithTables};
use sansocket_fuzz::Choices;
use zlib_rs::{Inflate, InflateFlush};

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A message with more is not compared.
const MAX: usize = 1 << 16;

// The window, the lengths of parts of the input and of the output with their number before them,
// and two messages with the length of the first before it. The second can refer to the first.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let window_bits = 8 + choices.byte() % 8;
    let (input, output) = (choices.counted(), choices.counted());
    let (first, second) = (choices.counted(), choices.0);
    let mut zlib = Some(Inflate::new(false, window_bits));
    let mut miniz = Some(InflateState::new_boxed(DataFormat::Raw));
    let mut one = Inflater::new(vec![0; 1 << window_bits].into_boxed_slice());
    let mut cut = Inflater::new(Vec::new());
    let mut kept = Inflater::new(WithTables::new(Vec::new()));
    assert!(!format!("{kept:?}").is_empty(), "Debug does not panic");
    for payload in [first, second] {
        let inflated = inflate(&mut one, window_bits, payload, &[], &[]);
        if inflated.as_ref().is_some_and(|message| message.len() >= MAX) {
            return;
        }
        if let Some(message) = &inflated {
            let payload = [payload, &TAIL].concat();
            zlib = zlib.and_then(|zlib| read_zlib(zlib, &payload, message));
            miniz = miniz.and_then(|miniz| read_miniz(miniz, &payload, message));
        }
        assert_eq!(inflate(&mut cut, window_bits, payload, input, output), inflated, "cut");
        assert_eq!(inflate(&mut kept, window_bits, payload, input, output), inflated, "cut, with tables");
        // zlib takes a message that is cut short, and waits for more: a refusal is compared in
        // `tests/inflate.rs`, where messages are complete.
        if inflated.is_none() {
            return;
        }
    }
});

/// Reads the payload with zlib, which must give the message. `None`: zlib has come to a final block,
/// and stops (RFC 7692 section 7.2.3.4 lets others follow).
fn read_zlib(mut zlib: Inflate, payload: &[u8], message: &[u8]) -> Option<Inflate> {
    let mut out = vec![0; MAX];
    let before = zlib.total_out();
    match zlib.decompress(payload, &mut out, InflateFlush::SyncFlush).expect("zlib refuses it") {
        zlib_rs::Status::StreamEnd => None,
        _ => {
            assert_eq!(&out[..(zlib.total_out() - before) as usize], message, "zlib");
            Some(zlib)
        }
    }
}

/// As [`read_zlib`].
fn read_miniz(mut miniz: Box<InflateState>, mut payload: &[u8], message: &[u8]) -> Option<Box<InflateState>> {
    let (mut out, mut len) = (vec![0; MAX], 0);
    while !payload.is_empty() || len < message.len() {
        let result = stream::inflate(&mut miniz, payload, &mut out[len..], MZFlush::None);
        if result.status.expect("miniz_oxide refuses it") == miniz_oxide::MZStatus::StreamEnd {
            return None;
        }
        payload = &payload[result.bytes_consumed..];
        len += result.bytes_written;
    }
    assert_eq!(&out[..len], message, "miniz_oxide");
    Some(miniz)
}

fn inflate<W: Window>(
    inflater: &mut Inflater<W>,
    window_bits: u8,
    payload: &[u8],
    inputs: &[u8],
    outputs: &[u8],
) -> Option<Vec<u8>> {
    let cuts = |cuts: &[u8]| cuts.iter().map(|len| usize::from(*len)).collect::<Vec<_>>().into_iter();
    let (mut inputs, mut outputs) = (cuts(inputs), cuts(outputs));
    let pieces = outputs.len() > 0;
    let (mut message, mut rest, mut out, mut len) = (Vec::new(), payload, Vec::new(), 0);
    let mut finishes = false;
    loop {
        let mut input = rest;
        if let Some(cut) = inputs.next() {
            input = &rest[..cut.min(rest.len())];
        }
        let taken = input.len();
        let status = match finishes {
            true => inflater.finish(window_bits, &mut out, &mut len),
            false => inflater.inflate(window_bits, &mut input, &mut out, &mut len),
        };
        let is_end = finishes && status == Status::InputUsed;
        rest = &rest[taken - input.len()..];
        finishes |= rest.is_empty() && status == Status::InputUsed;
        if status == Status::Invalid || message.len() + len >= MAX {
            message.resize(MAX, 0);
            return (status != Status::Invalid).then_some(message);
        }
        if status == Status::OutputFull || is_end {
            assert!(is_end || len == out.len());
            let more = outputs.next().unwrap_or(MAX) + 1;
            if pieces {
                inflater.remember(&out[..len], window_bits);
                message.extend_from_slice(&out[..len]);
                (out, len) = (vec![0xAA; more], 0);
            } else if !is_end {
                out.resize(out.len() + more, 0);
            }
        }
        if is_end {
            if !pieces {
                inflater.remember(&out[..len], window_bits);
                message.extend_from_slice(&out[..len]);
            }
            return Some(message);
        }
    }
}
