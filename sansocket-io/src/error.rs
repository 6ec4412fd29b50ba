//! Why a connection failed, or never opened: which side, and what.

use core::{error, fmt};
use sansocket::{AnswerError, ConnectError, Error};

/// Why the transport of a connection ended early.
///
/// The connection then ends as if the peer had ended the stream: the events are
/// [`Error::EndOfStream`] and a Close with 1006, unless the peer's Close frame has arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// Reading failed.
    Read(E),
    /// Writing failed. What the peer had sent before was still received.
    Write(E),
    /// The stream takes no more bytes.
    WriteZero,
    /// The peer has read too slowly: see
    /// [`Settings::write_timeout`](crate::Settings::write_timeout).
    WriteTimeout,
    /// The program ended the connection, by `Sender::abort`, or by a close before it was open.
    Aborted,
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading from the stream failed: {error}"),
            Self::Write(error) => write!(f, "writing to the stream failed: {error}"),
            Self::WriteZero => f.write_str("the stream takes no more bytes"),
            Self::WriteTimeout => f.write_str("the peer reads too slowly"),
            Self::Aborted => f.write_str("the program ended the connection"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for Failure<E> {}

/// Why [`Socket::accept`](crate::Socket::accept) has opened no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError<E> {
    /// The program rejected the request, and the response is sent.
    Rejected,
    /// The client is to blame: a bad request, which is answered, no request in time, or an early
    /// end of the stream.
    Client(Error),
    /// The transport failed.
    Transport(Failure<E>),
    /// The program's answer is not valid: a header that belongs to the machine, for example, or a
    /// status below 200. Nothing is sent, and the request can still be answered, by
    /// [`Reply::answer`](crate::Reply::answer). If the socket is dropped instead, the client gets
    /// no response.
    Answer(AnswerError),
}

impl<E: fmt::Display> fmt::Display for AcceptError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected => f.write_str("the request was rejected"),
            Self::Client(error) => write!(f, "the client failed: {error}"),
            Self::Transport(failure) => failure.fmt(f),
            Self::Answer(error) => write!(f, "the answer is invalid: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for AcceptError<E> {}

/// Why [`Socket::connect`](crate::Socket::connect) and the like have opened no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError<E> {
    /// The URI, or what was added to the request, is invalid. Nothing was sent.
    Request(ConnectError),
    /// A `wss` URI where TLS is not offered, or a `ws` URI where it is. Nothing was sent.
    Scheme,
    /// No stream to the server: name resolution, TCP or TLS failed.
    Unreachable(E),
    /// No stream to the server in time.
    ConnectTimeout,
    /// The server answered with another status than 101: a redirect, for example, or a 401.
    #[cfg(feature = "alloc")]
    Refused(Refusal),
    /// The server is to blame: an invalid response, none in time, or an early end of the stream.
    Server(Error),
    /// The transport failed.
    Transport(Failure<E>),
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "the request is invalid: {error}"),
            Self::Scheme => {
                f.write_str("the URI's scheme does not fit the call: ws without TLS, wss with TLS")
            }
            Self::Unreachable(error) => write!(f, "the server cannot be reached: {error}"),
            Self::ConnectTimeout => f.write_str("the server cannot be reached in time"),
            #[cfg(feature = "alloc")]
            Self::Refused(refusal) => write!(f, "the server refused with status {}", refusal.status),
            Self::Server(error) => write!(f, "the server failed: {error}"),
            Self::Transport(failure) => failure.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for OpenError<E> {}

/// A server's response that refuses the WebSocket: its status and headers.
///
/// `Debug` shows the names of the headers, not their values.
#[cfg(feature = "alloc")]
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status: 301, 401, 407, …
    pub status: u16,
    headers: alloc::vec::Vec<(alloc::string::String, alloc::vec::Vec<u8>)>,
}

#[cfg(feature = "alloc")]
impl Refusal {
    pub(crate) fn new(response: &sansocket::Response<'_>) -> Self {
        let headers = response.headers().map(|(name, value)| (name.into(), value.into()));
        Self { status: response.status(), headers: headers.collect() }
    }

    /// The value of the first header with this name: `Location`, for example. Names are compared
    /// without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The names and values of all headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

#[cfg(feature = "alloc")]
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers().map(|(name, _)| name);
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("headers", &names.collect::<alloc::vec::Vec<_>>())
            .finish()
    }
}
