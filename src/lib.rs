#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
// No reachable panic: what could panic on input is not used.
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
//! A WebSocket without the socket: bytes in, events out, bytes to send out.
//!
//! The protocol of RFC 6455, opening handshake to close, both roles, as one machine that does no I/O, reads no clock,
//! has no randomness and no heap of its own. The same machine runs in firmware without an allocator and under any
//! runtime on a server, and every run of it can be replayed.
//!
//! # The loop
//!
//! ```no_run
//! # use std::io::{Read, Write};
//! use sansocket::{Config, Event, WebSocket};
//!
//! # fn serve(mut stream: std::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = WebSocket::server(Config::default());
//! let mut buffer = [0; 1024]; // what one read brings
//! let mut inbox = heapless::Vec::<u8, 4096>::new(); // a message of several reads; its capacity bounds every message
//! let mut outbox = heapless::Vec::<u8, 5280>::new(); // bytes to send: largest message + header + a read's worth of replies
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
//!             Event::Message(message) => ws.send(message, &mut outbox)?,
//!             Event::Piece(_) => {} // with Delivery::Pieces
//!             Event::Ping(_) | Event::Pong(_) => {} // already answered; for whoever wants to see them
//!             Event::Refused(_) => {} // a client's: the response
//!             Event::Error(error) => eprintln!("{error}"),
//!             Event::Close(close) => println!("{close}"),
//!         }
//!         ws.transmit(&mut outbox)?; // what the machine owes: a Pong, a Close, a refusal
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
//! A client differs in two lines: it is made with a source of masking keys, and asks.
//!
//! ```
//! # use sansocket::{Config, Connect, WebSocket};
//! # let rng = rand::rng();
//! # let mut outbox = Vec::new();
//! let mut ws = WebSocket::client(Config::default(), rng);
//! ws.connect(Connect::new("example.com", "/chat").protocol("chat"), &mut outbox)?;
//! # Ok::<_, sansocket::ConnectError>(())
//! ```
//!
//! Once it is closed, a good server shuts its sending side down, reads and discards until the end of the stream or a
//! deadline, and then drops the socket: dropping one with unread input makes the kernel reset the connection, and the
//! peer may lose the Close frame.
//!
//! # What borrows what
//!
//! Events borrow the input or the inbox, never the machine: replying inside the match arm compiles, as above. An event
//! cannot be kept past the next `receive`:
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
//! Every slice of input is used up: nothing need be handed in again. Where a message lies whole in the input it is lent from
//! there, unmasked in place; only one that spans slices is collected in the inbox. A caller may stop between two events.
//!
//! # Large messages, in place
//!
//! A frame that is cut by the end of a read costs a copy into the inbox. Who has a large buffer may wait instead: ask
//! [`missing`](WebSocket::missing) before `receive`, leave the cut frame where it is, and read what it lacks behind it.
//!
//! ```no_run
//! # use sansocket::{Config, Event, WebSocket};
//! # use std::io::Read;
//! # fn serve(mut stream: std::net::TcpStream) -> std::io::Result<()> {
//! # let mut ws = WebSocket::server(Config::default());
//! # let mut inbox = Vec::new();
//! let mut buffer = vec![0; 64 * 1024];
//! let (mut kept, mut next) = (0, 16 * 1024); // what of a cut frame is at the buffer's front; what the next read asks for
//! # while !ws.is_closed() {
//! let end = kept + stream.read(&mut buffer[kept..kept + next])?;
//! let room = buffer.len();
//! let mut input = &mut buffer[..end];
//! next = 16 * 1024;
//! loop {
//!     let missing = ws.missing(input, &inbox);
//!     if missing > 0 && missing <= (room - input.len()) as u64 {
//!         next = missing as usize;
//!         break; // to read the rest
//!     }
//!     let Some(event) = ws.receive(&mut input, &mut inbox) else { break };
//!     // … as above
//! }
//! kept = input.len();
//! buffer.copy_within(end - kept..end, 0);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Bytes to send
//!
//! What is sent is appended to an outbox, whole frames or nothing. A full outbox is an [`Err`] that says how many bytes
//! are needed, and that changed nothing: flush it and call again. What the machine owes (one slot: the latest Pong, or a
//! Close frame, or a refusal) is appended by [`transmit`](WebSocket::transmit), or ahead of the next
//! [`send`](WebSocket::send).
//!
//! There are three ways to send: [`send`](WebSocket::send) a whole message, [`send_piece`](WebSocket::send_piece) a
//! fragment, [`send_header`](WebSocket::send_header) and then the payload from where it lies. And, outside any connection,
//! [`frame::encode`] for a broadcast.
//!
//! # Messages larger than memory
//!
//! With [`Delivery::Pieces`], a message is lent piece by piece, in place, as it comes. Text stays text: a character that
//! two slices share comes by value ahead of the next piece.
//!
//! # Time
//!
//! Time is data: [`handle_timeout`](WebSocket::handle_timeout) tells it, [`poll_timeout`](WebSocket::poll_timeout) asks
//! for it. Whoever calls neither has no timeouts.
//!
//! ```
//! # use sansocket::{Config, Event, Server, State, WebSocket};
//! # use core::time::Duration;
//! let config = Config::default().idle_ping(Some(Duration::from_secs(30))).pong_timeout(Some(Duration::from_secs(20)));
//! let mut ws = WebSocket::<Server>::open(config);
//! let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
//!
//! assert_eq!(ws.poll_timeout(), Some(Duration::ZERO)); // armed: call at once
//! ws.handle_timeout(Duration::from_secs(1000));
//! assert_eq!(ws.poll_timeout(), Some(Duration::from_secs(1030)));
//! ws.handle_timeout(Duration::from_secs(1030));
//! ws.transmit(&mut outbox)?;
//! assert_eq!(outbox, [0x89, 0x00]); // an idle Ping
//! ws.handle_timeout(Duration::from_secs(1050));
//! assert!(ws.is_closed()); // a dead peer noticed
//! assert!(matches!(ws.receive(&mut &mut [][..], &mut inbox), Some(Event::Error(_))));
//! # Ok::<_, sansocket::OutboxFull>(())
//! ```
//!
//! # How a connection ends
//!
//! | what happens | events | [`is_closed`](WebSocket::is_closed) becomes true |
//! |---|---|---|
//! | the peer breaks the protocol | Error, Close 1006 not clean | when our Close frame is transmitted |
//! | the peer's Close frame arrives | Close with its code, or 1005; clean | server: when the reply is transmitted; client: then at the end of the stream or the closing timeout |
//! | [`close`](WebSocket::close) was called | messages are still delivered until the peer's Close frame arrives | as above |
//! | end of the stream without a Close frame from the peer | Error, Close 1006 | at once |
//! | end of the stream after it | none | at once |
//! | closing timeout without a Close frame from the peer | Close 1006 | at once |
//! | closing timeout after it, or after a fault | none more | at once |
//! | handshake timeout, missing Pong | Error, Close 1006 | at once: a silent peer is told nothing |
//! | [`reject`](WebSocket::reject) | Close 1006 | with the response |
//! | the machine refuses a bad request | Error, Close 1006 | when the refusal is transmitted |
//! | a client refuses a response, or is refused | Error, Close 1006 | at once |
//!
//! Close is the last event of every connection and comes exactly once. A browser fires `close` only when TCP ends, and
//! drops messages after it has called `close()`.
//!
//! # Runtimes
//!
//! A wrapper that owns its buffers cannot return the event of [`receive`](WebSocket::receive) from a loop: today's borrow
//! checker extends the conditionally returned borrow over the whole loop (E0499). [`poll`](WebSocket::poll) and
//! [`event`](WebSocket::event) are the two halves of `receive`, and the first borrows nothing.
//!
//! # Features
//!
//! - `alloc` (default): [`Buffer`] for `Vec<u8>`, and `Inbox`.
//! - `simdutf8`: text is validated with the widest vector instructions that the processor has; needs `std`.
//! - `simd`: so are payloads masked, and the handshake's SHA-1 is the processor's own where it has one; with `simdutf8`, and needs `std` too.
//! - `defmt`: events, errors and states derive `defmt::Format`.

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod buffer;
mod config;
mod data;
mod error;
mod event;
pub mod frame;
mod handler;
pub mod handshake;
mod mask;
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
pub use error::{CloseError, OutboxFull, ProtocolError, SendError};
pub use event::{Close, Error, Event, Ready, State};
pub use frame::CloseCode;
pub use handler::{Handler, Sender};
pub use handshake::{Accept, Connect, Open, Reject, Request, Response};
pub use handshake::{AnswerError, ConnectError, HeadError, RequestError, ResponseError};
pub use role::{Client, Established, Role, Server};
pub use websocket::WebSocket;

/// Whether the processor's registers have 64 bits. There speed comes first, and a longer way that is faster is taken; elsewhere
/// flash and stack do.
const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

/// The README's examples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
