//! Reads the progress of a database file, which may be open elsewhere, and changes nothing.
//!
//! SQLite creates files for the WAL also for a reader, and leaves them behind. A file without a writer and
//! without a WAL is therefore opened as one that cannot change. The exception is a commit that a crash cut
//! off while the file was filled: the next program that opens the file rolls it back.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::database::OPEN_TIMEOUT;
use super::{lock_path, metadata, unusable};
use crate::error::Result;
use crate::files;
use crate::sinks::registry::owned_by_another;
use crate::sinks::{SinkProgress, SinkSettings};

pub(super) fn inspect(settings: &SinkSettings) -> Result<Option<SinkProgress>> {
    let path = settings.location.as_path()?;
    let wrong = |error: rusqlite::Error| unusable(path, &error);
    // Held until the end: a writer that comes now waits outside.
    let lock = File::open(lock_path(path)).ok();
    let is_alone = lock.as_ref().is_none_or(|lock| lock.try_lock_shared().is_ok());
    let access = match (is_alone, size(path, "-wal"), size(path, "-journal")) {
        (false, ..) | (true, Some(_), _) => Access::Read,
        (true, None, None | Some(0)) => Access::Immutable,
        (true, None, Some(_)) => Access::RollBack,
    };
    let database = open(path, access).map_err(wrong)?;
    metadata::version(&database).map_err(wrong)?.check(path)?;
    let owner = metadata::owner(&database).map_err(wrong)?;
    if let Some(other) = owner.filter(|owner| *owner != settings.owner) {
        return Err(owned_by_another(settings, &other, &super::release(path)));
    }
    metadata::progress(&database).map(Some).map_err(wrong)
}

/// How the file is opened.
enum Access {
    Immutable,
    Read,
    RollBack,
}

fn open(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = match access {
        Access::Immutable => {
            let uri = format!("file:{}?immutable=1", encoded(path));
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(uri, flags)?
        }
        Access::Read => Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        Access::RollBack => Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?,
    };
    database.busy_timeout(OPEN_TIMEOUT)?;
    Ok(database)
}

/// The size of the file with the name of the database and this suffix.
fn size(path: &Path, suffix: &str) -> Option<u64> {
    std::fs::metadata(files::with_suffix(path, suffix)).ok().map(|metadata| metadata.len())
}

/// A path within a URI.
fn encoded(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
