//! The limit of open files, which limits connections.
//!
//! The soft limit is low by default, for programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to `wanted`, or to the hard limit if that is lower; returns the new limit, at most
/// `wanted`.
pub(super) fn allow(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted_files = u64::try_from(wanted).unwrap_or(u64::MAX);
    let files = |limit: Option<u64>| limit.unwrap_or(u64::MAX).min(wanted_files);
    let (now, possible) = (files(current), files(maximum));
    let raised =
        now < possible && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum }).is_ok();
    usize::try_from(if raised { possible } else { now }).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::allow;

    #[test]
    fn the_limit_is_raised_as_far_as_allowed_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        assert_eq!(allow(10), 10);
        assert_eq!(getrlimit(Resource::Nofile).current, before.current, "lowered");
        let all = allow(usize::MAX);
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, before.maximum);
        assert_eq!(all as u64, before.maximum.unwrap_or(u64::MAX));
    }
}
