//! More connections than component instances: every connection gets its turn.

use super::process::{Server, eventually};
use super::{event, later};
use crate::support::{Place, component};

/// Well above the instances that the server may have.
const CONNECTIONS: usize = 150;

#[test]
fn more_connections_than_instances_are_all_read_and_all_take_deliveries() {
    let place = Place::new("rows = 3");
    let folder = place.path("connections");
    std::fs::create_dir(&folder).expect("made");
    for number in 0..CONNECTIONS {
        let text = format!(
            "name = \"c{number}\"\ncomponent = {:?}\n[config]\nsecret = \"${{TINY_SECRET}}\"\nrows = 3\n\
             [sink]\npath = \"c{number}.db\"\n",
            component()
        );
        std::fs::write(folder.join(format!("c{number}.toml")), text).expect("written");
    }
    let server = Server::start_with(&place, &["--connections", "connections", "--instances", "16"]);
    eventually("all first snapshots", || {
        let metrics = server.request("GET", "/-/metrics", "").1;
        let complete = |line: &&str| {
            line.contains("table_snapshot_complete{") && line.contains("\"things\"") && line.ends_with(" 1")
        };
        metrics.lines().filter(complete).count() == CONNECTIONS + 1
    });
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
