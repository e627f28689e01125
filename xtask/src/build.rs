//! Builds the programs and the components into target/release.
//!
//! Every native build selects the whole workspace: cargo unifies the features of the packages that it builds
//! together, so that a build of one package would compile its dependencies a second time.

use std::path::Path;
use std::process::Command;

use crate::tools;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// The crates that become components.
pub(crate) const COMPONENTS: [&str; 4] = ["-p", "zoho-desk", "-p", "tiny-connector"];

/// The programs and the components.
pub(crate) fn programs() -> Result<(), String> {
    eprintln!(
        "building the component and the runner; the first time takes some minutes, mostly for wasmtime"
    );
    native(&["--bins"])
}

/// The programs, the components and the tests.
pub(crate) fn for_tests() -> Result<(), String> {
    native(&["--lib", "--bins", "--tests"])
}

/// The programs, the components, the tests and the benchmarks.
pub(crate) fn everything() -> Result<(), String> {
    native(&["--all-targets"])
}

/// The components alone; prints the connector's path. Compiles a fraction of the workspace: no wasmtime.
pub(crate) fn component_only() -> Result<(), String> {
    ensure_target()?;
    tools::run(tools::cargo().args(["build", "--release", "-p", "componentize"]))?;
    components()?;
    println!("{}", connector().display());
    Ok(())
}

fn native(targets: &[&str]) -> Result<(), String> {
    ensure_target()?;
    tools::run(tools::cargo().args(["build", "--release", "--workspace"]).args(targets))?;
    components()?;
    let runner = tools::release().join("host-runner");
    let size = std::fs::metadata(&runner).map_or(0, |found| found.len());
    eprintln!("{}  {} KiB", runner.display(), size / 1024);
    Ok(())
}

fn connector() -> std::path::PathBuf {
    tools::release().join("zoho_desk.wasm")
}

/// Compiles the core modules and encodes them as components with the program `componentize`.
fn components() -> Result<(), String> {
    tools::run(tools::cargo().args(["build", "--profile", "wasm", "--target", TARGET]).args(COMPONENTS))?;
    let cores = tools::target().join(TARGET).join("wasm");
    let componentize = |core: &str, component: &Path, options: &[&str]| {
        let mut command = tools::program("componentize");
        tools::output(command.arg(cores.join(core)).arg(component).args(options))
    };
    eprint!("{}", componentize("zoho_desk.wasm", &connector(), &["--describe"])?);
    componentize("tiny_connector.wasm", &tools::release().join("tests/tiny_connector.wasm"), &[])?;
    Ok(())
}

/// Adds the wasm target with rustup when the toolchain lacks its standard library.
pub(crate) fn ensure_target() -> Result<(), String> {
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
