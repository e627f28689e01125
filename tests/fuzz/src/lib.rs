//! Every parser that sees bytes from outside, as a function of bytes that must return.
//!
//! An input is one or more parts, separated by the byte `FF`, which no text contains. The corpus is in
//! `corpus/<target>`, a file per input. `tests/fuzz.rs` runs corpus and mutations; `examples/fuzz.rs` is the
//! long run.

mod guest;
mod host;

use std::path::PathBuf;

/// Separates the parts of an input.
pub const SEPARATOR: u8 = 0xff;

/// A parser under test.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Must return, whatever the input.
    pub run: fn(&[u8]),
    /// Mutations of each input in `cargo xtask test`; fewer where an input costs file operations.
    pub mutations: u32,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "guest-webhook", run: guest::webhook, mutations: 2_000 },
    Target { name: "guest-jwt", run: guest::jwt, mutations: 2_000 },
    Target { name: "guest-answers", run: guest::answers, mutations: 1_000 },
    Target { name: "guest-cursor", run: guest::cursor, mutations: 1_000 },
    Target { name: "guest-session", run: guest::session, mutations: 2_000 },
    Target { name: "guest-subscription", run: guest::subscription, mutations: 1_000 },
    Target { name: "host-connection-file", run: host::connection_file, mutations: 1_000 },
    Target { name: "host-policy-file", run: host::policy_file, mutations: 500 },
    Target { name: "host-sink-url", run: host::sink_url, mutations: 5_000 },
    Target { name: "host-describe", run: host::describe, mutations: 1_000 },
    Target { name: "host-server-api", run: host::server_api, mutations: 5_000 },
    Target { name: "host-schema", run: host::schema, mutations: 20 },
    Target { name: "host-jsonl", run: host::jsonl, mutations: 50 },
    Target { name: "host-journal", run: host::journal, mutations: 20 },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The inputs of a target that are kept in the tree.
pub fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut inputs: Vec<_> = entries
        .filter_map(|entry| std::fs::read(entry.path()).ok().map(|bytes| (entry.path(), bytes)))
        .collect();
    inputs.sort();
    inputs
}

/// The parts of an input.
fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == SEPARATOR)
}

/// A part as text.
fn text(part: Option<&[u8]>) -> String {
    String::from_utf8_lossy(part.unwrap_or_default()).into_owned()
}
