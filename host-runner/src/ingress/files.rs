//! The limit of open files, which limits connections.
//!
//! The soft limit is low by default, for programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::limits::{FILES_RESERVED, FILES_RESERVED_EACH};

/// Raises the soft limit to the hard limit; returns the limit in force.
pub(super) fn allow() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised =
        current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    usize::try_from(files.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// Whether no more files are left than the rest of the process needs. The kernel gives the lowest free
/// number, so that at least as many files are open as the number of the newest one.
pub(super) const fn are_scarce(newest: usize, files: usize, reserved: usize) -> bool {
    newest >= files.saturating_sub(reserved)
}

/// Files that senders leave to a process that serves so many connections: half of all at most, unless those
/// of the process itself are more.
pub(super) fn reserved(connections: usize, files: usize) -> usize {
    let wanted = connections.saturating_mul(FILES_RESERVED_EACH).saturating_add(FILES_RESERVED);
    wanted.min(FILES_RESERVED.max(files / 2))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use rustix::process::{Resource, getrlimit};

    use super::{FILES_RESERVED, FILES_RESERVED_EACH, allow, are_scarce, reserved};

    #[test]
    fn files_are_scarce_by_what_is_open_whoever_opened_it() {
        assert!(!are_scarce(1_000, 1_001 + FILES_RESERVED, FILES_RESERVED));
        assert!(are_scarce(1_000, 1_000 + FILES_RESERVED, FILES_RESERVED));
        assert!(are_scarce(3, 10, FILES_RESERVED), "fewer files than are reserved");
        // The kernel's rule.
        let open: Vec<File> = (0..50).map(|_| File::open("/dev/null").expect("opened")).collect();
        let newest = open.iter().map(AsRawFd::as_raw_fd).max().expect("some");
        assert!(newest >= 50, "{newest}");
    }

    #[test]
    fn files_are_reserved_for_every_connection() {
        assert_eq!(reserved(0, 20_000), FILES_RESERVED);
        assert_eq!(reserved(100, 20_000), FILES_RESERVED + 100 * FILES_RESERVED_EACH);
        assert_eq!(reserved(10_000, 20_000), 10_000, "senders have the other half");
        assert_eq!(reserved(1, 300), FILES_RESERVED);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_allowed() {
        let all = allow();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, after.maximum);
        assert_eq!(all as u64, after.maximum.unwrap_or(u64::MAX));
    }
}
