//! `check`: what works and what does not.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::change::{CheckItem, Outcome};
use crate::check::{self, Webhooks};
use crate::connection::Connection;
use crate::egress;
use crate::error::{Kind, Result};
use crate::exit::Exit;
use crate::journal::{Journal, JournalLimits};
use crate::report::columns;
use crate::request::Request;
use crate::serve::journal_path;
use crate::sinks;
use crate::state::hook::HookStore;
use crate::state::subscription::Subscriptions;
use crate::tenant::{Paths, key};
use crate::webhook_url::{self, PublicUrl};

pub(super) const HELP: &str = "\
Beside `serve` it is the server that does it, with the file as it has read it. Exits with 0 when nothing failed, with 11 when the egress policy refused a request, else with the
code of what failed first (8 where the component does not say what that is).

Examples:
  host-runner check -c acme.toml
  host-runner check -c acme.toml --public-url https://hooks.example.com
  host-runner check -c acme.toml --json | jq '.items[] | select(.outcome == \"failed\")'";

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Also try the webhook's URL under this outside name, as the source would, from this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

pub(super) async fn run(check: &Check, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let name = connection.name.clone();
    let public = check.public_url.as_deref().map(PublicUrl::parse).transpose()?;
    let mut items: Vec<CheckItem> = match context.ask(&name, Request::Check).await? {
        Some(items) => items,
        None => {
            let tenant = context.tenant().await?;
            let mut open = tenant.open(&context.paths)?;
            let (webhooks, subscription) = webhooks(&tenant.connection, &context.paths)?;
            let mut items = open.sandbox.check(subscription).await?;
            items.extend(webhooks.items());
            items
        }
    };
    if let Some(public) = &public {
        let secret = HookStore::open(&context.paths.data, &name, key(&context.paths)?)?.reveal()?;
        context.paths.redactor.learn(secret.reveal());
        let url = webhook_url::url(public, &name, &secret);
        items.push(check::public_url(&egress::probe(&url, connection.ca_file.as_deref()).await?));
    }
    let exit = exit(&items);
    if context.printer.json {
        context.printer.value(&json!({
            "connection": name,
            "exit": exit as u8,
            "items": items,
        }));
    } else {
        context.printer.text(&pretty(&items));
    }
    Ok(exit)
}

/// What is known of its webhooks, and the subscription; the caller holds the connection's lock.
fn webhooks(connection: &Connection, paths: &Paths) -> Result<(Webhooks, Option<String>)> {
    let subscription = Subscriptions::open(&paths.data, &connection.name, key(paths)?)?.load()?;
    let subscription = subscription.map(|kept| kept.subscription);
    let mut webhooks = Webhooks { is_subscribed: subscription.is_some(), ..Webhooks::default() };
    if let Some(sink) = sinks::open_existing(&connection.sink)? {
        webhooks.applied_at = sink.journal_state()?.map(|journal| journal.updated_at);
    }
    // Opening a journal makes it; looking must not.
    let path = journal_path(paths);
    if path.exists() {
        let (journal, _found) = Journal::open(path, JournalLimits::default())?;
        webhooks.look(&journal, &connection.name)?;
    }
    Ok((webhooks, subscription))
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
