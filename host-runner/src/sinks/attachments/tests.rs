//! The folder with a SQLite sink, without a component: the tests fetch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_server::ObjectServer;
use rusqlite::Connection as Database;

use super::{AttachmentLimits, AttachmentSettings, Attachments, Stored, Wanted, around};
use crate::change::{Batch, Change, ChangeSource, Generation, Operation, Piece, Table};
use crate::describe::Describe;
use crate::digest::sha256_hex;
use crate::error::Result;
use crate::sinks::{self, Commit, Deletes, Location, Sink, SinkKind, SinkSettings};

const MINUTE: Duration = Duration::from_secs(60);

/// A folder for a test, with its settings.
struct Place {
    folder: tempfile::TempDir,
    limits: AttachmentLimits,
    deletes: Deletes,
}

/// An open sink with attachments.
struct Open {
    sink: Box<dyn Sink>,
    files: Arc<Attachments>,
}

impl Place {
    fn new() -> Self {
        let limits = AttachmentLimits { bytes_max: 1000, types: Vec::new() };
        Self { folder: tempfile::tempdir().expect("a folder"), limits, deletes: Deletes::Soft }
    }

    fn try_open(&self, folder: &str, owner: &str) -> Result<Box<dyn Sink>> {
        self.try_open_in(Location::Path(self.path(folder)), owner)
    }

    fn try_open_in(&self, location: Location, owner: &str) -> Result<Box<dyn Sink>> {
        let describe =
            r#"{"name":"x","tables":[{"name":"things","attachment":{"name":"name","size":"size"}}]}"#;
        let describe = Describe::parse(describe).expect("a document");
        let sqlite = SinkKind::named("sqlite").expect("a kind");
        let settings = SinkSettings::of_test(sqlite, Location::Path(self.path("rows.db")));
        let settings = SinkSettings { deletes: self.deletes, ..settings };
        let sink = sinks::open(&settings)?;
        let settings = AttachmentSettings { location, limits: self.limits.clone() };
        around(sink, Some(&settings), &describe, owner, self.deletes)
    }

    fn open(&self) -> Open {
        self.open_at("files")
    }

    /// Open, with the row of a file of ten bytes.
    fn open_with_a_row(&self) -> Open {
        let mut open = self.open();
        open.commit(vec![row("a", 10, 5)], "c1", Some(1));
        open
    }

    fn open_at(&self, folder: &str) -> Open {
        Open::of(self.try_open(folder, "acme").expect("opened"))
    }

