//! The opening handshake (RFC 6455 section 4): heads, the accept value, negotiation.
//!
//! The machine reads and writes HTTP/1.1 heads itself. Where other software speaks HTTP/1.1, [`check_request`] and
//! [`check_response`] apply the same rules to headers that it has parsed, and the connection then starts with
//! [`WebSocket::<Server>::open`](crate::WebSocket::open). Over HTTP/2 and HTTP/3, where the handshake has other rules
//! (RFC 8441, RFC 9220), it starts there too. Where every connection does, [`Established`](crate::Established) leaves out
//! the code for heads.

mod client;
mod head;
mod key;
mod server;
mod sha1;

pub(crate) use client::ClientOpening;
pub(crate) use head::Reader;
pub(crate) use key::{KeyValue, accept_value, key_value};
pub(crate) use opening::{NoOpening, Opening};
pub(crate) use server::{Asked, ServerOpening};

pub use client::{Agreed, Connect, Response, check_response};
pub use key::AcceptValue;
pub use server::{Accept, Reject, Request, check_request};

use crate::{Buffer, Config, HeadError, OutboxFull};
use head::Head;

/// Header names and values that the caller adds: borrowed pairs.
pub type Headers<'h> = &'h [(&'h str, &'h str)];

/// A complete opening handshake: what was agreed on, and the peer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Open<'o> {
    head: Head<'o>,
    protocol: Option<&'o str>,
}

impl<'o> Open<'o> {
    pub(crate) fn new(octets: &'o [u8], chosen: Chosen) -> Self {
        let (start, len) = (usize::from(chosen.start), usize::from(chosen.len));
        let protocol = octets.get(start..start + len).and_then(head::token);
        Self { head: Head::new(octets), protocol }
    }

    /// The subprotocol that was agreed on, if any.
    #[must_use]
    pub const fn protocol(&self) -> Option<&'o str> {
        self.protocol
    }

    /// The value of the first header with this name in the peer's head: the response, or for a server the request.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'o [u8]> {
        self.head.values(name).next()
    }

    /// The names and values of all headers in the peer's head.
    pub fn headers(&self) -> impl Iterator<Item = (&'o str, &'o [u8])> + use<'o> {
        self.head.fields()
    }
}

/// Where the subprotocol that was agreed on lies in the head; of no length where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    start: u16,
    len: u16,
}

/// What a complete head says.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Server: a request, which the caller is to answer.
    Request(Asked),
    /// Client: the response completes the handshake.
    Open(Chosen),
    /// Client: another status than 101.
    Refused(u16),
}

/// The opening handshake of a connection: it ends in a receiver and a sender, both open or both ended.
#[derive(Clone, Debug)]
pub(crate) enum Handshake<O> {
    /// No input is taken: a client has not called `connect`, or a server has not answered a request. The request's key; `None`
    /// where it asks for no upgrade.
    AwaitsCaller { key: Option<KeyValue> },
    /// The peer's head is read.
    Head { reader: Reader, opening: O },
}

impl<O: Opening> Handshake<O> {
    pub(crate) fn head(opening: O) -> Self {
        Self::Head { reader: Reader::default(), opening }
    }

    /// Takes bytes from the front of `input` until the head is complete: what it says, and how many bytes it took. After a
    /// request, the caller is awaited.
    pub(crate) fn read<B: Buffer + ?Sized>(
        &mut self,
        input: &[u8],
        inbox: &mut B,
        config: &Config,
    ) -> Result<Option<(Outcome, usize)>, O::Error> {
        let Self::Head { reader, opening } = self else { return Ok(None) };
        let read = reader.read(input, inbox, opening, config)?;
        if let Some((Outcome::Request(asked), _)) = read {
            *self = Self::AwaitsCaller { key: asked.key(inbox.bytes()) };
        }
        Ok(read)
    }
}

mod opening {
    use super::Outcome;
    use crate::{Config, HeadError};

