//! `webhook`: shows and rotates the URL that a source calls, registers it at the source, and removes the
//! registration.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::clock::millis;
use crate::connection::Connection;
use crate::describe::Setup;
use crate::error::Result;
use crate::exit::Exit;
use crate::loaded::LoadedConnection;
use crate::request::{Registration, Request};
use crate::state::ConnectionStore;
use crate::units::{format_duration, parse_duration};
use crate::webhook_url::{self, PublicUrl};

pub(super) const HELP: &str = "\
The URL holds a secret: everyone who knows it can deliver. No other command prints it.

Examples:
  host-runner webhook url -c acme.toml --public-url https://hooks.example.com
  host-runner webhook url -c acme.toml --public-url https://hooks.example.com --rotate --grace 7d
  host-runner webhook subscribe -c acme.toml --public-url https://hooks.example.com
  host-runner webhook unsubscribe -c acme.toml";

/// How long the previous URL works after `--rotate`.
const DEFAULT_GRACE: &str = "3d";

/// Replaces the public URL when it is not given.
const UNKNOWN_HOST: &str = "https://YOUR-HOST";

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Show the URL and how to register it by hand
    #[command(after_help = HELP)]
    Url {
        /// The URL under which the source reaches `serve`
        #[arg(long, value_name = "URL")]
        public_url: Option<String>,
        /// Generate another secret; the previous one stays valid for the grace period
        #[arg(long)]
        rotate: bool,
        /// The grace period, for example 30m, 72h or 7d
        #[arg(long, value_name = "DURATION", requires = "rotate", value_parser = parse_duration,
              default_value = DEFAULT_GRACE)]
        grace: Duration,
    },
    /// Register the URL at the source; again, it changes only differences. `serve` must be running,
    /// because sources try the URL before they accept it
    #[command(after_help = HELP)]
    Subscribe {
        /// The URL under which the source reaches `serve`
        #[arg(long, value_name = "URL")]
        public_url: String,
    },
    /// Remove the registration
    #[command(after_help = HELP)]
    Unsubscribe,
}

pub(super) async fn run(webhook: &Webhook, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    match webhook {
        Webhook::Url { public_url, rotate, grace } => {
            let public = PublicUrl::parse(public_url.as_deref().unwrap_or(UNKNOWN_HOST))?;
            url(context, &connection, &public, rotate.then_some(*grace)).await?;
        }
        Webhook::Subscribe { public_url } => {
            let public = PublicUrl::parse(public_url)?;
            warn(context, &public);
            let request = Request::Subscribe { public_url: public.to_string() };
            let () = context.request(&connection, request).await?;
            done(context, &connection, "subscribed");
        }
        Webhook::Unsubscribe => {
            let () = context.request(&connection, Request::Unsubscribe).await?;
            done(context, &connection, "unsubscribed");
        }
    }
    Ok(Exit::Success)
}

async fn url(
    context: &Context,
    connection: &Connection,
    public: &PublicUrl,
    grace: Option<Duration>,
) -> Result<()> {
    let name = &connection.name;
    if let Some(grace) = grace {
        let grace_ms = millis(grace);
        match context.request(connection, Request::RotateUrl { grace_ms }).await? {
            Registration::None => {}
            Registration::Renewing => context.printer.note("the server registers the new URL at the source"),
            Registration::Outdated => {
                context.printer.note("the source uses the previous URL until you run: webhook subscribe");
            }
        }
    }
    let url =
        webhook_url::url(public, name, &ConnectionStore::open(&context.paths, name)?.webhook_url().reveal()?);
    warn(context, public);
    // The URL is useful without the connector's steps.
    let setup = setup(context, connection, &url).await.unwrap_or_else(|error| {
        let warning = format!("warning: the connector's own steps cannot be shown: {}", error.message);
        context.printer.note(&warning);
        Vec::new()
    });
    if context.printer.json {
        let rotated = grace.is_some();
        let shown = json!({ "connection": name, "url": url, "rotated": rotated, "setup": setup });
        context.printer.value(&shown);
        return Ok(());
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
        notes.push_str(
            "\nBy hand: enter it where the source asks for the URL of a webhook, with method POST and a JSON \
             body.\n",
        );
    }
    if let Some(grace) = grace {
        notes.push_str(&format!("\nThe previous URL stays valid for {}.\n", format_duration(grace)));
    }
    context.printer.note(notes.trim_end_matches('\n'));
    Ok(())
}

/// The connector's steps to set up a webhook by hand, with this URL.
async fn setup(context: &Context, connection: &Connection, url: &str) -> Result<Vec<Setup>> {
    let LoadedConnection { describe, .. } =
        LoadedConnection::load(connection.clone(), &context.paths).await?;
    Ok(describe.webhook.setup.iter().map(|way| way.with_url(url)).collect())
}

fn warn(context: &Context, public: &PublicUrl) {
    if let Some(warning) = public.warning() {
        context.printer.note(&format!("warning: {warning}"));
    }
}

fn done(context: &Context, connection: &Connection, what: &str) {
    if context.printer.json {
        context.printer.value(&json!({ "connection": connection.name, what: true }));
    } else {
        context.printer.text(&format!("{}: {what}", connection.name));
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_GRACE, parse_duration};
    use crate::webhook_url::GRACE;

    #[test]
    fn the_default_of_grace_is_the_documented_grace_period() {
        assert_eq!(parse_duration(DEFAULT_GRACE), Ok(GRACE));
    }
}
