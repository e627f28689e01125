//! The peers of the read benchmark, each a separate process so that time, CPU and memory can be measured from
//! outside.

mod fetch;
mod native;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Programs to compare the component with.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Subcommand)]
enum Peer {
    /// GET the same list pages and discard the bytes.
    Fetch {
        /// The connector's configuration as JSON: hosts and credentials.
        config: PathBuf,
        /// The grant's code.
        code: String,
        /// Requests in flight.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
    },
    /// Run the connector compiled natively and write each row as a line.
    Native {
        /// The connector's configuration as JSON.
        config: PathBuf,
        /// The grant's code.
        code: String,
        /// The file for the lines.
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
