//! The virtual environment for the test of the Python host.
//!
//! Installs Python packages into target/venv, and no system packages: it reports which are missing.

use std::path::PathBuf;
use std::process::Command;

use crate::tools;

const REQUIREMENTS: &str = "tests/hosts/python/requirements.txt";

/// Creates the environment unless it has the present requirements; returns its interpreter.
pub(crate) fn environment() -> Result<PathBuf, String> {
    let folder = tools::target().join("venv");
    let interpreter = folder.join("bin/python");
    let requirements = tools::root().join(REQUIREMENTS);
    let wanted =
        std::fs::read(&requirements).map_err(|error| format!("cannot read {REQUIREMENTS}: {error}"))?;
    // A copy of the requirements, written last: an environment without it is incomplete.
    let installed = folder.join("requirements.txt");
    if interpreter.exists() && std::fs::read(&installed).is_ok_and(|present| present == wanted) {
        return Ok(interpreter);
    }
    // Debian's python3 has `venv`, but not `ensurepip`, without which `venv` fails half-way.
    if !tools::succeeds("python3", &["-c", "import ensurepip, venv"]) {
        return Err("python3 with the module `venv` is missing; the test of the Python host needs it\n\n\
                    hint: install it, on Debian and Ubuntu with `apt-get install python3 python3-venv`"
            .to_owned());
    }
    tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    tools::run(
        Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements),
    )?;
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
    Ok(interpreter)
}
