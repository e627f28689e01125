//! Rows that incremental reading has processed, so that the overlap of two windows is not read twice. Pure.

use std::collections::BTreeMap;

use crate::change::{Change, Operation};
use crate::limits;
use crate::row::{self, RowMeta};
use crate::table::{Table, TimeField};

/// A row as one window returns it.
pub(super) struct SeenRow {
    /// Its id and the counters of its children: other counters are another name.
    name: String,
    /// Its value of the window's time field.
    at_ms: Option<u64>,
    /// Name and time of the same state in a window of modified times, where the counters prove that no child
    /// was added since.
    modified: Option<(String, u64)>,
}

impl SeenRow {
    /// A row of a window of `field`, the `index`th cursor field of the table.
    pub(super) fn new(table: &Table, field: TimeField, index: usize, meta: &RowMeta, row: &str) -> Self {
        let counts = table
            .children
            .and_then(|children| row::counts(row, children.kinds.iter().map(|kind| kind.count)));
        let name = counts.as_ref().map_or_else(|| meta.id.clone(), |counts| format!("{}:{counts}", meta.id));
        if index == 0 {
            return Self { name, at_ms: meta.modified_time_ms, modified: None };
        }
        let modified = counts.and(meta.modified_time_ms).map(|modified_ms| (name.clone(), modified_ms));
        Self { name: format!("{name}@{index}"), at_ms: row::time(row, field.member), modified }
    }

    /// True unless its time is before `from_ms`.
    pub(super) fn is_within(&self, from_ms: u64) -> bool {
        self.at_ms.is_none_or(|at_ms| at_ms >= from_ms)
    }

    /// True unless exactly this state was processed.
    pub(super) fn is_new(&self, seen: &BTreeMap<String, u64>) -> bool {
        let is_known = self.at_ms.is_some() && seen.get(&self.name).copied() == self.at_ms;
        let is_known_as_modified =
            self.modified.as_ref().is_some_and(|(name, at_ms)| seen.get(name) == Some(at_ms));
        !is_known && !is_known_as_modified
    }

    /// Adds it to the processed rows, unless it changed before `horizon_ms`. A row that changed just now may
    /// change again within the same second: it is not added, so that the next window reads it once more.
    pub(super) fn record(self, seen: &mut BTreeMap<String, u64>, horizon_ms: u64, source_now_ms: u64) {
        let is_settled = |at_ms: &u64| *at_ms >= horizon_ms && is_settled(*at_ms, source_now_ms);
        if let Some(at_ms) = self.at_ms.filter(is_settled) {
            seen.insert(self.name, at_ms);
        }
        bound(seen, limits::SEARCH_SEEN_MAX, horizon_ms);
    }

    /// Removes it from the processed rows if it changed just now: it was added because its page was asked for
    /// again.
    pub(super) fn forget_unsettled(self, seen: &mut BTreeMap<String, u64>, source_now_ms: u64) {
        if self.at_ms.is_some_and(|at_ms| !is_settled(at_ms, source_now_ms)) {
            seen.remove(&self.name);
        }
    }
}

/// True for a row that changed long enough ago that it does not change again within the same second.
fn is_settled(at_ms: u64, source_now_ms: u64) -> bool {
    at_ms.saturating_add(limits::SETTLED_MS) < source_now_ms
}

/// Notes the records that polling deleted, those that were deleted last: a verification that lists one reads
/// it.
pub(super) fn note_deleted(deleted: &mut BTreeMap<String, u64>, changes: &[Change]) {
    for change in changes.iter().filter(|change| change.operation == Operation::Delete) {
        if let Some(id) = row::text(&change.key, "id") {
            deleted.insert(id, change.as_of_ms.unwrap_or_default());
        }
    }
    bound(deleted, limits::DELETED_MAX, 0);
}

/// Removes rows before `horizon_ms`, which no window returns again, and the oldest above the limit.
pub(super) fn evict(seen: &mut BTreeMap<String, u64>, horizon_ms: u64) {
    keep_newest(seen, limits::SEARCH_SEEN_MAX, horizon_ms);
}

