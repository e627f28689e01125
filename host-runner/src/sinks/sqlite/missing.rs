//! Deletes the rows that a complete snapshot did not contain.
//!
//! Knows nothing of single changes.

use rusqlite::{Transaction, params_from_iter};

use super::metadata::{advance_tombstones, put_tombstone};
use super::schema::order_table;
use crate::sinks::columns::{Layout, MISSING, quote};
use crate::sinks::order::NewestSnapshot;

/// Marks or deletes the rows of an older generation, as of the start of the snapshot. Returns how many.
///
/// The time is the source's and never ours, or a row that is restored shortly after could not return. Rows
/// that were deleted before are deleted at that time too, so that a repeated delivery from before it does not
/// bring them back.
pub(super) fn delete(
    tx: &Transaction<'_>,
    layout: &Layout,
    snapshot: NewestSnapshot,
    hard_deletes: bool,
) -> rusqlite::Result<u64> {
    let (generation, as_of) = (snapshot.generation, snapshot.as_of.unwrap_or(i64::MIN));
    let (table, order) = (quote(&layout.table), order_table(layout));
    advance_tombstones(tx, &layout.table, as_of)?;
    let missing = format!("SELECT _row FROM {order} WHERE _generation < ?1 AND NOT _deleted");
    if !hard_deletes {
        let advance =
            format!("UPDATE {order} SET _as_of = ?2 WHERE _generation < ?1 AND _deleted AND _as_of < ?2");
        tx.execute(&advance, [generation, as_of])?;
        let mark = format!(
            "UPDATE {table} SET _deleted = 1, _change_source = '{MISSING}' WHERE _row IN ({missing})"
        );
        let deleted = tx.execute(&mark, [generation])?;
        let mark = format!(
            "UPDATE {order} SET _deleted = 1, _as_of = max(_as_of, ?2), _generation = ?1, _change = NULL \
             WHERE _generation < ?1 AND NOT _deleted"
        );
        tx.execute(&mark, [generation, as_of])?;
        return Ok(deleted as u64);
    }
    let names: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
    let select = format!(
        "SELECT max(o._as_of, ?2), {} FROM {order} AS o CROSS JOIN {table} USING (_row) \
         WHERE o._generation < ?1",
        names.join(", ")
    );
    let mut select = tx.prepare(&select)?;
    let mut rows = select.query(params_from_iter([generation, as_of]))?;
    while let Some(row) = rows.next()? {
        let key = (1..=names.len()).map(|index| row.get_ref(index)?.as_str().map_err(Into::into));
        let key: Vec<&str> = key.collect::<rusqlite::Result<_>>()?;
        put_tombstone(tx, &layout.table, &key, row.get(0)?)?;
    }
    // Marked rows too: they are from before hard deletes were chosen.
    let delete =
        format!("DELETE FROM {table} WHERE _row IN (SELECT _row FROM {order} WHERE _generation < ?1)");
    let deleted = tx.execute(&delete, [generation])?;
    tx.execute(&format!("DELETE FROM {order} WHERE _generation < ?1"), [generation])?;
    Ok(deleted as u64)
}
