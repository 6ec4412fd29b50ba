//! A random number generator for measurements, for the traits of both libraries.

use core::convert::Infallible;
use core::hint::black_box;

/// Random numbers that are zero, which the compiler cannot know.
#[derive(Debug)]
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
        bytes.fill(black_box(0));
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
        bytes.fill(black_box(0));
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
