//! A table prepared for its rows: the statements and member paths that are the same for all of them.
//!
//! Knows nothing of the order of changes.

use super::encode::{Arrays, Cell, CopyRows, Rows, SqlType};
use super::schema::{ENTRY_COLUMNS, ROW_COLUMNS, entries, in_schema, key_names};
use super::values::{escaped, sql_type};
use crate::sinks::columns::{Layout, MISSING, quote};
use crate::sinks::fold::Key;
use crate::sinks::members::MemberPaths;

/// A table with everything that is the same for all its rows.
///
/// The columns of a row are those of the key, [`ROW_COLUMNS`] without `_raw`, the typed ones and `_raw`;
/// those of an entry the key and [`ENTRY_COLUMNS`]. Statements that take rows take an array for each column.
pub(super) struct PreparedTable {
    pub(super) layout: Layout,
    pub(super) paths: MemberPaths,
    pub(super) key_paths: MemberPaths,
    /// The entries of keys, with the number of the key.
    pub(super) find: String,
    /// The stored rows of keys, with the number of the key.
    pub(super) raws: String,
    pub(super) upsert: String,
    pub(super) upsert_entries: String,
    pub(super) copy: String,
    pub(super) copy_entries: String,
    /// Marks rows as deleted; takes the key and the source of the change.
    pub(super) mark: String,
    pub(super) remove: String,
    pub(super) missing: Missing,
}

/// What a complete snapshot does to the rows that it did not contain: `$1` is its generation, `$2` its start.
pub(super) struct Missing {
    /// Tombstones are from before it.
    pub(super) tombstones: String,
    /// So are marked rows.
    pub(super) marked: String,
    pub(super) mark: String,
    pub(super) remove: String,
}

impl PreparedTable {
    pub(super) fn new(schema: &str, layout: Layout) -> Self {
        let (rows, entries) = (in_schema(schema, &layout.table), in_schema(schema, &entries(&layout.table)));
        let keys = key_names(&layout);
        let key_types = vec![SqlType::Text; keys.len()];
        let given = given(&keys, &key_types);
        let matches = matches(&keys);
        let columns = columns(&layout);
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let types: Vec<SqlType> = columns.iter().map(|(_, kind)| *kind).collect();
        let entry_names: Vec<String> =
            keys.iter().cloned().chain(ENTRY_COLUMNS.map(|(name, _)| quote(name))).collect();
        let entry_types: Vec<SqlType> =
            key_types.iter().copied().chain(ENTRY_COLUMNS.map(|(_, kind)| kind)).collect();
        let marked_types: Vec<SqlType> = key_types.iter().copied().chain([SqlType::Text]).collect();
        let source = quote("_change_source");
        let marked: Vec<String> = keys.iter().cloned().chain([source]).collect();
        Self {
            find: format!(
                "SELECT k._n, t.\"_as_of\", t.\"_generation\", t.\"_change\", t.\"_deleted\", \
                 t.\"_tombstone\" FROM {given} JOIN {entries} t ON {matches}"
            ),
            raws: format!("SELECT k._n, t.\"_raw\"::text FROM {given} JOIN {rows} t ON {matches}"),
            upsert: upsert(&rows, &names, &types, &keys),
            upsert_entries: upsert(&entries, &entry_names, &entry_types, &keys),
            copy: format!("COPY {rows} ({}) FROM STDIN (FORMAT binary)", names.join(", ")),
            copy_entries: format!("COPY {entries} ({}) FROM STDIN (FORMAT binary)", entry_names.join(", ")),
            mark: format!(
                "UPDATE {rows} t SET \"_deleted\" = true, \"_change_source\" = k.\"_change_source\" \
                 FROM {} WHERE {matches}",
                self::given(&marked, &marked_types)
            ),
            remove: format!("DELETE FROM {rows} t USING {given} WHERE {matches}"),
            missing: Missing::new(&rows, &entries, &keys, &matches),
            paths: layout.paths(),
            key_paths: layout.key_paths(),
            layout,
        }
    }

