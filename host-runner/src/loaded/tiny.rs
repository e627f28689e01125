//! For unit tests: connections to the tiny connector of `tests/guests`, as `cargo xtask build` makes it.

use std::path::{Path, PathBuf};

use crate::connection::Connection;
use crate::paths::Paths;
use crate::secret::Redactor;

pub(crate) fn component() -> PathBuf {
    let folder = std::env::var_os("TEST_GUESTS_DIR").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/tests");
    let file = folder.unwrap_or_else(default).join("tiny_connector.wasm");
    assert!(file.is_file(), "{} is missing; make it with: cargo xtask build", file.display());
    file
}

/// The data folder in a folder.
pub(crate) fn paths(folder: &Path) -> Paths {
    Paths::new(folder.join("data"), None, None, Redactor::default())
}

/// A connection with three rows in each table.
pub(crate) fn connection(folder: &Path, name: &str) -> Connection {
    connection_with(folder, name, "")
}

/// The same, with more lines of `[config]`.
pub(crate) fn connection_with(folder: &Path, name: &str, config: &str) -> Connection {
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = \"planted-secret\"\nrows = 3\n{config}\n",
        component()
    );
    std::fs::write(&file, text).expect("written");
    Connection::load(&file, &|_| None).expect("valid")
}
