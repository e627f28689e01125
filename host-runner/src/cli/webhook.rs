//! `webhook`: the URL that a source calls, and its registration there.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::actor::{no_webhooks, subscribable};
use crate::connection::Connection;
use crate::describe::Setup;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::request::Request;
use crate::sandbox::describe;
use crate::state::hook::HookStore;
use crate::state::subscription::{Kept, Subscriptions};
use crate::tenant::{Tenant, component_path, key, load_component};
use crate::webhook_url::{self, GRACE, PublicUrl};

pub(super) const HELP: &str = "\
The URL holds a secret: whoever knows it can deliver. It is shown here and nowhere else.

Examples:
  host-runner webhook url -c acme.toml --public-url https://hooks.example.com
  host-runner webhook url -c acme.toml --public-url https://hooks.example.com --rotate
  host-runner webhook subscribe -c acme.toml --public-url https://hooks.example.com
  host-runner webhook unsubscribe -c acme.toml";

/// What stands for the outside name when it is not given.
const UNKNOWN_HOST: &str = "https://YOUR-HOST";

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Show the URL and how to register it by hand
    #[command(after_help = HELP)]
    Url {
        /// The URL under which the source reaches `serve`
        #[arg(long, value_name = "URL")]
        public_url: Option<String>,
        /// Make another secret; the one until now works for a while longer
        #[arg(long)]
        rotate: bool,
        /// How long the one until now still works, in hours
        #[arg(long, value_name = "HOURS", requires = "rotate", default_value_t = GRACE.as_secs() / 3600)]
        grace_h: u64,
    },
    /// Register the URL at the source; run again, it changes only what differs. `serve` must be running,
    /// because sources try the URL before they accept it
    #[command(after_help = HELP)]
    Subscribe {
        /// The URL under which the source reaches `serve`
        #[arg(long, value_name = "URL")]
        public_url: String,
    },
    /// Undo the registration
    #[command(after_help = HELP)]
    Unsubscribe,
}

pub(super) async fn run(webhook: &Webhook, context: &Context) -> Result<Exit> {
    match webhook {
        Webhook::Url { public_url, rotate, grace_h } => {
            let grace = rotate.then(|| Duration::from_secs(grace_h.saturating_mul(3600)));
            url(context, public_url.as_deref(), grace).await
        }
        Webhook::Subscribe { public_url } => subscribe(context, public_url).await,
        Webhook::Unsubscribe => unsubscribe(context).await,
    }
}

async fn url(context: &Context, public_url: Option<&str>, grace: Option<Duration>) -> Result<Exit> {
    let connection = context.connection()?;
    let name = &connection.name;
    let public = PublicUrl::parse(public_url.unwrap_or(UNKNOWN_HOST))?;
    let store = HookStore::open(&context.paths.data, name, key(&context.paths)?)?;
    if let Some(grace) = grace {
        store.rotate(grace)?;
        // A server that has the connection takes the new one at once, and the old one for a while.
        let subscriptions = Subscriptions::open(&context.paths.data, name, key(&context.paths)?)?;
        match context.ask::<bool>(name, Request::HooksChanged).await {
            Ok(Some(true)) => context.printer.note("the server tells the source of the new URL"),
            Ok(_) if subscriptions.load()?.is_some() => {
                context.printer.note("the source calls the old one until you run: webhook subscribe");
            }
            Ok(_) => {}
            Err(error) => context.printer.note(&format!("warning: {}; restart `serve`", error.message)),
        }
    }
    let url = webhook_url::url(&public, name, &store.reveal()?);
    if let Some(warning) = public.warning() {
        context.printer.note(&format!("warning: {warning}"));
    }
    // The URL is worth showing without them.
    let setup = setup(context, &connection, &url).await.unwrap_or_else(|error| {
        context
            .printer
            .note(&format!("warning: the connector's own steps cannot be shown: {}", error.message));
        Vec::new()
    });
    if context.printer.json {
        let rotated = grace.is_some();
        let shown = json!({ "connection": name, "url": url, "rotated": rotated, "setup": setup });
        context.printer.value(&shown);
        return Ok(Exit::Success);
    }
    context.printer.text(&url);
    let mut notes = format!(
        "\nThrough the source's API: host-runner webhook subscribe -c {} --public-url {public}\n",
        connection.path.display()
    );
    for way in &setup {
        notes.push_str(&format!("\n{}\n", way.title));
        for (index, step) in way.steps.iter().enumerate() {
            notes.push_str(&format!("  {}. {step}\n", index + 1));
        }
    }
    if setup.is_empty() {
        let by_hand = "\nBy hand: enter it where the source asks for the URL of a webhook, with method POST and a JSON body.\n";
        notes.push_str(by_hand);
    }
    if let Some(grace) = grace {
        notes.push_str(&format!("\nThe URL until now works for another {} h.\n", grace.as_secs() / 3600));
    }
    context.printer.note(notes.trim_end_matches('\n'));
    Ok(Exit::Success)
}

