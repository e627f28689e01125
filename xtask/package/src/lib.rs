//! What a registry or a customer gets: the component with its contract, description, configuration schema,
//! bills of materials, checksums, and an OCI image layout. Equal inputs give equal bytes.
//!
//! Also the check of the dependencies against `deny.toml`.

pub mod audit;

pub mod component;

pub mod recording;

mod crates;
mod oci;
mod policy;
mod sbom;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::policy::check;

/// The platform of the component.
const WASM: &str = "wasm32-unknown-unknown";
/// The file that lists the others, in the format of `sha256sum`.
const CHECKSUMS: &str = "SHA256SUMS";

/// The workspace folder.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// SHA-256 in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON as it is written to files.
fn json(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Writes the package into a folder, which must be empty or one of an earlier package. Returns name and size
/// of each file.
pub fn write(component: &Path, folder: &Path) -> Result<Vec<(String, usize)>> {
    let component = component::read(component)?;
    let name = &component.name;
    let mut files = BTreeMap::new();
    files.insert(format!("{name}.describe.json"), json(&component.describe));
    files.insert(format!("{name}.config.schema.json"), json(&component.describe["configuration"]));
    files.insert(format!("{name}.cdx.json"), json(&sbom::of("zoho-desk", Some(WASM))?));
    files.insert("host-runner.cdx.json".to_owned(), json(&sbom::of("host-runner", None)?));
    let wit = root().join("wit");
    files.insert("wit/source.wit".to_owned(), read(&wit.join("source.wit"))?);
    for entry in std::fs::read_dir(wit.join("deps")).context("wit/deps")? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(format!("wit/deps/{file}"), read(&path)?);
    }
    files.extend(oci::layout(&component).into_iter().map(|(file, bytes)| (format!("oci/{file}"), bytes)));
    files.insert(format!("{name}.wasm"), component.bytes);
    let checksums: String =
        files.iter().map(|(file, bytes)| format!("{}  {file}\n", sha256(bytes))).collect();
    files.insert(CHECKSUMS.to_owned(), checksums.into_bytes());

    clear(folder, name)?;
    for (file, bytes) in &files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(files.into_iter().map(|(file, bytes)| (file, bytes.len())).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Removes the files of an earlier package of this name, as its checksums list them; refuses a folder with
/// any other file, or with the checksums of something else.
fn clear(folder: &Path, name: &str) -> Result<()> {
    let mut found = Vec::new();
    if folder.exists() {
        list(folder, &mut found)?;
    }
    let checksums = std::fs::read_to_string(folder.join(CHECKSUMS)).unwrap_or_default();
    let listed: BTreeSet<&str> =
        checksums.lines().filter_map(|line| Some(line.split_once("  ")?.1)).chain([CHECKSUMS]).collect();
    let describe = format!("{name}.describe.json");
    let is_package = listed.contains(describe.as_str()) && listed.contains("oci/oci-layout");
    let package: BTreeSet<PathBuf> = listed.iter().filter(|_| is_package).map(|it| folder.join(it)).collect();
    if let Some(other) = found.iter().find(|file| !package.contains(*file)) {
        bail!(
            "{}: holds other files than a package: {}\n\nhint: name an empty folder",
            folder.display(),
            other.display()
        );
    }
    for file in found {
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

/// Every file below a folder; a link counts as a file.
fn list(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
