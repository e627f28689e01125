//! The owner of a prefix of an object store: an object there, of which the owner's folder has the only copy.
//!
//! Objects have the names of their content, so that two connections below one prefix would share those that
//! are equal, and remove each other's.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Kind, Origin, Result};
use crate::sinks::file_failure::failed;
use crate::sinks::identity;
use crate::sinks::objects::Objects;

/// The name of the object and of its copy.
pub(super) const FILE: &str = "_owner.json";
/// The version of its form.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Owner {
    version: u32,
    connection: String,
    /// Random: two installations may have a connection of one name.
    id: String,
}

/// Takes a prefix for this folder; fails if it is another one's.
pub(super) fn admit(objects: &Objects, folder: &Path, connection: &str) -> Result<()> {
    let own = own(folder, connection)?;
    let (found, seen) = objects.get(FILE)?;
    match found {
        Some(found) if found == own => Ok(()),
        Some(found) => Err(taken(objects.name(), folder, &found)),
        None => objects.replace(FILE, own, &seen).map(drop),
    }
}

/// The folder's copy, which is written once.
fn own(folder: &Path, connection: &str) -> Result<Vec<u8>> {
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        Ok(own) => return Ok(own),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&path, &error)),
    }
    let owner = Owner { version: VERSION, connection: connection.to_owned(), id: identity()? };
    let own = serde_json::to_vec(&owner).unwrap_or_default();
    durable::replace(&path, "owner.tmp", &own).map_err(|error| failed(&path, &error))?;
    Ok(own)
}

fn taken(prefix: &str, folder: &Path, found: &[u8]) -> Error {
    let whose = match serde_json::from_slice::<Owner>(found) {
        Ok(owner) => format!("those of another folder of connection `{}`", owner.connection),
        Err(_) => "no attachments of this version".to_owned(),
    };
    let message = format!("attachments {prefix}: {FILE} says that they are {whose}");
    let copy = folder.join(FILE);
    Error::new(Origin::Configuration, Kind::Config, message).hint(format!(
        "give each connection a prefix of its own: `attachments` under [sink]; if the folder of this one was \
         lost, copy that object to {}",
        copy.display()
    ))
}
