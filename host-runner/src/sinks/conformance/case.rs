//! Shared by the tests: a sink in a folder, changes, and rows as a short text.

use serde_json::Value;

use super::tool::TOOLS;
use super::{State, StoredRows, TestPlace, tool};
use crate::change::{Batch, Change, ChangeSource, Generation, Listing, Operation, Table};
use crate::error::Result;
use crate::sinks::{
    Commit, Counts, Deletes, InboxPosition, KINDS, Load, Progress, Sink, SinkKind, SinkSettings,
    commit_batch, open,
};

/// The table of most tests.
pub(super) const TABLE: &str = "things";
/// The time of every call.
pub(super) const CALLED_AT_MS: u64 = 50;

/// A sink under test.
pub(super) struct Case {
    pub(super) settings: SinkSettings,
    /// None while it is closed.
    sink: Option<Box<dyn Sink>>,
    applied: u64,
    pub(super) place: TestPlace,
    pub(super) folder: tempfile::TempDir,
}

/// The kinds that can be tested: PostgreSQL only where there is a database for tests.
pub(super) fn kinds() -> Vec<&'static SinkKind> {
    let folder = std::path::Path::new("");
    KINDS
        .iter()
        .copied()
        .flat_map(SinkKind::forms)
        .filter(|kind| (kind.test_place)(folder).is_some())
        .collect()
}

/// Runs a test on every kind of sink, with each way of deleting that it has.
#[track_caller]
pub(super) fn on_every_sink(test: impl Fn(&mut Case)) {
    on_every_sink_and(&[], test);
}

/// The same, and on these tools.
#[track_caller]
pub(super) fn on_every_sink_and(tools: &[&'static SinkKind], test: impl Fn(&mut Case)) {
    for kind in kinds().into_iter().chain(tools.iter().copied()) {
        for deletes in [Deletes::Soft, Deletes::Hard] {
            if kind.refuses(deletes).is_none() {
                for load in [Load::Live, Load::Bulk] {
                    // Shown when the test fails.
                    println!("sink `{}` {}, deletes {deletes:?}, {load:?}", kind.name, kind.format);
                    test(&mut Case::new(kind, deletes, load));
                }
            }
        }
    }
}

/// A table with a key `id` and a number `n`.
pub(super) fn table() -> Table {
    table_with(TABLE, "{\"id\": {\"type\": \"string\"}, \"n\": {\"type\": \"integer\"}}")
}

pub(super) fn table_with(name: &str, properties: &str) -> Table {
    Table {
        name: name.into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\": {properties}}}"),
        schema_complete: true,
        attributes: vec![],
    }
}

/// A row in a state, or its delete when `n` is none.
pub(super) fn change(id: &str, n: Option<i64>, as_of: u64) -> Change {
    Change {
        table: TABLE.into(),
        operation: if n.is_some() { Operation::Update } else { Operation::Delete },
        key: serde_json::json!({ "id": id }).to_string(),
        before: None,
        after: n.map(|n| format!("{{\"id\":{},\"n\":\"{n}\",\"other\":true}}", Value::from(id))),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: Some(5),
        as_of_ms: Some(as_of),
        id: format!("{id}:{n:?}:{as_of}"),
    }
}

/// The same state, known to hold at a later time.
pub(super) fn still(change: &Change, as_of: u64) -> Change {
    Change { as_of_ms: Some(as_of), ..change.clone() }
}

/// A change with members to replace.
pub(super) fn partial(id: &str, members: &str, as_of: u64) -> Change {
    let change = change(id, Some(0), as_of);
    Change { partial: true, after: Some(members.into()), id: format!("{members}:{as_of}"), ..change }
}

/// A position in the journal of most tests.
pub(super) fn position(through: u64) -> InboxPosition {
    InboxPosition { journal: "journal 1".into(), through }
}

impl Case {
    pub(super) fn new(kind: &'static SinkKind, deletes: Deletes, load: Load) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = (kind.test_place)(folder.path()).expect("a place");
        let location = place.location.clone();
        let settings = SinkSettings::of_test(kind, location);
        let settings = SinkSettings { deletes, load, file_age_ms: 86_400_000, ..settings };
        let mut sink = open(&settings).expect("opened");
        let table = if TOOLS.contains(&kind) { tool::table(TABLE) } else { table() };
        sink.prepare(&[table]).expect("prepared");
        Self { settings, sink: Some(sink), applied: 0, place, folder }
    }

