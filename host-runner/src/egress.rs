//! The way out: every request of a component passes here, and only here.
//!
//! [`policy`] decides, [`dial`] connects to vetted addresses, [`body`] bounds what comes back,
//! [`hooks`] is what wasmtime calls. No redirect is followed and no proxy setting is read.

pub mod policy;

mod address;
mod body;
mod client;
mod dial;
mod hooks;

pub use client::Client;
pub(crate) use hooks::Hooks;
pub use hooks::Meter;
