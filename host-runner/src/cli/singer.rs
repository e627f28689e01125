//! `singer`: a tap, as tools of the Singer specification call it.
//!
//! Standard output holds messages or the catalog, and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::Context;
use super::tool::{self, Run, Tool};
use crate::error::Result;
use crate::exit::Exit;
use crate::sinks::messages::{Messages, Output, Protocol, singer};

pub(super) const HELP: &str = "\
Writes rows and states to standard output instead of a sink. The configuration is the tool's, with the \
keys of [config] and a `grant`; a connection file, if there is one, gives the other sections and \
defaults. Without a catalog every table is read. Tools call a program without `singer` in front: give \
them a script of two lines.

Examples:
  printf '#!/bin/sh\\nexec host-runner singer \"$@\"\\n' > tap-acme; chmod +x tap-acme
  host-runner singer --config config.json --discover
  touch state.json
  # each run:
  tail -n 1 state.json > last.json && mv last.json state.json
  host-runner singer --config config.json --catalog catalog.json --state state.json \\
    | target-jsonl >> state.json";

#[derive(Args, Debug)]
pub(super) struct Singer {
    /// The configuration, JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print the catalog instead of rows
    #[arg(long)]
    discover: bool,
    /// The tables and columns to read
    #[arg(long, alias = "properties", value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// The last state of an earlier run
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub(super) async fn run(command: &Singer, context: &Context) -> Result<Exit> {
    let state = command.state.as_deref().map(|path| tool::file("--state", path)).transpose()?;
    let mut saved = singer::saved(&state.unwrap_or(Value::Null));
    let mut tool = Tool::open(context, &command.config, saved.session.as_deref()).await?;
    if command.discover {
        let tables = tool.tables().await?;
        context.printer.value(&singer::catalog(&tables, tool.describe())?);
        return Ok(Exit::Success);
    }
    let catalog = command.catalog.as_deref().map(|path| tool::file("--catalog", path)).transpose()?;
    let selected = match &catalog {
        Some(catalog) => singer::selected(catalog)?,
        None => singer::selected(&singer::catalog(&tool.tables().await?, tool.describe())?)?,
    };
    if selected.tables.is_empty() {
        return Ok(Exit::Success);
    }
    for (table, _) in selected.tables.iter().filter(|(_, is_full)| *is_full) {
        saved.refresh(table);
    }
    let tables = selected.tables.into_iter().map(|(table, _)| table).collect();
    // A target replaces nothing before the end of a complete snapshot.
    let run = Run { tables, counted: Vec::new(), replaced: BTreeSet::new() };
    let output = Output::new(Protocol::Singer, context.printer.redactor.clone(), std::io::stdout());
    let sink = Messages::new(output.clone(), saved, tool.session()).without(selected.unwanted);
    tool.read(context, sink, &output, run).await
}
