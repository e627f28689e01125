//! The PostgreSQL sink: one schema per connection, one table per table, rows and progress in one
//! transaction.
//!
//! [`address`] reads the URL, [`session`] connects, waits and locks, [`schema`] writes SQL for tables and
//! [`table`] for their rows, [`metadata`] has the sink's own tables. [`tables`] creates and extends tables,
//! [`fill`] fills new columns of old rows, and [`indexes`] creates the indexes. [`write`] does a commit, of
//! [`rows`]; [`listing`] finds rows that their parent lacks. [`values`], [`numeric`] and [`encode`] turn JSON
//! into values. [`position`] recognizes a database that was restored. [`errors`] gives failures their kind,
//! [`inspect`] reads the progress of a schema that may be open elsewhere.

mod address;
mod encode;
mod errors;
mod fill;
mod indexes;
mod inspect;
mod listing;
mod metadata;
mod numeric;
mod position;
mod rows;
mod schema;
mod session;
mod table;
mod tables;
mod values;
mod write;

#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use self::address::{Address, Server};
use self::errors::is_duplicate;
use self::metadata::Metadata;
use self::position::Position;
use self::rows::Way;
use self::schema::Index;
use self::session::{Backend, CALL_TIMEOUT, LONG_TIMEOUT, SESSIONS_MAX, Session, wait, wait_within};
use self::table::PreparedTable;
use self::write::{TableBatch, Work};
use super::columns::Layout;
use super::registry::{owned_by_another, written_by_another};
use super::{
    Capabilities, Commit, Counts, Progress, Sink, SinkKind, SinkProgress, SinkSettings, Used, undiscovered,
};
use crate::change::{Batch, Change, Table};
use crate::error::{Error, Kind, Origin, Result};

/// How often a commit whose outcome is unknown is looked for, and the wait before each time: a server that
/// crashed comes back within seconds. After the last, the commit counts as failed, and its repetition changes
/// nothing if it was not.
const OUTCOME_WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Sessions of the process up to which an idle one is kept, because connecting takes longer than a commit.
/// Idle ones leave half of [`SESSIONS_MAX`] to connections that have work.
const SESSIONS_KEPT: usize = SESSIONS_MAX / 2;

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind {
    name: "postgres",
    format: "",
    other_forms: &[],
    capabilities: Capabilities { compares_rows: true, hard_deletes: true, typed_columns: true },
    own_keys: &["schema", "url", "url_file"],
    locate: address::locate,
    exists: inspect::exists,
    open: |settings| Ok(Box::new(Postgres::open(settings)?)),
    inspect: inspect::inspect,
    #[cfg(test)]
    stored_rows: stored::rows,
    #[cfg(test)]
    test_place: |_| stored::test_place(),
};

/// An open schema.
struct Postgres {
    settings: SinkSettings,
    schema: String,
    address: Address,
    metadata: Metadata,
    /// This opening of the sink. Another one ends the right of this one to write.
    writer: String,
    position: Position,
    /// None after a failure; the next call connects again.
    session: RefCell<Option<Session>>,
    /// The last session's process at the server.
    backend: Option<Backend>,
    tables: HashMap<String, PreparedTable>,
    /// How many columns of a table are filled, where others are not yet.
    unfilled: HashMap<String, usize>,
    /// The indexes that discovered tables lack.
    lacking: HashMap<String, Vec<Index>>,
    /// The names of the indexes on parents' columns that are there.
    indexed: HashSet<String>,
}

/// See [`super::used`].
pub(super) fn used(url: &str) -> Option<Used> {
    let Server { config, authority, .. } = Server::parse(url, "").ok()?;
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let place = format!("{hosts:?} {addresses:?} {:?} {:?}", config.get_ports(), config.get_dbname());
    let has_user = config.get_user().is_some() || config.get_password().is_some();
    Some(Used { place, authority: authority.map(Into::into), has_user })
}

/// See [`super::check_authority`]. Without TLS, none is needed.
pub(super) fn check_authority(url: &str) -> Result<()> {
    Address::parse(url, "").map(drop)
}

/// The refusal of a writer that another one has followed while it was without a session.
fn followed() -> Error {
    Error::new(
        Origin::Sink,
        Kind::Internal,
        "PostgreSQL: another process has written since this one opened it",
    )
    .hint("one process at a time writes to a sink: stop one of them")
}

