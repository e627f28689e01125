//! Runs the real binary with the tiny connector of `tests/guests`.

mod cli;
mod sandbox;
mod secrets;
mod server;
mod support;
mod sync;
