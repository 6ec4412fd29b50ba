//! Compression: permessage-deflate (RFC 7692), in memory of fixed size.
//!
//! [`WebSocket::deflate_server`](crate::WebSocket::deflate_server) and
//! [`deflate_client`](crate::WebSocket::deflate_client) make connections that negotiate compression
//! in the opening handshake. Received messages arrive as without it. Sending is a choice for each
//! message: [`send`](crate::WebSocket::send) sends it as it is,
//! [`send_deflated`](crate::WebSocket::send_deflated) compressed, if the peer has agreed and that
//! makes it shorter.
//!
//! ```
//! use sansocket::deflate::{Compressor, Settings};
//! use sansocket::{Config, Event, WebSocket};
//!
//! # fn serve(input: &mut &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
//! // The window: what the client's messages can refer to. It grows to at most 4 KiB.
//! let mut ws = WebSocket::deflate_server(Config::default(), Settings::server(), Vec::new());
//! // What our messages can refer to, and the table that finds it: 8 KiB for a window of 4 KiB.
//! let mut compressor = Compressor::with_takeover([0u16; 1024], [0u8; 6144]);
//! let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
//! while let Some(event) = ws.receive(input, &mut inbox) {
//!     match event {
//!         Event::Request(request) => ws.accept(request.accept(), &mut outbox)?,
//!         Event::Open(open) => println!("compression: {:?}", open.deflate()),
//!         Event::Message(message) => ws.send_deflated(message, &mut compressor, &mut outbox)?,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! # serve(&mut &mut [][..]).unwrap();
//! ```
//!
//! # When it pays
//!
//! The messages of a connection are mostly alike: the same keys, the same units. With *context
//! takeover* a message can refer to the ones before it, and that is what makes compression worth
//! while: JSON of 100 bytes shrinks to a fifth. Without it, a message of less than 200 bytes does
//! not get shorter at all.
//!
//! The size in percent of the message, and the time to compress it, for JSON of three lengths, on
//! one core of a server, with windows of 32 KiB. (`benches/peers/compression.md` has the other
//! rows, and other implementations beside them.)
//!
//! | | takeover: 105 B | 994 B | 16 KiB | no takeover: 105 B | 994 B | 16 KiB |
//! |---|---|---|---|---|---|---|
//! | [`Fast`], fixed codes | 21 %, 0.23 µs | 22 %, 3 µs | 43 %, 68 µs | as it is | 40 %, 2.3 µs | 45 %, 81 µs |
//! | [`Best`], [with codes](Compressor::with_codes) | 18 %, 0.5 µs | 16 %, 8 µs | 28 %, 187 µs | 89 %, 3 to 5 µs | 28 %, 9 µs | 30 %, 174 µs |
//! | to inflate it | 0.22 µs | 2 µs | 35 µs | 1.5 µs | 4 µs | 35 µs |
//!
//! It does not pay on a fast network whose bytes cost nothing: compressing takes more processor
//! time than sending. Nor for data that is compressed already (images, video, archives): such a
//! message is sent as it is, after an attempt to compress it. Use [`send`](crate::WebSocket::send)
//! for it.
//!
//! # Memory
//!
//! All of it belongs to the caller, and its size is part of the type or chosen by the caller.
//!
//! | what | lives as long as | size |
//! |---|---|---|
//! | the state of a connection | the connection | about 240 bytes more than without compression |
//! | the window of received messages, the `W` of [`Deflate`] | the connection | that of the peer's window, 2^9 to 2^15 bytes; none, `()`, for whole messages without context takeover |
//! | the message that is inflated, or a piece of it | as without compression | the inbox |
//! | the tables of the decoder | a call of `receive`, on the stack; or the connection, in a [`WithTables`] | 1.2 KiB on 32-bit processors, else 6 KiB |
//! | a [`Compressor`] with context takeover | the connection | table, and 1.2 to 1.5 times the window |
//! | a [`Compressor`] without | a thread, for all its connections | table |
//! | the scratch of [`Compressor::with_codes`] | a thread | 16 KiB are enough |
//!
//! In all, for a connection with context takeover in both directions:
//!
//! | windows | bytes |
//! |---|---|
//! | 2^9 = 512 bytes | 3,016 |
//! | 2^12 = 4 KiB | 13,000 |
//! | 2^15 = 32 KiB | 80,584 |
//! | no context takeover | 624 |
//!
//! Without context takeover, a whole message lies in the inbox with all that it can refer to. So
//! no window is needed, however large the peer's is: [`Settings::firmware`]. In
//! [pieces](crate::Delivery::Pieces) a message needs the window.
//!
//! # What is negotiated
//!
//! [`Settings`] say what this endpoint wants; [`Open::deflate`](crate::Open::deflate) says what
//! both have agreed on. A server accepts the first of the client's offers that it can honour, and
//! declines offers with a parameter that is unknown or invalid. A client that has little memory
//! makes two offers. If nothing is agreed, messages are not compressed, and everything works.
//!
//! Chrome and Edge offer `client_max_window_bits`, so a server can limit their window. Firefox and
//! Safari do not: to a server with less than 32 KiB of memory for their window, they send messages
//! without context takeover (or, if it receives pieces, without compression). In the other
//! direction all of them accept any window. A window of 2^8 bytes is never asked for, because zlib
//! has none, and Firefox fails on it; a peer that asks us for one is given it. Safari before 15.4
//! fails on messages that are compressed in several fragments
//! ([`send_piece_deflated`](crate::WebSocket::send_piece_deflated)).
//!
//! If another HTTP stack does the handshake: [`check_request`] and [`check_response`], over HTTP/2
//! and HTTP/3 [`check_connect`] and [`check_connect_response`]; or [`negotiate`], [`Offers`] and
//! [`check`] for the one header alone; then `open_deflate`.
//!
//! # Compressors
//!
//! A compressor with a history belongs to one connection, because its output refers to what that
//! connection has sent. Used for another, or after messages that another compressor has compressed,
//! it is refused: [`SendError::OtherCompressor`](crate::SendError::OtherCompressor). After
//! [`reset`](Compress::reset) any connection takes it. A compressor without a history can be used
//! for every connection.
//!
//! For a broadcast, [`encode`] compresses once; each connection is asked whether it takes the
//! frame:
//!
//! ```
//! # use sansocket::deflate::{self, Compressor};
//! # use sansocket::{Role, WebSocket, frame};
//! # fn broadcast<R: Role>(peers: &mut [(WebSocket<R>, Vec<u8>)]) -> Result<(), sansocket::OutboxFull> {
//! let mut compressor = Compressor::shared(vec![0u16; 4096]);
//! let (mut deflated, mut plain) = (Vec::new(), Vec::new());
//! deflate::encode("news for everyone", 12, &mut compressor, &mut deflated)?;
//! frame::encode("news for everyone", &mut plain)?;
//! for (ws, outbox) in peers {
//!     if ws.note_deflated(12).is_ok() {
//!         outbox.extend(&deflated);
//!     } else if ws.can_send() {
//!         outbox.extend(&plain);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Compress`] is a trait, so that a program can use another implementation: zlib for the best
//! compression on a server, or the peripheral of a microcontroller.
//!
//! # Security
//!
//! Limits count inflated bytes, and apply while a message is inflated: a *bomb*, a small message
//! that stands for a huge one, fails with close code 1009 once it has filled
//! [`max_message`](crate::Config::max_message), or the inbox. Memory stays what it is; the work is
//! limited by the inflated bytes. Data that is not DEFLATE, or that refers to bytes before the
//! window, fails with 1007.
//!
//! Compression reveals how much a message has in common with what was sent before. If an attacker
//! can put text of its own into the messages of a connection and see the sizes of the frames on the
//! network, it can guess a secret that is sent on the same connection, even over TLS (the attacks
//! CRIME and BREACH; RFC 7692 section 8). Send a message that holds a secret with
//! [`send`](crate::WebSocket::send): then it is no part of any history. Without context takeover, a
//! message only betrays what it holds itself.
//!
//! # Why its own implementation
//!
//! Windows of less than 32 KiB, no heap and no panic are what firmware needs. Of the
//! implementations on Rust's package registry, miniz_oxide's decoder needs 10.5 KB for each
//! connection besides the window and links panics, and its compressor 319 KB of heap; zlib-rs needs
//! 47 KB of heap to decompress and 137 to 380 KB to compress, whatever the window. `benches/`
//! compares their speed and compression with this one's.

mod compress;
mod connection;
mod extension;
mod inflate;
mod memory;
mod negotiate;
mod sending;
mod window;

pub(crate) use memory::move_to_front;
pub(crate) use negotiate::Negotiator;
pub(crate) use sending::Sending;

pub use compress::{Best, Better, Compress, Compressor, Context, DynamicCodes, Fast, Level};
pub use connection::{Deflate, WindowTooSmall, encode};
pub use inflate::{Inflater, Status};
pub use negotiate::{
    Answer, Offers, Parameters, Settings, check, check_connect, check_connect_response, check_request,
    check_response, negotiate,
};
pub use window::{Window, WithTables};
