//! While one connection waits, deliveries are answered, other connections run, and a stop is obeyed.
//!
//! Each test blocks something for as long as it needs and asks for the answer meanwhile: by order, not by
//! time. A lock of SQLite ends its wait by itself, so that many answers come while a few commits wait for
//! one.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use super::process::{Server, eventually};
use super::{event, later, until_read};
use crate::server::Server as Source;
use crate::support::{Place, component};

const FOLDER: [&str; 2] = ["--connections", "connections"];
const TAKEN: &str = "deliveries are taken on ";

/// Adds a connection to the folder, with more lines under `[config]`.
fn add(place: &Place, name: &str, config: &str) {
    let folder = place.path("connections");
    std::fs::create_dir_all(&folder).expect("made");
    let text = format!(
        "name = \"{name}\"\ncomponent = {:?}\n[sink]\npath = \"{name}.db\"\n[config]\nrows = 3\n{config}\n",
        component()
    );
    std::fs::write(folder.join(format!("{name}.toml")), text).expect("written");
}

const SECRET: &str = "secret = \"${TINY_SECRET}\"";

/// A connection with its secret in a file.
fn add_with_file(place: &Place, name: &str) {
    add(place, name, &format!("secret_file = \"{name}.secret\""));
    unblock(place, name);
}

/// From now on, reading the file of the secret does not end.
fn block(place: &Place, name: &str) {
    let file = place.path(&format!("connections/{name}.secret"));
    std::fs::remove_file(&file).expect("removed");
    assert!(Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
}

fn unblock(place: &Place, name: &str) {
    let file = place.path(&format!("connections/{name}.secret"));
    let _missing = std::fs::remove_file(&file);
    std::fs::write(file, "secret-in-a-file").expect("written");
}

/// A transaction that keeps others from writing.
fn lock(place: &Place, database: &str) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(place.path(database)).expect("opened");
    database.execute_batch("BEGIN IMMEDIATE").expect("locked");
    database
}

fn complete(server: &Server, name: &str) -> bool {
    let metric = format!("table_snapshot_complete{{connection=\"{name}\",table=\"things\"}}");
    server.metric(&metric) == Some(1.0)
}

fn create(id: &str) -> String {
    event("things", id, "create", later()).to_string()
}

#[test]
fn a_locked_target_delays_no_delivery_no_other_connection_and_no_stop() {
    let place = Place::new("rows = 3");
    for name in ["a", "b", "c", "d"] {
        add(&place, name, SECRET);
    }
    let server = Server::start_with(&place, &FOLDER);
    eventually("the snapshots", || ["a", "b", "c", "d"].iter().all(|name| complete(&server, name)));
    server.stop();
    // As many as would take every thread of a runtime.
    let locks: Vec<_> =
        ["a", "b", "c"].iter().map(|name| lock(&place, &format!("connections/{name}.db"))).collect();
    let server = Server::start_with(&place, &FOLDER);
    let path = |name: &str| server.webhook_path_of(&place, &format!("connections/{name}.toml"));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(server.request("POST", &path(name), &create("9")).0, 200, "{name}");
    }
    eventually("the row of the free target", || {
        server.metric("delivery_queue_length{connection=\"d\"}") == Some(0.0)
    });
    server.signal("-HUP");
    assert_eq!(server.request("POST", &path("a"), &create("10")).0, 200);
    server.stop();
    drop(locks);
    let server = Server::start_with(&place, &FOLDER);
    eventually("all rows", || {
        ["a", "b", "c", "d"].iter().all(|name| {
            server.metric(&format!("delivery_queue_length{{connection=\"{name}\"}}")) == Some(0.0)
        })
    });
    server.stop();
}

