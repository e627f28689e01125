//! The dependencies against `deny.toml`: licenses, sources, banned crates. Needs nothing but cargo: compiling
//! cargo-deny takes many minutes, and its database of advisories a network.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use super::crates::{Package, metadata};
use super::root;

/// The members of `deny.toml` that this check follows.
#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Checks every dependency, those of tests included; the report counts them.
pub fn check() -> Result<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).context("deny.toml")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    let metadata = metadata(None)?;
    let mut problems = String::new();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        *versions.entry(&package.name).or_default() += 1;
        if let Err(problem) = deny.admit(package) {
            writeln!(problems, "{} {}: {problem}", package.name, package.version)?;
        }
    }
    if !problems.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n{problems}");
    }
    let crates: usize = versions.values().sum();
    let several = versions.values().filter(|count| **count > 1).count();
    Ok(format!("{crates} crates of others, {several} of them in several versions: as deny.toml allows\n"))
}

impl Deny {
    fn admit(&self, package: &Package) -> Result<(), String> {
        let source = package.source.as_deref().unwrap_or_default();
        if !self.sources.allow_registry.iter().any(|allowed| source == format!("registry+{allowed}")) {
            return Err(format!("comes from {source}"));
        }
        if let Some(banned) = self.bans.deny.iter().find(|banned| banned.name == package.name) {
            return Err(format!("is banned: {}", banned.reason));
        }
        let license = package.license.as_deref().unwrap_or_default();
        let expression = Expression::parse_mode(license, ParseMode::LAX)
            .map_err(|error| format!("its license `{license}` is no SPDX expression: {error}"))?;
        let allowed =
            |needed: &LicenseReq| self.licenses.allow.iter().any(|name| *name == needed.to_string());
        if expression.evaluate(allowed) {
            Ok(())
        } else {
            Err(format!("its license `{license}` is not allowed"))
        }
    }
}
