//! `state`: shows how far the tables are, and resets tables or the session.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::connection::Connection;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::columns;
use crate::request::{ConnectionState, Request};

pub(super) const HELP: &str = "\
While `serve` has the connection, it starts the new snapshot of a reset table at once; otherwise the next \
`sync` or `serve` does.

Examples:
  host-runner state show -c acme.toml
  host-runner state reset -c acme.toml --table orders
  host-runner state reset -c acme.toml --session          delete the tokens";

#[derive(Debug, Subcommand)]
pub(super) enum State {
    /// Show cursors and snapshots
    Show,
    /// Delete cursors, so that the next read is a new snapshot; rows and known deletes stay
    Reset {
        /// Only this table; may be given several times
        #[arg(short, long, value_name = "TABLE")]
        table: Vec<String>,
        /// Delete the session instead; authorize again afterward
        #[arg(long, conflicts_with = "table")]
        session: bool,
    },
}

pub(super) async fn run(state: &State, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    match state {
        State::Show => show(context, &connection, &context.request(&connection, Request::State).await?),
        State::Reset { session: true, .. } => {
            let forgotten: bool = context.request(&connection, Request::DeleteSession).await?;
            if context.printer.json {
                let name = &connection.name;
                context.printer.value(&json!({ "connection": name, "session_deleted": forgotten }));
            } else {
                let what = if forgotten { "session deleted" } else { "had no session" };
                context.printer.text(&format!("{}: {what}", connection.name));
            }
        }
        State::Reset { table, .. } => {
            let request = Request::Reset { tables: table.clone() };
            let reset: Vec<String> = context.request(&connection, request).await?;
            if context.printer.json {
                context.printer.value(&json!({ "connection": connection.name, "reset": reset }));
            } else if reset.is_empty() {
                context.printer.text(&format!("{}: nothing to reset", connection.name));
            } else {
                let tables = reset.join(", ");
                context.printer.text(&format!("{}: a new snapshot comes next: {tables}", connection.name));
            }
        }
    }
    Ok(Exit::Success)
}

fn show(context: &Context, connection: &Connection, state: &ConnectionState) {
    if context.printer.json {
        context.printer.value(&json!({
            "connection": connection.name,
            "authorized": state.authorized,
            "sink": connection.sink.location.to_string(),
            "tables": state.tables,
        }));
        return;
    }
    let mut rows = vec![["table", "snapshot", "updated", "cursor"].map(str::to_owned).to_vec()];
    for table in &state.tables {
        let snapshot = match (table.generation, table.complete) {
            (0, _) => "–",
            (_, true) => "done",
            (_, false) => "running",
        };
        rows.push(vec![
            table.table.clone(),
            snapshot.to_owned(),
            table.updated_at.clone(),
            table.cursor.clone().unwrap_or_else(|| "none: a new snapshot comes next".to_owned()),
        ]);
    }
    let session = if state.authorized { "authorized" } else { "not authorized" };
    let sink = &connection.sink.location;
    context.printer.text(&format!("{}: {session}, into {sink}\n{}", connection.name, columns(&rows, &[])));
}
