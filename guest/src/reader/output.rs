//! The batch being filled: its changes, its bounds, its warnings, and why it ended early.

use std::collections::BTreeSet;

use super::Limits;
use super::details::Listed;
use crate::change::{Change, ChangeSource, Listing, Operation};
use crate::error::{Error, Result};
use crate::row::RowMeta;
use crate::table::Table;

/// The result of one step of a read.
pub(super) enum Progress {
    /// There may be more at the cursor.
    More,
    /// The phase is finished.
    Done,
}

pub(super) struct Output {
    /// Of every change in it: a batch never holds both a snapshot's and incremental changes.
    pub(super) source: ChangeSource,
    pub(super) changes: Vec<Change>,
    pub(super) listings: Vec<Listing>,
    bytes: usize,
    pub(super) warnings: Vec<String>,
    limits: Limits,
    deadline_ms: u64,
    /// The cursor moved, with or without changes: a failure ends the batch instead of the call.
    pub(super) has_moved: bool,
    /// A row was skipped that the sink may hold.
    pub(super) incomplete: bool,
    /// Parents of which a child, or a list, could not be read and was skipped.
    pub(super) unread: Vec<String>,
    /// Why the batch ended early.
    pub(super) failure: Option<Error>,
    /// The parent at whose list or child it did, where there is one.
    pub(super) failed_parent: Option<String>,
    /// Shortest wait that the source asked for without ending the batch.
    pub(super) wait_ms: Option<u64>,
    /// Further rows belong to another batch.
    pub(super) is_ended: bool,
    /// A list of children could be read.
    pub(super) has_listed: bool,
    /// Rows are compared with those of the sink: no details are read.
    pub(super) verifies: bool,
    /// The changes are of the second search: most are known.
    pub(super) is_second: bool,
    /// Keys of rows that are deleted because they are of departments that are not selected: no webhook brings
    /// their changes.
    pub(super) foreign: BTreeSet<String>,
    /// Until when the source was read before, by its clock: rows read now are newer, also when the
    /// source's clock was set back.
    pub(super) not_before_ms: u64,
    /// Rows written with only the members of the list, and the first of them with its cause.
    pub(super) partial_rows: u64,
    first_partial: Option<String>,
}

impl Output {
    pub(super) fn new(source: ChangeSource, limits: Limits, ticks_ms: u64) -> Self {
        Self {
            source,
            changes: Vec::new(),
            listings: Vec::new(),
            bytes: 0,
            warnings: Vec::new(),
            limits,
            deadline_ms: ticks_ms.saturating_add(u64::from(limits.max_ms)),
            has_moved: false,
            incomplete: false,
            unread: Vec::new(),
            failure: None,
            failed_parent: None,
            wait_ms: None,
            is_ended: false,
            has_listed: false,
            verifies: false,
            is_second: false,
            foreign: BTreeSet::new(),
            not_before_ms: 0,
            partial_rows: 0,
            first_partial: None,
        }
    }

    /// Notes that a row is written with only the members of the list.
    pub(super) fn partial_row(&mut self, row: impl FnOnce() -> String, error: &Error) {
        self.partial_rows += 1;
        self.first_partial.get_or_insert_with(|| format!("{}: only the members of the list: {error}", row()));
    }

