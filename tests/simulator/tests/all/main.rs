//! x
mod client;