impl Postgres {
    /// Opens or creates the schema of a connection.
    fn open(settings: &SinkSettings) -> Result<Self> {
        let (url, schema) = settings.location.as_schema()?;
        let mut sink = Self {
            settings: settings.clone(),
            schema: schema.to_owned(),
            address: Address::parse(url, &settings.owner)?,
            metadata: Metadata::new(schema),
            writer: random()?.to_string(),
            position: Position::new(0),
            session: RefCell::new(None),
            backend: None,
            tables: HashMap::new(),
            unfilled: HashMap::new(),
            lacking: HashMap::new(),
            indexed: HashSet::new(),
        };
        let opened = wait(sink.opened());
        let (session, tables, dropped) = opened.map_err(|error| located(error, settings))?;
        for table in dropped {
            tracing::warn!(%table, "dropped in the database: it is created again, and read from its start");
        }
        sink.backend = Some(session.backend());
        sink.session = RefCell::new(Some(session));
        sink.learn(tables);
        sink.fill()?;
        Ok(sink)
    }

    /// A session, the stored layouts, and the tables that a user has dropped.
    async fn opened(&self) -> Result<(Session, Vec<(Layout, usize)>, Vec<String>)> {
        let Self { metadata, settings, .. } = self;
        let session = Session::connect(&self.address).await?;
        metadata.create_schema(&session).await?;
        if !session.lock(&self.schema).await? {
            // The owner's refusal says more.
            if metadata.exists(&session).await? {
                self.check_owner(metadata.owner(&session, "").await?)?;
            }
            return Err(written_by_another(settings));
        }
        if !metadata.exists(&session).await? {
            metadata.create(&session).await?;
        }
        let owner = metadata.claim(&session, &settings.owner).await?;
        owner.check_version(&settings.location)?;
        self.position.open(owner.commit);
        self.check_owner(Some(owner))?;
        metadata.admit(&session, &self.writer).await?;
        let relations = self.kinds(&session).await?;
        let layouts = metadata.layouts(&session).await?;
        let is_there = |(layout, _): &(Layout, usize)| relations.contains_key(&schema::fit(&layout.table));
        let (layouts, dropped): (Vec<_>, Vec<_>) = layouts.into_iter().partition(is_there);
        let dropped: Vec<String> = dropped.into_iter().map(|(layout, _)| layout.table).collect();
        for table in &dropped {
            metadata.forget(&session, table).await?;
        }
        Ok((session, layouts, dropped))
    }

    fn check_owner(&self, owner: Option<metadata::Owner>) -> Result<()> {
        match owner.filter(|owner| owner.connection != self.settings.owner) {
            Some(other) => Err(owned_by_another(&self.settings, &other.connection, &self.metadata.release())),
            None => Ok(()),
        }
    }

    /// Connects again after a failure. Another writer may have come meanwhile.
    async fn reconnected(&self) -> Result<Session> {
        let session = Session::connect(&self.address).await?;
        let mut is_locked = session.lock(&self.schema).await?;
        if let Some(earlier) = self.backend.as_ref().filter(|_| !is_locked) {
            // A commit that is under way had a second to end.
            session.end(earlier).await?;
            is_locked = session.lock(&self.schema).await?;
        }
        if !is_locked {
            return Err(written_by_another(&self.settings));
        }
        self.check_fence(self.metadata.owner(&session, "").await?)?;
        Ok(session)
    }

    /// Refuses a schema into which another one has written, and one that was restored.
    fn check_fence(&self, owner: Option<metadata::Owner>) -> Result<()> {
        match owner {
            Some(owner) if owner.writer == self.writer => self.position.check(owner.commit),
            _ => Err(followed()),
        }
    }

