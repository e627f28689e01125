//! Records that were written with only the members of the list, and parents of which a list was skipped,
//! because their calls failed while others could be read. Each is read again, an hour and a day later. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

/// By `table.id`; of children their parents. Kept in the session.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GivenUp(BTreeMap<String, Again>);

/// How often a record was read again, and when it is next, Unix milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Again(usize, u64);

impl GivenUp {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that a record was given up, unless there are too many. The one that is due for longest gives way
    /// after days: its table may be read no more.
    pub(crate) fn note(&mut self, table: &str, id: &str, now_ms: u64) {
        let key = key(table, id);
        if self.0.contains_key(&key) {
            return;
        }
        if self.0.len() >= limits::GIVEN_UP_MAX {
            let oldest = self.0.iter().min_by_key(|(_, Again(_, due_ms))| *due_ms);
            let oldest = oldest
                .filter(|(_, Again(_, due_ms))| now_ms.saturating_sub(*due_ms) >= limits::AGAIN_LIFE_MS);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.0.remove(&oldest);
        }
        self.0.insert(key, Again(0, now_ms.saturating_add(limits::AGAIN_MS[0])));
    }

    /// Ids of records of a table that are to be read again now: a few of them.
    pub(crate) fn due(&self, table: &str, now_ms: u64) -> Vec<String> {
        let start = key(table, "");
        let of_table = self.0.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
        let due = of_table.filter(|(_, Again(_, due_ms))| *due_ms <= now_ms);
        due.take(limits::AGAIN_AT_ONCE).map(|(key, _)| key[start.len()..].to_owned()).collect()
    }

    pub(crate) fn is_due(&self, table: &str, id: &str, now_ms: u64) -> bool {
        self.0.get(&key(table, id)).is_some_and(|Again(_, due_ms)| *due_ms <= now_ms)
    }

    /// Notes that records of a table that are due are read again a while later, all but one.
    pub(crate) fn postpone(&mut self, table: &str, all_but: Option<&str>, now_ms: u64) {
        let start = key(table, "");
        let due = self.0.iter_mut().filter(|(_, Again(_, due_ms))| *due_ms <= now_ms);
        for (key, Again(_, due_ms)) in due {
            if key.strip_prefix(&start).is_some_and(|id| Some(id) != all_but) {
                *due_ms = now_ms.saturating_add(limits::AGAIN_PAUSE_MS);
            }
        }
    }

    /// Notes that a record was read again, or that it failed again.
    pub(crate) fn tried(&mut self, table: &str, id: &str, is_read: bool, now_ms: u64) {
        let key = key(table, id);
        let Some(Again(times, due_ms)) = self.0.get_mut(&key) else { return };
        *times += 1;
        match limits::AGAIN_MS.get(*times).filter(|_| !is_read) {
            Some(wait_ms) => *due_ms = now_ms.saturating_add(*wait_ms),
            None => drop(self.0.remove(&key)),
        }
    }
}

fn key(table: &str, id: &str) -> String {
    format!("{table}.{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_again_after_an_hour_and_after_a_day_unless_it_was_read() {
        let mut given_up = GivenUp::default();
        let [hour_ms, day_ms] = limits::AGAIN_MS;
        given_up.note("tickets", "1", 0);
        given_up.note("tickets", "2", 0);
        given_up.note("ticket_conversations", "1", 0);
        assert!(given_up.due("tickets", hour_ms - 1).is_empty());
        assert_eq!(given_up.due("tickets", hour_ms), ["1", "2"]);
        given_up.tried("tickets", "1", true, hour_ms);
        given_up.tried("tickets", "2", false, hour_ms);
        assert!(given_up.due("tickets", hour_ms + day_ms - 1).is_empty());
        assert_eq!(given_up.due("tickets", hour_ms + day_ms), ["2"]);
        given_up.tried("tickets", "2", false, hour_ms + day_ms);
        assert!(given_up.due("tickets", u64::MAX).is_empty());
    }

    #[test]
    fn the_due_records_of_a_table_are_postponed_without_an_attempt() {
        let mut given_up = GivenUp::default();
        let [hour_ms, _] = limits::AGAIN_MS;
        ["1", "2", "3"].iter().for_each(|id| given_up.note("tickets", id, 0));
        given_up.note("ticket_conversations", "1", 0);
        given_up.note("tickets", "4", 1);
        given_up.postpone("tickets", Some("2"), hour_ms);
        assert_eq!(given_up.due("tickets", hour_ms), ["2"]);
        assert_eq!(given_up.due("ticket_conversations", hour_ms), ["1"]);
        assert_eq!(given_up.due("tickets", hour_ms + 1), ["2", "4"]);
        let later_ms = hour_ms + limits::AGAIN_PAUSE_MS;
        given_up.tried("tickets", "1", false, later_ms);
        assert_eq!(
            given_up.due("tickets", later_ms + limits::AGAIN_MS[1]),
            ["1", "2", "3", "4"],
            "its first"
        );
    }

    #[test]
    fn records_that_nobody_reads_again_leave_room_for_others() {
        let mut given_up = GivenUp::default();
        (0..limits::GIVEN_UP_MAX).for_each(|id| given_up.note("tickets", &id.to_string(), 0));
        let due_ms = limits::AGAIN_MS[0];
        given_up.note("contacts", "1", due_ms + limits::AGAIN_LIFE_MS - 1);
        assert!(given_up.due("contacts", u64::MAX).is_empty(), "there is no room yet");
        given_up.note("contacts", "1", due_ms + limits::AGAIN_LIFE_MS);
        assert_eq!(given_up.due("contacts", 2 * due_ms + limits::AGAIN_LIFE_MS), ["1"]);
        assert_eq!(given_up.0.len(), limits::GIVEN_UP_MAX, "one gave way");
    }

    #[test]
    fn the_records_are_bounded() {
        let mut given_up = GivenUp::default();
        (0..=limits::GIVEN_UP_MAX).for_each(|id| given_up.note("tickets", &id.to_string(), 0));
        assert_eq!(given_up.0.len(), limits::GIVEN_UP_MAX);
        assert_eq!(given_up.due("tickets", u64::MAX).len(), limits::AGAIN_AT_ONCE);
    }
}
