//! Reduces the changes of one commit to one row for each key, for sinks that write a table in one statement.
//!
//! Pure: takes the entries that are stored and the changes in their order, and gives one row for each key.
//! [`order`](super::order) decides about each change. Knows nothing of columns, statements or databases.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::columns::Layout;
use super::members::MemberPaths;
use super::order::{Action, ChangeMark, Containing, Stored, StoredRow, as_of, decide};
use super::{Commit, Counts, Deletes};
use crate::change::{Change, ChangeSource};
use crate::error::Result;

/// The texts of a key's members.
pub(super) type Key<'c> = Vec<Cow<'c, str>>;

/// The changes of one table, and the key of each.
pub(super) struct Keyed<'c> {
    /// Every key once, in the order of its first change.
    pub(super) keys: Vec<Key<'c>>,
    /// The changes, with the place of their key in `keys`.
    changes: Vec<(usize, &'c Change)>,
}

/// The row and the entry of a key after its changes.
#[derive(Debug, PartialEq)]
pub(super) struct Folded<'c> {
    pub(super) row: Row<'c>,
    /// The entry for the order of changes; none if it stays as it is.
    pub(super) entry: Option<Stored>,
    /// Whether no row is stored under this key.
    pub(super) is_new: bool,
    /// Whether no entry is either, not even a tombstone.
    pub(super) is_unseen: bool,
}

/// The operation on the row of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Row<'c> {
    /// None.
    Keep,
    /// Mark the stored row as deleted.
    Mark(ChangeSource),
    /// Delete the stored row.
    Remove,
    /// Write it.
    Write(Content<'c>),
}

/// A row to write.
#[derive(Debug, PartialEq)]
pub(super) struct Content<'c> {
    pub(super) base: Base<'c>,
    /// Partial rows, to be laid over the base in this order.
    pub(super) partials: Vec<&'c str>,
    pub(super) source_updated_at_ms: Option<u64>,
    pub(super) source: ChangeSource,
    pub(super) is_deleted: bool,
}

/// The row that the partial rows are laid over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Base<'c> {
    /// None: the delete came before its row.
    Nothing,
    /// The stored one.
    Stored,
    /// This one.
    Text(&'c str),
}

impl<'c> Keyed<'c> {
    /// Reads the keys of a table's changes.
    pub(super) fn new(
        layout: &Layout,
        key_paths: &MemberPaths,
        changes: impl Iterator<Item = &'c Change>,
    ) -> Result<Self> {
        let mut places: IndexMap<Key<'c>, ()> = IndexMap::new();
        let mut keyed = Vec::new();
        for change in changes {
            let place = places.insert_full(layout.key_of(key_paths, &change.key)?, ()).0;
            keyed.push((place, change));
        }
        Ok(Self { keys: places.into_keys().collect(), changes: keyed })
    }

    /// Folds the changes. `stored` has the entry of each key, in the order of `keys`.
    pub(super) fn fold(
        &self,
        stored: &[Stored],
        commit: &Commit<'_>,
        containing: &Containing,
        deletes: Deletes,
        counts: &mut Counts,
    ) -> Vec<Folded<'c>> {
        let mut states: Vec<State<'c>> = stored.iter().map(|stored| State::new(*stored)).collect();
        for (place, change) in &self.changes {
            let Some(state) = states.get_mut(*place) else { continue };
            let as_of = as_of(change, commit);
            let decision = decide(state.entry, change, as_of, containing.generation(change, as_of));
            counts.count(decision.outcome);
            match decision.action {
                Action::Ignore => continue,
                Action::Touch => {}
                Action::Insert | Action::Replace => state.write(change),
                Action::Merge => state.merge(change),
                Action::Delete => state.delete(change, deletes),
            }
            state.enter(change, decision.action, decision.as_of, decision.generation);
        }
        states.into_iter().map(State::finish).collect()
    }
}

/// A key while its changes are folded.
struct State<'c> {
    row: Row<'c>,
    entry: Stored,
    /// The entry before.
    before: Stored,
    is_changed: bool,
}

impl<'c> State<'c> {
    fn new(entry: Stored) -> Self {
        Self { row: Row::Keep, entry, before: entry, is_changed: false }
    }

    fn write(&mut self, change: &'c Change) {
        self.row = Row::Write(Content::of(change, change.after.as_deref().map_or(Base::Nothing, Base::Text)));
    }

    fn merge(&mut self, change: &'c Change) {
        let Some(members) = change.after.as_deref() else { return };
        match &mut self.row {
            Row::Write(content) => {
                match content.base {
                    Base::Nothing => content.base = Base::Text(members),
                    Base::Stored | Base::Text(_) => content.partials.push(members),
                }
                content.source_updated_at_ms = change.source_updated_at_ms;
                content.source = change.source;
                content.is_deleted = false;
            }
            Row::Keep | Row::Mark(_) | Row::Remove => {
                let content = Content::of(change, Base::Stored);
                self.row = Row::Write(Content { partials: vec![members], ..content });
            }
        }
    }

