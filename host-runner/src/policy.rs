//! What a failure means: the table from (origin, kind) to backoff, scope, disposition of a delivery and exit
//! code, and the arithmetic of waiting.
//!
//! Pure: the attempt, the budget and a random number are arguments. A component classifies its failures and
//! never waits; no other module of the runner decides by origin or kind.

use std::time::Duration;

use crate::error::{Error, Kind, Origin};
use crate::exit::Exit;
use crate::limits::{Limits, TRAP_ATTEMPTS_MAX};
use crate::report::duration;
use crate::units::format_duration;

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
    /// It is retried until it passes; those behind it wait.
    Retry,
    /// The same, until it is evident that it alone fails: see `actor/head_of_line.rs`.
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

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) backoff: Backoff,
    pub(crate) scope: Scope,
    pub(crate) delivery: Disposition,
    pub(crate) batch: Batch,
    pub(crate) exit: Exit,
}

/// What an error means.
pub(crate) const fn of(error: &Error) -> Policy {
    policy(error.origin, error.kind)
}

/// The table.
pub(crate) const fn policy(origin: Origin, kind: Kind) -> Policy {
    let (backoff, scope, delivery, batch) = match (origin, kind) {
        (Origin::Component, Kind::Unavailable) => {
            (Backoff::Short, Scope::Call, Disposition::RetryOrGiveUp, Batch::Whole)
        }
        // A quota concerns every call; no delivery is the cause.
        (Origin::Component, Kind::RateLimited) => {
            (Backoff::Short, Scope::Call, Disposition::Retry, Batch::Whole)
        }
        (Origin::Component, Kind::Permission | Kind::NotFound | Kind::Unsupported) => {
            (Backoff::Long, Scope::Call, Disposition::DeadLetter, Batch::Whole)
        }
        // Also rows that the sink cannot use.
        (Origin::Component, Kind::Data) => {
            (Backoff::Long, Scope::Call, Disposition::DeadLetter, Batch::OneByOne)
        }
        (Origin::Component, Kind::Internal) => {
            (Backoff::Defect, Scope::Call, Disposition::Suspect, Batch::OneByOne)
        }
        (Origin::Component, Kind::Auth) => {
            (Backoff::Credentials, Scope::Connection, Disposition::Retry, Batch::Whole)
        }
        // As the answer to one delivery it concerns that delivery; as the failure of a call, the connection.
        (Origin::Component, Kind::Config) => {
            (Backoff::Manual, Scope::Connection, Disposition::DeadLetter, Batch::Whole)
        }
        // A host that the egress policy refused: a matter of the connection file, not of a delivery.
        (Origin::Sandbox, Kind::Permission) => (Backoff::Long, Scope::Call, Disposition::Retry, Batch::Whole),
        // The call timed out.
        (Origin::Sandbox, Kind::Unavailable | Kind::RateLimited) => {
            (Backoff::Short, Scope::Call, Disposition::Suspect, Batch::OneByOne)
        }
        (Origin::Sandbox, _) => (Backoff::Defect, Scope::Call, Disposition::Suspect, Batch::OneByOne),
        // Dead letters are full, or the journal is busy: only deliveries that would become dead letters wait.
        (Origin::State, Kind::Unavailable) => {
            (Backoff::Short, Scope::Call, Disposition::Retry, Batch::OneByOne)
        }
        (Origin::Sink | Origin::Host, Kind::Unavailable) => {
            (Backoff::Short, Scope::Call, Disposition::Retry, Batch::Whole)
        }
        (Origin::Usage | Origin::Configuration, _)
        | (Origin::Sink | Origin::State | Origin::Host, Kind::Config) => {
            (Backoff::Manual, Scope::Connection, Disposition::Retry, Batch::Whole)
        }
        (Origin::Sink | Origin::State | Origin::Host, _) => {
            (Backoff::Defect, Scope::Connection, Disposition::Retry, Batch::Whole)
        }
    };
    Policy { backoff, scope, delivery, batch, exit: exit(origin, kind) }
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
    let doubled =
        |first: Duration, failures: u32| first.saturating_mul(2_u32.saturating_pow(failures.min(30)));
    let short = budget.short_attempts(class);
    let wait = if attempt < short {
        doubled(SHORT, attempt.saturating_sub(1)).min(SHORT_MAX).min(budget.max_wait)
    } else {
        doubled(LONG, attempt - short).min(LONG_MAX).min(budget.max_wait.max(LONG))
    };
    // Spread over its second half, so that many connections do not return together.
    Some(wait.mul_f64(0.5 + random / 2.0).max(MIN))
}

fn asked(error: &Error) -> Option<Duration> {
    error.retry_after_ms.map(Duration::from_millis)
}

