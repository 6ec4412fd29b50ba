//! How to build things with this crate, and with its driver crate
//! [`sansocket-io`](https://docs.rs/sansocket-io), which does the I/O. Each page takes three
//! minutes.
//!
//! | page | at its end you have |
//! |---|---|
//! | [`server`] | a server with routes, limits and an orderly stop |
//! | [`client`] | a client that comes back after a failure; TLS on both sides |
//! | [`firmware`] | a connection without a heap, over embassy or in a bare loop, and the sizes of its buffers |
//! | [`driver`] | an I/O driver of your own, built in seven steps |
//! | [`timers`] | dead peers dropped, slow peers kept |
//! | [`large_messages`] | messages and files of any length in bounded memory |
//! | [`broadcasts`] | one message for many peers, and a plan for the slow ones |
#![cfg_attr(feature = "deflate", doc = "| [`compression`] | permessage-deflate where it pays |")]
#![cfg_attr(
    not(feature = "deflate"),
    doc = "| `compression` (feature `deflate`) | permessage-deflate where it pays |"
)]
//! | [`http`] | WebSockets behind hyper or axum, over HTTP/2, or on your own HTTP server |
//! | [`testing`] | tests without sockets and clocks, and a replay of recorded bytes |
//! | [`security`] | a check of `Origin`, and the list of what an attacker can do |
//! | [`coming_from`] | your calls of tungstenite, fastwebsockets, embedded-websocket, wsproto or ws, in the words of this crate |
//! | [`faq`] | answers |
//! | [`differences`] | where this crate is stricter or more lenient than others, and why |
//! | [`comparison`] | this crate beside twelve others, feature by feature |
//!
//! # Which crate
//!
//! | you have | use |
//! |---|---|
//! | tokio, smol or threads | `sansocket-io` with the feature `tokio`, `futures-io` or `blocking` |
//! | embassy, or other async streams without a heap | `sansocket-io` with `embedded-io-async` |
//! | another runtime | `sansocket-io` with a `Transport` of yours (four functions) and a `Clock` (two) |
//! | a loop of your own: smoltcp, a modem, a game, a test | this crate |
//!
//! The pages about applications use `sansocket-io`. It re-exports this crate, so an application
//! depends on one of the two.

// The blocks of the pages are tested by sansocket-io, in src/guide.rs: most of them use it.

#[doc = include_str!("broadcasts.md")]
pub mod broadcasts {}
#[doc = include_str!("client.md")]
pub mod client {}
#[doc = include_str!("coming_from.md")]
pub mod coming_from {}
#[cfg(feature = "deflate")]
#[doc = include_str!("compression.md")]
pub mod compression {}
#[doc = include_str!("comparison.md")]
pub mod comparison {}
#[doc = include_str!("differences.md")]
pub mod differences {}
#[doc = include_str!("driver.md")]
pub mod driver {}
#[doc = include_str!("faq.md")]
pub mod faq {}
#[doc = include_str!("firmware.md")]
pub mod firmware {}
#[doc = include_str!("http.md")]
pub mod http {}
#[doc = include_str!("large_messages.md")]
pub mod large_messages {}
#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("server.md")]
pub mod server {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("timers.md")]
pub mod timers {}
