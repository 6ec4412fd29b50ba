//! Random numbers for masking keys and ports. The emulated board has no generator, so they come
//! from the host through semihosting. A real device would use its hardware generator.

use core::convert::Infallible;

/// The host's random numbers.
pub struct Rng;

impl rand_core::TryRng for Rng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        semihosting::experimental::random::fill_bytes(bytes).expect("random numbers from the host");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng {}
