//! Runs source connectors that are WebAssembly components, sandboxed, into a database.
//!
//! Meets a component in `wit/` only and knows no source by name. Read in this order:
//! [`connection`] (what a person wrote) → [`engine`], [`sandbox`], [`egress`] (the component at work)
//! → [`runner`] (read, commit, go on) → [`sinks`] (where rows go) → [`cli`] (how it is driven). For a server:
//! [`ingress`] (take what arrives) → [`journal`] (keep it) → [`actor`] (apply it, and poll) → [`serve`].
//!
//! The order that must never change: *take → commit rows and cursor together → ask for more*.

pub mod actor;
pub mod change;
pub mod check;
pub mod cli;
pub mod clock;
pub mod connection;
pub mod describe;
pub mod egress;
pub mod engine;
pub mod error;
pub mod exit;
pub mod hooks;
pub mod ingress;
pub mod journal;
pub mod limits;
pub mod metrics;
pub mod report;
pub mod request;
pub mod retry;
pub mod runner;
pub mod sandbox;
pub mod secret;
pub mod serve;
pub mod sinks;
pub mod state;
pub mod stop;
pub mod telemetry;
pub mod tenant;
pub mod units;

mod bindings;
mod conv;
mod guest;
mod progress;
