//! The way out: every request of a component passes here, and only here.
//!
//! [`policy`] decides, [`dial`] connects to vetted addresses, [`body`] bounds what comes back,
//! [`hooks`] is what wasmtime calls; [`probe()`] is the one request that the runner makes itself. No redirect is followed and no proxy setting is read.

pub mod policy;

mod address;
mod body;
mod client;
mod dial;
mod hooks;
mod probe;

pub use client::Client;
pub(crate) use hooks::Hooks;
pub use hooks::Meter;
pub use probe::probe;
