//! Acknowledged deliveries: they leave the queue, are kept for a while, and are queued again for a sink that
//! does not have them.

use rusqlite::{Connection as Database, params};

use super::database::number;
use super::ledger::Tally;
use super::limits::EVICT_COUNT_MAX;
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
const KEEP: &str = "UPDATE deliveries SET acknowledged_at_ms = ?2 WHERE seq = ?1";
/// The same, in a full file; the time is not needed.
const DELETE_THROUGH: &str = "
    DELETE FROM deliveries
    WHERE connection = ?1 AND seq <= ?2 AND acknowledged_at_ms IS NULL AND ?3 IS NOT NULL";
const DELETE: &str = "DELETE FROM deliveries WHERE seq = ?1 AND ?2 IS NOT NULL";
const KEPT: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_kept
    WHERE connection = ?1 AND acknowledged_at_ms IS NOT NULL";
const QUEUE_AGAIN: &str = "UPDATE deliveries SET acknowledged_at_ms = NULL WHERE seq = ?1";
const OLDEST_KEPT: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_kept_by_age
    WHERE acknowledged_at_ms <= ?1 ORDER BY acknowledged_at_ms, seq LIMIT ?2";

impl Transaction<'_> {
    /// Takes the deliveries that a position covers out of the queue, and keeps them for a while.
    pub(super) fn acknowledge(&mut self, connection: &str, position: &Position) -> rusqlite::Result<()> {
        let Some(account) = self.ledger.account_mut(connection) else { return Ok(()) };
        let (id, at_ms) = (account.id, self.age_ms.cast_signed());
        let through = i64::try_from(position.through).unwrap_or(i64::MAX);
        let mut kept = Tally::default();
        if position.waiting.is_empty() {
            let mut tally = self.database.prepare_cached(TALLY)?;
            kept = tally.query_row(params![id, through], |row| {
                Ok(Tally { count: number(row, 0)?, bytes: number(row, 1)? })
            })?;
            let sql = if self.keeps { KEEP_THROUGH } else { DELETE_THROUGH };
            self.database.prepare_cached(sql)?.execute(params![id, through, at_ms])?;
        } else {
            let queued = records(self.database, QUEUED, params![id, through])?;
            let mut keep = self.database.prepare_cached(if self.keeps { KEEP } else { DELETE })?;
            for (seq, bytes) in queued.into_iter().filter(|(seq, _)| position.covers(*seq)) {
                keep.execute(params![seq.cast_signed(), at_ms])?;
                kept.add(Tally { count: 1, bytes });
            }
        }
        account.pending.subtract(kept);
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
        for (seq, bytes) in records(self.database, KEPT, params![account.id])? {
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
        if is_enough(self.ledger.kept) {
            return Ok(evicted);
        }
        let through_ms = i64::try_from(through_ms).unwrap_or(i64::MAX);
        let oldest = records(self.database, OLDEST_KEPT, params![through_ms, EVICT_COUNT_MAX as i64])?;
        let mut delete = self.database.prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?;
        for (seq, bytes) in oldest {
            if is_enough(self.ledger.kept) {
                break;
            }
            delete.execute([seq.cast_signed()])?;
            self.ledger.kept.subtract(Tally { count: 1, bytes });
            evicted.push(seq);
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
