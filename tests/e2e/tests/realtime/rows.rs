//! The target while it is being written: looked at again and again, never locked. That in PostgreSQL is
//! copied into a file first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::compare::mirror;
use crate::support::tables;

/// Longest wait for something to show; only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two attempts.
const BETWEEN: Duration = Duration::from_millis(2);

/// Waits for an effect of another process; gives up with the last error.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    eventually_after(what, || look().map_err(|said| (start, said)))
}

/// The same for an effect that comes in steps: a failure says when the last one came.
#[track_caller]
pub(crate) fn eventually_after<T>(what: &str, mut look: impl FnMut() -> Result<T, (Instant, String)>) -> T {
    loop {
        match look() {
            Ok(found) => return found,
            Err((since, said)) => {
                assert!(since.elapsed() < PATIENCE, "waited in vain for {what}: {said}");
            }
        }
        std::thread::park_timeout(BETWEEN);
    }
}

/// A target by its path; it may not exist yet.
pub(crate) struct Rows {
    path: PathBuf,
    /// The database that the file is a copy of, and the schema.
    copied_from: Option<(String, String)>,
}

impl Rows {
    pub(crate) fn at(path: &Path) -> Rows {
        Rows { path: path.to_owned(), copied_from: None }
    }

    /// Rows in a schema; [`Self::refresh`] copies them.
    pub(crate) fn copied_from(self, url: &str, schema: &str) -> Rows {
        Rows { copied_from: Some((url.to_owned(), schema.to_owned())), ..self }
    }

    /// Copies the rows of PostgreSQL as they are now.
    pub(crate) fn refresh(&self) {
        if let Some((url, schema)) = &self.copied_from {
            mirror(url, schema, tables(), &self.path);
        }
    }

    pub(crate) fn are_copied(&self) -> bool {
        self.copied_from.is_some()
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }

    /// One value; none when there is no row, or no such table yet.
    pub(crate) fn value(&self, sql: &str) -> Option<Value> {
        let connection = self.open().ok()?;
        connection.query_row(sql, [], |row| row.get(0)).optional().ok().flatten()
    }

    /// One text.
    pub(crate) fn text(&self, sql: &str) -> Option<String> {
        match self.value(sql)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One number.
    pub(crate) fn number(&self, sql: &str) -> Option<i64> {
        match self.value(sql)? {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Waits until a query gives this text.
    #[track_caller]
    pub(crate) fn until_text(&self, sql: &str, expected: &str) {
        eventually(sql, || match self.text(sql) {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("{found:?}, not {expected:?}")),
        });
    }

    /// Waits until a query gives this number.
    #[track_caller]
    pub(crate) fn until_number(&self, sql: &str, expected: i64) {
        eventually(sql, || match self.number(sql) {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("{found:?}, not {expected}")),
        });
    }

    /// All rows of a query as printed values, for comparisons.
    #[track_caller]
    pub(crate) fn dump(&self, sql: &str) -> Vec<String> {
        let connection = self.open().expect("the target");
        let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: rusqlite::Result<Vec<Value>> = (0..columns).map(|at| row.get(at)).collect();
            Ok(format!("{:?}", cells?))
        });
        rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows of a table by id: whether they are marked deleted, and their documents.
    #[track_caller]
    pub(crate) fn documents(&self, table: &str) -> BTreeMap<String, (bool, serde_json::Value)> {
        let connection = self.open().expect("the target");
        let sql = format!("SELECT id, _deleted, _raw FROM \"{table}\"");
        let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows = statement.query_map([], |row| {
            let document: Option<String> = row.get(2)?;
            let document =
                document.map_or(serde_json::Value::Null, |text| serde_json::from_str(&text).expect("JSON"));
            Ok((row.get(0)?, (row.get(1)?, document)))
        });
        rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}
