//! The manifest of a table's day: its files, in the order in which they were listed.
//!
//! Pure. A file that is listed is whole and does not change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::Converted;
use crate::digest::sha256_hex;
use crate::error::{Error, Kind, Origin, Result};

/// The manifest's name, in the folder of its files.
pub(super) const MANIFEST: &str = "_manifest.json";
/// The file in the root that says whose files these are.
pub(super) const OWNER: &str = "_owner.json";
/// The version of both.
const VERSION: u32 = 1;

/// Whose files there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    version: u32,
    /// The connection.
    pub(super) connection: String,
    /// The identity of the log that the files are made from. The numbers of another one mean other rows.
    pub(super) log: String,
    /// The newest published segment of each table.
    #[serde(default)]
    newest: BTreeMap<String, u64>,
}

/// The files of a table's day.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    connection: String,
    table: String,
    date: String,
    files: Vec<Listed>,
}

/// A listed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    /// The segment of the log that it was made from.
    pub(super) segment: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// The smallest and the largest `_as_of_ms`; none if no row has one.
    pub(super) as_of_ms: Option<Range>,
    /// The type of each column.
    pub(super) columns: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) min: i64,
    pub(super) max: i64,
}

/// What to do with a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Put it, and list it.
    New,
    /// It is listed already: a crash came before its segment was deleted.
    Listed,
}

impl Owner {
    pub(super) fn new(connection: &str, log: &str) -> Self {
        Self {
            version: VERSION,
            connection: connection.to_owned(),
            log: log.to_owned(),
            newest: BTreeMap::new(),
        }
    }

    /// The owner of files as it was found. Fails if they belong to another log than this one's; `root` is
    /// where they are.
    pub(super) fn admit(&self, found: &[u8], root: &str) -> Result<Self> {
        let found: Self = parse(found, &format!("{root}/{OWNER}"))?;
        if (&found.connection, &found.log) == (&self.connection, &self.log) {
            return Ok(found);
        }
        let message = format!("{root}: holds the files of another log of connection `{}`", found.connection);
        Err(Error::new(Origin::Configuration, Kind::Config, message).hint(format!(
            "give each connection a folder or prefix of its own; after the loss of the log (`path` under \
             [sink]) take a new one, or delete all files there, {OWNER} last"
        )))
    }
}

impl Owner {
    /// The newest published segment of a table.
    pub(super) fn newest(&self, table: &str) -> Option<u64> {
        self.newest.get(table).copied()
    }

    /// The same after a segment was published.
    pub(super) fn with(&self, table: &str, segment: u64) -> Self {
        let mut owner = self.clone();
        owner.newest.insert(table.to_owned(), segment);
        owner
    }
}

impl Manifest {
    /// The manifest as it was read, or one without files.
    pub(super) fn of(found: Option<&[u8]>, connection: &str, table: &str, date: &str) -> Result<Self> {
        if let Some(found) = found {
            return parse(found, &format!("{table}/date={date}/{MANIFEST}"));
        }
        let (connection, table, date) = (connection.to_owned(), table.to_owned(), date.to_owned());
        Ok(Self { version: VERSION, connection, table, date, files: Vec::new() })
    }

    /// What to do with the file of a segment. Fails if there are files of other or later lines, of this day
    /// or of any other up to the `newest` segment: the log is an older copy of the one that made the files.
    pub(super) fn place(&self, name: &str, segment: u64, newest: Option<u64>) -> Result<Place> {
        if self.files.iter().any(|file| file.name == name) {
            return Ok(Place::Listed);
        }
        if newest.into_iter().chain(self.files.iter().map(|file| file.segment)).any(|known| known >= segment)
        {
            let message = format!("table `{}`: its log is older than its files", self.table);
            return Err(Error::new(Origin::Configuration, Kind::Config, message).hint(
                "a log is restored together with its files: restore both, or give another `path` (and \
                 prefix) under [sink] and sync again from the start",
            ));
        }
        Ok(Place::New)
    }

