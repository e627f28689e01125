//! Which tables the connection has: discovered when the actor starts, every six hours under `serve`, and on
//! command.

use std::time::Duration;

use tokio::time::Instant;

use super::core::{Core, until_stopped};
use super::{Mode, Stopped};
use crate::change::Table;
use crate::error::{Error, Kind, Origin, Result};
use crate::metrics::State;
use crate::sinks::{JournalState, TableState};

/// Between two discoveries: columns and tables that were added at the source.
const DISCOVER_EVERY: Duration = Duration::from_secs(6 * 3600);

/// See the file's header.
pub(super) struct Discovery {
    mode: Mode,
    /// None before the first discovery succeeded.
    tables: Option<Vec<Table>>,
    due: Option<Instant>,
    /// Failures in a row.
    failures: u32,
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

    /// The tables, none before they are known.
    pub(super) fn tables(&self) -> &[Table] {
        self.tables.as_deref().unwrap_or_default()
    }

    /// When it is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Discovers the tables and prepares the sink for them; how far the sink is.
    pub(super) async fn discover(
        &mut self,
        core: &mut Core<'_>,
    ) -> Result<Result<(Vec<TableState>, Option<JournalState>)>, Stopped> {
        let found = until_stopped(&mut core.stop, core.connection.sandbox.discover()).await?;
        let tables = match found.and_then(|tables| self.mode.pick(tables)) {
            Ok(tables) => tables,
            Err(error) => return Ok(Err(error)),
        };
        let prepared = tables.clone();
        let call = core.sink.run(move |sink| {
            sink.prepare(&prepared)?;
            Ok((sink.table_states()?, sink.journal_state()?))
        });
        let states = call.await?;
        self.tables = Some(tables);
        self.failures = 0;
        self.due = match self.mode {
            Mode::Serve => Some(Instant::now() + DISCOVER_EVERY),
            Mode::Sync { .. } => None,
        };
        Ok(Ok(states))
    }

    /// The first discovery is retried; a later one waits for its next time.
    pub(super) fn failed(&mut self, core: &mut Core<'_>, error: Error) -> Result<(), Stopped> {
        self.failures += 1;
        let reason = error.message.clone();
        let wait = core.backoff("discover", error, self.failures)?;
        self.due = Some(Instant::now() + if self.is_done() { DISCOVER_EVERY } else { wait });
        if !self.is_done() {
            core.meters.enter(State::Waiting, Some(&reason));
        }
        Ok(())
    }
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
