//! Every check and test of the workspace, in the order in which failures show earliest. CI runs exactly this.

use std::time::Instant;

use postgres_server::Durability;

use crate::{advisories, build, lint, node, postgres, python, tidy, tools, vendor};

/// Programs that a test starts wait more than they compute: more tests at once than processors.
const PROGRAM_TESTS_AT_ONCE: &str = "4";

/// Runs each step; the first failure ends it.
pub(crate) fn run() -> Result<(), String> {
    step("format", || tools::run(tools::cargo().args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run(&tidy::Options::default()))?;
    let python = step("python", python::environment)?;
    let node = step("node", node::environment)?;
    // Stopped at the end of this function, also after a failure.
    let database = step("PostgreSQL", || postgres::database(&python, Durability::None))?;
    let (judges, missing) = step("data tools", python::judges)?;
    step("advisories", advisories::check)?;
    step("vendored WIT", vendor::check)?;
    step("build and lints", build::everything_linted)?;
    // The same packages and the same wrapper of rustc as in the build: with others cargo compiles again.
    let test = |targets: &[&str], environment: &[(&str, &str)]| {
        tools::run(
            lint::cargo()?
                .args(["test", "--release", "--workspace", "--no-fail-fast"])
                .args(targets)
                .envs(environment.iter().copied())
                .env("E2E_BIN_DIR", tools::release())
                .env("E2E_PYTHON", &python)
                .env("E2E_NODE", &node)
                .envs(database.environment())
                .env("E2E_TOOLS", &judges),
        )
    };
    step("unit tests", || test(&["--lib", "--bins"], &[]))?;
    step("tests of whole programs", || {
        test(&["--test", "*"], &[("RUST_TEST_THREADS", PROGRAM_TESTS_AT_ONCE)])
    })?;
    // The readings one by one are another test of the suite, which was run above.
    let conformance = ["--test", "conformance", "--", "--skip", "in_each_reading"];
    let in_other_readings = || {
        let mut cargo = lint::cargo()?;
        cargo.args(["test", "--release", "--workspace"]).args(conformance);
        tools::run(cargo.env("SIMULATOR_READINGS", "other"))
    };
    step("conformance in the other readings", in_other_readings)?;
    if !missing.is_empty() {
        eprintln!("== not run: the tests of {}, which could not be installed", missing.join(", "));
    }
    Ok(())
}

/// Announces a step and reports its time.
fn step<V>(name: &str, work: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
    eprintln!("== {name}");
    let started = Instant::now();
    let value = work().map_err(|error| format!("step `{name}`: {error}"))?;
    eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(value)
}
