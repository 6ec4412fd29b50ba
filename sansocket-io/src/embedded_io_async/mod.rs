//! Connections over the streams of embedded-io-async: embassy-net, edge-nal, a modem's driver.
//! Without a heap, and without `std`.
//!
//! A server that sends every message back:
//!
//! ```
//! use embedded_io_async::{Read, Write};
//! use sansocket_io::sansocket::{Config, WebSocket};
//! use sansocket_io::{AcceptError, Clock, Event, Fixed, Settings, Socket, embedded_io_async::Embedded};
//!
//! /// With embassy: `Embedded::with_close(socket, |socket| socket.close())` for a `TcpSocket`, and
//! /// `EmbassyClock`.
//! async fn echo<S: Read + Write>(io: Embedded<S>, clock: impl Clock) -> Result<(), AcceptError<S::Error>> {
//!     let memory = Fixed::<512, 1024, 2048>::new();
//!     let mut socket = Socket::new(io, clock, WebSocket::server(Config::new()), memory, Settings::new());
//!     socket.accept(|request| Ok(request.accept())).await?;
//!     while let Some((event, reply)) = socket.next().await {
//!         if let Event::Message(message) = event {
//!             // The outbox has room: it holds twice the longest message.
//!             let _ = reply.send(message);
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A client is made of [`WebSocket::client`](sansocket::WebSocket::client) with a generator of
//! random numbers, and opened by [`Socket::connect`](crate::Socket::connect).
//!
//! `examples/firmware/embassy` in the repository is a server over embassy-net, tested on an
//! emulated board.
//!
//! # Memory
//! [`Fixed`](crate::Fixed) lies within the connection; [`Buffers`](crate::Buffers) take slices of
//! static memory. Both have sizes that the program chooses and no message exceeds.
//!
//! With [`Settings::max_unsent(0)`](crate::Settings::max_unsent) no event comes before the reply to
//! the last one is written. Then an outbox holds one reply and a Pong, instead of two messages.
//!
//! # What it costs
//! An echo server in an async task for a Cortex-M4, compiled for size (`z`), beside the same server
//! written as a loop over the machine with the same buffers:
//!
//! | bytes | bare loop | this crate |
//! |---|---|---|
//! | flash | 15,168 | 19,156 |
//! | RAM of a connection: the task's future | 3,432 | 3,592 |
//! | of which the buffers | 2,700 | 2,700 |
//! | stack | 732 | 1,328 |
//!
//! For that, it reads while it writes, drops peers that read too slowly, and continues after a
//! dropped future. In the repository, `examples/firmware/flash` and `examples/firmware/cost`
//! measure this, and `FIGURES.md` there has it for other processors.
//!
//! # Time
//! The feature `embassy-time` has `sansocket_io::EmbassyClock`. Any other program implements
//! [`Clock`](crate::Clock): the time, and one alarm. With [`NoClock`](crate::NoClock), a peer that
//! vanished holds its connection for ever.
//!
//! # Which streams
//! A connection reads and writes at the same time. So it polls a future of the stream, and drops it
//! if it is not ready. That takes a stream
//! - whose futures, dropped before they are ready, have read and written nothing, and
//! - that still wakes the task that has polled them.
//!
//! This holds for the sockets of embassy-net and edge-nal, for the pipes of embassy-sync, and for
//! tokio's streams in an adapter. A reader and a writer apart are joined by [`Halves`].
//!
//! **It does not hold for embedded-tls 0.19**: a dropped `read` loses the bytes of a record's
//! header that it has read already. A server that sends whole records in whole segments hides that;
//! with a network that delivers three bytes at a time, no message arrives. Test with small pieces.
//! For such a stream, use the machine ([`sansocket::WebSocket`]) in a loop that keeps the future of
//! a read until it is ready: `examples/embedded_tls.rs` does, and keeps all timeouts.
//!
//! A flush may last long: that of embassy-net ends when the peer has acknowledged all bytes.
//! Messages do not wait for it, but [`Reply::flush`](crate::Reply::flush) and the shutdown do. So
//! the program can reset or drop the TCP socket once [`Socket::next`](crate::Socket::next) has
//! returned `None`.
//!
//! # Cancellation
//! A future of [`Socket::next`](crate::Socket::next) that is dropped has lost nothing, so it can
//! stand in a `select`.

mod stream;

pub use stream::{Embedded, Halves};
