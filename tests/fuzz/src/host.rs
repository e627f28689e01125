//! The runner's parsers of files, of documents of a component, and of its socket.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use host_runner::change::{Batch, Change, ChangeSource, Listing, Operation, Table};
use host_runner::connection::{Connection, PolicyFile};
use host_runner::delivery::Delivery;
use host_runner::describe::Describe;
use host_runner::fuzzing;
use host_runner::journal::{Journal, JournalLimits};
use host_runner::sinks::{
    Commit, Deletes, KINDS, Load, Location, Place, Progress, SinkKind, SinkSettings, open,
};
use tempfile::TempDir;

use super::{parts, text};

/// Deliveries in the journal that is damaged.
const DELIVERIES: u64 = 20;

fn folder() -> TempDir {
    TempDir::with_prefix("fuzz-").expect("a folder")
}

/// A connection file.
pub(super) fn connection_file(input: &[u8]) {
    let folder = folder();
    let path = folder.path().join("a.toml");
    std::fs::write(&path, input).expect("written");
    let variable = |name: &str| (name == "SECRET").then(|| "a secret".to_owned());
    let _error = Connection::load(&path, &variable);
    let _error = host_runner::connection::name_in(&path, &variable, None);
}

/// A folder with a policy file, and the folders that it lists.
struct Bounds {
    folder: TempDir,
    policy: Arc<PolicyFile>,
}

impl Bounds {
    const POLICY: &str = "components = [\"components\"]\nhosts = [\"api.example.com:443\"]\n\
        sinks = [\"rows\", \"postgres://db.example/desk\", \
        \"s3://rows/desk?endpoint=https://s3.example:9000\", \"s3://rows/amazon\"]\n\
        files = [\"secrets\"]\nvariables = [\"TEAM_*\"]\n\
        [batch]\nmax_rows = 5000\n[sandbox]\nmemory = \"128MiB\"\n";

    fn get() -> &'static Self {
        static BOUNDS: OnceLock<Bounds> = OnceLock::new();
        BOUNDS.get_or_init(|| {
            let folder = folder();
            let path = |name: &str| folder.path().join(name);
            for name in ["components", "rows", "secrets", "files"] {
                std::fs::create_dir(path(name)).expect("a folder");
                std::os::unix::fs::symlink("/etc", path(name).join("link")).expect("a link");
            }
            std::fs::write(path("components/x.wasm"), "").expect("written");
            std::fs::write(path("secrets/ca.pem"), "secret").expect("written");
            std::fs::write(path("policy.toml"), Self::POLICY).expect("written");
            let policy = Arc::new(PolicyFile::load(&path("policy.toml")).expect("a policy"));
            Self { folder, policy }
        })
    }

    /// A path without links is below one of the folders: its last part that exists, and no `..` behind it.
    fn assert_below(&self, name: &str, path: &Path) {
        let existing = path.ancestors().find(|part| part.exists()).expect("a part");
        let rest = path.strip_prefix(existing).expect("its beginning");
        let is_plain = rest.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let real = existing.canonicalize().expect("it exists");
        let listed = self.folder.path().join(name).canonicalize().expect("it exists");
        assert!(is_plain && real.starts_with(listed), "{} is not in `{name}`", path.display());
    }

    fn assert_sink(&self, location: &Location) {
        let url = location.shown_url();
        let path: Option<&PathBuf> = match location {
            Location::Path(path) | Location::Objects { path, .. } => Some(path),
            Location::Schema { .. } => None,
        };
        path.into_iter().for_each(|path| self.assert_below("rows", path));
        let is_listed = url.is_empty() || Self::POLICY.contains(&format!("\"{url}\""));
        assert!(is_listed, "{url} is not in `sinks`");
        if let Location::Schema { url, .. } | Location::Objects { url, .. } = location {
            fuzzing::sink_url(url);
        }
        location.authority_file().into_iter().for_each(|(_, file)| self.assert_below("secrets", &file));
    }
}

/// A policy file; and a connection file, which asks for no more than another policy admits.
pub(super) fn policy_file(input: &[u8]) {
    let bounds = Bounds::get();
    let path = |name: &str| bounds.folder.path().join(name);
    let mut parts = parts(input);
    std::fs::write(path("read.toml"), parts.next().unwrap_or_default()).expect("written");
    let _error = PolicyFile::load(&path("read.toml"));
    let file = path("files/a.toml");
    std::fs::write(&file, parts.next().unwrap_or_default()).expect("written");
    let variables = RefCell::new(Vec::new());
    let variable = |name: &str| {
        variables.borrow_mut().push(name.to_owned());
        Some("a secret".to_owned())
    };
    let connection = Connection::load_within(&file, &variable, Some(&bounds.policy));
    assert!(variables.borrow().iter().all(|name| name.starts_with("TEAM_")), "{:?}", variables.borrow());
    let Ok(connection) = connection else { return };
    connection.component.iter().for_each(|component| bounds.assert_below("components", component));
    connection.ca_file.iter().for_each(|ca_file| bounds.assert_below("secrets", ca_file));
    bounds.assert_sink(&connection.sink.location);
    connection.attachments.iter().for_each(|attachments| bounds.assert_sink(&attachments.location));
    // Hosts are compared later, with those of the component.
    let (rows, memory) = (connection.limits.batch.max_rows, connection.limits.sandbox.memory);
    assert!(rows <= 5_000 && memory <= 128 << 20, "{rows} rows, {memory} bytes");
}

/// The URL of a sink.
pub(super) fn sink_url(input: &[u8]) {
    fuzzing::sink_url(&String::from_utf8_lossy(input));
}

