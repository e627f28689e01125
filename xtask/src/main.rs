//! `cargo xtask`: one command for each thing a developer or CI does. Sets up what is missing and says what it does.

mod bench;
mod build;
mod demo;
mod processes;
mod test;
mod tidy;
mod tools;
mod vendor;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, tests, demonstrates and measures the Zoho Desk connector.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the component and the host runner into target/release, and print size and imports.
    Build {
        /// Only the components.
        #[arg(long)]
        component: bool,
    },
    /// Show a whole sync against the bundled simulator: set up what is missing, authorise, check, discover, read, look.
    Demo {
        /// Tickets in the simulated organisation.
        #[arg(long, default_value_t = 2000)]
        tickets: u32,
    },
    /// Build everything and run every test and lint of the workspace; what CI runs.
    Test,
    /// Measure, and write the figures into docs/benchmarks.md.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Copy the WASI packages of the wasmtime release in use into wit/deps; with --check only compare.
    VendorWit {
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Build { component: true } => build::components().map(|path| println!("{}", path.display())),
        Task::Build { component: false } => {
            build::everything()?.print();
            Ok(())
        }
        Task::Demo { tickets } => demo::run(tickets),
        Task::Test => test::run(),
        Task::Bench { what } => bench::run(&what),
        Task::VendorWit { check } => vendor::run(check),
    }
}
