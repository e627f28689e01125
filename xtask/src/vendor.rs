//! The WASI packages under `wit/deps` are those of the wasmtime release in use, unchanged.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::tools;

const CRATE: &str = "wasmtime-wasi-http";

/// Copies the packages, or with `check` compares and names what differs.
pub(crate) fn run(check: bool) -> Result<()> {
    let source = source()?;
    let target = tools::root().join("wit/deps");
    let mut differing = Vec::new();
    for entry in std::fs::read_dir(&source).with_context(|| format!("cannot read {}", source.display()))? {
        let from = entry?.path();
        let Some(name) = from.file_name() else { continue };
        let to = target.join(name);
        let text = std::fs::read(&from)?;
        if std::fs::read(&to).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            differing.push(name.to_string_lossy().into_owned());
        } else {
            std::fs::write(&to, text)?;
            println!("wrote {}", to.display());
        }
    }
    if !differing.is_empty() {
        bail!(
            "wit/deps differs from {CRATE}: {}\n\nhint: run `cargo xtask vendor-wit`",
            differing.join(", ")
        );
    }
    Ok(())
}

/// The folder of WIT packages in the sources of the locked `wasmtime-wasi-http`.
fn source() -> Result<PathBuf> {
    let output = tools::cargo().args(["metadata", "--format-version", "1", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == CRATE))
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| format!("{CRATE} is not among the dependencies"))?;
    Ok(PathBuf::from(manifest).with_file_name("wit").join("deps"))
}
