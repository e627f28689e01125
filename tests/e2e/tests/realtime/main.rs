//! Real time: `serve` as a process, deliveries from the simulator, kills, refusals, reloads; the truth at the end.
//!
//! Seeds: `E2E_SOAK_SEEDS=n` and `E2E_SOAK_FROM=n` choose those of the soak. Latency: see `latency.rs`.

#[path = "../all"]
#[allow(dead_code, unused_imports, reason = "the other binary of tests uses the rest")]
mod shared {
    pub(crate) mod compare;
    pub(crate) mod support;
}

mod contacts;
mod desk;
mod http;
mod kills;
mod latency;
mod realtime;
mod refusals;
mod reload;
mod rows;
mod serve;
mod soak;

use shared::{compare, support};
