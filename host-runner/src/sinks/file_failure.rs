//! Failures of files, for every sink and for attachments. Pure.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Kind, Origin};

/// The failure of a file. One that can end without a change to the connection file is `unavailable`.
pub(super) fn failed(path: &Path, error: &std::io::Error) -> Error {
    /// `EIO`, `ENFILE`, `EMFILE`.
    const TEMPORARY: [i32; 3] = [5, 23, 24];
    let is_temporary = matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ResourceBusy
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::OutOfMemory
    ) || error.raw_os_error().is_some_and(|code| TEMPORARY.contains(&code));
    let kind = if is_temporary { Kind::Unavailable } else { Kind::Internal };
    Error::new(Origin::Sink, kind, format!("{}: {error}", path.display()))
}
