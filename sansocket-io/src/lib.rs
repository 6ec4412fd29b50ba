#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
// No reachable panic: nothing that can panic on input is used.
#![warn(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic))]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! WebSocket connections (RFC 6455) over tokio's, blocking, and other streams.

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "std")]
mod broadcast;
#[cfg(feature = "embassy-time")]
mod embassy_time;
#[cfg(feature = "embedded-io-async")]
pub mod embedded_io_async;
mod error;
#[cfg(feature = "futures-io")]
pub mod futures_io;
mod input;
mod memory;
#[cfg(feature = "alloc")]
mod message;
mod opening;
mod output;
mod pace;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod peers;
#[cfg(feature = "std")]
mod pool;
mod reconnect;
mod reply;
#[cfg(feature = "std")]
mod sender;
mod settings;
mod socket;
#[cfg(feature = "stream")]
pub mod stream;
#[cfg(any(feature = "blocking", feature = "futures-io", feature = "tokio"))]
mod tcp;
#[cfg(feature = "tokio")]
pub mod tokio;
mod transport;

#[cfg(feature = "std")]
pub use broadcast::Broadcast;
#[cfg(feature = "embassy-time")]
pub use embassy_time::EmbassyClock;
pub use error::{AcceptError, Failure, OpenError};
pub use memory::{Buffers, Fixed, Memory, ReadBuffer, Release};
#[cfg(feature = "std")]
pub use pool::{Pooled, PooledInput};
pub use reconnect::Delays;
pub use reply::Reply;
#[cfg(feature = "std")]
pub use sender::{Closed, Sender, TrySendError};
pub use settings::Settings;
pub use socket::{Next, Socket};
pub use transport::{Clock, NoClock, Transport};
#[cfg(feature = "alloc")]
pub use {error::Refusal, memory::Heap, message::OwnedMessage};

/// The machine behind a connection, and its types.
pub use sansocket;
pub use sansocket::{Accept, CloseCode, Config, Connect, Event, Message, Reject, Request, State};
