//! The entry that the next change probably finds, by those of the changes before.
//!
//! Rows of one batch mostly have the same history: all are new, or all were read last in the same batch of an
//! earlier snapshot. [`super::write`] then decides by the guess, and lets the statement that writes check it:
//! one statement for a row instead of two. Pure; knows nothing of statements.

use crate::change::Change;
use crate::sinks::order::{ChangeMark, Stored, StoredRow};

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// The entry that the last change found, without the parts that differ from row to row; none if it says
    /// nothing about the next one.
    last: Option<Found>,
    /// The one before found the same.
    is_repeated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Row { as_of: i64, generation: i64 },
}

impl Guess {
    /// Notes the entry that a change found.
    pub(super) fn note(&mut self, stored: Stored) {
        let found = match stored {
            Stored::Nothing => Some(Found::Nothing),
            Stored::Row(StoredRow { as_of, generation, is_deleted: false, .. }) => {
                Some(Found::Row { as_of, generation })
            }
            Stored::Row(_) | Stored::Tombstone(_) => None,
        };
        self.is_repeated = found.is_some() && found == self.last;
        self.last = found;
    }

    /// The entry that `change` probably finds: none, or a row that this very change wrote.
    pub(super) fn entry(&self, change: &Change) -> Option<Stored> {
        Some(match self.last.filter(|_| self.is_repeated)? {
            Found::Nothing => Stored::Nothing,
            Found::Row { as_of, generation } => {
                let mark = Some(ChangeMark::of(change));
                Stored::Row(StoredRow { as_of, generation, mark, is_deleted: false })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Guess;
    use crate::change::{Change, ChangeSource, Operation};
    use crate::sinks::order::{ChangeMark, Stored, StoredRow};

    fn change(id: &str) -> Change {
        Change {
            table: "things".into(),
            operation: Operation::Read,
            key: "{}".into(),
            before: None,
            after: Some("{}".into()),
            partial: false,
            source: ChangeSource::Snapshot,
            source_updated_at_ms: None,
            as_of_ms: None,
            id: id.into(),
        }
    }

    fn row(as_of: i64, id: &str) -> Stored {
        let mark = Some(ChangeMark::of(&change(id)));
        Stored::Row(StoredRow { as_of, generation: 1, mark, is_deleted: false })
    }

    #[test]
    fn the_same_entry_twice_is_expected_a_third_time() {
        let deleted = StoredRow { as_of: 10, generation: 1, mark: None, is_deleted: true };
        let deleted = Stored::Row(deleted);
        for (found, expected) in [
            (vec![], None),
            (vec![Stored::Nothing], None),
            (vec![Stored::Nothing, Stored::Nothing], Some(Stored::Nothing)),
            (vec![Stored::Nothing, row(10, "a"), Stored::Nothing], None),
            (vec![row(10, "a"), row(10, "b")], Some(row(10, "c"))),
            (vec![row(10, "a"), row(11, "b")], None),
            (vec![deleted, deleted], None),
            (vec![Stored::Tombstone(10), Stored::Tombstone(10)], None),
        ] {
            let mut guess = Guess::default();
            for stored in &found {
                guess.note(*stored);
            }
            assert_eq!(guess.entry(&change("c")), expected, "{found:?}");
        }
    }
}
