//! Reads the values of rows on a second thread, ahead of the one that inserts them.
//!
//! For the first snapshot of a table, where every row is inserted: reading values takes a third of the time.
//! Other commits read those of the rows that they write, when they write them.

use std::sync::mpsc::sync_channel;

use super::statements::PreparedTable;
use crate::change::Change;
use crate::error::{Error, Result};
use crate::sinks::value::Value;

/// The values of a row's columns, none where one does not convert; or why the row has none.
pub(super) type Values<'c> = serde_json::Result<Vec<Option<Value<'c>>>>;

/// Rows that are handed over at a time: waking a thread takes as long as reading some rows.
const PIECE_ROWS: usize = 64;
/// Pieces that wait: the values are as large as the rows, which are in memory anyway.
const PIECES_AHEAD: usize = 4;
/// Changes of a commit from which a thread costs less than it saves.
const CHANGES_MIN: usize = 4 * PIECE_ROWS;

/// Whether a commit of so many changes reads ahead.
pub(super) fn pays(changes: usize) -> bool {
    changes >= CHANGES_MIN
}

/// Reads the values of each change's row, and has `take` take them in their order. A change without a row has
/// none.
pub(super) fn read<'c>(
    changes: &[&'c Change],
    table: &PreparedTable,
    mut take: impl FnMut(&'c Change, Option<Values<'c>>) -> Result<()>,
) -> Result<()> {
    let values = |change: &&'c Change| change.after.as_deref().map(|row| table.values(row));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<Option<Values<'c>>>>(PIECES_AHEAD);
        let read_all = move || {
            for piece in changes.chunks(PIECE_ROWS) {
                if sender.send(piece.iter().map(values).collect()).is_err() {
                    return; // Inserting has failed.
                }
            }
        };
        let thread = std::thread::Builder::new().name("values".to_owned());
        thread.spawn_scoped(scope, read_all).map_err(|error| Error::sink(format!("no thread: {error}")))?;
        let rows = receiver.into_iter().flatten();
        changes.iter().zip(rows).try_for_each(|(change, values)| take(change, values))
    })
}
