//! The files of a table: `<table>/000001.jsonl`, `000002.jsonl` and so on.
//!
//! Lines are appended to the last one. A segment that is large or old is sealed: it is never opened again,
//! and a reader may delete it. Knows neither lines nor commits.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::log::Segment;
use super::shortened;
use crate::durable::sync_folder;
use crate::error::{Error, Result};
use crate::sinks::file_failure::failed;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// When a segment is sealed.
#[derive(Clone, Copy, Debug)]
pub(in crate::sinks) struct Rotation {
    /// Beyond this size.
    pub(in crate::sinks) bytes: u64,
    /// After this age, when a line comes.
    pub(in crate::sinks) age_ms: u64,
    /// At the end of a day (UTC), so that no segment has lines of two days.
    pub(in crate::sinks) daily: bool,
}

impl Rotation {
    /// Large enough that ten million rows are some dozens of files; old enough that a quiet table has one a
    /// day.
    pub(in crate::sinks) const DEFAULT: Self = Self { bytes: 256 << 20, age_ms: DAY_MS, daily: false };

    fn is_due(&self, segment: Segment, new_bytes: u64, now_ms: u64) -> bool {
        segment.bytes > 0 && segment.bytes + new_bytes > self.bytes || self.is_old(segment, now_ms)
    }

    /// Whether a segment that has lines is due for its age.
    pub(super) fn is_old(&self, segment: Segment, now_ms: u64) -> bool {
        let Segment { bytes, since_ms, .. } = segment;
        let is_of_another_day = self.daily && now_ms / DAY_MS != since_ms / DAY_MS;
        // A time that is far ahead is of a clock that was wrong.
        bytes > 0 && (is_of_another_day || now_ms.abs_diff(since_ms) > self.age_ms)
    }

    /// When a segment is due for its age; none while it is empty.
    pub(super) fn due_ms(&self, segment: Segment) -> Option<u64> {
        let since_ms = segment.since_ms;
        let midnight = (since_ms / DAY_MS + 1).saturating_mul(DAY_MS);
        let due_ms = since_ms.saturating_add(self.age_ms).saturating_add(1);
        (segment.bytes > 0).then_some(if self.daily { due_ms.min(midnight) } else { due_ms })
    }
}

/// The files of a table are in a folder of its name.
pub(super) fn folder(sink: &Path, table: &str) -> PathBuf {
    sink.join(table)
}

pub(super) fn path(sink: &Path, table: &str, number: u64) -> PathBuf {
    folder(sink, table).join(format!("{number:06}.jsonl"))
}

/// The number of the first segment that is there.
pub(super) fn first(sink: &Path, table: &str) -> Result<Option<u64>> {
    let folder = folder(sink, table);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&folder, &error)),
    };
    let number = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".jsonl")?.parse().ok()
    };
    Ok(entries.flatten().filter_map(number).min())
}

/// Refuses a folder that has other files.
pub(in crate::sinks) fn check_unused(sink: &Path, table: &str) -> Result<()> {
    let folder = folder(sink, table);
    let is_unused = match std::fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    match is_unused {
        true => Ok(()),
        false => Err(Error::sink(format!("{}: not written by this sink", folder.display()))
            .hint("give the sink its own folder: path under [sink]")),
    }
}

/// Refuses a table whose committed bytes are not there. Changes nothing.
pub(super) fn check(sink: &Path, table: &str, segment: Segment) -> Result<()> {
    let path = path(sink, table, segment.number);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() >= segment.bytes => Ok(()),
        Ok(metadata) => Err(shortened(&path, metadata.len(), segment.bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => match segment.bytes {
            0 => Ok(()),
            bytes => Err(shortened(&path, 0, bytes)),
        },
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Appends lines after the committed bytes, and makes them durable. Returns the segment with them.
pub(super) fn append(
    sink: &Path,
    table: &str,
    segment: Segment,
    lines: &[u8],
    rotation: Rotation,
    now_ms: u64,
) -> Result<Segment> {
    check(sink, table, segment)?;
    let mut segment = segment;
    if rotation.is_due(segment, lines.len() as u64, now_ms) {
        seal(&path(sink, table, segment.number), segment.bytes)?;
        segment = Segment { number: segment.number + 1, bytes: 0, since_ms: now_ms };
    }
    if segment.bytes == 0 {
        segment.since_ms = now_ms;
    }
    let path = path(sink, table, segment.number);
    write(sink, &folder(sink, table), &path, segment.bytes, lines).map_err(|error| failed(&path, &error))?;
    Ok(Segment { bytes: segment.bytes + lines.len() as u64, ..segment })
}

/// Cuts off what an earlier commit left half-way, for the file is complete from now on.
pub(super) fn seal(path: &Path, bytes: u64) -> Result<()> {
    let wrong = |error: std::io::Error| failed(path, &error);
    let file = OpenOptions::new().write(true).open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if metadata.len() > bytes {
        // Keeps the time of the lines, which names the day of their file.
        let written = metadata.modified().map_err(wrong)?;
        let cut = file.set_len(bytes).and_then(|()| file.set_modified(written));
        cut.and_then(|()| file.sync_all()).map_err(wrong)?;
    }
    Ok(())
}

fn write(sink: &Path, folder: &Path, path: &Path, committed: u64, lines: &[u8]) -> std::io::Result<()> {
    if committed == 0 && !folder.exists() {
        std::fs::create_dir_all(folder)?;
        sync_folder(sink)?;
    }
    let is_new = committed == 0;
    let mut file = OpenOptions::new().write(true).create(is_new).truncate(false).open(path)?;
    // An earlier commit may have failed half-way; its bytes do not count.
    file.set_len(committed)?;
    file.seek(SeekFrom::Start(committed))?;
    file.write_all(lines)?;
    file.sync_data()?;
    if is_new { sync_folder(folder) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Rotation, Segment, seal};

    #[test]
    fn a_segment_that_is_cut_keeps_the_day_of_its_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("000001.jsonl");
        std::fs::write(&path, "a line\nhalf").expect("written");
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
        let file = std::fs::File::options().write(true).open(&path).expect("opened");
        file.set_modified(yesterday).expect("set");
        seal(&path, 7).expect("sealed");
        assert_eq!(std::fs::read(&path).expect("read"), b"a line\n");
        assert_eq!(std::fs::metadata(&path).expect("there").modified().expect("a time"), yesterday);
    }

    #[test]
    fn a_segment_of_a_clock_that_was_ahead_is_not_kept_open_until_then() {
        let rotation = Rotation { bytes: 1_000, age_ms: 100, daily: false };
        let segment = Segment { number: 1, bytes: 9, since_ms: 5_000 };
        assert!(!rotation.is_old(segment, 4_950) && !rotation.is_old(segment, 5_050));
        assert!(rotation.is_old(segment, 4_000) && rotation.is_old(segment, 5_101));
    }
}
