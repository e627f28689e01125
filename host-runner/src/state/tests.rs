//! The store on disk: locking, sealing, reopening.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::items::Item;
use super::items::conformance::FailingStore;
use super::lease::STARTS_AT_ONCE;
use super::leases::MemoryLeases;
use super::{Change, ConnectionStore, StoredSubscription, StoredWebhookUrls};
use crate::clock::now_ms;
use crate::error::{Kind, Origin};
use crate::paths::Paths;
use crate::sandbox::SessionStore;
use crate::secret::Redactor;

const SESSION: &str = r#"{"refresh":"1000.very-secret-token"}"#;

/// A data folder whose key consists of this byte.
fn paths(data: &Path, byte: u8) -> Paths {
    let file = data.join(format!("key-{byte}"));
    std::fs::write(&file, format!("{byte:02x}").repeat(32)).expect("written");
    Paths::new(data.to_owned(), None, Some(file), Redactor::default())
}

fn open(data: &Path, byte: u8) -> ConnectionStore {
    ConnectionStore::open(&paths(data, byte), "acme").expect("opened")
}

#[test]
fn a_connection_is_locked_by_one_process_at_a_time() {
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    let lock = store.lock().expect("free");
    let error = store.lock().map(drop).expect_err("locked twice");
    assert_eq!(error.message, format!("connection `acme`: in use by process {}", std::process::id()));
    let other = ConnectionStore::open(&paths(data.path(), 1), "other").expect("opened");
    other.lock().expect("another connection is free");
    let clone = lock.clone();
    drop(lock);
    assert!(store.lock().is_err(), "a clone holds the lock");
    drop(clone);
    store.lock().expect("free again");
}

#[test]
fn a_server_that_starts_again_and_again_is_known_by_it_also_after_commands() {
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    let serve = || {
        let locked = store.lock_to_serve(7).expect("free");
        locked.outrank(locked.epoch() + 3).expect("raised");
        locked.starts_again()
    };
    assert!((0..STARTS_AT_ONCE).all(|_| !serve()));
    assert!(serve());
    assert!(!store.lock().expect("free").starts_again());
    assert!(serve());
}

#[test]
fn a_session_opens_with_the_same_key_only_and_is_sealed_on_disk() {
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    assert_eq!(store.session().expect("loaded"), None);
    store.lock().expect("free").save(Some(SESSION)).expect("saved");
    assert_eq!(store.session().expect("loaded").as_deref(), Some(SESSION));
    assert_eq!(store.0.redactor.redact("1000.very-secret-token"), "[secret]");
    drop(store);

    assert_eq!(open(data.path(), 1).session().expect("loaded").as_deref(), Some(SESSION));
    assert!(open(data.path(), 2).session().is_err(), "another key opened it");
    for entry in std::fs::read_dir(data.path().join("acme")).expect("listed") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("very-secret-token"), "the session is on disk in the clear");
    }
    let locked = open(data.path(), 2).lock().expect("free");
    assert!(locked.delete_session().expect("deleted without its key"));
    assert!(!locked.delete_session().expect("deleted"));
    assert_eq!(open(data.path(), 1).session().expect("loaded"), None);
}

#[test]
fn a_subscription_opens_with_the_same_key_only() {
    let data = tempfile::tempdir().expect("a folder");
    let open = |byte| open(data.path(), byte);
    assert_eq!(open(1).subscription().expect("loaded"), None);
    let stored = StoredSubscription {
        subscription: r#"{"id":"7"}"#.to_owned(),
        public_url: "https://example.com".to_owned(),
    };
    open(1).set_subscription(Some(&stored)).expect("stored");
    assert_eq!(open(1).subscription().expect("loaded"), Some(stored));
    assert!(open(2).subscription().is_err(), "another key opened it");
    open(1).set_subscription(None).expect("deleted");
    assert_eq!(open(1).subscription().expect("loaded"), None);
}

#[test]
fn a_sealed_session_does_not_open_as_a_subscription() {
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    store.lock().expect("free").save(Some(SESSION)).expect("saved");
    let sealed = store.0.items.load(Item::Session).expect("loaded").value;
    store.update(Item::Subscription, |_| Ok(Change::To(sealed.clone()))).expect("copied");
    assert!(store.subscription().is_err());
}

