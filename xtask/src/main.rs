//! `cargo xtask`: one command for each thing that a developer or CI does.
//!
//! Standard library only: cargo compiles this crate before it can print anything, so it has to compile in
//! seconds. Work that needs a library is in the programs below `xtask/`, which are built with cargo's
//! progress visible.

mod advisories;
mod build;
mod fuzz;
mod lint;
mod node;
mod postgres;
mod python;
mod test;
mod tidy;
mod tools;
mod vendor;

use std::process::ExitCode;

use postgres_server::Durability;

const HELP: &str = "\
Builds, tests, demonstrates and measures the Zoho Desk connector.

Usage: cargo xtask COMMAND

  build                    Build the component and the runner into target/release; print sizes and imports
    --component            only the components; print the connector's path
  demo                     Show a whole sync against the bundled simulator, then live changes
    --tickets N            tickets of the simulated organization [default: 2000]
    --postgres URL         into this database instead of a SQLite file
  test                     Check format and language, lint, build, and run every test; CI runs this. Starts a
                           private PostgreSQL unless TEST_DATABASE_URL names a database
  package [FOLDER]         Package the component, bills of materials and an OCI image layout [default:
                           target/package]
  replay RECORDING FILE    Compose the connector with a recording of its HTTP (HAR) into a component that runs
                           without a network
  fuzz [TARGET]            Run the fuzzer on the parsers of bytes from outside, one after the other
    --minutes N            in all [default: 5]
  tidy [PATH...]           Check the rules of docs/STYLE.md and docs/GLOSSARY.md [default: the whole tree]
    --list                 print each hit as `file:line: hit`
  bench read               Measure a full snapshot; each benchmark writes its figures into docs/benchmarks.md
    --tickets N            [default: 100000]
    --runs N               runs of each subject; the median counts [default: 5]
    --million              also read a million tickets once, for the memory
  bench latency            Measure the time from a signed delivery to the visible row
    --seconds N            for each rate [default: 20]
    --rates N,N            deliveries a second, one measurement each [default: 100,1000]
  bench ingress            Measure deliveries that the ingress stores durably before it answers
    --seconds N            for each load [default: 6]
    --idle N               idle connections during one of the loads [default: 9700]
  bench connections [N]    Measure what an idle connection of a server costs [default: 1000]
    --active N             connections that poll every second [default: 1000]
  bench sinks              Measure rows into each kind of sink
    --rows N               [default: 200000]
  bench peers              Compare with Airbyte's declarative CDK and dlt, which it installs from PyPI
    --tickets N            read as list rows [default: 100000]
    --details N            read with their details [default: 10000]
    --runs N               of each program without delays and faults; the median counts [default: 3]
  bench credits            Measure calls and credits of a first read, a quiet day and a day of updates
    --tickets N            [default: 2000]
    --updates N            of the day [default: 5000]
    --rounds N             of five minutes that stand for the day [default: 24]
    --label TEXT           keep the figures of other labels [default: now]
  vendor-wit               Copy the WASI packages of the wasmtime release in use into wit/deps
    --check                only compare
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if lint::is_rustc(&arguments) {
        return if fuzz::is_wrapper() { fuzz::rustc(&arguments) } else { lint::run(&arguments) };
    }
    if arguments.is_empty() || arguments.iter().any(|one| one == "--help" || one == "-h" || one == "help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn package(folder: &std::path::Path) -> Result<(), String> {
    build::programs()?;
    tools::run(tools::program("package").arg(build::connector()).arg(folder))
}

fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["build"] => build::programs(),
        ["build", "--component"] => build::component_only(),
        ["demo", ..] => {
            build::programs()?;
            tools::run(tools::program("trials").args(arguments))
        }
        ["test"] => test::run(),
        ["package"] => package(&tools::target().join("package")),
        ["package", folder] => package(folder.as_ref()),
        ["replay", recording, file] => {
            build::component_only()?;
            let mut componentize = tools::program("componentize");
            tools::run(componentize.args(["--replay", recording]).arg(build::connector()).arg(file))
        }
        ["fuzz", ..] => fuzz::run(&words[1..]),
        ["tidy", ..] => tidy::run(&tidy::Options::parse(&arguments[1..])?),
        ["bench", "connections" | "credits" | "read" | "latency" | "ingress", ..] => {
            build::everything()?;
            tools::run(tools::program("trials").args(arguments))
        }
        ["bench", subject @ ("peers" | "sinks"), ..] => {
            if subject == "peers" {
                python::peers()?;
            }
            build::everything()?;
            let database = postgres::database(&python::environment()?, Durability::Full)?;
            tools::run(tools::program("trials").args(arguments).envs(database.environment()))
        }
        ["vendor-wit"] => vendor::copy(),
        ["vendor-wit", "--check"] => vendor::check(),
        _ => Err(format!("unknown command `{}`\n\nhint: run `cargo xtask --help`", words.join(" "))),
    }
}
