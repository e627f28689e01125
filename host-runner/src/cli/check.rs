//! `check`: tests hosts, credentials, permissions and webhooks.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::change::{CheckItem, Outcome};
use crate::check;
use crate::egress;
use crate::error::{Kind, Result};
use crate::exit::Exit;
use crate::report::columns;
use crate::request::Request;
use crate::state::ConnectionStore;
use crate::webhook_url::{self, PublicUrl};

pub(super) const HELP: &str = "\
While `serve` has the connection, `serve` runs the tests, with the connection file as it last loaded it.
Exits with 0 when nothing failed, with 11 when the egress policy refused a request, else with the code of
the first failure (8 where the component gives none).

Examples:
  host-runner check -c acme.toml
  host-runner check -c acme.toml --public-url https://hooks.example.com
  host-runner check -c acme.toml --json | jq '.items[] | select(.outcome == \"failed\")'";

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Also request the webhook URL under this public URL, from this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

pub(super) async fn run(check: &Check, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let public = check.public_url.as_deref().map(PublicUrl::parse).transpose()?;
    let mut items: Vec<CheckItem> = context.request(&connection, Request::Check).await?;
    if let Some(public) = &public {
        let secret = ConnectionStore::open(&context.paths, &connection.name)?.webhook_url().secret()?;
        let url = webhook_url::url(public, &connection.name, &secret);
        items.push(check::public_url(&egress::probe(&url, connection.ca_file.as_deref()).await?));
    }
    let exit = exit(&items);
    if context.printer.json {
        context.printer.value(&json!({
            "connection": connection.name,
            "exit": exit as u8,
            "items": items,
        }));
    } else {
        context.printer.text(&pretty(&items));
    }
    Ok(exit)
}

/// The code of the first failure; a request that the egress policy refused explains the failures before it.
fn exit(items: &[CheckItem]) -> Exit {
    let mut failed = items.iter().filter(|item| item.outcome == Outcome::Failed);
    if failed.clone().any(|item| item.name == "egress") {
        return Exit::Sandbox;
    }
    match failed.next() {
        None => Exit::Success,
        Some(item) => Exit::from(item.kind.unwrap_or(Kind::Unavailable)),
    }
}

fn pretty(items: &[CheckItem]) -> String {
    let mut rows = Vec::new();
    for item in items {
        let word = match item.outcome {
            Outcome::Passed => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        rows.push(vec![word.to_owned(), item.name.clone(), item.message.clone()]);
        if let Some(hint) = item.hint.as_ref().filter(|_| item.outcome != Outcome::Passed) {
            rows.push(vec![String::new(), String::new(), format!("hint: {hint}")]);
        }
    }
    columns(&rows, &[])
}
