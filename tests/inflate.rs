//! The decompressor beside zlib-rs: its streams, cut anywhere, and spoiled ones.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Inflater, Status, Window, WithTables};
use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush};

/// What a sender cuts off.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A compressor with takeover.
fn compressor(level: i32, window_bits: u8, mem_level: i32) -> zlib_rs::Deflate {
    let mut config = DeflateConfig::new(level);
    config.window_bits = -i32::from(window_bits);
    config.mem_level = mem_level;
    zlib_rs::Deflate::new_with_config(config)
}

/// The payload of a compressed message.
fn compress(compressor: &mut zlib_rs::Deflate, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; message.len() + message.len() / 4 + 300];
    let before = compressor.total_out();
    compressor.compress(message, &mut payload, DeflateFlush::SyncFlush).unwrap();
    payload.truncate((compressor.total_out() - before) as usize);
    if payload.is_empty() {
        // zlib does not flush twice.
        return vec![0];
    }
    assert_eq!(payload.split_off(payload.len() - 4), TAIL);
    payload
}

/// A message of one of several kinds.
fn message(rng: &mut StdRng, max_len: usize) -> Vec<u8> {
    let len = rng.random_range(0..max_len);
    let mut message = Vec::new();
    match rng.random_range(0..5) {
        // Records.
        0 | 1 => {
            while message.len() < len {
                let (id, value) = (rng.random_range(1000..1020), rng.random::<f32>());
                message
                    .extend(format!("{{\"sensor\":{id},\"temperature\":{value:.3},\"ok\":true}},").bytes());
            }
        }
        // Noise.
        2 => message.extend((0..len).map(|_| rng.random::<u8>())),
        // Long runs, short distances.
        3 => {
            while message.len() < len {
                let run = rng.random_range(1..600);
                let period = rng.random_range(1..40);
                let word: Vec<u8> = (0..period).map(|_| rng.random_range(b'a'..b'f')).collect();
                message.extend(word.iter().cycle().take(run));
            }
        }
        // A skewed distribution, for codes of all lengths.
        _ => message.extend((0..len).map(|_| {
            let zeros = rng.random::<u32>().leading_zeros() as u8;
            zeros * 8 + rng.random_range(0..8)
        })),
    }
    message
}

/// Inflates a message in one call, without or with room behind it.
fn whole<W: Window>(
    inflater: &mut Inflater<W>,
    bits: u8,
    payload: &[u8],
    len: usize,
    room: usize,
) -> Vec<u8> {
    let mut out = vec![0; len + room];
    let (mut pos, mut input) = (0, payload);
    assert_eq!(inflater.inflate(bits, &mut input, &mut out, &mut pos), Status::InputUsed);
    assert!(input.is_empty());
    assert_eq!(inflater.finish(bits, &mut out, &mut pos), Status::InputUsed);
    out.truncate(pos);
    inflater.remember(&out, bits);
    out
}

/// Inflates a message into an output that grows, from an input that is cut.
fn grown<W: Window>(inflater: &mut Inflater<W>, bits: u8, payload: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let (mut out, mut pos) = (Vec::new(), 0);
    let mut rest = payload;
    while !rest.is_empty() {
        let (mut input, next) = rest.split_at(rng.random_range(1..=90).min(rest.len()));
        while inflater.inflate(bits, &mut input, &mut out, &mut pos) == Status::OutputFull {
            assert_eq!(pos, out.len());
            out.resize(out.len() + rng.random_range(1..=400), 0);
        }
        assert!(input.is_empty());
        rest = next;
    }
    while inflater.finish(bits, &mut out, &mut pos) == Status::OutputFull {
        out.resize(out.len() + rng.random_range(1..=400), 0);
    }
    out.truncate(pos);
    inflater.remember(&out, bits);
    out
}

