//! A table: the records of one module, with data derived from them (selections, rendered rows,
//! the lagging search index) and invalidated when a record changes.
//!
//! Knows which keys a list row has, and not what the keys mean.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ids::{self, Kind};
use crate::json;
use crate::world::change::Stamp;
use crate::world::row_cache::{CachedRows, RowCache};
use crate::world::search_index::SearchIndex;
use crate::world::selections::Selections;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Whether a record is listed, in the recycle bin, or permanently deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Live,
    /// In the recycle bin since `at`, moved there by the agent with the id `by`.
    Trashed {
        at: i64,
        by: u64,
    },
    Purged,
}

/// The differences between modules.
#[derive(Debug)]
pub(crate) struct Module {
    /// The name in URLs and in `/_admin/truth/`.
    pub(crate) name: &'static str,
    /// The first part of its event types, for example `Ticket`; none where the API has no events.
    pub(crate) event: Option<&'static str>,
    pub(crate) kind: Kind,
    /// The keys of a list row; empty where rows are not rendered from stored values.
    pub(crate) list: &'static [&'static str],
    /// The keys that a search row has in addition.
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

/// Anything that a table holds.
pub(crate) trait Record: Clone {
    fn lifecycle(&self) -> &Lifecycle;

    /// Whether the record is neither in the recycle bin nor deleted.
    fn is_live(&self) -> bool {
        *self.lifecycle() == Lifecycle::Live
    }
}

/// A record whose values are stored whole: every module but tickets.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) values: Object,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) lifecycle: Lifecycle,
}

impl Row {
    /// A live record with the values of a `json!` object.
    pub(crate) fn new(id: u64, created: i64, modified: i64, values: Value) -> Row {
        Row { id, values: into_object(values), created, modified, lifecycle: Lifecycle::Live }
    }

    /// The text under a key; empty when it is null, absent or not text.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.values.get(key).and_then(Value::as_str).unwrap_or("")
    }
}

impl Record for Row {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

/// The projection under which list rows are cached.
const LIST: u64 = 1;
/// The projection under which objects embedded in other rows are cached.
const EMBEDDED: u64 = 2;
/// Bytes of cached rows per table of [`Row`]s: list rows and embedded objects of some 200,000 contacts.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// The records of one module.
#[derive(Debug)]
pub(crate) struct Table<R = Row> {
    pub(crate) module: &'static Module,
    pub(crate) rows: Vec<R>,
    search_index: SearchIndex<R>,
    selections: Selections,
    cache: RowCache,
    seed: u64,
}

impl<R: Record> Table<R> {
    /// A table that caches at most `cache_bytes` of rendered rows.
    pub(crate) fn with_cache(module: &'static Module, seed: u64, rows: Vec<R>, cache_bytes: u64) -> Table<R> {
        let (search_index, selections) = (SearchIndex::default(), Selections::default());
        Table { module, rows, search_index, selections, cache: RowCache::new(cache_bytes), seed }
    }

    /// The position of the record with this id, in any lifecycle.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        ids::index(self.seed, self.module.kind, id).filter(|at| *at < self.rows.len())
    }

    /// The record with this id unless it was purged.
    pub(crate) fn find(&self, id: &str) -> Option<&R> {
        self.position(id).map(|at| &self.rows[at]).filter(|row| *row.lifecycle() != Lifecycle::Purged)
    }

    /// The id that the next record gets.
    pub(crate) fn next_id(&self) -> u64 {
        ids::id(self.seed, self.module.kind, self.rows.len() as u64)
    }

    /// The number of live records.
    pub(crate) fn live_count(&self) -> usize {
        self.rows.iter().filter(|row| row.is_live()).count()
    }

    /// The positions that a query selects, in its order; computed once per state of the table.
    pub(crate) fn selection(&self, query: &str, select: impl FnOnce() -> Vec<u32>) -> Arc<Vec<u32>> {
        self.selections.get(query, select)
    }

    /// The positions that a search selects; not cached while some change is invisible to searches.
    pub(crate) fn search_selection(
        &self,
        now: i64,
        query: &str,
        select: impl FnOnce() -> Vec<u32>,
    ) -> Arc<Vec<u32>> {
        if self.is_search_lagging(now) { Arc::new(select()) } else { self.selection(query, select) }
    }

    /// Whether some change is still invisible to searches.
    pub(crate) fn is_search_lagging(&self, now: i64) -> bool {
        self.search_index.is_lagging(now)
    }

    /// The state of a record that searches show; none when they do not show it.
    pub(crate) fn visible(&self, now: i64, at: usize) -> Option<&R> {
        self.search_index.visible(now, at, &self.rows[at])
    }

    /// The cached rows of a projection.
    pub(crate) fn cached_rows(&self, projection: u64) -> Arc<CachedRows> {
        self.cache.rows(projection, self.rows.len())
    }

    /// Adds a record and gives its position. Searches do not show it before the lag has passed.
    pub(crate) fn insert(&mut self, record: R, stamp: Stamp) -> usize {
        let at = self.rows.len();
        self.search_index.delay(stamp, at, None);
        self.rows.push(record);
        self.invalidate(at);
        at
    }

    /// Modifies a record. Searches show its earlier state until the lag has passed.
    pub(crate) fn edit(&mut self, at: usize, stamp: Stamp, edit: impl FnOnce(&mut R)) {
        self.search_index.delay(stamp, at, Some(self.rows[at].clone()));
        edit(&mut self.rows[at]);
        self.invalidate(at);
    }

    fn invalidate(&mut self, at: usize) {
        self.selections.clear();
        self.cache.remove(at);
    }

    /// Drops every rendered row, because a record that rows embed has changed.
    pub(crate) fn invalidate_rows(&mut self) {
        self.cache.clear();
    }
}

impl Table {
    /// A table with these records.
    pub(crate) fn new(module: &'static Module, seed: u64, rows: Vec<Row>) -> Table {
        Table::with_cache(module, seed, rows, CACHE_BYTES_MAX)
    }

    /// The cached list rows.
    pub(crate) fn cached_list_rows(&self) -> Arc<CachedRows> {
        self.cached_rows(LIST)
    }

    /// The cached objects that other rows embed.
    pub(crate) fn cached_embedded(&self) -> Arc<CachedRows> {
        self.cached_rows(EMBEDDED)
    }

    /// Appends a list row.
    pub(crate) fn list_row(&self, cached: &CachedRows, at: usize, out: &mut Vec<u8>) {
        cached.append(at, out, |out| project(out, &self.rows[at].values, self.module.list));
    }
}

/// Appends an object with the chosen keys; absent keys are null.
pub(crate) fn project(out: &mut Vec<u8>, values: &Object, keys: &[&str]) {
    out.push(b'{');
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::text(out, key);
        out.push(b':');
        json::value(out, values.get(*key).unwrap_or(&Value::Null));
    }
    out.push(b'}');
}

/// The object in a `json!` value; empty when it is not an object.
pub(crate) fn into_object(value: Value) -> Object {
    if let Value::Object(object) = value { object } else { Object::new() }
}