    /// Runs a call in the session, or in a new one. Its failure ends a transaction that it left open.
    fn run<T>(&self, call: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T> {
        self.run_within(CALL_TIMEOUT, call)
    }

    fn run_within<T>(&self, timeout: Duration, call: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T> {
        // A call that panics leaves none.
        let session = self.session.borrow_mut().take().filter(|session| !session.client.is_closed());
        let (answer, session) = match wait_within(timeout, async {
            let session = match session {
                Some(session) => session,
                None => self.reconnected().await?,
            };
            let answer = call(&session).await;
            let is_usable = answer.is_ok() || session.roll_back().await;
            Ok((answer, is_usable.then_some(session)))
        }) {
            Ok(done) => done,
            Err(error) => (Err(error), None),
        };
        *self.session.borrow_mut() = session;
        answer.map_err(|error| located(error, &self.settings))
    }

    /// Notes the session's process, to end it should the session be lost.
    fn note_backend(&mut self) {
        if let Some(session) = self.session.get_mut() {
            self.backend = Some(session.backend());
        }
    }

    /// Ends the session where the process has more than `kept`. The next call connects again, and finds out
    /// whether another writer came meanwhile.
    fn rest_among(&mut self, sessions: usize, kept: usize) {
        if sessions > kept {
            self.session.get_mut().take();
        }
    }

    /// The work of a commit.
    fn work<'c>(&'c self, commit: &'c Commit<'c>) -> Result<Work<'c>> {
        // Deliveries mix tables: one batch for each, and the order within a table stays.
        let mut by_table: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in commit.changes {
            by_table.entry(&change.table).or_default().push(change);
        }
        let prepared = |name: &str| self.tables.get(name).ok_or_else(|| undiscovered(name));
        let mut batches = Vec::new();
        for (name, changes) in by_table {
            batches.push(TableBatch::new(prepared(name)?, changes.into_iter())?);
        }
        let table = match commit.progress {
            Progress::Table { name, .. } => Some(prepared(name)?),
            Progress::Journal(_) => None,
        };
        Ok(Work {
            metadata: &self.metadata,
            commit,
            batches,
            table,
            deletes: self.settings.deletes,
            writer: &self.writer,
            position: &self.position,
            number: random()?,
            asked: Cell::new(None),
        })
    }

    /// Looks for a commit whose answer was lost. None if its outcome stays unknown.
    fn outcome(&self, number: i64) -> Option<bool> {
        for wait in OUTCOME_WAITS {
            std::thread::sleep(wait);
            let owner = self.run(async |session| self.metadata.owner(session, "").await);
            match owner {
                // The earlier session is over, so its commit is too.
                Ok(owner) => return Some(owner.is_some_and(|owner| owner.commit == number)),
                Err(error) if error.kind == Kind::Unavailable => {}
                Err(_) => return None,
            }
        }
        None
    }
}

/// A number that no other has.
fn random() -> Result<i64> {
    let number = getrandom::u64().map_err(|error| Error::host(format!("no random numbers: {error}")))?;
    Ok(number.cast_signed())
}

/// Names the database, unless the message does.
fn located(error: Error, settings: &SinkSettings) -> Error {
    let location = settings.location.to_string();
    let is_about_rows = error.message.starts_with("table `") || error.message.starts_with("lease ");
    if is_about_rows || error.message.starts_with(&location) { error } else { error.about(location) }
}

impl Sink for Postgres {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        let relations = self.run(async |session| self.kinds(session).await)?;
        if !self.extended(tables, &relations)?.is_empty() || !self.unfilled.is_empty() {
            let prepared = self.create_or_extend(tables, &relations).and_then(|()| self.fill());
            self.note_backend();
            prepared?;
        }
        self.note_indexes(tables)
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.run(async |session| self.metadata.progress(session).await)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        let work = self.work(commit)?;
        // The end of a snapshot marks every row that it did not contain.
        let timeout = if commit.completes_snapshot() { LONG_TIMEOUT } else { CALL_TIMEOUT };
        let mut done =
            self.run_within(timeout, async |session| write::commit(&work, session, Way::Copy).await);
        if done.as_ref().is_err_and(is_duplicate) {
            work.asked.set(None);
            done = self.run_within(timeout, async |session| write::commit(&work, session, Way::Upsert).await);
        }
        let done = match (done, work.asked.get()) {
            // Without a session there was no answer that says whether it is committed.
            (Err(error), Some(counts)) if self.session.borrow().is_none() => {
                match self.outcome(work.number) {
                    Some(true) => Ok(counts),
                    Some(false) => Err(error),
                    None => return Err(error),
                }
            }
            (done, _) => done,
        };
        self.position.settle(work.number, done.is_ok());
        drop(work);
        self.note_backend();
        if done.is_ok() {
            self.index_filled(commit);
        }
        // Connections that wait for a session take turns: a first snapshot may last for hours.
        self.rest_among(session::open(), SESSIONS_MAX - 1);
        done
    }

    fn unlisted(&mut self, table: &str, batch: &Batch) -> Result<Vec<Change>> {
        self.find_unlisted(table, batch)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.run(async |session| {
            session.client.batch_execute("BEGIN").await?;
            self.check_fence(self.metadata.owner(session, "FOR UPDATE").await?)?;
            let was_there = self.metadata.reset(session, table).await?;
            session.client.batch_execute("COMMIT").await?;
            Ok(was_there)
        })
    }

    fn rest(&mut self) {
        self.rest_among(session::open(), SESSIONS_KEPT);
    }
}
