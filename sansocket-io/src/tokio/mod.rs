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
//!
//! | for | |
//! |---|---|
//! | a client | [`connect`], [`connect_with`]; with the feature `rustls` `connect_tls` |
//! | a server | [`Server`]: a limit on connections, an orderly end |
//! | an accepted stream | [`accept`], [`accept_on`] |
//! | the upgraded stream of hyper or axum | [`accept_tcp`] for their accept loop, then [`open`] |
//! | a stream of HTTP/2 | [`open`], [`open_client`] |
//! | a request whose answer takes time | [`server`], and [`Event::Request`](crate::Event::Request) |
//! | a client that sees the response as an event | [`client`], and [`Reply::connect`] |
//! | a tunnel through a proxy, a Unix socket, … | [`connect_on`], [`accept_on`] |
//! | compression, with the feature `deflate` | `connect_deflate`; `deflate_server`, `deflate_client`; `open_deflate` |
//!
//! # Other things at the same time
//!
//! [`Socket::next`] can be a branch of `select!`:
//!
//! ```no_run
//! # use sansocket_io::{Event, tokio::ServerSocket};
//! # async fn serve(mut socket: ServerSocket) -> Result<(), Box<dyn std::error::Error>> {
//! let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
//! loop {
//!     tokio::select! {
//!         _ = ticks.tick() => socket.reply().send("tick")?,
//!         next = socket.next() => match next {
//!             Some((Event::Message(message), reply)) => reply.send(message)?,
//!             Some(_) => {}
//!             None => return Ok(()),
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! Other tasks send through a [`Sender`](crate::Sender). Its clones can be kept in a map of peers:
//!
//! ```no_run
//! # async fn serve(mut socket: sansocket_io::tokio::ServerSocket) {
//! let sender = socket.reply().sender();
//! tokio::spawn(async move {
//!     while sender.send("news").await.is_ok() {
//!         tokio::time::sleep(std::time::Duration::from_secs(60)).await;
//!     }
//! });
//! while socket.next().await.is_some() {}
//! # }
//! ```
//!
//! # Behind hyper and axum
//!
//! [`check_request`](sansocket::handshake::check_request) checks the headers of a request, and
//! gives the complete response: with status 101, or the refusal. It does not see the method: refuse
//! others than GET. [`Accept::select`](sansocket::Accept::select) selects a subprotocol.
//! `examples/hyper_server.rs` and `examples/axum_server.rs` are whole servers.
//!
//! Over HTTP/2, [`check_connect`](sansocket::handshake::check_connect) takes the place of
//! `check_request`. `examples/http2.rs` serves a page and its WebSocket over both, and
//! `examples/http2_client.rs` is a client.
//!
//! For compression, `sansocket::deflate::check_request` and `open_deflate` take the place of
//! `check_request` and [`open`].
//!
//! # Coming from tokio-tungstenite
//!
//! | tokio-tungstenite | here |
//! |---|---|
//! | `connect_async(uri)` | [`connect`]`(uri)`, `connect_tls(uri, config)` |
//! | `client_async(request, stream)` | [`connect_on`] |
//! | `accept_async(stream)` | [`accept`]`(stream, \|request\| Ok(request.accept()))` |
//! | `accept_hdr_async(stream, callback)` | [`accept`] or [`accept_on`] with a closure that sees the request |
//! | `WebSocketStream::from_raw_socket` | [`open`] |
//! | `ws.next().await` | [`Socket::next`], which lends the message; or `stream::Messages`, a `Stream` and a `Sink` of owned ones |
//! | `ws.send(message).await` | [`Reply::send`], which does not wait; [`Reply::flush`] waits |
//! | `ws.split()` | a [`Sender`](crate::Sender), which can be cloned; the task of `next` answers Pings whatever the sender does |
//! | `Message::Ping(_)`, answered by the next write or read | answered by `next`, always |
//! | `Message::Close(_)` as an item, then `None` or an error | [`Event::Close`](crate::Event::Close), then `None` |
//! | `Error::ConnectionClosed`, `AlreadyClosed` | none: `next` returns `None`; what is sent to a closed connection is discarded, and a `Sender` returns it |
//! | `WebSocketConfig::max_message_size` | [`Config::max_message`](sansocket::Config::max_message) |
//! | `WebSocketConfig::max_write_buffer_size`: an error | [`Settings::max_unsent`](crate::Settings::max_unsent): back-pressure |
//! | timeouts and keep-alive of your own | built in |

mod clock;
mod connect;
#[cfg(feature = "deflate")]
mod deflate;
mod server;
mod stream;
#[cfg(feature = "rustls")]
mod tls;

pub use clock::TokioClock;
pub use connect::{
    accept, accept_on, client, connect, connect_on, connect_tcp, connect_with, open, open_client, server,
    tune,
};
#[cfg(feature = "deflate")]
pub use deflate::{
    DeflateClientSocket, DeflateServerSocket, OpenDeflateSocket, connect_deflate, deflate_client,
    deflate_server, open_deflate,
};
pub use server::{Server, accept_tcp};
pub use stream::Tokio;
#[cfg(feature = "rustls")]
pub use tls::{TlsClientSocket, connect_tls, connect_tls_stream, connect_tls_with};
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
