//! Virtual environments for tests: of the Python host, and one for each data tool that judges the runner.
//!
//! Installs Python packages below the target folder, and no system packages: it reports which are missing.

use std::path::PathBuf;
use std::process::Command;

use crate::tools;

/// The tools that judge; each has its own environment, because their packages exclude one another.
const TOOLS: [&str; 4] = ["pyairbyte", "singer-tools", "target-jsonl", "meltano"];

/// The environment of the Python host; returns its interpreter.
pub(crate) fn environment() -> Result<PathBuf, String> {
    create("venv", "tests/hosts/python/requirements.txt")
}

/// The environments of the tools; returns the folder that they are in.
pub(crate) fn judges() -> Result<PathBuf, String> {
    for tool in TOOLS {
        create(&format!("tools/{tool}"), &format!("tests/tools/{tool}.txt"))?;
    }
    Ok(tools::target().join("tools"))
}

/// Creates an environment unless it has the present requirements; returns its interpreter.
fn create(name: &str, requirements: &str) -> Result<PathBuf, String> {
    let folder = tools::target().join(name);
    let interpreter = folder.join("bin/python");
    let file = tools::root().join(requirements);
    let wanted = std::fs::read(&file).map_err(|error| format!("cannot read {requirements}: {error}"))?;
    // A copy of the requirements, written last: an environment without it is incomplete.
    let installed = folder.join("requirements.txt");
    if interpreter.exists() && std::fs::read(&installed).is_ok_and(|present| present == wanted) {
        return Ok(interpreter);
    }
    // Debian's python3 has `venv`, but not `ensurepip`, without which `venv` fails half-way.
    if !tools::succeeds("python3", &["-c", "import ensurepip, venv"]) {
        return Err("python3 with the module `venv` is missing; tests need it\n\n\
                    hint: install it, on Debian and Ubuntu with `apt-get install python3 python3-venv`"
            .to_owned());
    }
    tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    tools::run(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&file))?;
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
    Ok(interpreter)
}