/// A `describe` document, and a configuration.
pub(super) fn describe(input: &[u8]) {
    let mut parts = parts(input);
    let Ok(describe) = Describe::parse(&text(parts.next())) else { return };
    let config = serde_json::from_slice(parts.next().unwrap_or_default()).unwrap_or_default();
    let _error = describe.targets(&config);
    for key in describe.keys() {
        let _parsed = (key.is_secret(), key.group(), key.default(), key.choices(), key.example());
        let _parsed = (key.title("en"), key.description("zh-CN"));
    }
    let _name = describe.table_name("tickets");
}

/// A request of the server API.
pub(super) fn server_api(input: &[u8]) {
    fuzzing::control_request(&String::from_utf8_lossy(input));
}

/// The schema of a table, the key of a row, the row; into every kind of sink.
pub(super) fn schema(input: &[u8]) {
    let mut parts = parts(input);
    let (schema, key, after) = (text(parts.next()), text(parts.next()), text(parts.next()));
    let Ok(tables) = fuzzing::admitted("things", &["id"], &schema) else { return };
    // Those that need nothing but a folder.
    let at = |kind: &&SinkKind| kind.locate(&Place::default(), Path::new(""), "fuzz").is_ok();
    for kind in KINDS.iter().copied().filter(at) {
        let folder = folder();
        fill(kind, folder.path(), &tables, &key, &after);
    }
}

fn settings(kind: &'static SinkKind, folder: &Path) -> SinkSettings {
    let location = kind.locate(&Place::default(), folder, "fuzz").expect("a location");
    SinkSettings {
        kind,
        location,
        deletes: Deletes::Soft,
        load: Load::Live,
        file_age_ms: 900_000,
        owner: "fuzz".to_owned(),
    }
}

/// Opens a sink, prepares the tables and commits one row. Errors are fine.
fn fill(kind: &'static SinkKind, folder: &Path, tables: &[Table], key: &str, after: &str) {
    let Ok(mut sink) = open(&settings(kind, folder)) else { return };
    if sink.prepare(tables).is_err() {
        return;
    }
    let change = Change {
        table: "things".to_owned(),
        operation: Operation::Read,
        key: key.to_owned(),
        before: None,
        after: Some(after.to_owned()),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: None,
        as_of_ms: Some(1),
        id: "1".to_owned(),
    };
    let progress = Progress::Table { name: "things", cursor: "{}", generation: None };
    let _error = sink.commit(&Commit { changes: &[change], progress, as_of_ms: 1, epoch: 0 });
    let batch = Batch {
        changes: Vec::new(),
        listings: vec![Listing { parent: after.to_owned(), keys: vec![key.to_owned()], as_of_ms: 2 }],
        cursor: "{}".to_owned(),
        generation: None,
        caught_up: true,
        wait_ms: None,
        undelivered: None,
        attributes: Vec::new(),
        called_at_ms: 2,
    };
    let _error = sink.unlisted("things", &batch);
    let _error = sink.progress();
}

/// Commit log and first segment of a folder of JSON lines.
pub(super) fn jsonl(input: &[u8]) {
    let Some(kind) = SinkKind::named("jsonl") else { return };
    let folder = folder();
    let mut parts = parts(input);
    let rows = folder.path().join("fuzz");
    std::fs::create_dir_all(rows.join("things")).expect("a folder");
    std::fs::write(rows.join("_sync_commits.jsonl"), parts.next().unwrap_or_default()).expect("written");
    std::fs::write(rows.join("things/000001.jsonl"), parts.next().unwrap_or_default()).expect("written");
    let Ok(tables) = fuzzing::admitted("things", &["id"], r#"{"properties":{"id":{"type":"string"}}}"#)
    else {
        return;
    };
    fill(kind, folder.path(), &tables, r#"{"id":"1"}"#, r#"{"id":"1"}"#);
}

/// Damage to the file of a journal: two bytes of a part are the place, in 65,536ths of the file, and the
/// others the new bytes. A part of one byte cuts the file.
pub(super) fn journal(input: &[u8]) {
    let folder = folder();
    let path = folder.path().join("journal.db");
    let mut file = intact().to_vec();
    for part in parts(input) {
        match part {
            [high, low, bytes @ ..] => {
                let at = file.len() * usize::from(u16::from_be_bytes([*high, *low])) / 65_536;
                file.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = *new);
            }
            [cut] => file.truncate(file.len() * usize::from(*cut) / 255),
            [] => {}
        }
    }
    std::fs::write(&path, file).expect("written");
    let Ok((journal, _)) = Journal::open(&path, JournalLimits::default()) else { return };
    let _error = journal.next("fuzz", 0, 100, 1 << 20);
    let _error = journal.dead_letters(None, 0, 100);
    let _error = journal.acknowledge("fuzz", &[3]);
    let _depth = journal.depth("fuzz");
}

/// The file of a journal with some deliveries.
fn intact() -> &'static [u8] {
    static INTACT: OnceLock<Vec<u8>> = OnceLock::new();
    INTACT.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("journal.db");
        let (journal, _) = Journal::open(&path, JournalLimits::default()).expect("a journal");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for number in 0..DELIVERIES {
            runtime.block_on(journal.append("fuzz", delivery(number))).expect("appended");
        }
        drop(journal);
        std::fs::read(&path).expect("the journal")
    })
}

fn delivery(number: u64) -> Delivery {
    Delivery {
        received_at_ms: number,
        method: "POST".to_owned(),
        path_with_query: "/".to_owned(),
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: format!("[{number}]").into_bytes(),
    }
}
