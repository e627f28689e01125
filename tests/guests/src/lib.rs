//! A source connector for tests of the runner: it generates its rows, and faults on request.
//!
//! It proves that the runner is generic and that every bound of the sandbox holds. `component` exists for
//! WebAssembly only; the modules below it are its decisions, in reading order.

#[cfg(target_arch = "wasm32")]
mod component;

pub mod config;

pub mod describe;

pub mod rows;

pub mod events;
