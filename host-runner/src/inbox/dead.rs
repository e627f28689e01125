//! Dead letters: deliveries that cannot be applied, kept with the cause and the last failure.
//!
//! | cause | reason | decided in |
//! |---|---|---|
//! | `refused` | the component rejects the delivery: forged, unusable, not permitted | `actor/triage.rs` |
//! | `unusable` | the sink cannot store its rows | `actor/waiting.rs` |
//! | `defect` | it trapped or failed, or its answer was unusable, three times | `actor/waiting.rs` |
//! | `alone` | it failed for ten minutes while other calls succeeded | `actor/waiting.rs` |
//! | `expired` | it was queued for seven days | `journal/transaction.rs` |
//! | `corrupt` | its checksum does not match | `journal.rs`, `journal/recovery.rs` |
//!
//! [`Cause::explanation`] says what to do about each.

use crate::delivery::Delivery;
use crate::error::{Error, Kind};

/// Why a delivery was given up. The table is in the header of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The component rejected it.
    Refused,
    /// The sink cannot store its rows.
    Unusable,
    /// At every attempt the component trapped, ran out of memory or CPU time, failed internally, or handed
    /// over what the boundary refuses.
    Defect,
    /// It failed while the source answered other calls.
    Alone,
    /// It was queued for too long.
    Expired,
    /// It is damaged on disk.
    Corrupt,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::Unusable, Self::Defect, Self::Alone, Self::Expired, Self::Corrupt];

    /// The name on disk and in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Defect => "defect",
            Self::Alone => "alone",
            Self::Expired => "expired",
            Self::Corrupt => "corrupt",
        }
    }

    /// The reason, and the remedy, for a person.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Refused => "the component rejected it; drop it, or fix the cause and replay it",
            Self::Unusable => "the sink could not store its rows; a defect of the component",
            Self::Defect => {
                "it stopped the component, or its answer could not be used, each time; replay it with a \
                 newer component"
            }
            Self::Alone => "it failed while the source answered other calls; polling brings its row",
            Self::Expired => "it was queued for too long; replay it once deliveries are applied again",
            Self::Corrupt => "it is damaged on disk; it cannot be replayed",
        }
    }
}

/// The failure after which a delivery became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why the delivery cannot be applied.
    pub cause: Cause,
    /// The kind of the last error, by the contract's name.
    pub kind: String,
    /// The source's own code.
    pub code: Option<String>,
    /// The last error's message, for a person.
    pub reason: String,
    /// What to try.
    pub hint: Option<String>,
    /// How often the delivery was attempted.
    pub attempts: u32,
    /// When it first failed, in milliseconds since 1970.
    pub first_failed_at_ms: u64,
}

impl Failure {
    /// The failure of a delivery after `attempts` attempts, the first at `first_failed_at_ms`.
    pub fn of(cause: Cause, error: &Error, attempts: u32, first_failed_at_ms: u64) -> Self {
        Self {
            cause,
            kind: error.kind.to_string(),
            code: error.code.clone(),
            reason: error.message.clone(),
            hint: error.hint.clone(),
            attempts,
            first_failed_at_ms,
        }
    }

    /// The failure of a delivery that was never attempted.
    pub(crate) fn of_the_journal(cause: Cause, kind: Kind, reason: String, now_ms: u64) -> Self {
        Self {
            cause,
            kind: kind.to_string(),
            code: None,
            reason,
            hint: None,
            attempts: 0,
            first_failed_at_ms: now_ms,
        }
    }

    /// Whether the sender was not proved. Such letters are evicted first when dead letters are full, so that
    /// a sender that only knows the URL cannot evict the others.
    pub(crate) fn is_unproved(&self) -> bool {
        self.kind == UNPROVED
    }
}

/// The kind of deliveries whose sender was not proved: [`Kind::Permission`] by name.
pub(crate) const UNPROVED: &str = "permission";

/// A dead letter without the delivery's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, which is never used twice.
    pub id: u64,
    /// Its sequence number when it was queued.
    pub seq: u64,
    /// Its connection.
    pub connection: String,
    /// The cause and the last failure.
    pub failure: Failure,
    /// When it became one, in milliseconds since 1970.
    pub dead_at_ms: u64,
    /// When it was received, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// Its bytes on disk.
    pub bytes: u64,
}

/// A dead letter with the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// Its list entry.
    pub letter: DeadLetter,
    /// The delivery as it is on disk.
    pub delivery: Delivery,
    /// Its damage on disk. Such a letter can be shown, not replayed.
    pub corrupt: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Cause, UNPROVED};
    use crate::error::Kind;
    use crate::generated;

    #[test]
    fn unproved_is_the_name_of_permission() {
        assert_eq!(Kind::Permission.to_string(), UNPROVED);
    }

    #[test]
    fn the_page_lists_every_cause_of_a_dead_letter() {
        let row = |cause: Cause| format!("| `{}` | {} |\n", cause.name(), cause.explanation());
        let table: String = Cause::ALL.map(row).concat();
        let made = format!("| cause | why, and what to do |\n|---|---|\n{table}");
        generated::compare("troubleshooting.md", "causes of dead letters", &made);
    }

    #[test]
    fn the_header_lists_every_cause() {
        let header: String =
            include_str!("dead.rs").lines().take_while(|line| line.starts_with("//!")).collect();
        for cause in Cause::ALL {
            assert!(header.contains(&format!("| `{}` |", cause.name())), "{}", cause.name());
        }
    }
}
