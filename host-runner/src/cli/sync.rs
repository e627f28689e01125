//! `sync`: reads tables into the sink until all are caught up.

use clap::Args;

use super::{Context, plan};
use crate::actor::{ActorConfig, Mode};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::metrics::Meters;
use crate::report::{columns, elapsed, thousands};
use crate::serve::control;
use crate::sinks::{Deletes, Load, SinkSettings};
use crate::state::ConnectionStore;
use crate::sync::Progress;
use crate::sync::{Ending, SyncReport, TableReport, sync};

pub(super) const HELP: &str = "\
Continues from the last commit, however the previous run ended. Ctrl-C finishes the commit under way and \
exits with 130; a second one exits at once. A table that fails does not stop the others, unless the \
credentials, the configuration or the sink fail.

Examples:
  host-runner sync -c acme.toml
  host-runner sync -c acme.toml --table orders --table customers
  host-runner sync -c acme.toml --plan              what a first read costs; reads nothing
  host-runner sync -c acme.toml --full-refresh      a new snapshot; missing rows are marked deleted
  host-runner sync -c acme.toml --json | jq .rows";

#[derive(Args, Debug)]
pub(super) struct Sync {
    /// Read only this table; repeatable
    #[arg(short, long, value_name = "TABLE")]
    table: Vec<String>,
    /// Start a new snapshot; known deletes are kept, new ones are found by comparison
    #[arg(long)]
    full_refresh: bool,
    /// Remove rows that the source deleted instead of marking them
    #[arg(long)]
    hard_deletes: bool,
    /// Read nothing; show by table how a first read, or a full refresh, would read it, and at which cost
    #[arg(long, conflicts_with_all = ["full_refresh", "hard_deletes"])]
    plan: bool,
}

pub(super) async fn run(command: &Sync, context: &Context) -> Result<Exit> {
    if command.plan {
        return plan::run(&command.table, context).await;
    }
    let loaded = context.loaded().await?;
    let (connection, paths) = (&loaded.connection, &context.paths);
    let mut settings = SinkSettings { load: Load::Bulk, ..connection.sink.clone() };
    if command.hard_deletes {
        if let Some(why) = settings.kind.refuses(Deletes::Hard) {
            return Err(Error::usage(format!("--hard-deletes: {why}")));
        }
        settings.deletes = Deletes::Hard;
    }
    let store = match ConnectionStore::open(paths, &connection.name)?.lock() {
        Ok(store) => store,
        Err(error) if control::is_served(&paths.data, &connection.name).await => {
            return Err(error.hint(with_a_server(command, context)));
        }
        Err(error) => return Err(error),
    };
    let (_no_one, commands) = tokio::sync::mpsc::channel(1);
    let config = ActorConfig {
        sink: loaded.open_sink(&settings, &store)?,
        connection: loaded.open(store)?,
        queue: None,
        public_url: None,
        commands,
        meters: Meters::default(),
        stop: context.stop.clone(),
    };
    let mode = Mode::Sync {
        tables: command.table.iter().map(|name| loaded.describe.table_name(name)).collect(),
        full_refresh: command.full_refresh,
    };
    let report =
        sync(config, mode, Progress::new(!context.printer.json, context.printer.redactor.clone())).await?;
    show(context, &loaded.connection, &report);
    Ok(report.exit())
}

/// The hint while a server reads the same tables.
fn with_a_server(command: &Sync, context: &Context) -> String {
    let file = context.file().map(|file| file.display().to_string()).unwrap_or_default();
    let tables: String = command.table.iter().map(|table| format!(" --table {table}")).collect();
    format!(
        "a server keeps this connection up to date; for a new snapshot: \
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
                "warning: table `{}`: {} values did not fit the type of their column; \
                 the column `_raw` has them",
                table.table,
                thousands(table.counts.unconverted)
            ));
        }
    }
    if report.interrupted {
        context.printer.note("interrupted: run it again to continue from the last commit");
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
        Ending::Skipped => "not started".to_owned(),
        Ending::Reading => "reading".to_owned(),
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
