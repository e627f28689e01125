//! Many connections in one process: added, changed and removed while it runs; ended and started again.

use desk_simulator::{GRANT_CODE, Options};
use serde_json::json;

use crate::desk::Desk;
use crate::rows::{Rows, eventually};
use crate::serve::Serve;
use crate::support::http::request;
use crate::support::{ConnectionFile, sizes, tables, tables_as_toml};

/// Connections of one portal, each with a file in `connections` and separate rows.
struct Connections {
    desk: Desk,
}

impl Connections {
    fn new(names: &[&str]) -> Connections {
        let options = Options { sizes: sizes(15), grant_code_reusable: true, ..Options::default() };
        let connections = Connections { desk: Desk::with(options, |file| file) };
        std::fs::create_dir(connections.desk.setup.path("connections")).expect("a folder");
        names.iter().for_each(|name| connections.add(name));
        connections
    }

    fn file(&self, name: &str) -> String {
        format!("connections/{name}.toml")
    }

    /// Writes the file of a connection, authorized.
    fn add(&self, name: &str) {
        let target = self.desk.setup.path(&format!("{name}.db"));
        let file = ConnectionFile::of(&self.desk.setup.simulator).named(name);
        let file = file.config("tables", &tables_as_toml()).sink("sqlite", &target.display().to_string());
        let aside = format!("{name}.toml");
        self.desk.setup.write(&aside, &file.render());
        let words = ["authorize", "--code", GRANT_CODE, "-c", &aside, "--data", "D"];
        self.desk.setup.raw(&words).exits(0);
        let to = self.desk.setup.path(&self.file(name));
        std::fs::rename(self.desk.setup.path(&aside), to).expect("a move");
    }

    /// Makes the file of a connection one that cannot be used.
    fn damage(&self, name: &str, text: &str) {
        self.desk.setup.write(&self.file(name), text);
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.desk.setup.path(&self.file(name))).expect("a file");
    }

    fn serve(&self, port: u16) -> Serve {
        Serve::start(self.desk.setup.folder(), port, &["--connections", "connections"])
    }

    fn rows(&self, name: &str) -> Rows {
        Rows::at(&self.desk.setup.path(&format!("{name}.db")))
    }

    fn until_read(&self, name: &str) {
        let complete = "SELECT count(*) FROM _sync_state WHERE complete";
        self.rows(name).until_number(complete, tables().len() as i64);
    }

    /// The URL of a connection, registered at the portal by hand.
    fn hook(&self, serve: &Serve, name: &str) -> String {
        let file = self.file(name);
        let words = ["webhook", "url", "--public-url", &serve.url, "-c", &file, "--data", "D"];
        let said = self.desk.setup.raw(&words).exits(0).stdout;
        let start = format!("{}/hooks/{name}/", serve.url);
        let url = said.split_whitespace().find(|word| word.starts_with(&start));
        let url = url.unwrap_or_else(|| panic!("no URL: {said}")).to_owned();
        self.desk.admin("POST", "webhooks", &json!({"url": url}));
        url
    }

    /// Changes a ticket and waits for it in the targets of these connections.
    #[track_caller]
    fn follow(&self, subject: &str, names: &[&str]) {
        let id = &self.desk.live_ids("tickets")[0];
        let values = json!({"subject": subject});
        self.desk.mutate(json!({"op": "update", "table": "tickets", "id": id, "values": values}));
        for name in names {
            self.rows(name).until_text(&format!("SELECT subject FROM tickets WHERE id = '{id}'"), subject);
        }
    }
}

/// Waits until a URL answers a validation with this status.
#[track_caller]
fn until_status(url: &str, status: u16) {
    eventually(url, || match request("GET", url, &[], b"").status {
        found if found == status => Ok(()),
        found => Err(format!("{found}, not {status}")),
    });
}

