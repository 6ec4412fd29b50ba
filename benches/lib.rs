//! Benches of `sansocket`; this package has no library of its own.
