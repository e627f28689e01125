//! The kinds of sinks and the settings they take.
//!
//! `sinks.rs` lists them ([`KINDS`]). Knows neither the connection file's syntax nor rows.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Capabilities, KINDS, Sink, SinkProgress};
use crate::error::{Error, Kind, Origin, Result};
use crate::files::shared_with_writers;

/// The names of the kinds, in their order.
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
    /// `format` under `[sink]`; empty: it has one form only.
    pub format: &'static str,
    /// The same kind with its data in other forms.
    pub other_forms: &'static [&'static SinkKind],
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// The keys under `[sink]` that it reads and not every kind does; others are refused. The first is the
    /// one that gives each connection another place.
    pub(crate) own_keys: &'static [&'static str],
    /// The location that the keys name, or the default.
    pub(super) locate: fn(place: &Place<'_>, folder: &Path, connection: &str) -> Result<Location>,
    /// Whether there is something at the location that opening would not have to create.
    pub(super) exists: fn(&Location) -> Result<bool>,
    /// Opens or creates it.
    pub(super) open: fn(&SinkSettings) -> Result<Box<dyn Sink>>,
    /// Reads the progress of an existing one without changing anything, also while it is open elsewhere.
    pub(super) inspect: fn(&SinkSettings) -> Result<Option<SinkProgress>>,
    /// Reads a table back by the kind's documented rules.
    #[cfg(test)]
    pub(super) stored_rows: fn(&Location, table: &str) -> super::conformance::StoredRows,
    /// A new place for a test; none where the kind cannot be tested.
    #[cfg(test)]
    pub(super) test_place: fn(folder: &Path) -> Option<super::conformance::TestPlace>,
}

/// Where a connection's file says that a sink is: the keys under `[sink]`, as they are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// `path`: a file or folder.
    pub path: Option<&'a str>,
    /// `url`, or the content of the file that `url_file` names.
    pub url: Option<&'a str>,
    /// `schema`: where in a database.
    pub schema: Option<&'a str>,
}

impl SinkKind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// The same kind with its data in another form; none if it does not have this form.
    pub fn in_format(&'static self, format: &str) -> Option<&'static Self> {
        self.forms().find(|kind| kind.format == format)
    }

    /// The kind in each of its forms.
    pub fn forms(&'static self) -> impl Iterator<Item = &'static Self> {
        std::iter::once(self).chain(self.other_forms.iter().copied())
    }

    /// The location that a connection's file names, or the default. `folder` is the file's.
    pub fn locate(&self, place: &Place<'_>, folder: &Path, connection: &str) -> Result<Location> {
        (self.locate)(place, folder, connection)
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
        (self.name, self.format) == (other.name, other.format)
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
    /// A schema of a database, whose URL may hold a password.
    Schema {
        /// The database.
        url: String,
        /// The schema's name.
        schema: String,
    },
    /// A prefix in an object store, whose URL may hold a key, with a folder for rows that are not there yet.
    Objects {
        /// The bucket, the prefix, and the keys to them.
        url: String,
        /// The folder.
        path: PathBuf,
    },
}

impl Location {
    /// A path relative to a folder.
    pub(super) fn path(folder: &Path, path: impl AsRef<Path>) -> Self {
        Self::Path(folder.join(path))
    }

    /// The path, for kinds that are files, or have some.
    pub(super) fn as_path(&self) -> Result<&Path> {
        match self {
            Self::Path(path) | Self::Objects { path, .. } => Ok(path),
            Self::Schema { .. } => Err(Error::configuration(format!("{self}: is not a path"))),
        }
    }

    /// The URL and the schema, for kinds that are databases.
    pub(super) fn as_schema(&self) -> Result<(&str, &str)> {
        match self {
            Self::Schema { url, schema } => Ok((url, schema)),
            _ => Err(Error::configuration(format!("{self}: is not a database"))),
        }
    }

    /// The URL of a database or an object store.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Path(_) => None,
            Self::Schema { url, .. } | Self::Objects { url, .. } => Some(url),
        }
    }

    /// The URL without user information and query, which may be secret; an object store's with the server.
    pub fn shown_url(&self) -> String {
        let url = self.url().unwrap_or_default();
        let shown = match user_information(url) {
            Some(user) => url.replacen(&format!("{user}@"), "", 1),
            None => url.to_owned(),
        };
        let place = shown.split(['?', '#']).next().unwrap_or_default();
        let server = query(url).find(|parameter| parameter.starts_with("endpoint="));
        match (self, server) {
            (Self::Objects { .. }, Some(server)) => format!("{place}?{server}"),
            _ => place.to_owned(),
        }
    }

    /// The file with the authority that vouches for the server, if the URL names one, and the parameter.
    pub fn authority_file(&self) -> Option<(&'static str, PathBuf)> {
        let name = match self {
            Self::Path(_) => return None,
            Self::Schema { .. } => "sslrootcert",
            Self::Objects { .. } => "ca_file",
        };
        parameter(self.url()?, name).map(|file| (name, file.into()))
    }

    /// The password as the URL has it, and decoded if that is different, for the redactor.
    pub fn secrets(&self) -> Vec<String> {
        let Some(url) = self.url() else { return Vec::new() };
        let password =
            user_information(url).and_then(|user| user.split_once(':')).map(|(_, password)| password);
        let in_query = query(url).filter_map(|parameter| parameter.strip_prefix("password="));
        let mut secrets: Vec<String> = password.into_iter().chain(in_query).map(str::to_owned).collect();
        let decoded: Vec<String> = secrets.iter().filter_map(|secret| decoded(secret)).collect();
        secrets.extend(decoded);
        if matches!(self, Self::Objects { .. }) {
            let environment = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
            secrets.extend(environment.iter().filter_map(|name| std::env::var(name).ok()));
        }
        secrets
    }
}

