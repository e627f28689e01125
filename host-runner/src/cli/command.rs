//! `command`: one of the component's own actions, JSON in and out.

use clap::Args;
use serde_json::Value;

use super::{Context, input};
use crate::error::{Error, Result};
use crate::exit::Exit;

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
    let tenant = context.tenant().await?;
    let mut open = tenant.open(&context.places)?;
    let answer = open.sandbox.command(run.name.clone(), arguments.to_string()).await?;
    let value: Value = serde_json::from_str(&answer)
        .map_err(|error| Error::data(format!("command `{}`: its answer is not JSON: {error}", run.name)))?;
    if context.printer.json {
        context.printer.value(&value);
    } else {
        context.printer.text(&format!("{value:#}"));
    }
    Ok(Exit::Success)
}
