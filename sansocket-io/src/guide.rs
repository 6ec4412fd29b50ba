//! Tests the blocks of the guide, whose pages belong to the package `sansocket` (`src/guide`): most
//! of them use this crate, which that one cannot depend on.

#[doc = include_str!("../../src/guide/broadcasts.md")]
mod broadcasts {}
#[doc = include_str!("../../src/guide/client.md")]
mod client {}
#[doc = include_str!("../../src/guide/coming_from.md")]
mod coming_from {}
#[doc = include_str!("../../src/guide/compression.md")]
mod compression {}
#[doc = include_str!("../../src/guide/driver.md")]
mod driver {}
#[doc = include_str!("../../src/guide/faq.md")]
mod faq {}
#[doc = include_str!("../../src/guide/firmware.md")]
mod firmware {}
#[doc = include_str!("../../src/guide/http.md")]
mod http {}
#[doc = include_str!("../../src/guide/large_messages.md")]
mod large_messages {}
#[doc = include_str!("../../src/guide/security.md")]
mod security {}
#[doc = include_str!("../../src/guide/server.md")]
mod server {}
#[doc = include_str!("../../src/guide/testing.md")]
mod testing {}
#[doc = include_str!("../../src/guide/timers.md")]
mod timers {}
