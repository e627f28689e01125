//! Whether files and folders belong to the user of this process alone: keys, tokens and compiled code are
//! used only if no other user could have put them there.
//!
//! Owner and mode are those of the open file. No user but the owner may write; a file that others may read is
//! closed to them.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// Files and folders of the data folder that are no connection's: no connection can have such a name.
pub(crate) const OWN_NAMES: [&str; 8] = [
    "cache",
    "key",
    "key.next",
    "journal.db",
    "journal.db-wal",
    "journal.db-shm",
    "journal.lock",
    "serve.sock",
];

/// Attempts to lock a file before the last, and the pause after each: 100 ms.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Group and others may not write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Every user may write.
const WRITABLE_BY_ALL: u32 = 0o002;
/// Group and others have no access.
const OPEN_TO_OTHERS: u32 = 0o077;

/// The file with the name of another one and a suffix.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The folder of a file; a bare name is in the working directory.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Creates a folder that only its owner may enter; fails if an existing one belongs to another user, or
/// others may write to it. A link is followed if it is this user's or the administrator's.
pub(crate) fn private_folder(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::state(format!("folder {}: {error}", folder.display()));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed(error).hint("give a folder that can be read and written with --data DIR"))?;
    let link = std::fs::symlink_metadata(folder).map_err(failed)?;
    if link.is_symlink() && !is_trusted(&link) {
        return Err(foreign("folder", folder, &link));
    }
    check("folder", folder, &std::fs::metadata(folder).map_err(failed)?)
}

/// Locks a file unless another process has its lock. Asks again for a moment: a process that is being started
/// has copies of the files of the one that starts it, and with them its locks, until its program runs.
pub(crate) fn try_lock(file: &File) -> std::result::Result<(), TryLockError> {
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            result => return result,
        }
    }
    file.try_lock()
}

/// Opens a file of the data folder, never through a link; one that is created has the mode 0600.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let failed = |error: std::io::Error| {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let what = if is_link { "is a link; a file is required".to_owned() } else { error.to_string() };
        Error::state(format!("{}: {what}", path.display()))
    };
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = options.mode(0o600).custom_flags(no_follow).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::state(format!("{}: is not a file", path.display())));
    }
    check("file", path, &metadata)?;
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(file)
}

/// The same for a file that may be missing; none then.
pub(crate) fn open_existing(path: &Path, options: &mut OpenOptions) -> Result<Option<File>> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => open(path, options).map(Some),
    }
}

/// Creates a file that is missing, and verifies it; for programs that open it by its path.
pub(crate) fn private_file(path: &Path) -> Result<()> {
    open(path, OpenOptions::new().append(true).create(true)).map(drop)
}

/// Reads a key that an administrator may have put there, also behind a link: others may read it, which is
/// logged, and not write to it.
pub(crate) fn read_key_file(path: &Path) -> std::io::Result<String> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !is_trusted(&metadata) || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let what = format!("user {} or others may write to it", metadata.uid());
        return Err(std::io::Error::new(ErrorKind::PermissionDenied, what));
    }
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        tracing::info!(file = %path.display(), "others may read this key; make its mode 0600");
    }
    std::io::read_to_string(file)
}

/// The place of a sink, or the folder that it is in, if another user may write there: another file, or a
/// link, could take its place.
pub(crate) fn shared_with_writers(place: &Path) -> Option<&Path> {
    let is_shared = |path: &&Path| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| !is_trusted(&found) || found.mode() & WRITABLE_BY_ALL != 0)
    };
    [place, folder_of(place)].into_iter().find(is_shared)
}

fn check(kind: &str, path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(foreign(kind, path, metadata));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let (path, mode) = (path.display(), metadata.mode() & 0o777);
        return Err(Error::state(format!("{kind} {path}: others may write to it, its mode is {mode:04o}"))
            .hint(format!("if you trust what it holds: chmod go-w {path}")));
    }
    Ok(())
}

fn is_trusted(metadata: &Metadata) -> bool {
    is_trusted_user(metadata.uid())
}

/// Whether a user is this process's or the administrator.
pub(crate) fn is_trusted_user(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

fn foreign(kind: &str, path: &Path, metadata: &Metadata) -> Error {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    Error::state(format!("{kind} {}: belongs to user {owner}, and this is user {user}", path.display()))
        .hint("run this program as that user, or give another folder with --data DIR")
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::{
        folder_of, open, open_existing, private_file, private_folder, read_key_file, shared_with_writers,
    };

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("found").permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    #[test]
    fn a_bare_file_name_is_in_the_working_directory() {
        assert_eq!(folder_of(Path::new("rows.db")), Path::new("."));
        assert_eq!(folder_of(Path::new("data/rows.db")), Path::new("data"));
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        private_folder(&data).expect("created");
        assert_eq!(mode(&data), 0o700);
        set_mode(&data, 0o755);
        private_folder(&data).expect("others may read names");
        for wrong in [0o777, 0o770, 0o702] {
            set_mode(&data, wrong);
            let error = private_folder(&data).expect_err("trusted");
            assert!(error.message.contains("others may write to it"), "{error}");
        }
    }

    #[test]
    fn the_folder_of_another_user_is_refused() {
        let is_root = rustix::process::geteuid().is_root();
        let (folder, owner) = (tempfile::tempdir().expect("a folder"), 12_345);
        let foreign = if is_root {
            std::os::unix::fs::chown(folder.path(), Some(owner), None).expect("given away");
            folder.path()
        } else {
            Path::new("/usr")
        };
        let error = private_folder(foreign).expect_err("trusted");
        assert!(error.message.contains("belongs to user "), "{error}");
    }

    #[test]
    fn files_are_private_whatever_the_umask_and_never_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lock");
        private_file(&file).expect("created");
        assert_eq!(mode(&file), 0o600);
        set_mode(&file, 0o644);
        private_file(&file).expect("closed to others");
        assert_eq!(mode(&file), 0o600);
        set_mode(&file, 0o620);
        private_file(&file).expect_err("others could write to it");

        let target = folder.path().join("precious");
        std::fs::write(&target, "kept").expect("written");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("linked");
        let error = open(&link, OpenOptions::new().write(true).truncate(true)).expect_err("followed");
        assert!(error.message.ends_with("link: is a link; a file is required"), "{error}");
        open_existing(&link, OpenOptions::new().read(true)).expect_err("followed");
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "kept");
        let missing = folder.path().join("missing");
        assert!(open_existing(&missing, OpenOptions::new().read(true)).expect("no file").is_none());
    }

    #[test]
    fn a_place_of_rows_where_everybody_may_write_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = folder.path().join("rows.db");
        assert_eq!(shared_with_writers(&rows), None, "a new file in a folder of this user");
        std::fs::write(&rows, "").expect("written");
        set_mode(&rows, 0o664);
        assert_eq!(shared_with_writers(&rows), None, "a group may share rows");
        set_mode(folder.path(), 0o1777);
        assert_eq!(shared_with_writers(&rows), Some(folder.path()));
        set_mode(&rows, 0o606);
        assert_eq!(shared_with_writers(&rows), Some(rows.as_path()));
    }

    #[test]
    fn a_key_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, "secret").expect("written");
        for (mode, is_read) in [(0o600, true), (0o644, true), (0o660, false), (0o606, false)] {
            set_mode(&file, mode);
            assert_eq!(read_key_file(&file).is_ok(), is_read, "{mode:o}");
        }
    }
}
