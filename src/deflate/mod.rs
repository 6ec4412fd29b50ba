//! Compression: permessage-deflate (RFC 7692).

mod bits;
mod codes;
mod compress;
mod connection;
mod extension;
#[cfg(target_pointer_width = "64")]
mod fast;
mod inflate;
mod negotiate;
mod output;
mod window;

pub(crate) use extension::Sending;
pub(crate) use negotiate::Negotiator;

pub use compress::{Compress, Context};
pub use connection::{Deflate, WindowTooSmall, encode};
pub use inflate::{Inflater, Status};
pub use negotiate::{Answer, Offers, Parameters, Settings, check, check_request, check_response, negotiate};
pub use window::{Window, WithTables};
