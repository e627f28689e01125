//! Changes of files that last: the names in a folder are synced, and a file is replaced as a whole.
//!
//! Knows no errors but the system's.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::files::folder_of;

/// Makes the names in a folder durable: of files that were created, renamed or removed.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Replaces a file durably, by way of one named `temporary` in the same folder: after a crash the file is the
/// former one or the new one.
pub(crate) fn replace(path: &Path, temporary: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder_of(path);
    let temporary = folder.join(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_folder(folder)
}
