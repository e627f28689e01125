//! Every test and lint of the workspace, in the order in which they fail fastest. CI runs exactly this.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::{build, tidy, tools, vendor};

/// Runs everything; the first failure ends it.
pub(crate) fn run() -> Result<()> {
    step("format", || tools::run(tools::cargo().args(["fmt", "--all", "--check"])))?;
    step("tidy", tidy::run)?;
    step("vendored WIT is unchanged", || vendor::run(true))?;
    step("build", || build::for_tests().map(|built| built.print()))?;
    step("lints", || {
        tools::run(tools::cargo().args([
            "clippy",
            "--quiet",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("lints of the components", || {
        tools::run(tools::cargo().args([
            "clippy",
            "--quiet",
            "--profile",
            "wasm",
            "--target",
            build::TARGET,
            "-p",
            "zoho-desk",
            "-p",
            "tiny-connector",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    let python = step("python", python)?;
    step("tests", || {
        tools::run(
            tools::cargo()
                .args(["test", "--release", "--workspace", "--no-fail-fast"])
                .env("E2E_BIN_DIR", tools::release())
                .env("E2E_PYTHON", &python),
        )
    })
}

/// Announces a step and says how long it took.
fn step<V>(name: &str, work: impl FnOnce() -> Result<V>) -> Result<V> {
    eprintln!("== {name}");
    let started = Instant::now();
    let value = work().with_context(|| format!("step `{name}`"))?;
    eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(value)
}

/// A virtual environment with what the Python host needs, made once; answers its interpreter.
fn python() -> Result<std::path::PathBuf> {
    let folder = tools::target().join("venv");
    let interpreter = folder.join("bin/python");
    let requirements = tools::root().join("tests/hosts/python/requirements.txt");
    let installed = folder.join("requirements.txt");
    let wanted =
        std::fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    if interpreter.exists() && std::fs::read(&installed).is_ok_and(|had| had == wanted) {
        return Ok(interpreter);
    }
    if let Err(error) = tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)) {
        eprintln!("{error:#}: installing python3-venv");
        tools::run(Command::new("apt-get").args(["update", "-qq"]))?;
        tools::run(Command::new("apt-get").args(["install", "-y", "-qq", "python3", "python3-venv"]))?;
        tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    }
    tools::run(
        Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements),
    )?;
    std::fs::write(&installed, wanted)?;
    Ok(interpreter)
}
