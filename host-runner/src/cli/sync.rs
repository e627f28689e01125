//! `sync`: reads tables into the target until all is caught up.

use clap::Args;

use super::Context;
use crate::connection::{Connection, Deletes, SinkKind};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::report::{columns, elapsed, thousands};
use crate::runner::{Ending, Runner, SyncReport, TableReport};
use crate::serve::control;
use crate::sinks;
use crate::state::ConnectionStore;

pub(super) const HELP: &str = "\
Goes on from the last commit, whatever ended the run before. Ctrl-C finishes the commit under way and
exits with 130; a second one leaves at once. A table that fails does not stop the others, unless the
credentials or the configuration are wrong.

Examples:
  host-runner sync -c acme.toml
  host-runner sync -c acme.toml --table orders --table customers
  host-runner sync -c acme.toml --full-refresh      read again from the start; what is gone is marked
  host-runner sync -c acme.toml --json | jq .rows";

#[derive(Args, Debug)]
pub(super) struct Sync {
    /// Only this table; may be given several times
    #[arg(short, long, value_name = "TABLE")]
    table: Vec<String>,
    /// Read from the beginning; known deletes are kept, new ones are found by comparison
    #[arg(long)]
    full_refresh: bool,
    /// Remove rows that are gone at the source instead of marking them
    #[arg(long)]
    hard_deletes: bool,
}

pub(super) async fn run(sync: &Sync, context: &Context) -> Result<Exit> {
    let loaded = context.loaded().await?;
    let mut settings = loaded.connection.sink.clone();
    if sync.hard_deletes {
        if settings.kind == SinkKind::Jsonl {
            return Err(Error::usage("--hard-deletes: a log cannot remove rows"));
        }
        settings.deletes = Deletes::Hard;
    }
    let name = &loaded.connection.name;
    let store = ConnectionStore::open(&context.paths, name)?;
    let locked = store.lock().map_err(|error| {
        if control::is_served(&context.paths.data, name) {
            error.hint(beside_a_server(sync, context))
        } else {
            error
        }
    })?;
    let mut open = loaded.open(locked)?;
    let sink = sinks::open(&settings)?;
    let mut progress = Progress::new(!context.printer.json);
    let limits = loaded.connection.limits.clone();
    let runner = Runner::new(&mut open.sandbox, sink, limits, context.stop.clone(), &mut progress);
    let wanted: Vec<String> = sync.table.iter().map(|name| loaded.describe.table_name(name)).collect();
    let report = runner.sync(&wanted, sync.full_refresh).await?;
    show(context, &loaded.connection, &report);
    Ok(report.exit())
}

/// What to do instead while a server reads the same tables.
fn beside_a_server(sync: &Sync, context: &Context) -> String {
    let file = context.file().map(|file| file.display().to_string()).unwrap_or_default();
    let tables: String = sync.table.iter().map(|table| format!(" --table {table}")).collect();
    format!(
        "a server keeps it up to date, nothing needs to be done; to have tables read again from the start: \
         host-runner state reset -c {file}{tables}"
    )
}

fn show(context: &Context, connection: &Connection, report: &SyncReport) {
    if context.printer.json {
        context.printer.value(&report.json(&connection.name));
        return;
    }
    context.printer.text(&columns(&rows(report), &[1, 2, 3, 4, 5, 6, 7]));
    for table in &report.tables {
        if let Some(error) = table.error() {
            context.printer.error(error);
        }
        for warning in &table.warnings {
            context.printer.note(&format!("warning: table `{}`: {warning}", table.table));
        }
        if table.counts.unconverted > 0 {
            context.printer.note(&format!(
                "warning: table `{}`: {} values did not fit their column's type; the document has them",
                table.table,
                thousands(table.counts.unconverted)
            ));
        }
    }
    if report.interrupted {
        context.printer.note("interrupted: run it again to go on from the last commit");
    }
}

fn rows(report: &SyncReport) -> Vec<Vec<String>> {
    let header = ["table", "read", "inserted", "updated", "unchanged", "deleted", "requests", "time", ""];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(report.tables.iter().map(row));
    let total = report.total();
    let mut last = row(&total);
    if let Some(cell) = last.last_mut() {
        *cell = match (total.credits_used, total.credits_left) {
            (0, None) => String::new(),
            (used, None) => format!("{} credits used", thousands(used)),
            (used, Some(left)) => {
                format!("{} credits used, {} left", thousands(used), thousands(left))
            }
        };
    }
    rows.push(last);
    rows
}

fn row(table: &TableReport) -> Vec<String> {
    let counts = &table.counts;
    let ending = match &table.ending {
        Ending::CaughtUp => String::new(),
        Ending::Skipped => "not begun".to_owned(),
        Ending::Interrupted => "interrupted".to_owned(),
        Ending::Failed(error) => error.kind.to_string(),
    };
    let numbers =
        [counts.read, counts.inserted, counts.updated, counts.unchanged, counts.deleted, table.requests];
    let mut cells = vec![table.table.clone()];
    cells.extend(numbers.map(thousands));
    cells.push(elapsed(table.elapsed_ms));
    cells.push(ending);
    cells
}
