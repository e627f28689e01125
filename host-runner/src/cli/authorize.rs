//! `authorize`: exchanges a grant for a session.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Context, input};
use crate::error::Result;
use crate::exit::Exit;
use crate::request::Request;

pub(super) const HELP: &str = "\
A code on the command line is visible to other users of this machine and stays in the shell's history; \
`--code-file -` reads it from stdin instead.

Examples:
  host-runner authorize -c acme.toml --code 1000.abc
  host-runner authorize -c acme.toml --code-file -
  host-runner authorize -c acme.toml --grant '{\"code\":\"1000.abc\"}'";

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Authorize {
    /// The code that the source's console shows; `-` reads it from stdin
    #[arg(long)]
    code: Option<String>,
    /// A file that holds the code; `-` is stdin
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// A complete grant as JSON, see `spec --json`; `-` reads it from stdin
    #[arg(long, value_name = "JSON")]
    grant: Option<String>,
}

pub(super) async fn run(authorize: &Authorize, context: &Context) -> Result<Exit> {
    let grant = match (&authorize.code, &authorize.code_file, &authorize.grant) {
        (Some(code), ..) => json!({ "code": input::text(code)?.trim() }),
        (_, Some(file), _) => json!({ "code": input::file(file)?.trim() }),
        (.., Some(grant)) => input::json("--grant", &input::text(grant)?)?,
        (None, None, None) => json!({}),
    };
    let connection = context.connection()?;
    context.paths.redactor.learn_config(&connection.name, &grant);
    let () = context.request(&connection, Request::Authorize { grant: grant.to_string() }).await?;
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, "authorized": true }));
    } else {
        context.printer.text(&format!("{}: authorized", connection.name));
    }
    Ok(Exit::Success)
}
