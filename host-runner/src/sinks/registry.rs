//! The kinds of sinks and the settings they take.
//!
//! A new kind is one line in [`KINDS`] next to its folder. Knows neither the connection file's syntax nor
//! rows.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Capabilities, Sink, SinkProgress, jsonl, sqlite};
use crate::error::{Error, Kind, Origin, Result};

/// Every kind; the first is the default.
pub const KINDS: [&SinkKind; 2] = [&sqlite::KIND, &jsonl::KIND];

/// Their names, in the same order.
pub const KIND_NAMES: [&str; KINDS.len()] = {
    let mut names = [""; KINDS.len()];
    let mut index = 0;
    while index < KINDS.len() {
        names[index] = KINDS[index].name;
        index += 1;
    }
    names
};

/// A kind of sink: everything that others need to know before one is open.
pub struct SinkKind {
    /// `kind` under `[sink]`.
    pub name: &'static str,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// The location from the value of `path` under `[sink]`, or the default.
    pub(super) locate: fn(value: Option<&str>, folder: &Path, connection: &str) -> Result<Location>,
    /// Whether there is something at the location that opening would not have to create.
    pub(super) exists: fn(&Location) -> Result<bool>,
    /// Opens or creates it.
    pub(super) open: fn(&SinkSettings) -> Result<Box<dyn Sink>>,
    /// Reads the progress of an existing one without changing anything, also while it is open elsewhere.
    pub(super) inspect: fn(&SinkSettings) -> Result<Option<SinkProgress>>,
    /// Reads a table back by the kind's documented rules.
    #[cfg(test)]
    pub(super) stored_rows: fn(&Location, table: &str) -> super::conformance::StoredRows,
}

impl SinkKind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }

    /// The location that a connection's file names with `value`, or the default. `folder` is the file's.
    pub fn locate(&self, value: Option<&str>, folder: &Path, connection: &str) -> Result<Location> {
        (self.locate)(value, folder, connection)
    }

    /// Why it cannot delete like this; none if it can.
    pub fn refuses(&self, deletes: Deletes) -> Option<String> {
        let can = deletes == Deletes::Soft || self.capabilities.hard_deletes;
        (!can).then(|| {
            format!("sink `{}` cannot delete rows, it can only record that they were deleted", self.name)
        })
    }
}

impl fmt::Debug for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SinkKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SinkKind {}

/// How rows that are deleted at the source are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deletes {
    /// The row stays and is marked.
    Soft,
    /// The row is deleted; a tombstone with its key and time stays.
    Hard,
}

/// The load that a sink is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A run that reads whole tables and ends: memory and the first reading matter.
    Bulk,
    /// One of many connections of a server, whose rows are read meanwhile.
    Live,
}

/// Where a sink keeps its rows.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file or folder.
    Path(PathBuf),
    /// A URL, which may hold a password.
    Url(String),
}

impl Location {
    /// A path relative to a folder.
    pub(super) fn path(folder: &Path, path: impl AsRef<Path>) -> Self {
        Self::Path(folder.join(path))
    }

    /// The path, for kinds that are files.
    pub(super) fn as_path(&self) -> Result<&Path> {
        match self {
            Self::Path(path) => Ok(path),
            Self::Url(_) => Err(Error::configuration(format!("{self}: is not a path"))),
        }
    }

    /// The password, for the redactor.
    pub fn secret(&self) -> Option<&str> {
        let Self::Url(url) = self else { return None };
        let (_, password) = user_information(url)?.split_once(':')?;
        Some(password)
    }
}

/// The part of a URL between `//` and the last `@`: a password that is not encoded may hold any character.
fn user_information(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.rsplit_once('@')?.0)
}

/// Without user information and query.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => {
                let shown = match user_information(url) {
                    Some(user) => url.replacen(&format!("{user}@"), "", 1),
                    None => url.clone(),
                };
                f.write_str(shown.split(['?', '#']).next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The settings under `[sink]`, and whose rows they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// Which kind.
    pub kind: &'static SinkKind,
    /// Where it is.
    pub location: Location,
    /// How deletes are stored.
    pub deletes: Deletes,
    /// The load that it is opened for.
    pub load: Load,
    /// The connection that owns the rows. Two connections in one sink would overwrite each other's cursors
    /// and delete each other's rows.
    pub owner: String,
}

/// Opens or creates a sink. One without an owner becomes this connection's.
pub fn open(settings: &SinkSettings) -> Result<Box<dyn Sink>> {
    (settings.kind.open)(settings)
}

/// Opens a sink without creating one; none if there is none.
pub fn open_existing(settings: &SinkSettings) -> Result<Option<Box<dyn Sink>>> {
    if (settings.kind.exists)(&settings.location)? { open(settings).map(Some) } else { Ok(None) }
}

/// Reads the progress of a sink, which may be open elsewhere; none if there is no sink. Changes nothing.
pub fn inspect(settings: &SinkSettings) -> Result<Option<SinkProgress>> {
    if (settings.kind.exists)(&settings.location)? { (settings.kind.inspect)(settings) } else { Ok(None) }
}

/// The refusal of a sink that is open elsewhere.
pub(super) fn written_by_another(settings: &SinkSettings) -> Error {
    let message = format!("{}: another process is writing to it", settings.location);
    Error::new(Origin::Sink, Kind::Unavailable, message)
        .hint("one process at a time writes to a sink: wait for the other one, or stop it")
}

/// The refusal of a sink that another connection owns; `release` says how its owner is deleted.
pub(super) fn owned_by_another(settings: &SinkSettings, other: &str, release: &str) -> Error {
    let SinkSettings { location, owner, .. } = settings;
    let message = format!("{location}: holds the rows of connection `{other}`, not of `{owner}`");
    Error::new(Origin::Configuration, Kind::Config, message).hint(format!(
        "give each connection its own sink: path under [sink]; if `{other}` was renamed to `{owner}`: \
         {release}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Location};

    #[test]
    fn a_url_prints_without_what_may_be_secret() {
        let url = Location::Url("postgres://me:pa/ss@wo?rd#@db.example:5432/desk?sslpassword=x".into());
        assert_eq!(url.to_string(), "postgres://db.example:5432/desk");
        assert_eq!(format!("{url:?}"), "postgres://db.example:5432/desk");
        assert_eq!(url.secret(), Some("pa/ss@wo?rd#"));
        let plain = Location::Url("postgres://db.example/desk".into());
        assert_eq!((plain.to_string().as_str(), plain.secret()), ("postgres://db.example/desk", None));
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
        }
    }
}
