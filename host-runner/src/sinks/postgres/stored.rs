//! Reads a table back for the conformance suite, and gives each of its tests a schema.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_postgres::{Client, NoTls};

use super::schema::{in_schema, key_names};
use super::session::wait;
use super::values::unescaped;
use crate::sinks::columns::{Layout, MISSING, quote};
use crate::sinks::conformance::{State, StoredRows, TestPlace};
use crate::sinks::{Location, Place};

/// The variable with the URL of a database for tests.
pub(super) const TEST_URL: &str = "TEST_DATABASE_URL";

/// A session of a reader.
pub(super) fn reader(url: &str) -> Client {
    let client = wait(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    });
    client.expect("connected")
}

/// A new schema that is dropped at the end; none without a database.
pub(super) fn test_place() -> Option<TestPlace> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let url = std::env::var(TEST_URL).ok()?;
    let schema = || {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        format!("test_{}_{number}", std::process::id())
    };
    let location = |schema: &str| {
        let place = Place { url: Some(&url), schema: Some(schema), ..Place::default() };
        super::address::locate(&place, std::path::Path::new(""), "test").expect("a location")
    };
    let (schema, free) = (schema(), schema());
    let place = (location(&schema), location(&free));
    let dropped = Dropped { url: url.clone(), schema };
    Some(TestPlace { location: place.0, free: place.1, _guard: Box::new(dropped) })
}

/// Drops a schema at the end of a test.
struct Dropped {
    url: String,
    schema: String,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        // Also after a test that killed the server.
        let _ignored = wait(async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
            tokio::spawn(connection);
            let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", quote(&self.schema));
            Ok(client.batch_execute(&sql).await?)
        });
    }
}

pub(super) fn rows(location: &Location, table: &str) -> StoredRows {
    let (url, schema) = location.as_schema().expect("a schema");
    let client = reader(url);
    let rows = wait(async {
        let sql = format!("SELECT layout::text FROM {}._sync_columns WHERE \"table\" = $1", quote(schema));
        let layout: String = client.query_one(&sql, &[&table]).await?.get(0);
        let layout: Layout = serde_json::from_str(&layout).expect("a layout");
        let sql = format!(
            "SELECT \"_deleted\", \"_change_source\", \"_raw\"::text, {} FROM {}",
            key_names(&layout).join(", "),
            in_schema(schema, table)
        );
        Ok(client.query(&sql, &[]).await?)
    });
    let read = |row: &tokio_postgres::Row| {
        let key: Vec<String> = (3..row.len()).map(|column| unescaped(row.get(column))).collect();
        let (is_deleted, source, raw): (bool, &str, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        let state = match is_deleted {
            true if source == MISSING => State::Missing,
            true => State::Deleted,
            false => State::Live(serde_json::from_str(raw.expect("a live row's JSON")).expect("JSON")),
        };
        (key.join("/"), state)
    };
    rows.expect("rows").iter().map(read).collect()
}
