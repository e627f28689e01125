//! Tests through the real programs: the runner as a process, the simulator in this one, the truth at the end.
//!
//! `cargo xtask build` builds the programs. A failing test prints the commands it ran, their output, the
//! folder it leaves behind, and the command that repeats it. `E2E_SEED=n` runs seeded tests with that seed
//! only.

mod attachments;
mod cli;
mod compare;
mod component;
mod departments;
mod errors;
mod faults;
mod groups;
mod hosts;
mod judges;
mod kills;
mod limits;
mod messages;
mod parquet;
mod postgres;
mod replay;
mod secrets;
mod support;
mod tables_page;
mod tokens;
mod truth;
