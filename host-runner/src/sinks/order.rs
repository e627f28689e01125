//! The contract's order of changes: decides between a change and the row that a sink has stored.
//!
//! Pure, and shared by every sink that compares rows; a sink that appends writes the same generations, so
//! that its readers come to the same rows. Knows nothing of columns or statements. The rules are in
//! `docs/CONTRACT.md`, Reading.
//!
//! Times are Unix milliseconds, both they and the connector's ids of snapshots are `i64` here: databases have
//! no unsigned integer of 64 bits.

use xxhash_rust::xxh3::xxh3_64;

use super::{Commit, Counts};
use crate::change::{Change, Generation};

/// A time or an id as databases store it.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// When a change was true, by its own account or else by the time of the call.
pub(super) fn as_of(change: &Change, commit: &Commit<'_>) -> i64 {
    signed(change.as_of_ms.unwrap_or(commit.as_of_ms))
}

/// The newest snapshot of a table that was started.
///
/// Its generation is a number that the sink gives: 1, 2, 3. The connector's id only shows whether a batch
/// belongs to the same snapshot as the batch before, so that ids made from a clock may go backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NewestSnapshot {
    /// Its number; 0 if none was started.
    pub(super) generation: i64,
    /// Its id by the connector; none after a reset.
    pub(super) id: Option<i64>,
    /// When it started, by the source's clock, as its first batch said.
    pub(super) as_of: Option<i64>,
}

impl NewestSnapshot {
    /// The newest snapshot once a batch of `generation` is stored.
    pub(super) fn after(self, generation: Generation) -> Self {
        let id = Some(signed(generation.id));
        if self.id == id {
            return self;
        }
        Self { generation: self.generation + 1, id, as_of: generation.as_of_ms.map(signed) }
    }
}

/// In which snapshot the changes of one table in one commit count as contained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Containing {
    newest: NewestSnapshot,
    /// The number of the snapshot that the commit is a batch of.
    own: Option<i64>,
}

impl Containing {
    /// `newest` is the newest snapshot of `table` before the commit.
    pub(super) fn new(commit: &Commit<'_>, table: &str, newest: NewestSnapshot) -> Self {
        let own = commit.snapshot_of(table).map(|generation| newest.after(generation).generation);
        Self { newest, own }
    }

    /// Whether the commit is a batch of the first snapshot of its table.
    pub(super) fn is_first_snapshot(&self) -> bool {
        self.own == Some(1)
    }

    /// The generation that a change gives its row, 0 for none.
    ///
    /// A row that a snapshot read is contained in it. A change from elsewhere, for example a webhook, counts
    /// as contained in the newest snapshot when it is not older: the row existed after that snapshot started,
    /// and the snapshot may have passed its place before. An older one says nothing about whether the row
    /// still exists, and neither does a delete.
    pub(super) fn generation(&self, change: &Change, as_of: i64) -> i64 {
        let NewestSnapshot { generation, as_of: started, .. } = self.newest;
        match self.own {
            _ if change.after.is_none() => 0,
            Some(own) => own,
            None if started.is_none_or(|started| as_of >= started) => generation,
            None => 0,
        }
    }
}

/// What a stored row remembers of the change that wrote it: a hash of its id, and whether it was partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChangeMark(i64);

impl ChangeMark {
    /// The bit that marks a partial change.
    const PARTIAL: i64 = 1;

    pub(super) fn of(change: &Change) -> Self {
        let hash = xxh3_64(change.id.as_bytes()).cast_signed() & !Self::PARTIAL;
        Self(if change.partial { hash | Self::PARTIAL } else { hash })
    }

    /// A mark as it was stored.
    pub(super) fn stored(value: i64) -> Self {
        Self(value)
    }

    pub(super) fn value(self) -> i64 {
        self.0
    }

    /// Whether a change repeats the one that wrote the row.
    ///
    /// A whole row that has the text of the last partial change is none: the source may have removed members
    /// that the partial change left in place.
    fn is_repeated_by(self, change: &Change) -> bool {
        let was_whole = self.0 & Self::PARTIAL == 0;
        (was_whole || change.partial) && self.0 | Self::PARTIAL == Self::of(change).0 | Self::PARTIAL
    }
}

