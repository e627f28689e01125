//! Exit codes: one enum and its table for `--help`. The code of a failure is a column of [`crate::policy`].
//!
//! Knows nothing of printing.

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// A defect of the component or of the runner.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The connection file or the configuration in it is wrong.
    Config = 3,
    /// Credentials refused, expired or revoked.
    Auth = 4,
    /// Authenticated, but not permitted.
    Permission = 5,
    /// It does not exist.
    NotFound = 6,
    /// Over a quota.
    RateLimited = 7,
    /// Network, time-out, 5xx.
    Unavailable = 8,
    /// The source sent something unusable.
    Data = 9,
    /// The component or this runner does not support it.
    Unsupported = 10,
    /// Stopped by the sandbox: trap, time-out, memory, egress.
    Sandbox = 11,
    /// The sink or the data folder failed.
    Storage = 12,
    /// Several tables failed, for different reasons.
    Partial = 20,
    /// Stopped by SIGINT or SIGTERM.
    Interrupted = 130,
}

/// The table that `--help` shows.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done                            8  unavailable: network, time-out, 5xx
    1  internal: a defect              9  data: the source sent something unusable
    2  usage: the command line        10  unsupported
    3  config: the connection file    11  sandbox: trap, time-out, memory, egress
    4  auth: authorize again          12  the sink or the data folder failed
    5  permission                     20  several tables failed, for different reasons
    6  not found                     130  interrupted
    7  rate limited";

impl Exit {
    /// The code of several failures: theirs if they agree, else [`Exit::Partial`].
    pub fn of_all(mut codes: impl Iterator<Item = Self>) -> Self {
        let Some(first) = codes.next() else {
            return Self::Success;
        };
        if codes.all(|code| code == first) { first } else { Self::Partial }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, HELP};

    #[test]
    fn failures_that_agree_keep_their_code_and_others_are_partial() {
        assert_eq!(Exit::of_all([].into_iter()), Exit::Success);
        assert_eq!(Exit::of_all([Exit::Auth, Exit::Auth].into_iter()), Exit::Auth);
        assert_eq!(Exit::of_all([Exit::Auth, Exit::Data].into_iter()), Exit::Partial);
    }

    #[test]
    fn help_lists_every_code() {
        // A new code does not compile before it has its place in this chain.
        let next = |exit| match exit {
            Exit::Success => Some(Exit::Internal),
            Exit::Internal => Some(Exit::Usage),
            Exit::Usage => Some(Exit::Config),
            Exit::Config => Some(Exit::Auth),
            Exit::Auth => Some(Exit::Permission),
            Exit::Permission => Some(Exit::NotFound),
            Exit::NotFound => Some(Exit::RateLimited),
            Exit::RateLimited => Some(Exit::Unavailable),
            Exit::Unavailable => Some(Exit::Data),
            Exit::Data => Some(Exit::Unsupported),
            Exit::Unsupported => Some(Exit::Sandbox),
            Exit::Sandbox => Some(Exit::Storage),
            Exit::Storage => Some(Exit::Partial),
            Exit::Partial => Some(Exit::Interrupted),
            Exit::Interrupted => None,
        };
        for exit in std::iter::successors(Some(Exit::Success), |exit| next(*exit)) {
            assert!(HELP.contains(&format!(" {}  ", exit as u8)), "{exit:?} is missing from the help");
        }
    }
}