    pub(super) fn sink(&mut self) -> &mut dyn Sink {
        self.sink.as_deref_mut().expect("an open sink")
    }

    /// Gives the sink away.
    pub(super) fn take(&mut self) -> Box<dyn Sink> {
        self.sink.take().expect("an open sink")
    }

    /// Commits a batch of the table.
    pub(super) fn try_read(&mut self, changes: &[Change], generation: Option<Generation>) -> Result<Counts> {
        let progress = Progress::Table { name: TABLE, cursor: "cursor", generation };
        self.sink().commit(&Commit { changes, progress, as_of_ms: CALLED_AT_MS, epoch: 0 })
    }

    /// Commits a batch of a snapshot that started at the time that is its id.
    pub(super) fn snapshot(&mut self, id: u64, complete: bool, changes: &[Change]) -> Counts {
        let generation = Generation { id, as_of_ms: Some(id), complete };
        self.try_read(changes, Some(generation)).expect("committed")
    }

    /// Commits an incremental batch.
    pub(super) fn poll(&mut self, changes: &[Change]) -> Counts {
        self.try_read(changes, None).expect("committed")
    }

    /// Commits an incremental batch of a table with listings.
    pub(super) fn list(&mut self, table: &str, changes: &[Change], listings: &[Listing]) -> Counts {
        let mut batch = Batch {
            changes: changes.to_vec(),
            listings: listings.to_vec(),
            cursor: "cursor".into(),
            generation: None,
            caught_up: true,
            wait_ms: None,
            undelivered: None,
            attributes: Vec::new(),
            called_at_ms: CALLED_AT_MS,
        };
        commit_batch(self.sink(), table, &mut batch, 0).expect("committed")
    }

    /// Commits the changes of the next delivery. A tool takes none: a batch has the same changes.
    pub(super) fn deliver(&mut self, changes: &[Change]) -> Counts {
        if self.is_tool() {
            return self.poll(changes);
        }
        self.applied += 1;
        let position = position(self.applied);
        let progress = Progress::Journal(&position);
        let commit = Commit { changes, progress, as_of_ms: CALLED_AT_MS, epoch: 0 };
        self.sink().commit(&commit).expect("committed")
    }

    /// Closes the sink as a crash would, and opens it again.
    pub(super) fn reopen(&mut self) {
        self.sink = None;
        self.sink = Some(open(&self.settings).expect("opened again"));
        if self.is_tool() {
            // Each run discovers its tables.
            self.sink().prepare(&[tool::table(TABLE)]).expect("prepared again");
        }
    }

    /// Whether a data tool takes the rows.
    pub(super) fn is_tool(&self) -> bool {
        TOOLS.contains(&self.settings.kind)
    }

    pub(super) fn compares_rows(&self) -> bool {
        self.settings.kind.capabilities.compares_rows
    }

    pub(super) fn stored(&self, table: &str) -> StoredRows {
        (self.settings.kind.stored_rows)(&self.settings.location, table)
    }

    /// `id=n` of live rows, `id-` of deleted ones and `id?` of missing ones, in order.
    pub(super) fn rows(&self) -> String {
        let text = |(key, state): (String, State)| match state {
            State::Live(row) => {
                format!("{key}={}", row["n"].as_str().map_or(row["n"].to_string(), str::to_owned))
            }
            State::Deleted => format!("{key}-"),
            State::Missing => format!("{key}?"),
        };
        self.stored(TABLE).into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// Compares the rows; a sink that deletes rows has none of those that are deleted.
    #[track_caller]
    pub(super) fn expect(&self, rows: &str) {
        let is_stored = |row: &&str| self.settings.deletes == Deletes::Soft || !row.ends_with(['-', '?']);
        let expected: Vec<&str> = rows.split(' ').filter(is_stored).collect();
        assert_eq!(self.rows(), expected.join(" "));
    }
}
