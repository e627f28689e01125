//! `command`: one of the component's own actions, JSON in and out.

use clap::Args;
use serde_json::Value;

use super::{Context, input};
use crate::error::Result;
use crate::exit::Exit;
use crate::request::{self, Request};

pub(super) const HELP: &str = "\
Examples:
  host-runner spec                                 lists the commands
  host-runner command -c acme.toml NAME
  host-runner command -c acme.toml NAME '{\"key\":\"value\"}'
  echo '{}' | host-runner command -c acme.toml NAME -";

#[derive(Args, Debug)]
pub(super) struct Run {
    /// The command's name, see `spec`
    name: String,
    /// Its arguments, a JSON object; `-` reads them from stdin
    #[arg(default_value = "{}", value_name = "JSON")]
    arguments: String,
}

pub(super) async fn run(run: &Run, context: &Context) -> Result<Exit> {
    let arguments = input::json("JSON", &input::text(&run.arguments)?)?;
    let connection = context.connection()?.name;
    let request = Request::Command { name: run.name.clone(), arguments: arguments.to_string() };
    let value: Value = match context.ask(&connection, request).await? {
        Some(value) => value,
        None => {
            let mut open = context.tenant().await?.open(&context.paths)?;
            request::command(&mut open.sandbox, &run.name, &arguments.to_string()).await?
        }
    };
    if context.printer.json {
        context.printer.value(&value);
    } else {
        context.printer.text(&format!("{value:#}"));
    }
    Ok(Exit::Success)
}