/// Inflates a message piece by piece, each into the front of a new output.
fn pieces<W: Window>(inflater: &mut Inflater<W>, bits: u8, payload: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = payload;
    let mut finishing = false;
    loop {
        let mut out = vec![0xAA; rng.random_range(1..=400)];
        let mut pos = 0;
        let status = if rest.is_empty() {
            finishing = true;
            inflater.finish(bits, &mut out, &mut pos)
        } else {
            let (mut input, next) = rest.split_at(rng.random_range(1..=90).min(rest.len()));
            let len = input.len();
            let status = inflater.inflate(bits, &mut input, &mut out, &mut pos);
            assert_eq!(status == Status::InputUsed, input.is_empty() && status != Status::OutputFull);
            rest = if input.is_empty() { next } else { &rest[len - input.len()..] };
            status
        };
        assert_ne!(status, Status::Invalid);
        assert!(status != Status::OutputFull || pos == out.len());
        inflater.remember(&out[..pos], bits);
        message.extend(&out[..pos]);
        if finishing && status == Status::InputUsed {
            return message;
        }
    }
}

/// Proves: Z22, Z23.
#[test]
fn messages_of_another_compressor_are_inflated_however_they_are_cut() {
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..140 {
        let (level, bits) = (1 + round % 9, 9 + (round % 7) as u8);
        let mut compressor = compressor(level, bits, rng.random_range(1..=9));
        let mut a = Inflater::new(Vec::new());
        let mut b = Inflater::new(WithTables::new([0; 32768]));
        let mut c = Inflater::new(vec![0xAA; 1 << bits].into_boxed_slice());
        let mut memory = vec![0xAA; 40_000];
        let mut d = Inflater::new(WithTables::new(&mut memory[..]));
        for _ in 0..5 {
            let max_len = [40, 400, 4_000, 40_000][rng.random_range(0..4)];
            let message = message(&mut rng, max_len);
            let payload = compress(&mut compressor, &message);
            let room = [0, 1, 1000][rng.random_range(0..3)];
            let label = format!("level {level}, window {bits}, {} bytes", message.len());
            assert!(whole(&mut a, bits, &payload, message.len(), room) == message, "{label}");
            assert!(grown(&mut b, bits, &payload, &mut rng) == message, "{label}");
            assert!(pieces(&mut c, bits, &payload, &mut rng) == message, "{label}");
            assert!(pieces(&mut d, bits, &payload, &mut rng) == message, "{label}");
        }
    }
}

/// Proves: Z20.
#[test]
fn messages_without_takeover_need_no_window() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut inflater = Inflater::new(());
    for round in 0..200 {
        let message = message(&mut rng, 4_000);
        let payload = compress(&mut compressor(1 + round % 9, 15, 8), &message);
        assert!(whole(&mut inflater, 15, &payload, message.len(), 300 * (round as usize & 1)) == message);
        assert!(grown(&mut inflater, 15, &payload, &mut rng) == message);
    }
}

/// What zlib makes of a payload with its tail: whether it is valid as far as it goes, its bytes,
/// and how much of it zlib has read: less than all after a block with BFINAL.
fn reference(payload: &[u8], out: &mut [u8]) -> (bool, usize, usize) {
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let result = inflate.decompress(payload, out, InflateFlush::SyncFlush);
    (result.is_ok(), inflate.total_out() as usize, inflate.total_in() as usize)
}

fn compare(payload: &[u8], rng: &mut StdRng) -> bool {
    let mut expected = vec![0; 70_000];
    let (mut valid, len, read) = reference(payload, &mut expected);
    if len == expected.len() {
        return true;
    }
    let payload = if valid { &payload[..read] } else { payload };
    let mut out = vec![0; len + [0, 1000][rng.random_range(0..2)]];
    let (mut pos, mut input) = (0, payload);
    let status = Inflater::new(()).inflate(15, &mut input, &mut out, &mut pos);
    assert!(out[..pos] == expected[..len], "{payload:02x?}");
    if valid && status == Status::Invalid {
        // An empty code of code lengths: zlib refuses the block only after the lengths.
        valid = reference(&[payload, &[0; 64]].concat(), &mut expected).0;
    }
    assert_eq!(status == Status::Invalid, !valid, "{status:?} {payload:02x?}");

    // The same, cut.
    let (mut inflater, mut cut, mut pos) = (Inflater::new(WithTables::new(())), Vec::new(), 0);
    let mut status = Status::InputUsed;
    for mut part in payload.chunks(rng.random_range(1..10)) {
        loop {
            status = inflater.inflate(15, &mut part, &mut cut, &mut pos);
            if status != Status::OutputFull {
                break;
            }
            cut.resize(pos + rng.random_range(1..400), 0);
        }
    }
    assert_eq!(status == Status::Invalid, !valid, "{status:?} {payload:02x?}");
    assert!(cut[..pos] == expected[..len]);
    valid
}