/// The part of a URL between `//` and the last `@`: a password that is not encoded may hold any character.
pub(super) fn user_information(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.rsplit_once('@')?.0)
}

/// The parameters of a URL.
pub(super) fn query(url: &str) -> impl Iterator<Item = &str> {
    let after_user = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    after_user.split_once('?').map(|(_, query)| query).into_iter().flat_map(|query| query.split('&'))
}

/// The value of a parameter, decoded.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let value = query(url).find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='))?;
    Some(decoded(value).unwrap_or_else(|| value.to_owned()))
}

/// The URL with the file that a parameter names relative to the connection file's folder.
pub(super) fn with_file_of(url: &str, name: &str, folder: &Path) -> String {
    let file = parameter(url, name).filter(|file| !file.is_empty() && Path::new(file).is_relative());
    let Some(file) = file else { return url.to_owned() };
    let absolute = format!("{name}={}", encoded(&folder.join(file).to_string_lossy()));
    let (base, mut parameters): (_, Vec<&str>) = (without_query(url), query(url).collect());
    for parameter in &mut parameters {
        if parameter.split('=').next() == Some(name) {
            *parameter = &absolute;
        }
    }
    format!("{base}?{}", parameters.join("&"))
}

/// The URL up to its parameters.
pub(super) fn without_query(url: &str) -> &str {
    let parameters: Vec<&str> = query(url).collect();
    let base = url.strip_suffix(&parameters.join("&")).unwrap_or(url);
    base.strip_suffix('?').unwrap_or(base)
}

/// A text with the characters as `%XX` that would end a parameter.
fn encoded(text: &str) -> String {
    let encoded = |letter: char| match letter {
        '%' | '&' | '#' | '@' | '?' => format!("%{:02X}", u32::from(letter)),
        other => other.to_string(),
    };
    text.chars().map(encoded).collect()
}

/// Whether a URL names a parameter twice: its check and its use could take different ones.
pub(super) fn repeats_a_parameter(url: &str) -> bool {
    let mut seen = HashSet::new();
    !query(url).all(|parameter| seen.insert(parameter.split('=').next().unwrap_or_default()))
}

/// A text of a URL with its `%XX` decoded; none if it has none, or does not become a text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|decoded| decoded != text)
}

