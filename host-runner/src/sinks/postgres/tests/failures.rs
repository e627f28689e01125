//! Lost sessions and answers, killed servers, other writers, locks and rights.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres_server::{Durability, Server};

use super::super::session::wait;
use super::proxy::{Lose, Proxy};
use super::{
    Case, KIND, Postgres, TEST_URL, case, change, commit, of_role, reader, settings, table, through,
};
use crate::error::{Kind, Origin};
use crate::sinks::{Place, Sink, inspect};

#[test]
fn a_lost_session_is_replaced_by_the_next_call() {
    let Some(mut case) = case() else { return };
    commit(&mut case.sink, &[change("a", "{\"n\":1}", 10)], "1").expect("committed");
    for n in 2..5 {
        case.end_session();
        let rows = [change("a", &format!("{{\"n\":{n}}}"), 10 + n)];
        // The first call may find out.
        let cursor = n.to_string();
        if let Err(error) = commit(&mut case.sink, &rows, &cursor) {
            assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
            commit(&mut case.sink, &rows, &cursor).expect("committed");
        }
        assert_eq!(case.cursor(), Some(cursor));
    }
    assert_eq!(case.query("SELECT _raw FROM {s}.things"), "{\"n\":4}");
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_and_one_that_was_lost_is_not() {
    let Some(case) = case() else { return };
    let Some(proxy) = Proxy::start(&std::env::var(TEST_URL).expect("a URL")) else { return };
    let settings = through(&case, &proxy.url);
    let Case { sink, settings: direct, place } = case;
    drop(sink);
    let sink = Postgres::open(&settings).expect("opened through the proxy");
    let mut case = Case { sink, settings: direct, place };
    for (lose, as_of, cursor) in [(Lose::Answer, 10, "1"), (Lose::Commit, 20, "2"), (Lose::Answer, 30, "3")] {
        let row = [change("a", &format!("{{\"n\":{as_of}}}"), as_of)];
        proxy.lose(lose);
        let counts = match (lose, commit(&mut case.sink, &row, cursor)) {
            (Lose::Commit, lost) => {
                let error = lost.expect_err("it is not there");
                assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
                commit(&mut case.sink, &row, cursor).expect("committed again")
            }
            (_, found) => found.expect("it is there"),
        };
        assert_eq!((counts.read, counts.inserted + counts.updated), (1, 1), "{lose:?}");
        assert_eq!(case.cursor().as_deref(), Some(cursor));
        assert_eq!(case.query("SELECT _raw FROM {s}.things"), format!("{{\"n\":{as_of}}}"));
    }
    // New tables and columns, too.
    for (lose, properties) in [
        (Lose::Answer, "{\"n\":{\"type\":\"integer\"}}"),
        (Lose::Commit, "{\"n\":{\"type\":\"integer\"},\"m\":{}}"),
    ] {
        let mut other = table(properties);
        other.name = format!("others_{lose:?}");
        let tables = [table(properties), other];
        proxy.lose(lose);
        let error = case.sink.prepare(&tables).expect_err("no answer");
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
        case.sink.prepare(&tables).expect("prepared");
    }
    assert_eq!(case.query("SELECT n, m FROM {s}.things_live"), "30|null");
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_no_commit() {
    if std::env::var(TEST_URL).is_err() {
        return;
    }
    let server = Server::start(Durability::None).expect("a server");
    let place = Place { url: Some(&server.url()), ..Place::default() };
    let location = KIND.locate(&place, Path::new(""), "acme").expect("a location");
    let settings = settings(location);
    let mut sink = Postgres::open(&settings).expect("opened");
    sink.prepare(&[table("{\"n\":{\"type\":\"integer\"}}")]).expect("prepared");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut server = server;
            for kill in 0..4_u64 {
                std::thread::sleep(Duration::from_millis(40 + 37 * kill));
                server.kill();
                server.resume().expect("resumed");
            }
            done.store(true, Ordering::SeqCst);
            server
        });
        let (mut committed, mut failures) = (0_u64, 0);
        while !done.load(Ordering::SeqCst) || committed < 20 {
            let n = committed + 1;
            let rows: Vec<_> =
                (0..100).map(|id| change(&id.to_string(), &format!("{{\"n\":{n}}}"), n)).collect();
            match commit(&mut sink, &rows, &n.to_string()) {
                Ok(counts) => {
                    assert_eq!(counts.read, 100);
                    committed = n;
                }
                Err(error) => {
                    failures += 1;
                    assert!(failures < 1_000, "{error}");
                    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
                    // As the runner waits: a server that starts refuses thousands of attempts otherwise.
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        let server = killer.join().expect("killed");
        let progress = inspect(&settings).expect("inspected").expect("a sink");
        assert_eq!(progress.tables[0].cursor, Some(committed.to_string()));
        let client = reader(&server.url());
        let counted = wait(async {
            let sql = format!("SELECT count(*) FROM acme.things WHERE n = {committed}");
            Ok(client.query_one(&sql, &[]).await?.get::<_, i64>(0))
        });
        assert_eq!(counted.expect("a count"), 100);
    });
}

#[test]
fn a_writer_that_another_one_has_followed_is_fenced() {
    let Some(mut case) = case() else { return };
    commit(&mut case.sink, &[change("a", "{\"n\":1}", 10)], "1").expect("committed");
    // As through a pooler that lends one session to two clients: its lock keeps neither out.
    case.query("UPDATE {s}._sync_owner SET writer = 'another'");
    let error = commit(&mut case.sink, &[change("a", "{\"n\":2}", 20)], "2").expect_err("stored");
    assert!(error.message.ends_with("another process has written since this one opened it"), "{error}");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Internal));
    assert_eq!(case.query("SELECT _raw FROM {s}.things"), "{\"n\":1}");
    assert_eq!(case.cursor().as_deref(), Some("1"));
}

