//! How long to wait after a failure, and what a failure means for more than the call that failed. Pure.

use std::time::Duration;

use crate::error::{Error, Kind, Origin};

/// First wait after something passing; doubled with each failure in a row.
const SHORT: Duration = Duration::from_millis(500);
/// Longest wait after something passing that the source did not ask for.
const SHORT_MAX: Duration = Duration::from_secs(60);
/// First wait after something that a person must put right; the rest of the connection goes on.
const LONG: Duration = Duration::from_secs(30);
/// Longest wait after that: what a person changed shows within a quarter of an hour.
const LONG_MAX: Duration = Duration::from_secs(15 * 60);
/// Wait after refused credentials: sources count attempts, and block who makes many.
const AUTH: Duration = Duration::from_secs(5 * 60);
/// Longest wait that the source may ask for; then it is asked again.
const ASKED_MAX: Duration = Duration::from_secs(6 * 3600);
/// Shortest wait, so that a failure that comes at once does not spin.
const MIN: Duration = Duration::from_millis(50);

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The call that failed.
    Call,
    /// Everything the connection does.
    Connection,
}

/// Whether other calls of the connection would fail the same way, or could not be stored.
pub(super) fn reach(error: &Error) -> Reach {
    let own = matches!(error.kind, Kind::Auth | Kind::Config) && error.origin == Origin::Component;
    let files = matches!(error.origin, Origin::Sink | Origin::State | Origin::Host | Origin::Configuration);
    // Full dead letters, or a journal that is busy: what does not need them goes on.
    let passes = error.kind == Kind::Unavailable;
    if own || (files && !passes) { Reach::Connection } else { Reach::Call }
}

/// How long to wait after the `attempt`-th failure in a row, counted from 1; `random` is in `0.0..1.0`.
/// None: for ever, until a person has changed the connection.
pub fn wait(error: &Error, attempt: u32, random: f64) -> Option<Duration> {
    if reach(error) == Reach::Connection && matches!(error.kind, Kind::Config) {
        return None;
    }
    let doubled = |first: Duration, most: Duration| {
        first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(30))).min(most)
    };
    // Spread over half to all of it, so that many connections do not come back at once.
    let spread = |wait: Duration| wait.mul_f64(0.5 + random / 2.0).max(MIN);
    if let Some(asked) = error.retry_after_ms.map(Duration::from_millis) {
        return Some(asked.min(ASKED_MAX).max(MIN) + SHORT.mul_f64(random));
    }
    Some(match error.kind {
        Kind::Unavailable | Kind::RateLimited => spread(doubled(SHORT, SHORT_MAX)),
        Kind::Internal => spread(doubled(SHORT.saturating_mul(2), LONG_MAX)),
        Kind::Auth => AUTH,
        Kind::Config | Kind::Permission | Kind::NotFound | Kind::Data | Kind::Unsupported => {
            spread(doubled(LONG, LONG_MAX))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AUTH, LONG_MAX, Reach, SHORT_MAX, reach, wait};
    use crate::error::{Error, Kind, Origin};

    fn component(kind: Kind) -> Error {
        Error::new(Origin::Component, kind, "it failed")
    }

    #[test]
    fn credentials_configuration_and_files_concern_the_whole_connection() {
        for error in
            [component(Kind::Auth), component(Kind::Config), Error::sink("full"), Error::state("gone")]
        {
            assert_eq!(reach(&error), Reach::Connection, "{error}");
        }
        for error in
            [component(Kind::Unavailable), component(Kind::Data), Error::sandbox(Kind::Internal, "trap")]
        {
            assert_eq!(reach(&error), Reach::Call, "{error}");
        }
    }

    #[test]
    fn dead_letters_that_are_full_hold_receiving_and_nothing_else() {
        let full = Error::new(Origin::State, Kind::Unavailable, "its dead letters are full");
        assert_eq!(reach(&full), Reach::Call);
        assert!(wait(&full, 1000, 1.0).is_some_and(|wait| wait <= SHORT_MAX));
    }

    #[test]
    fn waits_grow_and_end() {
        let at = |kind, attempt| wait(&component(kind), attempt, 1.0).expect("a wait");
        assert_eq!(at(Kind::Unavailable, 1), Duration::from_millis(500));
        assert_eq!(at(Kind::Unavailable, 3), Duration::from_secs(2));
        assert_eq!(at(Kind::Unavailable, 1000), SHORT_MAX);
        assert_eq!(at(Kind::Permission, 1000), LONG_MAX);
        assert_eq!(at(Kind::Auth, 1), AUTH);
        assert_eq!(wait(&component(Kind::Config), 1, 0.0), None, "it must wait for a person");
    }

    #[test]
    fn a_wait_that_the_source_asks_for_is_obeyed() {
        let asking = Error { retry_after_ms: Some(90_000), ..component(Kind::RateLimited) };
        assert_eq!(wait(&asking, 1, 0.0), Some(Duration::from_secs(90)));
    }
}