/// A stored row, as far as the order of changes needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredRow {
    pub(super) as_of: i64,
    pub(super) generation: i64,
    /// The change that wrote it; none if a comparison did.
    pub(super) mark: Option<ChangeMark>,
    pub(super) is_deleted: bool,
}

/// The entry that a sink has stored for the key of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Nothing,
    /// The row, possibly marked as deleted.
    Row(StoredRow),
    /// When the row was deleted.
    Tombstone(i64),
}

/// The operation on the stored row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Write the row as a new one; a tombstone of its key ends.
    Insert,
    /// Write the row over the stored one.
    Replace,
    /// Lay the members of the change over the stored row.
    Merge,
    /// Mark the row as deleted, or replace it by a tombstone.
    Delete,
    /// Write time and generation of the row alone.
    Touch,
    /// Nothing.
    Ignore,
}

/// How a change is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Inserted,
    Updated,
    Unchanged,
    Deleted,
    Stale,
}

/// The operation, how it is counted, and the row's time and generation afterward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) outcome: Outcome,
    pub(super) as_of: i64,
    pub(super) generation: i64,
}

impl Counts {
    /// Counts a change.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.read += 1;
        *match outcome {
            Outcome::Inserted => &mut self.inserted,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Stale => &mut self.stale,
        } += 1;
    }
}

/// Decides about a change as of `as_of`, contained in `generation` (0: in none), by the entry stored for its
/// key.
///
/// A newer change applies, and one of the same time applies again. An older one is ignored. A repetition of
/// the change that wrote the row only advances the row's time. Deletes are ordered like every other state,
/// but for those of a comparison: a row that a newer snapshot contains exists at any time.
pub(super) fn decide(stored: Stored, change: &Change, as_of: i64, generation: i64) -> Decision {
    let is_delete = change.after.is_none();
    let (action, outcome) = match stored {
        Stored::Row(row) => return decide_on_row(row, change, as_of, generation),
        Stored::Tombstone(deleted) if as_of < deleted => (Action::Ignore, Outcome::Stale),
        Stored::Tombstone(_) if is_delete => (Action::Delete, Outcome::Unchanged),
        Stored::Nothing if is_delete => (Action::Delete, Outcome::Deleted),
        Stored::Nothing | Stored::Tombstone(_) => (Action::Insert, Outcome::Inserted),
    };
    Decision { action, outcome, as_of, generation }
}

fn decide_on_row(row: StoredRow, change: &Change, as_of: i64, generation: i64) -> Decision {
    let was_missing = row.is_deleted && row.mark.is_none();
    let is_back = was_missing && generation > row.generation;
    let is_older = as_of < row.as_of;
    let (as_of, generation) = (as_of.max(row.as_of), generation.max(row.generation));
    let is_repetition = row.mark.is_some_and(|mark| mark.is_repeated_by(change));
    if is_repetition || (is_older && !is_back) {
        let is_known = (as_of, generation) == (row.as_of, row.generation);
        let action = if is_known { Action::Ignore } else { Action::Touch };
        let outcome = if is_repetition { Outcome::Unchanged } else { Outcome::Stale };
        return Decision { action, outcome, as_of, generation };
    }
    let (action, outcome) = match &change.after {
        None if row.is_deleted => (Action::Delete, Outcome::Unchanged),
        None => (Action::Delete, Outcome::Deleted),
        Some(_) if change.partial => (Action::Merge, Outcome::Updated),
        Some(_) => (Action::Replace, Outcome::Updated),
    };
    Decision { action, outcome, as_of, generation }
}

#[cfg(test)]
mod tests {
    use super::{
        Action, ChangeMark, Containing, Decision, NewestSnapshot, Outcome, Stored, StoredRow, decide,
    };
    use crate::change::{Change, ChangeSource, Generation, Operation};
    use crate::sinks::{Commit, InboxPosition, Progress};

    #[derive(Clone, Copy, Debug)]
    enum Form {
        Row,
        Partial,
        Delete,
    }

