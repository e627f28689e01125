//! The files of the folder: bytes by their SHA-256, and the beginnings of files that are being fetched. Bytes
//! that are whole may go to an object store instead.
//!
//! A file gets its name once all of its bytes are on the disk, so a named file is whole. Knows no rows.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::owner;
use crate::digest::{hex, is_sha256_hex};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::sinks::file_failure;
use crate::sinks::objects::Objects;

/// The folder of beginnings.
pub(super) const PARTIAL: &str = "partial";
/// Bytes hashed at a time.
const HASH_BYTES: usize = 64 << 10;

/// An open folder.
pub(super) struct Content {
    folder: PathBuf,
    /// Where bytes go that are whole, if not into the folder.
    objects: Option<Objects>,
    /// The connection.
    owner: String,
    /// Whether the store's prefix is known to be the connection's.
    is_admitted: bool,
}

impl Content {
    /// Opens a folder; beginnings other than the `known` ones are removed.
    pub(super) fn open(
        folder: &Path,
        objects: Option<Objects>,
        owner: &str,
        known: &BTreeSet<String>,
    ) -> Result<Self> {
        let partial = folder.join(PARTIAL);
        refuse_link(&partial)?;
        std::fs::create_dir_all(&partial).map_err(|error| failed(&partial, &error))?;
        let found = std::fs::read_dir(&partial).map_err(|error| failed(&partial, &error))?;
        let is_unknown = |name: &str| is_sha256_hex(name) && !known.contains(name);
        for entry in found.flatten().filter(|entry| is_unknown(&entry.file_name().to_string_lossy())) {
            std::fs::remove_file(entry.path()).map_err(|error| failed(&entry.path(), &error))?;
        }
        Ok(Self { folder: folder.to_owned(), objects, owner: owner.to_owned(), is_admitted: false })
    }

    /// The store, once its prefix is this connection's. Asked for by the first change there: a
    /// connection whose store does not answer still stores rows.
    fn objects(&mut self) -> Result<Option<&Objects>> {
        if let Some(objects) = &self.objects
            && !self.is_admitted
        {
            owner::admit(objects, &self.folder, &self.owner)?;
            self.is_admitted = true;
        }
        Ok(self.objects.as_ref())
    }

    /// Bytes of a beginning; 0 if there is none.
    pub(super) fn partial_bytes(&self, name: &str) -> u64 {
        std::fs::metadata(self.partial(name)).map_or(0, |found| found.len())
    }

    /// Puts bytes behind the first `offset` ones of a beginning, and on the disk.
    pub(super) fn append(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        refuse_link(&self.folder.join(PARTIAL))?;
        let path = self.partial(name);
        let append = || {
            let mut file = options().create(true).truncate(false).write(true).open(&path)?;
            file.set_len(offset)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        append().map_err(|error| failed(&path, &error))
    }

    /// Gives a beginning that is whole the name of its content, which it returns.
    pub(super) fn finish(&mut self, name: &str) -> Result<String> {
        let path = self.partial(name);
        let sha256 = sha256_of(&path).map_err(|error| failed(&path, &error))?;
        if let Some(objects) = self.objects()? {
            let object = object_name(&sha256);
            if !objects.has(&object)? {
                objects.put_file(&object, &path)?;
            }
            self.discard(name);
            return Ok(sha256);
        }
        let target = self.path(&sha256);
        let folder = target.parent().unwrap_or(&self.folder);
        refuse_link(folder)?;
        let store = || {
            std::fs::create_dir_all(folder)?;
            std::fs::rename(&path, &target)?;
            sync_folder(folder)?;
            sync_folder(&self.folder)
        };
        store().map_err(|error| failed(&target, &error))?;
        Ok(sha256)
    }

    /// Removes a beginning, if there is one. One that stays is written over.
    pub(super) fn discard(&self, name: &str) {
        if refuse_link(&self.folder.join(PARTIAL)).is_ok() {
            let _may_be_missing = std::fs::remove_file(self.partial(name));
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&mut self, sha256: &str) -> Result<()> {
        if let Some(objects) = self.objects()? {
            return objects.remove(&object_name(sha256));
        }
        let path = self.path(sha256);
        refuse_link(path.parent().unwrap_or(&self.folder))?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Where bytes of this content are: in one of 256 folders.
    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(object_name(sha256))
    }

    fn partial(&self, name: &str) -> PathBuf {
        self.folder.join(PARTIAL).join(name)
    }
}

/// The name of bytes below the folder or the prefix.
fn object_name(sha256: &str) -> String {
    format!("{}/{sha256}", sha256.get(..2).unwrap_or_default())
}

/// Fails if one of the folder's own folders is a link: files behind it are not the runner's to write or
/// delete.
fn refuse_link(folder: &Path) -> Result<()> {
    if !std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink()) {
        return Ok(());
    }
    let message = format!("attachments {}: is a link, not a folder", folder.display());
    Err(Error::new(Origin::Configuration, Kind::Config, message)
        .hint("remove the link; where files are to be elsewhere: `attachments` under [sink]"))
}

/// Opens no link: the names of files can be foreseen.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = options().read(true).open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; HASH_BYTES]);
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(buffer.get(..bytes).unwrap_or_default());
    }
}

/// The failure of a file: rows do not wait for it, so it passes once the disk has room, or rights are given.
fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error { kind: Kind::Unavailable, ..file_failure::failed(path, error) }
}