/// Evicts once there are an eighth more than `most`: eviction goes through all of them.
pub(super) fn bound(seen: &mut BTreeMap<String, u64>, most: usize, horizon_ms: u64) {
    if seen.len() > most + most / 8 {
        keep_newest(seen, most, horizon_ms);
    }
}

/// Keeps at most `most`, those with the newest times, and none before `horizon_ms`. Of equal times, those
/// with the first names.
fn keep_newest(seen: &mut BTreeMap<String, u64>, most: usize, horizon_ms: u64) {
    seen.retain(|_, at_ms| *at_ms >= horizon_ms);
    let Some(excess) = seen.len().checked_sub(most).filter(|excess| *excess > 0) else { return };
    let mut times: Vec<u64> = seen.values().copied().collect();
    let (_, oldest_kept, newer) = times.select_nth_unstable(excess);
    let oldest_kept = *oldest_kept;
    let mut left = most - newer.iter().filter(|at_ms| **at_ms > oldest_kept).count();
    seen.retain(|_, at_ms| {
        let is_oldest = *at_ms == oldest_kept;
        let is_kept = *at_ms > oldest_kept || (is_oldest && left > 0);
        left -= usize::from(is_kept && is_oldest);
        is_kept
    });
}

#[cfg(test)]
mod tests {
    use super::super::known;
    use super::*;
    use crate::change::ChangeSource;
    use crate::config::Shape;
    use crate::cursor::{Cursor, Phase, Search};
    use crate::tables;

    #[test]
    fn one_window_with_many_rows_stays_within_a_cursor() {
        let mut seen = BTreeMap::new();
        for at_ms in 1..=200_000 {
            let seen_row = SeenRow { name: format!("{at_ms}"), at_ms: Some(at_ms), modified: None };
            seen_row.record(&mut seen, 0, u64::MAX);
        }
        assert!(seen.len() <= limits::SEARCH_SEEN_MAX / 8 * 9);
        assert!(seen.contains_key("200000"));
    }

    #[test]
    fn rows_before_the_horizon_and_the_oldest_above_the_limit_are_evicted() {
        let most = limits::SEARCH_SEEN_MAX as u64;
        let mut seen: BTreeMap<String, u64> =
            (1..=most + 13).map(|at_ms| (at_ms.to_string(), at_ms)).collect();
        evict(&mut seen, 4);
        assert_eq!(seen.len() as u64, most);
        assert_eq!(seen.values().min(), Some(&14));
    }

    /// A cursor of 4 MiB is refused, and its table stops for good.
    #[test]
    fn one_round_with_many_rows_of_one_time_stays_within_a_cursor() {
        let now_ms = 1_795_368_310_000;
        let mut search = Search::since(now_ms);
        for id in 0..100_000 {
            let id = format!("8920000000{id:08}");
            let name = format!("{id}:12345,12345@1");
            let row = SeenRow { name, at_ms: Some(now_ms), modified: None };
            row.record(&mut search.seen, 0, u64::MAX);
            known::note(&mut search.parents, [id.as_str()].into_iter(), now_ms);
            search.foreign.insert(id.clone(), now_ms);
            bound(&mut search.foreign, limits::FOREIGN_MAX, 0);
            let delete = Change::delete(tables::ALL[0], &id, None, Some(now_ms), ChangeSource::Incremental);
            note_deleted(&mut search.deleted, &[delete]);
        }
        let bounds = [
            (&search.seen, limits::SEARCH_SEEN_MAX),
            (&search.parents, limits::PARENTS_KNOWN_MAX),
            (&search.foreign, limits::FOREIGN_MAX),
            (&search.deleted, limits::DELETED_MAX),
        ];
        for (kept, most) in bounds {
            assert!((most..=most + most / 8).contains(&kept.len()), "{} of {most}", kept.len());
        }
        let cursor = Cursor::new(tables::ALL[0], Phase::Search(search)).to_json(Shape::Document);
        assert!(cursor.len() < 3 << 20, "{} bytes", cursor.len());
    }
}