    fn change(form: Form, id: &str) -> Change {
        let is_delete = matches!(form, Form::Delete);
        Change {
            table: "things".into(),
            operation: if is_delete { Operation::Delete } else { Operation::Update },
            key: "{}".into(),
            before: None,
            after: (!is_delete).then(|| "{}".into()),
            partial: matches!(form, Form::Partial),
            source: ChangeSource::Webhook,
            source_updated_at_ms: None,
            as_of_ms: None,
            id: id.into(),
        }
    }

    /// The mark of a change with the id `stored`.
    fn mark(form: Form) -> Option<ChangeMark> {
        Some(ChangeMark::of(&change(form, "stored")))
    }

    #[test]
    fn a_whole_row_with_the_text_of_the_last_partial_change_is_no_repetition_of_it() {
        for (stored, new, outcome) in [
            (Form::Row, Form::Row, Outcome::Unchanged),
            (Form::Row, Form::Partial, Outcome::Unchanged),
            (Form::Partial, Form::Partial, Outcome::Unchanged),
            (Form::Partial, Form::Row, Outcome::Updated),
        ] {
            let row = StoredRow { as_of: 10, generation: 5, mark: mark(stored), is_deleted: false };
            let decision = decide(Stored::Row(row), &change(new, "stored"), 11, 5);
            assert_eq!(decision.outcome, outcome, "{stored:?} {new:?}");
        }
    }

    #[test]
    fn snapshots_are_numbered_by_the_sink_whatever_ids_they_have() {
        let batch = |id, as_of_ms| Generation { id, as_of_ms: Some(as_of_ms), complete: false };
        let first = NewestSnapshot::default().after(batch(2_000_000, 10));
        assert_eq!(first, NewestSnapshot { generation: 1, id: Some(2_000_000), as_of: Some(10) });
        assert_eq!(first.after(batch(2_000_000, 99)), first, "its first batch says when it started");
        // The clock went back.
        let second = first.after(batch(5, 20));
        assert_eq!((second.generation, second.as_of), (2, Some(20)));
    }

    #[test]
    fn every_state_and_change_has_one_decision() {
        let row = |is_deleted| {
            Stored::Row(StoredRow { as_of: 10, generation: 5, mark: mark(Form::Row), is_deleted })
        };
        let (live, marked, tombstone) = (row(false), row(true), Stored::Tombstone(10));
        use {Action::*, Form as F, Outcome::*};
        // The stored entry (as of 10, generation 5); the change, its id and time; the decision and the row's
        // time.
        #[rustfmt::skip]
        let table: &[(Stored, Form, &str, i64, Action, Outcome, i64)] = &[
            (Stored::Nothing, F::Row,     "new",    1,  Insert,  Inserted,  1),
            (Stored::Nothing, F::Partial, "new",    1,  Insert,  Inserted,  1),
            (Stored::Nothing, F::Delete,  "new",    1,  Delete,  Deleted,   1),
            (tombstone,       F::Row,     "new",    9,  Ignore,  Stale,     9),
            (tombstone,       F::Row,     "new",    10, Insert,  Inserted,  10),
            (tombstone,       F::Partial, "new",    11, Insert,  Inserted,  11),
            (tombstone,       F::Delete,  "new",    9,  Ignore,  Stale,     9),
            (tombstone,       F::Delete,  "new",    11, Delete,  Unchanged, 11),
            (live,            F::Row,     "new",    9,  Ignore,  Stale,     10),
            (live,            F::Row,     "new",    10, Replace, Updated,   10),
            (live,            F::Row,     "new",    11, Replace, Updated,   11),
            (live,            F::Partial, "new",    9,  Ignore,  Stale,     10),
            (live,            F::Partial, "new",    10, Merge,   Updated,   10),
            (live,            F::Delete,  "new",    9,  Ignore,  Stale,     10),
            (live,            F::Delete,  "new",    10, Delete,  Deleted,   10),
            (live,            F::Row,     "stored", 9,  Ignore,  Unchanged, 10),
            (live,            F::Row,     "stored", 10, Ignore,  Unchanged, 10),
            (live,            F::Row,     "stored", 11, Touch,   Unchanged, 11),
            (live,            F::Partial, "stored", 11, Touch,   Unchanged, 11),
            (marked,          F::Row,     "new",    9,  Ignore,  Stale,     10),
            (marked,          F::Row,     "new",    10, Replace, Updated,   10),
            (marked,          F::Partial, "new",    11, Merge,   Updated,   11),
            (marked,          F::Delete,  "new",    9,  Ignore,  Stale,     10),
            (marked,          F::Delete,  "new",    11, Delete,  Unchanged, 11),
            (marked,          F::Delete,  "stored", 11, Touch,   Unchanged, 11),
        ];
        for &(stored, form, id, as_of, action, outcome, row_as_of) in table {
            let generation = if matches!(stored, Stored::Row(_)) { 5 } else { 0 };
            let expected = Decision { action, outcome, as_of: row_as_of, generation };
            assert_eq!(
                decide(stored, &change(form, id), as_of, 0),
                expected,
                "{stored:?} {form:?} {id} {as_of}"
            );
        }
    }

