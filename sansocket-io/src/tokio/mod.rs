//! Connections over tokio's streams.
//!
//! ```no_run
//! use sansocket_io::{CloseCode, Event, tokio::connect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = connect("ws://127.0.0.1:9001/").await?;
//! socket.reply().send("Hello")?;
//! while let Some((event, reply)) = socket.next().await {
//!     match event {
//!         Event::Message(message) => {
//!             println!("{message:?}");
//!             reply.close(CloseCode::NORMAL, "")?;
//!         }
//!         Event::Error(error) => eprintln!("{error}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod clock;
mod connect;
#[cfg(feature = "deflate")]
mod deflate;
mod server;
mod stream;
#[cfg(feature = "rustls")]
mod tls;

pub use clock::TokioClock;
pub use connect::{accept, accept_on, connect, connect_on, connect_tcp, connect_with, open, server, tune};
#[cfg(feature = "deflate")]
pub use deflate::{DeflateClientSocket, DeflateServerSocket, deflate_client, deflate_server};
pub use server::Server;
pub use stream::Tokio;
#[cfg(feature = "rustls")]
pub use tls::{TlsClientSocket, connect_tls, connect_tls_with};
#[cfg(feature = "rustls")]
pub use tokio_rustls;

use crate::{Pooled, Reply, Socket};
use rand::rngs::StdRng;
use sansocket::Client;

/// A server's connection over the stream `S`.
pub type ServerSocket<S = ::tokio::net::TcpStream> = Socket<sansocket::Server, Tokio<S>, TokioClock, Pooled>;
/// A client's connection over the stream `S`.
pub type ClientSocket<S = ::tokio::net::TcpStream> = Socket<Client<StdRng>, Tokio<S>, TokioClock, Pooled>;
/// What a [`ServerSocket`] sends with.
pub type ServerReply<S = ::tokio::net::TcpStream> = Reply<sansocket::Server, Tokio<S>, TokioClock, Pooled>;
/// What a [`ClientSocket`] sends with.
pub type ClientReply<S = ::tokio::net::TcpStream> = Reply<Client<StdRng>, Tokio<S>, TokioClock, Pooled>;
/// Why a [`ServerSocket`] was not opened.
pub type AcceptError = crate::AcceptError<std::io::Error>;
/// Why a [`ClientSocket`] was not opened.
pub type OpenError = crate::OpenError<std::io::Error>;