#[test]
fn commits_that_wait_for_a_locked_target_delay_no_answer() {
    let place = Place::new("rows = 3");
    let names = ["a", "b", "c"];
    names.iter().for_each(|name| add(&place, name, SECRET));
    let server = Server::start_with(&place, &FOLDER);
    eventually("the snapshots", || names.iter().all(|name| complete(&server, name)));
    let paths = names.map(|name| server.webhook_path_of(&place, &format!("connections/{name}.toml")));
    let locks = names.map(|name| lock(&place, &format!("connections/{name}.db")));
    // The commits of the first ones wait for their locks, for half a minute. If an answer waited for one,
    // there would not be a hundred by then.
    let mut answers = 0;
    eventually("a hundred answers", || {
        let id = (100 + answers).to_string();
        assert_eq!(server.request("POST", &paths[answers % paths.len()], &create(&id)).0, 200);
        answers += 1;
        answers == 100
    });
    drop(locks);
    eventually("all rows", || {
        names.iter().all(|name| {
            server.metric(&format!("delivery_queue_length{{connection=\"{name}\"}}")) == Some(0.0)
        })
    });
    server.stop();
}

#[test]
fn deliveries_are_taken_before_connections_are_loaded_and_a_stop_is_heard() {
    let place = Place::new("rows = 3");
    add_with_file(&place, "acme");
    let server = Server::start_with(&place, &FOLDER);
    let path = server.webhook_path_of(&place, "connections/acme.toml");
    server.stop();
    block(&place, "acme");
    let server = Server::start_until(&place, &FOLDER, TAKEN);
    assert_eq!(server.request("POST", &path, &create("9")).0, 200);
    assert_eq!(server.request("POST", "/hooks/acme/wrong", "[]").0, 404);
    assert_eq!(server.request("GET", "/-/ready", "").0, 503);
    assert!(!server.log().contains("listening on "), "{}", server.log());
    server.stop();
    unblock(&place, "acme");
    let server = Server::start_with(&place, &FOLDER);
    eventually("the delivery before it was loaded", || {
        server.metric("deliveries_applied_total{connection=\"acme\"}") == Some(1.0)
    });
    server.stop();
}

#[test]
fn at_a_start_a_state_that_another_process_holds_delays_no_delivery_of_others_and_is_no_404() {
    let place = Place::new("rows = 3");
    for name in ["acme", "held"] {
        add(&place, name, SECRET);
    }
    let server = Server::start_with(&place, &FOLDER);
    let path = |name: &str| server.webhook_path_of(&place, &format!("connections/{name}.toml"));
    let (acme, held) = (path("acme"), path("held"));
    server.stop();
    let state = rusqlite::Connection::open(place.path("data/held/state.db")).expect("opened");
    state.execute_batch("BEGIN EXCLUSIVE").expect("held");
    let server = Server::start_until(&place, &FOLDER, TAKEN);
    assert_eq!(server.request("POST", &acme, &create("9")).0, 200);
    assert_eq!(server.request("POST", &held, &create("9")).0, 503, "whether it has this URL is not known");
    eventually("the delivery of the other", || {
        server.metric("deliveries_applied_total{connection=\"acme\"}") == Some(1.0)
    });
    drop(state);
    eventually("its own", || server.request("POST", &held, &create("9")).0 == 200);
    server.stop();
}

#[test]
fn a_reload_that_hangs_delays_no_delivery_and_no_stop() {
    let place = Place::new("rows = 3");
    add_with_file(&place, "acme");
    let server = Server::start_with(&place, &FOLDER);
    until_read(&server);
    let path = server.webhook_path_of(&place, "connections/acme.toml");
    block(&place, "acme");
    server.signal("-HUP");
    server.signal("-HUP");
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("its row", || place.query("SELECT count(*) || '' FROM things WHERE id = '9'") == "1");
    assert_eq!(server.request("POST", &path, &create("9")).0, 200);
    eventually("the delivery of the connection that is loaded", || {
        server.metric("deliveries_applied_total{connection=\"acme\"}") == Some(1.0)
    });
    server.stop();
}

