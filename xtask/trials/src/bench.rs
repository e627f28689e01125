//! Benchmarks: real programs against the simulator on this machine. Each writes its figures into
//! `docs/benchmarks.md`.

mod connections;
mod credits;
mod ingress;
mod latency;
mod peers;
mod read;
mod report;
mod sinks;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Subject {
    /// Measure a snapshot of tickets (list rows), next to a bare fetch of the same pages and native logic.
    Read {
        #[arg(long, default_value_t = 100_000)]
        tickets: u32,
        /// Runs of each subject; the median counts.
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Also read a million tickets once, for the memory.
        #[arg(long)]
        million: bool,
    },
    /// Measure the time from a signed delivery to the row that another process sees.
    Latency {
        /// Seconds for each rate.
        #[arg(long, default_value_t = 20)]
        seconds: u32,
        /// Deliveries a second, one measurement each.
        #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000])]
        rates: Vec<u32>,
    },
    /// Measure deliveries that the ingress stores durably before it answers.
    Ingress {
        /// Seconds for each load.
        #[arg(long, default_value_t = 6)]
        seconds: u32,
        /// Idle connections during one of the loads. One process opens both ends: twice as many files.
        #[arg(long, default_value_t = 9_700)]
        idle: u32,
    },
    /// Measure calls and credits of a first read, a quiet day and a day of updates.
    Credits {
        #[arg(long, default_value_t = 2_000)]
        tickets: u32,
        /// Updates of the busy day.
        #[arg(long, default_value_t = 5_000)]
        updates: u32,
        /// Rounds that stand for the day; a divisor of 288.
        #[arg(long, default_value_t = 24)]
        rounds: u32,
        /// Keeps the figures of other labels, for a comparison.
        #[arg(long, default_value = "now")]
        label: String,
    },
    /// Measure what an idle connection of a server costs, and how active ones share it.
    Connections {
        /// Idle connections.
        #[arg(default_value_t = 1_000)]
        idle: usize,
        /// Connections that poll every second.
        #[arg(long, default_value_t = 1_000)]
        active: usize,
    },
    /// Compare with Airbyte's declarative CDK and dlt.
    Peers {
        /// Tickets that are read as list rows.
        #[arg(long, default_value_t = 100_000)]
        tickets: u32,
        /// Tickets that are read with their details.
        #[arg(long, default_value_t = 10_000)]
        details: u32,
        /// Runs of each program without delays and faults; the median counts.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// Measure rows into each kind of sink.
    Sinks {
        #[arg(long, default_value_t = 200_000)]
        rows: u32,
    },
}

pub(crate) fn run(subject: &Subject) -> Result<()> {
    match subject {
        Subject::Read { tickets, runs, million } => read::run(*tickets, *runs, *million),
        Subject::Latency { seconds, rates } => latency::run(*seconds, rates),
        Subject::Ingress { seconds, idle } => ingress::run(*seconds, *idle),
        Subject::Credits { tickets, updates, rounds, label } => {
            credits::run(*tickets, *updates, *rounds, label)
        }
        Subject::Connections { idle, active } => connections::run(*idle, *active),
        Subject::Peers { tickets, details, runs } => peers::run(*tickets, *details, *runs),
        Subject::Sinks { rows } => sinks::run(*rows),
    }
}
