//! Real time: `serve` as a process, deliveries from the simulator, kills, refusals, reloads; the truth at the
//! end.
//!
//! Seeds: `E2E_SEED=n` runs the seeded tests with that seed only; see `soak.rs`.

#[path = "../all"]
#[allow(dead_code, unused_imports, reason = "the other binary of tests uses the rest")]
mod shared {
    pub(crate) mod compare;
    pub(crate) mod support;
}

mod desk;
mod kills;
mod latency;
mod realtime;
mod refusals;
mod reload;
mod rows;
mod schema;
mod serve;
mod soak;

use shared::{compare, support};
