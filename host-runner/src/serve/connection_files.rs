//! The connection files of a folder, and which of them changed. Reads metadata, decides nothing.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// Differs between two contents of a file, without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    pub(super) modified: Option<SystemTime>,
    pub(super) bytes: u64,
}

/// A file with its stamp.
pub(super) type StampedFile = (PathBuf, Option<Stamp>);

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), bytes: metadata.len() }
    }
}

/// The stamp of a file; none if it does not exist, or cannot be read.
pub(super) fn stamp(file: &Path) -> Option<Stamp> {
    std::fs::metadata(file).ok().as_ref().map(Stamp::from)
}

/// The connection files of a folder, sorted. One whose metadata cannot be read has no stamp.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<StampedFile>> {
    let wrong = |error: std::io::Error| {
        Error::usage(format!("connections {}: {error}", folder.display()))
            .hint("--connections takes a folder with one connection file (*.toml) for each connection")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => files.push((path, Some(Stamp::from(&metadata)))),
            // Not deleted: its link leads nowhere, or its disk fails, maybe for a moment.
            Err(_) if !is_gone(&path) => files.push((path, None)),
            _ => {}
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

/// Whether an entry of a folder was deleted after it was listed.
fn is_gone(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::{in_folder, stamp};

    #[test]
    fn only_visible_toml_files_are_connection_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["b.toml", "a.toml", ".c.toml", "d.toml~", "e.txt"] {
            std::fs::write(path(name), "x").expect("written");
        }
        let stamped = |name: &str| (path(name), stamp(&path(name)));
        assert_eq!(in_folder(folder.path()).expect("listed"), [stamped("a.toml"), stamped("b.toml")]);
        assert!(in_folder(&path("nope")).is_err());
    }

    #[test]
    fn a_connection_file_whose_link_leads_nowhere_is_listed_without_a_stamp() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("a.toml");
        std::os::unix::fs::symlink(folder.path().join("not-mounted"), &link).expect("linked");
        assert_eq!(in_folder(folder.path()).expect("listed"), [(link, None)]);
    }

    #[test]
    fn a_stamp_changes_with_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.toml");
        assert_eq!(stamp(&file), None);
        std::fs::write(&file, "x").expect("written");
        let before = stamp(&file);
        std::fs::write(&file, "longer").expect("written");
        assert_ne!(stamp(&file), before);
    }
}
