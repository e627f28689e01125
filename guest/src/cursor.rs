//! The cursor of one table: plain, versioned JSON that any instance can continue from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Shape;
use crate::error::{Error, Kind, Result};
use crate::members::is_default;
use crate::paging::Offset;
use crate::table::Table;
use crate::tables;

const VERSION: u32 = 1;

/// Where the next `read` of a table continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    version: u32,
    table: String,
    /// The shape of the rows that were read. When it differs from today's, the snapshot starts again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) shape: Shape,
    #[serde(flatten)]
    pub(crate) phase: Phase,
}

/// The phase of the read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// A snapshot of the table.
    Snapshot(Snapshot),
    /// Incremental reading, by search window by window, or by the sorted list.
    Search(Search),
    /// Waits until the next full refresh is due. 0: there was no snapshot yet.
    Idle { last_snapshot_ms: u64 },
}

/// An incomplete snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Start time by the host's clock; the id of the generation.
    pub(crate) started_at_ms: u64,
    /// Start time by the source's clock, from its first answer.
    #[serde(default)]
    pub(crate) source_started_at_ms: Option<u64>,
    /// Index into the list's partitions.
    #[serde(default)]
    pub(crate) partition: usize,
    pub(crate) offset: Offset,
    /// The place in the list of the rows that have a list each; none before its first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outer: Option<Outer>,
    /// The parameters that select and order the rows of the list; none in cursors of older versions. When
    /// they differ from today's, the offset is of another list, and the snapshot starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) list: Option<String>,
    /// Rows behind the offset that were written, because a row before them failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) written: Vec<String>,
    /// Parents before the offset whose children are still to be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parents: Vec<Parent>,
    /// The place within the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) child: Option<ChildPlace>,
    /// How a long list continues; none while it is read as a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<Rest>,
    /// `createdTime` of the last row of the list so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_created_ms: Option<u64>,
    /// A row was read, of a table of children one of these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_rows: bool,
    /// Parents whose list or child could not be read: 0, for [`Search::parents`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unread: BTreeMap<String, u64>,
    /// A row was skipped that the sink may hold: the snapshot ends without a comparison.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) incomplete: bool,
    /// Set in a verification, which compares the rows of the sink with the list, without details: the
    /// incremental reading that it interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resumes: Option<Box<Search>>,
    /// Pages to ask for at once: doubled while pages are full, one after a short page.
    #[serde(default = "one")]
    pub(crate) pages_at_once: usize,
}

/// The rest of a list whose pages have become dear: by search windows over the created time, of which the
/// snapshot's offset is a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(crate) enum Rest {
    /// A window, both ends included, of the range up to `end_ms`.
    Windows {
        from_ms: u64,
        to_ms: u64,
        end_ms: u64,
        /// The modified times of the rows, start, end and end of the whole, where more rows were created
        /// within one second than a search pages through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        modified: Option<(u64, u64, u64)>,
        /// Rows of the window, as its first page counted them; 0 before that.
        #[serde(default)]
        found: u64,
        /// The place where the list was left.
        list: Offset,
        /// Rows of the list and of the windows so far.
        #[serde(default)]
        rows: u64,
        /// The source did not count one of the windows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        uncounted: bool,
        /// Rows that the source counts in the windows so far beyond those that the search finds.
        #[serde(default, skip_serializing_if = "is_default")]
        short: u64,
        /// The newest rows are in it, too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_last: bool,
    },
    /// The list again, newest first, until rows were created before a time.
    Newest { since_ms: u64 },
    /// The children of the last page are all that is left.
    Nothing,
}

/// A place in a list whose rows have a list each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outer {
    pub(crate) offset: Offset,
    pub(crate) is_ended: bool,
    /// Rows of the lists that were read to their end.
    #[serde(default)]
    pub(crate) rows: u64,
}

/// A parent of children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) id: String,
    /// Its counters, as a JSON object.
    pub(crate) row: String,
}

/// A place among the children of one parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChildPlace {
    pub(crate) parent: String,
    /// The last child that was written.
    pub(crate) child: String,
    /// A child before it was written without its record, of a parent that was given up and is read again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_failed: bool,
}

fn one() -> usize {
    1
}

impl Snapshot {
    pub(crate) fn start(now_ms: u64) -> Self {
        Self {
            started_at_ms: now_ms,
            source_started_at_ms: None,
            partition: 0,
            offset: Offset::default(),
            outer: None,
            list: None,
            written: Vec::new(),
            parents: Vec::new(),
            child: None,
            rest: None,
            last_created_ms: None,
            has_rows: false,
            unread: BTreeMap::new(),
            incomplete: false,
            resumes: None,
            pages_at_once: 1,
        }
    }
}

