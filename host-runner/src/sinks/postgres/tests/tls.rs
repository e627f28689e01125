//! A server that asks for TLS and SCRAM, as hosted ones do.

use std::path::Path;

use postgres_server::{Durability, Server};

use super::{change, commit, settings, table};
use crate::error::{Error, Kind, Origin};
use crate::sinks::postgres::session::wait;
use crate::sinks::postgres::stored::{TEST_URL, reader};
use crate::sinks::postgres::{KIND, Postgres};
use crate::sinks::{Place, Sink};

fn open(url: &str) -> Result<Postgres, Error> {
    let place = Place { url: Some(url), ..Place::default() };
    Postgres::open(&settings(KIND.locate(&place, Path::new(""), "acme").expect("a location")))
}

#[test]
fn a_server_that_asks_for_tls_and_scram_is_written_to_with_the_right_password_and_authority() {
    if std::env::var(TEST_URL).is_err() {
        return;
    }
    let mut server = Server::start(Durability::None).expect("a server");
    let client = reader(&server.url());
    let has_tls = wait(async {
        let row = client.query_one("SELECT current_setting('ssl_library')", &[]).await?;
        Ok(!row.get::<_, String>(0).is_empty())
    });
    if !has_tls.expect("a setting") {
        return;
    }
    let sql = "SET password_encryption = 'scram-sha-256'; CREATE ROLE writer LOGIN PASSWORD 'hunter2'; \
               GRANT CREATE ON DATABASE postgres TO writer";
    wait(async { Ok(client.batch_execute(sql).await?) }).expect("a role");
    drop(client);
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let place = server.listen_with_tls(&own.cert.pem(), &own.signing_key.serialize_pem()).expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, own.cert.pem()).expect("a file");
    let authority = format!("&sslrootcert={}", authority.display());
    let url = |password: &str, more: &str| format!("postgres://writer:{password}@{place}/postgres?{more}");
    let verified = |more: &str| format!("sslmode=verify-full{more}{authority}");

    // With the binding to this channel, a program between the two cannot pass the login on.
    let mut sink = open(&url("hunter2", &verified("&channel_binding=require"))).expect("opened");
    sink.prepare(&[table("{\"n\":{\"type\":\"integer\"}}")]).expect("prepared");
    assert_eq!(commit(&mut sink, &[change("a", "{\"n\":1}", 1)], "1").expect("committed").inserted, 1);
    let is_encrypted = sink.run(async |session| {
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok(session.client.query_one(sql, &[]).await?.get::<_, bool>(0))
    });
    assert!(is_encrypted.expect("an answer"));
    drop(sink);

    for (name, refused, reason) in [
        ("another password", url("hunter3", &verified("")), "password authentication failed"),
        ("no TLS", url("hunter2", "sslmode=disable"), "no pg_hba.conf entry"),
        ("another authority", url("hunter2", "sslmode=verify-full"), "invalid peer certificate"),
    ] {
        let error = open(&refused).err().unwrap_or_else(|| panic!("{name}: opened"));
        assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Config), "{name}: {error}");
        assert!(error.message.contains(reason) && !error.message.contains("hunter"), "{name}: {error}");
    }
}
