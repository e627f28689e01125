//! Shared by every test: binaries, a simulator, a separate folder, processes with a time limit.

pub(crate) mod binaries;
pub(crate) mod connection_file;
#[allow(dead_code, reason = "the other binary of tests uses the rest")]
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod rng;
pub(crate) mod setup;
pub(crate) mod tables;

pub(crate) use connection_file::ConnectionFile;
pub(crate) use process::Run;
pub(crate) use setup::{Setup, sizes};
pub(crate) use tables::{further_tables, spec, tables, tables_as_toml};

/// Waits for something that another thread or process brings about; gives up loudly.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < patience, "waited in vain: {what}");
        std::thread::yield_now();
    }
}