    fn delete(&mut self, change: &'c Change, deletes: Deletes) {
        if self.leaves_tombstone(deletes) {
            self.row = if matches!(self.before, Stored::Row(_)) { Row::Remove } else { Row::Keep };
            return;
        }
        match &mut self.row {
            Row::Write(content) => {
                content.is_deleted = true;
                content.source = change.source;
            }
            Row::Keep | Row::Mark(_) | Row::Remove => {
                self.row = match self.entry {
                    Stored::Row(_) => Row::Mark(change.source),
                    // The delete came before its row: a marked row without values keeps the row from
                    // coming back.
                    _ => Row::Write(Content { is_deleted: true, ..Content::of(change, Base::Nothing) }),
                };
            }
        }
    }

    fn leaves_tombstone(&self, deletes: Deletes) -> bool {
        deletes == Deletes::Hard || matches!(self.entry, Stored::Tombstone(_))
    }

    /// Notes the entry after the change. A delete that left no row left a tombstone.
    fn enter(&mut self, change: &Change, action: Action, as_of: i64, generation: i64) {
        self.is_changed = true;
        let has_row = matches!(self.row, Row::Write(_) | Row::Mark(_));
        self.entry = match (action, self.entry) {
            (Action::Touch, Stored::Row(row)) => Stored::Row(StoredRow { as_of, generation, ..row }),
            (Action::Delete, _) if !has_row => Stored::Tombstone(as_of),
            _ => Stored::Row(StoredRow {
                as_of,
                generation,
                mark: Some(ChangeMark::of(change)),
                is_deleted: change.after.is_none(),
            }),
        };
    }

    fn finish(self) -> Folded<'c> {
        Folded {
            row: self.row,
            entry: self.is_changed.then_some(self.entry),
            is_new: !matches!(self.before, Stored::Row(_)),
            is_unseen: self.before == Stored::Nothing,
        }
    }
}

