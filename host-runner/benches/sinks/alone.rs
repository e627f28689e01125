//! SQLite without the sink: the same rows, columns, pages and syncs, and nothing that the order of changes
//! needs. The bound of new rows.

use host_runner::change::Change;
use rusqlite::{Connection, Statement};

use super::{COLUMNS, measure};

pub(super) const NAME: &str = "SQLite alone";

pub(super) fn run(rows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut database = Connection::open(folder.path().join("alone.db")).expect("opened");
    database
        .execute_batch("PRAGMA page_size = 16384; PRAGMA journal_mode = PERSIST; PRAGMA synchronous = FULL")
        .expect("configured");
    let columns: String =
        (0..COLUMNS).map(|n| format!("text{n} TEXT, count{n} INTEGER, time{n} TEXT, ")).collect();
    let create = format!("CREATE TABLE things (id TEXT NOT NULL UNIQUE, {columns}_raw TEXT)");
    database.execute_batch(&create).expect("created");
    let insert = format!("INSERT INTO things VALUES (?{})", ", ?".repeat(3 * COLUMNS + 1));
    measure(NAME, "new", rows, |changes, _| {
        let transaction = database.transaction().expect("begun");
        let mut statement = transaction.prepare_cached(&insert).expect("prepared");
        for change in changes {
            bind(&mut statement, change).expect("bound");
            statement.raw_execute().expect("inserted");
        }
        drop(statement);
        transaction.commit().expect("committed");
    });
}

/// Binds a key, columns of the usual length, and the row's JSON.
fn bind(statement: &mut Statement<'_>, change: &Change) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, &change.id)?;
    for first in (2..).step_by(3).take(COLUMNS) {
        statement.raw_bind_parameter(first, "A text of some length 100000")?;
        statement.raw_bind_parameter(first + 1, 100_000)?;
        statement.raw_bind_parameter(first + 2, "2024-02-28T10:20:30.000Z")?;
    }
    statement.raw_bind_parameter(2 + 3 * COLUMNS, &change.after)
}
