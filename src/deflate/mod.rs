//! Compression: permessage-deflate (RFC 7692).

mod compress;
mod inflate;
mod negotiate;
mod window;

pub use compress::{Compress, Context};
pub use inflate::{Inflater, Status};
#[allow(unused_imports)]
pub(crate) use negotiate::Negotiator;
pub use negotiate::{Answer, Offers, Parameters, Settings, check, check_request, check_response, negotiate};
pub use window::Window;
