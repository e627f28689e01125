//! What a change does to a row of the manifest: the order of every sink ([`order`]) decides, limits say
//! whether its file is wanted.

use rusqlite::{OptionalExtension, Transaction, params};

use super::limits::AttachmentLimits;
use crate::boundary;
use crate::change::Change;
use crate::describe::AttachmentMembers;
use crate::sinks::members::{MemberPaths, scan};
use crate::sinks::order::{self, Action, ChangeMark, NewestSnapshot, Stored, StoredRow, signed};

/// Notes that a row was seen again. Parameters of this and the next two: table, key, time, generation.
const TOUCH: &str = "UPDATE attachments SET as_of = ?3, generation = ?4 WHERE table_name = ?1 AND key = ?2";

/// Notes that a row was deleted. Further: mark.
const DELETE: &str = "
    INSERT INTO attachments (table_name, key, name, deleted, attempts, offset, row, as_of, generation, change)
        VALUES (?1, ?2, '', 1, 0, 0, '{}', ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET as_of = ?3, generation = ?4, change = ?5, deleted = 1, next_at_ms = NULL,
            offset = 0";

/// Notes a row. Further: mark, name, size, row, whether its file is wanted, why it is left out, whether it is
/// there, whether it keeps waiting.
const PUT: &str = "
    INSERT INTO attachments (table_name, key, name, size, deleted, attempts, offset, row, as_of, generation,
            change, next_at_ms, problem)
        VALUES (?1, ?2, ?6, ?7, 0, 0, 0, ?8, ?3, ?4, ?5, iif(?9, 0, NULL), ?10)
        ON CONFLICT DO UPDATE SET as_of = ?3, generation = ?4, change = ?5, name = ?6, size = ?7, row = ?8,
            deleted = 0, sha256 = iif(?11, sha256, NULL), fetched_at = iif(?11, fetched_at, NULL),
            next_at_ms = CASE WHEN NOT ?9 THEN NULL WHEN ?12 THEN ifnull(next_at_ms, 0) ELSE 0 END,
            problem = iif(?12 AND ?9, problem, ?10), attempts = iif(?12, attempts, 0),
            offset = iif(?12 AND ?9, offset, 0)";

/// A noted row.
struct Note {
    row: String,
    name: String,
    size: Option<u64>,
    is_fetched: bool,
    stored: StoredRow,
}

/// Notes one change.
pub(super) fn note(
    tx: &Transaction<'_>,
    change: &Change,
    as_of: i64,
    generation: i64,
    members: &AttachmentMembers,
    limits: &AttachmentLimits,
) -> rusqlite::Result<()> {
    let known = noted(tx, change)?;
    let stored = known.as_ref().map_or(Stored::Nothing, |note| Stored::Row(note.stored));
    let decision = order::decide(stored, change, as_of, generation);
    let (as_of, generation) = (decision.as_of, decision.generation);
    let mark = ChangeMark::of(change).value();
    match (decision.action, known) {
        (Action::Ignore, _) => Ok(()),
        (Action::Touch, _) => {
            tx.prepare_cached(TOUCH)?.execute(params![change.table, change.key, as_of, generation]).map(drop)
        }
        (Action::Delete, _) => {
            let values = params![change.table, change.key, as_of, generation, mark];
            tx.prepare_cached(DELETE)?.execute(values).map(drop)
        }
        (action, known) => {
            let entry = Entry::new(change, action, known, members);
            entry.write(tx, change, [as_of, generation, mark], limits)
        }
    }
}

/// A row with an attachment, as it is noted.
struct Entry {
    row: String,
    name: String,
    size: Option<u64>,
    is_fetched: bool,
    /// A file that failed waits for its time, unless its row says that it is another file.
    keeps_waiting: bool,
}

impl Entry {
    fn new(change: &Change, action: Action, known: Option<Note>, members: &AttachmentMembers) -> Self {
        let mut row = change.after.clone().unwrap_or_default();
        let (mut name, mut size) = described(&row, members);
        let (mut is_fetched, mut keeps_waiting) = (false, false);
        if let Some(known) = known {
            if action == Action::Merge && !known.stored.is_deleted {
                row = known.row;
                name = name.or(Some(known.name));
                size = size.or(known.size);
            }
            is_fetched = known.is_fetched && size == known.size;
            keeps_waiting = size == known.size && !known.stored.is_deleted;
        }
        Self { row, name: name.unwrap_or_default(), size, is_fetched, keeps_waiting }
    }

    /// Writes the entry; `order` is time, generation and mark of the row.
    fn write(
        self,
        tx: &Transaction<'_>,
        change: &Change,
        order: [i64; 3],
        limits: &AttachmentLimits,
    ) -> rusqlite::Result<()> {
        let refusal = limits.refuse(&self.name, self.size).filter(|_| !self.is_fetched);
        let is_wanted = !self.is_fetched && refusal.is_none();
        let [as_of, generation, mark] = order;
        let size = self.size.map(signed);
        let values = params![
            change.table,
            change.key,
            as_of,
            generation,
            mark,
            self.name,
            size,
            self.row,
            is_wanted,
            refusal,
            self.is_fetched,
            self.keeps_waiting
        ];
        tx.prepare_cached(PUT)?.execute(values).map(drop)
    }
}

fn noted(tx: &Transaction<'_>, change: &Change) -> rusqlite::Result<Option<Note>> {
    let sql = "SELECT row, name, size, sha256 IS NOT NULL, as_of, generation, change, deleted \
               FROM attachments WHERE table_name = ?1 AND key = ?2";
    let note = |row: &rusqlite::Row<'_>| {
        Ok(Note {
            row: row.get(0)?,
            name: row.get(1)?,
            size: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
            is_fetched: row.get(3)?,
            stored: StoredRow {
                as_of: row.get(4)?,
                generation: row.get(5)?,
                mark: row.get::<_, Option<i64>>(6)?.map(ChangeMark::stored),
                is_deleted: row.get(7)?,
            },
        })
    };
    tx.prepare_cached(sql)?.query_row(params![change.table, change.key], note).optional()
}

/// The name and the size that a row gives its attachment. Scans the row: its values would take 36 times its
/// bytes.
fn described(row: &str, members: &AttachmentMembers) -> (Option<String>, Option<u64>) {
    let paths = [[members.name.clone()], [members.size.clone()]];
    let paths = MemberPaths::new(paths.iter().map(<[String; 1]>::as_slice));
    let mut found = [None; 2];
    if scan(row, &paths, &mut found).is_err() {
        return (None, None);
    }
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    let [name, size] = found;
    let mut name = name.and_then(text);
    name.iter_mut().for_each(boundary::file_name);
    let number = |json: &str| match serde_json::from_str(json) {
        Ok(size) => Some(size),
        Err(_) => text(json)?.parse().ok(),
    };
    (name, size.and_then(number))
}

/// Marks the rows as deleted that a complete snapshot did not contain.
pub(super) fn delete_missing(
    tx: &Transaction<'_>,
    table: &str,
    snapshot: NewestSnapshot,
) -> rusqlite::Result<()> {
    let as_of = snapshot.as_of.unwrap_or(i64::MIN);
    let sql = "UPDATE attachments SET deleted = 1, next_at_ms = NULL, offset = 0, change = NULL, \
               as_of = max(as_of, ?3), generation = ?2 WHERE table_name = ?1 AND generation < ?2";
    tx.prepare_cached(sql)?.execute(params![table, snapshot.generation, as_of]).map(drop)
}
