//! Proves that an open client, whatever it hears and whatever its caller does meanwhile, never panics, uses up every
//! slice, tells at most one Error and then exactly one Close, and sends only what a server can read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansocket_fuzz::hear::hear::<sansocket_fuzz::TestClient>(data));