/// Incremental reading by search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Search {
    /// Every change before this time has been read.
    pub(crate) since_ms: u64,
    /// The window being read.
    pub(crate) window: Option<Window>,
    /// The parents whose lists are still to be read, of a table with a list for each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lists: Vec<String>,
    /// Every record moved to the recycle bin before this time has been found.
    #[serde(default)]
    pub(crate) recycle_bin_since_ms: u64,
    /// Where the scan of the recycle bin continues, which takes more pages than one reading has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bin_place: Option<BinPlace>,
    /// Rows of the overlap that have been read, with their times: the next window returns them again. Named
    /// as in `reader/seen.rs`.
    #[serde(default)]
    pub(crate) seen: BTreeMap<String, u64>,
    /// Records that polling deleted, with the times of their deletes: a verification that lists one reads it,
    /// because a restore need not modify it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) deleted: BTreeMap<String, u64>,
    /// The windows are read, and the recycle bin is next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) scans_recycle_bin: bool,
    /// The place within the children of a parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) child: Option<ChildPlace>,
    /// The place within the children of a parent that was given up and is read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<ChildPlace>,
    /// Parents of other departments, with their modified times: they have no children here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) foreign: BTreeMap<String, u64>,
    /// When the children of parents were read last, by the source's clock; [`Search::children_since_ms`] of
    /// all others. Of a table with a list for each parent, since when one that was skipped is to be read;
    /// [`Search::since_ms`] of all others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parents: BTreeMap<String, u64>,
    /// When the snapshot read the children of all parents; 0: not known.
    #[serde(default)]
    pub(crate) children_since_ms: u64,
    /// Rows created since then were in no earlier poll; 0: not known.
    #[serde(default)]
    pub(crate) unknown_since_ms: u64,
    /// When a poll found changes last, by the host's clock.
    #[serde(default)]
    pub(crate) changed_ms: u64,
    /// When all rows were read or compared last, by the host's clock; 0: not known.
    #[serde(default)]
    pub(crate) verified_ms: u64,
    /// The place of a verification that gave way to incremental reading. It continues from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<Box<Snapshot>>,
    /// Changes before this time were searched twice; 0: not known.
    #[serde(default)]
    pub(crate) searched_ms: u64,
}

impl Search {
    /// Incremental reading of everything since a time.
    pub(crate) fn since(since_ms: u64) -> Self {
        Self {
            since_ms,
            window: None,
            lists: Vec::new(),
            recycle_bin_since_ms: since_ms,
            bin_place: None,
            seen: BTreeMap::new(),
            deleted: BTreeMap::new(),
            scans_recycle_bin: false,
            child: None,
            again: None,
            foreign: BTreeMap::new(),
            parents: BTreeMap::new(),
            children_since_ms: since_ms,
            unknown_since_ms: 0,
            changed_ms: 0,
            verified_ms: 0,
            paused: None,
            searched_ms: since_ms,
        }
    }
}

/// A place in the recycle bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BinPlace {
    pub(crate) page: u64,
    /// When the scan started, by the source's clock.
    pub(crate) read_ms: u64,
}

/// One window of times, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// End of the range that this window is a part of.
    pub(crate) end_ms: u64,
    /// The created times of the rows, start, end and end of the whole, where more rows were modified within
    /// one second than a search pages through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<(u64, u64, u64)>,
    /// Index into the table's cursor fields.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) cursor_field: usize,
    /// The source's clock at the first answer of the range.
    #[serde(default)]
    pub(crate) source_now_ms: Option<u64>,
    pub(crate) offset: Offset,
    /// It was searched before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_second: bool,
}

impl Window {
    /// The whole of a range, from its first page on.
    pub(crate) fn whole(from_ms: u64, end_ms: u64) -> Self {
        Self {
            from_ms,
            to_ms: end_ms,
            end_ms,
            created: None,
            cursor_field: 0,
            source_now_ms: None,
            offset: Offset::default(),
            is_second: false,
        }
    }
}

impl Cursor {
    pub(crate) fn new(table: &Table, phase: Phase) -> Self {
        Self { version: VERSION, table: table.name.to_owned(), shape: Shape::default(), phase }
    }

    /// The cursor of rows in this shape: a snapshot from the start, unless its rows are in it already.
    pub(crate) fn in_shape(self, table: &Table, shape: Shape, now_ms: u64) -> Self {
        if self.shape == shape {
            return self;
        }
        let last_ms = match &self.phase {
            Phase::Snapshot(snapshot) => snapshot.started_at_ms,
            Phase::Search(search) => search.verified_ms,
            Phase::Idle { last_snapshot_ms } => *last_snapshot_ms,
        };
        // Ids of generations rise, also when the clock was set back. No person asked for it: it deletes
        // no archived records, which no list has.
        let snapshot = Snapshot::start(now_ms.max(last_ms + 1));
        let incomplete = tables::parent(table).unwrap_or(table).has_archive;
        Self { shape, ..Self::new(table, Phase::Snapshot(Snapshot { incomplete, ..snapshot })) }
    }

