//! The conformance suite of [`StateStore`], and a store that fails when it is asked to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Item, MemoryStore, SqliteStore, StateStore, Stored};
use crate::error::{Error, Result};

/// Values in memory that cannot be changed when a test says so. Clones share them.
#[derive(Clone, Default)]
pub(in crate::state) struct FailingStore {
    items: MemoryStore,
    fails: Arc<AtomicBool>,
}

impl FailingStore {
    /// From now on every change fails, or no longer.
    pub(in crate::state) fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Relaxed);
    }
}

impl StateStore for FailingStore {
    fn load(&self, item: Item) -> Result<Stored> {
        self.items.load(item)
    }

    fn store(&self, item: Item, value: Option<&[u8]>, expected: u64, above: u64) -> Result<Option<u64>> {
        if self.fails.load(Relaxed) {
            return Err(Error::state("no space left"));
        }
        self.items.store(item, value, expected, above)
    }
}

/// Runs the suite; `open` opens the same store each time.
fn conforms(open: &dyn Fn() -> Box<dyn StateStore>) {
    changes_name_the_revision_that_they_replace(&*open());
    an_item_survives_reopening(open);
    of_several_writers_one_wins(open);
}

fn changes_name_the_revision_that_they_replace(store: &dyn StateStore) {
    let stored = |value: Option<&[u8]>, revision| Stored { value: value.map(<[u8]>::to_vec), revision };
    assert_eq!(store.load(Item::Served).expect("loaded"), Stored::default());
    assert_eq!(store.store(Item::Served, Some(b"0"), 7, 0).expect("asked"), None, "there is no revision 7");
    let first = store.store(Item::Served, Some(b"1"), 0, 0).expect("asked").expect("stored");
    assert_eq!(store.load(Item::Served).expect("loaded"), stored(Some(b"1"), first));
    assert_eq!(store.store(Item::Served, Some(b"2"), 0, 0).expect("asked"), None, "it exists");
    let second = store.store(Item::Served, None, first, 0).expect("asked").expect("deleted");
    assert!(second > first);
    assert_eq!(store.load(Item::Served).expect("loaded"), stored(None, second));
    assert_eq!(store.store(Item::Served, Some(b"3"), 0, 0).expect("asked"), None, "a deletion is a change");
    assert_eq!(store.store(Item::Served, Some(b"3"), first, 0).expect("asked"), None);
    let third = store.store(Item::Served, Some(b"3"), second, 1_000).expect("asked").expect("stored");
    assert!(third > 1_000);
    assert_eq!(store.load(Item::Session).expect("loaded"), Stored::default(), "items are apart");
}

fn an_item_survives_reopening(open: &dyn Fn() -> Box<dyn StateStore>) {
    let revision = open().store(Item::Subscription, Some(&[0, 255]), 0, 0).expect("asked").expect("stored");
    let expected = Stored { value: Some(vec![0, 255]), revision };
    assert_eq!(open().load(Item::Subscription).expect("loaded"), expected);
}

fn of_several_writers_one_wins(open: &dyn Fn() -> Box<dyn StateStore>) {
    const WRITERS: usize = 8;
    let stores: Vec<_> = (0..WRITERS).map(|_| open()).collect();
    let expected = stores[0].load(Item::Lease).expect("loaded").revision;
    let won: Vec<bool> = std::thread::scope(|scope| {
        let write = |store: &'_ dyn StateStore| store.store(Item::Lease, None, expected, 0);
        let writers: Vec<_> = stores
            .iter()
            .map(|store| scope.spawn(move || write(&**store).expect("asked").is_some()))
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
}

#[test]
fn the_store_in_sqlite_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    conforms(&|| Box::new(SqliteStore::open(path.clone(), "acme").expect("opened")));
}

#[test]
fn the_store_in_memory_conforms() {
    let store = FailingStore::default();
    conforms(&|| Box::new(store.clone()));
}
