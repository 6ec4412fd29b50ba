//! Compression in the examples: its options, and a compressor whose level and memory are chosen at
//! run time. Without the feature `deflate`, messages are sent as they are.
#![allow(dead_code, reason = "each example uses a part")]

use crate::common::NO_DEFLATE;
#[cfg(feature = "deflate")]
use sansocket::deflate::{Best, Better, Compress, Compressor, Settings};
use sansocket::{Fragment, Message, Open, Role, SendError};
use sansocket_io::{Clock, Memory, Reply, Transport};

/// The usage of the options.
pub const USAGE: &str = "
Compression (permessage-deflate, needs the feature `deflate`): each of these options switches it on.

  --deflate      compress messages, if the peer agrees
  --no-takeover  compress each message by itself, in both directions
  --window BITS  use windows of at most 2^BITS bytes, 9 to 15 (default: 15)
  --level L      fast (default), better or codes: less speed, shorter messages
";

/// The values of the options.
#[derive(Clone, Copy)]
pub struct Compression {
    enabled: bool,
    takeover: bool,
    window_bits: u8,
    level: Level,
}

impl Default for Compression {
    fn default() -> Self {
        Self { enabled: false, takeover: true, window_bits: 15, level: Level::Fast }
    }
}

impl Compression {
    /// Whether `name` is one of the options.
    pub fn has_option(name: &str) -> bool {
        ["deflate", "no-takeover", "window", "level"].contains(&name)
    }

    /// Takes the option `name`, and its value from `args` if it has one.
    pub fn take(&mut self, name: String, args: &mut lexopt::Parser) -> Result<(), lexopt::Error> {
        use lexopt::ValueExt;
        if cfg!(not(feature = "deflate")) {
            return Err(NO_DEFLATE.into());
        }
        self.enabled = true;
        match &*name {
            "no-takeover" => self.takeover = false,
            "window" => self.window_bits = args.value()?.parse_with(window_bits)?,
            "level" => self.level = args.value()?.parse()?,
            _ => {}
        }
        Ok(())
    }

    /// What to offer or to accept; `None` without compression.
    #[cfg(feature = "deflate")]
    pub fn settings(&self) -> Option<Settings> {
        let settings = Settings::client()
            .send_takeover(self.takeover)
            .receive_takeover(self.takeover)
            .send_window_bits(self.window_bits)
            .receive_window_bits(self.window_bits);
        self.enabled.then_some(settings)
    }

    /// The encoder of a connection that has opened.
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables))]
    pub fn encoder(&self, open: &Open<'_>, is_server: bool) -> Encoder {
        Encoder {
            #[cfg(feature = "deflate")]
            compressor: open.deflate().map(|parameters| {
                let (takeover, window_bits) = match is_server {
                    true => (parameters.server_takeover, parameters.server_window_bits),
                    false => (parameters.client_takeover, parameters.client_window_bits),
                };
                AnyCompressor::new(self.level, takeover, window_bits)
            }),
        }
    }
}

fn window_bits(text: &str) -> Result<u8, &'static str> {
    match text.parse() {
        Ok(bits @ 9..=15) => Ok(bits),
        _ => Err("a window has 9 to 15 bits"),
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

/// Sends the messages of a connection, compressed if that is agreed.
#[derive(Default)]
pub struct Encoder {
    #[cfg(feature = "deflate")]
    compressor: Option<AnyCompressor>,
}

impl Encoder {
    pub fn compresses(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.compressor.is_some();
        #[cfg(not(feature = "deflate"))]
        false
    }

    pub fn send<'m, R: Role, T: Transport, C: Clock, M: Memory>(
        &mut self,
        reply: &mut Reply<R, T, C, M>,
        message: impl Into<Message<'m>>,
    ) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if let Some(compressor) = &mut self.compressor {
            return compressor.with(|compressor| reply.send_deflated(message, compressor));
        }
        reply.send(message)
    }

    pub fn send_piece<'f, R: Role, T: Transport, C: Clock, M: Memory>(
        &mut self,
        reply: &mut Reply<R, T, C, M>,
        fragment: impl Into<Fragment<'f>>,
    ) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if let Some(compressor) = &mut self.compressor {
            return compressor.with(|compressor| reply.send_piece_deflated(fragment, compressor));
        }
        reply.send_piece(fragment)
    }
}

#[cfg(feature = "deflate")]
enum AnyCompressor {
    Fast(Compressor<Vec<u16>, Vec<u8>>),
    Better(Compressor<Vec<u16>, Vec<u8>, Better>),
    Codes(Compressor<Vec<u16>, Vec<u8>, Best>, Vec<u32>),
}

#[cfg(feature = "deflate")]
impl AnyCompressor {
    /// The compressor of one connection. With context takeover it holds 3/2 of the window.
    fn new(level: Level, takeover: bool, window_bits: u8) -> Self {
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
    fn with<T>(&mut self, send: impl FnOnce(&mut dyn Compress) -> T) -> T {
        match self {
            Self::Fast(compressor) => send(compressor),
            Self::Better(compressor) => send(compressor),
            Self::Codes(compressor, tokens) => send(&mut compressor.with_codes(tokens)),
        }
    }
}
