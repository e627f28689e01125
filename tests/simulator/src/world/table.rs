//! A table of whole documents: every module but tickets.
//!
//! Knows which keys a list row shows, and nothing of what the keys mean.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ids::{self, Kind};
use crate::json;
use crate::world::pending::Pending;
use crate::world::rendered::{Rendered, Slots};
use crate::world::views::Views;

/// A JSON object.
pub(crate) type Document = Map<String, Value>;

/// Whether a record is there, in the recycle bin, or gone for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    Trashed { at: i64, by: u64 },
    Purged,
}

/// What distinguishes one module from another.
#[derive(Debug)]
pub(crate) struct Module {
    /// The name in URLs and in `/_admin/truth/`.
    pub(crate) name: &'static str,
    /// The word that event types begin with; none where the service has no events.
    pub(crate) event: Option<&'static str>,
    pub(crate) kind: Kind,
    /// The keys of a list row.
    pub(crate) list: &'static [&'static str],
    /// The keys that a search row shows beyond those.
    pub(crate) search_adds: &'static [&'static str],
    /// The key that the recycle bin shows as `displayName`.
    pub(crate) title: &'static str,
    /// The key of ids in `POST /{module}/moveToTrash`; none where records cannot be trashed.
    pub(crate) trash_key: Option<&'static str>,
}

impl Module {
    /// The keys of a search row.
    pub(crate) fn search(&self) -> Vec<&'static str> {
        [self.list, self.search_adds].concat()
    }
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) document: Document,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) life: Life,
}

impl Row {
    /// The text under a key; empty when it is null, absent or something else.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.document.get(key).and_then(Value::as_str).unwrap_or("")
    }
}

/// The projection under which list rows are kept.
const LIST: u64 = 1;
/// The projection under which objects embedded in other rows are kept.
const EMBEDDED: u64 = 2;

/// The records of one module.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) module: &'static Module,
    pub(crate) rows: Vec<Row>,
    /// Earlier states that searches still see.
    pub(crate) pending: Pending<Row>,
    views: Views,
    rendered: Rendered,
    seed: u64,
}

impl Table {
    pub(crate) fn new(module: &'static Module, seed: u64, rows: Vec<Row>) -> Table {
        let (pending, views) = (Pending::default(), Views::default());
        Table { module, rows, pending, views, rendered: Rendered::new(256 << 20), seed }
    }

    /// The position of the record with this id, whatever its life.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        ids::index(self.seed, self.module.kind, id).filter(|at| *at < self.rows.len())
    }

    /// The record with this id unless it was purged.
    pub(crate) fn find(&self, id: &str) -> Option<&Row> {
        self.position(id).map(|at| &self.rows[at]).filter(|row| row.life != Life::Purged)
    }

    /// The id that the next record gets.
    pub(crate) fn next_id(&self) -> u64 {
        ids::id(self.seed, self.module.kind, self.rows.len() as u64)
    }

    /// The positions that a query selects, in its order; worked out once per state of the table.
    pub(crate) fn view(&self, query: &str, select: impl FnOnce() -> Vec<u32>) -> Arc<Vec<u32>> {
        self.views.get(query, select)
    }

    /// The kept list rows.
    pub(crate) fn list_slots(&self) -> Arc<Slots> {
        self.rendered.slots(LIST, self.rows.len())
    }

    /// The kept objects that other rows embed.
    pub(crate) fn embedded_slots(&self) -> Arc<Slots> {
        self.rendered.slots(EMBEDDED, self.rows.len())
    }

    /// Appends a list row.
    pub(crate) fn list_row(&self, slots: &Slots, at: usize, out: &mut Vec<u8>) {
        slots.append(at, out, |out| {
            project(out, &self.rows[at].document, self.module.list);
        });
    }

    /// Adds a record at the end.
    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
        self.forget(self.rows.len() - 1);
    }

    /// Forgets every rendered row, because something that rows embed changed.
    pub(crate) fn forget_rows(&mut self) {
        self.rendered.clear();
    }

    /// Forgets everything worked out from a record, because it changed.
    pub(crate) fn forget(&mut self, at: usize) {
        self.views.clear();
        self.rendered.forget(at);
    }
}

/// Appends an object with the chosen keys of a document; absent keys are null.
pub(crate) fn project(out: &mut Vec<u8>, document: &Document, keys: &[&str]) {
    out.push(b'{');
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::text(out, key);
        out.push(b':');
        json::value(out, document.get(*key).unwrap_or(&Value::Null));
    }
    out.push(b'}');
}
