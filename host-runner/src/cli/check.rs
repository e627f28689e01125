//! `check`: what works and what does not.

mod webhooks;

use serde_json::json;

use super::Context;
use crate::change::{CheckItem, Outcome};
use crate::error::{Kind, Result};
use crate::exit::Exit;
use crate::report::columns;

pub(super) const HELP: &str = "\
Exits with 0 when nothing failed, with 11 when the egress policy refused a request, else with the
code of what failed first (8 where the component does not say what that is).

Examples:
  host-runner check -c acme.toml
  host-runner check -c acme.toml --json | jq '.items[] | select(.outcome == \"failed\")'";

pub(super) async fn run(context: &Context) -> Result<Exit> {
    let tenant = context.tenant().await?;
    let mut open = tenant.open(&context.places)?;
    let mut items = open.sandbox.check().await?;
    items.extend(webhooks::items(&tenant, &context.places)?);
    let exit = exit(&items);
    if context.printer.json {
        context.printer.value(&json!({
            "connection": tenant.connection.name,
            "exit": exit as u8,
            "items": items,
        }));
    } else {
        context.printer.text(&pretty(&items));
    }
    Ok(exit)
}

/// The code of the first failure; a refused request explains those before it.
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
