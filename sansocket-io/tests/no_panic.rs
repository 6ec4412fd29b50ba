//! A program that links a connection of fixed memory contains no panic from this crate.
//!
//! `tests/no_panic/src/main.rs` is the program. (It calls no `async` function: each one contains
//! the panic of a future that is polled after its end.)

#[path = "../../tests/no_panic.rs"]
mod linked;
