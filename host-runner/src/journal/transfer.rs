//! The records of a connection that was renamed or removed: moves them to another connection, or deletes
//! them.
//!
//! A checksum covers the connection's name, so moved records are written again.

use rusqlite::params;

use super::database::number;
use super::kept::records;
use super::ledger::{Ledger, Tally};
use super::limits::MOVE_COUNT_MAX;
use super::reader::raw;
use super::record::Record;
use super::transaction::{Transaction, dead_letters_full, journal_full};
use crate::delivery::Delivery;
use crate::error::Result;

const MOVED: &str = "
    SELECT seq, received_at_ms, checksum, method, path, headers, body FROM deliveries
    WHERE connection = ?1 AND acknowledged_at_ms IS NULL ORDER BY seq LIMIT ?2";
const MOVED_DEAD: &str = "
    SELECT id, received_at_ms, checksum, method, path, headers, body FROM dead_letters
    WHERE connection = ?1 ORDER BY id LIMIT ?2";
const CLEARED: &str = "SELECT seq, bytes FROM deliveries WHERE connection = ?1 LIMIT ?2";
const CLEARED_DEAD: &str = "SELECT id, bytes FROM dead_letters WHERE connection = ?1 LIMIT ?2";

impl Transaction<'_> {
    /// Moves queued deliveries to the end of another queue, then dead letters; a damaged one stays as it is.
    pub(super) fn move_to(&mut self, from: &str, to: &str) -> rusqlite::Result<Result<Vec<u64>>> {
        let Some(id) = self.ledger.account(from).map(|account| account.id) else { return Ok(Ok(Vec::new())) };
        // Those that were moved before the target was full stay moved.
        let moved = self.move_some(id, from, to)?;
        self.recount(from)?;
        self.touch(to);
        Ok(moved)
    }

    /// Counts in the target alone.
    fn move_some(&mut self, id: i64, from: &str, to: &str) -> rusqlite::Result<Result<Vec<u64>>> {
        let mut moved = Vec::new();
        for (key, delivery) in self.readable(MOVED, id, from)? {
            match self.append(to, &Record::new(to, delivery))? {
                Ok(_) => self.forget("deliveries", key)?,
                Err(_full) => return Ok(Err(journal_full(to))),
            }
            moved.push(key);
        }
        if moved.is_empty() {
            for (key, delivery) in self.readable(MOVED_DEAD, id, from)? {
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
        for (table, sql) in [("deliveries", CLEARED), ("dead_letters", CLEARED_DEAD)] {
            for (key, _) in records(self.database, sql, params![id, MOVE_COUNT_MAX as i64])? {
                self.forget(table, key)?;
                cleared.push(key);
            }
        }
        self.recount(connection)?;
        Ok(cleared)
    }

    /// Deliveries whose checksum matches, with their keys.
    fn readable(&self, sql: &str, id: i64, connection: &str) -> rusqlite::Result<Vec<(u64, Delivery)>> {
        let mut find = self.database.prepare_cached(sql)?;
        let rows = find.query_map(params![id, MOVE_COUNT_MAX as i64], |row| {
            Ok((number(row, 0)?, raw(row, 1, 2)?.decode(connection)))
        })?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(rows
            .into_iter()
            .filter(|(_, (_, wrong))| wrong.is_none())
            .map(|(key, (one, _))| (key, one))
            .collect())
    }

    fn forget(&self, table: &str, key: u64) -> rusqlite::Result<()> {
        let sql = format!("DELETE FROM {table} WHERE rowid = ?1");
        self.database.prepare_cached(&sql)?.execute([key.cast_signed()]).map(drop)
    }

    /// Adds up the records of a connection again.
    fn recount(&mut self, connection: &str) -> rusqlite::Result<()> {
        let fresh = Ledger::load(self.database)?;
        self.ledger.kept = fresh.kept;
        if let (Some(account), Some(fresh)) = (self.ledger.account_mut(connection), fresh.account(connection))
        {
            (account.pending, account.dead) = (fresh.pending, fresh.dead);
        }
        self.touch(connection);
        Ok(())
    }
}
