//! The age of queued deliveries, by a clock that errs to the younger side: a clock of the machine that is
//! wrong, or set right, makes no dead letters.
//!
//! Pure: the machine's time is an argument.

use std::time::{Duration, Instant};

use rusqlite::Connection as Database;

use super::database::number;
use super::limits::{EXPIRE_TICKS, KEPT_AGE};
use crate::clock::millis;

const LAST: &str = "
    SELECT max(
        coalesce((SELECT appended_at_ms FROM deliveries ORDER BY seq DESC LIMIT 1), 0),
        coalesce((SELECT max(acknowledged_at_ms) FROM deliveries INDEXED BY deliveries_kept_by_age
            WHERE acknowledged_at_ms IS NOT NULL), 0))";

/// The machine's time at start-up, and the time that passed since: of that one and the machine's, deliveries
/// are appended and acknowledged by the later, and expire by the earlier.
pub(super) struct Clock {
    started: Instant,
    started_ms: u64,
    /// When a delivery before was last appended or acknowledged.
    last_ms: u64,
}

impl Clock {
    /// Starts at the machine's time.
    pub(super) fn start(database: &Database, machine_ms: u64) -> Self {
        let last_ms = database.query_row(LAST, [], |row| number(row, 0)).unwrap_or(0);
        Self { started: Instant::now(), started_ms: machine_ms, last_ms }
    }

    /// The time at which a delivery is appended now; not before an earlier one. After a start with a clock
    /// that was behind, or a suspension, the machine's is the right one.
    pub(super) fn append_ms(&self, machine_ms: u64) -> u64 {
        self.running_ms(self.started_ms.max(self.last_ms)).max(machine_ms)
    }

    /// The time by which deliveries expire. After a start with a clock that was ahead, the machine's is the
    /// right one; after a jump ahead, the other.
    pub(super) fn expiry_ms(&self, machine_ms: u64) -> u64 {
        self.running_ms(self.started_ms).min(machine_ms)
    }

    /// Whether old deliveries are looked for now.
    pub(super) fn is_time(&self, ticks: u32) -> bool {
        is_time_to_expire(self.started.elapsed(), ticks)
    }

    fn running_ms(&self, started_ms: u64) -> u64 {
        started_ms.saturating_add(millis(self.started.elapsed()))
    }
}

