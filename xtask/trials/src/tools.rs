//! The workspace's folders, and running commands with errors that name the command.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace folder.
pub(crate) fn root() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder.pop();
    folder
}

/// The folder of built programs and components, `target/release`: this program is in it.
pub(crate) fn release() -> Result<PathBuf> {
    let mut program = std::env::current_exe().context("cannot find target/release")?;
    program.pop();
    Ok(program)
}

/// A built program.
pub(crate) fn command(name: &str) -> Result<Command> {
    Ok(Command::new(release()?.join(name)))
}

/// An empty folder `target/NAME`.
pub(crate) fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = release()?.with_file_name(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// `cargo` in the workspace, with the target folder that this program is in.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    if let Some(target) = release()?.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    Ok(command)
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end and returns the JSON objects among the lines that it prints.
pub(crate) fn json_lines(command: &mut Command) -> Result<Vec<Value>> {
    let line = line(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{line}`"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("`{line}` failed ({})\n{text}", output.status);
    }
    let found: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect();
    if found.is_empty() {
        bail!("`{line}` printed no figures\n{text}");
    }
    Ok(found)
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
