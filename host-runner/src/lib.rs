//! Runs source connectors that are WebAssembly components, sandboxed, into a database.
//!
//! Meets a component in `wit/` only and knows no source by name. Read in this order:
//! [`connection`] (what a person wrote) → [`engine`], [`sandbox`], [`egress`] (the component at work)
//! → [`actor`] (read, commit, repeat) → [`sinks`] (where rows go) → [`sync`], [`cli`] (how it is driven). For a
//! server: [`ingress`] (accept deliveries) → [`journal`] (queue them) → [`actor`] (apply them) → [`serve`].
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
pub mod ingress;
pub mod journal;
pub mod limits;
pub mod loaded;
pub mod metrics;
pub mod missed;
pub mod paths;
pub mod report;
pub mod request;
pub mod sandbox;
pub mod secret;
pub mod serve;
pub mod sinks;
pub mod state;
pub mod stop;
pub mod sync;
pub mod telemetry;
pub mod units;
pub mod webhook_url;

mod bindings;
mod conv;
mod guest;
mod policy;
mod progress;
