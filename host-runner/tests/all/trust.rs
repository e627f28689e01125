//! Trust: the ceiling of hosts, the pinned content, hosts that grow, the policy file; and the data folder:
//! its modes, its key, and a connection that is forgotten.

use crate::serve::{Server, eventually};
use crate::support::{FILE, Place, component};

/// The component with this text in its section.
fn with_section(place: &Place, text: &str) {
    const NAME: &str = "connector:describe";
    let leb128 = |mut number: usize| {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(number & 0x7f).expect("seven bits");
            number >>= 7;
            bytes.push(if number == 0 { low } else { low | 0x80 });
            if number == 0 {
                return bytes;
            }
        }
    };
    let content = [leb128(NAME.len()), NAME.into(), text.into()].concat();
    let wasm = std::fs::read(component()).expect("read");
    let section = [vec![0], leb128(content.len()), content].concat();
    std::fs::write(place.path("other.wasm"), [wasm, section].concat()).expect("written");
    let file = std::fs::read_to_string(place.path(FILE)).expect("read");
    let file = file.replace(&format!("{:?}", component()), "\"other.wasm\"");
    std::fs::write(place.path(FILE), file).expect("written");
}

#[test]
fn a_component_whose_answer_differs_from_its_section_is_refused() {
    let place = Place::new("rows = 3");
    let hosts = r#"[{"name": "api", "key": "url", "urls": {}}]"#;
    with_section(&place, &format!(r#"{{"name": "tiny-connector", "hosts": {hosts}}}"#));
    place.expect(&["sync"], 0);
    with_section(&place, r#"{"name": "tiny-connector", "hosts": []}"#);
    let ran = place.expect(&["sync"], 11);
    let words = "its answer to `describe` has other hosts than its section: the host in `url` of [config]";
    assert!(ran.stderr.contains(words), "{ran:#?}");
    place.expect(&["inspect"], 11);
}

#[test]
fn a_component_with_other_content_than_the_pinned_one_is_refused() {
    let place = Place::new("rows = 3");
    let sha256 = place.json(&["inspect"], 0)["sha256"].as_str().expect("text").to_owned();
    let file = std::fs::read_to_string(place.path(FILE)).expect("read");
    let pin = |sha256: &str| {
        let text = format!("component_sha256 = \"{sha256}\"\n{file}");
        std::fs::write(place.path(FILE), text).expect("written");
    };
    pin(&sha256.to_uppercase());
    place.expect(&["sync"], 0);
    pin(&"0".repeat(64));
    let ran = place.expect(&["sync"], 3);
    assert!(ran.stderr.contains(&format!("has other content, its SHA-256 is {sha256}")), "{ran:#?}");
    pin("nonsense");
    let ran = place.expect(&["sync"], 3);
    assert!(ran.stderr.contains("component_sha256: 64 hexadecimal digits are required"), "{ran:#?}");
}

/// As if the component that ran before had declared no host.
fn had_no_hosts(place: &Place) {
    let state = rusqlite::Connection::open(place.path("data/tiny/state.db")).expect("opened");
    assert_eq!(
        state
            .execute("UPDATE items SET value = CAST('[]' AS BLOB) WHERE name = 'accepted_hosts'", [])
            .expect("changed"),
        1
    );
}

#[test]
fn a_component_whose_hosts_grew_waits_for_a_persons_word() {
    let place = Place::new("rows = 3");
    place.expect(&["sync"], 0);
    had_no_hosts(&place);
    let ran = place.expect(&["sync"], 3);
    let words = "connection `tiny`: its component wants to reach new hosts: the host in `url` of [config]";
    assert!(ran.stderr.contains(words), "{ran:#?}");
    assert!(ran.stderr.contains("host-runner connection accept-hosts -c tiny.toml"), "{ran:#?}");
    let ran = place.expect(&["connection", "accept-hosts"], 0);
    assert_eq!(ran.stdout, "tiny: accepted: the host in `url` of [config]\n");
    place.expect(&["sync"], 0);
    let ran = place.expect(&["connection", "accept-hosts"], 0);
    assert_eq!(ran.stdout, "tiny: no new hosts\n");
}

#[test]
fn the_ceiling_of_hosts_bounds_what_a_component_declares() {
    let config = |only: &str| {
        format!(
            "rows = 3\nbehavior = \"http\"\nurl = \"https://declared.example\"\n\
             [retry]\nmax_attempts = 1\n[egress]\nonly = [{only}]"
        )
    };
    let place = Place::new(&config("\"other.example:443\""));
    let ran = place.expect(&["sync"], 11);
    let words =
        "declared.example:443: refused, the component declares it, `only` under [egress] leaves it out";
    assert!(ran.stderr.contains(words), "{ran:#?}");
    let shown = place.json(&["inspect"], 0);
    assert_eq!(shown["hosts"], serde_json::json!([]));
    assert_eq!(shown["hosts_beyond_ceiling"], serde_json::json!(["declared.example:443"]));
    place.configure(&config("\"declared.example:443\""));
    assert_eq!(place.json(&["inspect"], 0)["hosts"], serde_json::json!(["declared.example:443"]));
}

#[test]
fn a_forgotten_connection_leaves_its_rows_and_nothing_else() {
    let place = Place::new("rows = 3");
    place.expect(&["sync"], 0);
    let url = |code| place.json(&["webhook", "url"], code)["url"].clone();
    let before = url(0);
    let ran = place.expect(&["connection", "forget"], 0);
    assert_eq!(ran.stdout, "tiny: forgotten, with 0 deliveries; its rows and attachments stay\n");
    assert!(!place.path("data/tiny").exists());
    assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
    let ran = place.expect(&["connection", "forget", "tiny"], 2);
    assert!(ran.stderr.contains("connection `tiny`: nothing is kept of it in data"), "{ran:#?}");
    for name in ["..", "cache", "/"] {
        place.expect(&["connection", "forget", name], 2);
    }
    assert_ne!(url(0), before, "the secret of its URL came back");
}

#[test]
fn a_connection_with_a_registered_webhook_is_forgotten_by_force_only() {
    let place = Place::new("rows = 3");
    place.expect(&["webhook", "subscribe", "--public-url", "https://a.example"], 0);
    let ran = place.expect(&["connection", "forget"], 2);
    assert!(ran.stderr.contains("its webhook is registered at the source"), "{ran:#?}");
    assert!(place.path("data/tiny/state.db").exists());
    place.expect(&["connection", "forget", "--force"], 0);
    assert!(!place.path("data/tiny").exists());
}

/// Everything that a rotation must not change.
fn kept(place: &Place, key: &[&str]) -> (serde_json::Value, serde_json::Value) {
    let run = |arguments: &[&str]| place.json(&[arguments, key].concat(), 0);
    (run(&["webhook", "url"])["url"].clone(), run(&["state", "show"])["authorized"].clone())
}

#[test]
fn a_rotated_key_keeps_sessions_and_webhook_urls() {
    let place = Place::new("rows = 3");
    place.expect(&["authorize", "--code", "a"], 0);
    place.expect(&["webhook", "subscribe", "--public-url", "https://a.example"], 0);
    let key = || std::fs::read_to_string(place.path("data/key")).expect("a key");
    let (before, first) = (kept(&place, &[]), key());
    assert_eq!(before.1, true);
    for _ in 0..2 {
        let ran = place.expect(&["key", "rotate"], 0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("connections with the new key: 1\n", ""));
        assert_eq!(kept(&place, &[]), before);
        place.expect(&["sync"], 0);
        place.expect(&["webhook", "subscribe", "--public-url", "https://a.example"], 0);
    }
    assert_ne!(key(), first);
    let lock = std::fs::File::open(place.path("data/tiny/lock")).expect("opened");
    lock.lock().expect("free");
    let ran = place.expect(&["key", "rotate"], 12);
    assert!(ran.stderr.contains("connection `tiny`: in use by "), "{ran:#?}");
    drop(lock);
    // The refused rotation left its key, which the next one uses.
    assert!(place.path("data/key.next").exists());
    place.expect(&["key", "rotate"], 0);
    assert_eq!(kept(&place, &[]), before);
    assert!(!place.path("data/key.next").exists());
    // An old copy of the key opens nothing.
    std::fs::write(place.path("old"), first).expect("written");
    let ran = place.expect(&["sync", "--key-file", "old"], 12);
    assert!(ran.stderr.contains("its session does not open with this key"), "{ran:#?}");
}

#[test]
fn a_rotation_that_was_interrupted_is_finished_by_the_next_one() {
    let place = Place::new("rows = 3");
    place.expect(&["authorize", "--code", "a"], 0);
    let before = kept(&place, &[]);
    let old = std::fs::read_to_string(place.path("data/key")).expect("a key");
    place.expect(&["key", "rotate"], 0);
    // As if it had ended before the last step: all is sealed with the new key, the old one is in place.
    std::fs::rename(place.path("data/key"), place.path("data/key.next")).expect("renamed");
    std::fs::write(place.path("data/key"), old).expect("written");
    place.expect(&["sync"], 12);
    place.expect(&["key", "rotate"], 0);
    assert_eq!(kept(&place, &[]), before);
    place.expect(&["sync"], 0);
}

#[test]
fn a_key_outside_of_the_data_folder_is_rotated_to_another_file() {
    let place = Place::new("rows = 3");
    for (name, digits) in [("old", "01"), ("new", "02")] {
        std::fs::write(place.path(name), digits.repeat(32)).expect("written");
    }
    let before = kept(&place, &["--key-file", "old"]);
    place.expect(&["key", "rotate", "--key-file", "old"], 2);
    let ran = place.expect(&["key", "rotate", "--key-file", "old", "--to", "new"], 0);
    assert!(ran.stderr.contains("from now on the key is that in new"), "{ran:#?}");
    assert_eq!(kept(&place, &["--key-file", "new"]), before);
    place.expect(&["key", "rotate", "--to", "new"], 2);
}

#[test]
fn a_data_folder_that_others_can_change_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mode = |path: &str, mode| {
        let place = Place::new("rows = 3");
        place.expect(&["sync"], 0);
        std::fs::set_permissions(place.path(path), std::fs::Permissions::from_mode(mode)).expect("changed");
        place.expect(&["sync"], if mode & 0o022 == 0 { 0 } else { 12 })
    };
    for path in ["data", "data/tiny", "data/key", "data/tiny/lock", "data/tiny/state.db"] {
        let ran = mode(path, 0o777);
        assert!(
            ran.stderr.contains(&format!("{path}: others may write to it, its mode is 0777")),
            "{ran:#?}"
        );
    }
    mode("data", 0o755);
    // Compiled code that others could change is compiled again instead.
    let place = Place::new("rows = 3");
    place.expect(&["sync"], 0);
    let cache = place.path("data/cache");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).expect("changed");
    let ran = place.expect(&["sync"], 0);
    assert!(ran.stderr.contains("data/cache: others may write to it"), "{ran:#?}");

    let place = Place::new("rows = 3");
    place.expect(&["sync"], 0);
    for name in ["key", "tiny/lock", "tiny/state.db"] {
        let (file, aside) = (place.path("data").join(name), place.path("aside"));
        std::fs::rename(&file, &aside).expect("moved");
        symlink(&aside, &file).expect("linked");
        let ran = place.expect(&["sync"], 12);
        assert!(ran.stderr.contains(&format!("data/{name}: is a link")), "{ran:#?}");
        std::fs::rename(&aside, &file).expect("moved back");
    }
    place.expect(&["sync"], 0);
}

#[test]
fn a_connection_file_beyond_the_policy_is_refused_and_the_others_continue() {
    let place = Place::new("rows = 3");
    let components = component().parent().expect("a folder").to_owned();
    let policy =
        format!("components = [{components:?}]\nvariables = [\"TINY_*\"]\n[sandbox]\nmemory = \"64MiB\"");
    std::fs::write(place.path("policy.toml"), policy).expect("written");
    place.expect(&["sync", "--policy", "policy.toml"], 0);
    for (config, words) in [
        ("home = \"${HOME}\"", "config.home: the policy lets no connection file read HOME"),
        (
            "[sandbox]\nmemory = \"128MiB\"",
            "sandbox.memory: 128MiB is more than 64MiB, which policy.toml admits",
        ),
        ("[sink]\npath = \"/tmp/tiny.db\"", "sink.path: /tmp/tiny.db is not in `sinks` of policy.toml"),
        ("[egress]\nallow = [\"127.0.0.1:1\"]", "egress.allow: 127.0.0.1:1 is not in `hosts` of policy.toml"),
        ("url_file = \"/etc/hostname\"", "config.url_file: /etc/hostname is not in `files` of policy.toml"),
    ] {
        place.configure(&format!("rows = 3\n{config}"));
        let ran = place.expect(&["sync", "--policy", "policy.toml"], 3);
        assert!(ran.stderr.contains(words), "`{words}` is missing: {ran:#?}");
    }
    // A server refuses the one and serves the others.
    place.configure("rows = 3");
    std::fs::create_dir(place.path("connections")).expect("made");
    for (name, memory) in [("modest", "32MiB"), ("greedy", "1GiB")] {
        let text = format!(
            "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = \"${{TINY_SECRET}}\"\nrows = 3\n\
             [sandbox]\nmemory = \"{memory}\"\n",
            component()
        );
        std::fs::write(place.path("connections").join(format!("{name}.toml")), text).expect("written");
    }
    let flags = ["--connections", "connections", "--policy", "policy.toml"];
    let server = Server::start_with(&place, &flags);
    server.until_log_contains("sandbox.memory: 1GiB is more than 64MiB");
    let modest = place.path("connections/modest.db");
    eventually("the rows of the other connection", || {
        rusqlite::Connection::open(&modest)
            .and_then(|database| {
                database.query_row("SELECT count(*) FROM things", [], |row| row.get::<_, i64>(0))
            })
            .is_ok_and(|rows| rows == 3)
    });
    server.stop();
}

#[test]
fn accepted_hosts_let_a_waiting_server_continue() {
    let place = Place::new("rows = 3");
    place.expect(&["sync"], 0);
    had_no_hosts(&place);
    let server = Server::start(&place);
    server.until_log_contains("its component wants to reach new hosts");
    place.expect(&["connection", "accept-hosts"], 0);
    server.until_log_contains("its session or its accepted hosts changed");
    eventually("the connection runs", || {
        server.metric("connection_state{connection=\"tiny\",state=\"running\"}") == Some(1.0)
    });
    server.stop();
}

#[test]
fn a_server_leaves_no_memory_on_disk() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    assert_eq!(server.limits("Max core file size"), ("0".to_owned(), "0".to_owned()));
    server.stop();
}
