//! One server with honest and hostile connections: each of the latter misbehaves in another way. The server
//! lives, answers every request, stays within its memory, and starts again after a kill; the honest
//! connections lose no delivery and no row.
//!
//! `ISOLATION=full` runs twenty honest connections, and each hostile one alone and in groups of eight, prints
//! the table of `docs/SECURITY.md`, and asserts that every delivery is answered within a second. Any other
//! word does so with the hostile ones whose configuration contains it.

use std::time::{Duration, Instant};

use super::process::{Server, eventually};
use super::{event, later};
use crate::support::{Place, component};

/// Configurations of hostile connections.
const HOSTILE: [&str; 50] = [
    "behavior = \"trap\"",
    "behavior = \"spin\"",
    "behavior = \"allocate\"",
    "behavior = \"hold\"",
    "behavior = \"hoard\"",
    "behavior = \"forbidden-host\"",
    "behavior = \"big-batch\"",
    "behavior = \"stuck-cursor\"",
    "behavior = \"bad-json\"",
    "behavior = \"bad-key\"",
    "behavior = \"wrong-table\"",
    "behavior = \"fail\"\nkind = \"rate-limited\"\nretry_after_ms = 9223372036854775807",
    "behavior = \"leak-secrets\"",
    "fails_discover = true\nkind = \"unavailable\"\nretry_after_ms = 9223372036854775807",
    "renew = true",
    "crosses = \"changes\"",
    "crosses = \"cursor\"",
    "crosses = \"key\"",
    "crosses = \"change-id\"",
    "crosses = \"change-table\"",
    "crosses = \"attributes\"",
    "crosses = \"wait\"",
    "crosses = \"message\"",
    "crosses = \"methods\"",
    "crosses = \"authorities\"",
    "crosses = \"fields\"",
    "crosses = \"tables\"",
    "crosses = \"table-name\"",
    "crosses = \"table-path\"",
    "crosses = \"schema\"",
    "crosses = \"path-parts\"",
    "crosses = \"key-members\"",
    "crosses = \"key-name\"",
    "crosses = \"session\"",
    "crosses = \"check-items\"",
    "crosses = \"answer\"",
    "crosses = \"subscription\"",
    "crosses = \"receipt-changes\"",
    "crosses = \"receipt-attributes\"",
    "crosses = \"wide-row\"",
    "crosses = \"file-name\"\nfiles = \"fail\"\nkind = \"data\"",
    "crosses = \"clones\"",
    "crosses = \"responses\"",
    "crosses = \"piece\"",
    "files = \"endless\"",
    "files = \"stuck\"",
    "files = \"fail\"\nkind = \"unavailable\"",
    "opens = \"waits\"",
    "opens = \"spins\"",
    "page = 10000\nrows = 1000000000",
];

/// MiB that a server may have resident: far less than its hostile connections may take one by one, and twice
/// as much as all of them took together.
const MEMORY_MIB_MAX: u64 = 1536;

fn write(place: &Place, name: &str, config: &str) {
    let rows = if config.contains("rows = ") { "" } else { "rows = 3\n" };
    let text = format!(
        "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = \"${{TINY_SECRET}}\"\n{rows}{config}\n\
         [sandbox]\ncpu_time = \"1s\"\ncall_timeout = \"5s\"\n\
         [sink]\npath = \"{name}.db\"\nattachments = \"{name}.files\"\n",
        component()
    );
    std::fs::write(place.path("connections").join(format!("{name}.toml")), text).expect("written");
}

/// What the honest connections saw.
#[derive(Default)]
struct Measured {
    /// The slowest answer to a delivery.
    answer: Duration,
    /// The slowest time from the first delivery of a round to the last row of all of them.
    rows: Duration,
    /// The most memory that the server had, in KiB.
    memory_kib: u64,
}

impl Measured {
    fn print(&self, honest: usize, hostile: &[&str]) {
        let name = match hostile {
            [one] => format!("`{}`", shown(one)),
            many => format!("{} at a time", many.len()),
        };
        println!(
            "| {name} | {honest} of {honest} | 0 | {} ms | {} ms | {} MiB |",
            self.answer.as_millis(),
            self.rows.as_millis(),
            self.memory_kib >> 10
        );
    }
}

