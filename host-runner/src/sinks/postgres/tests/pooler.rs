//! pgbouncer in session mode between the sink and the server, where `TEST_PGBOUNCER` names its program.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Case, Postgres, TEST_URL, case, change, commit, through};
use crate::error::{Kind, Origin};

/// The variable with pgbouncer's program.
const PROGRAM: &str = "TEST_PGBOUNCER";
/// A user without rights: pgbouncer refuses to run as root.
const NOBODY: u32 = 65_534;
/// Longest start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running pooler.
struct Pooler {
    url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// In front of a server in a folder with its Unix socket; none without the program.
    fn start(url: &str) -> Option<Self> {
        let program = std::env::var_os(PROGRAM)?;
        let (user, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
        let (server, database) = rest.split_once('/')?;
        let server = server.replace("%2F", "/");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("opened");
        // A free one.
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{user}\" \"\"\n")).expect("written");
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = session\n",
            users.display()
        );
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(program);
        command.arg("-q").arg(&file).uid(NOBODY).gid(NOBODY).stdout(Stdio::null());
        let process = command.spawn().expect("pgbouncer");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { url: format!("postgres://{user}@127.0.0.1:{port}/{database}"), process, _folder: folder })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _gone_already = self.process.wait();
    }
}

#[test]
fn a_pooler_in_session_mode_keeps_commits_and_other_writers_apart() {
    let Some(Case { sink, settings, place }) = case() else { return };
    drop(sink);
    let Some(pooler) = Pooler::start(&std::env::var(TEST_URL).expect("a URL")) else { return };
    let mut case = Case { sink: open(&settings, &pooler), settings, place };
    let rows = |n: u64| -> Vec<_> {
        (0..200).map(|id| change(&id.to_string(), &format!("{{\"n\":{n}}}"), n)).collect()
    };
    commit(&mut case.sink, &rows(1), "1").expect("copied");
    commit(&mut case.sink, &rows(2), "2").expect("upserted");
    let second = Postgres::open(&through(&case, &pooler.url)).err().expect("two writers");
    assert_eq!((second.origin, second.kind), (Origin::Sink, Kind::Unavailable), "{second}");
    case.end_session();
    let again = commit(&mut case.sink, &rows(3), "3");
    if again.is_err() {
        commit(&mut case.sink, &rows(3), "3").expect("in a new session");
    }
    assert_eq!(case.query("SELECT count(*) FROM {s}.things_live WHERE _raw ->> 'n' = '3'"), "200");
    let Case { sink, settings, place } = case;
    drop(sink);
    let mut case = Case { sink: open(&settings, &pooler), settings, place };
    assert_eq!(case.cursor().as_deref(), Some("3"));
    commit(&mut case.sink, &rows(4), "4").expect("by the next writer");
}

/// The schema of a case through the pooler.
fn open(settings: &crate::sinks::SinkSettings, pooler: &Pooler) -> Postgres {
    let (_, schema) = settings.location.as_schema().expect("a schema");
    let place = crate::sinks::Place { url: Some(&pooler.url), schema: Some(schema), ..Default::default() };
    let location = super::KIND.locate(&place, std::path::Path::new(""), "acme").expect("a location");
    let mut sink =
        Postgres::open(&crate::sinks::SinkSettings { location, ..settings.clone() }).expect("opened");
    crate::sinks::Sink::prepare(&mut sink, &[super::table("{}")]).expect("prepared");
    sink
}
