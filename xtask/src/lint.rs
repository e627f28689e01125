//! Lints while building: for each crate of the workspace cargo runs this program instead of rustc
//! (`RUSTC_WORKSPACE_WRAPPER`), which runs Clippy, then rustc.
//!
//! `cargo clippy` before `cargo build` would check every dependency and then compile it. Here dependencies
//! are compiled once. The code is rustc's: Clippy's driver turns optimizations of the intermediate language
//! off.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use crate::tools;

/// Options of Clippy, in the form in which `cargo clippy` passes those after `--`.
const OPTIONS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

/// Packages that are optimized less where only tests run them: at the level of a release, the runner takes
/// nine of the 23 minutes of a build on two cores. Components are those of a release.
const LESS_OPTIMIZED: [&str; 2] = ["host-runner", "desk-simulator"];

/// The name of the copy of this program that lints.
const NAME: &str = "lint-and-rustc";

/// A cargo whose builds fail at a warning of rustc or Clippy.
pub(crate) fn cargo() -> Result<Command, String> {
    static COPY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let wrapper = COPY.get_or_init(|| tools::copy_of_this_program(NAME)).clone()?;
    let mut cargo = tools::cargo();
    for package in LESS_OPTIMIZED {
        cargo.args(["--config", &format!("profile.release.package.{package}.opt-level=1")]);
    }
    cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper).env("CLIPPY_ARGS", OPTIONS);
    Ok(cargo)
}

/// Whether cargo started this program as its rustc: the first argument is the path of rustc.
pub(crate) fn is_rustc(arguments: &[String]) -> bool {
    arguments.first().is_some_and(|first| Path::new(first).file_name() == Some(OsStr::new("rustc")))
}

/// Runs Clippy, and rustc when it found nothing. Returns only with a failure.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let [rustc, options @ ..] = arguments else { return ExitCode::FAILURE };
    if let Some(options) = check_options(options, &tools::target().join("lint")) {
        let status =
            Command::new(Path::new(rustc).with_file_name("clippy-driver")).arg(rustc).args(options).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return ExitCode::from(status.code().map_or(1, |code| code as u8)),
            Err(error) => {
                eprintln!("error: cannot start clippy-driver: {error}\n\nhint: rustup component add clippy");
                return ExitCode::FAILURE;
            }
        }
    }
    let error = Command::new(rustc).args(options).exec();
    eprintln!("error: cannot start {rustc}: {error}");
    ExitCode::FAILURE
}

/// The options of rustc for a check without code, into another folder; none when rustc compiles nothing.
fn check_options(options: &[String], folder: &Path) -> Option<Vec<String>> {
    options.iter().find(|option| option.starts_with("--emit="))?;
    let mut check = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if option.starts_with("--emit=") {
            check.push("--emit=metadata".to_owned());
        } else if option == "--out-dir" {
            options.next()?;
            check.extend([option.clone(), folder.display().to_string()]);
        } else if option == "-C" {
            let value = options.next()?;
            // rustc keeps its own state there.
            if !value.starts_with("incremental=") {
                check.extend([option.clone(), value.clone()]);
            }
        } else if let Some(kinds) = option.strip_prefix("--json=") {
            // A message about an artifact starts the crates that depend on it.
            let kinds: Vec<&str> = kinds.split(',').filter(|kind| *kind != "artifacts").collect();
            check.push(format!("--json={}", kinds.join(",")));
        } else {
            check.push(option.clone());
        }
    }
    Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Option<Vec<String>> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check_options(&words, Path::new("/lint"))
    }

    #[test]
    fn a_check_makes_no_code_and_reports_no_artifacts() {
        let rustc = "--crate-name a src/lib.rs --json=rendered,artifacts --emit=dep-info,link \
                     -C opt-level=3 -C incremental=/i --out-dir /deps --extern b=/deps/libb.rmeta";
        let check = "--crate-name a src/lib.rs --json=rendered --emit=metadata \
                     -C opt-level=3 --out-dir /lint --extern b=/deps/libb.rmeta";
        assert_eq!(options(rustc).unwrap().join(" "), check);
    }

    #[test]
    fn a_question_to_rustc_is_not_a_check() {
        assert_eq!(options("- --crate-name ___ --print=file-names"), None);
    }
}
