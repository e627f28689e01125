//! Facts about the source that calls have shown: parameters that it refuses, records that fail, lists that
//! are short and those that had rows. Kept in the session. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Learned {
    /// Optional parameters that the source refused, as `table.parameter`, with the time; not sent again for a
    /// while.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) refused_parameters: BTreeMap<String, u64>,
    /// Records that could not be read while others could, as `table.id`: failed calls, and since when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed_records: BTreeMap<String, (u32, u64)>,
    /// A path that was read before others of its kind of calls failed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    readable: BTreeMap<String, String>,
    /// A path of each kind of calls that was read last. Not stored.
    #[serde(skip)]
    last_read: BTreeMap<String, String>,
    /// Rows by which the last list of a table was shorter than the source's count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    short_lists: BTreeMap<String, u64>,
    /// Partitions of lists, as `table.value`: true once one had rows, false while every request for it was
    /// refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partitions: BTreeMap<String, bool>,
}

impl Learned {
    /// The facts for another grant: the lists that had rows. Its user may see less.
    pub(crate) fn for_another_grant(&self) -> Self {
        Self { partitions: self.partitions.clone(), ..Self::default() }
    }

    /// True when the source refused an optional parameter.
    pub(crate) fn is_unsupported(&self, table: &str, parameter: &str) -> bool {
        self.refused_parameters.contains_key(&format!("{table}.{parameter}"))
    }

    /// Notes that the source refuses an optional parameter.
    pub(crate) fn note_unsupported(&mut self, table: &str, parameter: &str, now_ms: u64) {
        self.refused_parameters.entry(format!("{table}.{parameter}")).or_insert(now_ms);
    }

    /// Forgets refusals that are a week old: the source may have changed. Called before a snapshot starts:
    /// its requests must not change while it is read.
    pub(crate) fn forget_old_refusals(&mut self, table: &str, now_ms: u64) {
        let is_of = |name: &str| name.split_once('.').is_some_and(|(of, _)| of == table);
        self.refused_parameters.retain(|name, at_ms| {
            !is_of(name) || now_ms.abs_diff(*at_ms) < limits::REFUSED_PARAMETER_LIFE_MS
        });
    }

    /// Counts a failure of one record. True when it failed before in other calls, a while ago: then it is
    /// written without its detail. True from then on: where another one of its step failed, it is asked for
    /// again, and the two would be given up in turn without end.
    pub(crate) fn gives_up(&mut self, table: &str, id: &str, failures: u32, now_ms: u64) -> bool {
        let failed = &mut self.failed_records;
        let record = format!("{table}.{id}");
        if failed.len() >= limits::FAILED_RECORDS_MAX && !failed.contains_key(&record) {
            // Once those that are counted are given up, there is room for this one.
            failed.retain(|_, (count, since_ms)| *count < failures && !is_old(*since_ms, now_ms));
            if failed.len() >= limits::FAILED_RECORDS_MAX {
                return false;
            }
        }
        let (count, since_ms) = failed.entry(record).or_insert((0, now_ms));
        *count = count.saturating_add(1);
        *count >= failures && now_ms.abs_diff(*since_ms) >= limits::FAILED_RECORD_MS
    }

    /// Forgets that a record was given up an hour ago: it is counted again.
    pub(crate) fn forget_given_up(&mut self, table: &str, id: &str, failures: u32, now_ms: u64) {
        let record = format!("{table}.{id}");
        let failed = self.failed_records.get(&record);
        if failed.is_some_and(|(count, since_ms)| *count >= failures && is_old(*since_ms, now_ms)) {
            self.failed_records.remove(&record);
        }
    }

    /// Forgets the failures of a record that was read.
    pub(crate) fn forget_failures(&mut self, table: &str, id: &str) {
        if self.failed_records.is_empty() {
            return;
        }
        self.failed_records.remove(&format!("{table}.{id}"));
        if self.failed_records.is_empty() {
            self.readable.clear();
        }
    }

    /// Notes a path that was read, of one kind of calls; in the session when others of that kind failed.
    pub(crate) fn note_readable(&mut self, calls: &str, path: Option<&str>, have_others_failed: bool) {
        if let Some(path) = path {
            self.last_read.insert(calls.to_owned(), path.to_owned());
        }
        if have_others_failed && let Some(path) = self.last_read.get(calls) {
            self.readable.insert(calls.to_owned(), path.clone());
        }
    }

    /// A path of this kind of calls that was read before others failed.
    pub(crate) fn readable(&self, calls: &str) -> Option<String> {
        self.readable.get(calls).cloned()
    }

    /// Notes by how many rows a table's list is shorter than the source's count. Returns the number noted
    /// before.
    pub(crate) fn replace_short_list(&mut self, table: &str, rows: u64) -> Option<u64> {
        let short = &mut self.short_lists;
        if rows == 0 { short.remove(table) } else { short.insert(table.to_owned(), rows) }
    }

    /// Whether a partition of a list ever had rows; none when it was not asked for yet.
    pub(crate) fn partition_had_rows(&self, table: &str, value: &str) -> Option<bool> {
        self.partitions.get(&format!("{table}.{value}")).copied()
    }

    /// Notes that a partition of a list had rows, or that it was refused.
    pub(crate) fn note_partition(&mut self, table: &str, value: &str, had_rows: bool) {
        self.partitions.insert(format!("{table}.{value}"), had_rows);
    }
}

/// True for a failure that does not count any more.
fn is_old(since_ms: u64, now_ms: u64) -> bool {
    now_ms.abs_diff(since_ms) >= limits::FAILED_RECORD_LIFE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_given_up_stays_so_for_an_hour_or_until_it_is_read() {
        let mut learned = Learned::default();
        let mut gives_up = |now_ms: u64| {
            learned.forget_given_up("tickets", "1", 2, now_ms);
            learned.gives_up("tickets", "1", 2, now_ms)
        };
        let (second_ms, hour_ms) = (limits::FAILED_RECORD_MS, limits::FAILED_RECORD_LIFE_MS);
        let now_ms = [0, second_ms, second_ms + 1, hour_ms - 1, hour_ms, hour_ms + second_ms];
        assert_eq!(now_ms.map(&mut gives_up), [false, true, true, true, false, true]);
        learned.forget_failures("tickets", "1");
        assert!(!learned.gives_up("tickets", "1", 2, hour_ms + second_ms));
    }

    #[test]
    fn more_failing_records_than_are_counted_are_given_up_one_after_another() {
        let (mut learned, mut now_ms) = (Learned::default(), 1_000);
        let mut failing: Vec<String> =
            (0..limits::FAILED_RECORDS_MAX + 50).map(|id| id.to_string()).collect();
        for _ in 0..4 {
            failing.retain(|id| !learned.gives_up("tickets", id, 2, now_ms));
            now_ms += limits::FAILED_RECORD_MS;
        }
        assert_eq!(failing.len(), 0);
    }

    #[test]
    fn failing_records_that_are_asked_for_no_more_leave_room_for_others() {
        let (mut learned, mut now_ms) = (Learned::default(), 1_000);
        for id in 0..limits::FAILED_RECORDS_MAX {
            learned.gives_up("tickets", &id.to_string(), 2, now_ms);
        }
        now_ms += limits::FAILED_RECORD_LIFE_MS;
        assert!(!learned.gives_up("contacts", "1", 2, now_ms));
        now_ms += limits::FAILED_RECORD_MS;
        assert!(learned.gives_up("contacts", "1", 2, now_ms));
    }
}
