//! Which table is read next, from which cursor, and when. Pure: times are arguments.
//!
//! `serve` reads tables as they are due. Snapshots run in the order of the tables; tables with a complete
//! snapshot are polled, in rounds: with the first one, all whose wait is over. Where both have something to
//! read they take turns, so that neither a long snapshot nor a table that never catches up starves the other.
//! `sync` reads one table after another, each until it ends.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::ms_of_rfc3339;
use crate::error::{Error, Result};
use crate::limits::{CURSORS_BYTES_MAX, EMPTY_PAUSE, STUCK_BATCHES_MAX};
use crate::sinks::TableState;
use crate::units::format_bytes;

/// Between two polls when the connector does not say.
const POLL: Duration = Duration::from_secs(300);
/// Part of a wait for which a table waits longer, for others of its connection: those that are polled
/// together share what the connector reads.
const ROUND: f64 = 0.1;
/// Longest addition to a wait beyond that, as a part of it: connections that started together drift apart.
const SPREAD: f64 = 0.1;
/// Longest wait for the first poll after a start, so that the connections of a server drift apart.
const START_SPREAD: Duration = Duration::from_secs(10);
/// Between two early polls: refused deliveries, which any sender can cause, must not use up the credits.
const MISSED_REST: Duration = Duration::from_secs(300);

/// The order of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are due, without end. `poll` replaces the wait between polls that the connector asks for.
    InTurn { poll: Option<Duration> },
    /// One after another, each until [`Schedule::end`].
    OneByOne,
}

/// When tables are polled first that were complete before the process started. Deliveries may have been
/// missed while none ran, so that is soon. It is not, if the connection starts again and again: each poll
/// costs credits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    /// In milliseconds since 1970.
    pub(super) at_ms: u64,
    /// The connection was started very often of late.
    pub(super) is_again: bool,
    /// In `0.0..1.0`. The same for all tables: they share searches.
    pub(super) random: f64,
}

impl Start {
    /// How long after the start a table is polled.
    fn rest(self, state: &TableState, poll: Duration) -> Duration {
        let spread = START_SPREAD.min(poll).mul_f64(self.random);
        let read_ms = ms_of_rfc3339(&state.updated_at).unwrap_or(0);
        let age = Duration::from_millis(self.at_ms.saturating_sub(read_ms));
        let left = if self.is_again { poll.saturating_sub(age) } else { Duration::ZERO };
        left + spread
    }
}

/// One table.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// Where the next read continues.
    cursor: Option<String>,
    /// The cursor in the sink; behind `cursor` while a batch is being committed.
    stored: Option<String>,
    /// Its first snapshot is complete.
    is_complete: bool,
    /// When it may be read again, with others.
    from: Instant,
    /// When it is read again.
    due: Instant,
    /// Failures in a row.
    failures: u32,
    /// Batches in a row that did not move the cursor.
    stuck: u32,
    /// It is not read again.
    has_ended: bool,
}

impl Entry {
    /// A table at its cursor, due now.
    fn new(table: &str, state: Option<&TableState>, now: Instant) -> Self {
        let cursor = state.and_then(|state| state.cursor.clone());
        Self {
            name: table.to_owned(),
            stored: cursor.clone(),
            is_complete: cursor.is_some() && state.is_some_and(|state| state.complete),
            cursor,
            from: now,
            due: now,
            failures: 0,
            stuck: 0,
            has_ended: false,
        }
    }
}

/// All tables of a connection.
#[derive(Debug)]
pub(super) struct Schedule {
    order: Order,
    start: Start,
    entries: Vec<Entry>,
    /// The last table that [`Schedule::next`] answered was polled, not snapshotted.
    polled_last: bool,
    /// When tables were last polled early, or will be.
    early_at: Option<Instant>,
}

impl Schedule {
    /// No tables yet.
    pub(super) fn new(order: Order, start: Start) -> Self {
        Self { order, start, entries: Vec::new(), polled_last: true, early_at: None }
    }

