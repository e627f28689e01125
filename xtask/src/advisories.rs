//! Known vulnerabilities of dependencies: cargo-deny with RustSec's database, where a machine has both. The
//! tests install neither: cargo-deny takes minutes to compile, and the database needs a network.

use std::path::PathBuf;
use std::process::Command;

use crate::tools;

/// Checks, or prints that the tool or its database is missing.
pub(crate) fn check() -> Result<(), String> {
    if !tools::succeeds("cargo-deny", &["--version"]) {
        eprintln!("skipped: cargo-deny is not installed\nhint: cargo install cargo-deny");
        return Ok(());
    }
    if !database().is_some_and(|folder| folder.is_dir()) {
        eprintln!("skipped: this machine has no copy of RustSec's database\nhint: cargo deny fetch db");
        return Ok(());
    }
    let arguments = ["--offline", "check", "advisories"];
    tools::run(Command::new("cargo-deny").args(arguments).current_dir(tools::root()))
}

/// Where cargo-deny keeps databases.
fn database() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.map(|home| home.join("advisory-dbs"))
}
