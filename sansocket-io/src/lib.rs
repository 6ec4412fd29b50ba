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
//!
//! [`sansocket`] is the protocol without I/O. This crate does the I/O: it reads and writes, keeps
//! the time, and bounds the memory, with defaults that are fit for production. The [guide] shows
//! how to build servers, clients and firmware with it.
//!
//! [guide]: https://docs.rs/sansocket/latest/sansocket/guide/index.html
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn serve(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! use sansocket_io::{Event, tokio::accept};
//!
//! let mut socket = accept(stream, |request| Ok(request.accept())).await?;
//! while let Some((event, reply)) = socket.next().await {
//!     match event {
//!         Event::Message(message) => reply.send(message)?,
//!         Event::Error(error) => return Err(error.into()), // `Close` would follow
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Socket::next`] returns an event, which borrows the received bytes, and a [`Reply`] to send
//! with while it is borrowed. One task drives a connection: it calls `next` until that returns
//! `None`. Other tasks and threads send through a [`Sender`].
//!
//! # Features
//!
//! | feature | for |
//! |---|---|
//! | `tokio` | the streams of tokio, and a server: module [`tokio`] |
//! | `rustls` | TLS for `tokio` and for `blocking`: `wss` URIs |
//! | `futures-io` | smol and other runtimes with the streams of futures-io, and a server: module [`futures_io`] |
//! | `blocking` | threads, and a server: module [`blocking`] |
//! | `embedded-io-async`, `embassy-time` | embassy-net and edge-nal, without a heap: module [`embedded_io_async`] |
//! | `std` | [`Sender`] and `Broadcast`: sending from other tasks and threads |
//! | `alloc` | `Heap`: memory that grows and shrinks with the messages |
//! | `stream` | owned messages as a `Stream` and a `Sink`: module [`stream`] |
//! | `deflate` | compression (RFC 7692) |
//! | `simd` | the widest vector instructions of the processor |
//!
//! `tokio`, `futures-io` and `blocking` include `std`, which includes `alloc`. They only add: none
//! changes what another one does. Any other stream works with a [`Transport`] of your own and
//! [`Socket::new`].
//!
//! # Cancel safety
//!
//! A future of [`Socket::next`] can be dropped at any time, in `select!` for example. All state is
//! in the socket, and the next call goes on: no byte is lost, in either direction. So are
//! [`Reply::flush`] and [`Sender::send`]; a message whose `send` was dropped is not sent.
//!
//! [`Socket::accept`] and [`Socket::connect`] are not: if they are dropped, drop the socket too.
//! The timeout of the opening handshake is built in, so there is no need to.
//!
//! # Back-pressure
//!
//! All that waits is bounded.
//!
//! | what waits | its limit | at the limit |
//! |---|---|---|
//! | replies: what is sent while an event is borrowed | [`Settings::max_unsent`], 64 KiB | `next` returns no event until the peer has read some, so nothing is read from the peer either |
//! | messages of [`Sender`]s | [`Settings::max_queued`], 1 MiB | the caller's choice: [`Sender::try_send`] returns the message, [`Sender::send`] waits |
//! | other messages: sent with [`Socket::reply`] | none | look at [`Reply::unsent`] before, or wait in [`Socket::next_or_room`] or [`Reply::flush`] |
//! | received bytes | [`Settings::max_read_buffer`], and [`Config::max_message`] | a longer message fails the connection with 1009 |
//!
//! `send` does not wait and does not write at once: the next call of `next` writes all that has
//! been sent in one go. A program that sends, and does not call `next` soon, calls
//! [`Reply::flush`].
//!
//! Memory that a large message needed is given back: see [`Settings::keep_memory`].
//!
//! # Timeouts
//!
//! | | default | |
//! |---|---|---|
//! | to connect: name, TCP, TLS | 10 s | [`Settings::connect_timeout`] |
//! | opening handshake | 10 s | [`Config::handshake_timeout`] |
//! | silence, after which the peer is sent a Ping | 30 s | [`Config::idle_ping`] |
//! | no answer to it | 20 s | [`Config::pong_timeout`] |
//! | a peer that takes less than 16 KiB while bytes wait to be written | 30 s | [`Settings::write_timeout`] |
//! | closing handshake | 5 s | [`Config::closing_timeout`] |
//! | until the peer ends the stream, after the closing handshake | 2 s | [`Settings::linger`] |
//!
//! A slow but steady reader lives; a peer that is gone, or reads nothing, does not hold its
//! connection for longer than these. No time passes while `next` is not called: call it again soon.
//!
//! # How a connection ends
//!
//! [`Event::Close`] is the last event of every connection, and [`Event::Error`] precedes it if the
//! peer has failed. After it, `next` writes what is left, shuts down the stream, waits for the peer
//! to do the same, and returns `None`. If the transport has failed, [`Socket::failure`] says how;
//! all that the peer had sent before is delivered.
//!
//! # Writing your own
//!
//! `examples/wrapper` in the repository is the least that a driver for tokio needs, in 220 lines,
//! to copy and to change.
// Where links lead without the feature.
#![doc = ""]
#![cfg_attr(not(feature = "std"), doc = "[`Sender`]: #features")]
#![cfg_attr(not(feature = "std"), doc = "[`Sender::send`]: #features")]
#![cfg_attr(not(feature = "std"), doc = "[`Sender::try_send`]: #features")]
#![cfg_attr(not(feature = "blocking"), doc = "[`blocking`]: #features")]
#![cfg_attr(not(feature = "embedded-io-async"), doc = "[`embedded_io_async`]: #features")]
#![cfg_attr(not(feature = "futures-io"), doc = "[`futures_io`]: #features")]
#![cfg_attr(not(feature = "stream"), doc = "[`stream`]: #features")]
#![cfg_attr(not(feature = "tokio"), doc = "[`tokio`]: #features")]

#[cfg(all(feature = "std", target_os = "none"))]
compile_error!(
    "the features `std`, `tokio`, `rustls`, `futures-io`, `blocking` and `simd` need `std`, which this target \
     does not have"
);

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
// The pages use each runtime.
#[cfg(all(
    doctest,
    guide,
    feature = "blocking",
    feature = "deflate",
    feature = "embassy-time",
    feature = "embedded-io-async",
    feature = "futures-io",
    feature = "rustls",
    feature = "stream",
    feature = "tokio"
))]
mod guide;
mod input;
mod memory;
#[cfg(feature = "alloc")]
mod message;
mod opening;
mod output;
mod pace;
#[cfg(any(feature = "blocking", feature = "futures-io", feature = "tokio"))]
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
pub use socket::{Next, Room, Socket};
pub use transport::{Clock, NoClock, Transport};
#[cfg(feature = "alloc")]
pub use {error::Refusal, memory::Heap, message::OwnedMessage};

/// The machine behind a connection, and its types.
pub use sansocket;
pub use sansocket::{Accept, CloseCode, Config, Connect, Event, Message, Reject, Request, State};

/// The examples of the READMEs, that of the protocol crate included, are tested.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../README.md")]
struct Readme;
