//! Which table is read next, and when. Pure: times are arguments.
//!
//! Tables whose first snapshot is not complete come in their order; tables that follow come when they are due.
//! Where both have something to do they take turns, so that neither a long first snapshot nor a table that is
//! never caught up keeps the other waiting.

use std::time::Duration;

use tokio::time::Instant;

use crate::sinks::TableState;

/// Between two polls when the connector says nothing.
const POLL: Duration = Duration::from_secs(300);
/// Between two polls out of turn: whoever makes gaps on purpose must not spend the source's quota.
const GAP_REST: Duration = Duration::from_secs(300);

/// One table and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) cursor: Option<String>,
    /// Its first snapshot is complete.
    pub(super) complete: bool,
    /// When it may be read again.
    due: Instant,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Batches in a row that moved nothing.
    pub(super) stuck: u32,
}

impl Entry {
    /// A table at its position, due now.
    fn new(table: &str, position: Option<&TableState>, now: Instant) -> Self {
        let cursor = position.and_then(|position| position.cursor.clone());
        let complete = cursor.is_some() && position.is_some_and(|position| position.complete);
        Self { name: table.to_owned(), cursor, complete, due: now, failures: 0, stuck: 0 }
    }
}

/// All tables of a connection.
#[derive(Debug)]
pub(super) struct Agenda {
    pub(super) entries: Vec<Entry>,
    poll: Option<Duration>,
    followed_last: bool,
    /// When tables were last polled out of turn, or will be.
    gap_at: Option<Instant>,
}

impl Agenda {
    /// Every table is due at once. `poll` replaces what the connector asks to wait between polls.
    pub(super) fn new(
        tables: &[String],
        positions: &[TableState],
        poll: Option<Duration>,
        now: Instant,
    ) -> Self {
        let mut agenda = Self { entries: Vec::new(), poll, followed_last: true, gap_at: None };
        agenda.renew(tables, positions, now);
        agenda
    }

    /// The table to read now.
    pub(super) fn next(&mut self, now: Instant) -> Option<usize> {
        let due = |entry: &&(usize, &Entry)| entry.1.due <= now;
        let all = || self.entries.iter().enumerate();
        let first = all().filter(|entry| due(&entry)).find(|(_, entry)| !entry.complete);
        let follow =
            all().filter(|entry| due(&entry)).filter(|(_, e)| e.complete).min_by_key(|(_, entry)| entry.due);
        let (chosen, follows) = match (first, follow) {
            (Some((first, _)), Some((follow, _))) => {
                if self.followed_last {
                    (first, false)
                } else {
                    (follow, true)
                }
            }
            (Some((first, _)), None) => (first, false),
            (None, Some((follow, _))) => (follow, true),
            (None, None) => return None,
        };
        self.followed_last = follows;
        Some(chosen)
    }