    /// All warnings: one about partial rows, however many there are.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        if let Some(mut first) = self.first_partial.take() {
            if self.partial_rows > 1 {
                first.push_str(&format!(
                    "; {} more rows of this batch have only these",
                    self.partial_rows - 1
                ));
            }
            warnings.push(first);
        }
        warnings
    }

    /// The time of an answer, and never before earlier answers.
    pub(super) fn observed(&self, as_of_ms: Option<u64>) -> Option<u64> {
        as_of_ms.map(|at_ms| at_ms.max(self.not_before_ms))
    }

    /// Adds a row as this read found it.
    pub(super) fn row(&mut self, table: &'static Table, meta: &RowMeta, row: String, as_of_ms: Option<u64>) {
        self.push(Change::of_row(table, Operation::Read, meta, row, as_of_ms, self.source));
    }

    pub(super) fn delete(
        &mut self,
        table: &'static Table,
        id: &str,
        before: Option<String>,
        as_of_ms: Option<u64>,
    ) {
        self.push(Change::delete(table, id, before, as_of_ms, self.source));
    }

    /// Adds a list row whose detail cannot be read because of `error`: the sink keeps the members that it
    /// lacks.
    pub(super) fn list_row(&mut self, table: &'static Table, listed: &Listed<'_>, error: &Error) {
        let Listed { meta, row, as_of_ms, .. } = *listed;
        self.partial_row(|| format!("`{}` {}", table.name, meta.id), error);
        let change = Change::of_row(table, Operation::Read, meta, row.to_owned(), as_of_ms, self.source);
        self.push(Change { partial: true, ..change });
    }

    /// Adds a change. A row found incrementally was created or changed, and replaces only the members it has:
    /// a list row of the snapshot may have members that neither search nor detail have.
    pub(super) fn push(&mut self, mut change: Change) {
        if change.operation == Operation::Read && self.source == ChangeSource::Incremental {
            change.operation = Operation::Update;
            change.partial = true;
            // The search index lags, so a search row is only as recent as its modified time.
            change.as_of_ms = change.as_of_ms.or(change.source_updated_at_ms);
        }
        self.bytes +=
            change.after.as_ref().map_or(0, String::len) + change.before.as_ref().map_or(0, String::len);
        self.changes.push(change);
    }

    /// Adds all rows of one parent.
    pub(super) fn listing(&mut self, listing: Listing) {
        self.bytes += listing.parent.len() + listing.keys.iter().map(String::len).sum::<usize>();
        self.listings.push(listing);
    }

    /// Notes that rows are skipped that the sink may hold: the snapshot is incomplete.
    pub(super) fn skip(&mut self, warning: String) {
        self.incomplete = true;
        self.warnings.push(warning);
    }

    /// Stores the failure at a list or a child of a parent, which ends the batch. The first one counts.
    pub(super) fn fail_of(&mut self, parent: &str, error: Error) {
        if self.failure.is_none() {
            self.failed_parent = Some(parent.to_owned());
            self.failure = Some(error);
        }
    }

    /// The value, or none after storing the failure that ends the batch.
    pub(super) fn value_or_end<V>(&mut self, result: Result<V>) -> Option<V> {
        result.map_err(|error| self.failure = Some(error)).ok()
    }

    /// The result of a step that did not process its whole page: the failure, or the batch is full.
    pub(super) fn interrupted(&mut self) -> Result<Progress> {
        self.failure.take().map_or(Ok(Progress::More), Err)
    }

    /// Removes changes from index `first` on whose rows were modified before `from_ms`. True if any.
    pub(super) fn remove_older(&mut self, first: usize, from_ms: u64) -> bool {
        let count = self.changes.len();
        let mut index = 0;
        self.changes.retain(|change| {
            index += 1;
            index <= first || change.source_updated_at_ms.is_none_or(|at_ms| at_ms >= from_ms)
        });
        self.changes.len() < count
    }

    pub(super) fn is_full(&self, ticks_ms: u64) -> bool {
        self.is_ended
            || self.changes.len() + self.listings.len() >= self.limits.max_changes as usize
            || self.bytes >= self.limits.max_bytes as usize
            || ticks_ms >= self.deadline_ms
    }

    /// Changes that still fit.
    pub(super) fn room(&self) -> u64 {
        u64::from(self.limits.max_changes).saturating_sub(self.changes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    const LIMITS: Limits = Limits { max_changes: 2, max_bytes: 100, max_ms: 10 };

    /// The change of a row modified at 3, as a read of this kind writes it.
    fn row(source: ChangeSource, as_of_ms: Option<u64>) -> Change {
        let mut out = Output::new(source, LIMITS, 0);
        let meta = RowMeta { id: "1".to_owned(), modified_time_ms: Some(3), deleted: false };
        out.row(tables::ALL[0], &meta, "{}".to_owned(), as_of_ms);
        out.changes.remove(0)
    }

    #[test]
    fn a_row_is_complete_in_a_snapshot_and_a_partial_update_in_incremental_reading() {
        let found = row(ChangeSource::Snapshot, None);
        assert_eq!((found.operation, found.partial, found.as_of_ms), (Operation::Read, false, None));
        let found = row(ChangeSource::Incremental, None);
        assert_eq!((found.operation, found.partial, found.as_of_ms), (Operation::Update, true, Some(3)));
        assert_eq!(row(ChangeSource::Incremental, Some(7)).as_of_ms, Some(7));
    }

    #[test]
    fn a_batch_is_full_at_each_of_its_bounds() {
        let mut out = Output::new(ChangeSource::Snapshot, LIMITS, 5);
        assert!(!out.is_full(14) && out.is_full(15), "time");
        out.delete(tables::ALL[0], "1", Some("x".repeat(99)), None);
        assert!(!out.is_full(5));
        out.delete(tables::ALL[0], "2", None, None);
        assert!(out.is_full(5), "changes");
        let mut out = Output::new(ChangeSource::Snapshot, LIMITS, 5);
        out.delete(tables::ALL[0], "1", Some("x".repeat(100)), None);
        assert!(out.is_full(5), "bytes");
    }
}
