//! `state`: how far the tables are, and how to begin again.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::connection::Connection;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::columns;
use crate::request::{Request, Standing};
use crate::serve::control;
use crate::sinks;
use crate::state::Lock;
use crate::tenant::sessions;

pub(super) const HELP: &str = "\
Beside `serve`, a table that is reset is read again from the start at once.

Examples:
  host-runner state show -c acme.toml
  host-runner state reset -c acme.toml --table orders    the next sync reads it from the start
  host-runner state reset -c acme.toml --session          forget the tokens";

#[derive(Debug, Subcommand)]
pub(super) enum State {
    /// Show cursors and passes
    Show,
    /// Forget cursors, so that the next read is from the start; rows stay and known deletes too
    Reset {
        /// Only this table; may be given several times
        #[arg(short, long, value_name = "TABLE")]
        table: Vec<String>,
        /// Forget the session instead; authorize again afterwards
        #[arg(long, conflicts_with = "table")]
        session: bool,
    },
}

pub(super) async fn run(state: &State, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    match state {
        State::Show => show(context, &connection, &standing(context, &connection).await?),
        State::Reset { session: true, .. } => forget(context, &connection)?,
        State::Reset { table, .. } => reset(context, &connection, table).await?,
    }
    Ok(Exit::Success)
}

async fn standing(context: &Context, connection: &Connection) -> Result<Standing> {
    if let Some(standing) = context.ask(&connection.name, Request::State).await? {
        return Ok(standing);
    }
    let (_lock, sessions) = sessions(&connection.name, &context.paths)?;
    let authorized = sessions.load()?.is_some();
    let sink = sinks::open_existing(&connection.sink)?;
    let tables = sink.map_or(Ok(Vec::new()), |sink| sink.table_states())?;
    Ok(Standing { authorized, tables })
}

fn show(context: &Context, connection: &Connection, standing: &Standing) {
    if context.printer.json {
        context.printer.value(&json!({
            "connection": connection.name,
            "authorized": standing.authorized,
            "sink": connection.sink.location.to_string(),
            "tables": standing.tables,
        }));
        return;
    }
    let mut rows = vec![["table", "generation", "updated", "cursor"].map(str::to_owned).to_vec()];
    for position in &standing.tables {
        let generation = match (position.generation, position.complete) {
            (0, _) => "none",
            (_, true) => "complete",
            (_, false) => "under way",
        };
        rows.push(vec![
            position.table.clone(),
            generation.to_owned(),
            position.updated_at.clone(),
            position.cursor.clone().unwrap_or_else(|| "none: starts anew".to_owned()),
        ]);
    }
    let session = if standing.authorized { "authorized" } else { "not authorized" };
    let sink = &connection.sink.location;
    context.printer.text(&format!("{}: {session}, into {sink}\n{}", connection.name, columns(&rows, &[])));
}

fn forget(context: &Context, connection: &Connection) -> Result<()> {
    let (_lock, sessions) = sessions(&connection.name, &context.paths).map_err(|error| {
        if control::is_served(&context.paths.data, &connection.name) {
            error.hint("a server has it: stop that first, or give it another session with `authorize`")
        } else {
            error
        }
    })?;
    let forgotten = sessions.forget()?;
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, "session_forgotten": forgotten }));
    } else {
        let what = if forgotten { "session forgotten" } else { "had no session" };
        context.printer.text(&format!("{}: {what}", connection.name));
    }
    Ok(())
}

async fn reset(context: &Context, connection: &Connection, tables: &[String]) -> Result<()> {
    let request = Request::Reset { tables: tables.to_vec() };
    let asked: Option<Vec<String>> = context.ask(&connection.name, request).await?;
    let when = if asked.is_some() { "starts anew now" } else { "starts anew" };
    let reset = match asked {
        Some(reset) => reset,
        None => {
            let _lock = Lock::take(&context.paths.data, &connection.name)?;
            match sinks::open_existing(&connection.sink)? {
                Some(mut sink) => sinks::reset(sink.as_mut(), tables)?,
                None => Vec::new(),
            }
        }
    };
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, "reset": reset }));
    } else if reset.is_empty() {
        context.printer.text(&format!("{}: nothing to reset", connection.name));
    } else {
        context.printer.text(&format!("{}: {when}: {}", connection.name, reset.join(", ")));
    }
    Ok(())
}
