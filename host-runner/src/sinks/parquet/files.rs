//! Where files go: a folder, or an object store under a prefix.
//!
//! A file is there as a whole or not at all. Knows no rows.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::error::Result;
use crate::sinks::file_failure::failed;
use crate::sinks::objects::{Objects, Seen};

/// A place for files; names have `/` between their parts.
pub(super) enum Files {
    Folder(PathBuf),
    Objects(Objects),
}

impl Files {
    /// The place, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(root) => root.display().to_string(),
            Self::Objects(objects) => objects.name().to_owned(),
        }
    }

    /// The content of a file, none if there is none, and the version for [`Self::replace`].
    pub(super) fn get(&self, name: &str) -> Result<(Option<Vec<u8>>, Seen)> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok((Some(bytes), Seen::default())),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok((None, Seen::default())),
                    Err(error) => Err(failed(&path, &error)),
                }
            }
            Self::Objects(objects) => objects.get(name),
        }
    }

    /// Puts a file durably, in place of one of this name.
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                put(root, &path, &bytes).map_err(|error| failed(&path, &error))
            }
            Self::Objects(objects) => objects.put(name, bytes),
        }
    }

    /// Puts a file durably in place of the one that was seen. Fails if another writer came between; in a
    /// folder the log's lock keeps others out.
    pub(super) fn replace(&self, name: &str, bytes: Vec<u8>, seen: &Seen) -> Result<Seen> {
        match self {
            Self::Folder(_) => self.put(name, bytes).map(|()| Seen::default()),
            Self::Objects(objects) => objects.replace(name, bytes, seen),
        }
    }
}

fn put(root: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    if !folder.exists() {
        std::fs::create_dir_all(folder)?;
        // The names of the folders are in those above them.
        for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(root)) {
            durable::sync_folder(above)?;
        }
    }
    replace(path, bytes)
}

/// Replaces a file durably. Readers skip names with a leading `_`.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    durable::replace(path, "_tmp", bytes)
}
