//! How long a client waits before it connects again (RFC 6455 section 7.2.3).

use core::time::Duration;

/// The delays before the attempts to connect again after a connection has failed: an endless
/// iterator.
///
/// "The first reconnect attempt SHOULD be delayed by a random amount of time", so that the clients
/// of a server that restarts do not come back at the same moment; "subsequent reconnect attempts
/// SHOULD be delayed by increasingly longer amounts of time" (section 7.2.3). The first delay is
/// random up to 5 seconds, the next from 5 to 10, then from 10 to 20, from 20 to 40, and so on.
/// From the time on when that would exceed the maximum, they are from half the maximum to the
/// maximum.
///
/// Make a new one after each connection that was of use.
///
/// ```no_run
/// # #[cfg(feature = "tokio")]
/// # async fn stay_connected() {
/// use sansocket_io::{Delays, tokio::connect};
/// let mut delays = Delays::new();
/// loop {
///     if let Ok(mut socket) = connect("ws://example.com/").await {
///         delays = Delays::new();
///         while let Some((event, reply)) = socket.next().await {
///             // …
///         }
///     }
///     tokio::time::sleep(delays.next_delay()).await;
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Delays {
    /// The next delay is random from `low` to `high`.
    low: Duration,
    high: Duration,
    max: Duration,
    random: u64,
}

impl Delays {
    /// Delays of 5 seconds to 5 minutes, with random numbers of the standard library.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn new() -> Self {
        use core::hash::{BuildHasher, Hasher};
        // Its keys differ in each call.
        Self::with_seed(std::hash::RandomState::new().build_hasher().finish())
    }

    /// Delays of 5 seconds to 5 minutes. The seed must differ between clients.
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        let (high, max) = (Duration::from_secs(5), Duration::from_secs(300));
        Self { low: Duration::ZERO, high, max, random: seed }
    }

    /// Sets the longest first delay, and the longest of all.
    #[must_use]
    pub fn limits(self, first: Duration, max: Duration) -> Self {
        Self { low: Duration::ZERO, high: first.min(max), max, ..self }
    }

    /// The next delay: as `next`, which never returns `None`.
    pub fn next_delay(&mut self) -> Duration {
        let part = f64::from(self.next_random()) / f64::from(u32::MAX);
        let delay = self.low.saturating_add(self.high.saturating_sub(self.low).mul_f64(part));
        self.high = self.high.saturating_mul(2).min(self.max);
        self.low = self.high / 2;
        delay
    }

    /// SplitMix64. The delays are no secret.
    fn next_random(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed >> 32) as u32
    }
}

#[cfg(feature = "std")]
impl Default for Delays {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for Delays {
    type Item = Duration;
    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn delays_are_random_then_grow_up_to_the_maximum() {
        for seed in 0..1000 {
            let seconds = Duration::from_secs;
            let limits = [(0, 5), (5, 10), (10, 20), (20, 40), (40, 80), (80, 160), (150, 300)];
            let delays: Vec<_> = Delays::with_seed(seed).take(limits.len()).collect();
            for (delay, (low, high)) in delays.iter().zip(limits) {
                assert!((seconds(low)..=seconds(high)).contains(delay), "{delays:?}");
            }
            let later: Vec<_> = Delays::with_seed(seed).skip(7).take(1000).collect();
            assert!(later.iter().all(|delay| (seconds(150)..=seconds(300)).contains(delay)));
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn clients_do_not_come_back_at_the_same_moment() {
        let mut first: Vec<_> = (0..1000).map(|_| Delays::new().next_delay().as_millis() / 500).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 10, "{first:?}");
        let limits = Delays::new().limits(Duration::from_millis(3), Duration::from_millis(2));
        assert!(limits.take(100).all(|delay| delay <= Duration::from_millis(2)));
    }
}