/// A writer of a file that blocks its readers: there once something reads it, and it keeps hanging.
fn reader_of(place: &Place, file: &str) -> File {
    const NONBLOCK: i32 = 0o4000;
    let mut writer = None;
    eventually("a reader", || {
        writer = File::options().write(true).custom_flags(NONBLOCK).open(place.path(file)).ok();
        writer.is_some()
    });
    writer.expect("opened")
}

#[test]
fn a_file_that_is_mended_while_its_load_hangs_is_loaded() {
    let place = Place::new("rows = 3");
    std::fs::create_dir_all(place.path("connections")).expect("made");
    let server = Server::start_with(&place, &FOLDER);
    until_read(&server);
    add_with_file(&place, "acme");
    block(&place, "acme");
    let _hangs = reader_of(&place, "connections/acme.secret");
    unblock(&place, "acme");
    add(&place, "acme", SECRET);
    eventually("the mended file", || complete(&server, "acme"));
    server.stop();
}

#[test]
fn a_connection_file_that_hangs_delays_no_other_and_no_stop() {
    let place = Place::new("rows = 3");
    add(&place, "acme", SECRET);
    let server = Server::start_with(&place, &FOLDER);
    let path = server.webhook_path_of(&place, "connections/acme.toml");
    server.stop();
    std::fs::remove_file(place.path("tiny.toml")).expect("removed");
    assert!(Command::new("mkfifo").arg(place.path("tiny.toml")).status().expect("mkfifo").success());
    let server = Server::start_until(&place, &FOLDER, TAKEN);
    assert_eq!(server.request("POST", &path, &create("9")).0, 200);
    eventually("the delivery of the other", || {
        server.metric("deliveries_applied_total{connection=\"acme\"}") == Some(1.0)
    });
    server.stop();
}

#[test]
fn a_server_that_waits_for_the_data_folder_hears_a_stop() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    let waits = "another server has this data folder: waiting";
    let second = place.start_until(&["serve", "--listen", "127.0.0.1:0"], waits, 1);
    second.signal("-TERM");
    assert_eq!(second.wait(), Some(0), "with an error once it had waited to the end");
    server.stop();
}

#[test]
fn a_reload_of_a_thousand_files_delays_no_delivery() {
    let place = Place::new("rows = 3");
    add_with_file(&place, "acme");
    for number in 0..1_000 {
        let text = format!("name = \"n{number}\"\ncomponent = \"missing.wasm\"\n");
        std::fs::write(place.path(&format!("connections/n{number}.toml")), text).expect("written");
    }
    let server = Server::start_with(&place, &FOLDER);
    until_read(&server);
    let path = server.webhook_path(&place);
    // The reload does not end before the last answer.
    block(&place, "acme");
    server.signal("-HUP");
    for id in 100..200 {
        assert_eq!(server.request("POST", &path, &create(&id.to_string())).0, 200);
    }
    eventually("their rows", || {
        place.query("SELECT count(*) || '' FROM things WHERE length(id) = 3") == "100"
    });
    server.stop();
}

#[test]
fn sources_that_hang_starve_their_own_connections_alone() {
    let place = Place::new("rows = 3\n[serve]\npoll_interval = \"1s\"");
    let source = Source::new(None);
    for number in 0..200 {
        let url = format!("{SECRET}\nbehavior = \"http\"\nurl = \"http://{}\"", source.address);
        let allow = format!("[egress]\nallow = [\"{}\"]", source.address);
        add(&place, &format!("hangs{number}"), &format!("{url}\n{allow}"));
    }
    let server = Server::start_with(&place, &[&FOLDER[..], &["--instances", "8"]].concat());
    eventually("a snapshot beside them", || complete(&server, "tiny"));
    eventually("as many calls as one host may have", || source.requests() >= 4);
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("its row", || place.query("SELECT count(*) || '' FROM things WHERE id = '9'") == "1");
    // The reads of most of them wait for a permit, and their deliveries do not.
    let hanging: Vec<String> = (0..9).map(|number| format!("hangs{number}")).collect();
    for name in &hanging {
        let path = server.webhook_path_of(&place, &format!("connections/{name}.toml"));
        assert_eq!(server.request("POST", &path, &create("9")).0, 200);
    }
    eventually("deliveries of those whose calls do not hang", || {
        let applied = |name: &&String| {
            server.metric(&format!("deliveries_applied_total{{connection=\"{name}\"}}")) == Some(1.0)
        };
        hanging.iter().filter(applied).count() >= 5
    });
    server.stop();
}