/// Without user information and query.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Schema { schema, .. } => write!(f, "{} schema {schema}", self.shown_url()),
            Self::Objects { .. } => self.shown_url().fmt(f),
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
    /// Age of its first row at which a file is complete, for kinds whose files do not change afterward.
    pub file_age_ms: u64,
    /// The connection that owns the rows. Two connections in one sink would overwrite each other's cursors
    /// and delete each other's rows.
    pub owner: String,
}

#[cfg(test)]
impl SinkSettings {
    /// Those of a test: one of many connections, named `acme`, whose deletes are marked.
    pub(super) fn of_test(kind: &'static SinkKind, location: Location) -> Self {
        let (deletes, load) = (Deletes::Soft, Load::Live);
        Self { kind, location, deletes, load, file_age_ms: 0, owner: "acme".to_owned() }
    }
}

/// Opens or creates a sink. One without an owner becomes this connection's.
pub fn open(settings: &SinkSettings) -> Result<Box<dyn Sink>> {
    settings.location.as_path().into_iter().for_each(warn_of_other_writers);
    (settings.kind.open)(settings)
}

/// Warns where another user may write: it may be meant so.
pub(super) fn warn_of_other_writers(place: &Path) {
    if let Some(path) = shared_with_writers(place) {
        tracing::warn!(path = %path.display(), "other users may write there, and exchange files of rows");
    }
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
        "give each connection its own sink: {} under [sink]; if `{other}` was renamed to `{owner}`: \
         {release}",
        settings.kind.own_keys.first().unwrap_or(&"path")
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Location, with_file_of};
    use crate::sinks::KINDS;

    #[test]
    fn a_url_prints_without_what_may_be_secret() {
        let of = |url: &str| Location::Schema { url: url.into(), schema: "acme".into() };
        let url = of("postgres://me:pa/ss@wo?rd#@db.example:5432/desk?sslpassword=x&password=y%2Fz");
        assert_eq!(url.to_string(), "postgres://db.example:5432/desk schema acme");
        assert_eq!(format!("{url:?}"), "postgres://db.example:5432/desk schema acme");
        assert_eq!(url.secrets(), ["pa/ss@wo?rd#", "y%2Fz", "y/z"]);
        let plain = of("postgres://db.example/desk");
        assert_eq!(plain.to_string(), "postgres://db.example/desk schema acme");
        assert!(plain.secrets().is_empty());
    }

    #[test]
    fn the_url_of_an_object_store_prints_without_keys_and_with_its_server() {
        let url = "s3://AKIA:a/b+c=@desk/acme?region=x&endpoint=http://127.0.0.1:9000";
        let location = Location::Objects { url: url.into(), path: "acme".into() };
        assert_eq!(format!("{location:?}"), "s3://desk/acme?endpoint=http://127.0.0.1:9000");
        assert_eq!(location.secrets(), ["a/b+c="]);
        assert_eq!(location.as_path().expect("a path"), std::path::Path::new("acme"));
    }

    #[test]
    fn a_file_in_a_url_is_relative_to_the_connection_file_and_every_reader_decodes_it() {
        let url =
            with_file_of("s3://ca_file=x@ca_file=x?ca_file=x&region=y", "ca_file", Path::new("/a&b%41"));
        assert_eq!(url, "s3://ca_file=x@ca_file=x?ca_file=/a%26b%2541/x&region=y");
        let location = Location::Objects { url, path: "acme".into() };
        assert_eq!(location.authority_file(), Some(("ca_file", "/a&b%41/x".into())));
        for url in ["s3://desk", "s3://desk?region=x", "s3://desk?ca_file=/etc/ca.pem", "s3://desk?ca_file="]
        {
            assert_eq!(with_file_of(url, "ca_file", Path::new("/conf")), url);
        }
    }

    #[test]
    fn the_page_of_webhooks_lists_the_sinks_that_count_repaired_rows() {
        let kinds = KINDS.iter().filter(|kind| kind.capabilities.compares_rows);
        let names: Vec<String> = kinds.map(|kind| format!("`{}`", kind.name)).collect();
        crate::generated::compare(
            "WEBHOOKS.md",
            "sinks that compare rows",
            &format!("{}\n", names.join(", ")),
        );
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
        }
    }
}
