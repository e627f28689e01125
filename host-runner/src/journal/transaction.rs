//! Executes a batch of commands on the tables and the ledger, within one transaction.
//!
//! A rejection (full, unknown) concerns its command only; an error of the database fails the whole batch.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection as Database, OptionalExtension, params};

use super::database::number;
use super::ledger::{Account, Ledger, Tally};
use super::limits::{EXPIRE_COUNT_MAX, JournalLimits, KEPT_AGE};
use super::queue::{Change, Command};
use super::reader::raw;
use super::record::Record;
use crate::clock::millis;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::{AppendError, Cause, Failure, LetterCounts, UNPROVED};

const APPEND: &str = "
    INSERT INTO deliveries (connection, bytes, appended_at_ms, received_at_ms, checksum, method, path,
        headers, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const MOVE: &str = "
    INSERT INTO dead_letters (seq, connection, cause, kind, code, reason, hint, attempts, first_failed_at_ms,
        dead_at_ms, bytes, received_at_ms, checksum, method, path, headers, body)
    SELECT seq, connection, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, bytes, received_at_ms, checksum, method, path,
        headers, body
    FROM deliveries WHERE seq = ?1";
const REPLAY: &str = "
    INSERT INTO deliveries (connection, bytes, appended_at_ms, received_at_ms, checksum, method, path,
        headers, body)
    SELECT connection, bytes, ?2, received_at_ms, checksum, method, path, headers, body
    FROM dead_letters WHERE id = ?1";
const MAKE_ROOM: &str = "
    DELETE FROM dead_letters WHERE id = (
        SELECT id FROM dead_letters WHERE connection = ?1 AND kind = ?2 ORDER BY id LIMIT 1)
    RETURNING bytes";
const LETTER: &str = "
    SELECT connection, bytes, received_at_ms, checksum, method, path, headers, body
    FROM dead_letters WHERE id = ?1";
pub(super) const OLD: &str = "
    SELECT seq, appended_at_ms FROM deliveries WHERE connection = ?1 AND acknowledged_at_ms IS NULL
    ORDER BY seq LIMIT ?2";

/// The open transaction.
pub(super) struct Transaction<'a> {
    pub(super) database: &'a Database,
    pub(super) ledger: &'a mut Ledger,
    pub(super) limits: &'a JournalLimits,
    pub(super) now_ms: u64,
    /// The time with which deliveries are appended and acknowledged.
    pub(super) age_ms: u64,
    /// Whether acknowledged deliveries are kept. In a full file they are deleted at once.
    pub(super) keeps: bool,
    pub(super) effects: &'a mut Effects,
}

/// What is to be published once the transaction is committed.
#[derive(Default)]
pub(super) struct Effects {
    /// Connections whose account changed.
    pub(super) touched: Vec<String>,
    /// Connections with a missed delivery, and the reason.
    pub(super) missed: Vec<(String, &'static str)>,
    /// Connections with further dead letters.
    pub(super) letters: Vec<(String, LetterCounts)>,
}

/// The answer to a command, sent after the commit.
pub(super) enum Outcome {
    Append(Result<u64, AppendError>),
    Change(Result<Vec<u64>>),
}

impl Transaction<'_> {
    pub(super) fn run(&mut self, command: &Command) -> rusqlite::Result<Outcome> {
        match command {
            Command::Append { connection, record, .. } => {
                self.append(connection, record).map(Outcome::Append)
            }
            Command::Change { change, .. } => self.change(change).map(Outcome::Change),
        }
    }

    pub(super) fn change(&mut self, change: &Change) -> rusqlite::Result<Result<Vec<u64>>> {
        match change {
            Change::Acknowledge { connection, seqs } => {
                self.acknowledge(connection, seqs).map(|()| Ok(Vec::new()))
            }
            Change::Resume { connection, position } => {
                self.acknowledge_covered(connection, position)?;
                self.queue_again(connection, position).map(Ok)
            }
            Change::DeadLetter { connection, seq, failure } => {
                Ok(self.dead_letter(connection, *seq, failure)?.map(|()| Vec::new()))
            }
            Change::Replay { ids } => self.replay(ids),
            Change::Drop { ids } => self.drop(ids).map(Ok),
            Change::Expire { now_ms } => {
                // By the clock that stamped them: the other one may stay behind it.
                let kept_ms = self.age_ms.max(*now_ms);
                self.evict(kept_ms.saturating_sub(millis(KEPT_AGE)), |kept| kept.count == 0)?;
                self.expire(*now_ms).map(Ok)
            }
            Change::Move { from, to } => self.move_to(from, to),
            Change::Clear { connection } => self.clear(connection).map(Ok),
            Change::Evict => self.evict(u64::MAX, |kept| kept.count == 0).map(Ok),
        }
    }

