//! Opaque input and output for the measured programs, so that the compiler cannot remove code.
#![no_std]

mod app;
pub mod driver;
pub mod echo;
pub mod peer;
mod rng;

use core::hint::black_box;
use core::time::Duration;

pub use app::{answer, client, connect, run, run_with};
#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;
pub use rng::Rng;

/// The size of each buffer.
pub const BUFFER: usize = 1024;

/// Stands for a read from a socket: returns the filled part of `buffer`.
#[inline(never)]
pub fn read(buffer: &mut [u8]) -> &mut [u8] {
    let len = black_box(buffer.len());
    black_box(buffer).get_mut(..len).unwrap_or_default()
}

/// Stands for a write to a socket.
#[inline(never)]
pub fn write(bytes: &[u8]) {
    black_box(bytes);
}

/// Stands for the application's use of a value.
pub fn consume<T>(value: T) {
    black_box(value);
}

/// Stands for a decision of the application.
pub fn wants() -> bool {
    black_box(false)
}

/// The time.
pub fn now() -> Duration {
    black_box(Duration::ZERO)
}

/// The start of every program, with copies of unknown length: this links `memcpy` and `memset`.
pub fn start() {
    let mut memory = [0; BUFFER];
    let bytes = read(&mut memory);
    let mut other = [0; BUFFER];
    if let Some(slice) = other.get_mut(..bytes.len()) {
        slice.copy_from_slice(bytes);
        write(slice);
        slice.fill(bytes.first().copied().unwrap_or_default());
    }
    write(&other);
}

/// The end of every program.
pub fn end() -> ! {
    loop {
        black_box(());
    }
}

// Not inlined, so that `flash` finds its callers.
#[inline(never)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        black_box(());
    }
}
