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

static TABLES: LazyLock<Vec<&str>> = LazyLock::new(|| names(|group| group == "core"));

/// The names of the tables whose group is wanted.
fn names(is_wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let tables = SPEC["tables"].as_array().expect("tables").iter();
    let wanted = tables.filter(|table| is_wanted(table["group"].as_str().expect("a group")));
    wanted.map(|table| table["name"].as_str().expect("a name")).collect()
}

/// The connector's description.
pub(crate) fn spec() -> &'static Value {
    &SPEC
}

/// The tables that are read by default, in the order in which tables are read.
pub(crate) fn tables() -> &'static [&'static str] {
    &TABLES
}

/// The tables of all other groups.
pub(crate) fn further_tables() -> Vec<&'static str> {
    names(|group| group != "core")
}

/// The default tables as the value of the key `tables`.
pub(crate) fn tables_as_toml() -> String {
    format!("{:?}", tables())
}
