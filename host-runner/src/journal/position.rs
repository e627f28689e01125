//! The position of a connection in its journal, as the sink stores it with the rows, and whether it can be
//! trusted. Pure.
//!
//! Every start of a process that owns the journal is an opening with a random id, and the file remembers the
//! last number before each. A command that finds no owner ends the last opening. A position names the
//! opening in which it was reached. So it is recognized if it belongs to another file (its opening is
//! unknown), and if the file is older than the sink (it lies behind the end of its opening): numbers that
//! were used again after a restore are never mistaken for the ones that the sink has applied.

use crate::inbox::{Position, WAITING_MAX};
use crate::sinks::InboxPosition;

/// A start of a process that owns the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) id: String,
    /// The last number that was used before.
    pub(super) after: u64,
}

/// Why a position cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It was reached in another journal.
    Foreign,
    /// The journal never got that far: it was restored from a backup.
    Beyond,
}

impl Doubt {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Foreign => "the sink's position belongs to another journal",
            Self::Beyond => "the journal is older than the sink: it was restored from a backup",
        }
    }
}

impl Position {
    /// The position with its opening, for a sink. It names [`WAITING_MAX`] waiting deliveries and ends before
    /// the next one: those behind it come again after a crash, which does no harm.
    pub(crate) fn named(&self, opening: &str) -> InboxPosition {
        let through = self.waiting.iter().nth(WAITING_MAX).map_or(self.through, |seq| seq - 1);
        let named = self.waiting.iter().take(WAITING_MAX);
        let journal = std::iter::once(opening.to_owned());
        // Distances are shorter than numbers.
        let waiting = named.map(|seq| through.saturating_sub(*seq).to_string());
        InboxPosition { journal: journal.chain(waiting).collect::<Vec<_>>().join("-"), through }
    }

    /// A position from a sink, if it was reached in the only opening of a queue.
    #[cfg(test)]
    pub(crate) fn trusted_in(stored: &InboxPosition, opening: &str, last: u64) -> Option<Self> {
        Self::trusted(stored, &[Opening { id: opening.to_owned(), after: 0 }], last).ok()
    }

    /// A position from a sink, if it was reached in this journal.
    pub(super) fn trusted(stored: &InboxPosition, openings: &[Opening], last: u64) -> Result<Self, Doubt> {
        let mut parts = stored.journal.split('-');
        let id = parts.next().unwrap_or_default();
        let at = openings.iter().position(|opening| opening.id == id).ok_or(Doubt::Foreign)?;
        let end = openings.get(at + 1).map_or(last, |next| next.after);
        if stored.through > end {
            return Err(Doubt::Beyond);
        }
        let waiting = parts.map(|distance| stored.through.checked_sub(distance.parse().ok()?));
        // A text that this program did not write names no journal.
        let waiting = waiting.collect::<Option<_>>().ok_or(Doubt::Foreign)?;
        Ok(Self { through: stored.through, waiting })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Doubt, Opening, Position, WAITING_MAX};
    use crate::sinks::InboxPosition;

    fn openings(all: &[(&str, u64)]) -> Vec<Opening> {
        all.iter().map(|(id, after)| Opening { id: (*id).to_owned(), after: *after }).collect()
    }

    fn stored(journal: &str, through: u64) -> InboxPosition {
        InboxPosition { journal: journal.to_owned(), through }
    }

    #[test]
    fn a_position_is_trusted_within_its_opening_alone() {
        // Restored from a backup that was made at 100, and started again: numbers from 101 on came twice.
        let all = openings(&[("a", 0), ("b", 50), ("c", 100)]);
        let trusted = |journal: &str, through| {
            Position::trusted(&stored(journal, through), &all, 120).map(|position| position.through)
        };
        assert_eq!(trusted("a", 50), Ok(50));
        assert_eq!(trusted("b", 100), Ok(100));
        assert_eq!(trusted("b", 110), Err(Doubt::Beyond), "110 is another delivery now");
        assert_eq!(trusted("c", 120), Ok(120));
        assert_eq!(trusted("c", 121), Err(Doubt::Beyond));
        for other in ["", "d", "a b", "c-x", "c--1", "c-999"] {
            assert_eq!(trusted(other, 120), Err(Doubt::Foreign), "{other}");
        }
    }

    #[test]
    fn waiting_deliveries_are_part_of_the_position() {
        let position = Position { through: 10, waiting: BTreeSet::from([3, 10]) };
        let named = position.named("a");
        assert_eq!(named, stored("a-7-0", 10));
        assert_eq!(Position::trusted(&named, &openings(&[("a", 0)]), 10), Ok(position));
    }

    #[test]
    fn a_position_ends_before_the_first_waiting_delivery_that_it_cannot_name() {
        let most = WAITING_MAX as u64;
        let position = Position { through: 5_000, waiting: (1_000..1_000 + most + 7).collect() };
        let named = position.named("a");
        assert_eq!(named.through, 999 + most);
        let read = Position::trusted(&named, &openings(&[("a", 0)]), 5_000).expect("trusted");
        assert_eq!(read.waiting, (1_000..1_000 + most).collect());
    }
}
