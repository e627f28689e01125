//! The limit of open files, which limits connections.
//!
//! The soft limit is low by default, for programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit; returns the limit in force.
pub(super) fn allow() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised =
        current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    usize::try_from(files.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::allow;

    #[test]
    fn the_limit_is_raised_as_far_as_allowed() {
        let all = allow();
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, after.maximum);
        assert_eq!(all as u64, after.maximum.unwrap_or(u64::MAX));
    }
}
