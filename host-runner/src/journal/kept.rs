//! Acknowledged deliveries: they leave the queue, are kept for a while, and are queued again for a sink that
//! does not have them.

use rusqlite::{Connection as Database, OptionalExtension, params};

use super::database::number;
use super::ledger::Tally;
use super::limits::{EVICT_COUNT_MAX, EVICT_READ_COUNT};
use super::transaction::Transaction;
use crate::inbox::Position;

const TALLY: &str = "
    SELECT count(*), coalesce(sum(bytes), 0) FROM deliveries INDEXED BY deliveries_queued
    WHERE connection = ?1 AND seq <= ?2 AND acknowledged_at_ms IS NULL";
const QUEUED: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_queued
    WHERE connection = ?1 AND seq <= ?2 AND acknowledged_at_ms IS NULL ORDER BY seq";
const KEEP_THROUGH: &str = "
    UPDATE deliveries SET acknowledged_at_ms = ?3
    WHERE connection = ?1 AND seq <= ?2 AND acknowledged_at_ms IS NULL";
const KEEP: &str = "
    UPDATE deliveries SET acknowledged_at_ms = ?3
    WHERE seq = ?1 AND connection = ?2 AND acknowledged_at_ms IS NULL RETURNING bytes";
/// The same, in a full file; the time is not needed.
const DELETE_THROUGH: &str = "
    DELETE FROM deliveries
    WHERE connection = ?1 AND seq <= ?2 AND acknowledged_at_ms IS NULL AND ?3 IS NOT NULL";
const DELETE: &str = "
    DELETE FROM deliveries
    WHERE seq = ?1 AND connection = ?2 AND acknowledged_at_ms IS NULL AND ?3 IS NOT NULL RETURNING bytes";
const KEPT: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_kept
    WHERE connection = ?1 AND seq >= ?2 AND acknowledged_at_ms IS NOT NULL";
const QUEUE_AGAIN: &str = "UPDATE deliveries SET acknowledged_at_ms = NULL WHERE seq = ?1";
const OLDEST_KEPT: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_kept_by_age
    WHERE acknowledged_at_ms <= ?1 ORDER BY acknowledged_at_ms, seq LIMIT ?2";

impl Transaction<'_> {
    /// Takes these deliveries out of the queue, and keeps them for a while. Reads no others: a million may be
    /// queued, and every connection waits for this thread.
    pub(super) fn acknowledge(&mut self, connection: &str, seqs: &[u64]) -> rusqlite::Result<()> {
        let Some(account) = self.ledger.account(connection) else { return Ok(()) };
        let (id, at_ms) = (account.id, self.age_ms.cast_signed());
        let mut kept = Tally::default();
        let mut keep = self.database.prepare_cached(if self.keeps { KEEP } else { DELETE })?;
        for seq in seqs {
            let bytes = keep.query_row(params![seq.cast_signed(), id, at_ms], |row| number(row, 0));
            // It is a dead letter, or was acknowledged before.
            if let Some(bytes) = bytes.optional()? {
                kept.add(Tally { count: 1, bytes });
            }
        }
        self.acknowledged(connection, kept)
    }

    /// Takes the deliveries that a position covers out of the queue.
    pub(super) fn acknowledge_covered(
        &mut self,
        connection: &str,
        position: &Position,
    ) -> rusqlite::Result<()> {
        let Some(account) = self.ledger.account(connection) else { return Ok(()) };
        let (id, at_ms) = (account.id, self.age_ms.cast_signed());
        let through = i64::try_from(position.through).unwrap_or(i64::MAX);
        if !position.waiting.is_empty() {
            let queued = records(self.database, QUEUED, params![id, through])?;
            let covered = queued.into_iter().map(|(seq, _)| seq).filter(|seq| position.covers(*seq));
            return self.acknowledge(connection, &covered.collect::<Vec<_>>());
        }
        let mut tally = self.database.prepare_cached(TALLY)?;
        let kept = tally.query_row(params![id, through], |row| {
            Ok(Tally { count: number(row, 0)?, bytes: number(row, 1)? })
        })?;
        let sql = if self.keeps { KEEP_THROUGH } else { DELETE_THROUGH };
        self.database.prepare_cached(sql)?.execute(params![id, through, at_ms])?;
        self.acknowledged(connection, kept)
    }

    /// Counts deliveries that left the queue.
    fn acknowledged(&mut self, connection: &str, kept: Tally) -> rusqlite::Result<()> {
        if let Some(account) = self.ledger.account_mut(connection) {
            account.pending.subtract(kept);
        }
        self.touch(connection);
        if !self.keeps {
            return Ok(());
        }
        self.ledger.kept.add(kept);
        let bytes_max = self.limits.kept_bytes;
        self.evict(u64::MAX, |kept| kept.bytes <= bytes_max).map(drop)
    }

    /// Queues acknowledged deliveries again that a position does not cover; returns their numbers.
    pub(super) fn queue_again(
        &mut self,
        connection: &str,
        position: &Position,
    ) -> rusqlite::Result<Vec<u64>> {
        let Some(account) = self.ledger.account_mut(connection) else { return Ok(Vec::new()) };
        let (mut again, mut total) = (Vec::new(), Tally::default());
        let mut queue = self.database.prepare_cached(QUEUE_AGAIN)?;
        let through = position.through.saturating_add(1);
        let first = position.waiting.first().map_or(through, |waiting| through.min(*waiting));
        let first = i64::try_from(first).unwrap_or(i64::MAX);
        for (seq, bytes) in records(self.database, KEPT, params![account.id, first])? {
            if !position.covers(seq) {
                queue.execute([seq.cast_signed()])?;
                again.push(seq);
                total.add(Tally { count: 1, bytes });
            }
        }
        account.pending.add(total);
        account.last = account.last.max(again.iter().copied().max().unwrap_or(0));
        self.ledger.kept.subtract(total);
        self.touch(connection);
        Ok(again)
    }

    /// Deletes deliveries that were acknowledged up to a time, oldest first, until it is enough.
    pub(super) fn evict(
        &mut self,
        through_ms: u64,
        is_enough: impl Fn(Tally) -> bool,
    ) -> rusqlite::Result<Vec<u64>> {
        let mut evicted = Vec::new();
        let through_ms = i64::try_from(through_ms).unwrap_or(i64::MAX);
        let mut delete = self.database.prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?;
        // Few at a time: an acknowledgment in a full store makes room for one.
        while evicted.len() < EVICT_COUNT_MAX && !is_enough(self.ledger.kept) {
            let oldest = records(self.database, OLDEST_KEPT, params![through_ms, EVICT_READ_COUNT])?;
            if oldest.is_empty() {
                break;
            }
            for (seq, bytes) in oldest {
                if is_enough(self.ledger.kept) {
                    break;
                }
                delete.execute([seq.cast_signed()])?;
                self.ledger.kept.subtract(Tally { count: 1, bytes });
                evicted.push(seq);
            }
        }
        Ok(evicted)
    }
}

