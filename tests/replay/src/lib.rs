//! A component that stands in for the network: it exports the HTTP that a connector imports, and answers
//! from a recording.
//!
//! `componentize --replay` composes it with a connector and a recording into one component that runs in any
//! host, without network and without a source.

mod recording;

#[cfg(target_arch = "wasm32")]
mod component;

pub use recording::{Answer, Recording};
