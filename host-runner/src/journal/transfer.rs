//! The records of a connection that was renamed or removed: moves them to another connection, or deletes
//! them.
//!
//! A checksum covers the connection's name, so moved records are written again.

use rusqlite::params;

use super::database::number;
use super::kept::records;
use super::ledger::{Account, Tally};
use super::limits::MOVE_COUNT_MAX;
use super::reader::raw;
use super::record::Record;
use super::transaction::{Transaction, dead_letters_full, journal_full};
use crate::delivery::Delivery;
use crate::error::Result;

const MOVED: &str = "
    SELECT seq, bytes, received_at_ms, checksum, method, path, headers, body FROM deliveries
    WHERE connection = ?1 AND acknowledged_at_ms IS NULL ORDER BY seq LIMIT ?2";
const MOVED_DEAD: &str = "
    SELECT id, bytes, received_at_ms, checksum, method, path, headers, body FROM dead_letters
    WHERE connection = ?1 ORDER BY id LIMIT ?2";
const QUEUED: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_queued
    WHERE connection = ?1 AND acknowledged_at_ms IS NULL LIMIT ?2";
const KEPT: &str = "
    SELECT seq, bytes FROM deliveries INDEXED BY deliveries_kept
    WHERE connection = ?1 AND acknowledged_at_ms IS NOT NULL LIMIT ?2";
const DEAD: &str = "SELECT id, bytes FROM dead_letters WHERE connection = ?1 LIMIT ?2";

/// A record on disk: its key, its bytes, and the delivery.
type Readable = (u64, Tally, Delivery);

impl Transaction<'_> {
    /// Moves queued deliveries to the end of another queue, then dead letters; a damaged one stays as it is.
    pub(super) fn move_to(&mut self, from: &str, to: &str) -> rusqlite::Result<Result<Vec<u64>>> {
        let Some(id) = self.ledger.account(from).map(|account| account.id) else { return Ok(Ok(Vec::new())) };
        // Those that were moved before the target was full stay moved.
        let moved = self.move_some(id, from, to)?;
        self.touch(from);
        self.touch(to);
        Ok(moved)
    }

    fn move_some(&mut self, id: i64, from: &str, to: &str) -> rusqlite::Result<Result<Vec<u64>>> {
        let mut moved = Vec::new();
        for (key, one, delivery) in self.readable(MOVED, id, from)? {
            if self.append(to, &Record::new(to, delivery))?.is_err() {
                return Ok(Err(journal_full(to)));
            }
            self.forget("deliveries", key)?;
            self.count(from, |account| account.pending.subtract(one));
            moved.push(key);
        }
        if moved.is_empty() {
            for (key, former, delivery) in self.readable(MOVED_DEAD, id, from)? {
                let record = Record::new(to, delivery);
                let one = Tally { count: 1, bytes: record.bytes as u64 };
                let account = self.ledger.open(self.database, to)?;
                if !account.dead.has_room(one, self.limits.dead_count, self.limits.dead_bytes) {
                    return Ok(Err(dead_letters_full(to)));
                }
                account.dead.add(one);
                let sql = "UPDATE dead_letters SET connection = ?2, checksum = ?3, bytes = ?4 WHERE id = ?1";
                let bytes = one.bytes.cast_signed();
                let mut update = self.database.prepare_cached(sql)?;
                update.execute(params![key.cast_signed(), account.id, record.checksum, bytes])?;
                self.count(from, |account| account.dead.subtract(former));
                moved.push(key);
            }
        }
        Ok(Ok(moved))
    }

    /// Deletes queued and kept deliveries, and dead letters.
    pub(super) fn clear(&mut self, connection: &str) -> rusqlite::Result<Vec<u64>> {
        let Some(id) = self.ledger.account(connection).map(|account| account.id) else {
            return Ok(Vec::new());
        };
        let mut cleared = Vec::new();
        for (table, sql) in [("deliveries", QUEUED), ("deliveries", KEPT), ("dead_letters", DEAD)] {
            for (key, bytes) in records(self.database, sql, params![id, MOVE_COUNT_MAX as i64])? {
                self.forget(table, key)?;
                let one = Tally { count: 1, bytes };
                match sql {
                    KEPT => self.ledger.kept.subtract(one),
                    DEAD => self.count(connection, |account| account.dead.subtract(one)),
                    _ => self.count(connection, |account| account.pending.subtract(one)),
                }
                cleared.push(key);
            }
        }
        self.touch(connection);
        Ok(cleared)
    }

    /// Records whose checksum matches.
    fn readable(&self, sql: &str, id: i64, connection: &str) -> rusqlite::Result<Vec<Readable>> {
        let mut find = self.database.prepare_cached(sql)?;
        let rows = find.query_map(params![id, MOVE_COUNT_MAX as i64], |row| {
            let (delivery, wrong) = raw(row, 2, 3)?.decode(connection);
            let one = Tally { count: 1, bytes: number(row, 1)? };
            Ok(wrong.is_none().then_some((number(row, 0)?, one, delivery)))
        })?;
        rows.filter_map(Result::transpose).collect()
    }

    fn forget(&self, table: &str, key: u64) -> rusqlite::Result<()> {
        let sql = format!("DELETE FROM {table} WHERE rowid = ?1");
        self.database.prepare_cached(&sql)?.execute([key.cast_signed()]).map(drop)
    }

    /// Changes an account. Adding up its records again would read the queues of all connections.
    fn count(&mut self, connection: &str, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.ledger.account_mut(connection) {
            change(account);
        }
    }
}
