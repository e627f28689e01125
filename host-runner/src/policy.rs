//! What a failure means: the table from (origin, kind) to backoff, scope, disposition of a delivery, files
//! that wait and exit code, and the arithmetic of waiting.
//!
//! Pure: the attempt, the budget and a random number are arguments. A component classifies its failures and
//! never waits. No other module decides what a failure stops, by its origin or kind.

use std::time::Duration;

use crate::error::{Error, Kind, Origin};
use crate::exit::Exit;
use crate::limits::{Limits, TRAP_ATTEMPTS_MAX};
use crate::units::{format_duration, format_wait};

/// First wait of the short backoff; doubles with each failure in a row.
const SHORT: Duration = Duration::from_millis(500);
/// Longest wait of the short backoff.
const SHORT_MAX: Duration = Duration::from_secs(60);
/// First wait of the long backoff. No `max_wait` shortens it: the failure does not pass by itself.
const LONG: Duration = Duration::from_secs(30);
/// Longest wait of the long backoff: a change at the source shows within a quarter of an hour.
const LONG_MAX: Duration = Duration::from_secs(15 * 60);
/// Wait after refused credentials: sources count attempts, and lock accounts that make many.
const CREDENTIALS: Duration = Duration::from_secs(5 * 60);
/// Longest wait that a source may ask for; then it is asked again.
const ASKED_MAX: Duration = Duration::from_secs(6 * 3600);
/// Added to a wait that the source asked for, at most: connections of one account do not return together.
const SPREAD_MAX: Duration = Duration::from_secs(2);
/// Shortest wait, so that an instant failure does not spin.
const MIN: Duration = Duration::from_millis(50);

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backoff {
    /// Passes by itself: short for as many attempts as the budget has, then long.
    Short,
    /// A trap or a defect: short for [`TRAP_ATTEMPTS_MAX`] attempts; the same input mostly fails again.
    Defect,
    /// Stays until something changes at the source.
    Long,
    /// Refused credentials: a fixed wait.
    Credentials,
    /// No attempt before a person changed the connection.
    Manual,
}

/// What a failure stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The call that failed.
    Call,
    /// The connection: every other call would fail the same way, or its rows could not be stored.
    Connection,
}

/// The treatment of one delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It becomes a dead letter at once: it would fail again.
    DeadLetter,
    /// It is retried, and becomes a dead letter after [`TRAP_ATTEMPTS_MAX`] attempts.
    Suspect,
    /// It waits and is retried until it passes; others pass it, see `actor/waiting.rs`.
    Retry,
    /// The same, until it is evident that it alone fails.
    RetryOrGiveUp,
}

/// Whether one of several deliveries may be the cause of a call that failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// One of them may be the cause: they are taken one by one, and the [`Disposition`] applies to each.
    OneByOne,
    /// None of them is the cause: the batch is retried until it passes.
    Whole,
}

/// The files that are not fetched for now after a `fetch` that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    /// This one.
    One,
    /// This one. After a few in a row the source answers none, and all wait.
    OneOrOutage,
    /// This one. After many in a row the account may fetch none, and all wait.
    OneOrRefusal,
    /// All; reading continues.
    All,
    /// All, and the [`Scope`] says what else stops.
    AllAndScope,
}

/// The party that can end a failure, in the words of tools that run connectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A person: configuration, credentials, permissions.
    Config,
    /// None: it passes by itself.
    Transient,
    /// A developer: a defect, or data that was not foreseen.
    System,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) backoff: Backoff,
    pub(crate) scope: Scope,
    pub(crate) delivery: Disposition,
    pub(crate) batch: Batch,
    pub(crate) files: Files,
    pub(crate) exit: Exit,
}

/// What an error means.
pub(crate) const fn of(error: &Error) -> Policy {
    policy(error.origin, error.kind)
}

