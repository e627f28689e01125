//! cargo-deny with `deny.toml`: licenses, bans, sources, and advisories where their database can be reached.
//!
//! Not a part of `cargo xtask test`: compiling cargo-deny takes several minutes. The test has a check of its
//! own for everything but advisories (`xtask/package/src/policy.rs`).

use std::process::Command;

use crate::tools;

/// A release that the workspace's compiler can build.
const VERSION: &str = "0.20.2";
const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];
/// Where cargo-deny gets the database of advisories.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

pub(crate) fn run() -> Result<(), String> {
    let folder = tools::target().join("tools");
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let mut install = tools::cargo();
        install
            .args(["install", "--debug", "--locked", "cargo-deny", "--version", VERSION, "--root"])
            .arg(&folder);
        tools::run(&mut install)?;
    }
    let check = |names: &[&str]| {
        tools::run(Command::new(&program).current_dir(tools::root()).arg("check").args(names))
    };
    check(&CHECKS)?;
    if !tools::succeeds("git", &["ls-remote", "--exit-code", DATABASE, "HEAD"]) {
        eprintln!("warning: {DATABASE} cannot be reached: advisories were not checked");
        return Ok(());
    }
    check(&["advisories"])
}
