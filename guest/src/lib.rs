//! Zoho Desk source connector: everything that knows Zoho Desk, and nothing that knows a host.
//!
//! Decisions are pure and run natively in tests; requests are sent through [`transport::Transport`]. The
//! component's exports and WASI imports are in `component`, which exists for WebAssembly only. The modules
//! are listed in reading order; public ones are the interface of the native tests, the benchmarks and the
//! build.

#[cfg(target_arch = "wasm32")]
mod component;
pub mod connection;

pub mod config;
mod data_center;
pub mod describe;

mod embedded;
pub mod table;
pub mod tables;

mod flat;
mod schema;

pub mod reader;

pub mod file;
mod plan;

mod cursor;
mod delivered;
mod paging;

pub mod change;

mod members;
mod record;
mod row;

pub mod webhook;

pub mod check;

mod api;
mod oauth;
mod session;
pub mod transport;

pub mod error;
pub mod limits;
pub mod time;
mod url;