    pub(super) fn append(
        &mut self,
        connection: &str,
        record: &Record,
    ) -> rusqlite::Result<Result<u64, AppendError>> {
        let account = self.ledger.open(self.database, connection)?;
        let one = Tally { count: 1, bytes: record.bytes as u64 };
        if !account.pending.has_room(one, self.limits.count, self.limits.bytes) {
            self.effects.missed.push((connection.to_owned(), "the journal is full"));
            return Ok(Err(AppendError::Full));
        }
        let delivery = &record.delivery;
        let seq = self.database.prepare_cached(APPEND)?.insert(params![
            account.id,
            one.bytes.cast_signed(),
            self.age_ms.cast_signed(),
            delivery.received_at_ms.cast_signed(),
            record.checksum,
            delivery.method,
            delivery.path_with_query,
            record.headers,
            delivery.body,
        ])?;
        account.pending.add(one);
        account.last = seq.cast_unsigned();
        self.touch(connection);
        Ok(Ok(seq.cast_unsigned()))
    }

    fn dead_letter(&mut self, connection: &str, seq: u64, failure: &Failure) -> rusqlite::Result<Result<()>> {
        let sql = "SELECT bytes FROM deliveries
            WHERE seq = ?1 AND connection = ?2 AND acknowledged_at_ms IS NULL";
        let id = self.ledger.account(connection).map(|account| account.id);
        let mut find = self.database.prepare_cached(sql)?;
        let bytes = find.query_row(params![seq.cast_signed(), id], |row| number(row, 0)).optional()?;
        let Some(bytes) = bytes else {
            // It was moved or acknowledged before: the command is idempotent.
            return Ok(Ok(()));
        };
        let one = Tally { count: 1, bytes };
        let Some(account) = self.ledger.account_mut(connection) else { return Ok(Ok(())) };
        // A damaged record becomes a dead letter even beyond the limit: otherwise it would block the queue.
        let (evicted, has_room) = match failure.cause {
            Cause::Corrupt => (0, true),
            _ => make_room(self.database, account, one, self.limits)?,
        };
        if has_room {
            move_to_dead(self.database, account, seq, one, (failure, self.now_ms))?;
        } else if failure.is_unproved() {
            self.database
                .prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?
                .execute([seq.cast_signed()])?;
            account.pending.subtract(one);
        } else {
            self.touch(connection);
            return Ok(Err(dead_letters_full(connection)));
        }
        // A delivery that found no room counts as one that became a dead letter and was evicted.
        let counts = LetterCounts { stored: 1, evicted: evicted + u64::from(!has_room) };
        self.effects.letters.push((connection.to_owned(), counts));
        if !failure.is_unproved() {
            self.effects.missed.push((connection.to_owned(), "a delivery could not be applied"));
        }
        self.touch(connection);
        Ok(Ok(()))
    }

    fn replay(&mut self, ids: &[u64]) -> rusqlite::Result<Result<Vec<u64>>> {
        // All are checked before the first is moved.
        let mut moves: Vec<(u64, String, Tally)> = Vec::with_capacity(ids.len());
        let mut seen = HashSet::new();
        for id in ids.iter().filter(|id| seen.insert(**id)) {
            let mut find = self.database.prepare_cached(LETTER)?;
            let found = find.query_row([id.cast_signed()], |row| {
                let connection = self.ledger.name(row.get(0)?).unwrap_or_default().to_owned();
                let (_, wrong) = raw(row, 2, 3)?.decode(&connection);
                Ok((connection, number(row, 1)?, wrong))
            });
            match found.optional()? {
                None => return Ok(Err(unknown(*id))),
                Some((_, _, Some(wrong))) => return Ok(Err(damaged(*id, &wrong))),
                Some((connection, bytes, None)) => moves.push((*id, connection, Tally { count: 1, bytes })),
            }
        }
        let mut totals: BTreeMap<&str, Tally> = BTreeMap::new();
        for (_, connection, one) in &moves {
            totals.entry(connection).or_default().add(*one);
        }
        for (connection, total) in totals {
            let pending = self.ledger.account(connection).map(|account| account.pending).unwrap_or_default();
            if !pending.has_room(total, self.limits.count, self.limits.bytes) {
                return Ok(Err(journal_full(connection)));
            }
        }
        let mut seqs = Vec::with_capacity(moves.len());
        for (id, connection, one) in moves {
            let Some(account) = self.ledger.account_mut(&connection) else { continue };
            let params = params![id.cast_signed(), self.age_ms.cast_signed()];
            let seq = self.database.prepare_cached(REPLAY)?.insert(params)?.cast_unsigned();
            self.database
                .prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?
                .execute([id.cast_signed()])?;
            account.pending.add(one);
            account.dead.subtract(one);
            account.last = seq;
            seqs.push(seq);
            self.touch(&connection);
        }
        Ok(Ok(seqs))
    }

