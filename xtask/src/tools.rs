//! The workspace's folders, and running commands with errors that name the command.

use std::path::PathBuf;
use std::process::Command;

/// The workspace folder.
pub(crate) fn root() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

/// Cargo's target folder: this program is in its `release`.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().and_then(|release| release.parent()).map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder of built programs and components: `target/release`.
pub(crate) fn release() -> PathBuf {
    target().join("release")
}

/// A copy of this program under another name, because a build replaces the original. Its path is a part of
/// the names of the crates that it compiles, so it is always the same.
pub(crate) fn copy_of_this_program(name: &str) -> Result<PathBuf, String> {
    let copy = release().join(name);
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let copied = std::fs::copy(&program, &copy);
    copied.map(|_| copy.clone()).map_err(|error| format!("cannot write {}: {error}", copy.display()))
}

/// A built program of the workspace.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(release().join(name));
    command.current_dir(root());
    command
}

/// The cargo that started this process, in the workspace and with the same target folder. It does not inherit
/// the variables that describe this package: build scripts, such as that of `ring`, run again where they
/// differ.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    let is_of_package = |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(is_of_package) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let line = line(command);
    let status = command.status().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})")) }
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let line = line(command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("output of `{line}`: {error}"))
}

/// Whether a command can be started and succeeds; prints nothing.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The command as a person would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
