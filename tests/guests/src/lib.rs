//! A source connector that exists only to be run by tests: it makes up its rows and misbehaves on request.
//!
//! It proves that the host runner is generic and that every bound of the sandbox holds. [`config`] says
//! what it can be asked to do, [`rows`] makes rows, [`describe`] is what it says of itself;
//! [`component`] is the component, which exists on wasm only.

pub mod config;
pub mod describe;
pub mod events;
pub mod rows;

#[cfg(target_arch = "wasm32")]
mod component;
