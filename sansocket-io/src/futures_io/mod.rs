//! Connections over the streams of futures-io: smol, async-std.
//!
//! A client:
//!
//! ```no_run
//! use sansocket_io::{CloseCode, Event, futures_io::connect};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     smol::block_on(async {
//!         let mut socket = connect("ws://127.0.0.1:9001/").await?;
//!         socket.reply().send("Hello")?;
//!         while let Some((event, reply)) = socket.next().await {
//!             match event {
//!                 Event::Message(message) => {
//!                     println!("{message:?}");
//!                     reply.close(CloseCode::NORMAL, "")?;
//!                 }
//!                 Event::Error(error) => return Err(error.into()),
//!                 _ => {}
//!             }
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! A server that sends every message back, with a limit on connections and an orderly end, is the
//! example of [`Server`].
//!
//! # Streams
//! [`connect`], [`connect_with`], [`accept`] and [`Server`] use the TCP stream of smol
//! (`async_net::TcpStream`). For the streams of async-std, for TLS and for Unix sockets, there are
//! [`connect_on`] and [`accept_on`]; call [`tune`] with a TCP stream before.
//!
//! # Time
//! Timeouts are kept by async-io, whose timers smol and async-std use. They work on other executors
//! too: async-io then drives them on a thread of its own. A runtime with its own timers, or none,
//! gives [`Socket::new`] a [`Clock`](crate::Clock) and [`FuturesIo`].
//!
//! # Cancellation
//! A future of [`Socket::next`] that is dropped has lost nothing, so it can stand in a `select!` or
//! an `or`. All futures are `Send` if the stream is.

mod clock;
mod connect;
mod server;
mod stream;

pub use clock::AsyncIoClock;
pub use connect::{accept, accept_on, connect, connect_on, connect_with, open, server, tune};
pub use server::{Server, ServerTask};
pub use stream::FuturesIo;

use crate::{Pooled, Reply, Socket};
use async_net::TcpStream;
use rand::rngs::StdRng;
use sansocket::Client;

/// A server's connection over the stream `S`.
pub type ServerSocket<S = TcpStream> = Socket<sansocket::Server, FuturesIo<S>, AsyncIoClock, Pooled>;
/// A client's connection over the stream `S`.
pub type ClientSocket<S = TcpStream> = Socket<Client<StdRng>, FuturesIo<S>, AsyncIoClock, Pooled>;
/// What a [`ServerSocket`] sends with.
pub type ServerReply<S = TcpStream> = Reply<sansocket::Server, FuturesIo<S>, AsyncIoClock, Pooled>;
/// What a [`ClientSocket`] sends with.
pub type ClientReply<S = TcpStream> = Reply<Client<StdRng>, FuturesIo<S>, AsyncIoClock, Pooled>;
/// Why a [`ServerSocket`] was not opened.
pub type AcceptError = crate::AcceptError<std::io::Error>;
/// Why a [`ClientSocket`] was not opened.
pub type OpenError = crate::OpenError<std::io::Error>;
