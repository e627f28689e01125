//! `connection`: accepts the hosts of a component, and removes everything that is kept of a connection.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::connection::is_name;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::serve::control;
use crate::state::ConnectionStore;

pub(super) const HELP: &str = "\
A component that is replaced may reach no more hosts than before, until a person accepts them.

Examples:
  host-runner connection accept-hosts -c acme.toml
  host-runner connection forget -c acme.toml
  host-runner connection forget acme                 a connection whose file is gone";

#[derive(Debug, Subcommand)]
pub(super) enum ConnectionCommand {
    /// Accept the hosts that the component declares now; a waiting server continues
    #[command(after_help = HELP)]
    AcceptHosts,
    /// Delete session, subscription, webhook URL, accepted hosts, queue, dead letters; rows, attachments stay
    #[command(after_help = HELP)]
    Forget {
        /// Its name; without it, the connection of -c
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Also while the webhook is registered at the source
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(command: &ConnectionCommand, context: &Context) -> Result<Exit> {
    match command {
        ConnectionCommand::AcceptHosts => accept_hosts(context).await?,
        ConnectionCommand::Forget { name, force } => {
            let name = match name {
                Some(name) => name.clone(),
                None => context.connection()?.name,
            };
            forget(context, &name, *force).await?;
        }
    }
    Ok(Exit::Success)
}

async fn accept_hosts(context: &Context) -> Result<()> {
    let loaded = context.loaded().await?;
    let name = &loaded.connection.name;
    let store = ConnectionStore::open(&context.paths, name)?;
    let (before, hosts) = (store.accepted_hosts()?.unwrap_or_default(), loaded.describe.possible_hosts());
    store.accept_hosts(&hosts)?;
    let new: Vec<&String> = hosts.difference(&before).collect();
    if context.printer.json {
        context.printer.value(&json!({ "connection": name, "accepted": new, "hosts": hosts }));
    } else if new.is_empty() {
        context.printer.text(&format!("{name}: no new hosts"));
    } else {
        let new: Vec<&str> = new.into_iter().map(String::as_str).collect();
        context.printer.text(&format!("{name}: accepted: {}", new.join(", ")));
    }
    Ok(())
}

async fn forget(context: &Context, name: &str, force: bool) -> Result<()> {
    let folder = context.paths.connection(name);
    if !is_name(name) || !folder.join("state.db").is_file() {
        let data = context.paths.data.display();
        return Err(Error::usage(format!("connection `{name}`: nothing is kept of it in {data}"))
            .hint("give the name in its file, and the data folder with --data DIR"));
    }
    let store = ConnectionStore::open(&context.paths, name)?;
    let lock = match store.lock() {
        Ok(lock) => lock,
        Err(error) if control::is_served(&context.paths.data, name).await => {
            return Err(error.hint("a server has it: remove its file from the server first"));
        }
        Err(error) => return Err(error),
    };
    if lock.has_subscription()? && !force {
        let message = format!("connection `{name}`: its webhook is registered at the source");
        return Err(Error::usage(message)
            .hint("remove it with `webhook unsubscribe`, or leave it there and add --force"));
    }
    let deliveries = context.journal()?.map_or(Ok(0), |journal| journal.clear_connection(name))?;
    std::fs::remove_dir_all(&folder)
        .map_err(|error| Error::state(format!("folder {}: {error}", folder.display())))?;
    if context.printer.json {
        context.printer.value(&json!({ "connection": name, "forgotten": true, "deliveries": deliveries }));
    } else {
        context
            .printer
            .text(&format!("{name}: forgotten, with {deliveries} deliveries; its rows and attachments stay"));
    }
    Ok(())
}