#[test]
fn connections_come_and_go_without_touching_the_others() {
    let connections = Connections::new(&["alpha", "beta"]);
    let serve = connections.serve(0);
    connections.until_read("alpha");
    connections.until_read("beta");
    let (alpha, beta) = (connections.hook(&serve, "alpha"), connections.hook(&serve, "beta"));
    connections.follow("two", &["alpha", "beta"]);
    let requests_of_one = connections.desk.setup.requests();
    connections.add("gamma");
    serve.signal("HUP");
    connections.until_read("gamma");
    let gamma = connections.hook(&serve, "gamma");
    until_status(&gamma, 200);
    connections.follow("three", &["alpha", "beta", "gamma"]);
    // Only the new one was read.
    let requests = connections.desk.setup.requests() - requests_of_one;
    assert!(requests < requests_of_one, "{requests} requests after {requests_of_one}");
    connections.remove("beta");
    serve.signal("HUP");
    until_status(&beta, 410);
    assert_eq!(request("POST", &beta, &[], b"[{}]").status, 410);
    until_status(&alpha, 200);
    connections.follow("two again", &["alpha", "gamma"]);
    let hooks = connections.desk.admin("GET", "webhooks", &json!({}));
    let still =
        hooks["webhooks"].as_array().expect("webhooks").iter().filter(|hook| hook["url"] == beta.as_str());
    assert_eq!(still.count(), 0, "410 ends the subscription at the source");
    serve.stop();
}

#[test]
fn a_file_that_cannot_be_used_leaves_what_runs() {
    let connections = Connections::new(&["alpha"]);
    let serve = connections.serve(0);
    connections.until_read("alpha");
    let alpha = connections.hook(&serve, "alpha");
    connections.desk.setup.write(&connections.file("broken"), "name = \"broken\"\n[config\n");
    serve.signal("HUP");
    eventually("a word about the broken file", || {
        let said = serve.said();
        if said.contains("broken.toml") { Ok(()) } else { Err(said) }
    });
    until_status(&alpha, 200);
    connections.follow("still", &["alpha"]);
    serve.stop();
}

#[test]
fn a_server_that_ended_in_the_middle_continues() {
    let connections = Connections::new(&["alpha", "beta"]);
    let serve = connections.serve(0);
    for name in ["alpha", "beta"] {
        connections.until_read(name);
        connections.hook(&serve, name);
    }
    let port = serve.port();
    let ids = connections.desk.live_ids("tickets");
    for round in 0..20 {
        for id in &ids {
            let values = json!({"subject": format!("round {round}")});
            connections.desk.mutate(json!({"op": "update", "table": "tickets", "id": id, "values": values}));
        }
    }
    assert!(connections.desk.setup.simulator.wait_for_deliveries(std::time::Duration::from_secs(60)));
    serve.stop();
    let before = connections.desk.setup.requests_to("GET /tickets");
    let serve = connections.serve(port);
    for name in ["alpha", "beta"] {
        let last = "SELECT count(*) FROM tickets_live WHERE subject = 'round 19'";
        connections.rows(name).until_number(last, ids.len() as i64);
    }
    assert_eq!(connections.desk.setup.requests_to("GET /tickets"), before, "the lists are not read again");
    connections.follow("after", &["alpha", "beta"]);
    serve.stop();
}

#[test]
fn a_removed_connection_says_so_after_a_restart_too() {
    let connections = Connections::new(&["alpha", "beta", "gamma", "delta"]);
    let serve = connections.serve(0);
    let port = serve.port();
    let urls = ["alpha", "beta", "gamma", "delta"].map(|name| connections.hook(&serve, name));
    let [alpha, beta, gamma, delta] = &urls;
    connections.remove("beta");
    serve.signal("HUP");
    until_status(beta, 410);
    // It is stored, too.
    let said = || serve.said();
    eventually("the removal", || said().contains("beta: removed").then_some(()).ok_or_else(said));
    serve.stop();
    // Removed while no server runs; but another process has one of them.
    connections.remove("gamma");
    connections.remove("delta");
    let lock = std::fs::File::open(connections.desk.setup.path("D/delta/lock")).expect("a lock");
    lock.try_lock().expect("nobody has it");
    let serve = connections.serve(port);
    let statuses = [alpha, beta].map(|url| request("GET", url, &[], b"").status);
    assert_eq!(statuses, [200, 410]);
    // Ten seconds later; one that another process has is not removed.
    until_status(gamma, 410);
    assert_eq!(request("GET", delta, &[], b"").status, 200);
    assert_eq!(request("POST", beta, &[], b"[{}]").status, 410);
    let wrong = format!("{}x", beta.trim_end_matches(|c| c != '/'));
    assert_eq!(
        request("POST", &wrong, &[], b"[{}]").status,
        404,
        "who does not know the secret learns nothing"
    );
    drop(lock);
    // It comes back, with the same URL.
    connections.add("beta");
    serve.signal("HUP");
    until_status(beta, 200);
    until_status(delta, 410);
    // A connection that runs is no longer removed.
    let said = || serve.said();
    eventually("beta", || said().contains("running connection=beta").then_some(()).ok_or_else(said));
    serve.stop();
    // Without a folder, nothing is inferred from missing files; known connections stay known.
    connections.remove("beta");
    let serve = Serve::start(connections.desk.setup.folder(), port, &["-c", "connections/alpha.toml"]);
    let statuses = [alpha, beta, gamma, delta].map(|url| request("GET", url, &[], b"").status);
    assert_eq!(statuses, [200, 404, 410, 410]);
    serve.stop();
}

