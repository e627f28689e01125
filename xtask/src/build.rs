//! Builds the programs and the components into target/release.
//!
//! Every native build selects the whole workspace: cargo unifies the features of the packages that it builds
//! together, so that a build of one package would compile its dependencies a second time.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{lint, tools};

const TARGET: &str = "wasm32-unknown-unknown";
/// The crates that become components.
const COMPONENTS: [&str; 6] = ["-p", "zoho-desk", "-p", "tiny-connector", "-p", "replay"];

/// The programs and the components.
pub(crate) fn programs() -> Result<(), String> {
    eprintln!(
        "building the component and the runner; the first time takes some minutes, mostly for wasmtime"
    );
    native(|| Ok(tools::cargo()), &["--bins"])
}

/// Everything, as [`everything`]; fails at a warning of rustc or Clippy.
pub(crate) fn everything_linted() -> Result<(), String> {
    native(lint::cargo, &["--all-targets"])
}

/// The programs, the components, the tests and the benchmarks.
pub(crate) fn everything() -> Result<(), String> {
    native(|| Ok(tools::cargo()), &["--all-targets"])
}

/// The components alone; prints the connector's path. Compiles a fraction of the workspace: no wasmtime.
pub(crate) fn component_only() -> Result<(), String> {
    ensure_target()?;
    tools::run(tools::cargo().args(["build", "--release", "-p", "componentize"]))?;
    components(tools::cargo())?;
    println!("{}", connector().display());
    Ok(())
}

fn native(cargo: fn() -> Result<Command, String>, targets: &[&str]) -> Result<(), String> {
    ensure_target()?;
    tools::run(cargo()?.args(["build", "--release", "--workspace"]).args(targets))?;
    components(cargo()?)?;
    let runner = tools::release().join("host-runner");
    let size = std::fs::metadata(&runner).map_or(0, |found| found.len());
    eprintln!("{}  {} KiB", runner.display(), size / 1024);
    Ok(())
}

/// The connector's component.
pub(crate) fn connector() -> std::path::PathBuf {
    tools::release().join("zoho_desk.wasm")
}

/// Compiles the core modules and encodes them as components with the program `componentize`.
fn components(mut cargo: Command) -> Result<(), String> {
    cargo.args(["--config", &format!("target.{TARGET}.rustflags = [{:?}]", same_paths())]);
    tools::run(cargo.args(["build", "--profile", "wasm", "--target", TARGET]).args(COMPONENTS))?;
    let cores = tools::target().join(TARGET).join("wasm");
    let componentize = |core: &str, component: &Path, options: &[&str]| {
        let mut command = tools::program("componentize");
        tools::output(command.arg(cores.join(core)).arg(component).args(options))
    };
    eprint!("{}", componentize("zoho_desk.wasm", &connector(), &["--describe"])?);
    for name in ["tiny_connector.wasm", "replay.wasm"] {
        componentize(name, &tools::release().join("tests").join(name), &[])?;
    }
    Ok(())
}

/// The option of rustc by which a component is the same wherever it is built: a panic names its file, and
/// those of dependencies are in a folder of the person who builds.
fn same_paths() -> String {
    let home = || std::env::home_dir().unwrap_or_default().join(".cargo");
    let home = std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from);
    format!("--remap-path-prefix={}=/cargo", home.display())
}

/// Adds the wasm target with rustup when the toolchain lacks its standard library.
fn ensure_target() -> Result<(), String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    if folder.status.success() && Path::new(String::from_utf8_lossy(&folder.stdout).trim()).is_dir() {
        return Ok(());
    }
    eprintln!("adding the Rust target {TARGET}");
    tools::run(Command::new("rustup").args(["target", "add", TARGET])).map_err(|error| {
        format!("the Rust target {TARGET} is missing: {error}\n\nhint: rustup target add {TARGET}")
    })
}
