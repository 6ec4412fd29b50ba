//! Randomness for masking keys and ports. The emulated board has no source of it, so the debugger lends the host's; a real
//! device has its true random number generator here.

use core::convert::Infallible;

/// The source.
pub struct Rng;

impl rand_core::TryRng for Rng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_ne_bytes(octets))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_ne_bytes(octets))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        semihosting::experimental::random::fill_bytes(bytes).expect("the debugger lends randomness");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng {}
