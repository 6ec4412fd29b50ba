//! Compression: permessage-deflate (RFC 7692).

mod bit_reader;
mod bit_writer;
mod codes;
mod compress;
mod connection;
mod dynamic;
mod extension;
#[cfg(target_pointer_width = "64")]
mod fast;
mod inflate;
mod negotiate;
mod output;
mod search;
mod window;

pub(crate) use extension::Sending;
pub(crate) use negotiate::Negotiator;

pub use compress::{Compress, Compressor, Context};
pub use connection::{Deflate, WindowTooSmall, encode};
pub use dynamic::DynamicCodes;
pub use inflate::{Inflater, Status};
pub use negotiate::{Answer, Offers, Parameters, Settings, check, check_request, check_response, negotiate};
pub use search::{Better, Fast, Level};
pub use window::{Window, WithTables};
