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
//! WebSocket

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod buffer;
mod config;
mod error;
mod event;
pub mod frame;
mod handler;
pub mod handshake;
mod inbound;
mod message;
mod outbound;
mod role;
mod utf8;
mod websocket;

#[cfg(feature = "alloc")]
pub use buffer::Inbox;
pub use buffer::{Buffer, FixedInbox, Slice, TextInbox};
pub use config::{Config, Delivery};
pub use error::{
    AnswerError, CloseError, ConnectError, Error, HeadError, OutboxFull, ProtocolError, RequestError,
    ResponseError, SendError,
};
pub use event::{
    Close, CloseReason, ControlPayload, Event, Fragment, Kind, Message, Part, Piece, Ready, State,
};
pub use frame::CloseCode;
pub use handler::{Handler, Sender};
pub use handshake::{Accept, Connect, Open, Reject, Request, Response};
pub use role::{Client, Role, Server};
pub use websocket::WebSocket;