/// Old deliveries are looked for after [`KEPT_AGE`] at the earliest: the time in which no process ran makes
/// none old. So a sink that was restored meanwhile is asked first for those that it lacks, and a journal that
/// was restored applies its own.
fn is_time_to_expire(running: Duration, ticks: u32) -> bool {
    running >= KEPT_AGE && ticks.is_multiple_of(EXPIRE_TICKS)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection as Database;
    use rusqlite::StatementStatus::VmStep;

    use super::{Clock, EXPIRE_TICKS, KEPT_AGE, is_time_to_expire, millis};
    use crate::journal::ledger::Ledger;
    use crate::journal::limits::{AGE_MAX, TICK};
    use crate::journal::queue::Change;
    use crate::journal::transaction::{Effects, OLD, Transaction};
    use crate::journal::{Journal, JournalLimits, database};

    const NOW_MS: u64 = 1_800_000_000_000;
    /// Longer than a delivery may wait.
    const LONG_MS: u64 = 8 * 24 * 3_600_000;

    /// The clock of a process that starts at this time with an empty journal.
    fn clock(machine_ms: u64) -> Clock {
        Clock::start(&Database::open_in_memory().expect("a database"), machine_ms)
    }

    fn is_expired(appended_at_ms: u64, clock: &Clock, machine_ms: u64) -> bool {
        JournalLimits::default().is_expired(appended_at_ms, clock.expiry_ms(machine_ms))
    }

    #[test]
    fn nothing_is_too_old_before_a_process_has_run_for_as_long_as_deliveries_are_kept() {
        assert!(!is_time_to_expire(TICK, 0) && !is_time_to_expire(KEPT_AGE - TICK, EXPIRE_TICKS * 59));
        assert!(is_time_to_expire(KEPT_AGE, EXPIRE_TICKS * 60));
        assert!(!is_time_to_expire(KEPT_AGE, EXPIRE_TICKS * 60 + 1));
    }

    #[test]
    fn with_a_right_clock_deliveries_expire_when_they_have_waited_too_long() {
        let appended_ms = clock(NOW_MS - LONG_MS).append_ms(NOW_MS - LONG_MS);
        assert!(is_expired(appended_ms, &clock(NOW_MS), NOW_MS));
        let almost_ms = u64::try_from(AGE_MAX.as_millis()).expect("small") - 60_000;
        assert!(!is_expired(NOW_MS - almost_ms, &clock(NOW_MS), NOW_MS));
    }

    #[test]
    fn what_a_process_that_started_with_a_clock_behind_appended_is_not_old_for_the_next_one() {
        // A board without a clock, or a machine that was suspended; its time is right now.
        let appended_ms = clock(NOW_MS - LONG_MS).append_ms(NOW_MS);
        assert!(!is_expired(appended_ms, &clock(NOW_MS), NOW_MS));
    }

    #[test]
    fn a_clock_that_was_ahead_at_the_start_or_jumps_ahead_makes_nothing_old() {
        let was_ahead = clock(NOW_MS + LONG_MS);
        assert!(!is_expired(NOW_MS, &was_ahead, NOW_MS));
        assert!(!is_expired(NOW_MS, &clock(NOW_MS), NOW_MS + LONG_MS));
        // Nor do its deliveries make others old for the next process.
        let appended_ms = was_ahead.append_ms(NOW_MS);
        let next = Clock { last_ms: appended_ms, ..clock(NOW_MS) };
        assert!(!is_expired(NOW_MS, &next, NOW_MS) && !is_expired(appended_ms, &next, NOW_MS));
    }

    /// Executes a change at this time by the clock and by the machine; how many are kept after it.
    fn kept(database: &Database, clock: &Clock, machine_ms: u64, change: impl Fn(u64) -> Change) -> u64 {
        let mut ledger = Ledger::load(database).expect("loaded");
        let mut transaction = Transaction {
            database,
            ledger: &mut ledger,
            limits: &JournalLimits::default(),
            now_ms: machine_ms,
            age_ms: clock.append_ms(machine_ms),
            keeps: true,
            effects: &mut Effects::default(),
        };
        transaction.change(&change(clock.expiry_ms(machine_ms))).expect("written").expect("done");
        ledger.kept.count
    }

    #[test]
    fn deliveries_that_a_clock_ahead_acknowledged_are_kept_for_no_longer_than_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = JournalLimits::default();
        let database = database::open(&folder.path().join("journal.db"), &limits, 0).expect("opened");
        Ledger::default().open(&database, "a").expect("an account");
        let append = "INSERT INTO deliveries (seq, connection, bytes, appended_at_ms, received_at_ms,
            checksum, method, path, headers, body) VALUES (7, 1, 1, ?1, 1, 1, '', '', x'', x'')";
        database.execute(append, [NOW_MS.cast_signed()]).expect("appended");
        let (ahead_ms, hour_ms) = (NOW_MS + 50 * LONG_MS, millis(KEPT_AGE));
        let acknowledge = |_| Change::Acknowledge { connection: "a".to_owned(), seqs: vec![7] };
        assert_eq!(kept(&database, &clock(ahead_ms), NOW_MS, acknowledge), 1);
        // The clock is right when the next process starts.
        let expire = |now_ms| Change::Expire { now_ms };
        let start = Clock::start(&database, NOW_MS);
        assert_eq!(kept(&database, &start, NOW_MS, expire), 1);
        let (started_ms, last_ms) = (start.started_ms + 2 * hour_ms, start.last_ms + 2 * hour_ms);
        let later = Clock { started_ms, last_ms, ..start };
        assert_eq!(kept(&database, &later, NOW_MS + 2 * hour_ms, expire), 0);
    }

    #[test]
    fn a_look_for_old_deliveries_reads_one_of_each_connection_that_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = JournalLimits::default();
        let database = database::open(&folder.path().join("journal.db"), &limits, 0).expect("opened");
        for name in 0..20 {
            Ledger::default().open(&database, &name.to_string()).expect("an account");
        }
        let append = "INSERT INTO deliveries (connection, bytes, appended_at_ms, received_at_ms, checksum,
            method, path, headers, body)
            WITH RECURSIVE seqs (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < 500)
            SELECT id, 1, ?1, 1, 1, '', '', x'', x'' FROM connections, seqs";
        database.execute(append, [NOW_MS.cast_signed()]).expect("appended");
        assert_eq!(kept(&database, &clock(NOW_MS), NOW_MS + 1_000, |now_ms| Change::Expire { now_ms }), 0);
        let steps = database.prepare_cached(OLD).expect("cached").reset_status(VmStep);
        assert!((20..20 * 20).contains(&steps), "{steps}");
    }

    #[test]
    fn deliveries_are_appended_after_earlier_ones_when_the_clock_went_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        let (_journal, _) = Journal::open(&path, JournalLimits::default()).expect("opened");
        let database = Database::open(&path).expect("opened");
        let ahead_ms = NOW_MS + 1_000_000;
        let append = "INSERT INTO deliveries (connection, bytes, appended_at_ms, received_at_ms, checksum,
            method, path, headers, body) VALUES (1, 1, ?1, 1, 1, '', '', x'', x'')";
        database.execute(append, [ahead_ms.cast_signed()]).expect("appended");
        let appended_ms = Clock::start(&database, NOW_MS).append_ms(NOW_MS);
        assert!(appended_ms >= ahead_ms && appended_ms < ahead_ms + 60_000);
    }
}
