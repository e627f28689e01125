//! The server's own ways: readers that hold locks, limits of statements and sessions, roles and encodings.

use std::path::Path;
use std::time::Duration;

use postgres_server::{Durability, Server};

use super::super::SESSIONS_KEPT;
use super::super::session::{permit, wait};
use super::{Case, KIND, Postgres, TEST_URL, case, change, commit, of_role, reader, settings, table};
use crate::change::Generation;
use crate::error::{Kind, Origin};
use crate::limits::Limits;
use crate::policy::{self, Budget};
use crate::sinks::{Commit, Place, Progress, Sink};

#[test]
fn a_lock_on_one_table_neither_fails_the_discovery_nor_keeps_others_from_their_columns() {
    let Some(mut case) = case() else { return };
    commit(&mut case.sink, &[change("a", "{\"m\":1}", 10)], "1").expect("committed");
    let (url, schema) = case.settings.location.as_schema().expect("a schema");
    let other = reader(url);
    let query = format!("BEGIN; SELECT * FROM \"{schema}\".things");
    wait(async { Ok(other.batch_execute(&query).await?) }).expect("a long query");
    let wider = table("{\"m\":{\"type\":\"integer\"}}");
    let mut new = wider.clone();
    new.name = "others".into();
    let tables = [wider, new];
    case.sink.prepare(&tables).expect("prepared");
    assert_eq!(case.query("SELECT count(m) FROM {s}.others"), "0");
    commit(&mut case.sink, &[change("b", "{\"m\":2}", 10)], "2").expect("committed");
    wait(async { Ok(other.batch_execute("ROLLBACK").await?) }).expect("ended");
    case.sink.prepare(&tables).expect("prepared again");
    assert_eq!(case.query("SELECT string_agg(m::text, ' ' ORDER BY id) FROM {s}.things_live"), "1 2");
}

#[test]
fn the_end_of_a_snapshot_has_no_time_limit() {
    let Some(mut case) = case() else { return };
    let rows: Vec<_> = (0..100).map(|id| change(&id.to_string(), "{}", 1)).collect();
    commit(&mut case.sink, &rows, "1").expect("committed");
    // As a slow disk does: a statement with a limit fails.
    case.query(
        "CREATE FUNCTION {s}.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('statement_timeout') <> '0' THEN RAISE SQLSTATE '57014'; END IF; \
         RETURN NULL; END $$; \
         CREATE TRIGGER slow BEFORE UPDATE ON {s}.things FOR EACH STATEMENT EXECUTE FUNCTION {s}.slow()",
    );
    let generation = Some(Generation { id: 7, as_of_ms: Some(20), complete: true });
    let progress = Progress::Table { name: "things", cursor: "2", generation };
    let end = Commit { changes: &[], progress, as_of_ms: 50, epoch: 0 };
    assert_eq!(case.sink.commit(&end).expect("committed").deleted, 100);
    assert_eq!(case.query("SELECT count(*) FROM {s}.things_live"), "0");
    let limit = case.sink.run(async |session| {
        Ok(session.client.query_one("SHOW statement_timeout", &[]).await?.get::<_, String>(0))
    });
    assert_eq!(limit.expect("a setting"), "5min");
}

#[test]
fn the_server_ends_the_session_of_a_machine_that_is_gone() {
    if std::env::var(TEST_URL).is_err() {
        return;
    }
    let mut server = Server::start(Durability::None).expect("a server");
    // By TCP: a socket in a folder has none.
    let url = server.listen().expect("a port");
    let place = Place { url: Some(&url), ..Place::default() };
    let location = KIND.locate(&place, Path::new(""), "acme").expect("a location");
    let sink = Postgres::open(&settings(location)).expect("opened");
    for (name, seconds) in [("idle", "30"), ("interval", "10"), ("count", "3")] {
        let shown = sink.run(async |session| {
            let sql = format!("SHOW tcp_keepalives_{name}");
            Ok(session.client.query_one(&sql, &[]).await?.get::<_, String>(0))
        });
        assert_eq!(shown.expect("a setting"), seconds, "{name}");
    }
}

#[test]
fn a_session_beyond_the_bound_waits_and_is_then_refused() {
    let room = tokio::sync::Semaphore::new(1);
    let soon = Duration::from_millis(1);
    let first = wait(permit(&room, soon)).expect("room");
    let error = wait(permit(&room, soon)).expect_err("no room");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    drop(first);
    drop(wait(permit(&room, soon)).expect("room again"));
}

#[test]
fn an_idle_sink_of_many_holds_no_session_and_a_writer_that_came_meanwhile_fences_it() {
    let Some(mut case) = case() else { return };
    let pid = |case: &Case| {
        let pid = case.sink.run(async |session| {
            Ok(session.client.query_one("SELECT pg_backend_pid()", &[]).await?.get::<_, i32>(0))
        });
        pid.expect("a number")
    };
    let first = pid(&case);
    case.sink.rest_among(SESSIONS_KEPT, SESSIONS_KEPT);
    assert_eq!(pid(&case), first, "one of few keeps its session");
    for cursor in ["1", "2"] {
        commit(&mut case.sink, &[change("a", "{\"n\":1}", 10)], cursor).expect("committed");
        assert_eq!(case.cursor().as_deref(), Some(cursor));
        case.sink.rest_among(SESSIONS_KEPT + 1, SESSIONS_KEPT);
    }
    // Its lock is free, so its session has ended.
    let mut other = Postgres::open(&case.settings).expect("opened");
    commit(&mut other, &[change("a", "{\"n\":2}", 20)], "3").expect("committed");
    let error = commit(&mut case.sink, &[change("a", "{\"n\":3}", 30)], "4").expect_err("stored");
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
    drop(other);
    let error = commit(&mut case.sink, &[change("a", "{\"n\":3}", 30)], "4").expect_err("stored");
    assert!(error.message.ends_with("another process has written since this one opened it"), "{error}");
    assert_eq!(case.query("SELECT _raw FROM {s}.things"), "{\"n\":2}");
}

#[test]
fn a_role_that_may_not_log_in_for_a_while_is_no_matter_of_the_connection_file() {
    let Some(case) = case() else { return };
    let (role, own, settings) = of_role(&case);
    case.query(&format!("CREATE ROLE {role}; CREATE SCHEMA {own} AUTHORIZATION {role}"));
    let error = Postgres::open(&settings).err().expect("opened");
    assert_eq!(error.code.as_deref(), Some("28000"), "{error}");
    let budget = Budget::endless(&Limits::default());
    assert!(policy::backoff(&error, 1, &budget, 0.5).is_some(), "{error}");
    case.query(&format!("ALTER ROLE {role} LOGIN"));
    drop(Postgres::open(&settings).expect("opened"));
    case.query(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

#[test]
fn a_database_that_does_not_hold_every_text_is_refused() {
    let Some(case) = case() else { return };
    let (url, schema) = case.settings.location.as_schema().expect("a schema");
    let database = format!("latin_{schema}");
    case.query(&format!(
        "CREATE DATABASE {database} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let (base, _) = url.rsplit_once('/').expect("a database");
    let place = Place { url: Some(&format!("{base}/{database}")), ..Place::default() };
    let location = KIND.locate(&place, Path::new(""), "acme").expect("a location");
    let error = Postgres::open(&settings(location)).err().expect("opened");
    case.query(&format!("DROP DATABASE {database} WITH (FORCE)"));
    assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Config), "{error}");
    assert!(error.message.ends_with("the encoding of the database is LATIN1, not UTF8"), "{error}");
}
