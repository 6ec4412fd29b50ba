//! Compression: permessage-deflate (RFC 7692).

mod compress;
mod inflate;
mod negotiate;
mod window;

pub use compress::{Compress, Context};
pub use inflate::{Inflater, Status};
pub use negotiate::{Parameters, Settings};
pub use window::{Window, WithTables};
