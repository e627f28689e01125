//! Every check and test of the workspace, in the order in which failures show earliest. CI runs exactly this.

use std::time::Instant;

use crate::{build, python, tidy, tools, vendor};

/// Runs each step; the first failure ends it.
pub(crate) fn run() -> Result<(), String> {
    step("format", || tools::run(tools::cargo().args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run(&tidy::Options::default()))?;
    let python = step("python", python::environment)?;
    step("vendored WIT", vendor::check)?;
    step("lints", || lint(&["--release", "--workspace", "--all-targets"]))?;
    step("lints of the components", || {
        build::ensure_target()?;
        lint(&[&["--profile", "wasm", "--target", build::TARGET], &build::COMPONENTS[..]].concat())
    })?;
    step("build", build::for_tests)?;
    // The same packages and kinds of targets as in the build: others would get other features of their
    // dependencies, and compile them again.
    let test = |targets: &[&str]| {
        tools::run(
            tools::cargo()
                .args(["test", "--release", "--workspace", "--no-fail-fast"])
                .args(targets)
                .env("E2E_BIN_DIR", tools::release())
                .env("E2E_PYTHON", &python),
        )
    };
    step("unit tests", || test(&["--lib", "--bins"]))?;
    step("tests of whole programs", || test(&["--test", "*"]))
}

fn lint(selection: &[&str]) -> Result<(), String> {
    tools::run(tools::cargo().arg("clippy").args(selection).args(["--", "-D", "warnings"]))
}

/// Announces a step and reports its time.
fn step<V>(name: &str, work: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
    eprintln!("== {name}");
    let started = Instant::now();
    let value = work().map_err(|error| format!("step `{name}`: {error}"))?;
    eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(value)
}
