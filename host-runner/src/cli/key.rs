//! `key`: replaces the key of the installation.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::files;
use crate::key::Key;
use crate::state::rotation;

pub(super) const HELP: &str = "\
Sessions, subscriptions and webhook URLs stay as they are. The server of the data folder must be stopped. A \
rotation that was interrupted is finished by running it again.

Examples:
  host-runner key rotate                              the key is in the data folder
  host-runner key rotate --key-file old --to new      then give the new one: --key-file new";

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Seal everything in the data folder with another key
    #[command(after_help = HELP)]
    Rotate {
        /// The new key, for a key that is not in the data folder
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

pub(super) fn run(command: &KeyCommand, context: &Context) -> Result<Exit> {
    let KeyCommand::Rotate { to } = command;
    let (paths, data) = (&context.paths, &context.paths.data);
    let in_data = data.join("key.next");
    let new = match (to, paths.is_key_given()) {
        (Some(to), true) => Key::read(to)?,
        (None, false) => {
            // Before the new key, so that one is never taken for the other.
            paths.key()?;
            Key::read_or_generate(&in_data)?
        }
        (Some(_), false) => {
            return Err(Error::usage("--to: the key is in the data folder, where the new one goes too")
                .hint("leave out --to, or give the key with --key-file FILE"));
        }
        (None, true) => {
            return Err(Error::usage("the key is not in the data folder, so the new one must be given")
                .hint("openssl rand -base64 32 > FILE, then add: --to FILE"));
        }
    };
    paths.key()?;
    let _no_server = without_server(context)?;
    let rotated = rotation::rotate(paths, &new)?;
    if to.is_none() {
        let key = data.join("key");
        let failed = |error: std::io::Error| Error::state(format!("key {}: {error}", key.display()));
        std::fs::rename(&in_data, &key).map_err(failed)?;
        sync_folder(data).map_err(failed)?;
    }
    let names: Vec<&str> = rotated.iter().map(|one| one.name.as_str()).collect();
    if context.printer.json {
        context.printer.value(&json!({ "rotated": names }));
    } else {
        context.printer.text(&format!("connections with the new key: {}", names.len()));
    }
    for one in rotated.iter().filter(|one| !one.unusable.is_empty()) {
        let (name, what) = (&one.name, one.unusable.join(", "));
        context.printer.note(&format!("warning: {name}: not sealed with the old key, left as it is: {what}"));
    }
    if let Some(to) = to {
        context.printer.note(&format!("from now on the key is that in {}", to.display()));
    }
    Ok(Exit::Success)
}

/// The lock of the journal, which a server of this data folder holds; none if there was never one.
fn without_server(context: &Context) -> Result<Option<File>> {
    let path = context.paths.journal().with_extension("lock");
    let Some(lock) = files::open_existing(&path, OpenOptions::new().append(true))? else { return Ok(None) };
    match files::try_lock(&lock) {
        Ok(()) => Ok(Some(lock)),
        Err(_) => {
            let message = format!("{}: a server has this data folder", path.display());
            Err(Error::new(Origin::State, Kind::Unavailable, message).hint("stop it first"))
        }
    }
}