/// The error of a wait that is longer than the budget allows.
fn come_back(error: Error, asked: Duration, max_wait: Duration) -> Error {
    let enough = format_duration(Duration::from_secs(asked.as_secs().div_ceil(60) * 60));
    let (asked, limit) = (duration(asked), format_duration(max_wait));
    Error {
        message: format!("{}; the source asks to wait {asked}", error.message.trim_end_matches('.')),
        hint: Some(format!(
            "run it again in {asked}; or let it wait: max_wait = \"{enough}\" under [retry] (now \"{limit}\")"
        )),
        ..error
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use super::{
        Backoff, Batch, Budget, CREDENTIALS, Decision, Disposition, LONG, LONG_MAX, MIN, SHORT_MAX, Scope,
        backoff, decide, policy,
    };
    use crate::error::{Error, Kind, Origin};
    use crate::limits::Limits;

    const ORIGINS: [Origin; 7] = [
        Origin::Component,
        Origin::Sandbox,
        Origin::Sink,
        Origin::State,
        Origin::Host,
        Origin::Configuration,
        Origin::Usage,
    ];
    const KINDS: [Kind; 9] = [
        Kind::Unavailable,
        Kind::RateLimited,
        Kind::Permission,
        Kind::NotFound,
        Kind::Unsupported,
        Kind::Data,
        Kind::Internal,
        Kind::Auth,
        Kind::Config,
    ];

    /// Every pair with its row. A change of any cell shows here.
    const TABLE: &str = "\
component     unavailable  Short       Call       RetryOrGiveUp Whole     8
component     rate-limited Short       Call       Retry         Whole     7
component     permission   Long        Call       DeadLetter    Whole     5
component     not-found    Long        Call       DeadLetter    Whole     6
component     unsupported  Long        Call       DeadLetter    Whole    10
component     data         Long        Call       DeadLetter    OneByOne  9
component     internal     Defect      Call       Suspect       OneByOne  1
component     auth         Credentials Connection Retry         Whole     4
component     config       Manual      Connection DeadLetter    Whole     3
sandbox       unavailable  Short       Call       Suspect       OneByOne 11
sandbox       rate-limited Short       Call       Suspect       OneByOne 11
sandbox       permission   Long        Call       Retry         Whole    11
sandbox       not-found    Defect      Call       Suspect       OneByOne 11
sandbox       unsupported  Defect      Call       Suspect       OneByOne 11
sandbox       data         Defect      Call       Suspect       OneByOne 11
sandbox       internal     Defect      Call       Suspect       OneByOne 11
sandbox       auth         Defect      Call       Suspect       OneByOne 11
sandbox       config       Defect      Call       Suspect       OneByOne 11
sink          unavailable  Short       Call       Retry         Whole    12
sink          rate-limited Defect      Connection Retry         Whole    12
sink          permission   Defect      Connection Retry         Whole    12
sink          not-found    Defect      Connection Retry         Whole    12
sink          unsupported  Defect      Connection Retry         Whole    12
sink          data         Defect      Connection Retry         Whole    12
sink          internal     Defect      Connection Retry         Whole    12
sink          auth         Defect      Connection Retry         Whole    12
sink          config       Manual      Connection Retry         Whole    12
state         unavailable  Short       Call       Retry         OneByOne 12
state         rate-limited Defect      Connection Retry         Whole    12
state         permission   Defect      Connection Retry         Whole    12
state         not-found    Defect      Connection Retry         Whole    12
state         unsupported  Defect      Connection Retry         Whole    12
state         data         Defect      Connection Retry         Whole    12
state         internal     Defect      Connection Retry         Whole    12
state         auth         Defect      Connection Retry         Whole    12
state         config       Manual      Connection Retry         Whole    12
host          unavailable  Short       Call       Retry         Whole     8
host          rate-limited Defect      Connection Retry         Whole     7
host          permission   Defect      Connection Retry         Whole     5
host          not-found    Defect      Connection Retry         Whole     6
host          unsupported  Defect      Connection Retry         Whole    10
host          data         Defect      Connection Retry         Whole     9
host          internal     Defect      Connection Retry         Whole     1
host          auth         Defect      Connection Retry         Whole     4
host          config       Manual      Connection Retry         Whole     3
configuration unavailable  Manual      Connection Retry         Whole     3
configuration rate-limited Manual      Connection Retry         Whole     3
configuration permission   Manual      Connection Retry         Whole     3
configuration not-found    Manual      Connection Retry         Whole     3
configuration unsupported  Manual      Connection Retry         Whole     3
configuration data         Manual      Connection Retry         Whole     3
configuration internal     Manual      Connection Retry         Whole     3
configuration auth         Manual      Connection Retry         Whole     3
configuration config       Manual      Connection Retry         Whole     3
usage         unavailable  Manual      Connection Retry         Whole     2
usage         rate-limited Manual      Connection Retry         Whole     2
usage         permission   Manual      Connection Retry         Whole     2
usage         not-found    Manual      Connection Retry         Whole     2
usage         unsupported  Manual      Connection Retry         Whole     2
usage         data         Manual      Connection Retry         Whole     2
usage         internal     Manual      Connection Retry         Whole     2
usage         auth         Manual      Connection Retry         Whole     2
usage         config       Manual      Connection Retry         Whole     2
";

    fn pairs() -> impl Iterator<Item = (Origin, Kind)> {
        ORIGINS.into_iter().flat_map(|origin| KINDS.into_iter().map(move |kind| (origin, kind)))
    }

    fn error(kind: Kind) -> Error {
        Error::new(Origin::Component, kind, "it failed")
    }

    fn asking(ms: u64) -> Error {
        Error { retry_after_ms: Some(ms), ..error(Kind::RateLimited) }
    }

    fn limits(attempts: u32, wait_max_s: u64) -> Limits {
        let mut limits = Limits::default();
        limits.retry.max_attempts = attempts;
        limits.retry.max_wait = Duration::from_secs(wait_max_s);
        limits
    }

    fn run() -> Budget {
        Budget::run(&limits(8, 300))
    }

    fn wait(decision: Decision) -> Duration {
        match decision {
            Decision::Retry(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    fn given_up(decision: Decision) -> Error {
        match decision {
            Decision::GiveUp(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_is_as_printed_here() {
        let mut table = String::new();
        for (origin, kind) in pairs() {
            let row = policy(origin, kind);
            let (exit, pair) = (row.exit as u8, [origin.to_string(), kind.to_string()]);
            let cells = [
                format!("{:?}", row.backoff),
                format!("{:?}", row.scope),
                format!("{:?}", row.delivery),
                format!("{:?}", row.batch),
            ];
            let [backoff, scope, delivery, batch] = cells;
            let [origin, kind] = pair;
            let _infallible = writeln!(
                table,
                "{origin:<13} {kind:<12} {backoff:<11} {scope:<10} {delivery:<13} {batch:<8} {exit:>2}"
            );
        }
        assert_eq!(table.trim(), TABLE.trim(), "the table is now:\n{table}");
    }

    #[test]
    fn a_configuration_waits_for_a_person_and_stops_the_connection() {
        for (origin, kind) in pairs() {
            let row = policy(origin, kind);
            let is_manual = row.backoff == Backoff::Manual;
            let is_configuration =
                matches!(origin, Origin::Configuration | Origin::Usage) || kind == Kind::Config;
            assert_eq!(is_manual, is_configuration && origin != Origin::Sandbox, "{origin:?} {kind:?}");
            assert!(
                !is_manual || row.scope == Scope::Connection,
                "{origin:?} {kind:?}: nothing would retry it"
            );
        }
        assert_eq!(backoff(&error(Kind::Config), 1, &run(), 0.0), None);
    }

    #[test]
    fn an_outage_never_makes_a_dead_letter_and_stops_nothing_else() {
        for origin in ORIGINS.into_iter().filter(|origin| *origin != Origin::Sandbox) {
            let row = policy(origin, Kind::Unavailable);
            let kept = matches!(row.delivery, Disposition::Retry | Disposition::RetryOrGiveUp);
            assert!(kept, "{origin:?}");
            // The answer to one delivery may be given up alone; a call that failed as a whole never is.
            assert!(row.delivery == Disposition::Retry || row.batch == Batch::Whole, "{origin:?}");
            let is_file = matches!(origin, Origin::Usage | Origin::Configuration);
            assert_eq!(row.scope == Scope::Call, !is_file, "{origin:?}");
        }
    }

    #[test]
    fn a_quota_is_the_fault_of_no_delivery() {
        let row = policy(Origin::Component, Kind::RateLimited);
        assert_eq!((row.delivery, row.batch, row.scope), (Disposition::Retry, Batch::Whole, Scope::Call));
    }

    #[test]
    fn only_the_component_or_its_sandbox_can_make_a_dead_letter() {
        for (origin, kind) in pairs() {
            if !matches!(origin, Origin::Component | Origin::Sandbox) {
                assert_eq!(policy(origin, kind).delivery, Disposition::Retry, "{origin:?} {kind:?}");
            }
        }
        assert_eq!(
            policy(Origin::Sandbox, Kind::Permission).delivery,
            Disposition::Retry,
            "an egress refusal"
        );
    }

    #[test]
    fn files_and_credentials_stop_the_connection() {
        for error in [error(Kind::Auth), error(Kind::Config), Error::sink("full"), Error::state("lost")] {
            assert_eq!(decide(error.clone(), 1, &run(), 0.5), Decision::Stop(error));
        }
    }

    #[test]
    fn a_run_retries_what_may_pass_and_gives_up_the_rest_at_once() {
        for kind in [Kind::Permission, Kind::NotFound, Kind::Data, Kind::Unsupported] {
            assert_eq!(given_up(decide(error(kind), 1, &run(), 0.5)), error(kind));
        }
        let refused = Error::sandbox(Kind::Permission, "egress");
        assert_eq!(given_up(decide(refused.clone(), 1, &run(), 0.5)), refused);
        for error in
            [error(Kind::Unavailable), error(Kind::RateLimited), Error::sandbox(Kind::Internal, "trap")]
        {
            wait(decide(error, 1, &run(), 0.5));
        }
    }

    #[test]
    fn attempts_of_a_run_end_and_those_after_a_trap_sooner() {
        wait(decide(error(Kind::Unavailable), 7, &run(), 0.5));
        let last = given_up(decide(error(Kind::Unavailable), 8, &run(), 0.5));
        assert_eq!(last.message, "it failed (attempt 8 of 8)");
        let trap = || Error::sandbox(Kind::Internal, "trap");
        wait(decide(trap(), 2, &run(), 0.5));
        assert_eq!(given_up(decide(trap(), 3, &run(), 0.5)).message, "trap (attempt 3 of 3)");
    }

    #[test]
    fn a_wait_that_the_source_asks_for_is_never_cut_short() {
        let budget = Budget::run(&limits(8, 60));
        for random in [0.0, 0.5, 1.0] {
            for asked_ms in [1, 10_000, 60_000] {
                let waits = wait(decide(asking(asked_ms), 1, &budget, random));
                assert!(waits >= Duration::from_millis(asked_ms), "{waits:?} of {asked_ms} ms");
            }
        }
        assert_eq!(wait(decide(asking(10_000), 1, &budget, 0.5)), Duration::from_secs(11));
        let hour = asking(3_600_000);
        let last = given_up(decide(hour.clone(), 1, &budget, 0.0));
        assert_eq!(
            (last.kind, last.message.as_str()),
            (Kind::RateLimited, "it failed; the source asks to wait 1 h")
        );
        assert!(last.hint.is_some_and(|hint| hint.contains("max_wait = \"1h\"")));
        // A server sits it out.
        let serve = Budget::table(&limits(8, 60));
        assert_eq!(wait(decide(hour, 1, &serve, 0.0)), Duration::from_secs(3600));
    }

    #[test]
    fn the_short_backoff_doubles_up_to_its_longest_and_is_spread_over_half() {
        let at = |attempt, random| {
            backoff(&error(Kind::Unavailable), attempt, &Budget::endless(&Limits::default()), random)
        };
        assert_eq!(at(1, 1.0), Some(Duration::from_millis(500)));
        assert_eq!(at(1, 0.0), Some(Duration::from_millis(250)));
        assert_eq!(at(3, 1.0), Some(Duration::from_secs(2)));
        assert_eq!(at(1_000_000, 1.0), Some(SHORT_MAX));
        let quick = Budget::endless(&limits(8, 0));
        assert_eq!(backoff(&error(Kind::Unavailable), 9, &quick, 1.0), Some(MIN), "it would spin");
    }

    #[test]
    fn a_table_of_a_server_falls_to_the_long_backoff_when_its_attempts_are_used_up() {
        let budget = Budget::table(&limits(3, 3600));
        let at = |attempt| wait(decide(error(Kind::Unavailable), attempt, &budget, 1.0));
        let waits = [1, 2, 3, 4, 1_000_000].map(at);
        let millis = Duration::from_millis;
        assert_eq!(waits, [millis(500), millis(1000), LONG, LONG * 2, LONG_MAX]);
        let webhooks = Budget::endless(&limits(3, 3600));
        assert_eq!(wait(decide(error(Kind::Unavailable), 1_000_000, &webhooks, 1.0)), SHORT_MAX);
    }

    #[test]
    fn max_wait_caps_what_the_source_did_not_ask_for_and_never_hammers_what_does_not_pass() {
        let at = |kind, attempt, wait_max_s| {
            backoff(&error(kind), attempt, &Budget::table(&limits(100, wait_max_s)), 1.0)
        };
        assert_eq!(at(Kind::Unavailable, 10, 7), Some(Duration::from_secs(7)));
        assert_eq!(at(Kind::Permission, 10, 120), Some(Duration::from_secs(120)));
        assert_eq!(at(Kind::Permission, 10, 0), Some(LONG));
        assert_eq!(at(Kind::Auth, 1, 0), Some(CREDENTIALS), "sources lock accounts");
    }
}
