//! The crates of the workspace and those that they depend on, from `cargo metadata` and `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::root;

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) license: Option<String>,
    pub(crate) description: Option<String>,
    /// None for a crate of the workspace.
    pub(crate) source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None: neither for builds nor for tests.
    kind: Option<String>,
}

/// Asks cargo; `platform` leaves out dependencies of other platforms.
pub(crate) fn metadata(platform: Option<&str>) -> Result<Metadata> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["metadata", "--format-version", "1", "--locked"]);
    cargo.args(platform.iter().flat_map(|platform| ["--filter-platform", platform]));
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("the answer of cargo metadata")
}

impl Metadata {
    /// The packages that are linked into a crate of the workspace, each with the packages that it uses.
    pub(crate) fn linked(&self, crate_name: &str) -> Result<BTreeMap<&str, BTreeSet<&str>>> {
        let nodes: HashMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let root = self.packages.iter().find(|package| package.name == crate_name);
        let root = root.with_context(|| format!("{crate_name}: no such crate"))?;
        let mut linked = BTreeMap::new();
        let mut waiting = vec![root.id.as_str()];
        while let Some(id) = waiting.pop() {
            if linked.contains_key(id) {
                continue;
            }
            let node = nodes.get(id).with_context(|| format!("{id}: not resolved"))?;
            let is_linked =
                |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let uses: BTreeSet<&str> =
                node.deps.iter().filter(is_linked).map(|dependency| dependency.pkg.as_str()).collect();
            waiting.extend(&uses);
            linked.insert(id, uses);
        }
        Ok(linked)
    }

    pub(crate) fn package(&self, id: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|package| package.id == id)
            .with_context(|| format!("{id}: no such package"))
    }
}

/// SHA-256 of the files of crates, by name and version.
pub(crate) fn checksums() -> Result<HashMap<(String, String), String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let text = std::fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let lock: Lock = toml::from_str(&text).context("Cargo.lock")?;
    let checksum = |locked: Locked| Some(((locked.name, locked.version), locked.checksum?));
    Ok(lock.package.into_iter().filter_map(checksum).collect())
}
