//! Compression: permessage-deflate (RFC 7692).

mod compress;
mod connection;
mod extension;
mod inflate;
mod negotiate;
mod window;

pub(crate) use extension::Sending;

pub use compress::{Compress, Context};
pub use connection::{Deflate, WindowTooSmall, encode};
pub use inflate::{Inflater, Status};
pub(crate) use negotiate::Negotiator;
pub use negotiate::{Answer, Offers, Parameters, Settings, check, check_request, check_response, negotiate};
pub use window::Window;
