//! Connection files that change or are missing for a short time, next to others that keep running.

use super::process::{Server, eventually};
use crate::support::{Place, component};

/// A second connection in the folder `connections`, with its secret in a separate file.
fn add(place: &Place, name: &str) {
    let folder = place.path("connections");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join(format!("{name}.secret")), "first").expect("written");
    let text = format!(
        "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret_file = \"{name}.secret\"\nrows = 3\n",
        component()
    );
    std::fs::write(folder.join(format!("{name}.toml")), text).expect("written");
}

/// How often a connection was started.
fn starts(server: &Server, name: &str) -> usize {
    server.log().lines().filter(|line| line.contains(&format!("{name}: into "))).count()
}

#[test]
fn a_file_that_is_missing_for_a_short_time_removes_nothing() {
    let place = Place::new("rows = 3");
    add(&place, "acme");
    let server = Server::start_with(&place, &["--connections", "connections"]);
    let hook = server.webhook_path_of(&place, "connections/acme.toml");
    let (file, aside) = (place.path("connections/acme.toml"), place.path("acme.aside"));
    std::fs::rename(&file, &aside).expect("moved");
    // The files were read again once another connection has started.
    add(&place, "other");
    eventually("the files to be read again", || starts(&server, "other") == 1);
    assert_eq!(server.request("POST", &hook, "[]").0, 200, "a source that gets 410 deletes its webhook");
    std::fs::rename(&aside, &file).expect("moved");
    add(&place, "third");
    eventually("the files to be read once more", || starts(&server, "third") == 1);
    assert_eq!(
        (server.request("POST", &hook, "[]").0, starts(&server, "acme")),
        (200, 1),
        "{}",
        server.log()
    );
    // A renamed file moves the connection at once.
    let renamed = place.path("connections/renamed.toml");
    std::fs::rename(&file, &renamed).expect("renamed");
    eventually("the new file name", || starts(&server, "acme") == 2);
    assert_eq!(server.request("POST", &hook, "[]").0, 200);
    std::fs::rename(&renamed, &file).expect("renamed");
    eventually("the first file name", || starts(&server, "acme") == 3);
    // SIGHUP removes the connection of a missing file at once.
    std::fs::remove_file(&file).expect("removed");
    server.signal("-HUP");
    eventually("the removal", || server.request("GET", &hook, "").0 == 410);
    server.stop();
}

#[test]
fn sighup_reloads_referenced_files_and_restarts_only_changed_connections() {
    let place = Place::new("rows = 3");
    add(&place, "acme");
    add(&place, "other");
    let server = Server::start_with(&place, &["--connections", "connections"]);
    std::fs::write(place.path("connections/acme.secret"), "second").expect("written");
    server.signal("-HUP");
    eventually("the restart", || starts(&server, "acme") == 2);
    assert_eq!((starts(&server, "other"), starts(&server, "tiny")), (1, 1), "{}", server.log());
    server.stop();
}

#[test]
fn an_authority_that_cannot_be_used_stops_no_running_connection() {
    let place = Place::new("rows = 3\n[egress]\nca_file = \"ca.pem\"");
    let authority = place.path("ca.pem");
    let write = |text: &str| std::fs::write(&authority, text).expect("written");
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
        made.expect("a certificate").cert.pem()
    };
    write(&certificate());
    let server = Server::start(&place);
    let is_running = |server: &Server| server.health()["connections"][0]["state"] == "running";
    eventually("the connection", || is_running(&server));
    let refusal = || server.health()["invalid_files"][0]["error"].as_str().unwrap_or_default().to_owned();
    write("x");
    server.signal("-HUP");
    eventually("its refusal", || {
        refusal().contains("egress.ca_file") && refusal().contains("no certificate")
    });
    std::fs::remove_file(&authority).expect("removed");
    server.signal("-HUP");
    eventually("another refusal", || refusal().contains("No such file"));
    assert!(is_running(&server) && starts(&server, "tiny") == 1, "{}", server.log());
    write(&certificate());
    server.signal("-HUP");
    eventually("the new authority", || starts(&server, "tiny") == 2 && is_running(&server));
    assert_eq!(server.health()["invalid_files"], serde_json::json!([]));
    server.stop();
}
