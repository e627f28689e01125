//! Zoho Desk source connector: everything that knows Zoho Desk, and nothing that knows a host.
//!
//! Decisions are pure and run natively in tests; requests leave through [`transport::Transport`]. The component's
//! exports and its WASI imports live in `component` and exist only for WebAssembly.

pub mod api;
pub mod check;
#[cfg(target_arch = "wasm32")]
mod component;
pub mod config;
pub mod connection;
pub mod cursor;
pub mod data_center;
pub mod describe;
pub mod error;
pub mod limits;
pub mod oauth;
pub mod paging;
pub mod reader;
pub mod row;
pub mod schema;
pub mod session;
pub mod table;
pub mod tables;
pub mod time;
pub mod transport;
pub mod url;
pub mod webhook;