/// The table: the first row that matches.
#[rustfmt::skip]
pub(crate) const fn policy(origin: Origin, kind: Kind) -> Policy {
    use self::Kind::{Auth, Config, Data, Internal, NotFound};
    use self::Kind::{Permission, RateLimited, Unavailable, Unsupported};
    use self::Origin::{Component, Configuration, Host, Sandbox, Sink, State, Usage};
    use Backoff::{Credentials, Defect, Long, Manual, Short};
    use Batch::{OneByOne, Whole};
    use Disposition::{DeadLetter, Retry, RetryOrGiveUp, Suspect};
    use Files::{All, AllAndScope, One, OneOrOutage, OneOrRefusal};
    use Scope::{Call, Connection};
    let (backoff, scope, delivery, batch, files) = match (origin, kind) {
        (Component, Unavailable)             => (Short, Call, RetryOrGiveUp, Whole, OneOrOutage),
        // A quota concerns every call; no delivery is the cause.
        (Component, RateLimited)             => (Short, Call, Retry, Whole, All),
        (Component, Permission)              => (Long, Call, DeadLetter, Whole, OneOrRefusal),
        (Component, NotFound | Unsupported)  => (Long, Call, DeadLetter, Whole, One),
        // Also rows that the sink cannot use.
        (Component, Data)                    => (Long, Call, DeadLetter, OneByOne, One),
        (Component, Internal)                => (Defect, Call, Suspect, OneByOne, One),
        (Component, Auth)                    => (Credentials, Connection, Retry, Whole, All),
        // As the answer to one delivery it concerns that delivery; as the failure of a call, the connection.
        (Component, Config)                  => (Manual, Connection, DeadLetter, Whole, All),
        // A host that the egress policy refused: a matter of the connection file, of no delivery or file.
        (Sandbox, Permission)                => (Long, Call, Retry, Whole, All),
        // The call timed out: the machine may be overloaded, by a neighbor for example.
        (Sandbox, Unavailable | RateLimited) => (Short, Call, RetryOrGiveUp, OneByOne, OneOrOutage),
        (Sandbox, _)                         => (Defect, Call, Suspect, OneByOne, One),
        // Dead letters are full, or the journal is busy: only deliveries that would become dead letters wait.
        (State, Unavailable)                 => (Short, Call, Retry, OneByOne, AllAndScope),
        // Also no room for another instance: never a delivery's failure.
        (Sink | Host, Unavailable)           => (Short, Call, Retry, Whole, AllAndScope),
        (Usage | Configuration, _)           => (Manual, Connection, Retry, Whole, AllAndScope),
        // The answer of a database server: no role, no database, no right. Its administrator can end it.
        (Sink, Config)                       => (Long, Connection, Retry, Whole, AllAndScope),
        (State | Host, Config)               => (Manual, Connection, Retry, Whole, AllAndScope),
        (Sink | State | Host, _)             => (Defect, Connection, Retry, Whole, AllAndScope),
    };
    Policy { backoff, scope, delivery, batch, files, exit: exit(origin, kind) }
}

/// The party that can end a failure.
pub(crate) const fn failure(error: &Error) -> Failure {
    match (of(error).backoff, error.kind) {
        (Backoff::Manual, _) => Failure::Config,
        (_, Kind::RateLimited | Kind::Unavailable) => Failure::Transient,
        (_, Kind::Data | Kind::Internal) => Failure::System,
        (_, Kind::Config | Kind::Auth | Kind::Permission | Kind::NotFound | Kind::Unsupported) => {
            Failure::Config
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        of(error).exit
    }
}

/// The code of a failure that the component reports as a kind alone, as in a check item.
impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        policy(Origin::Component, kind).exit
    }
}

/// The column of exit codes.
const fn exit(origin: Origin, kind: Kind) -> Exit {
    match (origin, kind) {
        (Origin::Usage, _) => Exit::Usage,
        (Origin::Sandbox, _) => Exit::Sandbox,
        (Origin::Sink | Origin::State, _) => Exit::Storage,
        (Origin::Configuration, _) | (_, Kind::Config) => Exit::Config,
        (_, Kind::Auth) => Exit::Auth,
        (_, Kind::Permission) => Exit::Permission,
        (_, Kind::NotFound) => Exit::NotFound,
        (_, Kind::RateLimited) => Exit::RateLimited,
        (_, Kind::Unavailable) => Exit::Unavailable,
        (_, Kind::Data) => Exit::Data,
        (_, Kind::Unsupported) => Exit::Unsupported,
        (_, Kind::Internal) => Exit::Internal,
    }
}

/// How often, and how long at a time, a failure is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Failures in a row with the short backoff.
    attempts: u32,
    /// Longest wait that the source did not ask for; where `gives_up`, of those that it asks for too.
    max_wait: Duration,
    /// Whether a call is given up when either is used up; else it falls to the long backoff.
    pub(crate) gives_up: bool,
}

impl Budget {
    /// `sync`: a call that uses up the budget fails.
    pub(crate) const fn run(limits: &Limits) -> Self {
        Self { attempts: limits.retry.max_attempts, max_wait: limits.retry.max_wait, gives_up: true }
    }