#[test]
fn a_lock_or_a_server_that_takes_no_writes_makes_the_sink_wait() {
    let Some(mut case) = case() else { return };
    let row = [change("a", "{\"n\":1}", 10)];
    let (url, schema) = case.settings.location.as_schema().expect("a schema");
    let other = reader(url);
    let lock = format!("BEGIN; LOCK TABLE \"{schema}\".things IN ACCESS EXCLUSIVE MODE");
    wait(async { Ok(other.batch_execute(&lock).await?) }).expect("locked");
    case.in_session("SET lock_timeout = '50ms'");
    let error = commit(&mut case.sink, &row, "1").expect_err("stored");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("another session holds a lock")));
    drop(other);
    case.in_session("SET lock_timeout = '30s'; SET default_transaction_read_only = on");
    let error = commit(&mut case.sink, &row, "1").expect_err("stored");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("standby")));
    case.in_session("SET default_transaction_read_only = off");
    assert_eq!(commit(&mut case.sink, &row, "1").expect("committed").inserted, 1);
}

#[test]
fn a_role_needs_few_rights_and_without_them_the_error_says_which() {
    let Some(case) = case() else { return };
    let (role, own, settings) = of_role(&case);
    case.query(&format!("CREATE ROLE {role} LOGIN"));
    let error = Postgres::open(&settings).err().expect("opened");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Config), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("CREATE on the database")), "{}", error.message);
    // As docs/sinks.md says.
    case.query(&format!("CREATE SCHEMA {own}; GRANT USAGE, CREATE ON SCHEMA {own} TO {role}"));
    let mut sink = Postgres::open(&settings).expect("opened");
    sink.prepare(&[table("{\"n\":{\"type\":\"integer\"}}")]).expect("prepared");
    let rows: Vec<_> = (0..100).map(|id| change(&id.to_string(), "{\"n\":1}", 1)).collect();
    assert_eq!(commit(&mut sink, &rows, "c").expect("committed").inserted, 100);
    drop(sink);
    case.query(&format!("DROP SCHEMA {own} CASCADE; DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_server_that_an_unknown_authority_vouches_for_is_refused() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .expect("a configuration");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().expect("a client");
        let mut request = [0; 8];
        socket.read_exact(&mut request).expect("a request for TLS");
        socket.write_all(b"S").expect("answered");
        let mut tls = rustls::ServerConnection::new(std::sync::Arc::new(config)).expect("a connection");
        let _refused = tls.complete_io(&mut socket);
    });
    let url = format!("postgres://me:hunter2@localhost:{port}/d?sslmode=verify-full");
    let place = Place { url: Some(&url), ..Place::default() };
    let location = KIND.locate(&place, Path::new(""), "acme").expect("a location");
    let error = Postgres::open(&settings(location)).err().expect("opened");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Config), "{error}");
    assert!(error.message.contains("invalid peer certificate"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("sslrootcert")));
    assert!(!error.message.contains("hunter2"));
    server.join().expect("ended");
}
