//! What the measured programs share: an outside world of which the compiler knows nothing, so that no code that would
//! deal with it is optimised away.
#![no_std]

mod app;
pub mod peer;

use core::convert::Infallible;
use core::hint::black_box;
use core::time::Duration;

pub use app::{answer, client, run};
#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

/// The buffers of every measured program.
pub const BUFFER: usize = 1024;

/// Bytes that came from somewhere, at the front of `buffer`.
#[inline(never)]
pub fn read(buffer: &mut [u8]) -> &mut [u8] {
    let len = black_box(buffer.len());
    black_box(buffer).get_mut(..len).unwrap_or_default()
}

/// Bytes that go somewhere.
#[inline(never)]
pub fn write(bytes: &[u8]) {
    black_box(bytes);
}

/// What the application makes of something.
pub fn tell<T>(what: T) {
    black_box(what);
}

/// Whether the application wants something now.
pub fn wants() -> bool {
    black_box(false)
}

/// The time.
pub fn now() -> Duration {
    black_box(Duration::ZERO)
}

/// Randomness.
pub struct Rng;

impl rand_core::TryRng for Rng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(0))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(0))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| black_box(0));
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng {}

impl rand_core_06::RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        black_box(0)
    }
    fn next_u64(&mut self) -> u64 {
        black_box(0)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| black_box(0));
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// What every program has: its start, and copies of a length that nobody knows.
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

/// What every program does in the end.
pub fn end() -> ! {
    loop {
        black_box(());
    }
}

// Not inlined, so that `flash` finds who calls it.
#[inline(never)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        black_box(());
    }
}
