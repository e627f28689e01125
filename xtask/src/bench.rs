//! Benchmarks: real programs against the simulator on this machine, several runs in turn, figures into `docs/benchmarks.md`.

mod read;
mod report;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum What {
    /// A full read of tickets (list rows), beside a bare fetch of the same pages and the same logic compiled natively.
    Read {
        #[arg(long, default_value_t = 100_000)]
        tickets: u32,
        /// How often each is run; the median counts.
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Also read a million tickets once, for the memory.
        #[arg(long)]
        million: bool,
    },
}

pub(crate) fn run(what: &What) -> Result<()> {
    match *what {
        What::Read { tickets, runs, million } => read::run(tickets, runs, million),
    }
}