#[test]
fn a_rotated_secret_stays_valid_for_its_grace_period() {
    let data = tempfile::tempdir().expect("a folder");
    let reveal = |byte| open(data.path(), byte).webhook_url().reveal();
    let first = reveal(1).expect("generated");
    assert_eq!(reveal(1).expect("kept").reveal(), first.reveal());
    assert!(reveal(2).is_err(), "another key reveals it");
    let store = open(data.path(), 1);
    let secrets = store.webhook_url().rotate(Duration::from_secs(60)).expect("rotated");
    let second = store.webhook_url().reveal().expect("kept");
    assert_ne!(second.reveal(), first.reveal());
    assert!(secrets.matches(first.reveal(), now_ms()) && secrets.matches(second.reveal(), now_ms()));
    assert_eq!(store.0.redactor.redact(second.reveal()), second.reveal(), "a person asked for it");
    store.webhook_url().secret().expect("kept");
    assert_eq!(store.0.redactor.redact(second.reveal()), "[secret]");
}

#[test]
fn a_removed_connection_stays_removed_until_it_is_served_again() {
    let data = tempfile::tempdir().expect("a folder");
    let paths = paths(data.path(), 1);
    let mut urls = StoredWebhookUrls::default();
    let mut stored = || {
        let found = urls.read(&paths, |name| name != "running").expect("read").urls.into_iter();
        found.map(|one| (one.name, one.file, one.is_removed)).collect::<Vec<_>>()
    };
    ConnectionStore::open(&paths, "running").expect("opened").webhook_url().reveal().expect("generated");
    ConnectionStore::open(&paths, "without-a-url").expect("opened");
    std::fs::create_dir(data.path().join("cache")).expect("a folder");
    assert_eq!(stored(), []);
    let acme = ConnectionStore::open(&paths, "acme").expect("opened");
    let url = acme.webhook_url();
    url.reveal().expect("generated");
    url.set_removed().expect("recorded");
    assert_eq!(stored(), [("acme".to_owned(), None, false)], "no server ever had it");
    let file = PathBuf::from("/etc/connections/acme.toml");
    for _ in 0..2 {
        url.set_served(&file).expect("recorded");
        assert_eq!(stored(), [("acme".to_owned(), Some(file.clone()), false)]);
        url.set_removed().expect("recorded");
        assert_eq!(stored(), [("acme".to_owned(), Some(file.clone()), true)]);
    }
}

#[test]
fn a_state_that_another_process_holds_is_no_connection_without_a_url() {
    let data = tempfile::tempdir().expect("a folder");
    let paths = paths(data.path(), 1);
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    for number in 0..20 {
        let name = format!("c{number:02}");
        ConnectionStore::open(&paths, &name).expect("opened").webhook_url().reveal().expect("generated");
    }
    let held = rusqlite::Connection::open(data.path().join("c07/state.db")).expect("opened");
    held.execute_batch("BEGIN EXCLUSIVE").expect("held");
    let mut urls = StoredWebhookUrls::default();
    let found = urls.read(&paths, |_| true).expect("read");
    assert_eq!((found.urls.len(), found.unreadable), (19, names(&["c07"])));
    drop(held);
    let found = urls.read(&paths, |_| true).expect("read");
    assert_eq!((found.urls.len(), found.unreadable), (20, names(&[])));
}

