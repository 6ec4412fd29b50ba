//! Proves that an open server or client receives the same messages, Pings, Pongs and end from a
//! stream as tungstenite does, except for the differences that `sansocket_fuzz::differential`
//! lists.
//!
//! The first byte chooses the role (bit 0) and the limits (bit 1); the rest is the stream, in one
//! slice.
#![no_main]

use sansocket_fuzz::differential::{Case, Tungstenite, compare};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((flags, stream)) = data.split_first() else { return };
    let case = Case { client: flags & 1 != 0, head: false, small: flags & 2 != 0, stream: stream.into() };
    compare(&case, &mut Tungstenite);
});
