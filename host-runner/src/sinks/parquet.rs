//! The Parquet sink: files by table and day, each with a line in a manifest, in a folder or an object store.
//!
//! Commits go to the log of a JSON lines sink in the folder `_log`, which keeps cursor, owner and lease. The
//! [`publisher`] turns its sealed segments into files, so that a crash at any point repeats a step and loses
//! nothing. [`file`] converts, [`columns`] is the schema, [`tables`] the stored columns, [`manifest`] lists
//! files, [`files`] puts them.

mod columns;
mod file;
mod files;
mod line;
mod manifest;
mod publisher;
mod tables;

#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use self::files::Files;
use self::publisher::Shared;
use self::tables::Tables;
#[cfg(test)]
use super::conformance::TestPlace;
use super::jsonl::{self, CHANGES, Jsonl, Rotation, check_unused};
use super::objects::{self, Objects};
use super::registry::with_file_of;
use super::{
    Capabilities, Commit, Counts, LateFiles, Location, Place, Sink, SinkKind, SinkProgress, SinkSettings,
};
use crate::change::Table;
use crate::error::Result;

/// This kind of sink.
pub(super) const KIND: SinkKind = SinkKind {
    name: "parquet",
    format: "",
    other_forms: &[],
    capabilities: Capabilities { compares_rows: false, hard_deletes: false, typed_columns: true },
    own_keys: &["path", "url", "url_file", "max_file_age"],
    locate,
    exists: |location| Ok(jsonl::exists(&log_folder(location.as_path()?))),
    open: |settings| Ok(Box::new(Parquet::open(settings, rotation(settings))?)),
    inspect: |settings| jsonl::inspect(settings, &log_folder(settings.location.as_path()?)),
    #[cfg(test)]
    stored_rows: stored::rows,
    #[cfg(test)]
    test_place: |folder| Some(TestPlace::path(folder)),
};

/// The folder of the log, in the sink's folder.
const LOG: &str = "_log";
/// Bytes of lines that become one file: few files, and each is in memory while it is put.
const SEGMENT_BYTES: u64 = 64 << 20;

/// An open sink.
struct Parquet {
    shared: Arc<Shared>,
    settings: SinkSettings,
    root: PathBuf,
    /// Closed when the publisher has ended. It runs once there is something to publish.
    publisher: Option<mpsc::Receiver<()>>,
}

/// The location that the keys under `[sink]` name: a folder, or a prefix of an object store and the folder of
/// the log.
fn locate(place: &Place<'_>, folder: &Path, connection: &str) -> Result<Location> {
    let path = folder.join(place.path.unwrap_or(connection));
    let Some(url) = place.url else { return Ok(Location::Path(path)) };
    objects::check(url, "sink.url")?;
    Ok(Location::Objects { url: with_file_of(url, "ca_file", folder), path })
}

fn log_folder(root: &Path) -> PathBuf {
    root.join(LOG)
}

fn rotation(settings: &SinkSettings) -> Rotation {
    Rotation { bytes: SEGMENT_BYTES, age_ms: settings.file_age_ms, daily: true }
}

impl Parquet {
    /// Opens the folder of a connection, or creates an empty one.
    fn open(settings: &SinkSettings, rotation: Rotation) -> Result<Self> {
        let root = settings.location.as_path()?.to_owned();
        let folder = log_folder(&root);
        let log = Jsonl::open_in(&folder, settings, CHANGES, rotation)?;
        let tables = Tables::open(&folder)?;
        let shared = Arc::new(Shared::new(log, tables, &settings.owner)?);
        Ok(Self { shared, settings: settings.clone(), root, publisher: None })
    }

    fn start_publisher(&mut self) -> Result<()> {
        if self.publisher.is_some() {
            return Ok(());
        }
        let location = &self.settings.location;
        let files = match location.url() {
            None => Files::Folder(self.root.clone()),
            Some(url) => {
                let (name, stop) = (location.shown_url(), self.shared.stop());
                Files::Objects(Objects::open(url, "sink.url", &name, stop)?)
            }
        };
        self.publisher = Some(self.shared.start(files, self.settings.owner.clone())?);
        Ok(())
    }
}

impl Sink for Parquet {
    fn capabilities(&self) -> Capabilities {
        KIND.capabilities
    }

    fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        {
            let mut state = self.shared.lock();
            for table in tables.iter().filter(|table| !state.log.has_table(&table.name)) {
                jsonl::check_name(table)?;
                check_unused(&self.root, &table.name)?;
            }
            state.tables.extend(tables)?;
            state.log.prepare(tables)?;
        }
        self.start_publisher()
    }

    fn progress(&self) -> Result<SinkProgress> {
        self.shared.lock().log.progress()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Counts> {
        // Deliveries are committed before tables are prepared, where they cannot be discovered for now.
        self.start_publisher()?;
        let mut state = self.shared.wait_for_room()?;
        let before = state.awaited();
        let counts = state.log.commit(commit)?;
        if state.awaited() != before {
            self.shared.wake();
        }
        Ok(counts)
    }

    fn reset(&mut self, table: &str) -> Result<bool> {
        self.shared.lock().log.reset(table)
    }

    fn late_files(&self) -> LateFiles {
        self.shared.lock().late.clone()
    }

    fn finish(&mut self) -> Result<()> {
        self.start_publisher()?;
        self.shared.publish_all()
    }
}

impl Drop for Parquet {
    /// Stops the publisher; the next opening of the sink continues its work.
    fn drop(&mut self) {
        self.shared.stop_publisher();
        if let Some(publisher) = self.publisher.take() {
            // An error: the publisher has ended, and holds the log no more.
            let _ended = publisher.recv();
        }
    }
}