    /// The cursor of a verification, which interrupts incremental reading: where it was left, or its start.
    pub(crate) fn verification(table: &Table, mut search: Search, now_ms: u64) -> Self {
        let snapshot = search.paused.take().map_or_else(|| Snapshot::start(now_ms), |paused| *paused);
        let resumes = Some(Box::new(search));
        Self::new(table, Phase::Snapshot(Snapshot { resumes, ..snapshot }))
    }

    /// The cursor at the start of a snapshot.
    pub(crate) fn start(table: &Table, now_ms: u64) -> Self {
        Self::new(table, Phase::Snapshot(Snapshot::start(now_ms)))
    }

    /// Parses the cursor of an earlier batch of `table`.
    pub(crate) fn parse(table: &Table, json: &str) -> Result<Self> {
        let refused = |what: String| {
            Error::new(Kind::Data, format!("cursor of table `{}`: {what}", table.name)).hint(
                "read the table from the beginning: `sync --full-refresh`, or `state reset` for the table",
            )
        };
        let cursor: Self =
            serde_json::from_str(json).map_err(|error| refused(format!("cannot be read: {error}")))?;
        if cursor.version > VERSION {
            return Err(refused(format!("version {} is newer than this connector knows", cursor.version)));
        }
        if cursor.table != table.name {
            return Err(refused(format!("it belongs to table `{}`", cursor.table)));
        }
        Ok(cursor)
    }

    /// For the next `read`, after rows in this shape.
    pub(crate) fn to_json(&self, shape: Shape) -> String {
        serde_json::to_string(&Self { shape, ..self.clone() }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn a_cursor_of_every_phase_is_equal_after_a_round_trip_through_json() {
        let table = tables::ALL[0];
        let window = Window {
            from_ms: 1,
            to_ms: 2,
            end_ms: 3,
            created: Some((1, 2, 3)),
            cursor_field: 1,
            source_now_ms: Some(4),
            offset: Offset::default(),
            is_second: true,
        };
        let seen = BTreeMap::from([("7".to_owned(), 6)]);
        let child = Some(ChildPlace { parent: "7".to_owned(), child: "8".to_owned(), has_failed: true });
        let search =
            Search { window: Some(window), seen, scans_recycle_bin: true, child, ..Search::since(5) };
        for cursor in [
            Cursor::start(table, 5),
            Cursor::new(table, Phase::Search(search)),
            Cursor::new(table, Phase::Idle { last_snapshot_ms: 9 }),
        ] {
            assert_eq!(Cursor::parse(table, &cursor.to_json(Shape::Document)).unwrap(), cursor);
        }
    }

    #[test]
    fn in_another_shape_a_newer_snapshot_starts_from_the_first_row() {
        for (name, lists_all) in [("departments", true), ("tickets", false), ("ticket_tags", false)] {
            let table = tables::find(name).unwrap();
            let search = Search { verified_ms: 9, ..Search::since(5) };
            for phase in [
                Phase::Snapshot(Snapshot::start(9)),
                Phase::Search(search),
                Phase::Idle { last_snapshot_ms: 9 },
            ] {
                let cursor = Cursor::new(table, phase);
                assert_eq!(cursor.clone().in_shape(table, Shape::Document, 7), cursor);
                let flat = cursor.in_shape(table, Shape::Flat, 7);
                let start = Snapshot { incomplete: !lists_all, ..Snapshot::start(10) };
                let start = Cursor::new(table, Phase::Snapshot(start));
                assert_eq!(flat, Cursor { shape: Shape::Flat, ..start }, "{name}");
                let again = Cursor::parse(table, &flat.to_json(Shape::Flat)).unwrap();
                assert_eq!(again.in_shape(table, Shape::Flat, 20), flat);
            }
        }
    }

    #[test]
    fn a_cursor_of_another_table_or_a_newer_version_is_refused() {
        let cursor = Cursor::start(tables::ALL[0], 5).to_json(Shape::Document);
        let newer = cursor.replace(r#""version":1"#, r#""version":2"#);
        for (table, json, says) in [
            (tables::ALL[1], cursor.as_str(), "belongs to table"),
            (tables::ALL[0], &newer, "newer"),
            (tables::ALL[0], "{}", "cannot be read"),
        ] {
            let error = Cursor::parse(table, json).unwrap_err();
            assert_eq!(error.kind, Kind::Data, "of this table alone, not of the connection");
            assert!(error.message.contains(says), "{error}");
        }
    }
}
