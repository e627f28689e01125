//! The packages for the test of the Node.js host, installed from npm into target/node-host.

use std::path::PathBuf;
use std::process::Command;

use crate::tools;

/// Folder of `package.json` and `package-lock.json`.
const SOURCE: &str = "tests/hosts/node";
/// Node.js 20 is the first that the packages run on.
const VERSION: &str = "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)";

/// Installs the packages unless those of the present lock are there; returns the folder.
pub(crate) fn environment() -> Result<PathBuf, String> {
    let folder = tools::target().join("node-host");
    let source = tools::root().join(SOURCE);
    let read = |file: &str| {
        std::fs::read(source.join(file)).map_err(|error| format!("cannot read {SOURCE}/{file}: {error}"))
    };
    let write = |file: &str, bytes: &[u8]| {
        std::fs::write(folder.join(file), bytes)
            .map_err(|error| format!("cannot write {}: {error}", folder.join(file).display()))
    };
    let lock = read("package-lock.json")?;
    // A copy of the lock, written last: a folder without it is incomplete.
    if std::fs::read(folder.join("installed.json")).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    if !tools::succeeds("node", &["--eval", VERSION]) || !tools::succeeds("npm", &["--version"]) {
        return Err("Node.js 20 or later with npm is missing; the test of the Node.js host needs it\n\n\
                    hint: install it from https://nodejs.org or with a version manager"
            .to_owned());
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    write("package.json", &read("package.json")?)?;
    write("package-lock.json", &lock)?;
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    tools::run(Command::new("npm").args(options).current_dir(&folder))?;
    write("installed.json", &lock)?;
    Ok(folder)
}
