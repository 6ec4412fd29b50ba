//! Only the accept value, computed by sha1_smol and base64ct.
#![no_std]
#![no_main]

use base64ct::{Base64, Encoding};
use measure::{BUFFER, consume, read};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut memory = [0; BUFFER];
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(read(&mut memory));
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut value = [0; 28];
    consume(Base64::encode(&sha1.digest().bytes(), &mut value).is_ok());
    measure::write(&value);
    measure::end()
}