#[test]
fn components_that_wait_or_spin_where_they_need_no_source_delay_no_other() {
    let place = Place::new("rows = 3");
    for number in 0..5 {
        add(&place, &format!("waits{number}"), &format!("{SECRET}\nopens = \"waits\""));
        add(&place, &format!("spins{number}"), &format!("{SECRET}\nopens = \"spins\""));
    }
    add(&place, "zebra", SECRET);
    let server = Server::start_with(&place, &FOLDER);
    eventually("the snapshots of the others", || {
        ["tiny", "zebra"].iter().all(|name| complete(&server, name))
    });
    server.until_log_contains("open: no answer within 5s; stopped");
    for name in ["waits0", "spins0"] {
        server.until_log_contains(&format!("{name}.toml: not loaded"));
    }
    add(&place, "later", SECRET);
    eventually("a file that is added", || complete(&server, "later"));
    assert_eq!(server.request("GET", "/-/ready", "").0, 200);
    server.stop();
}

#[test]
fn a_connection_that_another_process_has_delays_no_other_and_starts_once_it_is_free() {
    let place = Place::new("rows = 3");
    add(&place, "acme", SECRET);
    let server = Server::start_with(&place, &FOLDER);
    let path = server.webhook_path_of(&place, "connections/acme.toml");
    server.stop();
    let held = File::options().write(true).open(place.path("data/acme/lock")).expect("opened");
    held.lock().expect("free");
    let server = Server::start_with(&place, &FOLDER);
    until_read(&server);
    assert_eq!(server.request("POST", &path, &create("9")).0, 200);
    assert_eq!(server.health()["status"], "degraded");
    drop(held);
    eventually("its delivery", || {
        server.metric("deliveries_applied_total{connection=\"acme\"}") == Some(1.0)
    });
    server.stop();
}

#[test]
fn a_connection_that_has_read_holds_no_socket_to_its_source() {
    let source = Source::ok(b"7");
    let config = format!("rows = 3\nbehavior = \"http\"\nurl = \"http://{}\"", source.address);
    let place = Place::new(&format!("{config}\n[egress]\nallow = [\"{}\"]", source.address));
    let server = Server::start(&place);
    until_read(&server);
    assert!(source.requests() > 0);
    eventually("its sockets to be closed", || source.open() == 0);
    server.stop();
}

#[test]
fn a_connection_whose_instance_gave_way_to_another_holds_no_socket_to_its_source() {
    let source = Source::ok(b"7");
    let config = format!(
        "{SECRET}\nbehavior = \"http\"\nurl = \"http://{0}\"\n[egress]\nallow = [\"{0}\"]",
        source.address
    );
    let place = Place::new("rows = 3");
    let names: Vec<String> = (0..8).map(|number| format!("acme{number}")).collect();
    names.iter().for_each(|name| add(&place, name, &config));
    let server = Server::start_with(&place, &[&FOLDER[..], &["--instances", "1"]].concat());
    eventually("the snapshots", || names.iter().all(|name| complete(&server, name)));
    assert!(source.requests() > 0);
    eventually("the sockets to be closed", || source.open() == 0);
    server.stop();
}

#[test]
fn a_connection_holds_no_file_but_its_lock_its_socket_and_its_target() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let files = server.open_files();
    assert!(!files.iter().any(|file| file.contains("state.db")), "{files:?}");
    let limits = server.limits_of_files();
    assert_eq!(limits.0, limits.1, "the limit of open files was not raised");
    server.stop();
}
