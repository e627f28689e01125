//! `state`: how far the tables are, and how to begin again.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::report::columns;
use crate::sinks::{self, JOURNAL};
use crate::tenant::sessions;

pub(super) const HELP: &str = "\
Examples:
  host-runner state show -c acme.toml
  host-runner state reset -c acme.toml --table orders    the next sync reads it from the start
  host-runner state reset -c acme.toml --session          forget the tokens";

#[derive(Debug, Subcommand)]
pub(super) enum State {
    /// Show cursors and passes
    Show,
    /// Forget cursors, so that the next sync reads from the start; rows stay and known deletes too
    Reset {
        /// Only this table; may be given several times
        #[arg(short, long, value_name = "TABLE")]
        table: Vec<String>,
        /// Forget the session instead; authorize again afterwards
        #[arg(long, conflicts_with = "table")]
        session: bool,
    },
}

pub(super) fn run(state: &State, context: &Context) -> Result<Exit> {
    let environment = |name: &str| std::env::var(name).ok();
    let connection = Connection::load(context.file()?, &environment)?;
    let (_lock, sessions) = sessions(&connection.name, &context.places)?;
    match state {
        State::Show => {
            let authorized = sessions.load()?.is_some();
            show(context, &connection, authorized)
        }
        State::Reset { session: true, .. } => {
            let forgotten = sessions.forget()?;
            if context.printer.json {
                let reset = json!({ "connection": connection.name, "session_forgotten": forgotten });
                context.printer.value(&reset);
            } else {
                let what = if forgotten { "session forgotten" } else { "had no session" };
                context.printer.text(&format!("{}: {what}", connection.name));
            }
            Ok(Exit::Success)
        }
        State::Reset { table, .. } => reset(context, &connection, table),
    }
}

fn show(context: &Context, connection: &Connection, authorized: bool) -> Result<Exit> {
    // Opening a target makes it; looking must not.
    let mut positions =
        if connection.sink.path.exists() { sinks::open(&connection.sink)?.positions()? } else { Vec::new() };
    positions.retain(|position| position.table != JOURNAL);
    if context.printer.json {
        context.printer.value(&json!({
            "connection": connection.name,
            "authorized": authorized,
            "sink": connection.sink.path,
            "tables": positions,
        }));
        return Ok(Exit::Success);
    }
    let mut rows = vec![["table", "pass", "updated", "cursor"].map(str::to_owned).to_vec()];
    for position in positions {
        let pass = match (position.pass, position.complete) {
            (0, _) => "none",
            (_, true) => "complete",
            (_, false) => "under way",
        };
        rows.push(vec![
            position.table,
            pass.to_owned(),
            position.updated_at,
            position.cursor.unwrap_or_else(|| "none: starts anew".to_owned()),
        ]);
    }
    let session = if authorized { "authorized" } else { "not authorized" };
    let sink = connection.sink.path.display();
    context.printer.text(&format!("{}: {session}, into {sink}\n{}", connection.name, columns(&rows, &[])));
    Ok(Exit::Success)
}

fn reset(context: &Context, connection: &Connection, tables: &[String]) -> Result<Exit> {
    let mut reset = Vec::new();
    if connection.sink.path.exists() {
        let mut sink = sinks::open(&connection.sink)?;
        let known: Vec<String> = sink.positions()?.into_iter().map(|position| position.table).collect();
        let known: Vec<String> = known.into_iter().filter(|table| table != JOURNAL).collect();
        if let Some(unknown) = tables.iter().find(|table| !known.contains(table)) {
            return Err(Error::new(
                Origin::Host,
                Kind::NotFound,
                format!("table `{unknown}`: has no cursor"),
            )
            .hint(format!("tables with a cursor: {}", known.join(", "))));
        }
        for table in if tables.is_empty() { &known } else { tables } {
            if sink.reset(table)? {
                reset.push(table.clone());
            }
        }
    }
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, "reset": reset }));
    } else if reset.is_empty() {
        context.printer.text(&format!("{}: nothing to reset", connection.name));
    } else {
        context.printer.text(&format!("{}: starts anew: {}", connection.name, reset.join(", ")));
    }
    Ok(Exit::Success)
}
