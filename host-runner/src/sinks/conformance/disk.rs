//! A full disk, and one that fails: commits are refused, change nothing, and continue once writes work.
//!
//! Runs in a child process, which is this program with [`CHILD`] set.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::case::{CALLED_AT_MS, Case, TABLE, change, on_every_sink, position};
use crate::change::Change;
use crate::error::{Error, Kind};
use crate::sinks::{Commit, Progress, open};

/// With the folder of a small disk, or empty.
const CHILD: &str = "SINK_TEST_DISK";
/// Bytes that can be written before writes fail.
const BYTES: u64 = 512 << 10;
/// Rows of a commit, and bytes of a row: a commit is a fifth of a file.
const ROWS: usize = 100;
const ROW_BYTES: usize = 1_000;

/// Makes writes fail.
enum Disk {
    /// No file may grow beyond a limit. A sink of files counts that as a full disk. SQLite treats it as it
    /// treats EIO: as any failure of a write but a full disk.
    Limited,
    /// A disk of a few MiB, mounted here, which a file fills.
    Small(PathBuf),
}

impl Disk {
    /// So many bytes can be written, of a file or of all; without a number, as many as a test needs.
    fn set(&self, bytes: Option<u64>) {
        match self {
            Self::Limited => {
                let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
                setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).expect("limited");
            }
            Self::Small(folder) => {
                let filler = folder.join("filler");
                let _none = std::fs::remove_file(&filler);
                let Some(bytes) = bytes else { return };
                let disk = rustix::fs::statvfs(folder).expect("a disk");
                let mut rest = (disk.f_bavail * disk.f_frsize).saturating_sub(bytes);
                let mut filler = File::create(filler).expect("created");
                while rest > 0 && filler.write_all(&[1; 4_096]).is_ok() {
                    rest = rest.saturating_sub(4_096);
                }
            }
        }
    }
}

fn rows(commit: usize) -> Vec<Change> {
    let text = "x".repeat(ROW_BYTES);
    let row = |n: usize| {
        let id = format!("{commit:03}-{n:03}");
        Change {
            after: Some(format!("{{\"id\":\"{id}\",\"n\":1,\"text\":\"{text}\"}}")),
            ..change(&id, Some(1), 10)
        }
    };
    (0..ROWS).map(row).collect()
}

/// Commits rows with a cursor and rows with a position in turns.
fn commit(case: &mut Case, number: usize) -> Result<(), Error> {
    let (changes, cursor, position) = (rows(number), number.to_string(), position(number as u64));
    let progress = match number.is_multiple_of(2) {
        true => Progress::Table { name: TABLE, cursor: &cursor, generation: None },
        false => Progress::Journal(&position),
    };
    let commit = Commit { changes: &changes, progress, as_of_ms: CALLED_AT_MS, epoch: 1 };
    case.sink().commit(&commit).map(drop)
}

/// The commits whose rows are stored: each whole.
fn stored(case: &Case) -> usize {
    let rows = case.stored(TABLE).len();
    assert_eq!(rows % ROWS, 0, "a part of a commit is stored");
    rows / ROWS
}

fn progress(case: &mut Case) -> (Option<String>, Option<u64>) {
    let progress = case.sink().progress().expect("progress");
    let cursor = progress.tables.first().and_then(|state| state.cursor.clone());
    (cursor, progress.journal.map(|journal| journal.position.through))
}

fn child(disk: &Disk) {
    on_every_sink(|case| {
        // A sink that is a server has another disk.
        if case.settings.location.as_path().is_err() {
            return;
        }
        disk.set(Some(BYTES));
        let mut committed = 0;
        let error = loop {
            match commit(case, committed) {
                Ok(()) => committed += 1,
                Err(error) => break error,
            }
            assert!(committed < 1_000, "the disk is never full");
        };
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
        let before = progress(case);
        commit(case, committed).expect_err("still full");
        assert_eq!((stored(case), progress(case)), (committed, before));
        disk.set(None);
        commit(case, committed).expect("committed once there is space");
        commit(case, committed + 1).expect("committed");
        case.reopen();
        assert_eq!(stored(case), committed + 2);
        let last = committed + 1;
        let (even, odd) = if last.is_multiple_of(2) { (last, committed) } else { (committed, last) };
        assert_eq!(progress(case), (Some(even.to_string()), Some(odd as u64)));
        // The disk is full when it is opened.
        drop(case.take());
        disk.set(Some(1));
        if let Ok(mut sink) = open(&case.settings) {
            let commit = Commit {
                changes: &rows(999),
                progress: Progress::Table { name: TABLE, cursor: "lost", generation: None },
                as_of_ms: CALLED_AT_MS,
                epoch: 1,
            };
            sink.commit(&commit).expect_err("full");
        }
        disk.set(None);
        case.reopen();
        assert_eq!(stored(case), committed + 2);
    });
}

/// The disk of this process, if it is a child.
fn own_disk() -> Option<Disk> {
    let folder = PathBuf::from(std::env::var_os(CHILD)?);
    Some(if folder.as_os_str().is_empty() { Disk::Limited } else { Disk::Small(folder) })
}

/// Runs this test in a child that a shell starts, once it has prepared the disk.
fn run(shell: &mut Command, small_disk: &Path) {
    let this = std::env::current_exe().expect("this program");
    let name = std::thread::current().name().expect("a test").to_owned();
    let child = shell.arg(this).args(["--exact", &name, "--nocapture", "--test-threads", "1"]);
    let ran = child.env(CHILD, small_disk).output().expect("started");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn a_disk_that_fails_refuses_commits_and_keeps_what_was_committed() {
    if let Some(disk) = own_disk() {
        return child(&disk);
    }
    // Ignores the signal that comes with the limit, so that writes fail instead.
    run(Command::new("sh").args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]), Path::new(""));
}

#[test]
fn a_full_disk_refuses_commits_and_keeps_what_was_committed() {
    if let Some(disk) = own_disk() {
        return child(&disk);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mount = ["-m", "mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"];
    // In a new namespace, which ends with the child.
    if !Command::new("unshare").args(mount).arg(folder.path()).output().is_ok_and(|ran| ran.status.success())
    {
        eprintln!("left out: only root may mount a small disk");
        return;
    }
    let prepare = "mount -t tmpfs -o size=8m,mode=0700 tmpfs \"$TMPDIR\" && exec \"$@\"";
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", prepare, "sh"]).env("TMPDIR", folder.path());
    run(&mut shell, folder.path());
}
