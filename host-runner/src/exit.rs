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
    /// Network, timeout, 5xx.
    Unavailable = 8,
    /// The source sent something unusable.
    Data = 9,
    /// The component or this runner does not support it.
    Unsupported = 10,
    /// Stopped by the sandbox: trap, timeout, memory, egress.
    Sandbox = 11,
    /// The sink or the data folder failed.
    Storage = 12,
    /// Several tables failed, for different reasons.
    Partial = 20,
    /// Stopped by SIGINT or SIGTERM.
    Interrupted = 130,
}

/// The meaning of each code, in the words of `--help` and `docs/operating.md`.
const MEANINGS: &[(Exit, &str)] = &[
    (Exit::Success, "done"),
    (Exit::Internal, "internal: a defect"),
    (Exit::Usage, "usage: the command line"),
    (Exit::Config, "config: the connection file"),
    (Exit::Auth, "auth: authorize again"),
    (Exit::Permission, "permission"),
    (Exit::NotFound, "not found"),
    (Exit::RateLimited, "rate limited"),
    (Exit::Unavailable, "unavailable: network, timeout, 5xx"),
    (Exit::Data, "data: the source sent something unusable"),
    (Exit::Unsupported, "unsupported"),
    (Exit::Sandbox, "sandbox: trap, timeout, memory, egress"),
    (Exit::Storage, "the sink or the data folder failed"),
    (Exit::Partial, "several tables failed, for different reasons"),
    (Exit::Interrupted, "interrupted"),
];

/// The table that `--help` shows, in two columns.
pub(crate) fn help() -> String {
    let (left, right) = MEANINGS.split_at(MEANINGS.len().div_ceil(2));
    let mut text = "Exit codes:".to_owned();
    for (row, (code, meaning)) in left.iter().enumerate() {
        text.push_str(&format!("\n  {:>3}  {meaning:<27}", *code as u8));
        if let Some((code, meaning)) = right.get(row) {
            text.push_str(&format!("  {:>3}  {meaning}", *code as u8));
        }
    }
    text
}

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
    use super::{Exit, MEANINGS, help};

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
        let all: Vec<Exit> = std::iter::successors(Some(Exit::Success), |exit| next(*exit)).collect();
        assert_eq!(all, MEANINGS.iter().map(|(exit, _)| *exit).collect::<Vec<_>>());
        let shown = help();
        for exit in all {
            assert!(shown.contains(&format!(" {}  ", exit as u8)), "{exit:?} is missing from the help");
        }
    }

    #[test]
    fn the_page_of_operators_lists_every_code() {
        let row = |(exit, meaning): &(Exit, &str)| format!("| {} | {meaning} |", *exit as u8);
        let rows: Vec<String> = MEANINGS.iter().map(row).collect();
        let table = format!("| code | means |\n|---:|---|\n{}\n", rows.join("\n"));
        crate::generated::compare("operating.md", "exit codes", &table);
    }
}
