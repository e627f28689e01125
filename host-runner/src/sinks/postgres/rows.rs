//! The rows and entries that a commit writes into one table, encoded, and the statements that take them.
//!
//! New rows of a large batch are copied into their table, others are upserted. The server stores copied rows
//! while the next ones are encoded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::encode::{Arrays, Cell, CopyRows, Rows};
use super::errors::of_table;
use super::session::{Sent, Session};
use super::table::{PreparedTable, put_key};
use super::values::{cell, fits_depth, time_of_ms};
use crate::error::{Error, Result};
use crate::sinks::fold::{Base, Content, Folded, Key, Row};
use crate::sinks::members::{merge, scan};
use crate::sinks::order::{Stored, StoredRow};

/// New rows from which `COPY` costs less than it saves: two more round trips.
const COPY_ROWS_MIN: usize = 64;

/// How new rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A large number is copied.
    Copy,
    /// All are upserted: a user's row has the key of a new one.
    Upsert,
}

/// The rows and entries for one table, except the new rows of a large batch: those are at the server.
pub(super) struct Writes {
    rows: Arrays,
    entries: Arrays,
    marked: Arrays,
    removed: Arrays,
    pub(super) unconverted: u64,
}

impl Writes {
    /// Encodes what a commit writes, and copies new rows of a large batch with their entries.
    pub(super) async fn new(
        table: &PreparedTable,
        keys: &[Key<'_>],
        folded: &[Folded<'_>],
        raws: &HashMap<usize, String>,
        way: Way,
        session: &Session,
    ) -> Result<Self> {
        let new = folded.iter().filter(|folded| folded.is_new).count();
        let mut copy = match way == Way::Copy && new >= COPY_ROWS_MIN {
            true => Some(Copying::start(table, &table.copy, table.copy_rows(), session).await?),
            false => None,
        };
        let mut new_entries = table.copy_entry_rows();
        let mut writes = Self {
            rows: table.row_arrays(),
            entries: table.entry_arrays(),
            marked: table.marked_arrays(),
            removed: table.key_arrays(std::iter::empty()),
            unconverted: 0,
        };
        for (place, (folded, key)) in folded.iter().zip(keys).enumerate() {
            let copy = copy.as_mut().filter(|_| folded.is_new);
            let is_copied = copy.is_some() && matches!(folded.row, Row::Write(_));
            match &folded.row {
                Row::Keep => {}
                Row::Mark(source) => {
                    writes.marked.begin_row();
                    put_key(&mut writes.marked, key);
                    writes.marked.put(&Cell::Text(Cow::Borrowed(source.name())));
                }
                Row::Remove => {
                    writes.removed.begin_row();
                    put_key(&mut writes.removed, key);
                }
                Row::Write(content) => {
                    let raw = text(content, raws.get(&place).map(String::as_str))
                        .map_err(|error| unusable(table, key, &error))?;
                    let raw = raw.as_deref();
                    writes.unconverted += match copy {
                        Some(copy) => {
                            let unconverted = put_row(&mut copy.rows, table, key, content, raw)?;
                            copy.send().await?;
                            unconverted
                        }
                        None => put_row(&mut writes.rows, table, key, content, raw)?,
                    };
                }
            }
            match folded.entry {
                None => {}
                // A tombstone may be there.
                Some(entry) if is_copied && folded.is_unseen => put_entry(&mut new_entries, key, entry),
                Some(entry) => put_entry(&mut writes.entries, key, entry),
            }
        }
        if let Some(copy) = copy {
            copy.finish().await?;
        }
        if new_entries.rows > 0 {
            Copying::start(table, &table.copy_entries, new_entries, session).await?.finish().await?;
        }
        Ok(writes)
    }

    /// The other statements.
    pub(super) async fn send<'a>(
        &'a self,
        table: &'a PreparedTable,
        session: &'a Session,
        statements: &mut Vec<Sent<'a>>,
    ) -> Result<()> {
        let name = &table.layout.table;
        for (sql, arrays) in [
            (&table.remove, &self.removed),
            (&table.mark, &self.marked),
            (&table.upsert, &self.rows),
            (&table.upsert_entries, &self.entries),
        ] {
            if arrays.rows == 0 {
                continue;
            }
            let statement = session.prepared(sql).await.map_err(|error| of_table(error, name))?;
            statements.push(Box::pin(async move {
                let rows = session.client.execute(&statement, &arrays.parameters()).await;
                rows.map_err(|error| of_table(error.into(), name))
            }));
        }
        Ok(())
    }
}

/// A `COPY` that is under way. Dropped before its end, it fails at the server, and the transaction with it.
struct Copying<'a> {
    table: &'a str,
    /// Takes the next rows.
    rows: CopyRows,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl<'a> Copying<'a> {
    async fn start(table: &'a PreparedTable, sql: &str, rows: CopyRows, session: &Session) -> Result<Self> {
        let table = table.layout.table.as_str();
        let about = |error: Error| of_table(error, table);
        let statement = session.prepared(sql).await.map_err(about)?;
        let sink = session.client.copy_in(&statement).await.map_err(|error| about(error.into()))?;
        Ok(Self { table, rows, sink: Box::pin(sink) })
    }

    /// Sends the rows once they fill a message; waits while the server has enough to do.
    async fn send(&mut self) -> Result<()> {
        match self.rows.full() {
            Some(chunk) => self.feed(chunk).await,
            None => Ok(()),
        }
    }

    async fn feed(&mut self, chunk: Bytes) -> Result<()> {
        self.sink.feed(chunk).await.map_err(|error| of_table(error.into(), self.table))
    }

    async fn finish(mut self) -> Result<()> {
        let last = self.rows.end();
        self.feed(last).await?;
        let done = self.sink.as_mut().finish().await;
        done.map(drop).map_err(|error| of_table(error.into(), self.table))
    }
}

/// The row's JSON.
fn text<'a>(content: &Content<'a>, stored: Option<&'a str>) -> serde_json::Result<Option<Cow<'a, str>>> {
    let (base, mut partials) = match content.base {
        Base::Nothing => (None, content.partials.iter()),
        Base::Text(text) => (Some(text), content.partials.iter()),
        Base::Stored => (stored, content.partials.iter()),
    };
    // A partial row of an unknown one is the row.
    let Some(base) = base.or_else(|| partials.next().copied()) else { return Ok(None) };
    let mut text = Cow::Borrowed(base);
    for partial in partials {
        text = Cow::Owned(merge(&text, partial)?);
    }
    Ok(Some(text))
}

fn unusable(table: &PreparedTable, key: &Key<'_>, problem: &dyn std::fmt::Display) -> Error {
    let (table, key) = (&table.layout.table, key.join("/"));
    Error::data(format!("table `{table}`: row {key}: is not a JSON object: {problem}"))
}

/// Puts the cells of a row. Returns how many values did not convert.
fn put_row(
    rows: &mut impl Rows,
    table: &PreparedTable,
    key: &Key<'_>,
    content: &Content<'_>,
    raw: Option<&str>,
) -> Result<u64> {
    let mut slots = vec![None; table.layout.columns.len()];
    if let Some(raw) = raw {
        scan(raw, &table.paths, &mut slots).map_err(|error| unusable(table, key, &error))?;
        if !fits_depth(raw) {
            let (table, key) = (&table.layout.table, key.join("/"));
            return Err(Error::data(format!("table `{table}`: row {key}: nests too deep for PostgreSQL")));
        }
    }
    rows.begin_row();
    put_key(rows, key);
    rows.put(&time_of_ms(content.source_updated_at_ms));
    rows.put(&Cell::Boolean(content.is_deleted));
    rows.put(&Cell::Text(Cow::Borrowed(content.source.name())));
    let mut unconverted = 0;
    for (slot, column) in slots.iter().zip(&table.layout.columns) {
        let cell = slot.map_or(Some(Cell::Null), |raw| cell(column.column_type, raw));
        unconverted += u64::from(cell.is_none());
        rows.put(&cell.unwrap_or(Cell::Null));
    }
    rows.put(&raw.map_or(Cell::Null, Cell::Json));
    Ok(unconverted)
}

/// Puts the cells of an entry.
fn put_entry(rows: &mut impl Rows, key: &Key<'_>, entry: Stored) {
    let (row, is_tombstone) = match entry {
        Stored::Row(row) => (row, false),
        Stored::Nothing => return,
        Stored::Tombstone(as_of) => (StoredRow { as_of, generation: 0, mark: None, is_deleted: true }, true),
    };
    rows.begin_row();
    put_key(rows, key);
    rows.put(&Cell::Integer(row.as_of));
    rows.put(&Cell::Integer(row.generation));
    rows.put(&row.mark.map_or(Cell::Null, |mark| Cell::Integer(mark.value())));
    rows.put(&Cell::Boolean(row.is_deleted));
    rows.put(&Cell::Boolean(is_tombstone));
}
