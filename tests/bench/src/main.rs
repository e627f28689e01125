//! The peers of the read benchmark, each a process of its own so that time, CPU and memory can be taken from outside.

mod fetch;
mod native;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// What the component is measured against.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Subcommand)]
enum Peer {
    /// GET the same list pages one after the other and throw the bytes away.
    Fetch {
        /// The connector's configuration as JSON: hosts and credentials.
        config: PathBuf,
        /// The grant's code.
        code: String,
        /// Requests in flight.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
    },
    /// The connector's own logic, compiled natively, writing each row as a line.
    Native {
        /// The connector's configuration as JSON.
        config: PathBuf,
        /// The grant's code.
        code: String,
        /// Where the lines go.
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Arguments::parse().peer {
        Peer::Fetch { config, code, at_once } => runtime.block_on(fetch::run(&config, &code, at_once)),
        Peer::Native { config, code, out } => native::run(runtime, &config, &code, &out),
    }
}