/// Starts these connections and asserts every promise to the honest ones.
fn holds(honest: usize, hostile: &[&str]) -> Measured {
    let mut measured = Measured::default();
    let place = Place::new("rows = 3");
    std::fs::create_dir(place.path("connections")).expect("made");
    for (number, config) in hostile.iter().enumerate() {
        write(&place, &format!("hostile{number}"), config);
    }
    let names: Vec<String> = (0..honest).map(|number| format!("honest{number}")).collect();
    names.iter().for_each(|name| write(&place, name, ""));
    let mut server = Server::start_with(&place, &["--connections", "connections"]);
    let paths: Vec<String> = names
        .iter()
        .map(|name| server.webhook_path_of(&place, &format!("connections/{name}.toml")))
        .collect();
    // Every hostile connection that can be loaded is sent one as well: its component is called for it.
    for number in (0..hostile.len()).filter(|number| !hostile[*number].starts_with("opens")) {
        let path = server.webhook_path_of(&place, &format!("connections/hostile{number}.toml"));
        assert_eq!(
            server.request("POST", &path, &event("things", "7", "create", later()).to_string()).0,
            200
        );
    }
    // A call that no delivery makes.
    for number in (0..hostile.len()).filter(|number| hostile[*number].contains("check-items")) {
        place.expect_of(&format!("connections/hostile{number}.toml"), &["check"], 11);
    }
    for round in 0..3 {
        let started = Instant::now();
        for path in &paths {
            let delivery = event("things", &format!("{}", 10 + round), "create", later());
            let sent = Instant::now();
            assert_eq!(server.request("POST", path, &delivery.to_string()).0, 200, "{hostile:?}");
            measured.answer = measured.answer.max(sent.elapsed());
        }
        until_stored(&mut server, &place, &names, 4 + round);
        measured.rows = measured.rows.max(started.elapsed());
    }
    let metrics = server.request("GET", "/-/metrics", "").1;
    let dead = |line: &&str| {
        line.starts_with("host_runner_dead_letters{connection=\"honest") && !line.ends_with(" 0")
    };
    assert_eq!(metrics.lines().find(dead), None, "{hostile:?}");
    assert!(server.ended().is_none(), "{hostile:?} ended the server:\n{}", server.log());
    measured.memory_kib = server.peak_memory_kib();
    let mib = measured.memory_kib >> 10;
    assert!(mib < MEMORY_MIB_MAX, "{hostile:?}: {mib} MiB");
    server.signal("-KILL");
    drop(server);
    // Everything that they left behind is read again.
    let mut server = Server::start_with(&place, &["--connections", "connections"]);
    for path in &paths {
        let delivery = event("things", "20", "create", later());
        assert_eq!(server.request("POST", path, &delivery.to_string()).0, 200, "{hostile:?}");
    }
    until_stored(&mut server, &place, &names, 7);
    measured
}

/// Waits until each of these connections has so many rows.
fn until_stored(server: &mut Server, place: &Place, names: &[String], rows: i64) {
    let stored = |name: &String| {
        let file = place.path("connections").join(format!("{name}.db"));
        let database = rusqlite::Connection::open(file).expect("opened");
        let sql = "SELECT count(*) FROM things_live";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or_default()
    };
    eventually("the rows of honest connections", || {
        assert!(server.ended().is_none(), "the server ended:\n{}", server.log());
        names.iter().all(|name| stored(name) == rows)
    });
}

/// As the table of `docs/SECURITY.md` names a hostile connection.
fn shown(config: &str) -> String {
    config.replace('\n', ", ").replace('"', "").replace("9223372036854775807", "2^63-1")
}

#[test]
fn the_page_has_a_row_for_every_hostile_connection() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SECURITY.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let is_missing = |one: &&&str| !page.contains(&format!("\n| `{}` |", shown(one)));
    let missing: Vec<&&str> = HOSTILE.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}: run it with ISOLATION=full");
}

#[test]
fn hostile_connections_harm_no_honest_one() {
    if let Ok(word) = std::env::var("ISOLATION") {
        let is_chosen = |one: &&str| word == "full" || one.contains(&word);
        let hostile: Vec<&str> = HOSTILE.into_iter().filter(is_chosen).collect();
        println!("| hostile | honest with all rows | honest dead letters | answer | rows | memory |");
        println!("|---|---|---|---|---|---|");
        let hold = |hostile: &[&str]| {
            let measured = holds(20, hostile);
            measured.print(20, hostile);
            // An opt-in measurement of an idle machine, unlike the default run.
            assert!(measured.answer < Duration::from_secs(1), "{hostile:?}: {:?}", measured.answer);
        };
        hostile.iter().for_each(|one| hold(&[one]));
        hostile.chunks(8).for_each(hold);
    } else {
        let measured = holds(4, &HOSTILE);
        measured.print(4, &HOSTILE);
    }
}
