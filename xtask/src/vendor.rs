//! The WASI packages under wit/deps are those of the wasmtime release in use, unchanged.

use std::path::{Path, PathBuf};

use crate::tools;

/// The crate whose sources hold the packages.
const CRATE: &str = "wasmtime-wasi-http";

/// Copies the packages that differ.
pub(crate) fn copy() -> Result<(), String> {
    for Package { name, text } in differing()? {
        let path = folder().join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Fails with the names of the packages that differ.
pub(crate) fn check() -> Result<(), String> {
    let names: Vec<String> = differing()?.into_iter().map(|package| package.name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!("wit/deps differs from {CRATE}: {}\n\nhint: run `cargo xtask vendor-wit`", names.join(", ")))
}

struct Package {
    name: String,
    text: Vec<u8>,
}

fn folder() -> PathBuf {
    tools::root().join("wit/deps")
}

fn differing() -> Result<Vec<Package>, String> {
    let source = source()?;
    let failed = |path: &Path, error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut differing = Vec::new();
    for entry in std::fs::read_dir(&source).map_err(|error| failed(&source, error))? {
        let entry = entry.map_err(|error| failed(&source, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read(entry.path()).map_err(|error| failed(&entry.path(), error))?;
        if std::fs::read(folder().join(&name)).map_or(true, |present| present != text) {
            differing.push(Package { name, text });
        }
    }
    Ok(differing)
}

/// The folder of WIT packages in the sources of the locked crate.
fn source() -> Result<PathBuf, String> {
    Ok(sources(CRATE)?.join("wit").join("deps"))
}

/// The folder of the sources of a locked crate.
pub(crate) fn sources(name: &str) -> Result<PathBuf, String> {
    let options = ["metadata", "--format-version", "1", "--locked", "--all-features"];
    let metadata = tools::output(tools::cargo().args(options))?;
    // Finds one path by its text, because this crate has no JSON parser.
    let folder = format!("/{name}-");
    metadata
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split_once('"').map(|(path, _)| path))
        .find(|path| {
            path.split_once(&folder)
                .is_some_and(|(_, version)| version.starts_with(|first: char| first.is_ascii_digit()))
        })
        .and_then(|manifest| Path::new(manifest).parent().map(Path::to_owned))
        .ok_or_else(|| format!("{name} is not among the dependencies"))
}