/// Proves: Z28.
#[test]
fn spoiled_messages_are_refused_as_zlib_refuses_them() {
    let mut rng = StdRng::seed_from_u64(3);
    let (mut valid, mut invalid) = (0, 0);
    for round in 0..400 {
        let message = message(&mut rng, 1_500);
        let mut payload = compress(&mut compressor(1 + round % 9, 15, 8), &message);
        payload.extend(TAIL);
        for _ in 0..12 {
            let mut spoiled = payload.clone();
            for _ in 0..rng.random_range(1..3) {
                // Mostly in the front, where the codes are.
                let max = if rng.random() { spoiled.len().min(80) } else { spoiled.len() };
                spoiled[rng.random_range(0..max)] ^= 1 << rng.random_range(0..8);
            }
            *if compare(&spoiled, &mut rng) { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 500 && invalid > 500, "{valid} and {invalid}");
}

/// Proves: Z28.
#[test]
fn noise_is_refused_as_zlib_refuses_it() {
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..30_000 {
        let mut noise: Vec<u8> = (0..rng.random_range(1..100)).map(|_| rng.random()).collect();
        // Blocks with codes.
        noise[0] = noise[0] & !6 | [2, 4][rng.random_range(0..2)];
        compare(&noise, &mut rng);
    }
}

/// Writes bits, the lowest first.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: u32,
}

impl Writer {
    fn put(&mut self, value: u32, bits: u32) {
        for bit in 0..bits {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= (value >> bit & 1) as u8 * (1 << (self.bits % 8));
            self.bits += 1;
        }
    }

    fn put_code(&mut self, code: u32, bits: u32) {
        self.put(code.reverse_bits() >> (32 - bits), bits);
    }
}

/// Sets of code lengths, random ones and nearly complete ones, in headers of dynamic blocks.
///
/// Proves: Z28.
#[test]
fn codes_are_valid_if_zlib_accepts_them() {
    let mut rng = StdRng::seed_from_u64(5);
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..6_000 {
        let mut writer = Writer::default();
        writer.put(4, 3);
        let literals = [257, 258, 280, 286, 286, 286, 287, 288][rng.random_range(0..8)];
        let distances = [1, 2, 30, 30, 30, 31, 32][rng.random_range(0..7)];
        writer.put(literals - 257, 5);
        writer.put(distances - 1, 5);
        // All lengths up to 15 have codes of four bits, in order.
        writer.put(15, 4);
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        order.iter().for_each(|&symbol| writer.put(if symbol < 16 { 4 } else { 0 }, 3));
        for count in [literals, distances] {
            let mut lengths = vec![0; count as usize];
            // Splits of a complete code.
            let mut leaves = vec![1, 1];
            for _ in 0..rng.random_range(0..count.min(200)) {
                let leaf = rng.random_range(0..leaves.len());
                if leaves[leaf] < 15 {
                    leaves[leaf] += 1;
                    leaves.push(leaves[leaf]);
                }
            }
            match rng.random_range(0..12) {
                0 => drop(leaves.pop()),
                1 => leaves = vec![rng.random_range(1..3)],
                2 => leaves.clear(),
                3 => leaves.push(15),
                _ => {}
            }
            for leaf in leaves {
                // A place that is free, mostly.
                let free =
                    (0..50).map(|_| rng.random_range(0..lengths.len())).find(|&place| lengths[place] == 0);
                lengths[free.unwrap_or(0)] = leaf;
            }
            if count == literals && lengths[256] == 0 && rng.random_range(0..8) > 0 {
                lengths.swap(256, 0);
                let used = lengths.iter().position(|&length| length != 0);
                lengths.swap(256, used.unwrap_or(0));
            }
            lengths.iter().for_each(|&length| writer.put_code(length, 4));
        }
        (0..rng.random_range(1..20)).for_each(|_| writer.put(rng.random(), 8));
        let payload = writer.bytes;
        *if compare(&payload, &mut rng) { &mut valid } else { &mut invalid } += 1;
    }
    assert!(valid > 10 && invalid > 1_000, "{valid} and {invalid}");
}
