//! Connections on threads, without an async runtime.
//!
//! A client:
//!
//! ```no_run
//! use sansocket_io::{CloseCode, Event, blocking::connect};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut socket = connect("ws://127.0.0.1:9001/")?;
//!     socket.reply().send("Hello")?;
//!     while let Some((event, reply)) = socket.next() {
//!         match event {
//!             Event::Message(message) => {
//!                 println!("{message:?}");
//!                 reply.close(CloseCode::NORMAL, "")?;
//!             }
//!             Event::Error(error) => return Err(error.into()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A server that sends every message back:
//!
//! ```no_run
//! use sansocket_io::{Event, blocking::Server};
//!
//! fn main() -> std::io::Result<()> {
//!     Server::bind("127.0.0.1:9001")?.run(|mut socket, peer| {
//!         if let Err(error) = socket.accept(|request| Ok(request.accept())) {
//!             return eprintln!("{peer}: {error}");
//!         }
//!         while let Some((event, reply)) = socket.next() {
//!             if let Event::Message(message) = event {
//!                 let _ = reply.send(message);
//!             }
//!         }
//!     });
//!     Ok(())
//! }
//! ```
//!
//! # Other threads
//! [`Reply::sender`] returns a handle that other threads send with, while the connection's own
//! thread waits for the next event. It is bounded: `try_send` says that it is full, `send_blocking`
//! waits.
//!
//! ```no_run
//! # fn chat(mut socket: sansocket_io::blocking::ServerSocket) {
//! use sansocket_io::Event;
//! let sender = socket.reply().sender();
//! std::thread::spawn(move || {
//!     for line in std::io::stdin().lines().map_while(Result::ok) {
//!         if sender.send_blocking(line).is_err() {
//!             return;
//!         }
//!     }
//! });
//! while let Some((event, _)) = socket.next() {
//!     if let Event::Message(message) = event {
//!         println!("{message:?}");
//!     }
//! }
//! # }
//! ```
//!
//! # How a thread waits
//! [`Socket::next`] waits for the stream, for the next deadline, and for other threads that send,
//! all at once (epoll, kqueue, IOCP: crate `mio`). So it reads while it writes, keeps every
//! timeout, and a peer that does not read stops nobody. A connection takes two file descriptors
//! beside its TCP stream. [`Socket::next_timeout`] gives up after a time; the connection goes on.
//!
//! # TLS
//! With the feature `rustls`, `connect_tls` connects to a `wss` URI, and a server has `TlsStream`s:
//!
//! ```no_run
//! # #[cfg(feature = "rustls")]
//! # mod tls {
//! use sansocket_io::blocking::{Server, TlsStream, rustls::ServerConfig};
//! use sansocket_io::sansocket::WebSocket;
//! use std::sync::Arc;
//!
//! fn serve(server: Server, tls: Arc<ServerConfig>) {
//!     let prepare = move |tcp, config| {
//!         Ok((TlsStream::server(tls.clone(), tcp)?, WebSocket::server(config)))
//!     };
//!     server.run_with(prepare, |mut socket, _| {
//!         if socket.accept(|request| Ok(request.accept())).is_ok() {
//!             while socket.next().is_some() {}
//!         }
//!     });
//! }
//! # }
//! ```
//!
//! The features of rustls choose the cryptography: `ring`, for example. [`connect_on`] and
//! [`accept_on`] take a function that makes any [`Stream`] of the TCP stream.

mod connect;
mod server;
mod socket;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod wait;

pub use connect::{accept, accept_on, connect, connect_on, connect_with, open, server};
#[cfg(feature = "rustls")]
pub use rustls;
pub use server::{Server, StopHandle};
pub use socket::{Inner, Next, Socket, Timeout};
pub use stream::{Blocking, Stream, TcpStream};
#[cfg(feature = "rustls")]
pub use tls::{TlsClientSocket, TlsStream, connect_tls, connect_tls_with};
pub use wait::BlockingClock;

use crate::Reply;
use rand::rngs::StdRng;
use sansocket::Client;

/// A server's connection over the stream `S`.
pub type ServerSocket<S = TcpStream> = Socket<sansocket::Server, S>;
/// A client's connection over the stream `S`.
pub type ClientSocket<S = TcpStream> = Socket<Client<StdRng>, S>;
/// What a [`ServerSocket`] sends with.
pub type ServerReply<S = TcpStream> = Reply<sansocket::Server, Blocking<S>, BlockingClock, crate::Heap>;
/// What a [`ClientSocket`] sends with.
pub type ClientReply<S = TcpStream> = Reply<Client<StdRng>, Blocking<S>, BlockingClock, crate::Heap>;
/// Why a [`ServerSocket`] was not opened.
pub type AcceptError = crate::AcceptError<std::io::Error>;
/// Why a [`ClientSocket`] was not opened.
pub type OpenError = crate::OpenError<std::io::Error>;
