//! Proves that an open client, for any input and any actions of its caller, never panics, uses up
//! every slice, reports at most one Error and then exactly one Close, and sends only what a server
//! can receive.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sansocket_fuzz::connection::run::<sansocket_fuzz::TestClient>(
    data
));
