//! Runs the real binary with the tiny connector of `tests/guests`.

mod api;
mod attachments;
mod boundary;
mod cli;
mod commands;
mod limits;
mod sandbox;
mod secrets;
mod serve;
mod served;
mod server;
mod support;
mod sync;
mod trust;
