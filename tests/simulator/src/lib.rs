//! An independent simulator of Zoho Desk: accounts (OAuth), REST API v1 and webhooks on one port.
//!
//! A second opinion for tests, demos and benchmarks. It is written from the API document
//! (`zoho-desk-api.md`, "the reference" in comments) alone, shares no code with the component or the
//! runner, and holds the truth that their results are compared with. [`Simulator`] runs it inside a test;
//! the binary runs it on its own. `README.md` documents the admin API.

mod options;
mod settings;
mod shared;
mod simulator;

mod api;
mod http;
mod oauth;
mod webhooks;

mod admin;
mod stats;
mod truth;

mod prose;
mod vocabulary;
mod world;

mod clock;
mod ids;
mod json;
mod rng;
mod time;

#[cfg(test)]
mod readme;

pub use crate::options::{CLIENT_ID, CLIENT_SECRET, Edition, GRANT_CODE, ORGANIZATION_ID, Options, Sizes};
pub use crate::settings::{
    Broken, FaultSettings, OtherUsers, Readings, Rule, RuleAnswer, Settings, WebhookSettings,
};
pub use crate::simulator::Simulator;
pub use crate::truth::TruthQuery;
