//! `[config]` that the component refuses: found before its connection starts, or before a changed file
//! takes effect.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::process::{Server, eventually};
use crate::support::{Place, component};

/// Writes `connections/NAME.toml` with `rows`, which the component wants to be a number.
fn write(place: &Place, name: &str, rows: &str) {
    let folder = place.path("connections");
    std::fs::create_dir_all(&folder).expect("a folder");
    let component = component();
    let text = format!(
        "name = \"{name}\"\ncomponent = {component:?}\n\
         [config]\nsecret = \"${{TINY_SECRET}}\"\nrows = {rows}\n"
    );
    std::fs::write(folder.join(format!("{name}.toml")), text).expect("written");
}

#[test]
fn a_named_file_whose_config_is_refused_ends_serve_before_its_connection_starts() {
    let place = Place::new("rows = \"many\"");
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    for line in stderr.lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.contains("tiny: into ") || line.contains("listening on") {
            child.kill().expect("killed");
            panic!("it starts:\n{said}");
        }
    }
    assert_eq!(child.wait().expect("waited").code(), Some(3), "{said}");
    assert!(said.contains("error: tiny.toml: configuration: invalid type"), "{said}");
}

#[test]
fn a_file_in_the_folder_whose_config_is_refused_is_reported_and_the_others_are_served() {
    let place = Place::new("rows = 3");
    write(&place, "good", "3");
    write(&place, "bad", "\"many\"");
    let server = Server::start_with(&place, &["--connections", "connections"]);
    let log = server.log();
    let reported =
        "connections/bad.toml: not loaded: error: connections/bad.toml: configuration: invalid type";
    assert!(log.contains(reported), "{log}");
    assert!(log.contains("good: into ") && !log.contains("bad: into "), "{log}");
    write(&place, "bad", "3");
    server.until_log_contains("bad: into ");
    server.stop();
}

#[test]
fn a_change_that_the_component_refuses_leaves_the_connection_as_it_was() {
    let place = Place::new("rows = 3");
    write(&place, "acme", "3");
    let server = Server::start_with(&place, &["--connections", "connections"]);
    let path = server.webhook_path_of(&place, "connections/acme.toml");
    write(&place, "acme", "\"many\"");
    server.until_log_contains("connections/acme.toml: not loaded; ");
    eventually("a delivery is accepted", || server.request("POST", &path, "[]").0 == 200);
    let starts = server.log().matches("acme: into ").count();
    assert_eq!(starts, 1, "{}", server.log());
    server.stop();
}
