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

/// Configurations of hostile connections, each with the promise that it tests.
const HOSTILE: &[(&str, &str)] = &[
    ("behavior = \"trap\"", "a trap costs one call"),
    ("behavior = \"spin\"", "CPU time of a call and over time"),
    ("behavior = \"allocate\"", "memory of an instance"),
    ("behavior = \"hold\"", "memory is a share, also while it waits"),
    ("behavior = \"hoard\"", "handles"),
    ("behavior = \"forbidden-host\"", "egress"),
    ("behavior = \"big-batch\"", "bytes of one call"),
    ("behavior = \"stuck-cursor\"", "a cursor moves"),
    ("behavior = \"bad-json\"", "rows are JSON"),
    ("behavior = \"bad-key\"", "keys are objects"),
    ("behavior = \"wrong-table\"", "tables are discovered"),
    (
        "behavior = \"fail\"\nkind = \"rate-limited\"\nretry_after_ms = 9223372036854775807",
        "a wait has an end",
    ),
    ("behavior = \"leak-secrets\"", "secrets are redacted"),
    (
        "fails_discover = true\nkind = \"unavailable\"\nretry_after_ms = 9223372036854775807",
        "a wait has an end",
    ),
    ("renew = true", "sessions are renewed at no cost to others"),
    ("crosses = \"changes\"", "changes of a batch"),
    ("crosses = \"listings\"", "listings of a batch"),
    ("crosses = \"listed-keys\"", "keys of listings"),
    ("crosses = \"parent\"", "key size"),
    ("crosses = \"cursor\"", "cursor size"),
    ("crosses = \"key\"", "key size"),
    ("crosses = \"change-id\"", "id size"),
    ("crosses = \"change-table\"", "letters of names"),
    ("crosses = \"attributes\"", "attributes are dropped"),
    ("crosses = \"warnings\"\npage = 1\nrows = 1000000000", "warnings are logged rarely"),
    ("crosses = \"credits\"", "counters do not fall"),
    ("crosses = \"partial\"", "partial rows are merged in linear time"),
    ("crosses = \"trailers\"", "host memory behind handles"),
    ("crosses = \"wait\"", "a wait has an end"),
    ("crosses = \"message\"", "messages are cut"),
    ("crosses = \"methods\"", "host memory behind handles"),
    ("crosses = \"authorities\"", "host memory behind handles"),
    ("crosses = \"fields\"", "host memory behind handles"),
    ("crosses = \"tables\"", "number of tables"),
    ("crosses = \"table-name\"", "length of names"),
    ("crosses = \"table-path\"", "letters of names"),
    ("crosses = \"schema\"", "schema size"),
    ("crosses = \"path-parts\"", "depth of an x-path"),
    ("crosses = \"key-members\"", "members of a key"),
    ("crosses = \"key-name\"", "length of names"),
    ("crosses = \"session\"", "session size"),
    ("crosses = \"session-texts\"", "texts of a session that are looked for"),
    ("crosses = \"nested-secrets\"", "the search for secrets is linear"),
    ("crosses = \"column-names\"", "names that are one are numbered in linear time"),
    ("crosses = \"check-items\"", "number of check items"),
    ("crosses = \"answer\"", "answer size"),
    ("crosses = \"subscription\"", "subscription size"),
    ("crosses = \"receipt-changes\"", "changes of a delivery"),
    ("crosses = \"receipt-attributes\"", "attributes are dropped"),
    ("crosses = \"wide-row\"", "a row costs a few times its bytes"),
    ("crosses = \"file-name\"\nfiles = \"fail\"\nkind = \"data\"", "names are cut"),
    ("crosses = \"clones\"", "host memory behind handles"),
    ("crosses = \"responses\"", "host memory behind handles"),
    ("crosses = \"piece\"", "piece of a file"),
    ("files = \"endless\"", "size of an attachment"),
    ("files = \"stuck\"", "a file makes progress"),
    ("files = \"fail\"\nkind = \"unavailable\"", "a file that fails waits alone"),
    ("opens = \"waits\"", "time of `open`"),
    ("opens = \"spins\"", "CPU time of `open`"),
    ("page = 10000\nrows = 1000000000", "processor time over time, commits included"),
];

