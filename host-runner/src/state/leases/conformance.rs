//! The conformance suite of [`Leases`]: one holder at a time, an epoch for each, and clear errors
//! when a lease or its epoch is not to be had.

use super::{FileLeases, Leases, MemoryLeases};
use crate::error::Kind;
use crate::loaded::tiny;
use crate::sandbox::SessionStore;
use crate::secret::Redactor;
use crate::state::ConnectionStore;
use crate::state::items::conformance::FailingStore;

/// A way to keep runners apart.
struct Case<'a> {
    /// The lease of one connection, as another runner has it.
    open: &'a dyn Fn() -> Box<dyn Leases>,
    /// Ends the lease of its holder; none where it ends with its process.
    end: Option<&'a dyn Fn()>,
}

impl Case<'_> {
    /// The connection as another runner has it; runners share the state.
    fn runner(&self, state: &FailingStore) -> ConnectionStore {
        let folder = tempfile::tempdir().expect("a folder");
        let key = tiny::paths(folder.path()).key().expect("a key");
        ConnectionStore::over(Box::new(state.clone()), (self.open)(), "acme", key, Redactor::default())
    }
}

fn conforms(case: &Case<'_>) {
    one_runner_at_a_time_has_it(case);
    every_taking_has_a_greater_epoch(case);
    one_without_an_epoch_is_free_again(case);
    a_holder_that_lost_it_is_asked_to_stop_and_cannot_write(case);
}

fn one_runner_at_a_time_has_it(case: &Case<'_>) {
    let state = FailingStore::default();
    let (one, other) = (case.runner(&state), case.runner(&state));
    let lease = one.lock().expect("free");
    for runner in [&one, &other] {
        assert_eq!(runner.lock().map(drop).expect_err("taken twice").kind, Kind::Unavailable);
        runner.check_free().expect_err("taken");
    }
    let clone = lease.clone();
    drop(lease);
    other.lock().map(drop).expect_err("a clone holds it");
    assert!(!clone.lost().is_requested());
    drop(clone);
    other.check_free().expect("given back");
    one.lock().expect("a look takes nothing");
}

fn every_taking_has_a_greater_epoch(case: &Case<'_>) {
    let state = FailingStore::default();
    let epochs = [(); 4].map(|()| case.runner(&state).lock().expect("free").epoch());
    assert!(epochs[0] > 0 && epochs.windows(2).all(|pair| pair[0] < pair[1]), "{epochs:?}");
    let lease = case.runner(&state).lock_to_serve(7).expect("free");
    assert!(lease.epoch() > epochs[3]);
    lease.outrank(1_000).expect("raised");
    drop(lease);
    assert!(case.runner(&state).lock().expect("free").epoch() > 1_001);
}

fn one_without_an_epoch_is_free_again(case: &Case<'_>) {
    let state = FailingStore::default();
    let runner = case.runner(&state);
    state.set_failing(true);
    runner.lock().map(drop).expect_err("its epoch cannot be stored");
    runner.lock_to_serve(7).map(drop).expect_err("nor here");
    state.set_failing(false);
    runner.lock().expect("free");
}

fn a_holder_that_lost_it_is_asked_to_stop_and_cannot_write(case: &Case<'_>) {
    let Some(end) = case.end else { return };
    let state = FailingStore::default();
    let (one, other) = (case.runner(&state), case.runner(&state));
    let stale = one.lock().expect("free");
    stale.save(Some("{}")).expect("saved");
    end();
    assert!(stale.lost().is_requested());
    let successor = other.lock().expect("free");
    assert!(successor.epoch() > stale.epoch());
    successor.save(Some("{\"a\":1}")).expect("saved");
    stale.save(Some("{\"a\":2}")).expect_err("of a former holder");
    stale.outrank(1_000).expect_err("of a former holder");
    drop(stale);
    assert!(!successor.lost().is_requested());
    one.lock().map(drop).expect_err("a former holder gives back nothing");
}

#[test]
fn the_lock_of_a_file_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let lease = || FileLeases { folder: folder.path().to_owned(), name: "acme".to_owned() };
    conforms(&Case { open: &|| Box::new(lease()), end: None });
}

#[test]
fn leases_in_memory_conform() {
    let leases = MemoryLeases::default();
    conforms(&Case { open: &|| Box::new(leases.clone()), end: Some(&|| leases.end()) });
}