    /// A table under `serve`: it is retried without end, and rarely once the attempts are used up.
    pub(crate) const fn table(limits: &Limits) -> Self {
        Self { attempts: limits.retry.max_attempts, max_wait: limits.retry.max_wait, gives_up: false }
    }

    /// Everything else under `serve`: webhooks continue within a minute after an outage of any length.
    pub(crate) const fn endless(limits: &Limits) -> Self {
        Self { attempts: u32::MAX, max_wait: limits.retry.max_wait, gives_up: false }
    }

    /// Failures in a row that get the short backoff, the last of them not: it uses up the budget.
    fn short_attempts(&self, backoff: Backoff) -> u32 {
        match backoff {
            Backoff::Short => self.attempts,
            Backoff::Defect => self.attempts.min(TRAP_ATTEMPTS_MAX),
            Backoff::Long | Backoff::Credentials | Backoff::Manual => 1,
        }
    }
}

/// What to do after a failure of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Wait this long, then make the same call.
    Retry(Duration),
    /// The budget is used up; the error to report.
    GiveUp(Error),
    /// Stop the connection.
    Stop(Error),
}

/// Decides after the `attempt`-th failure in a row, counted from 1. `random` is in `0.0..1.0`.
pub(crate) fn decide(error: Error, attempt: u32, budget: &Budget, random: f64) -> Decision {
    let policy = of(&error);
    if policy.scope == Scope::Connection {
        return Decision::Stop(error);
    }
    if budget.gives_up {
        let attempts = budget.short_attempts(policy.backoff);
        if attempt >= attempts {
            return Decision::GiveUp(match attempt {
                1 => error,
                _ => {
                    Error { message: format!("{} (attempt {attempt} of {attempts})", error.message), ..error }
                }
            });
        }
        if let Some(asked) = asked(&error).filter(|asked| *asked > budget.max_wait) {
            return Decision::GiveUp(come_back(error, asked, budget.max_wait));
        }
    }
    match backoff(&error, attempt, budget, random) {
        Some(wait) => Decision::Retry(wait),
        None => Decision::Stop(error),
    }
}

/// How long to wait after the `attempt`-th failure in a row, counted from 1; none: until a person has changed
/// the connection. `random` is in `0.0..1.0`.
pub(crate) fn backoff(error: &Error, attempt: u32, budget: &Budget, random: f64) -> Option<Duration> {
    let class = of(error).backoff;
    if class == Backoff::Manual {
        return None;
    }
    if let Some(asked) = asked(error) {
        // Never sooner than asked, up to `ASKED_MAX`.
        return Some(asked.min(ASKED_MAX).max(MIN) + SPREAD_MAX.min(asked).mul_f64(random));
    }
    if class == Backoff::Credentials {
        return Some(CREDENTIALS);
    }
    let short = budget.short_attempts(class);
    // A budget without end would spin without a wait.
    let max_wait = if budget.gives_up { budget.max_wait } else { budget.max_wait.max(SHORT) };
    let wait = if attempt < short {
        growing_wait(SHORT, 2, attempt.saturating_sub(1), SHORT_MAX.min(max_wait), random)
    } else {
        growing_wait(LONG, 2, attempt - short, LONG_MAX.min(max_wait.max(LONG)), random)
    };
    Some(wait.max(MIN))
}

/// `first`, times `factor` for each of the `failures` before, `max` at most; spread over its second half, so
/// that many connections do not return together. `random` is in `0.0..1.0`.
pub(crate) fn growing_wait(
    first: Duration,
    factor: u32,
    failures: u32,
    max: Duration,
    random: f64,
) -> Duration {
    first.saturating_mul(factor.saturating_pow(failures)).min(max).mul_f64(0.5 + random / 2.0)
}

fn asked(error: &Error) -> Option<Duration> {
    error.retry_after_ms.map(Duration::from_millis)
}

/// The error of a wait that is longer than the budget allows.
fn come_back(error: Error, asked: Duration, max_wait: Duration) -> Error {
    let enough = format_duration(Duration::from_secs(asked.as_secs().div_ceil(60) * 60));
    let (asked, limit) = (format_wait(asked), format_duration(max_wait));
    Error {
        message: format!("{}; the source asks to wait {asked}", error.message.trim_end_matches('.')),
        hint: Some(format!(
            "run it again in {asked}; or let it wait: max_wait = \"{enough}\" under [retry] (now \"{limit}\")"
        )),
        ..error
    }
}

#[cfg(test)]
mod tests;