/// The connector's own ways to set a webhook up by hand, for this URL.
async fn setup(context: &Context, connection: &Connection, url: &str) -> Result<Vec<Setup>> {
    let path = component_path(&context.paths, connection.component.as_deref())?;
    let component = load_component(&path, &connection.limits, &context.paths)?;
    let describe = describe(&component, &connection.limits).await?;
    Ok(describe.webhook.setup.iter().map(|way| way.with_url(url)).collect())
}

async fn subscribe(context: &Context, public_url: &str) -> Result<Exit> {
    let connection = context.connection()?;
    let name = connection.name.clone();
    let data = &context.paths.data;
    let public = PublicUrl::parse(public_url)?;
    if let Some(warning) = public.warning() {
        context.printer.note(&format!("warning: {warning}"));
    }
    let asked: Option<()> = context.ask(&name, Request::Subscribe { public_url: public.to_string() }).await?;
    match asked {
        Some(()) => {}
        None => {
            let tenant = context.tenant().await?;
            let mut open = open(&tenant, context)?;
            let tables = open.sandbox.discover().await?;
            let tables = subscribable(&tenant.describe, &tables);
            if tables.is_empty() {
                return Err(no_webhooks());
            }
            let secret = HookStore::open(data, &name, key(&context.paths)?)?.reveal()?;
            context.paths.redactor.learn(secret.reveal());
            let url = webhook_url::url(&public, &name, &secret);
            let subscriptions = Subscriptions::open(data, &name, key(&context.paths)?)?;
            let current = subscriptions.load()?.map(|kept| kept.subscription);
            let subscription = open.sandbox.subscribe(url, tables, current).await.map_err(|error| {
                let hint = "sources try the URL before they accept it: start `serve` first";
                if error.hint.is_none() { error.hint(hint) } else { error }
            })?;
            subscriptions.keep(Some(&Kept { subscription, public_url: public.to_string() }))?;
        }
    }
    done(context, &name, "subscribed");
    Ok(Exit::Success)
}

async fn unsubscribe(context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let name = connection.name.clone();
    let subscriptions = Subscriptions::open(&context.paths.data, &name, key(&context.paths)?)?;
    let Some(kept) = subscriptions.load()? else {
        let message = format!("connection `{name}`: no subscription is known");
        return Err(Error::new(Origin::Host, Kind::NotFound, message)
            .hint("one that was registered by hand is removed by hand, at the source"));
    };
    match context.ask(&name, Request::Unsubscribe).await? {
        Some(()) => {}
        None => {
            let tenant = context.tenant().await?;
            open(&tenant, context)?.sandbox.unsubscribe(kept.subscription).await?;
            subscriptions.keep(None)?;
        }
    }
    done(context, &name, "unsubscribed");
    Ok(Exit::Success)
}

fn open(tenant: &Tenant, context: &Context) -> Result<crate::tenant::Open> {
    tenant.open(&context.paths).map_err(|error| {
        if error.origin != Origin::State {
            return error;
        }
        error.hint("wait until it ends; if it is a `serve` of an earlier version, start it with --subscribe")
    })
}

fn done(context: &Context, name: &str, what: &str) {
    if context.printer.json {
        context.printer.value(&json!({ "connection": name, what: true }));
    } else {
        context.printer.text(&format!("{name}: {what}"));
    }
}
