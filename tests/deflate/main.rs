//! Compression in the machine (RFC 7692).

#[path = "../common/mod.rs"]
mod common;
mod compressors;
mod cuts;
mod ends;
mod handshakes;
mod limits;
mod memory;
mod receiving;
mod retries;
mod rules;
mod sending;
mod support;
mod utf8;
