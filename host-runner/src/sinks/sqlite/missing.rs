//! Deletes the rows that a complete snapshot did not contain.
//!
//! Knows nothing of single changes.

use rusqlite::{Transaction, params_from_iter};

use super::metadata::{advance_tombstones, put_tombstone};
use super::schema::quote;
use crate::change::Generation;
use crate::sinks::columns::{Layout, MISSING};
use crate::sinks::order::signed;

/// Marks or deletes the rows of an older generation, as of the start of the snapshot. Returns how many.
///
/// The time is the source's and never ours, or a row that is restored shortly after could not return. Rows
/// that were deleted before are deleted at that time too, so that a repeated delivery from before it does not
/// bring them back.
pub(super) fn delete(
    tx: &Transaction<'_>,
    layout: &Layout,
    generation: Generation,
    hard_deletes: bool,
) -> rusqlite::Result<u64> {
    let (id, as_of) = (signed(generation.id), generation.as_of_ms.map_or(i64::MIN, signed));
    let table = quote(&layout.table);
    advance_tombstones(tx, &layout.table, as_of)?;
    if !hard_deletes {
        let advance =
            format!("UPDATE {table} SET _as_of = ?2 WHERE _generation < ?1 AND _deleted AND _as_of < ?2");
        tx.execute(&advance, [id, as_of])?;
        let mark = format!(
            "UPDATE {table} SET _deleted = 1, _change_source = '{MISSING}', _as_of = max(_as_of, ?2), \
             _generation = ?1, _change_id = NULL WHERE _generation < ?1 AND NOT _deleted"
        );
        return Ok(tx.execute(&mark, [id, as_of])? as u64);
    }
    let names: Vec<String> = layout.key.iter().map(|column| quote(&column.name)).collect();
    let select = format!("SELECT max(_as_of, ?2), {} FROM {table} WHERE _generation < ?1", names.join(", "));
    let mut select = tx.prepare(&select)?;
    let mut rows = select.query(params_from_iter([id, as_of]))?;
    while let Some(row) = rows.next()? {
        let key = (1..=names.len()).map(|index| row.get_ref(index)?.as_str().map_err(Into::into));
        let key: Vec<&str> = key.collect::<rusqlite::Result<_>>()?;
        put_tombstone(tx, &layout.table, &key, row.get(0)?)?;
    }
    Ok(tx.execute(&format!("DELETE FROM {table} WHERE _generation < ?1"), [id])? as u64)
}
