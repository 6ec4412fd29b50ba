//! Compression: permessage-deflate (RFC 7692).

mod bits;
mod codes;
mod compress;
#[cfg(target_pointer_width = "64")]
mod fast;
mod inflate;
mod negotiate;
mod output;
mod window;

pub use compress::{Compress, Context};
pub use inflate::{Inflater, Status};
pub use negotiate::{Parameters, Settings};
pub use window::{Window, WithTables};
