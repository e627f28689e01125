//! The limit of open files, and how it is shared out: among connections that are served, idle or busy, and
//! senders.
//!
//! The soft limit is low by default, for programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::limits::{CALLS_MIN, FILES_ACTIVE, FILES_IDLE, FILES_LEFT_SHARE, FILES_RESERVED};

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

/// Files of a process that serves so many connections, once each has its own.
fn left(connections: usize, files: usize) -> usize {
    files.saturating_sub(FILES_RESERVED).saturating_sub(connections.saturating_mul(FILES_IDLE))
}

/// Of these, those of busy connections: half at most.
fn active(connections: usize, files: usize) -> usize {
    connections.saturating_mul(FILES_ACTIVE).min(left(connections, files) / 2)
}

/// Files that are to be free whenever another sender is accepted.
pub(super) fn reserved(connections: usize, files: usize) -> usize {
    FILES_RESERVED + active(connections, files)
}

/// The most senders at a time; one at least.
pub(super) fn senders_max(connections: usize, files: usize) -> usize {
    (left(connections, files) - active(connections, files)).max(1)
}

/// The most connections that may be served.
pub(super) const fn connections_max(files: usize) -> usize {
    let shared = files.saturating_sub(FILES_RESERVED);
    (shared - shared / FILES_LEFT_SHARE) / FILES_IDLE
}

/// The most calls at a time for which files suffice: half of them are for connections that are busy.
pub(super) fn calls_max(files: usize) -> u32 {
    let calls = files.saturating_sub(FILES_RESERVED) / 2 / FILES_ACTIVE;
    u32::try_from(calls).unwrap_or(u32::MAX).max(CALLS_MIN)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use rustix::process::{Resource, getrlimit};

    use super::{
        FILES_ACTIVE, FILES_IDLE, FILES_RESERVED, allow, are_scarce, calls_max, connections_max, reserved,
        senders_max,
    };

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
    fn files_are_shared_out_among_idle_connections_those_at_work_and_senders() {
        assert_eq!(reserved(0, 20_000), FILES_RESERVED);
        assert_eq!(reserved(100, 20_000), FILES_RESERVED + 100 * FILES_ACTIVE);
        for (connections, files) in [(0, 300), (1, 300), (100, 20_000), (1_000, 20_000), (8_000, 20_000)] {
            let all =
                connections * FILES_IDLE + reserved(connections, files) + senders_max(connections, files);
            assert_eq!(all, files, "{connections} connections");
        }
        assert_eq!(senders_max(8_000, 20_000), 1_872, "and as many for connections at work");
        assert_eq!(senders_max(10_000, 20_000), 1);
    }

    #[test]
    fn no_more_connections_are_served_than_files_allow() {
        for files in [300, 1_024, 20_000, 1 << 20] {
            let most = connections_max(files);
            assert!(senders_max(most, files) >= 2 && reserved(most, files) > FILES_RESERVED, "{files}");
        }
        assert_eq!([20_000, 24_000].map(connections_max), [8_638, 10_388]);
        assert_eq!(connections_max(100), 0);
    }

    #[test]
    fn calls_at_a_time_open_no_more_than_half_of_the_files() {
        assert_eq!([300, 1_024, 4_096, 20_000, usize::MAX].map(calls_max), [4, 19, 96, 493, u32::MAX]);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_allowed() {
        let all = allow();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, after.maximum);
        assert_eq!(all as u64, after.maximum.unwrap_or(u64::MAX));
    }
}