/// Of these, values are cut or dropped without a word, or they are accepted at a bounded cost: nothing but
/// the rows of their tables shows that they came.
const SILENT: &[&str] = &[
    "renew",
    "attributes",
    "warnings",
    "credits",
    "partial",
    "\"wait\"",
    "session-texts",
    "nested-secrets",
    "column-names",
    "wide-row",
    "file-name",
    "files",
    "piece",
    "page",
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
    fn print(&self, honest: usize, hostile: &[(&str, &str)]) {
        let (name, promise) = match hostile {
            [(one, promise)] => (format!("`{}`", shown(one)), *promise),
            many => (format!("{} at a time", many.len()), "all of these together"),
        };
        println!(
            "| {name} | {promise} | {honest} of {honest} | 0 | {} ms | {} ms | {} MiB |",
            self.answer.as_millis(),
            self.rows.as_millis(),
            self.memory_kib >> 10
        );
    }
}

/// Starts these connections and asserts every promise to the honest ones.
fn holds(honest: usize, hostile: &[(&str, &str)]) -> Measured {
    let hostile: Vec<&str> = hostile.iter().map(|(config, _)| *config).collect();
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
    // Calls that no delivery makes.
    let calls: [(&str, &[&str]); 3] = [
        ("check-items", &["check"]),
        ("answer", &["invoke", "echo", "1"]),
        ("subscription", &["webhook", "subscribe", "--public-url", "https://a.example"]),
    ];
    let called = |config: &str| {
        calls.iter().find(|(word, _)| config.contains(&format!("\"{word}\""))).map(|(_, call)| *call)
    };
    for (number, config) in hostile.iter().enumerate() {
        if let Some(call) = called(config) {
            place.expect_of(&format!("connections/hostile{number}.toml"), call, 11);
        }
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
    for (number, config) in hostile.iter().enumerate().filter(|(_, config)| called(config).is_none()) {
        misbehaved(&server, number, config);
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

/// Waits until the server shows that a hostile connection misbehaved: a failure in the log or in its status,
/// or rows.
fn misbehaved(server: &Server, number: usize, config: &str) {
    let (name, not_loaded) = (format!("hostile{number}"), format!("hostile{number}.toml: not loaded"));
    let said = format!("connection={name}");
    let is_silent = SILENT.iter().any(|word| config.contains(word));
    let has_rows = || {
        let samples = ["rows_read_total", "changes_total"];
        let sample = |family: &str| server.metric(&format!("{family}{{connection=\"{name}\",table=\"t"));
        samples.iter().any(|family| sample(family).is_some_and(|rows| rows > 0.0))
    };
    let has_failed = || {
        let health = server.health();
        let connections = health["connections"].as_array().cloned().unwrap_or_default();
        let is_failing = |one: &serde_json::Value| one["name"] == *name && !one["last_error"].is_null();
        connections.iter().any(is_failing)
            || server.log().lines().any(|line| {
                let is_of_it = || line.split_whitespace().any(|word| word.replace('"', "") == said);
                (line.contains(" WARN ") || line.contains("ERROR ")) && is_of_it()
                    || line.contains(&not_loaded)
            })
    };
    eventually(&format!("what `{config}` does"), || if is_silent { has_rows() } else { has_failed() });
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
    let row = |(config, promise): &(&str, &str)| format!("| `{}` | {promise} |", shown(config));
    let missing: Vec<String> =
        HOSTILE.iter().map(row).filter(|row| !page.contains(&format!("\n{row}"))).collect();
    assert!(missing.is_empty(), "{missing:?}: run it with ISOLATION=full");
}

#[test]
fn hostile_connections_harm_no_honest_one() {
    if let Ok(word) = std::env::var("ISOLATION") {
        let is_chosen = |one: &&(&str, &str)| word == "full" || one.0.contains(&word);
        let hostile: Vec<(&str, &str)> = HOSTILE.iter().filter(is_chosen).copied().collect();
        println!(
            "| hostile | promised | honest with all rows | honest dead letters | slowest answer \
             | slowest rows | peak memory |"
        );
        println!("|---|---|---|---|---|---|---|");
        let hold = |hostile: &[(&str, &str)]| {
            let measured = holds(20, hostile);
            measured.print(20, hostile);
            // An opt-in measurement of an idle machine, unlike the default run.
            assert!(measured.answer < Duration::from_secs(1), "{hostile:?}: {:?}", measured.answer);
        };
        hostile.iter().for_each(|one| hold(&[*one]));
        hostile.chunks(8).for_each(hold);
    } else {
        holds(4, HOSTILE).print(4, HOSTILE);
    }
}
