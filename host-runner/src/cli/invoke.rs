//! `invoke`: runs a command of the component, JSON in and out.

use clap::Args;
use serde_json::Value;

use super::{Context, input};
use crate::error::Result;
use crate::exit::Exit;
use crate::request::Request;

pub(super) const HELP: &str = "\
Examples:
  host-runner spec                                 lists the commands
  host-runner invoke -c acme.toml NAME
  host-runner invoke -c acme.toml NAME '{\"key\":\"value\"}'
  echo '{}' | host-runner invoke -c acme.toml NAME -";

#[derive(Args, Debug)]
pub(super) struct Invoke {
    /// The command's name, see `spec`
    name: String,
    /// Its arguments, a JSON object; `-` reads them from stdin
    #[arg(default_value = "{}", value_name = "JSON")]
    arguments: String,
}

pub(super) async fn run(invoke: &Invoke, context: &Context) -> Result<Exit> {
    let arguments = input::json("JSON", &input::text(&invoke.arguments)?)?.to_string();
    let request = Request::Invoke { name: invoke.name.clone(), arguments };
    let value: Value = context.request(&context.connection()?, request).await?;
    if context.printer.json {
        context.printer.value(&value);
    } else {
        context.printer.text(&format!("{value:#}"));
    }
    Ok(Exit::Success)
}