    /// Replaces the tables: known ones keep their place, new ones are due at once, and complete ones as
    /// [`Start`] says.
    pub(super) fn set_tables(&mut self, tables: &[String], states: &[TableState], now: Instant) {
        let mut known = std::mem::take(&mut self.entries);
        let new = |table: &String| {
            let state = states.iter().find(|state| state.table == *table);
            let mut entry = Entry::new(table, state, now);
            if let (Order::InTurn { poll }, true, Some(state)) = (self.order, entry.is_complete, state) {
                entry.due += self.start.rest(state, poll.unwrap_or(POLL).min(POLL));
            }
            entry
        };
        let entry = |table: &String| match known.iter().position(|entry| entry.name == *table) {
            Some(at) => known.swap_remove(at),
            None => new(table),
        };
        self.entries = tables.iter().map(entry).collect();
    }

    /// Whether these are its tables, in this order.
    pub(super) fn has_tables(&self, tables: &[String]) -> bool {
        self.entries.iter().map(|entry| &entry.name).eq(tables)
    }

    /// Each table, and whether its first snapshot is complete.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.is_complete))
    }

    /// Whether a table's first snapshot is complete.
    pub(super) fn is_complete(&self, table: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == table && entry.is_complete)
    }

    /// Whether every table has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.entries.iter().all(|entry| entry.has_ended)
    }

    /// The table to read now, and its cursor.
    pub(super) fn next(&mut self, now: Instant) -> Option<(String, Option<String>)> {
        let is_polled = |entry: &&mut Entry| entry.is_complete && entry.from <= now;
        if self.entries.iter().any(|entry| entry.is_complete && entry.due <= now) {
            self.entries.iter_mut().filter(is_polled).for_each(|entry| entry.due = entry.due.min(now));
        }
        let due = || self.entries.iter().filter(|entry| entry.due <= now);
        let chosen = match self.order {
            Order::OneByOne => self.current().filter(|entry| entry.due <= now),
            Order::InTurn { .. } => {
                let snapshot = due().find(|entry| !entry.is_complete);
                let poll = due().filter(|entry| entry.is_complete).min_by_key(|entry| entry.due);
                if self.polled_last { snapshot.or(poll) } else { poll.or(snapshot) }
            }
        }?;
        let next = (chosen.name.clone(), chosen.cursor.clone());
        self.polled_last = chosen.is_complete;
        Some(next)
    }

    /// When the next table is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.order {
            Order::OneByOne => self.current().map(|entry| entry.due),
            Order::InTurn { .. } => self.entries.iter().map(|entry| entry.due).min(),
        }
    }

    fn current(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| !entry.has_ended)
    }

    fn entry(&mut self, table: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name == table)
    }

    /// A batch was read up to `cursor`. Fails when the table has not moved for too long, and when the cursors
    /// of all tables together are too long.
    pub(super) fn read(&mut self, table: &str, cursor: &str, caught_up: bool, now: Instant) -> Result<()> {
        let others = self.entries.iter().filter(|entry| entry.name != table);
        let bytes =
            cursor.len() + others.filter_map(|entry| entry.cursor.as_ref()).map(String::len).sum::<usize>();
        if bytes > CURSORS_BYTES_MAX {
            let max = format_bytes(CURSORS_BYTES_MAX as u64);
            let message = format!("its cursor and those of the other tables: more than {max} together");
            return Err(Error::data(message).hint("a defect of the component; please report it"));
        }
        let Some(entry) = self.entry(table) else { return Ok(()) };
        let has_moved = entry.cursor.as_deref() != Some(cursor);
        entry.stuck = if has_moved || caught_up { 0 } else { entry.stuck + 1 };
        if entry.stuck > STUCK_BATCHES_MAX {
            let stuck = std::mem::take(&mut entry.stuck);
            return Err(Error::data(format!("{stuck} batches in a row did not move the cursor"))
                .hint("a defect of the component: it reads the same page again and again"));
        }
        entry.cursor = Some(cursor.to_owned());
        entry.due = now;
        Ok(())
    }

    /// The batch up to `cursor` is committed.
    pub(super) fn stored(&mut self, table: &str, cursor: &str, is_complete: bool) {
        let Some(entry) = self.entry(table) else { return };
        // A batch that did not move the cursor is no progress: the wait after the next failure grows on.
        if entry.stored.as_deref() != Some(cursor) {
            entry.failures = 0;
        }
        entry.stored = Some(cursor.to_owned());
        entry.is_complete |= is_complete;
    }

    /// A table is caught up: `sync` ends it, `serve` polls it later, as the connector asks. `random` is in
    /// `0.0..1.0`.
    pub(super) fn caught_up(&mut self, table: &str, asked: Option<Duration>, now: Instant, random: f64) {
        match self.order {
            Order::OneByOne => self.end(table),
            Order::InTurn { poll } => {
                let wait = poll.or(asked).unwrap_or(POLL).max(EMPTY_PAUSE);
                if let Some(entry) = self.entry(table) {
                    entry.failures = 0;
                    entry.from = now + wait;
                    entry.due = entry.from + wait.mul_f64(ROUND + SPREAD * random);
                }
            }
        }
    }

    /// A batch without rows moved the cursor: under `serve` the next one takes its time. Each is committed.
    pub(super) fn empty(&mut self, table: &str, now: Instant) {
        if matches!(self.order, Order::InTurn { .. }) {
            self.wait(table, now + EMPTY_PAUSE);
        }
    }

    /// A table is not read before `due`.
    pub(super) fn wait(&mut self, table: &str, due: Instant) {
        if let Some(entry) = self.entry(table) {
            (entry.from, entry.due) = (due, due);
        }
    }

    /// A read or a commit failed: the next read continues from the sink's cursor. The failures in a row.
    pub(super) fn failed(&mut self, table: &str) -> u32 {
        let Some(entry) = self.entry(table) else { return 1 };
        entry.cursor.clone_from(&entry.stored);
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// A table is not read again.
    pub(super) fn end(&mut self, table: &str) {
        if let Some(entry) = self.entry(table) {
            entry.has_ended = true;
        }
    }

    /// A table is read from the start, now.
    pub(super) fn restart(&mut self, table: &str, now: Instant) {
        if let Some(entry) = self.entry(table) {
            *entry = Entry::new(table, None, now);
        }
    }

    /// Every table is due now, except those that wait after a failure.
    pub(super) fn all_due(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.failures == 0) {
            entry.due = entry.due.min(now);
        }
    }

    /// Deliveries were missed: these tables are polled early, now or [`MISSED_REST`] after the last early
    /// poll. False if that is planned already.
    pub(super) fn missed(&mut self, tables: &[String], now: Instant) -> bool {
        if self.early_at.is_some_and(|at| at > now) {
            return false;
        }
        let at = self.early_at.map_or(now, |last| now.max(last + MISSED_REST));
        self.early_at = Some(at);
        let early = |entry: &&mut Entry| entry.failures == 0 && tables.contains(&entry.name);
        for entry in self.entries.iter_mut().filter(early) {
            entry.due = entry.due.min(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Order, POLL, ROUND, START_SPREAD, Schedule, Start};
    use crate::limits::{CURSORS_BYTES_MAX, EMPTY_PAUSE, STUCK_BATCHES_MAX};
    use crate::sinks::TableState;

    const SECOND: Duration = Duration::from_secs(1);
    const TABLES: [&str; 3] = ["a", "b", "c"];

    fn with_order(now: Instant, complete: &[&str], order: Order) -> Schedule {
        let state = |name: &&str| TableState {
            table: (*name).to_owned(),
            cursor: Some("{}".to_owned()),
            generation: 1,
            complete: true,
            updated_at: String::new(),
        };
        let states: Vec<TableState> = complete.iter().map(state).collect();
        let mut schedule = Schedule::new(order, Start::default());
        schedule.set_tables(&TABLES.map(str::to_owned), &states, now);
        schedule
    }

    fn schedule(now: Instant, complete: &[&str], poll: Option<Duration>) -> Schedule {
        with_order(now, complete, Order::InTurn { poll })
    }

    fn next(schedule: &mut Schedule, now: Instant) -> Option<String> {
        schedule.next(now).map(|(table, _)| table)
    }

    /// When a table that waits is read alone, without a random addition.
    fn alone(wait: Duration) -> Duration {
        wait + wait.mul_f64(ROUND)
    }

    fn dues(schedule: &Schedule, now: Instant) -> Vec<Duration> {
        schedule.entries.iter().map(|entry| entry.due - now).collect()
    }

    #[test]
    fn snapshots_run_in_the_order_of_the_tables() {
        let now = Instant::now();
        let mut schedule = schedule(now, &[], None);
        for table in TABLES {
            assert_eq!(next(&mut schedule, now).as_deref(), Some(table));
            schedule.read(table, "1", false, now).expect("moved");
            assert_eq!(
                schedule.next(now),
                Some((table.to_owned(), Some("1".to_owned()))),
                "the same continues"
            );
            schedule.stored(table, "2", true);
            schedule.caught_up(table, None, now, 0.0);
        }
        assert_eq!(schedule.next(now), None);
        assert_eq!(schedule.due(), Some(now + alone(POLL)));
    }

    #[test]
    fn a_polled_table_takes_turns_with_a_snapshot() {
        let now = Instant::now();
        let mut schedule = schedule(now, &["c"], None);
        assert_eq!(
            [0; 4].map(|_| next(&mut schedule, now)),
            ["a", "c", "a", "c"].map(|t| Some(t.to_owned()))
        );
        schedule.caught_up("c", Some(SECOND), now, 0.0);
        assert_eq!([0; 2].map(|_| next(&mut schedule, now)), ["a", "a"].map(|t| Some(t.to_owned())));
        assert_eq!(next(&mut schedule, now + alone(SECOND)).as_deref(), Some("c"));
    }

    #[test]
    fn the_wait_of_the_connector_is_kept_unless_the_connection_file_has_another() {
        let now = Instant::now();
        let mut plain = schedule(now, &TABLES, None);
        let mut quick = schedule(now, &TABLES, Some(SECOND));
        for schedule in [&mut plain, &mut quick] {
            TABLES.iter().for_each(|table| schedule.caught_up(table, Some(SECOND * 60), now, 0.0));
        }
        assert_eq!((plain.due(), quick.due()), (Some(now + alone(SECOND * 60)), Some(now + alone(SECOND))));
        plain.all_due(now);
        assert_eq!(plain.due(), Some(now));
    }

    #[test]
    fn connections_that_started_together_poll_at_different_times_and_none_too_early() {
        let now = Instant::now();
        let due = |random: f64| {
            let mut schedule = schedule(now, &TABLES, None);
            TABLES.iter().for_each(|table| schedule.caught_up(table, Some(SECOND * 60), now, random));
            schedule.due().expect("tables") - now
        };
        assert_eq!([0.0, 0.5, 1.0].map(due), [66, 69, 72].map(|seconds| SECOND * seconds));
    }

    #[test]
    fn tables_whose_waits_end_at_about_the_same_time_are_polled_together() {
        let start = Instant::now();
        let minute = SECOND * 60;
        // Rounds, and polls, of a day whose polls take two seconds each.
        let day = |minutes: [u32; 3]| {
            let mut schedule = schedule(start, &TABLES, None);
            let (mut now, mut random, mut rounds, mut polls) = (start, 0.0, 0, 0);
            while now < start + minute * 1440 {
                let due = schedule.due().expect("tables");
                rounds += u32::from(polls == 0 || due > now);
                now = now.max(due);
                let table = next(&mut schedule, now).expect("due");
                now += SECOND * 2;
                random = (random + 0.617) % 1.0;
                let at = TABLES.iter().position(|name| *name == table).expect("known");
                schedule.caught_up(&table, Some(minute * minutes[at]), now, random);
                polls += 1;
            }
            (rounds, polls)
        };
        let (rounds, polls) = day([20, 40, 40]);
        assert!(rounds <= 72 && polls >= 120, "{rounds} rounds, {polls} polls");
        let (rounds, polls) = day([5, 5, 10]);
        assert!(rounds <= 288 && polls >= 600, "{rounds} rounds, {polls} polls");
    }

    #[test]
    fn after_a_start_tables_are_polled_soon_and_not_all_connections_at_once() {
        let now = Instant::now();
        let state = |table: &str, updated_at: &str, complete| TableState {
            table: table.to_owned(),
            cursor: Some("{}".to_owned()),
            generation: 1,
            complete,
            updated_at: updated_at.to_owned(),
        };
        let states = [
            state("a", "1970-01-01T01:00:00Z", true),
            state("b", "1970-01-01T00:59:00Z", true),
            state("c", "1970-01-01T01:00:00Z", false),
        ];
        let first = |poll, start: Start, at: Duration| {
            let mut schedule = Schedule::new(Order::InTurn { poll }, start);
            schedule.set_tables(&TABLES.map(str::to_owned), &states, now);
            dues(&schedule, now).iter().map(|due| due.saturating_sub(at)).collect::<Vec<_>>()
        };
        let start = |is_again, random| Start { at_ms: 3_660_000, is_again, random };
        for random in [0.0, 0.3] {
            let spread = START_SPREAD.mul_f64(random);
            assert_eq!(first(None, start(false, random), spread), [Duration::ZERO; 3]);
            let left = [POLL - SECOND * 60, POLL - SECOND * 120, Duration::ZERO];
            assert_eq!(first(None, start(true, random), spread), left, "one of many starts");
        }
        assert_eq!(first(Some(SECOND), start(true, 1.0), SECOND), [Duration::ZERO; 3], "both are older");
        let hour = Some(SECOND * 3600);
        assert_eq!(first(hour, start(true, 0.0), Duration::ZERO)[0], POLL - SECOND * 60);
    }

    #[test]
    fn batches_without_rows_have_a_pause_between_them_also_if_the_connector_asks_for_none() {
        let now = Instant::now();
        let mut served = schedule(now, &TABLES, None);
        TABLES.iter().for_each(|table| served.empty(table, now));
        assert_eq!(served.due(), Some(now + EMPTY_PAUSE));
        TABLES.iter().for_each(|table| served.caught_up(table, Some(Duration::ZERO), now, 0.0));
        assert_eq!(served.due(), Some(now + alone(EMPTY_PAUSE)));
        let mut synced = with_order(now, &TABLES, Order::OneByOne);
        synced.empty("a", now);
        assert_eq!(synced.due(), Some(now), "a command has the machine for itself");
    }

    #[test]
    fn new_tables_are_due_and_known_tables_keep_their_place() {
        let now = Instant::now();
        let mut schedule = schedule(now, &TABLES, None);
        TABLES.iter().for_each(|table| schedule.caught_up(table, Some(SECOND * 60), now, 0.0));
        let tables = ["d", "c", "a"].map(str::to_owned);
        assert!(!schedule.has_tables(&tables));
        schedule.set_tables(&tables, &[], now + SECOND);
        assert!(schedule.has_tables(&tables));
        assert_eq!(
            schedule.tables().map(|(_, is_complete)| is_complete).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert_eq!(dues(&schedule, now), [SECOND, alone(SECOND * 60), alone(SECOND * 60)]);
        schedule.restart("a", now + SECOND * 2);
        assert_eq!((schedule.is_complete("a"), schedule.is_complete("c")), (false, true));
        assert_eq!(schedule.entries[2].cursor, None);
        assert_eq!(dues(&schedule, now)[2], SECOND * 2);
    }

    #[test]
    fn missed_deliveries_poll_the_tables_of_webhooks_early_and_not_again_for_a_while() {
        let now = Instant::now();
        let hour = SECOND * 3600;
        let mut schedule = schedule(now, &TABLES, Some(hour));
        let read = |schedule: &mut Schedule| {
            TABLES.iter().for_each(|table| schedule.caught_up(table, None, now, 0.0))
        };
        let webhooks = ["a".to_owned(), "c".to_owned()];
        read(&mut schedule);
        assert!(schedule.missed(&webhooks, now));
        assert_eq!(dues(&schedule, now), [Duration::ZERO, alone(hour), Duration::ZERO]);
        read(&mut schedule);
        assert!(schedule.missed(&webhooks, now + SECOND));
        assert_eq!(schedule.due(), Some(now + super::MISSED_REST));
        assert!(!schedule.missed(&webhooks, now + SECOND * 2), "it is planned already");
        read(&mut schedule);
        assert!(schedule.missed(&webhooks, now + hour / 2));
        assert_eq!(schedule.due(), Some(now + hour / 2));
    }

    #[test]
    fn a_table_that_waits_after_a_failure_does_not_hold_up_others() {
        let now = Instant::now();
        let mut schedule = schedule(now, &[], None);
        schedule.wait("a", now + SECOND);
        assert_eq!(next(&mut schedule, now).as_deref(), Some("b"));
        assert_eq!(next(&mut schedule, now + SECOND).as_deref(), Some("a"));
    }

    #[test]
    fn a_batch_that_does_not_move_the_cursor_keeps_the_count_of_failures() {
        let now = Instant::now();
        let mut schedule = schedule(now, &[], None);
        schedule.stored("a", "1", false);
        assert_eq!(schedule.failed("a"), 1);
        schedule.stored("a", "1", false);
        assert_eq!(schedule.failed("a"), 2, "rows came, and the next read is the same");
        schedule.stored("a", "1", false);
        schedule.caught_up("a", None, now, 0.0);
        assert_eq!(schedule.failed("a"), 1, "there was nothing to move to");
    }

    #[test]
    fn a_failure_continues_from_the_cursor_in_the_sink() {
        let now = Instant::now();
        let mut schedule = schedule(now, &[], None);
        schedule.read("a", "1", false, now).expect("moved");
        schedule.stored("a", "1", false);
        schedule.read("a", "2", false, now).expect("moved");
        assert_eq!([schedule.failed("a"), schedule.failed("a")], [1, 2]);
        assert_eq!(schedule.next(now), Some(("a".to_owned(), Some("1".to_owned()))));
        schedule.stored("a", "2", false);
        assert_eq!(schedule.failed("a"), 1, "a commit starts the count again");
    }

    #[test]
    fn batches_that_do_not_move_the_cursor_end_and_other_tables_do_not_count() {
        let now = Instant::now();
        let mut schedule = schedule(now, &TABLES, None);
        for _ in 0..STUCK_BATCHES_MAX {
            schedule.read("a", "{}", false, now).expect("may be bad luck");
            schedule.read("b", "{}", true, now).expect("caught up");
        }
        let error = schedule.read("a", "{}", false, now).expect_err("a loop");
        assert_eq!(error.message, "6 batches in a row did not move the cursor");
        schedule.read("a", "{}", false, now).expect("counted from zero again");
    }

    #[test]
    fn the_cursors_of_all_tables_together_are_bounded() {
        let now = Instant::now();
        let mut schedule = schedule(now, &["c"], None);
        let half = "x".repeat(CURSORS_BYTES_MAX / 2);
        schedule.read("a", &half, false, now).expect("half");
        let error = schedule.read("b", &half, false, now).expect_err("the cursor of `c` counts too");
        assert_eq!(error.message, "its cursor and those of the other tables: more than 32MiB together");
        schedule.read("b", &half[2..], false, now).expect("all of it");
        schedule.read("a", &half[1..], false, now).expect("replaces its own");
        schedule.read("b", &half[1..], false, now).expect("the byte that became free");
        assert_eq!(schedule.next(now), Some(("a".to_owned(), Some(half[1..].to_owned()))));
    }

    #[test]
    fn one_by_one_a_table_is_read_to_its_end_before_the_next_even_if_it_waits() {
        let now = Instant::now();
        let mut schedule = with_order(now, &["b"], Order::OneByOne);
        assert_eq!([0; 2].map(|_| next(&mut schedule, now)), ["a", "a"].map(|t| Some(t.to_owned())));
        schedule.wait("a", now + SECOND);
        assert_eq!((schedule.next(now), schedule.due()), (None, Some(now + SECOND)));
        schedule.caught_up("a", Some(SECOND), now, 0.0);
        assert_eq!(schedule.next(now), Some(("b".to_owned(), Some("{}".to_owned()))));
        schedule.end("b");
        schedule.end("c");
        assert_eq!((schedule.next(now), schedule.due(), schedule.has_ended()), (None, None, true));
    }
}
