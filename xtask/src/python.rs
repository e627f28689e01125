//! Virtual environments: of the Python host, and one for each data tool that judges the runner or is compared
//! with it.
//!
//! Installs Python packages below the target folder, and no system packages: it reports which are missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools;

/// The tools that judge. Each has its own environment, because their packages exclude one another.
const JUDGES: [&str; 4] = ["singer-tools", "target-jsonl", "dlt", "rclone"];

/// Tools with hundreds of packages. Where one of them cannot be installed, the others judge.
const LARGE_JUDGES: [&str; 4] = ["pyairbyte", "target-postgres", "meltano", "fivetran"];

/// The tools that the benchmark compares with.
const PEERS: [&str; 2] = ["airbyte-cdk", "dlt"];

/// Packages of a later day are not used: the same ones are installed on every day.
const NEWEST: &str = "2026-11-25";

/// The environment of the Python host; returns its interpreter.
pub(crate) fn environment() -> Result<PathBuf, String> {
    create("venv", "tests/hosts/python/requirements.txt", pip)
}

/// The environments of the judges, as a list of paths, and the judges that are missing.
pub(crate) fn judges() -> Result<(OsString, Vec<&'static str>), String> {
    let folder = tools(&JUDGES)?;
    let is_missing = |name: &&str| {
        let installed = tools(&[*name]);
        installed.inspect_err(|error| eprintln!("{name} cannot be installed: {error}")).is_err()
    };
    let (missing, large): (Vec<&str>, Vec<&str>) = LARGE_JUDGES.into_iter().partition(is_missing);
    let paths = JUDGES.iter().chain(&large).map(|name| folder.join(name));
    Ok((std::env::join_paths(paths).map_err(|error| error.to_string())?, missing))
}

/// The environments of the peers.
pub(crate) fn peers() -> Result<PathBuf, String> {
    tools(&PEERS)
}

/// Creates environments; returns the folder that they are in.
fn tools(names: &[&str]) -> Result<PathBuf, String> {
    let program = create("tools/uv", "tests/tools/uv.txt", pip)?.with_file_name("uv");
    for name in names {
        let install = |folder: &Path, requirements: &Path| uv(&program, folder, requirements);
        create(&format!("tools/{name}"), &format!("tests/tools/{name}.txt"), install)?;
    }
    Ok(tools::target().join("tools"))
}

/// Creates an environment unless it has the present requirements; returns its interpreter.
fn create(
    name: &str,
    requirements: &str,
    install: impl Fn(&Path, &Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = tools::target().join(name);
    let interpreter = folder.join("bin/python");
    let file = tools::root().join(requirements);
    let wanted = std::fs::read(&file).map_err(|error| format!("cannot read {requirements}: {error}"))?;
    // A copy of the requirements, written last: an environment without it is incomplete.
    let installed = folder.join("requirements.txt");
    if interpreter.exists() && std::fs::read(&installed).is_ok_and(|present| present == wanted) {
        return Ok(interpreter);
    }
    install(&folder, &file)?;
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
    Ok(interpreter)
}

/// An environment with pip, which installs the requirements.
fn pip(folder: &Path, requirements: &Path) -> Result<(), String> {
    // Debian's python3 has `venv`, but not `ensurepip`, without which `venv` fails half-way.
    if !tools::succeeds("python3", &["-c", "import ensurepip, venv"]) {
        return Err("python3 with the module `venv` is missing; tests need it\n\n\
                    hint: install it, on Debian and Ubuntu with `apt-get install python3 python3-venv`"
            .to_owned());
    }
    tools::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let python = folder.join("bin/python");
    tools::run(Command::new(python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements))
}

/// An environment that uv makes. pip tries hundreds of versions of PyAirbyte's dependencies, for minutes.
fn uv(program: &Path, folder: &Path, requirements: &Path) -> Result<(), String> {
    let uv = |words: &[&str]| {
        let mut uv = Command::new(program);
        uv.args(words).args(["--quiet", "--no-python-downloads", "--native-tls"]);
        // Packages are links into its cache, which must be on the same disk.
        uv.env("UV_CACHE_DIR", tools::target().join("tools/cache"));
        uv
    };
    tools::run(uv(&["venv", "--clear", "--python", "python3"]).arg(folder))?;
    let mut install = uv(&["pip", "install", "--exclude-newer", NEWEST]);
    tools::run(install.arg("--python").arg(folder.join("bin/python")).arg("-r").arg(requirements))
}
