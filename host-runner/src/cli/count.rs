//! `count`: counts rows at the source.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{columns, thousands};
use crate::request::{Request, RowCount};

pub(super) const HELP: &str = "\
A table that fails does not stop the others; the exit code is that of the failure, or 20 if they differ.

Examples:
  host-runner count -c acme.toml
  host-runner count -c acme.toml --table orders --json";

#[derive(Args, Debug)]
pub(super) struct Count {
    /// Only this table; may be given several times
    #[arg(short, long, value_name = "TABLE")]
    table: Vec<String>,
}

pub(super) async fn run(count: &Count, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let request = Request::Count { tables: count.table.clone() };
    let counts: Vec<RowCount> = context.request(&connection, request).await?;
    let failed = || counts.iter().filter_map(|count| count.error.as_ref());
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, "tables": counts }));
    } else {
        let counted = counts.iter().filter(|count| count.error.is_none());
        let row =
            |count: &RowCount| vec![count.table.clone(), count.rows.map_or("unknown".into(), thousands)];
        context.printer.text(&columns(&counted.map(row).collect::<Vec<_>>(), &[1]));
        failed().for_each(|error| {
            context.printer.error(error);
        });
    }
    Ok(Exit::of_all(failed().map(Exit::from)))
}
