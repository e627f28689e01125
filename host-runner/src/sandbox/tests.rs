//! The permits of one connection and its neighbors: a process with room for a single call.

use std::path::Path;

use super::Sandbox;
use crate::error::{Origin, Result};
use crate::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX};
use crate::loaded::{LoadedConnection, OpenConnection, SharedEngine, tiny};
use crate::state::ConnectionStore;

async fn open(engine: &SharedEngine, folder: &Path, name: &str) -> OpenConnection {
    open_of(engine, folder, name, &tiny::component()).await.expect("loaded")
}

async fn open_of(
    engine: &SharedEngine,
    folder: &Path,
    name: &str,
    component: &Path,
) -> Result<OpenConnection> {
    let paths = tiny::paths(folder);
    let connection = tiny::connection_of(folder, name, "", component);
    let component = engine.component(component, &paths)?;
    let loaded = LoadedConnection::with(component, connection, &paths).await?;
    let store = ConnectionStore::open(&paths, name).expect("opened").lock().expect("free");
    loaded.open(store)
}

async fn echo(sandbox: &mut Sandbox) {
    sandbox.command("echo".to_owned(), "{}".to_owned()).await.expect("answered");
}

#[tokio::test]
async fn a_reservation_is_for_a_read_and_no_other_call_uses_or_waits_for_it() {
    let (engine, folder) = (SharedEngine::new(1), tempfile::tempdir().expect("a folder"));
    let mut one = open(&engine, folder.path(), "one").await.sandbox;
    let mut other = open(&engine, folder.path(), "other").await.sandbox;
    one.reserve_read().await.expect("free");
    echo(&mut one).await;
    assert!(one.reserved.is_none() && one.reserving.is_empty(), "given back before the call");
    echo(&mut other).await;

    one.reserve_read().await.expect("free");
    one.read("things".to_owned(), None).await.expect("read");
    assert!(one.reserved.is_none(), "used by the read");

    // Another connection has the permit, and this one has its place in the order of waiting reads.
    other.reserve_read().await.expect("free");
    tokio::select! {
        biased;
        reserved = one.reserve_read() => panic!("{reserved:?}"),
        () = tokio::task::yield_now() => {}
    }
    tokio::join!(echo(&mut one), async { other.unreserve() });
    echo(&mut other).await;
}

#[tokio::test]
async fn reads_that_hang_delay_no_discovery() {
    // Without its tables a connection applies no delivery, so it must not wait for reads of others.
    let (engine, folder) = (SharedEngine::new(4), tempfile::tempdir().expect("a folder"));
    let mut hanging = Vec::new();
    for name in ["a", "b", "c"] {
        let mut one = open(&engine, folder.path(), name).await.sandbox;
        one.reserve_read().await.expect("free");
        hanging.push(one);
    }
    let mut other = open(&engine, folder.path(), "other").await.sandbox;
    other.discover().await.expect("discovered");
    echo(&mut other).await;
}

#[tokio::test]
async fn no_permit_is_held_while_a_session_cannot_be_stored() {
    let (engine, folder) = (SharedEngine::new(1), tempfile::tempdir().expect("a folder"));
    let mut one = open(&engine, folder.path(), "one").await.sandbox;
    let mut other = open(&engine, folder.path(), "other").await.sandbox;
    let state = folder.path().join("data/one/state.db");
    let aside = folder.path().join("aside");
    std::fs::rename(&state, &aside).expect("moved");
    one.authorize("{\"code\":\"good-code\"}".to_owned()).await.expect_err("there is no file");
    one.reserve_read().await.expect("free");
    one.read("things".to_owned(), None).await.expect_err("still no file");
    echo(&mut other).await;
    std::fs::rename(&aside, &state).expect("moved");
    one.read("things".to_owned(), None).await.expect("read");
}

#[tokio::test]
async fn every_instance_of_the_process_may_have_as_many_modules_and_memories_as_are_allowed() {
    const INSTANCES: u32 = 4;
    let (engine, folder) = (SharedEngine::new(INSTANCES), tempfile::tempdir().expect("a folder"));
    let tiny = tiny::core_items(&std::fs::read(tiny::component()).expect("read"));
    let more = CORE_INSTANCES_MAX - tiny.instances;
    let largest = tiny::with_modules(folder.path(), more, MEMORIES_MAX - tiny.memories);
    let items = tiny::core_items(&std::fs::read(&largest).expect("read"));
    assert_eq!((items.instances, items.memories), (CORE_INSTANCES_MAX, MEMORIES_MAX));
    let mut all = Vec::new();
    for number in 0..INSTANCES {
        let name = format!("c{number}");
        let mut one = open_of(&engine, folder.path(), &name, &largest).await.expect("loaded").sandbox;
        echo(&mut one).await;
        all.push(one);
    }
    assert!(all.iter().all(Sandbox::is_live), "all at once");
    for (modules, memories) in [(more + 1, 0), (more, MEMORIES_MAX - tiny.memories + 1)] {
        let beyond = tiny::with_modules(folder.path(), modules, memories);
        let error = open_of(&engine, folder.path(), "beyond", &beyond).await.err().expect("loaded");
        assert_eq!(error.origin, Origin::Sandbox, "of the component, not of the host: {error}");
    }
}
