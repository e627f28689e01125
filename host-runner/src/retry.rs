//! Whether and when a failed call is made again. Pure: error, attempt, limits and a random number in,
//! decision out.
//!
//! Connectors classify failures and never wait; all waiting is decided here.

use std::time::Duration;

use crate::error::{Error, Kind, Origin};
use crate::limits::{Limits, TRAP_ATTEMPTS_MAX};
use crate::units::format_duration;

/// First back-off; doubled with each attempt.
const BASE: Duration = Duration::from_millis(500);
/// Longest back-off that was not asked for by the source.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Added to a wait that the source asked for, at most, so that many connections do not come back at once.
const SPREAD_MAX: Duration = Duration::from_secs(2);

/// What to do after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Wait this long, then make the same call.
    Again(Duration),
    /// It is no use now; this is the error to report.
    Stop(Error),
}

/// Decides after the `attempt`-th failure in a row, counted from 1. `random` is in `0.0..1.0`.
pub fn decide(error: Error, attempt: u32, limits: &Limits, random: f64) -> Decision {
    let attempts = match (error.origin, error.kind) {
        (Origin::Component | Origin::Sandbox, Kind::Unavailable | Kind::RateLimited) => {
            limits.retry.max_attempts
        }
        (Origin::Sandbox, Kind::Internal) => limits.retry.max_attempts.min(TRAP_ATTEMPTS_MAX),
        _ => return Decision::Stop(error),
    };
    if attempt >= attempts {
        return Decision::Stop(match attempt {
            1 => error,
            _ => Error { message: format!("{} (attempt {attempt} of {attempts})", error.message), ..error },
        });
    }
    let Some(asked) = error.retry_after_ms.map(Duration::from_millis) else {
        let ceiling = BASE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(BACK_OFF_MAX);
        return Decision::Again(ceiling.min(limits.retry.max_wait).mul_f64(random));
    };
    if asked > limits.retry.max_wait {
        return Decision::Stop(come_back(error, asked, limits));
    }
    Decision::Again(asked + SPREAD_MAX.min(asked).mul_f64(random))
}

/// The error of a wait that is too long to sit out.
fn come_back(error: Error, asked: Duration, limits: &Limits) -> Error {
    let enough = format_duration(Duration::from_secs(asked.as_secs().div_ceil(60) * 60));
    let limit = format_duration(limits.retry.max_wait);
    Error {
        message: format!(
            "{}; the source asks to wait {}",
            error.message.trim_end_matches('.'),
            duration(asked)
        ),
        hint: Some(format!(
            "run it again in {}; or let it wait: max_wait = \"{enough}\" under [retry] (now \"{limit}\")",
            duration(asked)
        )),
        ..error
    }
}

/// A duration for people: `45 s`, `12 min`, `3 h 5 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{} min", seconds.div_ceil(60)),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Decision, decide, duration};
    use crate::error::{Error, Kind, Origin};
    use crate::limits::Limits;

    fn component(kind: Kind) -> Error {
        Error::new(Origin::Component, kind, "it failed")
    }

    fn wait(decision: Decision) -> Duration {
        match decision {
            Decision::Again(wait) => wait,
            Decision::Stop(error) => panic!("stopped: {error}"),
        }
    }

    fn stop(decision: Decision) -> Error {
        match decision {
            Decision::Stop(error) => error,
            Decision::Again(wait) => panic!("goes on after {wait:?}"),
        }
    }

    #[test]
    fn only_transient_failures_are_tried_again() {
        let limits = Limits::default();
        for kind in [Kind::Config, Kind::Auth, Kind::Permission, Kind::NotFound, Kind::Data] {
            assert_eq!(stop(decide(component(kind), 1, &limits, 0.5)), component(kind));
        }
        assert_eq!(stop(decide(component(Kind::Internal), 1, &limits, 0.5)), component(Kind::Internal));
        let refused = Error::sandbox(Kind::Permission, "egress");
        assert_eq!(stop(decide(refused.clone(), 1, &limits, 0.5)), refused);
        wait(decide(component(Kind::Unavailable), 1, &limits, 0.5));
        wait(decide(component(Kind::RateLimited), 1, &limits, 0.5));
        wait(decide(Error::sandbox(Kind::Internal, "trap"), 1, &limits, 0.5));
    }

    #[test]
    fn back_off_doubles_up_to_a_minute_and_is_spread_from_zero() {
        let mut limits = Limits::default();
        limits.retry.max_attempts = 100;
        let at = |attempt, random| wait(decide(component(Kind::Unavailable), attempt, &limits, random));
        assert_eq!(at(1, 0.0), Duration::ZERO);
        assert_eq!(at(1, 0.5), Duration::from_millis(250));
        assert_eq!(at(2, 0.5), Duration::from_millis(500));
        assert_eq!(at(4, 0.5), Duration::from_secs(2));
        assert_eq!(at(50, 0.5), Duration::from_secs(30));
    }

    #[test]
    fn attempts_end_and_a_trap_ends_sooner() {
        let limits = Limits::default();
        wait(decide(component(Kind::Unavailable), 7, &limits, 0.5));
        let error = stop(decide(component(Kind::Unavailable), 8, &limits, 0.5));
        assert_eq!(error.message, "it failed (attempt 8 of 8)");
        wait(decide(Error::sandbox(Kind::Internal, "trap"), 2, &limits, 0.5));
        stop(decide(Error::sandbox(Kind::Internal, "trap"), 3, &limits, 0.5));
    }

    #[test]
    fn a_wait_that_the_source_asks_for_is_obeyed_up_to_the_limit() {
        let mut limits = Limits::default();
        limits.retry.max_wait = Duration::from_secs(60);
        let asking = |ms| Error { retry_after_ms: Some(ms), ..component(Kind::RateLimited) };
        assert_eq!(wait(decide(asking(10_000), 1, &limits, 0.0)), Duration::from_secs(10));
        assert_eq!(wait(decide(asking(10_000), 1, &limits, 0.5)), Duration::from_secs(11));
        assert_eq!(wait(decide(asking(60_000), 1, &limits, 0.0)), Duration::from_secs(60));
        let error = stop(decide(asking(3_600_000), 1, &limits, 0.0));
        assert_eq!(error.kind, Kind::RateLimited);
        assert_eq!(error.message, "it failed; the source asks to wait 1 h");
        assert!(error.hint.is_some_and(|hint| hint.contains("max_wait = \"1h\"")));
    }

    #[test]
    fn durations_read_naturally() {
        let read = |ms| duration(Duration::from_millis(ms));
        assert_eq!(read(1), "1 s");
        assert_eq!(read(45_000), "45 s");
        assert_eq!(read(61_000), "2 min");
        assert_eq!(read(11_100_000), "3 h 5 min");
    }
}