    /// When the next table is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.due).min()
    }

    /// A batch was stored: where it goes on and when.
    pub(super) fn read(&mut self, index: usize, caught_up: bool, asked: Option<Duration>, now: Instant) {
        let poll = self.poll;
        let Some(entry) = self.entries.get_mut(index) else { return };
        entry.failures = 0;
        let wait = if caught_up { poll.or(asked).unwrap_or(POLL) } else { asked.unwrap_or_default() };
        entry.due = now + wait;
    }

    /// A table is read from the start, now.
    pub(super) fn restart(&mut self, table: &str, now: Instant) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == table) {
            *entry = Entry::new(table, None, now);
        }
    }

    /// Other tables from now on: those that stay go on where they are, those that are new are due at once.
    pub(super) fn renew(&mut self, tables: &[String], positions: &[TableState], now: Instant) {
        let mut known = std::mem::take(&mut self.entries);
        let entry = |table: &String| match known.iter().position(|entry| entry.name == *table) {
            Some(at) => known.swap_remove(at),
            None => Entry::new(table, positions.iter().find(|position| position.table == *table), now),
        };
        self.entries = tables.iter().map(entry).collect();
    }

    /// Whether these are its tables, in this order.
    pub(super) fn is_of(&self, tables: &[String]) -> bool {
        self.entries.iter().map(|entry| &entry.name).eq(tables)
    }

    /// A read failed: when it may be tried again.
    pub(super) fn failed(&mut self, index: usize, due: Instant) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.due = due;
        }
    }

    /// Every table is due now: webhooks may have been lost.
    pub(super) fn all_due(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.failures == 0) {
            entry.due = entry.due.min(now);
        }
    }

    /// Something that was pushed is missing: these tables are due now, or some minutes after they last were for
    /// such a reason. False if they are anyway.
    pub(super) fn gap(&mut self, tables: &[String], now: Instant) -> bool {
        if self.gap_at.is_some_and(|at| at > now) {
            return false;
        }
        let at = self.gap_at.map_or(now, |last| now.max(last + GAP_REST));
        self.gap_at = Some(at);
        let told = |entry: &&mut Entry| entry.failures == 0 && tables.contains(&entry.name);
        for entry in self.entries.iter_mut().filter(told) {
            entry.due = entry.due.min(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Agenda, POLL};
    use crate::sinks::TableState;

    const SECOND: Duration = Duration::from_secs(1);

    fn agenda(now: Instant, done: &[&str], poll: Option<Duration>) -> Agenda {
        let tables = ["a", "b", "c"].map(str::to_owned);
        let position = |name: &&str| TableState {
            table: (*name).to_owned(),
            cursor: Some("{}".to_owned()),
            generation: 1,
            complete: true,
            updated_at: String::new(),
        };
        let positions: Vec<TableState> = done.iter().map(position).collect();
        Agenda::new(&tables, &positions, poll, now)
    }

    #[test]
    fn first_passes_come_in_the_order_of_the_tables() {
        let now = Instant::now();
        let mut agenda = agenda(now, &[], None);
        for (table, wanted) in [0, 1, 2].into_iter().enumerate() {
            assert_eq!(agenda.next(now), Some(wanted));
            agenda.read(wanted, false, None, now);
            assert_eq!(agenda.next(now), Some(wanted), "it goes on with the same");
            agenda.entries[table].complete = true;
            agenda.read(wanted, true, None, now);
        }
        assert_eq!(agenda.next(now), None);
        assert_eq!(agenda.due(), Some(now + POLL));
    }

    #[test]
    fn a_table_that_follows_takes_turns_with_one_that_is_read_first() {
        let now = Instant::now();
        let mut agenda = agenda(now, &["c"], None);
        assert_eq!([0; 4].map(|_| agenda.next(now)), [Some(0), Some(2), Some(0), Some(2)]);
        agenda.read(2, true, Some(SECOND), now);
        assert_eq!([0; 2].map(|_| agenda.next(now)), [Some(0), Some(0)]);
        assert_eq!(agenda.next(now + SECOND), Some(2));
    }

    #[test]
    fn the_connectors_wait_is_kept_unless_the_file_says_another() {
        let now = Instant::now();
        let mut plain = agenda(now, &["a", "b", "c"], None);
        let mut quick = agenda(now, &["a", "b", "c"], Some(SECOND));
        for agenda in [&mut plain, &mut quick] {
            (0..3).for_each(|index| agenda.read(index, true, Some(SECOND * 60), now));
        }
        assert_eq!((plain.due(), quick.due()), (Some(now + SECOND * 60), Some(now + SECOND)));
        plain.all_due(now);
        assert_eq!(plain.due(), Some(now));
    }

    #[test]
    fn tables_that_come_are_due_and_those_that_stay_go_on_where_they_are() {
        let now = Instant::now();
        let mut agenda = agenda(now, &["a", "b", "c"], None);
        (0..3).for_each(|index| agenda.read(index, true, Some(SECOND * 60), now));
        let tables = ["d", "c", "a"].map(str::to_owned);
        assert!(!agenda.is_of(&tables));
        agenda.renew(&tables, &[], now + SECOND);
        assert!(agenda.is_of(&tables));
        let found: Vec<_> = agenda.entries.iter().map(|entry| (entry.complete, entry.due - now)).collect();
        assert_eq!(found, [(false, SECOND), (true, SECOND * 60), (true, SECOND * 60)]);
        agenda.restart("a", now + SECOND * 2);
        assert_eq!((agenda.entries[2].complete, agenda.entries[2].cursor.clone()), (false, None));
        assert_eq!(agenda.entries[2].due, now + SECOND * 2);
    }

    #[test]
    fn a_gap_makes_the_tables_that_are_told_of_due_and_not_again_for_a_while() {
        let now = Instant::now();
        let hour = SECOND * 3600;
        let mut agenda = agenda(now, &["a", "b", "c"], Some(hour));
        let read = |agenda: &mut Agenda| (0..3).for_each(|index| agenda.read(index, true, None, now));
        let told = ["a".to_owned(), "c".to_owned()];
        read(&mut agenda);
        assert!(agenda.gap(&told, now));
        assert_eq!(agenda.entries.iter().map(|entry| entry.due).collect::<Vec<_>>(), [now, now + hour, now]);
        read(&mut agenda);
        assert!(agenda.gap(&told, now + SECOND));
        assert_eq!(agenda.due(), Some(now + super::GAP_REST));
        assert!(!agenda.gap(&told, now + SECOND * 2), "it is due by then anyway");
        read(&mut agenda);
        assert!(agenda.gap(&told, now + hour / 2));
        assert_eq!(agenda.due(), Some(now + hour / 2));
    }

    #[test]
    fn a_table_that_failed_lets_the_others_go_on() {
        let now = Instant::now();
        let mut agenda = agenda(now, &[], None);
        agenda.failed(0, now + SECOND);
        assert_eq!(agenda.next(now), Some(1));
        assert_eq!(agenda.next(now + SECOND), Some(0));
    }
}