    pub(super) fn list(&mut self, file: Listed) {
        self.files.push(file);
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> &[Listed] {
        &self.files
    }
}

impl Listed {
    pub(super) fn new(
        name: String,
        segment: u64,
        file: &Converted,
        columns: BTreeMap<String, &'static str>,
    ) -> Self {
        Self {
            name,
            segment,
            rows: file.rows,
            bytes: file.bytes.len() as u64,
            sha256: sha256_hex(&file.bytes),
            as_of_ms: file.as_of_ms.map(|(min, max)| Range { min, max }),
            columns: columns.into_iter().map(|(name, kind)| (name, kind.to_owned())).collect(),
        }
    }
}

/// The name of a segment's file. Lines that differ have other names, so that no file replaces another one.
pub(super) fn file_name(segment: u64, lines: u64) -> String {
    format!("{segment:06}-{:08x}.parquet", lines >> 32)
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Maps with texts as keys always become JSON.
    let mut json = serde_json::to_vec_pretty(value).unwrap_or_default();
    json.push(b'\n');
    json
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(json: &[u8], name: &str) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let wrong = |what: String| {
        Error::sink(format!("{name}: {what}")).hint(
            "restore the file, or give the sink another folder and prefix and sync again from the start",
        )
    };
    let damaged = |error: serde_json::Error| wrong(format!("damaged: {error}"));
    let Version { version } = serde_json::from_slice(json).map_err(damaged)?;
    if version != VERSION {
        return Err(wrong("written by another version of the runner".to_owned()));
    }
    serde_json::from_slice(json).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::{Converted, Listed, Manifest, Owner, Place, file_name};

    fn listed(segment: u64, lines: u64) -> Listed {
        let file = Converted { bytes: vec![1], rows: 2, as_of_ms: Some((3, 4)), lines };
        Listed::new(file_name(segment, lines), segment, &file, [("id".to_owned(), "string")].into())
    }

    #[test]
    fn a_file_is_listed_once_and_an_older_log_is_refused() {
        let mut manifest = Manifest::of(None, "acme", "things", "2026-11-26").expect("a manifest");
        let (first, other) = (file_name(4, 1 << 60), file_name(4, 1 << 61));
        assert_eq!(first, "000004-10000000.parquet");
        assert_eq!(manifest.place(&first, 4, Some(3)).expect("a place"), Place::New);
        manifest.place(&first, 4, Some(4)).expect_err("in the folder of another day");
        manifest.list(listed(4, 1 << 60));
        assert_eq!(manifest.place(&first, 4, Some(4)).expect("a place"), Place::Listed);
        for (name, segment) in [(&other, 4), (&file_name(3, 1), 3)] {
            let error = manifest.place(name, segment, None).expect_err("an older log");
            assert_eq!(error.message, "table `things`: its log is older than its files");
        }
        assert_eq!(manifest.place(&file_name(5, 1), 5, Some(4)).expect("a place"), Place::New);
        let json = manifest.to_json();
        let read = Manifest::of(Some(&json), "acme", "things", "2026-11-26").expect("read");
        assert_eq!(read, manifest);
        for bad in ["", "{}", "{\"version\":2}", "{\"version\":1}"] {
            Manifest::of(Some(bad.as_bytes()), "acme", "things", "2026-11-26").expect_err(bad);
        }
    }

    #[test]
    fn files_of_another_log_are_refused() {
        let owner = Owner::new("acme", "1");
        let json = super::to_json(&owner);
        assert_eq!(owner.admit(&json, "rows").expect("its own"), owner);
        let later = owner.with("things", 7);
        assert_eq!(owner.admit(&super::to_json(&later), "rows").expect("its own").newest("things"), Some(7));
        // As an earlier version wrote it.
        let before = br#"{"version": 1, "connection": "acme", "log": "1"}"#;
        assert_eq!(owner.admit(before, "rows").expect("its own").newest("things"), None);
        for other in [Owner::new("acme", "2"), Owner::new("other", "1")] {
            let error = other.admit(&json, "rows").expect_err("another");
            assert_eq!(error.message, "rows: holds the files of another log of connection `acme`");
        }
    }
}
