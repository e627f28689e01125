//! The simulator as a program, for demos, benchmarks and people.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use desk_simulator::Simulator;

fn main() -> ExitCode {
    let options = cli::Arguments::parse().into_options();
    let simulator = match Simulator::start(options) {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!(
                "error: cannot start: {error}\n\nhint: choose another port with --port, or 0 for a free one"
            );
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout();
    // Nobody may be reading; the simulator serves all the same.
    let _ = writeln!(out, "listening on {}", simulator.url()).and_then(|()| out.flush());
    eprint!("{}", cli::hints(&simulator));
    simulator.wait();
    ExitCode::SUCCESS
}
