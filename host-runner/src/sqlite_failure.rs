//! What a failure of SQLite means: whether it passes, and what to try. Pure.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind, Origin};

/// What to try when a file that was opened before cannot be opened.
const NOT_OPENED: &str =
    "too many open files, if nobody moved it: raise their limit (ulimit -n, LimitNOFILE=)";

/// What to try when a file is damaged.
const DAMAGED: &str = "if it was restored over the files of a server that was killed: restore it again, and \
                       first move its files `-wal`, `-shm` and `-journal` away";

/// The failure of a file that may never have been opened before: its path may be wrong. One that ends by
/// itself, or once the disk or the lock is free, is `unavailable`.
pub(crate) fn kind(error: &rusqlite::Error) -> Kind {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory,
        ) => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

/// What to try after a failure that passes, or damage.
pub(crate) fn hint(error: &rusqlite::Error) -> Option<&'static str> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program holds the database: end its transaction"
        }
        ErrorCode::DiskFull => "free space on the disk",
        ErrorCode::SystemIoFailure => "the disk failed: look into the system's log",
        ErrorCode::DatabaseCorrupt => DAMAGED,
        _ => return None,
    })
}

/// The failure of a file that was opened before. That it, or its log, cannot be opened now passes, too: the
/// process has no more file descriptors, or a restore replaces the file.
pub(crate) fn of_known(origin: Origin, what: String, error: &rusqlite::Error) -> Error {
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => (Kind::Unavailable, Some(NOT_OPENED)),
        _ => (kind(error), hint(error)),
    };
    let failed = Error::new(origin, kind, what);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::{hint, kind, of_known};
    use crate::error::Kind::{self, Internal, Unavailable};
    use crate::error::Origin;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_failure_that_passes_is_unavailable() {
        let of_known = |error: &rusqlite::Error| of_known(Origin::Sink, String::new(), error).kind;
        let kinds = |code: i32| -> [Kind; 2] { [kind(&failure(code)), of_known(&failure(code))] };
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_NOMEM] {
            assert_eq!(kinds(code), [Unavailable; 2], "{code}");
        }
        assert_eq!(kinds(ffi::SQLITE_CANTOPEN), [Internal, Unavailable], "a sink's path may be wrong");
        assert_eq!(kinds(ffi::SQLITE_CORRUPT), [Internal; 2]);
    }

    #[test]
    fn a_damaged_file_may_have_got_the_log_of_another_one() {
        assert!(hint(&failure(ffi::SQLITE_CORRUPT)).is_some_and(|hint| hint.contains("`-wal`")));
        assert_eq!(hint(&failure(ffi::SQLITE_NOTADB)), None, "it may be any file");
    }
}
