//! The bytes of attachments: the files that rows name, in a folder, by their content.
//!
//! [`Noting`] is a sink around the connection's own. It notes in the [`manifest`] which attachments a commit
//! brings, changes or deletes, before the rows are stored, so that none is forgotten. [`Attachments`] is the
//! same folder for the actor, which fetches: the missing files, and the place of their bytes ([`content`]).
//! Knows no component.

mod content;
mod entry;
mod limits;
mod manifest;
mod noting;
mod owner;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::content::Content;
pub(crate) use self::limits::AttachmentLimits;
use self::manifest::Manifest;
pub(crate) use self::manifest::{Missing, Wanted};
use self::noting::Noting;
use super::file_failure::failed;
use super::objects::{self, Objects};
use super::registry::{warn_of_other_writers, with_file_of};
use super::{Deletes, Location, Sink};
use crate::change::Piece;
use crate::clock::{millis, now_ms};
use crate::describe::{AttachmentMembers, Describe, TableInfo};
use crate::error::{Error, Kind, Origin, Result};
use crate::files;
use crate::policy::growing_wait;

/// Longest wait before another attempt at a file that failed by itself: one that always fails costs a call a
/// week.
const RETRY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// `attachments` under `[sink]`, and the keys that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentSettings {
    /// Where bytes go: a folder, or a prefix of an object store and the folder of the manifest.
    pub location: Location,
    /// Which are left out.
    pub(crate) limits: AttachmentLimits,
}

/// The configuration key.
const KEY: &str = "sink.attachments";

/// The location that the key names: a folder, or a prefix of an object store. `folder` is the connection
/// file's.
pub(crate) fn locate(written: &str, folder: &Path, connection: &str) -> Result<Location> {
    if !written.contains("://") {
        return Ok(Location::path(folder, written));
    }
    objects::check(written, KEY)?;
    let path = folder.join(format!("{connection}-attachments"));
    Ok(Location::Objects { url: with_file_of(written, "ca_file", folder), path })
}

/// The attachments of a connection, for the actor that fetches them. Methods block.
pub struct Attachments {
    folder: Mutex<Folder>,
    /// When the next file is to be fetched, Unix milliseconds; the largest number for never.
    due_ms: AtomicU64,
}

/// The folder: closed while its connection is idle, when it holds no open file.
struct Folder {
    settings: AttachmentSettings,
    tables: BTreeMap<String, AttachmentMembers>,
    owner: String,
    deletes: Deletes,
    open: Option<Open>,
    /// The hash of the manifest's cursors when it was closed; none before. An empty one if they could not be
    /// read: then any manifest is another one.
    closed_at: Option<String>,
}

/// What the folder holds.
struct Open {
    manifest: Manifest,
    content: Content,
    limits: AttachmentLimits,
    /// The tables with attachments, and the members that describe them.
    tables: BTreeMap<String, AttachmentMembers>,
    removes_deleted: bool,
    /// Keeps other writers out until it is closed.
    _lock: File,
}

/// How far a file is with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The rest starts at this offset.
    Until(u64),
    /// All of it is in the folder.
    Whole,
}

/// Puts the notes of attachments around a sink; nothing without settings, or where no table has any.
pub(crate) fn around(
    sink: Box<dyn Sink>,
    settings: Option<&AttachmentSettings>,
    describe: &Describe,
    owner: &str,
    deletes: Deletes,
) -> Result<Box<dyn Sink>> {
    let members = |table: &TableInfo| Some((table.name.clone(), table.attachment.clone()?));
    let tables: BTreeMap<_, _> = describe.tables.iter().filter_map(members).collect();
    let Some(settings) = settings.filter(|_| !tables.is_empty()) else { return Ok(sink) };
    let attachments = Attachments::open(settings, tables, owner, deletes)?;
    Ok(Box::new(Noting::new(sink, Arc::new(attachments))))
}

impl Attachments {
    fn open(
        settings: &AttachmentSettings,
        tables: BTreeMap<String, AttachmentMembers>,
        owner: &str,
        deletes: Deletes,
    ) -> Result<Self> {
        warn_of_other_writers(settings.location.as_path()?);
        let (settings, owner) = (settings.clone(), owner.to_owned());
        let folder = Folder { settings, tables, owner, deletes, open: None, closed_at: None };
        let attachments = Self { folder: Mutex::new(folder), due_ms: AtomicU64::new(u64::MAX) };
        attachments.with(|open| open.remove_deleted())?;
        Ok(attachments)
    }

