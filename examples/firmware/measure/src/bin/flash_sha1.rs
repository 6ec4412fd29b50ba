//! Only SHA-1, computed by sha1_smol.
#![no_std]
#![no_main]

use measure::{BUFFER, read};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut memory = [0; BUFFER];
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(read(&mut memory));
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    measure::write(&sha1.digest().bytes());
    measure::end()
}
