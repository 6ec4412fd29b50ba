//! The two roles, as types: what only one of them has lives in its type.

use crate::Error;
use crate::handshake::{ClientOpening, HeadRules, ServerOpening};
use crate::mask::{Mask, Masking, MaskingKey};
use core::convert::Infallible;
use rand_core::CryptoRng;

/// [`Server`] or [`Client`], or one of them [`Established`]; there is no other.
///
/// ```compile_fail,E0277
/// struct Proxy;
/// impl sansocket::Role for Proxy {}
/// ```
///
/// `Role::Mask` is what [`send_header`](crate::WebSocket::send_header) hands out: a client's [`Mask`], and `()` for a
/// server. Both are [`Masking`].
pub trait Role: sealed::Role {}

/// The server's role: its frames are not masked, and it has no source of randomness.
#[derive(Debug)]
pub struct Server;

/// The client's role, with the source of its masking keys.
///
/// "The masking key MUST be derived from a strong source of entropy" (RFC 6455 section 5.3): only a
/// [`CryptoRng`] will do.
///
/// ```compile_fail,E0277
/// # use sansocket::{Config, WebSocket};
/// struct AllZero; // no CryptoRng
/// let ws = WebSocket::client(Config::default(), AllZero);
/// ```
#[derive(Debug)]
pub struct Client<R> {
    pub(crate) rng: R,
}

/// The role `R` where something else does the opening handshake: an HTTP stack. The connection is open from the start, and
/// firmware holds no code for heads.
///
/// ```
/// use sansocket::{Config, Established, Server, WebSocket};
/// let ws = WebSocket::<Established<Server>>::open(Config::default());
/// ```
///
/// `WebSocket::<Server>::open` does the same, in the type of the connections that shake hands themselves.
#[derive(Debug)]
pub struct Established<R> {
    pub(crate) role: R,
}

impl Role for Server {}

impl<R: Role> Role for Established<R> {}

impl<R: CryptoRng> Role for Client<R> {}

pub(crate) mod sealed {
    use super::*;

    /// What the machine asks of a role.
    pub trait Role {
        /// What is known of the peer's part of the opening handshake.
        type Opening: HeadRules<Error: Into<Error>>;
        /// What a frame is masked with.
        type Mask: Masking;
        const IS_SERVER: bool;
        /// Whether requests come to it, to be answered.
        const ANSWERS: bool;
        /// What the next frame is masked with.
        fn mask(&mut self) -> Self::Mask;
        /// Its key; `None` where frames are not masked.
        fn key(mask: &Self::Mask) -> Option<MaskingKey>;
    }

    impl Role for Server {
        type Opening = ServerOpening;
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
        type Opening = ClientOpening;
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
        type Opening = Infallible;
        type Mask = R::Mask;
        const IS_SERVER: bool = R::IS_SERVER;
        const ANSWERS: bool = false;
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
