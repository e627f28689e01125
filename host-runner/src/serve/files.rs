//! Which connection files there are, and which of them changed. Reads, decides nothing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The stamp of a file; none if it is not there.
pub(super) fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

/// The connection files of a folder, in order.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |error: std::io::Error| {
        Error::usage(format!("connections {}: {error}", folder.display()))
            .hint("--connections takes a folder with one connection file (*.toml) for each connection")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{in_folder, stamp};

    #[test]
    fn a_folder_is_its_toml_files_and_a_change_shows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["b.toml", "a.toml", ".c.toml", "d.toml~", "e.txt"] {
            std::fs::write(path(name), "x").expect("written");
        }
        assert_eq!(in_folder(folder.path()).expect("listed"), [path("a.toml"), path("b.toml")]);
        let before = stamp(&path("a.toml"));
        std::fs::write(path("a.toml"), "longer").expect("written");
        assert_ne!(stamp(&path("a.toml")), before);
        assert_eq!(stamp(&path("nope")), None);
        assert!(in_folder(&path("nope")).is_err());
    }
}
