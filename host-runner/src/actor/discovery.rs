//! Which tables the connection has: discovered when the actor starts, as `schema_refresh` says under `serve`,
//! and on command. Changes since the last time are logged and counted.

use std::time::Duration;

use tokio::time::Instant;

use super::core::{Core, until_stopped};
use super::{Mode, Stopped};
use crate::blocking;
use crate::change::Table;
use crate::clock::now_ms;
use crate::error::{Error, Kind, Origin, Result};
use crate::metrics::State;
use crate::schema::changes::Schemas;
use crate::schema::refresh::SchemaRefresh;
use crate::sinks::{JournalState, TableState};

/// After a discovery that failed while tables are known.
const FAILED_WAIT: Duration = Duration::from_secs(3600);
/// Lines about changes in the log: a source may change all its columns at once.
const LOGGED_MAX: usize = 100;

/// See the file's header.
pub(super) struct Discovery {
    mode: Mode,
    /// Their names, in the order of discovery; none before the first one succeeded. Schemas are long, and the
    /// sink has their columns.
    tables: Option<Vec<String>>,
    due: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

/// What a discovery found, and how far the sink is.
pub(super) struct Discovered {
    pub(super) tables: Vec<Table>,
    pub(super) states: Vec<TableState>,
    pub(super) journal: Option<JournalState>,
}

impl Discovery {
    /// Due now.
    pub(super) fn new(mode: Mode, now: Instant) -> Self {
        Self { mode, tables: None, due: Some(now), failures: 0 }
    }

    /// Whether the tables are known.
    pub(super) fn is_done(&self) -> bool {
        self.tables.is_some()
    }

    /// The names of the tables, none before they are known.
    pub(super) fn tables(&self) -> &[String] {
        self.tables.as_deref().unwrap_or_default()
    }

    /// When it is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Discovers the tables and prepares the sink for them.
    pub(super) async fn discover(&mut self, core: &mut Core<'_>) -> Result<Result<Discovered>, Stopped> {
        let found = until_stopped(&mut core.stop, core.connection.sandbox.discover()).await?;
        let compared = match found {
            Ok(tables) => compare(core, tables).await,
            Err(error) => Err(error),
        };
        let picked = compared.and_then(|(tables, columns)| Ok((self.mode.pick(tables)?, columns)));
        let (tables, columns) = match picked {
            Ok(picked) => picked,
            Err(error) => return Ok(Err(error)),
        };
        let call = core.sink.run(move |sink| {
            sink.prepare(&tables)?;
            Ok(Discovered { states: sink.table_states()?, journal: sink.journal_state()?, tables })
        });
        let discovered = match call.await {
            // The tables that are known are read on: a restart would discover them again, and at once.
            Err(error) if self.is_done() => return Ok(Err(error)),
            discovered => discovered?,
        };
        self.tables = Some(discovered.tables.iter().map(|table| table.name.clone()).collect());
        self.failures = 0;
        self.due = match self.mode {
            Mode::Serve => {
                let refresh = core.connection.limits.serve.schema_refresh;
                let wait = refresh.unwrap_or_else(|| SchemaRefresh::of_columns(columns)).wait(now_ms());
                wait.map(|wait| Instant::now() + wait)
            }
            Mode::Sync { .. } => None,
        };
        Ok(Ok(discovered))
    }

    /// The first discovery is retried; a later one waits for its next time.
    pub(super) fn failed(&mut self, core: &mut Core<'_>, error: Error) -> Result<(), Stopped> {
        self.failures += 1;
        let reason = error.message.clone();
        let wait = core.backoff("discover", error, self.failures)?;
        self.due = Some(Instant::now() + if self.is_done() { FAILED_WAIT } else { wait });
        if !self.is_done() {
            core.meters.enter(State::Waiting, Some(&reason));
        }
        Ok(())
    }
}

/// Logs and counts the changes since the last discovery, and keeps this one. Gives the tables back, and the
/// number of their columns: parsing their schemas takes a thread that may block.
async fn compare(core: &mut Core<'_>, tables: Vec<Table>) -> Result<(Vec<Table>, usize)> {
    let store = core.connection.store.clone();
    let comparing = blocking::spawn(move || {
        let known = store.schemas()?;
        let found = Schemas::of(&tables, known.as_ref());
        let columns = found.columns();
        if known.as_ref() == Some(&found) {
            return Ok((tables, columns, Vec::new()));
        }
        store.keep_schemas(&found)?;
        let changes = known.map(|known| known.changes_to(&found)).unwrap_or_default();
        Ok::<_, Error>((tables, columns, changes))
    });
    let (tables, columns, changes) = comparing.await??;
    let connection = &core.connection.name;
    for change in changes.iter().take(LOGGED_MAX) {
        tracing::info!(%connection, table = %change.table, change = %change, "schema changed");
    }
    if changes.len() > LOGGED_MAX {
        tracing::info!(%connection, more = changes.len() - LOGGED_MAX, "schema changed");
    }
    core.meters.count(|readings| {
        for change in &changes {
            readings.counters.schema_changes.add([&change.table, change.what.name()], 1);
        }
    });
    Ok((tables, columns))
}

impl Mode {
    /// The tables to read, in the order of discovery.
    fn pick(&self, tables: Vec<Table>) -> Result<Vec<Table>> {
        let Self::Sync { tables: wanted, .. } = self else { return Ok(tables) };
        if let Some(unknown) = wanted.iter().find(|name| !tables.iter().any(|table| table.name == **name)) {
            let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
            let message = format!("table `{unknown}`: this connection has none of that name");
            return Err(Error::new(Origin::Host, Kind::NotFound, message)
                .hint(format!("tables: {}", names.join(", "))));
        }
        let is_wanted = |table: &Table| wanted.is_empty() || wanted.contains(&table.name);
        Ok(tables.into_iter().filter(is_wanted).collect())
    }
}