    fn drop(&mut self, ids: &[u64]) -> rusqlite::Result<Vec<u64>> {
        let mut dropped = Vec::new();
        for id in ids {
            let sql = "DELETE FROM dead_letters WHERE id = ?1 RETURNING connection, bytes";
            let mut delete = self.database.prepare_cached(sql)?;
            let deleted = delete.query_row([id.cast_signed()], |row| Ok((row.get(0)?, number(row, 1)?)));
            let Some((connection, bytes)) = deleted.optional()? else { continue };
            dropped.push(*id);
            let Some(name) = self.ledger.name(connection).map(str::to_owned) else { continue };
            if let Some(account) = self.ledger.account_mut(&name) {
                account.dead.subtract(Tally { count: 1, bytes });
            }
            self.touch(&name);
        }
        Ok(dropped)
    }

    fn expire(&mut self, now_ms: u64) -> rusqlite::Result<Vec<u64>> {
        let reason = format!("queued for longer than {} s", self.limits.age.as_secs());
        let failure = Failure::of_the_journal(Cause::Expired, Kind::Unavailable, reason, self.now_ms);
        let waiting = self.ledger.accounts().filter(|(_, account)| account.pending.count > 0);
        let waiting: Vec<(String, i64)> = waiting.map(|(name, account)| (name.clone(), account.id)).collect();
        let mut expired = Vec::new();
        for (name, id) in waiting {
            let most = EXPIRE_COUNT_MAX.saturating_sub(expired.len());
            let mut find = self.database.prepare_cached(OLD)?;
            let all =
                find.query_map(params![id, most as i64], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
            let limits = self.limits;
            let is_old = |at_ms: u64| limits.is_expired(at_ms, now_ms);
            // Up to the first that is young, so that a connection costs one row while none is old. One that a
            // clock ahead has appended hides no others.
            let old = all
                .take_while(|row| row.as_ref().map_or(true, |(_, at_ms)| is_old(*at_ms) || *at_ms > now_ms))
                .filter(|row| row.as_ref().map_or(true, |(_, at_ms)| is_old(*at_ms)));
            let old: Vec<(u64, u64)> = old.collect::<rusqlite::Result<_>>()?;
            for (seq, _) in old {
                match self.dead_letter(&name, seq, &failure)? {
                    Ok(()) => expired.push(seq),
                    // No room: it stays queued, and this connection's queue fills; others are not affected.
                    Err(_full) => break,
                }
            }
        }
        Ok(expired)
    }

    pub(super) fn touch(&mut self, connection: &str) {
        if self.effects.touched.last().is_none_or(|last| last != connection) {
            self.effects.touched.push(connection.to_owned());
        }
    }
}

/// Evicts unproved dead letters, oldest first, until one more fits, and counts them; false if there is still
/// no room.
fn make_room(
    database: &Database,
    account: &mut Account,
    one: Tally,
    limits: &JournalLimits,
) -> rusqlite::Result<(u64, bool)> {
    let mut evicted = 0;
    while !account.dead.has_room(one, limits.dead_count, limits.dead_bytes) {
        let mut oldest = database.prepare_cached(MAKE_ROOM)?;
        let found = oldest.query_row(params![account.id, UNPROVED], |row| number(row, 0));
        let Some(bytes) = found.optional()? else { return Ok((evicted, false)) };
        account.dead.subtract(Tally { count: 1, bytes });
        evicted += 1;
    }
    Ok((evicted, true))
}

/// Moves a record from the queue to the dead letters.
pub(super) fn move_to_dead(
    database: &Database,
    account: &mut Account,
    seq: u64,
    one: Tally,
    (failure, now_ms): (&Failure, u64),
) -> rusqlite::Result<()> {
    let seq = seq.cast_signed();
    database.prepare_cached(MOVE)?.execute(params![
        seq,
        failure.cause.name(),
        failure.kind,
        failure.code,
        failure.reason,
        failure.hint,
        failure.attempts,
        failure.first_failed_at_ms.cast_signed(),
        now_ms.cast_signed()
    ])?;
    database.prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?.execute([seq])?;
    account.pending.subtract(one);
    account.dead.add(one);
    Ok(())
}

pub(super) fn dead_letters_full(connection: &str) -> Error {
    Error::new(
        Origin::State,
        Kind::Unavailable,
        format!("connection `{connection}`: its dead letters are full"),
    )
    .hint(
        "webhooks wait until there is room, polling continues; \
         see `dead-letters list`, then `dead-letters drop`",
    )
}

pub(super) fn journal_full(connection: &str) -> Error {
    Error::new(Origin::State, Kind::Unavailable, format!("connection `{connection}`: its journal is full"))
        .hint("replay fewer at a time, or wait until deliveries have been applied")
}

fn unknown(id: u64) -> Error {
    Error::new(Origin::State, Kind::NotFound, format!("dead letter {id}: there is none with this number"))
        .hint("`dead-letters list` shows them")
}

fn damaged(id: u64, wrong: &str) -> Error {
    Error::new(Origin::State, Kind::Data, format!("dead letter {id}: damaged on disk: {wrong}"))
        .hint("it can be shown and dropped, not replayed")
}
