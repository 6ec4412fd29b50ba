//! Compression: permessage-deflate (RFC 7692).

mod bits;
mod compress;
mod dynamic;
mod inflate;
mod negotiate;
mod search;
mod window;

pub use compress::{Compress, Compressor, Context};
pub use dynamic::DynamicCodes;
pub use inflate::{Inflater, Status};
pub use negotiate::{Parameters, Settings};
pub use search::{Best, Better, Fast, Level};
pub use window::Window;