    /// What a role knows of the peer's head so far.
    pub trait Opening {
        /// A rule that the head breaks.
        type Error;
        /// Takes the first line of a head; whether it counts. Where it does not, another first line follows.
        fn first_line(&mut self, line: &[u8], config: &Config) -> Result<bool, Self::Error>;
        /// Takes a header, whose value begins at `at` in the head.
        fn field(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), Self::Error>;
        /// Takes the empty line behind the headers: what the head says, or `None` where it does not count and another one
        /// follows.
        fn finish(&mut self, config: &Config) -> Result<Option<Outcome>, Self::Error>;
        /// Whether a header line that goes on with the one before is to be overlooked.
        fn may_fold(&self) -> bool;
        /// What a fault of the head as such is called; `first_line` tells whether it is in the first line.
        fn fault(&self, error: HeadError, first_line: bool) -> Self::Error;
    }

    /// That of a connection which is open from the start: there is none.
    #[derive(Clone, Debug)]
    pub enum NoOpening {}

    impl Opening for NoOpening {
        type Error = Self;

        fn first_line(&mut self, _: &[u8], _: &Config) -> Result<bool, Self> {
            match *self {}
        }

        fn field(&mut self, _: &[u8], _: &[u8], _: usize) -> Result<(), Self> {
            match *self {}
        }

        fn finish(&mut self, _: &Config) -> Result<Option<Outcome>, Self> {
            match *self {}
        }

        fn may_fold(&self) -> bool {
            match *self {}
        }

        fn fault(&self, _: HeadError, _: bool) -> Self {
            match *self {}
        }
    }
}

/// Appends a head and what follows it, all of it or nothing: the lines that `front` makes up, the caller's headers, the empty
/// line, the body.
fn append<B: Buffer + ?Sized>(
    front: &[&[u8]],
    headers: Headers<'_>,
    body: &[u8],
    outbox: &mut B,
) -> Result<(), OutboxFull> {
    let mut needed = body.len().saturating_add(2);
    for part in front {
        needed = needed.saturating_add(part.len());
    }
    for (name, value) in headers {
        for len in [name.len(), value.len(), 4] {
            needed = needed.saturating_add(len);
        }
    }
    if outbox.remaining() < needed {
        return Err(OutboxFull { needed });
    }
    for part in front {
        outbox.append(part);
    }
    for (name, value) in headers {
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            outbox.append(part);
        }
    }
    outbox.append(b"\r\n");
    outbox.append(body);
    Ok(())
}

/// Whether the caller's headers can be written: names are tokens and not the machine's own nor in `reserved`; values
/// hold no control characters, CR and LF above all.
fn are_allowed(headers: Headers<'_>, reserved: &str) -> bool {
    const OWN: &[&str] = &["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];
    headers.iter().all(|(name, value)| {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        let is = |other: &str| head::is_same(name, other.as_bytes());
        head::is_token(name)
            && head::after_prefix(name).is_none()
            && !OWN.iter().any(|own| is(own))
            && !is(reserved)
            && head::is_text(value)
    })
}

/// A header's value from other software, without the white space around it, if it could have stood in a head.
fn checked_value(value: &[u8]) -> Result<&[u8], HeadError> {
    let value = head::trim(value);
    if head::is_text(value) { Ok(value) } else { Err(HeadError::ControlCharacter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c18_r14_headers_that_inject_or_override_are_not_allowed() {
        assert!(are_allowed(
            &[("Cookie", "a=b; c=\"d\""), ("Origin", "http://a"), ("X", ""), ("Y", "\té")],
            "Host"
        ));
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "a\0b"),
            ("X", "\x7F"),
            ("X\r\nY", "a"),
            ("", "a"),
            ("X:", "a"),
            ("X Y", "a"),
            ("host", "a"),
            ("UPGRADE", "h2c"),
            ("connection", "close"),
            ("Sec-WebSocket-Key", "a"),
            ("sec-websocket-accept", "a"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(!are_allowed(&[(name, value)], "Host"), "{name}: {value}");
        }
    }
}
