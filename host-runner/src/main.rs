//! The program: runs the command line and hands its exit code to the system.

fn main() {
    std::process::exit(host_runner::cli::main() as i32);
}
