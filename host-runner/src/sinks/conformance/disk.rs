//! A full disk: commits are refused, change nothing, and continue once there is space.
//!
//! Runs in a child process, which is this program with [`CHILD`] set: no file of it may grow beyond a limit.
//! To it that is a full disk.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::case::{CALLED_AT_MS, Case, TABLE, change, on_every_sink, position};
use crate::change::Change;
use crate::error::{Error, Kind};
use crate::sinks::{Commit, Progress, open};

const CHILD: &str = "SINK_TEST_FULL_DISK";
/// Bytes of a file in the child.
const FILE_BYTES: u64 = 512 << 10;
/// Rows of a commit, and bytes of a row: a commit is a fifth of a file.
const ROWS: usize = 100;
const ROW_BYTES: usize = 1_000;

fn limit(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).expect("limited");
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

fn child() {
    on_every_sink(|case| {
        // A sink that is a server has another disk.
        if case.settings.location.as_path().is_err() {
            return;
        }
        limit(Some(FILE_BYTES));
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
        limit(None);
        commit(case, committed).expect("committed once there is space");
        commit(case, committed + 1).expect("committed");
        case.reopen();
        assert_eq!(stored(case), committed + 2);
        let last = committed + 1;
        let (even, odd) = if last.is_multiple_of(2) { (last, committed) } else { (committed, last) };
        assert_eq!(progress(case), (Some(even.to_string()), Some(odd as u64)));
        // The disk is full when it is opened.
        drop(case.take());
        limit(Some(1));
        if let Ok(mut sink) = open(&case.settings) {
            let commit = Commit {
                changes: &rows(999),
                progress: Progress::Table { name: TABLE, cursor: "lost", generation: None },
                as_of_ms: CALLED_AT_MS,
                epoch: 1,
            };
            sink.commit(&commit).expect_err("full");
        }
        limit(None);
        case.reopen();
        assert_eq!(stored(case), committed + 2);
    });
}

#[test]
fn a_full_disk_refuses_commits_and_keeps_what_was_committed() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let this = std::env::current_exe().expect("this program");
    let name = std::thread::current().name().expect("a test").to_owned();
    // Ignores the signal that comes with the limit, so that writes fail instead.
    let ran = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(this)
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("1 passed"), "{said}");
}