    /// When the next file is to be fetched, Unix milliseconds; none if none is missing.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        Some(self.due_ms.load(Ordering::Relaxed)).filter(|due_ms| *due_ms < u64::MAX)
    }

    /// The file to fetch now.
    pub(crate) fn next(&self) -> Result<Option<Wanted>> {
        self.with(|open| {
            let Some(wanted) = open.manifest.next(now_ms())? else { return Ok(None) };
            // Bytes may be missing where the manifest alone was restored from a backup.
            let there = open.content.partial_bytes(&wanted.partial_name());
            Ok(Some(if there < wanted.offset { Wanted { offset: 0, ..wanted } } else { wanted }))
        })
    }

    /// Keeps a piece of a file durably; the last one makes it a file of the folder.
    pub(crate) fn store(&self, wanted: &Wanted, piece: &Piece) -> Result<Stored> {
        self.with(|open| {
            let end = wanted.offset + piece.bytes.len() as u64;
            open.limits.admit(wanted, end, piece)?;
            let name = wanted.partial_name();
            open.content.append(&name, wanted.offset, &piece.bytes)?;
            if !piece.is_last {
                open.manifest.set_offset(wanted, end)?;
                return Ok(Stored::Until(end));
            }
            let sha256 = open.content.finish(&name)?;
            open.manifest.fetched(wanted, &sha256)?;
            Ok(Stored::Whole)
        })
    }

    /// Notes why a file could not be fetched; it is tried again, from its start, after `first`, and after
    /// four times as long with each failure. `random` is in `0.0..1.0`.
    pub(crate) fn failed(&self, wanted: &Wanted, problem: &str, first: Duration, random: f64) -> Result<()> {
        self.with(|open| {
            open.content.discard(&wanted.partial_name());
            let wait = growing_wait(first, 4, wanted.attempts, RETRY_MAX, random);
            open.manifest.failed(wanted, problem, now_ms().saturating_add(millis(wait)))
        })
    }

    /// The files that are missing, by table, those left out by limits excepted.
    pub(crate) fn missing(&self) -> Result<Vec<Missing>> {
        self.with(|open| open.manifest.missing())
    }

    /// Closes the folder until it is used again.
    fn rest(&self) {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = folder.open.take() {
            folder.closed_at = Some(open.manifest.cursors_sha256().unwrap_or_default());
        }
    }

    fn with<T>(&self, call: impl FnOnce(&mut Open) -> Result<T>) -> Result<T> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let open = folder.open()?;
        let result = call(open);
        let due_ms = open.manifest.due_ms()?.unwrap_or(u64::MAX);
        self.due_ms.store(due_ms, Ordering::Relaxed);
        result
    }
}

impl Folder {
    /// The open folder. Opens it again if it was closed; fails if its manifest has other cursors than then:
    /// one that was restored lacks the notes of later rows.
    fn open(&mut self) -> Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.opened()?,
        };
        Ok(self.open.insert(open))
    }

    fn opened(&self) -> Result<Open> {
        let Self { settings, owner, .. } = self;
        let folder = settings.location.as_path()?;
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let lock = File::open(folder).map_err(|error| failed(folder, &error))?;
        files::try_lock(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => {
                let message = format!("attachments {}: another process is writing to it", folder.display());
                Error::new(Origin::Sink, Kind::Unavailable, message)
                    .hint("one connection writes to a folder: give each its own `attachments` under [sink]")
            }
            TryLockError::Error(error) => failed(folder, &error),
        })?;
        let is_new = !folder.join(manifest::FILE).exists();
        if is_new && folder.join(content::PARTIAL).exists() {
            let message = format!("attachments {}: has a folder `partial` and no manifest", folder.display());
            return Err(Error::new(Origin::Configuration, Kind::Config, message)
                .hint("give a folder of its own: `attachments` under [sink]"));
        }
        let mut manifest = Manifest::open(folder, owner)?;
        match &self.closed_at {
            None => manifest.apply_limits(&settings.limits)?,
            Some(closed_at) if manifest.cursors_sha256()? == *closed_at => {}
            Some(_) => {
                let folder = folder.display();
                let message = format!("attachments {folder}: the manifest is not as it was: it was restored");
                return Err(Error::sink(message).hint("the connection starts again with this one"));
            }
        }
        let objects = settings
            .location
            .url()
            .map(|url| Objects::open(url, KEY, &settings.location.shown_url(), Arc::default()));
        let content = Content::open(folder, objects.transpose()?, owner, &manifest.partial_files()?)?;
        let (limits, tables) = (settings.limits.clone(), self.tables.clone());
        let removes_deleted = self.deletes == Deletes::Hard;
        Ok(Open { manifest, content, limits, tables, removes_deleted, _lock: lock })
    }
}

impl Open {
    /// Removes the bytes of deleted rows that no other row has, where deletes are hard.
    fn remove_deleted(&mut self) -> Result<()> {
        if self.removes_deleted {
            for sha256 in self.manifest.unreferenced()? {
                self.content.remove(&sha256)?;
                self.manifest.removed(&sha256)?;
            }
        }
        Ok(())
    }
}
