//! The memory of a receive window: the last bytes of the messages before (RFC 7692 section 7.2.2).

/// The memory for the last bytes of received messages.
pub trait Window: sealed::Memory {}

impl<W: sealed::Memory> Window for W {}

pub(crate) mod sealed {
    pub trait Memory {
        /// Its size in bytes, as a power of two: the exponent, 8 to 15; 0 if there is none.
        fn max_bits(&self) -> u8;
    }
    impl Memory for () {
        fn max_bits(&self) -> u8 {
            0
        }
    }
}
