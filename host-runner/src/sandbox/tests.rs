//! The permits of one connection and its neighbors: a process with room for a single call.

use std::path::Path;

use super::Sandbox;
use crate::loaded::{LoadedConnection, OpenConnection, SharedEngine, tiny};
use crate::state::ConnectionStore;

async fn open(engine: &SharedEngine, folder: &Path, name: &str) -> OpenConnection {
    let paths = tiny::paths(folder);
    let component = engine.component(&tiny::component(), &paths).expect("compiled");
    let connection = tiny::connection(folder, name);
    let loaded = LoadedConnection::with(component, connection, &paths).await.expect("loaded");
    let store = ConnectionStore::open(&paths, name).expect("opened").lock().expect("free");
    loaded.open(store).expect("opened")
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
