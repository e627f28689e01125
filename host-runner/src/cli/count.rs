//! `count`: rows at the source, where it can count them.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{columns, grouped};
use crate::request::{self, Counted, Request};

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
    let name = context.connection()?.name;
    let request = Request::Count { tables: count.table.clone() };
    let counted: Vec<Counted> = match context.ask(&name, request).await? {
        Some(counted) => counted,
        None => {
            let tenant = context.tenant().await?;
            let mut open = tenant.open(&context.paths)?;
            request::count(&mut open.sandbox, &tenant.describe, &count.table).await?
        }
    };
    let failed = || counted.iter().filter_map(|counted| counted.error.as_ref());
    if context.printer.json {
        context.printer.value(&json!({ "connection": name, "tables": counted }));
    } else {
        let good = counted.iter().filter(|counted| counted.error.is_none());
        let row = |one: &Counted| vec![one.table.clone(), one.rows.map_or("unknown".into(), grouped)];
        context.printer.text(&columns(&good.map(row).collect::<Vec<_>>(), &[1]));
        failed().for_each(|error| {
            context.printer.error(error);
        });
    }
    Ok(Exit::of_all(failed().map(Exit::from)))
}
