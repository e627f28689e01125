//! The connector's tables, from its own description: a new table is tested without being named here.

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::binaries;

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let mut command = Command::new(binaries::host_runner());
    command.args(["spec", "--json", "--data", concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled")]);
    let output = command.env_remove("RUST_LOG").output().expect("host-runner");
    assert!(output.status.success(), "spec: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
});

static TABLES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let tables = SPEC["tables"].as_array().expect("tables").iter();
    tables.map(|table| table["name"].as_str().expect("a name")).collect()
});

/// The connector's description.
pub(crate) fn spec() -> &'static Value {
    &SPEC
}

/// Every table, in the order in which tables are read.
pub(crate) fn tables() -> &'static [&'static str] {
    &TABLES
}

/// Every table as the value of the key `tables`.
pub(crate) fn tables_as_toml() -> String {
    format!("{:?}", tables())
}
