//! The simulator as a program: parses flags, starts the simulator, waits until it is stopped.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use desk_simulator::Simulator;

fn main() -> ExitCode {
    let options = cli::Arguments::parse().into_options();
    let port = options.port;
    let simulator = match Simulator::start(options) {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("error: port {port}: cannot listen: {error}");
            eprintln!("\nhint: choose another port with --port, or 0 for a free one");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout();
    // A closed stdout does not stop the simulator.
    let _ = writeln!(out, "listening on {}", simulator.url()).and_then(|()| out.flush());
    eprint!("{}", cli::hints(&simulator));
    simulator.wait();
    ExitCode::SUCCESS
}
