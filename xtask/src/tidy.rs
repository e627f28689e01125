//! Rules that no lint knows: every file says what it owns, the documents name only what exists, guest and host stay apart.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tools;

/// Documents whose back-quoted paths must exist.
const DOCUMENTS: [&str; 5] =
    ["README.md", "docs/ARCHITECTURE.md", "docs/CONTRACT.md", "docs/TESTING.md", "docs/WEBHOOKS.md"];

/// Folders at the top that a back-quoted path may begin with.
const FOLDERS: [&str; 8] = ["wit/", "guest/", "host-runner/", "tests/", "xtask/", "docs/", ".ci/", ".cargo/"];

/// Checks the whole tree; the error names every breach.
pub(crate) fn run() -> Result<()> {
    let mut breaches = Vec::new();
    for path in sources()? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(tools::root()).unwrap_or(&path).display().to_string();
        if !text.starts_with("//!") {
            breaches.push(format!("{name}: does not begin with `//!` and what it owns"));
        }
        if name.starts_with("host-runner/src") && text.to_ascii_lowercase().contains("zoho") {
            breaches.push(format!("{name}: the host runner knows no SaaS"));
        }
        if name.starts_with("guest/src")
            && !name.starts_with("guest/src/component")
            && text.contains("wit_bindgen::")
        {
            breaches.push(format!("{name}: bindings are known in guest/src/component only"));
        }
    }
    for document in DOCUMENTS {
        let text =
            std::fs::read_to_string(tools::root().join(document)).with_context(|| document.to_owned())?;
        breaches.extend(
            text.split('`')
                .skip(1)
                .step_by(2)
                .filter(|quoted| FOLDERS.iter().any(|folder| quoted.starts_with(folder)))
                .filter(|quoted| !quoted.contains([' ', '*', '<']) && !tools::root().join(quoted).exists())
                .map(|quoted| format!("{document}: `{quoted}` does not exist")),
        );
    }
    if breaches.is_empty() { Ok(()) } else { bail!("{}", breaches.join("\n")) }
}

/// Every Rust file that git tracks.
fn sources() -> Result<Vec<PathBuf>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "*.rs"])
        .current_dir(tools::root())
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let root: &Path = &tools::root();
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| root.join(line))
        .filter(|path| path.exists())
        .collect())
}
