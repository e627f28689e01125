//! Count and bytes of each connection in the journal, so that limits are checked without a query.
//!
//! Owned by the writer. It changes within a transaction, and is undone with it: adding up the records again
//! would read the queues of all connections, for every batch as long as the disk is full.

use std::collections::HashMap;

use rusqlite::{Connection as Database, params};

use super::database::number;

/// A number of records and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// Whether `other` more stay within the limits.
    pub(super) fn has_room(self, other: Self, count_max: u64, bytes_max: u64) -> bool {
        self.count + other.count <= count_max && self.bytes + other.bytes <= bytes_max
    }
}

/// The records of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) pending: Tally,
    pub(super) dead: Tally,
    pub(super) last: u64,
}

/// What the open transaction has changed, as it was.
#[derive(Debug, Default)]
struct Before {
    kept: Tally,
    /// By connection; none if the transaction created the account.
    accounts: HashMap<i64, Option<Account>>,
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<String, Account>,
    names: HashMap<i64, String>,
    /// Acknowledged deliveries of all connections.
    pub(super) kept: Tally,
    /// The state that [`Self::undo`] restores.
    before: Before,
    /// SQLite's `data_version` when this was loaded: it changes with commits of other database connections.
    pub(super) version: i64,
}

impl Ledger {
    /// Adds up the records in the database.
    pub(super) fn load(database: &Database) -> rusqlite::Result<Self> {
        let mut ledger = Self { version: version(database)?, ..Self::default() };
        let mut names = database.prepare_cached("SELECT id, name FROM connections")?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            ledger.insert(row.get(1)?, row.get(0)?);
        }
        let sums = "SELECT connection, count(*), sum(bytes), max(seq) FROM deliveries
            WHERE acknowledged_at_ms IS NULL GROUP BY connection";
        for (id, tally, last) in sum(database, sums)? {
            if let Some(account) = ledger.by_id(id) {
                (account.pending, account.last) = (tally, last);
            }
        }
        let sums = "SELECT connection, count(*), sum(bytes), 0 FROM dead_letters GROUP BY connection";
        for (id, tally, _) in sum(database, sums)? {
            if let Some(account) = ledger.by_id(id) {
                account.dead = tally;
            }
        }
        let kept = "SELECT 0, count(*), coalesce(sum(bytes), 0), 0 FROM deliveries
            WHERE acknowledged_at_ms IS NOT NULL";
        ledger.kept = sum(database, kept)?.first().map(|(_, tally, _)| *tally).unwrap_or_default();
        ledger.begin();
        Ok(ledger)
    }

    /// Starts a transaction: the one before it was committed.
    pub(super) fn begin(&mut self) {
        self.before.accounts.clear();
        self.before.kept = self.kept;
    }

    /// The transaction is rolled back.
    pub(super) fn undo(&mut self) {
        self.kept = self.before.kept;
        for (id, before) in std::mem::take(&mut self.before.accounts) {
            match (self.names.get(&id), before) {
                (Some(name), Some(before)) => drop(self.accounts.insert(name.clone(), before)),
                (Some(name), None) => {
                    self.accounts.remove(name);
                    self.names.remove(&id);
                }
                (None, _) => {}
            }
        }
    }

    /// The account of a connection; created if it has none.
    pub(super) fn open(&mut self, database: &Database, connection: &str) -> rusqlite::Result<&mut Account> {
        if !self.accounts.contains_key(connection) {
            let mut insert = database.prepare_cached("INSERT INTO connections (name) VALUES (?1)")?;
            let id = insert.insert(params![connection])?;
            self.insert(connection.to_owned(), id);
            self.before.accounts.insert(id, None);
        }
        self.account_mut(connection).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    pub(super) fn account(&self, connection: &str) -> Option<&Account> {
        self.accounts.get(connection)
    }

    pub(super) fn account_mut(&mut self, connection: &str) -> Option<&mut Account> {
        let account = self.accounts.get_mut(connection)?;
        self.before.accounts.entry(account.id).or_insert(Some(*account));
        Some(account)
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (&String, &Account)> {
        self.accounts.iter()
    }

    pub(super) fn name(&self, id: i64) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    fn insert(&mut self, name: String, id: i64) {
        let account = Account { id, pending: Tally::default(), dead: Tally::default(), last: 0 };
        self.names.insert(id, name.clone());
        self.accounts.insert(name, account);
    }

    fn by_id(&mut self, id: i64) -> Option<&mut Account> {
        self.accounts.get_mut(self.names.get(&id)?)
    }
}

/// Changes when another database connection, of this process or another, has committed.
pub(super) fn version(database: &Database) -> rusqlite::Result<i64> {
    database.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn sum(database: &Database, sql: &str) -> rusqlite::Result<Vec<(i64, Tally, u64)>> {
    let mut statement = database.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let tally = Tally { count: number(row, 1)?, bytes: number(row, 2)? };
        Ok((row.get(0)?, tally, number(row, 3)?))
    })?;
    rows.collect()
}
