//! `airbyte`: the commands of the Airbyte protocol, as tools call them.
//!
//! Standard output holds messages and nothing else; a failure is a message there and a text on stderr.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use super::tool::{self, Run, Tool};
use crate::clock::now_ms;
use crate::error::Result;
use crate::exit::Exit;
use crate::policy;
use crate::sinks::messages::{Level, Message, Messages, Output, Protocol, airbyte};
use crate::telemetry;

pub(super) const HELP: &str = "\
`read` writes rows and states to standard output instead of a sink. The configuration is the tool's, \
with the keys of [config] and a `grant`; a connection file, if there is one, gives the other sections \
and defaults. Tools call a program without `airbyte` in front: give them a script of two lines.

Examples:
  printf '#!/bin/sh\\nexec host-runner airbyte \"$@\"\\n' > source-acme; chmod +x source-acme
  host-runner airbyte spec
  host-runner airbyte check --config config.json
  host-runner airbyte read --config config.json --catalog catalog.json
  # later:
  host-runner airbyte read --config config.json --catalog catalog.json --state state.json";

/// The commands of a source.
#[derive(Debug, Subcommand)]
pub(super) enum Airbyte {
    /// Print the JSON Schema of the configuration
    Spec,
    /// Test hosts, credentials and permissions
    Check(Config),
    /// List the tables
    Discover(Config),
    /// Read the tables of a catalog until they are caught up
    Read(Read),
}

#[derive(Args, Debug)]
pub(super) struct Config {
    /// The configuration, JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Read {
    #[command(flatten)]
    config: Config,
    /// The tables to read: a configured catalog
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// The last state of an earlier run
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub(super) async fn run(command: &Airbyte, context: &Context) -> Result<Exit> {
    let output = Output::new(Protocol::Airbyte, context.printer.redactor.clone(), std::io::stdout());
    let outcome = match command {
        Airbyte::Spec => spec(context).await,
        Airbyte::Check(check) => self::check(check, context).await,
        Airbyte::Discover(discover) => self::discover(discover, context).await,
        Airbyte::Read(read) => self::read(read, context, &output).await,
    };
    if let Err(error) = &outcome {
        let failed = Message::Failed { table: None, error, failure: policy::failure(error) };
        output.say(failed, now_ms())?;
    }
    outcome
}

async fn spec(context: &Context) -> Result<Exit> {
    let describe = context.describe().await?;
    context.printer.value(&airbyte::spec(&describe));
    Ok(Exit::Success)
}

/// A connection that does not work is an answer, not a failure of the program.
async fn check(check: &Config, context: &Context) -> Result<Exit> {
    let failed = match Tool::open(context, &check.config, None).await {
        Ok(mut tool) => tool.check().await?,
        Err(error) if policy::failure(&error) == policy::Failure::Config => {
            Some(tool::with_hint(&error.message, error.hint.as_deref()))
        }
        Err(error) => return Err(error),
    };
    context.printer.value(&airbyte::connection_status(failed.as_deref()));
    Ok(Exit::Success)
}

async fn discover(discover: &Config, context: &Context) -> Result<Exit> {
    let mut tool = Tool::open(context, &discover.config, None).await?;
    let tables = tool.tables().await?;
    context.printer.value(&airbyte::catalog(&tables, tool.describe())?);
    Ok(Exit::Success)
}

async fn read(read: &Read, context: &Context, output: &Output) -> Result<Exit> {
    let catalog = tool::file("--catalog", &read.catalog)?;
    let configured = airbyte::configured(&catalog)?;
    let state = read.state.as_deref().map(|path| tool::file("--state", path)).transpose()?;
    let mut saved = airbyte::saved(&state.unwrap_or(Value::Null));
    if configured.is_empty() {
        return Ok(Exit::Success);
    }
    for (table, _) in configured.iter().filter(|(_, is_full)| *is_full) {
        saved.refresh(table);
    }
    let log = output.clone();
    telemetry::listen(move |level, text| {
        let level = match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            _ => Level::Info,
        };
        // A closed output shows at the next commit.
        let _closed = log.say(Message::Log { level, text }, now_ms());
    });
    let tool = Tool::open(context, &read.config.config, saved.session.as_deref()).await?;
    let tables = configured.into_iter().map(|(table, _)| table).collect();
    let run = Run::new(tables, &saved, tool.describe(), airbyte::overwritten(&catalog));
    let sink = Messages::new(output.clone(), saved, tool.session());
    tool.read(context, sink, output, run).await
}