/// Numbers and bytes of the deliveries that a query finds.
pub(super) fn records(
    database: &Database,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut statement = database.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus::VmStep;
    use rusqlite::params;

    use super::{Database, KEEP, OLDEST_KEPT, Transaction};
    use crate::journal::database;
    use crate::journal::ledger::Ledger;
    use crate::journal::limits::JournalLimits;
    use crate::journal::transaction::Effects;

    /// Acknowledges one delivery of `a`.
    fn acknowledge(database: &Database, ledger: &mut Ledger, limits: &JournalLimits, seq: u64) {
        let effects = &mut Effects::default();
        let mut transaction =
            Transaction { database, ledger, limits, now_ms: 7, age_ms: 7, keeps: true, effects };
        transaction.acknowledge("a", &[seq]).expect("acknowledged");
    }

    #[test]
    fn an_acknowledgment_costs_the_same_however_many_deliveries_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = JournalLimits::default();
        let database = database::open(&folder.path().join("journal.db"), &limits, 0).expect("opened");
        let mut ledger = Ledger::default();
        ledger.open(&database, "a").expect("an account");
        let steps = |ledger: &mut Ledger, seq: u64| {
            acknowledge(&database, ledger, &limits, seq);
            database.prepare_cached(KEEP).expect("cached").reset_status(VmStep)
        };
        let append = |seq: u64| {
            let sql =
                "INSERT INTO deliveries (seq, connection, bytes, appended_at_ms, received_at_ms, checksum,
                method, path, headers, body) VALUES (?1, 1, 1, 1, 1, 1, '', '', x'', x'')";
            database.execute(sql, params![seq.cast_signed()]).expect("appended");
        };
        append(1);
        let alone = steps(&mut ledger, 1);
        database.execute_batch("BEGIN").expect("begun");
        (2..2_000).for_each(append);
        database.execute_batch("COMMIT").expect("committed");
        assert_eq!((steps(&mut ledger, 1_999), ledger.kept.count), (alone, 2));
    }

    #[test]
    fn an_acknowledgment_in_a_full_store_looks_for_few_of_the_deliveries_that_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = JournalLimits { kept_bytes: 20_000, ..JournalLimits::default() };
        let database = database::open(&folder.path().join("journal.db"), &limits, 0).expect("opened");
        Ledger::default().open(&database, "a").expect("an account");
        let append = "INSERT INTO deliveries (seq, connection, bytes, appended_at_ms, acknowledged_at_ms,
            received_at_ms, checksum, method, path, headers, body)
            WITH RECURSIVE seqs (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < 20100)
            SELECT seq, 1, 1, 1, CASE WHEN seq <= 20000 THEN 1 END, 1, 1, '', '', x'', x'' FROM seqs";
        database.execute(append, []).expect("appended");
        let mut ledger = Ledger::load(&database).expect("loaded");
        (20_001..=20_100).for_each(|seq| acknowledge(&database, &mut ledger, &limits, seq));
        assert_eq!(
            (ledger.kept.count, ledger.account("a").map(|account| account.pending.count)),
            (20_000, Some(0))
        );
        let steps = database.prepare_cached(OLDEST_KEPT).expect("cached").reset_status(VmStep);
        assert!((1..100_000).contains(&steps), "{steps}");
    }
}