#[test]
fn a_broken_file_loses_nothing_and_its_deliveries_are_applied_once_it_is_mended() {
    let connections = Connections::new(&["alpha", "beta"]);
    let serve = connections.serve(0);
    let port = serve.port();
    for name in ["alpha", "beta"] {
        connections.until_read(name);
    }
    let beta = connections.hook(&serve, "beta");
    serve.stop();
    let id = &connections.desk.live_ids("tickets")[0];
    for (subject, text) in [
        ("no end", "name = \"beta\"\n[config\n"),
        ("no name", "name = \"be"),
        ("no component", "name = \"beta\"\ncomponent = \"nowhere.wasm\"\n"),
    ] {
        connections.damage("beta", text);
        let serve = connections.serve(port);
        assert!(serve.said().contains("connections/beta.toml: not loaded"), "{}", serve.said());
        assert_eq!(request("GET", &beta, &[], b"").status, 200, "{subject}");
        let values = json!({"subject": subject});
        connections.desk.mutate(json!({"op": "update", "table": "tickets", "id": id, "values": values}));
        assert!(connections.desk.setup.simulator.wait_for_deliveries(std::time::Duration::from_secs(60)));
        assert_eq!(
            serve.metric_with("host_runner_delivery_queue_length", "\"beta\""),
            Some(1.0),
            "{subject}"
        );
        let health = request("GET", &format!("{}/-/health", serve.admin), &[], b"");
        let health: serde_json::Value = serde_json::from_str(&health.body).expect("JSON");
        assert_eq!(health["status"], "degraded", "{health}");
        assert_eq!(health["invalid_files"][0]["file"], "connections/beta.toml", "{health}");
        connections.add("beta");
        let applied = || serve.metric_with("host_runner_deliveries_applied_total", "\"beta\"");
        eventually("the delivery", || match applied() {
            Some(1.0) => Ok(()),
            applied => Err(format!("{applied:?}")),
        });
        let row = format!("SELECT subject FROM tickets WHERE id = '{id}'");
        assert_eq!(connections.rows("beta").text(&row).as_deref(), Some(subject));
        serve.stop();
    }
}

#[test]
fn a_file_that_is_renamed_or_missing_with_all_others_is_no_removal() {
    let connections = Connections::new(&["alpha"]);
    let serve = connections.serve(0);
    connections.until_read("alpha");
    let alpha = connections.hook(&serve, "alpha");
    let path = |name: &str| connections.desk.setup.path(&connections.file(name));
    std::fs::rename(path("alpha"), path("omega")).expect("a move");
    serve.signal("HUP");
    // Asked all the while: the source would forget the webhook at a single 410.
    eventually("the connection under its new file", || {
        assert_eq!(request("GET", &alpha, &[], b"").status, 200);
        let said = serve.said();
        if said.matches("alpha: into").count() == 2 { Ok(()) } else { Err(said) }
    });
    connections.follow("renamed", &["alpha"]);
    // An empty folder may be one that is not mounted.
    std::fs::rename(path("omega"), connections.desk.setup.path("aside")).expect("a move");
    serve.signal("HUP");
    eventually("a word about the file", || {
        assert_eq!(request("GET", &alpha, &[], b"").status, 200);
        let said = serve.said();
        if said.contains("alpha: stopped") { Ok(()) } else { Err(said) }
    });
    std::fs::rename(connections.desk.setup.path("aside"), path("alpha")).expect("a move");
    connections.follow("back", &["alpha"]);
    assert!(!serve.said().contains("alpha: removed"));
    serve.stop();
}
