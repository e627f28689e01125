//! Where the programs under test lie.

use std::path::PathBuf;

/// The folder of the built programs: `$E2E_BIN_DIR`, else `target/release` of this workspace.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("E2E_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target/release"),
    }
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace")
}

/// A built file, or a panic that says how to build it.
fn built(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask build`, or set E2E_BIN_DIR", path.display());
    path
}

/// The runner.
pub(crate) fn host_runner() -> PathBuf {
    built("host-runner")
}

/// The simulator as a program; most tests run it in-process instead.
pub(crate) fn desk_simulator() -> PathBuf {
    built("desk-simulator")
}

/// The connector.
pub(crate) fn zoho_desk() -> PathBuf {
    built("zoho_desk.wasm")
}

/// The second, tiny connector.
pub(crate) fn tiny_connector() -> PathBuf {
    built("tests/tiny_connector.wasm")
}

/// The example of a program that embeds the sandbox.
pub(crate) fn embed() -> PathBuf {
    let path = folder().join("examples/embed");
    let build = "cargo build --release --workspace --examples";
    assert!(path.is_file(), "{} is missing: run `{build}`, or set E2E_BIN_DIR", path.display());
    path
}
