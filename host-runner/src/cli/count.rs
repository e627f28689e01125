//! `count`: rows at the source, where it can count them.

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::{columns, grouped};
use crate::runner::error_json;

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
    let tenant = context.tenant().await?;
    let mut open = tenant.open(&context.places)?;
    let tables: Vec<String> = if count.table.is_empty() {
        open.sandbox.discover().await?.into_iter().map(|table| table.name).collect()
    } else {
        count.table.iter().map(|name| tenant.table_name(name)).collect()
    };
    let mut counted: Vec<(String, Result<Option<u64>, Error>)> = Vec::new();
    for table in tables {
        let rows = open.sandbox.count(table.clone()).await;
        counted.push((table.clone(), rows.map_err(|error| error.about(format_args!("table `{table}`")))));
    }
    if context.printer.json {
        let tables: Vec<Value> = counted
            .iter()
            .map(|(table, rows)| match rows {
                Ok(rows) => json!({ "table": table, "rows": rows }),
                Err(error) => json!({ "table": table, "rows": null, "error": error_json(error) }),
            })
            .collect();
        context.printer.value(&json!({ "connection": tenant.connection.name, "tables": tables }));
    } else {
        let good = counted.iter().filter_map(|(table, rows)| Some((table, rows.as_ref().ok()?)));
        let rows: Vec<Vec<String>> =
            good.map(|(table, rows)| vec![table.clone(), rows.map_or("unknown".into(), grouped)]).collect();
        context.printer.text(&columns(&rows, &[1]));
        counted.iter().filter_map(|(_, rows)| rows.as_ref().err()).for_each(|error| {
            context.printer.error(error);
        });
    }
    let failed = counted.iter().filter_map(|(_, rows)| rows.as_ref().err());
    Ok(Exit::of_all(failed.map(Exit::from)))
}
