//! Compression whose settings, level and memory are chosen at run time.
#![allow(dead_code, reason = "each example uses a part")]

use sansocket::Open;
use sansocket::deflate::{Best, Better, Compress, Compressor, Settings};

/// The options for compression.
pub struct Deflate {
    pub enabled: bool,
    pub takeover: bool,
    /// 9 to 15.
    pub window_bits: u8,
    pub level: Level,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { enabled: false, takeover: true, window_bits: 15, level: Level::Fast }
    }
}

impl Deflate {
    /// `None` without compression.
    pub fn settings(&self) -> Option<Settings> {
        let settings = Settings::client()
            .send_takeover(self.takeover)
            .receive_takeover(self.takeover)
            .send_window_bits(self.window_bits)
            .receive_window_bits(self.window_bits);
        self.enabled.then_some(settings)
    }

    /// The compressor of a connection, if compression is agreed.
    pub fn encoder(&self, open: &Open<'_>, is_server: bool) -> Option<Encoder> {
        let parameters = open.deflate()?;
        let (takeover, window_bits) = match is_server {
            true => (parameters.server_takeover, parameters.server_window_bits),
            false => (parameters.client_takeover, parameters.client_window_bits),
        };
        Some(Encoder::new(self.level, takeover, window_bits))
    }
}

/// The level of effort.
#[derive(Clone, Copy)]
pub enum Level {
    Fast,
    Better,
    /// Huffman codes that are made for each message.
    Codes,
}

impl std::str::FromStr for Level {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fast" => Ok(Self::Fast),
            "better" => Ok(Self::Better),
            "codes" => Ok(Self::Codes),
            _ => Err("a level is fast, better or codes"),
        }
    }
}

pub enum Encoder {
    Fast(Compressor<Vec<u16>, Vec<u8>>),
    Better(Compressor<Vec<u16>, Vec<u8>, Better>),
    Codes(Compressor<Vec<u16>, Vec<u8>, Best>, Vec<u32>),
}

impl Encoder {
    /// The compressor of one connection. With context takeover it holds 3/2 of the window.
    pub fn new(level: Level, takeover: bool, window_bits: u8) -> Self {
        let window = 1 << window_bits;
        let history = vec![0; if takeover { window * 3 / 2 } else { 0 }];
        match level {
            Level::Fast => Self::Fast(Compressor::with_takeover(vec![0; 4096], history)),
            Level::Better => Self::Better(Compressor::with_takeover(vec![0; 8192], history).level(Better)),
            Level::Codes => {
                let compressor = Compressor::with_takeover(vec![0; 16384], history).level(Best);
                Self::Codes(compressor, vec![0; 8192])
            }
        }
    }

    /// Calls `send` with the compressor.
    pub fn with<T>(&mut self, send: impl FnOnce(&mut dyn Compress) -> T) -> T {
        match self {
            Self::Fast(compressor) => send(compressor),
            Self::Better(compressor) => send(compressor),
            Self::Codes(compressor, tokens) => send(&mut compressor.with_codes(tokens)),
        }
    }
}
