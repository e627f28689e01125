//! More connections than component instances: every connection gets its turn.

use std::path::PathBuf;

use super::process::{Server, eventually};
use super::{event, later};
use crate::support::{Place, component};

/// Well above the instances that the server may have.
const CONNECTIONS: usize = 150;

/// Adds connections in a folder, besides that of the place.
fn add(place: &Place, connections: usize) -> PathBuf {
    let folder = place.path("connections");
    std::fs::create_dir(&folder).expect("made");
    for number in 0..connections {
        let text = format!(
            "name = \"c{number}\"\ncomponent = {:?}\n[config]\nsecret = \"${{TINY_SECRET}}\"\nrows = 3\n\
             [sink]\npath = \"c{number}.db\"\n",
            component()
        );
        std::fs::write(folder.join(format!("c{number}.toml")), text).expect("written");
    }
    folder
}

/// The connections whose first snapshot is complete.
fn complete(server: &Server) -> usize {
    let metrics = server.request("GET", "/-/metrics", "").1;
    let complete = |line: &&str| {
        line.contains("table_snapshot_complete{") && line.contains("\"things\"") && line.ends_with(" 1")
    };
    metrics.lines().filter(complete).count()
}

#[test]
fn more_connections_than_instances_are_all_read_and_all_take_deliveries() {
    let place = Place::new("rows = 3");
    let folder = add(&place, CONNECTIONS);
    let server = Server::start_with(&place, &["--connections", "connections", "--instances", "16"]);
    eventually("all first snapshots", || complete(&server) == CONNECTIONS + 1);
    let base = later();
    for number in (0..CONNECTIONS).step_by(10) {
        let file = format!("connections/c{number}.toml");
        let hook = server.webhook_path_of(&place, &file);
        assert_eq!(server.request("POST", &hook, &event("things", "9", "create", base).to_string()).0, 200);
    }
    eventually("all deliveries", || {
        let metrics = server.request("GET", "/-/metrics", "").1;
        let mut queues =
            metrics.lines().filter(|line| line.starts_with("host_runner_delivery_queue_length{"));
        queues.all(|line| line.ends_with(" 0"))
    });
    for number in (0..CONNECTIONS).step_by(10) {
        let database = rusqlite::Connection::open(folder.join(format!("c{number}.db"))).expect("opened");
        let rows: i64 =
            database.query_row("SELECT count(*) FROM things_live", [], |row| row.get(0)).expect("counted");
        assert_eq!(rows, 4, "c{number}");
    }
    server.stop();
}

#[test]
fn connections_beyond_the_limit_of_open_files_are_refused_in_one_line_and_the_others_run() {
    const FILES: u32 = 400;
    let place = Place::new("rows = 3");
    add(&place, 70);
    let server = Server::start_with_files(&place, &["--connections", "connections"], FILES);
    // 400 files less 256, and of the rest seven eighths: two for each.
    let served = 63;
    eventually("the snapshots of the others", || complete(&server) == served);
    let health = server.health();
    let invalid = health["invalid_files"].as_array().expect("a list");
    assert_eq!((health["connections"].as_array().map(Vec::len), invalid.len()), (Some(served), 71 - served));
    let error = "this process may open 400 files, which is enough for 63 connections";
    assert!(invalid.iter().all(|file| file["error"] == error), "{invalid:?}");
    server.signal("-HUP");
    eventually("the reload", || server.metric("connection_files_invalid") == Some(8.0));
    let log = server.log();
    assert_eq!(log.matches(error).count(), 1, "{log}");
    assert!(log.contains("warning: 8 connection files are not loaded: "), "{log}");
    assert!(!log.contains("os error 24") && !log.contains("restarts"), "{log}");
    assert!(server.open_files().len() < 400, "{:?}", server.open_files());
    let hook = server.webhook_path(&place);
    assert_eq!(server.request("POST", &hook, &event("things", "9", "create", later()).to_string()).0, 200);
    server.stop();
}
