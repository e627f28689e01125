//! Runs the real binary with the tiny connector of `tests/guests`.

mod beside;
mod cli;
mod commands;
mod limits;
mod sandbox;
mod secrets;
mod serve;
mod server;
mod support;
mod sync;
