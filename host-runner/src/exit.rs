//! Exit codes: one enum, its table for `--help`, and which error leads to which code.
//!
//! Knows nothing of printing.

use crate::error::{Error, Kind, Origin};

/// What the process says to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Success = 0,
    /// A defect of the component or of the runner, or a failure with no code of its own.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The connection file or the configuration in it is wrong.
    Config = 3,
    /// Credentials refused, expired or revoked.
    Auth = 4,
    /// Allowed to come in, not allowed to do this.
    Permission = 5,
    /// The thing asked for does not exist.
    NotFound = 6,
    /// Over a quota.
    RateLimited = 7,
    /// Network, time-out, 5xx.
    Unavailable = 8,
    /// The source sent something unusable.
    Data = 9,
    /// The component or this runner does not do this.
    Unsupported = 10,
    /// Stopped by the sandbox: trap, time-out, memory, egress.
    Sandbox = 11,
    /// The target or the data folder failed.
    Storage = 12,
    /// Several tables failed, for different reasons.
    Partial = 20,
    /// Stopped by the person at the terminal.
    Interrupted = 130,
}

/// The table that `--help` shows.
pub const HELP: &str = "\
Exit codes:
    0  done                            8  unavailable: network, time-out, 5xx
    1  internal: a defect              9  data: the source sent something unusable
    2  usage: the command line        10  unsupported
    3  config: the connection file    11  sandbox: trap, time-out, memory, egress
    4  auth: authorise again          12  the target or the data folder failed
    5  permission                     20  several tables failed, for different reasons
    6  not found                     130  interrupted
    7  rate limited";

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.origin {
            Origin::Usage => Self::Usage,
            Origin::Configuration => Self::Config,
            Origin::Sandbox => Self::Sandbox,
            Origin::Sink | Origin::State => Self::Storage,
            Origin::Component | Origin::Host => error.kind.into(),
        }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Config => Self::Config,
            Kind::Auth => Self::Auth,
            Kind::Permission => Self::Permission,
            Kind::NotFound => Self::NotFound,
            Kind::RateLimited => Self::RateLimited,
            Kind::Unavailable => Self::Unavailable,
            Kind::Data => Self::Data,
            Kind::Unsupported => Self::Unsupported,
            Kind::Internal => Self::Internal,
        }
    }
}

impl Exit {
    /// The code for several failures: theirs if they agree, [`Exit::Partial`] if they do not.
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
    use crate::error::{Error, Kind};

    #[test]
    fn failures_that_agree_keep_their_code_and_others_are_partial() {
        assert_eq!(Exit::of_all([].into_iter()), Exit::Success);
        assert_eq!(Exit::of_all([Exit::Auth, Exit::Auth].into_iter()), Exit::Auth);
        assert_eq!(Exit::of_all([Exit::Auth, Exit::Data].into_iter()), Exit::Partial);
    }

    #[test]
    fn a_sandbox_error_is_told_from_the_components_own() {
        let trap = Error::sandbox(Kind::Internal, "trapped");
        let defect = Error::new(crate::error::Origin::Component, Kind::Internal, "bug");
        assert_eq!(Exit::from(&trap), Exit::Sandbox);
        assert_eq!(Exit::from(&defect), Exit::Internal);
    }

    #[test]
    fn help_names_every_code() {
        for code in (0..=12).chain([20, 130]) {
            assert!(HELP.contains(&format!(" {code}  ")), "{code} is missing from the help");
        }
    }
}
