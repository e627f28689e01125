//! `cargo xtask`: one command for each thing a developer or CI does. Sets up what is missing and says what it does.

mod build;
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
    Build,
    /// Copy the WASI packages of the wasmtime release in use into wit/deps; with --check only compare.
    VendorWit {
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Build => {
            let built = build::everything()?;
            built.print();
            Ok(())
        }
        Task::VendorWit { check } => vendor::run(check),
    }
}
