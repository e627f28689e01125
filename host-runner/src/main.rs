//! The program: runs the command line and exits with its code.

fn main() {
    std::process::exit(host_runner::cli::main() as i32);
}
