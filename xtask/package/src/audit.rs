//! The crates that are linked into a component, in the form that cargo-auditable embeds and `cargo audit bin`
//! reads: JSON, compressed by zlib, in a custom section.

use std::collections::HashMap;

use anyhow::{Context, Result};
use auditable_serde::{DependencyKind, Source, VersionInfo};

use super::WASM;
use super::crates::{Package, metadata};

/// The name of the section.
pub const SECTION: &str = ".dep-v0";
/// The registry of crates.io, as `cargo metadata` names it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The level of compression: the best, as it is done once for each build.
const LEVEL: u8 = 10;

/// The content of the section for a crate of the workspace. Equal dependencies give equal bytes.
pub fn section(crate_name: &str) -> Result<Vec<u8>> {
    let metadata = metadata(Some(WASM))?;
    let linked = metadata.linked(crate_name)?;
    let mut packages = Vec::new();
    for (id, uses) in &linked {
        packages.push((metadata.package(id)?, uses));
    }
    // An id holds the folder of the workspace.
    packages.sort_by(|(left, _), (right, _)| (&left.name, &left.version).cmp(&(&right.name, &right.version)));
    let places: HashMap<&str, usize> =
        packages.iter().enumerate().map(|(index, (package, _))| (package.id.as_str(), index)).collect();
    let listed = packages.iter().map(|(package, uses)| {
        let mut dependencies: Vec<usize> = uses.iter().filter_map(|id| places.get(*id)).copied().collect();
        dependencies.sort_unstable();
        Ok(auditable_serde::Package {
            name: package.name.clone(),
            version: package.version.parse().with_context(|| format!("version of {}", package.name))?,
            source: source(package),
            kind: DependencyKind::Runtime,
            dependencies,
            root: package.name == crate_name,
        })
    });
    let info = VersionInfo { packages: listed.collect::<Result<_>>()?, format: 0 };
    Ok(miniz_oxide::deflate::compress_to_vec_zlib(&serde_json::to_vec(&info)?, LEVEL))
}

fn source(package: &Package) -> Source {
    match package.source.as_deref() {
        None => Source::Local,
        Some(CRATES_IO) => Source::CratesIo,
        Some(other) if other.starts_with("git+") => Source::Git,
        Some(_) => Source::Registry,
    }
}
