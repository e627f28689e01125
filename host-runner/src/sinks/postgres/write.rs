//! One commit: finds the stored entries, folds the changes, and writes each table in a few statements.
//!
//! [`fold`](crate::sinks::fold) gives one row for each key, [`super::rows`] encodes and copies it. Runs
//! within a transaction that it opens and commits.

use std::cell::Cell;
use std::collections::HashMap;

use futures_util::future::{join, join3, try_join, try_join_all};

use super::errors::of_table;
use super::metadata::{Metadata, Owner};
use super::position::Position;
use super::rows::{Way, Writes};
use super::session::{Sent, Session, pipelined};
use super::table::PreparedTable;
use super::values::KEY_BYTES_MAX;
use crate::change::{Change, Generation};
use crate::error::{Error, Result};
use crate::sinks::fold::{Base, Folded, Keyed, Row};
use crate::sinks::order::{ChangeMark, Containing, NewestSnapshot, Stored, StoredRow};
use crate::sinks::{Commit, Counts, Deletes, Progress, fenced};

/// The changes of one table.
pub(super) struct TableBatch<'c> {
    table: &'c PreparedTable,
    keyed: Keyed<'c>,
}

/// Everything that a commit needs.
pub(super) struct Work<'c> {
    pub(super) metadata: &'c Metadata,
    pub(super) commit: &'c Commit<'c>,
    pub(super) batches: Vec<TableBatch<'c>>,
    /// The table whose progress it is.
    pub(super) table: Option<&'c PreparedTable>,
    pub(super) deletes: Deletes,
    pub(super) writer: &'c str,
    pub(super) position: &'c Position,
    /// Distinguishes this commit from others.
    pub(super) number: i64,
    /// Its counts, once the server was asked to commit: from then on it alone knows the outcome.
    pub(super) asked: Cell<Option<Counts>>,
}

impl<'c> TableBatch<'c> {
    /// Reads the keys of a table's changes.
    pub(super) fn new(table: &'c PreparedTable, changes: impl Iterator<Item = &'c Change>) -> Result<Self> {
        let keyed = Keyed::new(&table.layout, &table.key_paths, changes)?;
        for key in &keyed.keys {
            let bytes: usize = key.iter().map(|text| text.len()).sum();
            if bytes > KEY_BYTES_MAX {
                let start: String = key.concat().chars().take(40).collect();
                return Err(Error::data(format!(
                    "table `{}`: key {start}…: {bytes} bytes, and PostgreSQL indexes at most {KEY_BYTES_MAX}",
                    table.layout.table
                )));
            }
        }
        Ok(Self { table, keyed })
    }

    fn name(&self) -> &str {
        &self.table.layout.table
    }
}

/// The stored entries for the changes of a table.
struct Found {
    newest: NewestSnapshot,
    entries: Vec<Stored>,
}

/// Does it. A failure leaves the transaction open.
pub(super) async fn commit(work: &Work<'_>, session: &Session, way: Way) -> Result<Counts> {
    let (newest, found) = begin(work, session).await?;
    let mut counts = Counts::default();
    let mut writes = Vec::new();
    for (batch, found) in work.batches.iter().zip(found) {
        let containing = Containing::new(work.commit, batch.name(), found.newest);
        let folded = batch.keyed.fold(&found.entries, work.commit, &containing, work.deletes, &mut counts);
        let raws = raws(batch, &folded, session).await?;
        let (table, keys) = (batch.table, &batch.keyed.keys);
        let table_writes = Writes::new(table, keys, &folded, &raws, way, session).await?;
        counts.unconverted += table_writes.unconverted;
        writes.push((table, table_writes));
    }
    let mut statements: Vec<Sent<'_>> = Vec::new();
    for (table, writes) in &writes {
        writes.send(table, session, &mut statements).await?;
    }
    if let (Some(table), Some(generation)) = (work.table, completed(work.commit)) {
        pipelined(std::mem::take(&mut statements)).await?;
        counts.deleted += missing(table, session, newest.after(generation), work.deletes).await?;
    }
    statements.push(work.metadata.advance(session, work.commit, newest).await?);
    statements.push(work.metadata.note_commit(session, work.commit.epoch, work.number).await?);
    statements.push(Box::pin(async {
        session.client.batch_execute("COMMIT").await?;
        Ok(0)
    }));
    work.asked.set(Some(counts));
    work.position.ask(work.number);
    pipelined(statements).await?;
    Ok(counts)
}

/// The snapshot that a commit completes.
fn completed(commit: &Commit<'_>) -> Option<Generation> {
    let Progress::Table { generation, .. } = commit.progress else { return None };
    generation.filter(|generation| generation.complete)
}