    /// Takes keys as arrays.
    pub(super) fn key_arrays<'k, 'c: 'k>(&self, keys: impl Iterator<Item = &'k Key<'c>>) -> Arrays {
        let mut arrays = Arrays::new(vec![SqlType::Text; self.layout.key.len()]);
        for key in keys {
            arrays.begin_row();
            put_key(&mut arrays, key);
        }
        arrays
    }

    /// Takes entries as arrays.
    pub(super) fn entry_arrays(&self) -> Arrays {
        let keys = vec![SqlType::Text; self.layout.key.len()];
        Arrays::new(keys.into_iter().chain(ENTRY_COLUMNS.map(|(_, kind)| kind)))
    }

    /// Takes rows as arrays.
    pub(super) fn row_arrays(&self) -> Arrays {
        Arrays::new(columns(&self.layout).into_iter().map(|(_, kind)| kind))
    }

    /// Takes keys, and for each the source of a change, as arrays.
    pub(super) fn marked_arrays(&self) -> Arrays {
        Arrays::new(vec![SqlType::Text; self.layout.key.len() + 1])
    }

    pub(super) fn copy_rows(&self) -> CopyRows {
        CopyRows::new(self.layout.key.len() + ROW_COLUMNS.len() + self.layout.columns.len())
    }

    pub(super) fn copy_entry_rows(&self) -> CopyRows {
        CopyRows::new(self.layout.key.len() + ENTRY_COLUMNS.len())
    }
}

impl Missing {
    fn new(rows: &str, entries: &str, keys: &[String], matches: &str) -> Self {
        let keys = keys.join(", ");
        let older = "\"_generation\" < $1 AND NOT \"_tombstone\"";
        Self {
            tombstones: format!(
                "UPDATE {entries} SET \"_as_of\" = $1 WHERE \"_tombstone\" AND \"_as_of\" < $1"
            ),
            marked: format!(
                "UPDATE {entries} SET \"_as_of\" = $2 WHERE {older} AND \"_deleted\" AND \"_as_of\" < $2"
            ),
            mark: format!(
                "WITH k AS (UPDATE {entries} SET \"_deleted\" = true, \"_as_of\" = greatest(\"_as_of\", $2), \
                 \"_generation\" = $1, \"_change\" = NULL WHERE {older} AND NOT \"_deleted\" \
                 RETURNING {keys}) \
                 UPDATE {rows} t SET \"_deleted\" = true, \"_change_source\" = '{MISSING}' FROM k \
                 WHERE {matches}"
            ),
            // Marked rows too: they are from before hard deletes were chosen.
            remove: format!(
                "WITH k AS (UPDATE {entries} SET \"_deleted\" = true, \"_tombstone\" = true, \
                 \"_as_of\" = greatest(\"_as_of\", $2), \"_change\" = NULL WHERE {older} \
                 RETURNING {keys}) \
                 DELETE FROM {rows} t USING k WHERE {matches}"
            ),
        }
    }
}

/// Names and types of a row's columns, in their order.
fn columns(layout: &Layout) -> Vec<(String, SqlType)> {
    let keys = key_names(layout).into_iter().map(|name| (name, SqlType::Text));
    let [updated, deleted, source, raw] = ROW_COLUMNS.map(|(name, kind)| (quote(name), kind));
    let typed = layout.columns.iter().map(|column| (quote(&column.name), sql_type(column.column_type)));
    keys.chain([updated, deleted, source]).chain(typed).chain([raw]).collect()
}

/// `k`: arrays as rows, numbered by `_n` from 1.
pub(super) fn given(names: &[String], types: &[SqlType]) -> String {
    format!("unnest({}) WITH ORDINALITY k ({}, _n)", parameters(types), names.join(", "))
}

fn parameters(types: &[SqlType]) -> String {
    let parameter = |(index, kind): (usize, &SqlType)| format!("${}::{}[]", index + 1, kind.name());
    types.iter().enumerate().map(parameter).collect::<Vec<_>>().join(", ")
}

/// Whether a row `t` has the key of `k`.
pub(super) fn matches(keys: &[String]) -> String {
    let equal = |name: &String| format!("t.{name} = k.{name} COLLATE \"C\"");
    keys.iter().map(equal).collect::<Vec<_>>().join(" AND ")
}

fn upsert(table: &str, names: &[String], types: &[SqlType], keys: &[String]) -> String {
    let set: Vec<String> = names
        .iter()
        .filter(|name| !keys.contains(name))
        .map(|name| format!("{name} = EXCLUDED.{name}"))
        .collect();
    format!(
        "INSERT INTO {table} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}",
        names.join(", "),
        parameters(types),
        keys.join(", "),
        set.join(", ")
    )
}

/// Puts the cells of a key.
pub(super) fn put_key(rows: &mut impl Rows, key: &Key<'_>) {
    for text in key {
        rows.put(&Cell::Text(escaped(text)));
    }
}
