//! The roles as types: the state and the code of one role exist only in its type.

use crate::Error;
use crate::extension::Extension;
use crate::frame::mask::{Mask, Masking, MaskingKey};
use crate::handshake::{ClientOpening, HeadRules, Negotiation, NoHead, ServerOpening};
use crate::{Buffer, Connect, OutboxFull};
use rand_core::CryptoRng;

/// The side of a connection: [`Server`], [`Client`], or [`Established`] around one of them.
///
/// The trait is sealed: no other type can implement it.
///
/// ```compile_fail,E0277
/// struct Proxy;
/// impl sansocket::Role for Proxy {}
/// ```
///
/// `Role::Mask` is what [`send_header`](crate::WebSocket::send_header) returns: a [`Mask`] for a
/// client, `()` for a server. Both implement [`Masking`].
pub trait Role: sealed::Role {}

/// A role that answers requests: [`Server`], also in a `Deflate`.
pub trait ServerRole: Role + sealed::Role<Mask = ()> {}

/// A role that sends a request: [`Client`], also in a `Deflate`.
pub trait ClientRole: Role + sealed::ClientRole {}

impl ServerRole for Server {}

impl<R: CryptoRng> ClientRole for Client<R> {}

/// The server: its frames are not masked (RFC 6455 section 5.1), and it needs no random numbers.
#[derive(Clone, Debug)]
pub struct Server;

/// The client, with the random number generator for its masking keys and its `Sec-WebSocket-Key`.
///
/// "The masking key MUST be derived from a strong source of entropy" (RFC 6455 section 5.3): the
/// generator must be a [`CryptoRng`].
///
/// ```compile_fail,E0277
/// # use sansocket::{Config, WebSocket};
/// struct AllZero; // no CryptoRng
/// let ws = WebSocket::client(Config::default(), AllZero);
/// ```
///
/// It can be cloned if the generator can. Two clones that both go on sending use the same masking
/// keys: clone a client for tests and snapshots only.
#[doc(alias = "masking key")]
#[doc(alias = "random")]
#[derive(Clone, Debug)]
pub struct Client<R> {
    pub(crate) rng: R,
}

/// The role `R` of a connection whose opening handshake another HTTP stack does. The connection is
/// open from the start, and the code that parses heads is not linked.
///
/// ```
/// use sansocket::{Config, Established, Server, WebSocket};
/// let ws = WebSocket::<Established<Server>>::open(Config::default());
/// ```
///
/// `WebSocket::<Server>::open` does the same, in the type that can also do the handshake.
#[doc(alias = "upgrade")]
#[derive(Clone, Debug)]
pub struct Established<R> {
    pub(crate) role: R,
}

impl Extension for Server {}

impl<R> Extension for Client<R> {}

impl<R> Extension for Established<R> {}

impl Role for Server {}

impl<R: Role> Role for Established<R> {}

impl<R: CryptoRng> Role for Client<R> {}

pub(crate) mod sealed {
    use super::*;

    /// The differences between the roles. It is `pub` in a private module, so that only this crate
    /// can implement it.
    pub trait Role: Extension {
        /// What the opening handshake negotiates of extensions.
        type Negotiation: Negotiation;
        /// The state of the opening handshake while the peer's head is received.
        type Opening<N: Negotiation>: HeadRules<Error: Into<Error>, Negotiation = N>
            + Clone
            + core::fmt::Debug;
        /// The mask of one frame: [`Mask`], or `()` for frames that are not masked.
        type Mask: Masking;
        /// Whether it is the server's side. A server receives masked frames, and ends the stream
        /// (RFC 6455 sections 5.1 and 7.1.1).
        const IS_SERVER: bool;
        /// Whether it receives and answers requests.
        const ANSWERS: bool;
        /// Whether it does the opening handshake.
        const HANDSHAKES: bool = true;
        /// Makes the mask of the next frame. A client draws a new key.
        fn mask(&mut self) -> Self::Mask;
        /// The key of a mask; `None` if frames are not masked.
        fn key(mask: &Self::Mask) -> Option<MaskingKey>;
        /// Takes what the opening handshake has negotiated.
        fn agree(&mut self, _agreed: <Self::Negotiation as Negotiation>::Agreed) {}
    }

    /// A client's side of the opening handshake.
    pub trait ClientRole: Role {
        /// Appends the request, and returns what to remember until the response.
        fn connect<B: Buffer + ?Sized>(
            &mut self,
            connect: &Connect<'_>,
            outbox: &mut B,
        ) -> Result<Self::Opening<Self::Negotiation>, OutboxFull>;
    }

    impl<R: CryptoRng> ClientRole for Client<R> {
        fn connect<B: Buffer + ?Sized>(
            &mut self,
            connect: &Connect<'_>,
            outbox: &mut B,
        ) -> Result<ClientOpening, OutboxFull> {
            connect.append((), &mut self.rng, outbox)
        }
    }

    impl Role for Server {
        type Negotiation = ();
        type Opening<N: Negotiation> = ServerOpening<N>;
        type Mask = ();
        const IS_SERVER: bool = true;
        const ANSWERS: bool = true;
        fn mask(&mut self) {}
        #[inline]
        fn key((): &()) -> Option<MaskingKey> {
            None
        }
    }

    impl<R: CryptoRng> Role for Client<R> {
        type Negotiation = ();
        type Opening<N: Negotiation> = ClientOpening<N>;
        type Mask = Mask;
        const IS_SERVER: bool = false;
        const ANSWERS: bool = false;
        #[inline]
        fn mask(&mut self) -> Mask {
            Mask::new(self.rng.next_u32().to_ne_bytes())
        }
        #[inline]
        fn key(mask: &Mask) -> Option<MaskingKey> {
            Some(mask.key())
        }
    }

    impl<R: Role> Role for Established<R> {
        type Negotiation = ();
        type Opening<N: Negotiation> = NoHead<N>;
        type Mask = R::Mask;
        const IS_SERVER: bool = R::IS_SERVER;
        const ANSWERS: bool = false;
        const HANDSHAKES: bool = false;
        #[inline]
        fn mask(&mut self) -> R::Mask {
            self.role.mask()
        }
        #[inline]
        fn key(mask: &R::Mask) -> Option<MaskingKey> {
            R::key(mask)
        }
    }
}