/// Opens the transaction in one round trip: keeps other writers out, and finds the newest snapshot of the
/// table that progresses and the stored entries of the batches.
async fn begin(work: &Work<'_>, session: &Session) -> Result<(NewestSnapshot, Vec<Found>)> {
    let metadata = work.metadata;
    // Statements behind others must not wait to be prepared.
    metadata.prepare_fence(session).await?;
    metadata.prepare_newest_snapshot(session).await?;
    for batch in &work.batches {
        session.prepared(&batch.table.find).await.map_err(|error| of_table(error, batch.name()))?;
    }
    let newest = async {
        match work.table {
            Some(table) => metadata.newest_snapshot(session, &table.layout.table).await,
            None => Ok(NewestSnapshot::default()),
        }
    };
    let found = work.batches.iter().map(|batch| async move {
        let found = find(metadata, batch, session).await;
        found.map_err(|error| of_table(error, batch.name()))
    });
    let found = async { try_join(newest, try_join_all(found)).await };
    let begin = session.client.batch_execute("BEGIN");
    let (begun, owner, found) = join3(begin, metadata.owner(session, "FOR UPDATE"), found).await;
    begun?;
    admits(owner?, work)?;
    found
}

/// Refuses a commit of a writer that another one has followed, and one into a database that was restored.
fn admits(owner: Option<Owner>, work: &Work<'_>) -> Result<()> {
    let Some(owner) = owner else {
        return Err(Error::sink("PostgreSQL: `_sync_owner` is empty"));
    };
    if work.commit.epoch < owner.epoch {
        return Err(fenced(work.commit.epoch, owner.epoch));
    }
    if owner.writer != work.writer {
        return Err(super::followed());
    }
    work.position.check(owner.commit)
}

async fn find(metadata: &Metadata, batch: &TableBatch<'_>, session: &Session) -> Result<Found> {
    let statement = session.prepared(&batch.table.find).await?;
    let keys = batch.table.key_arrays(batch.keyed.keys.iter());
    let parameters = keys.parameters();
    let (newest, rows) =
        join(metadata.newest_snapshot(session, batch.name()), session.client.query(&statement, &parameters))
            .await;
    let mut entries = vec![Stored::Nothing; batch.keyed.keys.len()];
    for row in rows? {
        let number: i64 = row.try_get(0)?;
        let is_tombstone: bool = row.try_get(5)?;
        let as_of = row.try_get(1)?;
        let mark: Option<i64> = row.try_get(3)?;
        let stored = StoredRow {
            as_of,
            generation: row.try_get(2)?,
            mark: mark.map(ChangeMark::stored),
            is_deleted: row.try_get(4)?,
        };
        if let Some(entry) = usize::try_from(number - 1).ok().and_then(|place| entries.get_mut(place)) {
            *entry = if is_tombstone { Stored::Tombstone(as_of) } else { Stored::Row(stored) };
        }
    }
    Ok(Found { newest: newest?, entries })
}

/// The stored rows that partial rows are laid over, by the place of their key.
async fn raws(
    batch: &TableBatch<'_>,
    folded: &[Folded<'_>],
    session: &Session,
) -> Result<HashMap<usize, String>> {
    let needs =
        |folded: &Folded<'_>| matches!(&folded.row, Row::Write(content) if content.base == Base::Stored);
    let places: Vec<usize> =
        (0..folded.len()).filter(|place| folded.get(*place).is_some_and(needs)).collect();
    let mut raws = HashMap::new();
    if places.is_empty() {
        return Ok(raws);
    }
    let keys = batch.table.key_arrays(places.iter().filter_map(|place| batch.keyed.keys.get(*place)));
    let about = |error: Error| of_table(error, batch.name());
    let statement = session.prepared(&batch.table.raws).await.map_err(about)?;
    let rows = session.client.query(&statement, &keys.parameters()).await;
    for row in rows.map_err(|error| about(error.into()))? {
        let number: i64 = row.try_get(0)?;
        let raw: Option<String> = row.try_get(1)?;
        let place = usize::try_from(number - 1).ok().and_then(|number| places.get(number));
        if let (Some(place), Some(raw)) = (place, raw) {
            raws.insert(*place, raw);
        }
    }
    Ok(raws)
}

/// Marks or deletes the rows of an older generation, as of the start of the snapshot. Returns how many.
///
/// The time is the source's and never ours, or a row that is restored shortly after could not return. Rows
/// that were deleted before are deleted at that time too, so that a repeated delivery from before it does not
/// bring them back.
async fn missing(
    table: &PreparedTable,
    session: &Session,
    snapshot: NewestSnapshot,
    deletes: Deletes,
) -> Result<u64> {
    let (generation, as_of) = (snapshot.generation, snapshot.as_of.unwrap_or(i64::MIN));
    let about = |error: Error| of_table(error, &table.layout.table);
    let missing = &table.missing;
    let run = async |sql: &str, parameters: &[i64]| {
        let statement = session.prepared(sql).await?;
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            parameters.iter().map(|value| value as _).collect();
        Ok::<u64, Error>(session.client.execute(&statement, &parameters).await?)
    };
    // It may be every row of a large table: with a limit it would fail each time, and leave dead rows behind.
    session.client.batch_execute("SET LOCAL statement_timeout = 0").await?;
    run(&missing.tombstones, &[as_of]).await.map_err(about)?;
    if deletes == Deletes::Hard {
        return run(&missing.remove, &[generation, as_of]).await.map_err(about);
    }
    run(&missing.marked, &[generation, as_of]).await.map_err(about)?;
    run(&missing.mark, &[generation, as_of]).await.map_err(about)
}