#[test]
fn a_session_that_cannot_be_stored_is_kept_until_it_can_be() {
    let data = tempfile::tempdir().expect("a folder");
    let locked = open(data.path(), 1).lock().expect("free");
    locked.save(Some(r#"{"refresh":"first-of-all"}"#)).expect("saved");
    // Another program holds the file for longer than a statement waits, or the disk is full.
    let folder = data.path().join("acme");
    std::fs::rename(folder.join("state.db"), folder.join("aside")).expect("moved");
    let error = locked.save(Some(SESSION)).expect_err("there is no file");
    assert_eq!((error.origin, error.kind), (Origin::State, Kind::Unavailable), "{error}");
    assert!(!locked.is_saved());
    std::fs::rename(folder.join("aside"), folder.join("state.db")).expect("moved");
    assert_eq!(
        locked.session().expect("loaded").as_deref(),
        Some(SESSION),
        "the first token is worth nothing"
    );
    locked.save(Some(SESSION)).expect("saved");
    assert!(locked.is_saved());
    assert_eq!(open(data.path(), 1).session().expect("loaded").as_deref(), Some(SESSION));
}

#[test]
fn a_session_of_another_process_replaces_one_that_could_not_be_stored() {
    let data = tempfile::tempdir().expect("a folder");
    let locked = open(data.path(), 1).lock().expect("free");
    let folder = data.path().join("acme");
    std::fs::rename(folder.join("state.db"), folder.join("aside")).expect("moved");
    locked.save(Some(SESSION)).expect_err("there is no file");
    std::fs::rename(folder.join("aside"), folder.join("state.db")).expect("moved");
    let store = locked.store.clone();
    drop(locked);
    let newer = r#"{"refresh":"of-another-process"}"#;
    open(data.path(), 1).lock().expect("free").save(Some(newer)).expect("saved");
    assert_eq!(store.session().expect("loaded").as_deref(), Some(newer));
    assert!(store.lock().expect("free").is_saved());
}

#[test]
fn the_files_of_a_connection_are_closed_between_two_statements() {
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    store.webhook_url().secrets().expect("generated");
    let folder = std::fs::canonicalize(data.path().join("acme")).expect("a folder");
    let open_files = std::fs::read_dir("/proc/self/fd").expect("listed").filter_map(|entry| {
        std::fs::read_link(entry.ok()?.path()).ok().filter(|file| file.starts_with(&folder))
    });
    assert_eq!(open_files.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    let names: Vec<_> =
        std::fs::read_dir(&folder).expect("listed").map(|one| one.expect("read").file_name()).collect();
    assert_eq!(names, ["state.db"]);
}

#[test]
fn every_taking_of_a_connection_has_a_greater_epoch() {
    let data = tempfile::tempdir().expect("a folder");
    let epochs = [(); 3].map(|()| open(data.path(), 1).lock().expect("free").epoch());
    assert!(epochs.is_sorted() && epochs[0] > 0 && epochs[0] < epochs[1], "{epochs:?}");
    let lease = open(data.path(), 1).lock().expect("free");
    let own = lease.epoch();
    lease.outrank(own - 1).expect("it is the newest");
    assert_eq!(lease.epoch(), own);
    lease.outrank(own).expect("that of another runner, before this folder was restored");
    assert_eq!(lease.epoch(), own + 1);
    lease.outrank(1_000).expect("raised");
    assert_eq!(lease.epoch(), 1_001);
    lease.take_over();
    lease.outrank(1_000).expect("not above its own");
    lease.outrank(2_000).expect_err("taken over");
    assert_eq!(lease.epoch(), 1_001);
}

#[test]
fn a_runner_that_was_taken_over_does_not_replace_the_session() {
    let data = tempfile::tempdir().expect("a folder");
    let stale = open(data.path(), 1).lock().expect("free");
    stale.save(Some(SESSION)).expect("saved");
    // The lock did not keep the other runner out.
    std::fs::remove_file(data.path().join("acme/lock")).expect("removed");
    let successor = open(data.path(), 1).lock().expect("free");
    let newer = r#"{"refresh":"of-the-successor"}"#;
    successor.save(Some(newer)).expect("saved");
    let error = stale.save(Some(r#"{"refresh":"worth-nothing"}"#)).expect_err("taken over");
    assert_eq!(error.message, "connection `acme`: another runner has taken it over");
    assert_eq!(stale.session().expect("loaded").as_deref(), Some(newer));
}

#[test]
fn rotations_at_the_same_time_all_count() {
    const ROTATIONS: usize = 4;
    let data = tempfile::tempdir().expect("a folder");
    let store = open(data.path(), 1);
    store.webhook_url().secrets().expect("generated");
    let first = store.0.items.load(Item::WebhookUrl).expect("loaded").revision;
    std::thread::scope(|scope| {
        for _ in 0..ROTATIONS {
            scope.spawn(|| store.webhook_url().rotate(Duration::from_secs(60)).expect("rotated"));
        }
    });
    assert_eq!(store.0.items.load(Item::WebhookUrl).expect("loaded").revision, first + ROTATIONS as u64);
    store.webhook_url().secrets().expect("kept");
    assert_eq!(store.0.items.load(Item::WebhookUrl).expect("loaded").revision, first + ROTATIONS as u64);
}

#[test]
fn a_full_disk_keeps_the_session_in_memory_and_everything_else_as_it_was() {
    let data = tempfile::tempdir().expect("a folder");
    let disk = FailingStore::default();
    let key = paths(data.path(), 1).key().expect("a key");
    let leases = Box::new(MemoryLeases::default());
    let store = ConnectionStore::over(Box::new(disk.clone()), leases, "acme", key, Redactor::default());
    let lease = store.lock().expect("free");
    lease.save(Some(r#"{"refresh":"first-of-all"}"#)).expect("saved");
    let first = store.webhook_url().secrets().expect("generated");
    disk.set_failing(true);
    lease.save(Some(SESSION)).expect_err("full");
    store.webhook_url().rotate(Duration::ZERO).expect_err("full");
    lease.delete_session().expect_err("full");
    lease.outrank(1_000).expect_err("full");
    assert_eq!(store.session().expect("loaded").as_deref(), Some(SESSION));
    assert_eq!(store.webhook_url().secrets().expect("loaded"), first);
    disk.set_failing(false);
    assert_eq!(lease.epoch(), 1);
    lease.save(Some(SESSION)).expect("saved");
    assert!(lease.is_saved());
}