    #[test]
    fn an_ignored_change_still_gives_its_row_a_newer_generation() {
        let row = StoredRow { as_of: 10, generation: 5, mark: mark(Form::Row), is_deleted: false };
        for (id, outcome) in [("stored", Outcome::Unchanged), ("new", Outcome::Stale)] {
            let expected = Decision { action: Action::Touch, outcome, as_of: 10, generation: 6 };
            assert_eq!(decide(Stored::Row(row), &change(Form::Row, id), 9, 6), expected, "{id}");
            let expected = Decision { action: Action::Ignore, generation: 5, ..expected };
            assert_eq!(decide(Stored::Row(row), &change(Form::Row, id), 9, 4), expected, "{id}");
        }
    }

    #[test]
    fn a_row_that_a_comparison_deleted_is_back_once_a_newer_snapshot_contains_it() {
        let row = |mark| Stored::Row(StoredRow { as_of: 10, generation: 5, mark, is_deleted: true });
        for (form, action) in [(Form::Row, Action::Replace), (Form::Partial, Action::Merge)] {
            let back = Decision { action, outcome: Outcome::Updated, as_of: 10, generation: 6 };
            assert_eq!(decide(row(None), &change(form, "new"), 1, 6), back, "{form:?}");
            for (stored, generation) in [(row(None), 5), (row(None), 0), (row(mark(Form::Delete)), 6)] {
                let decision = decide(stored, &change(form, "new"), 1, generation);
                assert_eq!(decision.outcome, Outcome::Stale, "{form:?} {stored:?} {generation}");
            }
        }
    }

    #[test]
    fn a_snapshot_contains_what_it_read_and_what_is_not_older_but_never_a_delete() {
        let own = Generation { id: 70, as_of_ms: Some(100), complete: false };
        let of = |generation, started, form, as_of| {
            let progress = Progress::Table { name: "things", cursor: "", generation };
            let commit = Commit { changes: &[], progress, as_of_ms: 0, epoch: 0 };
            let newest = NewestSnapshot { generation: 6, id: Some(60), as_of: started };
            Containing::new(&commit, "things", newest).generation(&change(form, "new"), as_of)
        };
        assert_eq!(of(Some(own), Some(50), Form::Row, 1), 7, "read by a new snapshot, however old");
        let newest = Some(Generation { id: 60, ..own });
        assert_eq!(of(newest, Some(50), Form::Row, 1), 6, "read by the newest snapshot, however old");
        assert_eq!(of(None, Some(50), Form::Partial, 50), 6);
        assert_eq!(of(None, Some(50), Form::Row, 49), 0, "older than the newest snapshot");
        assert_eq!(of(None, None, Form::Row, 1), 6, "a snapshot without a time");
        for generation in [Some(own), None] {
            assert_eq!(of(generation, Some(50), Form::Delete, 60), 0);
        }
        let position = InboxPosition { journal: String::new(), through: 1 };
        let journal = Commit { changes: &[], progress: Progress::Journal(&position), as_of_ms: 0, epoch: 0 };
        let containing = Containing::new(&journal, "things", NewestSnapshot::default());
        assert_eq!(containing.generation(&change(Form::Row, "new"), 1), 0, "before the first snapshot");
    }
}