impl<'c> Content<'c> {
    fn of(change: &Change, base: Base<'c>) -> Self {
        Self {
            base,
            partials: Vec::new(),
            source_updated_at_ms: change.source_updated_at_ms,
            source: change.source,
            is_deleted: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, Folded, Keyed, Row};
    use crate::change::{Change, ChangeSource, Operation, Table};
    use crate::sinks::columns::{Layout, Naming};
    use crate::sinks::order::{ChangeMark, Containing, NewestSnapshot, Stored, StoredRow};
    use crate::sinks::{Commit, Counts, Deletes, InboxPosition, Progress};

    /// `1` is the row `{"n":1}`, `+1` the same as a partial row, `-` a delete; with its time.
    fn change((what, as_of): (&str, u64)) -> Change {
        let after = (what != "-").then(|| format!("{{\"n\":{}}}", what.trim_start_matches('+')));
        Change {
            table: "things".into(),
            operation: Operation::Update,
            key: "{\"id\":\"a\"}".into(),
            before: None,
            after,
            partial: what.starts_with('+'),
            source: ChangeSource::Webhook,
            source_updated_at_ms: None,
            as_of_ms: Some(as_of),
            id: format!("{what}:{as_of}"),
        }
    }

    fn layout() -> Layout {
        let table = Table {
            name: "things".into(),
            primary_key: vec!["id".into()],
            schema: "{}".into(),
            schema_complete: true,
            attributes: vec![],
        };
        Layout::new(&table, &Naming::EXACT).expect("a layout")
    }

    /// The row and the entry that are left, as a short text.
    fn shown(folded: &Folded<'_>) -> String {
        let row = match &folded.row {
            Row::Keep => "keep".to_owned(),
            Row::Mark(_) => "mark".to_owned(),
            Row::Remove => "remove".to_owned(),
            Row::Write(content) => {
                let base = match content.base {
                    Base::Nothing => "nothing",
                    Base::Stored => "stored",
                    Base::Text(text) => text,
                };
                let deleted = if content.is_deleted { " deleted" } else { "" };
                format!("write {}{deleted}", [&[base], content.partials.as_slice()].concat().join("+"))
            }
        };
        let entry = match folded.entry {
            None => "same".to_owned(),
            Some(Stored::Nothing) => "nothing".to_owned(),
            Some(Stored::Tombstone(as_of)) => format!("tombstone {as_of}"),
            Some(Stored::Row(row)) => {
                format!("{} {}", if row.is_deleted { "deleted" } else { "live" }, row.as_of)
            }
        };
        format!("{row}; {entry}")
    }

    /// The stored entry, the changes, how deletes are stored, and the result.
    type Case<'t> = (Stored, &'t [(&'t str, u64)], Deletes, &'t str);

    fn fold(stored: Stored, changes: &[(&str, u64)], deletes: Deletes) -> String {
        let changes: Vec<Change> = changes.iter().copied().map(change).collect();
        let layout = layout();
        let keyed = Keyed::new(&layout, &layout.key_paths(), changes.iter()).expect("keys");
        let position = InboxPosition { journal: String::new(), through: 1 };
        let commit =
            Commit { changes: &changes, progress: Progress::Journal(&position), as_of_ms: 0, epoch: 0 };
        let containing = Containing::new(&commit, "things", NewestSnapshot::default());
        let mut counts = Counts::default();
        let folded = keyed.fold(&[stored], &commit, &containing, deletes, &mut counts);
        assert_eq!(counts.read as usize, changes.len());
        shown(&folded[0])
    }

    #[test]
    fn a_batch_leaves_one_row_for_a_key() {
        let row = |is_deleted| {
            let mark = Some(ChangeMark::of(&change(("0", 10))));
            Stored::Row(StoredRow { as_of: 10, generation: 0, mark, is_deleted })
        };
        let (nothing, live, deleted, tombstone) =
            (Stored::Nothing, row(false), row(true), Stored::Tombstone(10));
        use Deletes::{Hard, Soft};
        #[rustfmt::skip]
        let table: &[Case<'_>] = &[
            (nothing, &[("1", 5)], Soft, r#"write {"n":1}; live 5"#),
            (nothing, &[("1", 5), ("2", 4)], Soft, r#"write {"n":1}; live 5"#),
            (nothing, &[("1", 5), ("2", 6)], Soft, r#"write {"n":2}; live 6"#),
            (nothing, &[("1", 5), ("+2", 6), ("+3", 7)], Soft, r#"write {"n":1}+{"n":2}+{"n":3}; live 7"#),
            (nothing, &[("-", 5)], Soft, "write nothing deleted; deleted 5"),
            (nothing, &[("-", 5), ("+2", 6), ("+3", 7)], Soft, r#"write {"n":2}+{"n":3}; live 7"#),
            (nothing, &[("1", 5), ("-", 6)], Soft, r#"write {"n":1} deleted; deleted 6"#),
            (nothing, &[("1", 5), ("-", 6), ("+2", 7)], Soft, r#"write {"n":1}+{"n":2}; live 7"#),
            (nothing, &[("-", 5)], Hard, "keep; tombstone 5"),
            (nothing, &[("1", 5), ("-", 6)], Hard, "keep; tombstone 6"),
            (nothing, &[("-", 5), ("1", 4), ("2", 6)], Hard, r#"write {"n":2}; live 6"#),
            (live, &[("1", 9)], Soft, "keep; same"),
            (live, &[("0", 10)], Soft, "keep; same"),
            (live, &[("-", 11)], Soft, "mark; deleted 11"),
            (live, &[("-", 11), ("+1", 12)], Soft, r#"write stored+{"n":1}; live 12"#),
            (live, &[("-", 11), ("1", 12)], Soft, r#"write {"n":1}; live 12"#),
            (live, &[("+1", 11), ("-", 12)], Soft, r#"write stored+{"n":1} deleted; deleted 12"#),
            (live, &[("-", 11)], Hard, "remove; tombstone 11"),
            (live, &[("-", 11), ("1", 10)], Hard, "remove; tombstone 11"),
            (live, &[("-", 11), ("+1", 12)], Hard, r#"write {"n":1}; live 12"#),
            (deleted, &[("+1", 11)], Soft, r#"write stored+{"n":1}; live 11"#),
            (deleted, &[("-", 12)], Soft, "mark; deleted 12"),
            (tombstone, &[("1", 9)], Soft, "keep; same"),
            (tombstone, &[("-", 12)], Soft, "keep; tombstone 12"),
            (tombstone, &[("1", 11), ("-", 12)], Soft, r#"write {"n":1} deleted; deleted 12"#),
        ];
        for (stored, changes, deletes, expected) in table {
            assert_eq!(fold(*stored, changes, *deletes), *expected, "{stored:?} {changes:?} {deletes:?}");
        }
    }

    #[test]
    fn a_row_that_is_seen_again_advances_its_entry_alone() {
        let seen = change(("0", 10));
        let mark = Some(ChangeMark::of(&seen));
        let stored = Stored::Row(StoredRow { as_of: 10, generation: 0, mark, is_deleted: false });
        let again = [Change { as_of_ms: Some(12), ..seen }];
        let layout = layout();
        let keyed = Keyed::new(&layout, &layout.key_paths(), again.iter()).expect("keys");
        let position = InboxPosition { journal: String::new(), through: 1 };
        let commit =
            Commit { changes: &again, progress: Progress::Journal(&position), as_of_ms: 0, epoch: 0 };
        let containing = Containing::new(&commit, "things", NewestSnapshot::default());
        let folded = keyed.fold(&[stored], &commit, &containing, Deletes::Soft, &mut Counts::default());
        assert_eq!(shown(&folded[0]), "keep; live 12");
    }
}
