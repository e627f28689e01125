//! The demonstration and the benchmarks: they run the built programs against the simulator.
//!
//! `cargo xtask demo` and `cargo xtask bench` build everything and then run this program; it builds nothing.

mod bench;
mod demo;
mod postgres;
mod processes;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Subcommand)]
enum Trial {
    /// Show a whole sync against the bundled simulator, then live changes.
    Demo {
        /// Tickets of the simulated organization.
        #[arg(long, default_value_t = 2000)]
        tickets: u32,
        /// The URL of a PostgreSQL database for the rows, instead of a SQLite file.
        #[arg(long, value_name = "URL")]
        postgres: Option<String>,
    },
    /// Measure, and write the figures into docs/benchmarks.md.
    Bench {
        #[command(subcommand)]
        subject: bench::Subject,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().trial {
        Trial::Demo { tickets, postgres } => demo::run(tickets, postgres.as_deref()),
        Trial::Bench { subject } => bench::run(&subject),
    }
}