    /// The attachments of a connection below a prefix of an object store.
    fn open_below(&self, server: &ObjectServer, connection: &str) -> Open {
        let location = Location::Objects { url: server.url("shared"), path: self.path(connection) };
        Open::of(self.try_open_in(location, connection).expect("opened"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file of the folder, but for the manifest.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(self.path("files")).expect("read").flatten() {
            let names = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
            found.extend(names.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        found.sort();
        found
    }

    /// A text of the manifest.
    fn noted(&self, sql: &str) -> Option<String> {
        let manifest = Database::open(self.path("files/manifest.db")).expect("the manifest");
        manifest.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).expect(sql)
    }
}

fn row(id: &str, size: u64, as_of: u64) -> Change {
    Change {
        table: "things".to_owned(),
        operation: Operation::Read,
        key: format!(r#"{{"id":"{id}"}}"#),
        before: None,
        after: Some(format!(r#"{{"id":"{id}","name":"{id}.pdf","size":"{size}"}}"#)),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: None,
        as_of_ms: Some(as_of),
        id: format!("{id}-{size}"),
    }
}

fn deleted(id: &str, as_of: u64) -> Change {
    let row = row(id, 0, as_of);
    Change { operation: Operation::Delete, after: None, id: format!("{id}-deleted"), ..row }
}

impl Open {
    fn of(mut sink: Box<dyn Sink>) -> Self {
        let table = Table {
            name: "things".to_owned(),
            primary_key: vec!["id".to_owned()],
            schema: "{}".to_owned(),
            schema_complete: true,
            attributes: Vec::new(),
        };
        sink.prepare(&[table]).expect("prepared");
        let files = sink.attachments().expect("a folder");
        Self { sink, files }
    }

    /// Commits changes; a `snapshot` is complete with them.
    fn commit(&mut self, changes: Vec<Change>, cursor: &str, snapshot: Option<u64>) {
        let generation = snapshot.map(|id| Generation { id, as_of_ms: Some(id), complete: true });
        let batch = Batch {
            changes,
            cursor: cursor.to_owned(),
            generation,
            caught_up: true,
            wait_ms: None,
            listings: Vec::new(),
            undelivered: None,
            attributes: Vec::new(),
            called_at_ms: 1,
        };
        self.sink.commit(&Commit::of("things", &batch)).expect("committed");
    }

    fn next(&self) -> Option<Wanted> {
        self.files.next().expect("read")
    }

    fn store(&self, wanted: &Wanted, bytes: &[u8], is_last: bool) -> Result<Stored> {
        self.files.store(wanted, &Piece { bytes: bytes.to_vec(), is_last, attributes: Vec::new() })
    }

    /// Fetches everything that is missing: each file is as many times this letter.
    fn fetch_all(&self, letter: u8) -> usize {
        let mut fetched = 0;
        while let Some(wanted) = self.next() {
            let bytes = vec![letter; wanted.size.expect("a size") as usize];
            assert_eq!(self.store(&wanted, &bytes, true).expect("stored"), Stored::Whole);
            fetched += 1;
        }
        fetched
    }
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[test]
fn bytes_are_kept_once_by_their_hash_and_the_manifest_names_them() {
    let place = Place::new();
    let mut open = place.open();
    open.commit(vec![row("a", 3, 5), row("b", 3, 5), row("c", 4, 5)], "c1", Some(1));
    assert_eq!(open.fetch_all(b'x'), 3);
    let (three, four) = (sha256_hex(b"xxx"), sha256_hex(b"xxxx"));
    let mut expected = vec![three.clone(), four];
    expected.sort();
    assert_eq!(place.files(), expected);
    let path = place.path(&format!("files/{}/{three}", &three[..2]));
    assert_eq!(std::fs::read(path).expect("the bytes"), b"xxx");
    let of = |id: &str| place.noted(&format!("sha256 FROM attachments WHERE key = '{{\"id\":\"{id}\"}}'"));
    assert_eq!((of("a"), of("b")), (Some(three.clone()), Some(three)));
    assert_eq!((open.next(), open.files.due_ms()), (None, None));
    // The same rows again, also after a restart, are no other files.
    drop(open);
    let mut open = place.open();
    open.commit(vec![row("a", 3, 6), row("b", 3, 6), row("c", 4, 6)], "c2", Some(2));
    assert_eq!(open.next(), None);
}

#[test]
fn below_a_prefix_of_an_object_store_no_connection_removes_what_another_one_stored() {
    let (server, place) = (ObjectServer::start(), Place { deletes: Deletes::Hard, ..Place::new() });
    let mut owner = place.open_below(&server, "acme");
    owner.commit(vec![row("a", 3, 5)], "c1", Some(1));
    assert_eq!(owner.fetch_all(b'x'), 1);
    drop(owner);
    // Another connection, or one of the same name in another installation, has the same file.
    let elsewhere = Place { deletes: Deletes::Hard, ..Place::new() };
    for (place, name) in [(&place, "other"), (&elsewhere, "acme")] {
        let mut other = place.open_below(&server, name);
        other.commit(vec![row("a", 3, 5)], "c1", Some(1));
        let wanted = other.next().expect("a file");
        let refused = other.store(&wanted, b"xxx", true).expect_err("not its prefix");
        let message = &refused.message;
        assert!(
            message.ends_with("says that they are those of another folder of connection `acme`"),
            "{message}"
        );
        other.commit(vec![deleted("a", 9)], "c2", None);
    }
    let names: Vec<String> = server.objects().into_keys().collect();
    let sha256 = sha256_hex(b"xxx");
    assert_eq!(names, ["shared/_owner.json".to_owned(), format!("shared/{}/{sha256}", &sha256[..2])]);
    // Its owner continues after a restart.
    let mut owner = place.open_below(&server, "acme");
    owner.commit(vec![row("a", 3, 5), row("b", 4, 6)], "c2", Some(2));
    assert_eq!(owner.fetch_all(b'y'), 1);
    owner.commit(vec![deleted("a", 9)], "c3", None);
    assert_eq!(server.objects().len(), 2, "its own bytes are removed");
}

#[test]
fn with_hard_deletes_bytes_go_with_their_last_row_and_otherwise_they_stay() {
    for (deletes, left) in [(Deletes::Soft, [2, 2, 2]), (Deletes::Hard, [2, 1, 0])] {
        let place = Place { deletes, ..Place::new() };
        let mut open = place.open();
        open.commit(vec![row("a", 3, 5), row("b", 3, 5), row("c", 4, 5)], "c1", Some(1));
        open.fetch_all(b'x');
        open.commit(vec![deleted("a", 6)], "c2", None);
        assert_eq!(place.files().len(), left[0], "another row has the same bytes");
        open.commit(vec![row("c", 4, 7)], "c3", Some(7));
        assert_eq!(place.files().len(), left[1], "a snapshot did not contain the other row");
        open.commit(vec![deleted("c", 8)], "c4", None);
        assert_eq!(place.files().len(), left[2]);
        // A restored row has its bytes again, or they are fetched again.
        open.commit(vec![row("a", 3, 9)], "c5", None);
        assert_eq!(open.fetch_all(b'x'), usize::from(deletes == Deletes::Hard));
        // An older delete changes nothing.
        open.commit(vec![deleted("a", 6)], "c6", None);
        assert_eq!(place.noted("sum(deleted = 0) || '' FROM attachments").as_deref(), Some("1"));
    }
}

#[test]
fn a_file_goes_on_where_it_was_after_a_kill_at_every_byte() {
    let place = Place::new();
    let mut open = place.open_with_a_row();
    for offset in 0..9 {
        let wanted = open.next().expect("a file");
        assert_eq!(wanted.offset, offset);
        let letter = b"0123456789"[offset as usize];
        assert_eq!(open.store(&wanted, &[letter], false).expect("stored"), Stored::Until(offset + 1));
        // As a kill leaves it: bytes behind those that were noted.
        let partial = place.path("files/partial").join(wanted.partial_name());
        let bytes = std::fs::read(&partial).expect("a beginning");
        std::fs::write(&partial, [&bytes, b"junk".as_slice()].concat()).expect("written");
        drop(open);
        open = place.open();
    }
    let wanted = open.next().expect("a file");
    open.store(&wanted, b"9", true).expect("stored");
    assert_eq!(place.files(), [sha256_hex(b"0123456789")]);
}

#[test]
fn a_beginning_that_is_lost_starts_again_and_one_that_nobody_knows_is_removed() {
    let place = Place::new();
    let open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    open.store(&wanted, b"01234", false).expect("stored");
    std::fs::remove_file(place.path("files/partial").join(wanted.partial_name())).expect("removed");
    assert_eq!(open.next().expect("a file").offset, 0);
    drop(open);
    let other = place.path("files/partial").join("0".repeat(64));
    std::fs::write(&other, "junk").expect("written");
    let open = place.open();
    assert!(!exists(&other));
    assert_eq!(open.fetch_all(b'x'), 1);
}

#[test]
fn a_disk_that_fails_keeps_what_was_there_and_the_file_is_continued() {
    let place = Place::new();
    let open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    open.store(&wanted, b"01234", false).expect("stored");
    let (partial, away) = (place.path("files/partial"), place.path("files/away"));
    let wanted = Wanted { offset: 5, ..wanted };
    std::fs::rename(&partial, &away).expect("moved");
    std::fs::write(&partial, "no folder").expect("written");
    let error = open.store(&wanted, b"56789", true).expect_err("stored");
    assert_eq!(error.kind, crate::error::Kind::Unavailable, "{error}");
    std::fs::remove_file(&partial).expect("removed");
    std::fs::rename(&away, &partial).expect("moved");
    assert_eq!(open.next(), Some(wanted.clone()));
    assert_eq!(open.store(&wanted, b"56789", true).expect("stored"), Stored::Whole);
    assert_eq!(place.files(), [sha256_hex(b"0123456789")]);
}

#[test]
fn bytes_of_another_length_are_not_the_file() {
    let place = Place::new();
    let mut open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    for (bytes, is_last) in
        [(b"01234567890".as_slice(), true), (b"01234567890", false), (b"0", true), (b"", false)]
    {
        open.store(&wanted, bytes, is_last).expect_err("refused");
    }
    assert!(place.files().is_empty());
    open.files.failed(&wanted, "1 bytes came, and its size is 10", MINUTE, 1.0).expect("noted");
    assert_eq!(open.next(), None, "it waits");
    assert_eq!(place.noted("problem FROM attachments").as_deref(), Some("1 bytes came, and its size is 10"));
    let missing = open.files.missing().expect("read");
    assert_eq!((missing[0].files, missing.len()), (1, 1));
    // Read again unchanged it still waits; with another size it is another file.
    let due_ms = open.files.due_ms();
    open.commit(vec![row("a", 10, 6)], "c2", Some(2));
    assert_eq!((open.next(), open.files.due_ms()), (None, due_ms));
    open.commit(vec![row("a", 11, 7)], "c3", None);
    assert_eq!(open.fetch_all(b'x'), 1);
}

#[test]
fn each_failure_waits_longer_up_to_a_week() {
    let place = Place::new();
    let open = place.open_with_a_row();
    let first = open.next().expect("a file");
    let waits_after = |first_wait: Duration| {
        let mut waits = Vec::new();
        for attempts in 0..12 {
            let before = crate::clock::now_ms();
            let failed = open.files.failed(&Wanted { attempts, ..first.clone() }, "no", first_wait, 1.0);
            failed.expect("noted");
            waits.push((open.files.due_ms().expect("due") - before) / 60_000);
        }
        waits
    };
    let waits = waits_after(MINUTE);
    assert_eq!(waits[..3], [1, 4, 16]);
    assert_eq!(waits[10..], [7 * 24 * 60; 2]);
    assert_eq!(waits_after(MINUTE * 60 * 24)[..3], [24 * 60, 4 * 24 * 60, 7 * 24 * 60]);
}

#[test]
fn a_commit_finds_the_bytes_to_remove_without_reading_every_row() {
    let place = Place::new();
    let manifest = super::Manifest::open(place.folder.path(), "acme").expect("opened");
    let plan = manifest.plan_of_unreferenced();
    assert!(plan.iter().any(|step| step.contains("USING INDEX attachments_to_remove")), "{plan:?}");
    assert!(!plan.iter().any(|step| step.starts_with("SCAN one") && !step.contains("INDEX")), "{plan:?}");
}

#[test]
fn files_beyond_the_limits_are_left_out_until_the_limits_change() {
    let mut place = Place::new();
    let mut open = place.open();
    open.commit(vec![row("a", 1001, 5), row("b", 7, 5)], "c1", Some(1));
    assert_eq!(open.fetch_all(b'x'), 1);
    assert!(open.files.missing().expect("read").is_empty());
    drop(open);
    place.limits.bytes_max = 2000;
    let open = place.open();
    assert_eq!(open.next().expect("a file").name, "a.pdf");
    drop(open);
    place.limits.types = vec!["exe".to_owned()];
    let open = place.open();
    assert_eq!(open.next(), None);
    let problem = place.noted("problem FROM attachments WHERE name = 'a.pdf'").expect("a problem");
    assert_eq!(problem, "left out: `attachments_types` does not list its type");
}

#[test]
fn a_folder_that_did_not_see_the_rows_starts_a_new_snapshot() {
    let place = Place::new();
    let cursor = |open: &Open| open.sink.table_state("things").expect("read").and_then(|state| state.cursor);
    let mut open = place.open();
    open.commit(vec![row("a", 3, 5)], "c1", Some(1));
    drop(open);
    let mut open = place.open();
    assert_eq!(cursor(&open).as_deref(), Some("c1"), "the same folder");
    open.commit(vec![row("b", 3, 5)], "c2", None);
    drop(open);
    let mut open = place.open_at("others");
    assert_eq!(cursor(&open), None, "a new one");
    open.commit(vec![row("a", 3, 5), row("b", 3, 5)], "c3", Some(2));
    drop(open);
    assert_eq!(cursor(&place.open()), None, "one from before");
}

#[test]
fn a_snapshot_that_the_folder_starts_deletes_nothing_and_one_of_a_person_does() {
    let mut place = Place::new();
    place.deletes = Deletes::Hard;
    let ids = |place: &Place| {
        let rows = Database::open(place.path("rows.db")).expect("the rows");
        let sql = "SELECT group_concat(id, ' ') FROM (SELECT id FROM things ORDER BY id)";
        rows.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).expect(sql).unwrap_or_default()
    };
    let mut open = place.open();
    open.commit(vec![row("archived", 3, 5), row("b", 3, 5)], "c1", Some(10));
    drop(open);
    // Another folder, and no list shows one of the rows any more.
    let mut open = place.open_at("others");
    open.commit(Vec::new(), "c2", None);
    drop(open);
    let mut open = place.open_at("others");
    open.commit(vec![row("b", 3, 25)], "c3", Some(20));
    assert_eq!(ids(&place), "archived b");
    // The folder as it was restored from a backup.
    drop(open);
    let mut open = place.open();
    open.commit(vec![row("b", 3, 35)], "c4", Some(30));
    assert_eq!(ids(&place), "archived b");
    assert_eq!(place.noted("group_concat(key) FROM attachments WHERE deleted"), None);
    open.sink.reset("things").expect("reset");
    open.commit(vec![row("b", 3, 45)], "c5", Some(40));
    assert_eq!(ids(&place), "b");
}

#[test]
fn a_crash_between_the_notes_and_the_rows_costs_nothing() {
    let place = Place::new();
    let mut open = place.open();
    open.commit(vec![row("a", 3, 5)], "c1", Some(1));
    let rows = std::fs::read(place.path("rows.db")).expect("rows");
    drop(open);
    let whole = std::fs::read(place.path("rows.db")).expect("rows");
    assert!(whole.len() >= rows.len());
    let mut open = place.open();
    open.commit(vec![row("b", 3, 6)], "c2", None);
    drop(open);
    // The rows as they were; the notes are those of the next commit.
    std::fs::write(place.path("rows.db"), whole).expect("written");
    let mut open = place.open();
    let state = open.sink.table_state("things").expect("read").expect("a state");
    assert_eq!(state.cursor.as_deref(), Some("c1"));
    open.commit(vec![row("b", 3, 6)], "c2", None);
    assert_eq!(open.fetch_all(b'x'), 2);
}

#[test]
fn a_folder_of_somebody_else_loses_nothing() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("files/partial")).expect("made");
    std::fs::write(place.path("files/partial/theirs"), "x").expect("written");
    let refused = place.try_open("files", "acme").err().expect("refused");
    assert!(refused.message.ends_with("has a folder `partial` and no manifest"), "{refused}");
    assert!(exists(&place.path("files/partial/theirs")));
}

#[test]
fn a_folder_belongs_to_one_connection_and_one_process() {
    let place = Place::new();
    let open = place.open();
    drop(open.sink);
    drop(open.files);
    let error = place.try_open("files", "other").err().expect("opened for two");
    assert!(error.message.ends_with("those of connection `acme`, not of `other`"), "{error}");
    let folder = std::fs::File::open(place.path("files")).expect("opened");
    folder.try_lock().expect("locked");
    let error = place.try_open("files", "acme").err().expect("opened twice");
    assert!(error.message.ends_with("another process is writing to it"), "{error}");
    drop(folder);
    std::fs::write(place.path("files/manifest.db"), "something else, longer than a header of SQLite is: 100")
        .expect("written");
    assert!(place.try_open("files", "acme").is_err());
}

#[test]
fn a_link_in_place_of_a_beginning_is_not_followed() {
    let place = Place::new();
    let open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    let precious = place.path("precious");
    std::fs::write(&precious, "kept").expect("written");
    let beginning = place.path("files/partial").join(wanted.partial_name());
    std::os::unix::fs::symlink(&precious, beginning).expect("linked");
    open.store(&wanted, b"0123456789", true).expect_err("followed");
    assert_eq!(std::fs::read_to_string(&precious).expect("read"), "kept");
    // The failed attempt removes the link, and the next one stores the file.
    open.files.failed(&wanted, "a link", Duration::ZERO, 1.0).expect("noted");
    let wanted = open.next().expect("a file");
    assert_eq!(open.store(&wanted, b"0123456789", true).expect("stored"), Stored::Whole);
}

#[test]
fn a_link_in_place_of_a_folder_is_refused_and_nothing_behind_it_is_deleted() {
    let place = Place::new();
    let open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    let (partial, theirs) = (place.path("files/partial"), place.path("theirs"));
    let sha256 = sha256_hex(b"0123456789");
    let precious = [theirs.join(&sha256), theirs.join(wanted.partial_name())];
    std::fs::create_dir(&theirs).expect("made");
    let bytes = |path: &PathBuf| std::fs::read_to_string(path).expect("read");
    precious.iter().for_each(|path| std::fs::write(path, "kept").expect("written"));
    std::fs::remove_dir(&partial).expect("removed");
    std::os::unix::fs::symlink(&theirs, &partial).expect("linked");
    open.store(&wanted, b"0123456789", true).expect_err("followed");
    open.files.failed(&wanted, "a link", Duration::ZERO, 1.0).expect("noted");
    drop(open);
    let refused = place.try_open("files", "acme").err().expect("followed");
    assert!(refused.message.ends_with("files/partial: is a link, not a folder"), "{refused}");
    std::fs::remove_file(&partial).expect("removed");
    // The folder of a content.
    let open = place.open();
    let wanted = open.next().expect("a file");
    std::os::unix::fs::symlink(&theirs, place.path("files").join(&sha256[..2])).expect("linked");
    open.store(&wanted, b"0123456789", true).expect_err("followed");
    assert_eq!(precious.each_ref().map(bytes), ["kept", "kept"]);
}

/// The names of the files in `folder` that this process has open.
fn open_files(folder: &Path) -> Vec<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("listed").flatten();
    let paths = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let paths = paths.filter(|path| path.starts_with(folder));
    paths.map(|path| path.display().to_string()).collect()
}

#[test]
fn an_idle_connection_has_no_file_of_the_folder_open_and_continues() {
    let place = Place::new();
    let mut open = place.open_with_a_row();
    let wanted = open.next().expect("a file");
    open.store(&wanted, b"01234", false).expect("stored");
    let files = place.path("files");
    assert!(!open_files(&files).is_empty());
    open.sink.rest();
    assert_eq!(open_files(&files), Vec::<String>::new());
    assert!(open.files.due_ms().is_some(), "it is known that a file is to be fetched");
    let wanted = open.next().expect("a file");
    assert_eq!(wanted.offset, 5);
    open.sink.rest();
    assert_eq!(open.store(&wanted, b"56789", true).expect("stored"), Stored::Whole);
    open.sink.rest();
    open.commit(vec![row("b", 3, 6)], "c2", None);
    assert_eq!(open.fetch_all(b'x'), 1);
}

/// An open folder with two files that are to be fetched; its manifest, and a backup that lacks the second.
fn open_and_older(place: &Place) -> (Open, [PathBuf; 2]) {
    let mut open = place.open_with_a_row();
    let [manifest, backup] = ["files/manifest.db", "backup.db"].map(|name| place.path(name));
    open.sink.rest();
    std::fs::copy(&manifest, &backup).expect("copied");
    open.commit(vec![row("b", 3, 6)], "c2", None);
    (open, [manifest, backup])
}

#[test]
fn a_manifest_that_is_restored_while_its_connection_is_idle_is_not_continued() {
    let place = Place::new();
    let (mut open, [manifest, backup]) = open_and_older(&place);
    open.sink.rest();
    std::fs::copy(&backup, &manifest).expect("restored");
    let error = open.files.next().expect_err("it lacks a file");
    assert!(error.message.ends_with("the manifest is not as it was: it was restored"), "{error}");
    assert!(open.files.next().is_err(), "until the connection starts again");
}

#[test]
fn a_manifest_that_takes_the_place_of_an_open_one_is_not_written_to() {
    for rests in [false, true] {
        let place = Place::new();
        let (mut open, [manifest, backup]) = open_and_older(&place);
        std::fs::rename(&backup, &manifest).expect("exchanged");
        if rests {
            open.sink.rest();
        }
        let error = open.files.next().expect_err("it lacks a file");
        let why = if rests { "it was restored" } else { "another file has taken its place" };
        assert!(error.message.ends_with(why), "{error}");
        drop(open);
        let rows = "group_concat(DISTINCT json_extract(key, '$.id')) FROM attachments";
        assert_eq!(place.noted(rows).as_deref(), Some("a"), "nor is the log of the former one applied to it");
    }
}
