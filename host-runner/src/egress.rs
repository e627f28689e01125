//! Egress: the only path on which a component's requests reach the network.
//!
//! wasmtime calls [`hooks`], [`policy`] decides, [`dial`] connects to vetted addresses, [`body`] limits the
//! response; [`probe()`] is the one request that the runner itself sends. Redirects are not followed, proxy
//! settings are not read.

pub(crate) mod policy;

mod address;
mod body;
mod client;
mod dial;
mod hooks;
mod probe;

pub(crate) use client::Client;
pub(crate) use hooks::Hooks;
pub(crate) use hooks::Meter;
pub(crate) use probe::probe;
