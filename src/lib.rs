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
//! The WebSocket protocol (RFC 6455) without the socket: you move the bytes, this crate does the
//! rest.
//!
//! Most WebSocket libraries own the connection: they read from it, write to it and wait for it.
//! This one does not. A [`WebSocket`] is a plain value, client or server (these pages also call it
//! *the machine*), that you use like this:
//!
//! 1. Read bytes from your connection, and pass them to [`receive`](WebSocket::receive).
//! 2. Match on the [`Event`]s that it returns: a request, a message, a Ping, an error, the close.
//! 3. Call [`send`](WebSocket::send), [`ping`](WebSocket::ping) or [`close`](WebSocket::close).
//!    They append bytes to a buffer of yours, the outbox.
//! 4. Write the outbox to your connection.
//!
//! The crate handles the opening handshake, masking, fragments, UTF-8, Pings, timeouts and the
//! closing handshake. It does no I/O and reads no clock, so the same code runs in firmware, under
//! any async runtime, and in a test that replays recorded bytes. (This design is called *sans-IO*.)
//! It is `no_std`, needs no heap, and contains no unsafe code.
//!
//! The [`guide`] shows how to build servers, clients, firmware and drivers with it, step by step.
//!
//! # The loop
//!
//! A blocking echo server:
//!
//! ```no_run
//! # use std::io::{Read, Write};
//! use sansocket::{Config, Event, State, WebSocket, heapless};
//!
//! # fn serve(mut stream: std::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = WebSocket::server(Config::default());
//! // For the bytes of one read.
//! let mut buffer = [0; 1024];
//! // For a message that spans several reads. Its capacity limits the size of every message.
//! let mut inbox = heapless::Vec::<u8, 4096>::new();
//! // For the bytes to send: the largest message (4,096), the replies to one read (1,024), and 160
//! // for headers, a Close frame, and the answer to a request.
//! let mut outbox = heapless::Vec::<u8, 5280>::new();
//! loop {
//!     let n = stream.read(&mut buffer)?;
//!     let mut input = &mut buffer[..n];
//!     if n == 0 {
//!         ws.receive_eof();
//!     }
//!     while let Some(event) = ws.receive(&mut input, &mut inbox) {
//!         match event {
//!             Event::Request(request) => ws.accept(request.accept(), &mut outbox)?,
//!             Event::Open(_) => {}
//!             // After a `close` of ours, messages still arrive, but none can be sent.
//!             Event::Message(message) if ws.state() == State::Open => ws.send(message, &mut outbox)?,
//!             Event::Message(_) => {}
//!             Event::Piece(_) => {}                 // only with `Delivery::Pieces`
//!             Event::Ping(_) | Event::Pong(_) => {} // the Pong for a Ping is already pending
//!             // A request that the machine refuses; for a client, the response that refused the
//!             // upgrade. `Error` follows.
//!             Event::BadRequest(request) => eprintln!("{request}"),
//!             Event::Refused(response) => eprintln!("status {}", response.status()),
//!             Event::Error(error) => eprintln!("{error}"), // `Close` follows
//!             Event::Close(close) => println!("{close}"),  // the last event
//!         }
//!         ws.transmit(&mut outbox)?; // pending output: a Pong, a Close frame, a refusal
//!     }
//!     ws.transmit(&mut outbox)?;
//!     stream.write_all(&outbox)?;
//!     outbox.clear();
//!     if ws.is_closed() {
//!         return Ok(()); // before the next read, which would block
//!     }
//! }
//! # }
//! ```
//!
//! A client differs in three lines: its constructor takes a random number generator for the masking
//! keys, it sends the request, and its outbox needs 7,328 bytes (4,096 + 3 × 1,024 + 160). A
//! server's replies are not longer than the read. A client's can be three times as long: an empty
//! message has 2 bytes, and its masked reply 6.
//!
//! ```
//! use sansocket::{Config, Connect, WebSocket};
//! # let mut outbox = Vec::new();
//! // Unlike `rand::rng()`, a `StdRng` is `Send`: the connection can move to another thread.
//! let rng = rand::make_rng::<rand::rngs::StdRng>();
//! let mut ws = WebSocket::client(Config::default(), rng);
//! ws.connect(Connect::new("example.com", "/chat").protocol("chat"), &mut outbox)?;
//! # std::thread::spawn(move || drop(ws)).join().unwrap();
//! # Ok::<_, sansocket::ConnectError>(())
//! ```
//!
//! For callbacks instead of a match, implement [`Handler`] and call
//! [`dispatch`](WebSocket::dispatch).
//!
//! Do not drop the socket of a closed connection at once. Shut down its sending side, read and
//! discard until the end of the stream or a deadline, then drop it. If unread input is left, the
//! kernel resets the connection, and the peer may lose the Close frame.
//!
//! # What `receive` takes
//!
//! The input can be cut anywhere, even after every byte: the events are the same (only pieces of
//! messages are cut with it). `receive` uses up all of the input before it returns `None`, so the
//! next read can overwrite the buffer.
//!
//! There is one exception. While it is the caller's turn, because a request waits for its answer or
//! a client has not connected ([`awaits_caller`](WebSocket::awaits_caller)), `receive` takes
//! nothing and returns `None`. The loop above answers in the match arm, so it never sees this. A
//! server that answers later keeps `request.accept()`, which borrows nothing, and the rest of
//! `input`, and passes that rest to `receive` after the answer.
//!
//! # Borrowing
//!
//! A message in one frame that lies whole in the input is unmasked there, and the event points into
//! the input. Any other message is collected in the inbox, and the event points there.
//!
//! No event borrows the `WebSocket`, so you can reply inside the match arm. An event cannot be kept
//! past the next `receive`:
//!
//! ```compile_fail,E0499
//! # use sansocket::{Config, Server, WebSocket};
//! # let mut ws = WebSocket::<Server>::open(Config::default());
//! # let mut inbox = Vec::new();
//! # let mut bytes = [0; 8];
//! let mut input = &mut bytes[..];
//! let first = ws.receive(&mut input, &mut inbox);
//! let second = ws.receive(&mut input, &mut inbox);
//! println!("{first:?}");
//! ```
//!
//! # Large messages without a copy
//!
//! A frame that is cut by the end of a read is copied to the inbox. With a large buffer you can
//! avoid the copy: before `receive`, ask [`missing`](WebSocket::missing) how many bytes of the
//! frame are still to come, and read them after the bytes that you have.
//!
//! ```no_run
//! # use sansocket::{Config, Event, WebSocket};
//! # use std::io::Read;
//! # fn serve(mut stream: std::net::TcpStream) -> std::io::Result<()> {
//! # let mut ws = WebSocket::server(Config::default());
//! # let mut inbox = Vec::new();
//! let mut buffer = vec![0; 64 * 1024];
//! let mut kept = 0; // bytes at the front of the buffer that `receive` has not taken
//! let mut next = 16 * 1024; // size of the next read
//! # while !ws.is_closed() {
//! let n = stream.read(&mut buffer[kept..kept + next])?;
//! if n == 0 {
//!     ws.receive_eof();
//! }
//! let (capacity, end) = (buffer.len(), kept + n);
//! let mut input = &mut buffer[..end];
//! next = 16 * 1024;
//! loop {
//!     let missing = ws.missing(input, &inbox);
//!     if missing > 0 && missing <= (capacity - input.len()) as u64 {
//!         next = missing as usize;
//!         break; // read the rest of the frame
//!     }
//!     let Some(event) = ws.receive(&mut input, &mut inbox) else { break };
//!     // Handle the event, as above. Answer a request here, or do not read until it is answered.
//! }
//! kept = input.len();
//! buffer.copy_within(end - kept..end, 0);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Messages larger than memory
//!
//! With [`Delivery::Pieces`], a message arrives as a series of [`Event::Piece`], in constant
//! memory. Each piece points into the input. A piece of text is a `&str`; if the input ends inside
//! a character, the next piece carries that character by value, ahead of its text.
//!
//! # Sending
//!
//! | | appends |
//! |---|---|
//! | [`send`](WebSocket::send) | a whole message |
//! | [`send_piece`](WebSocket::send_piece) | a fragment of a message |
//! | [`send_header`](WebSocket::send_header) | a frame header; you send the payload from your own memory |
//! | [`transmit`](WebSocket::transmit) | pending output: the latest Pong, an idle Ping, a Close frame or a refusal |
//! | [`frame::encode`] | a frame for many connections, made once |
//!
//! Every call appends all of its output or nothing. If the outbox is full, the call returns an
//! [`Err`] with the number of bytes that it needs, and changes nothing: flush the outbox and call
//! again. Only the latest Pong is kept pending. Every call that appends a frame appends it first.
//!
//! # Time
//!
//! The crate reads no clock. Pass the time to [`handle_timeout`](WebSocket::handle_timeout), and
//! ask [`poll_timeout`](WebSocket::poll_timeout) when to do so next. Without these calls there are
//! no timeouts.
//!
//! ```
//! # use sansocket::{Config, Event, Server, WebSocket};
//! # use core::time::Duration;
//! let config = Config::default()
//!     .idle_ping(Some(Duration::from_secs(30)))
//!     .pong_timeout(Some(Duration::from_secs(20)));
//! let mut ws = WebSocket::<Server>::open(config);
//! let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
//!
//! assert_eq!(ws.poll_timeout(), Some(Duration::ZERO)); // call at once
//! ws.handle_timeout(Duration::from_secs(1000));
//! assert_eq!(ws.poll_timeout(), Some(Duration::from_secs(1030)));
//! ws.handle_timeout(Duration::from_secs(1030));
//! ws.transmit(&mut outbox)?;
//! assert_eq!(outbox, [0x89, 0x00]); // a Ping
//! ws.handle_timeout(Duration::from_secs(1050));
//! assert!(ws.is_closed()); // the peer is dead
//! assert!(matches!(ws.receive(&mut &mut [][..], &mut inbox), Some(Event::Error(_))));
//! # Ok::<_, sansocket::OutboxFull>(())
//! ```
//!
//! On an open connection, these are signs of life of the peer:
//!
//! - Each byte that it sends: received, or waiting for the rest of its frame when
//!   [`missing`](WebSocket::missing) is asked.
//! - Output that the transport takes while more is left, if you report each write with
//!   [`output_sent`](WebSocket::output_sent), or with [`payload_sent`](WebSocket::payload_sent).
//!   Report them if messages are large or peers slow: a peer cannot answer a Ping that waits behind
//!   a megabyte. The time for a Pong then runs from the moment when the Ping has left the outbox.
//!
//! The last bytes of the output are no sign: a kernel takes small writes long after the peer is
//! gone. Nor have bytes in its send buffer reached the peer. How long a Ping can wait there is the
//! buffer's size divided by the rate: see [`Config::pong_timeout`].
//!
//! # How a connection ends
//!
//! | cause | events | [`is_closed`](WebSocket::is_closed) becomes true |
//! |---|---|---|
//! | the peer breaks the protocol | Error, Close 1006 (not clean) | when our Close frame is transmitted; at once if it was sent before |
//! | the peer's Close frame arrives | Close with its code, or 1005 (clean) | server: when the reply is transmitted; client: after that, at the end of the stream or the closing timeout |
//! | you call [`close`](WebSocket::close) | messages, until the peer's Close frame arrives; then Close with its code | server: when the peer's Close frame arrives; client: after that, at the end of the stream or the closing timeout |
//! | the stream ends without the peer's Close frame | Error, Close 1006 | at once |
//! | the stream ends after it | none | at once |
//! | closing timeout without the peer's Close frame | Close 1006 | at once |
//! | closing timeout after it, or after a failure | none | at once |
//! | handshake timeout, Pong timeout | Error, Close 1006 | at once; nothing is sent to a silent peer |
//! | you call [`reject`](WebSocket::reject) | Close 1006 | when the response is appended |
//! | the server receives a bad request | BadRequest, Error, Close 1006 | when the refusal is transmitted |
//! | the client receives a bad response | Error, Close 1006 | at once |
//! | the client's request is refused, even if the response is cut short | Refused, Error, Close 1006 | at once |
//!
//! Close is the last event of every connection, and there is exactly one. (A browser differs: it
//! fires `close` only when TCP ends, and drops messages that arrive after its own `close()`.)
//!
//! # Connections that are already open
//!
//! If other software does the opening handshake (a web framework, or a stack for HTTP/2 or HTTP/3),
//! use one of the four constructors named `open`. [`check_request`](handshake::check_request) and
//! [`check_response`](handshake::check_response) check HTTP/1.1 headers that it has parsed, and
//! [`check_connect`](handshake::check_connect) and
//! [`check_connect_response`](handshake::check_connect_response) those of HTTP/2 and HTTP/3. There
//! is no [`Event::Open`]; pass every byte after the handshake to `receive`.
//!
//! | constructor | for |
//! |---|---|
//! | `WebSocket::<Server>::open(config)` | a server that also does handshakes of its own: both kinds have one type |
//! | `WebSocket::<Client<R>>::open(config, rng)` | the same for a client |
//! | `WebSocket::<Established<Server>>::open(config)` | firmware: this type does no handshakes, so the HTTP code is not linked |
//! | `WebSocket::<Established<Client<R>>>::open(config, rng)` | the same for a client |
//!
//! # Runtimes
//!
//! An async `next()` that owns its buffers cannot return an event from a loop around
//! [`receive`](WebSocket::receive): the borrow checker extends the borrow over the whole loop
//! (E0499). Use the two halves of `receive` instead: [`poll`](WebSocket::poll) finds the next event
//! and borrows nothing, [`event`](WebSocket::event) returns it.
//!
//! # Features
//!
//! - `alloc` (default): [`Buffer`] for `Vec<u8>`, and `Inbox`.
//! - `sha1_smol` (default): the handshake's SHA-1 comes from the crate `sha1_smol`. Without this
//!   feature it comes from a compact function of this crate, which takes less flash.
//! - `simdutf8`: UTF-8 is validated with the widest vector instructions of the processor. Needs
//!   `std`.
//! - `simd`: the same for masking. SHA-1 uses the processor's own instructions where it has them.
//!   Includes `simdutf8`. Needs `std`.
//! - `defmt`: events, errors and states derive `defmt::Format`.
//!
//! `base64ct` encodes the handshake's keys; it is always a dependency.
//!
//! [`heapless`] and [`rand_core`] are re-exported, because their types and traits are part of this
//! API: `sansocket::heapless::Vec` and `sansocket::rand_core::CryptoRng` have the version that
//! [`Buffer`] and [`Client`] need.

#[cfg(all(feature = "simdutf8", target_os = "none"))]
compile_error!("the features `simd` and `simdutf8` need `std`, which this target does not have");

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod buffer;
mod config;
mod data;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
mod event;
mod extension;
pub mod frame;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod handler;
pub mod handshake;
mod message;
mod receiver;
mod role;
mod sender;
mod timer;
mod utf8;
mod websocket;

#[cfg(feature = "alloc")]
pub use buffer::Inbox;
pub use buffer::{Buffer, FixedInbox, Slice, TextInbox};
pub use config::{Config, Delivery};
pub use data::{CloseReason, ControlPayload, Fragment, Kind, Message, Part, Piece};
pub use error::{OutboxFull, ProtocolError, SendError};
pub use event::{Close, Error, Event, Ready, State};
pub use frame::CloseCode;
pub use handler::{Handler, Responder};
pub use handshake::{Accept, BadRequest, Connect, Open, Reject, Request, Response};
pub use handshake::{AnswerError, ConnectError, HeadError, RequestError, ResponseError};
pub use role::{Client, ClientRole, Established, Role, Server, ServerRole};
pub use websocket::WebSocket;

// In the versions whose types are part of this crate's interface.
pub use {heapless, rand_core};
