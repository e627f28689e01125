//! An independent simulator of Zoho Desk: accounts (OAuth), REST API v1 and webhooks on one port.
//!
//! A second opinion for tests, demos and benchmarks: it shares no code with the connector or the
//! host runner and keeps its own truth to compare with. [`Simulator`] runs it inside a test; the
//! binary runs it by hand. `README.md` lists the admin API.

mod admin;
mod api;
mod clock;
mod http;
mod ids;
mod json;
mod oauth;
mod options;
mod prose;
mod rng;
mod settings;
mod shared;
mod simulator;
mod time;
mod truth;
mod vocabulary;
mod webhooks;
mod world;

pub use crate::options::{CLIENT_ID, CLIENT_SECRET, Edition, GRANT_CODE, ORGANIZATION_ID, Options, Sizes};
pub use crate::settings::{FaultSettings, Settings, WebhookSettings};
pub use crate::simulator::Simulator;
pub use crate::truth::TruthQuery;
