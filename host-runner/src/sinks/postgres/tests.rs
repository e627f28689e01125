//! Behavior of the PostgreSQL sink alone, where there is a database for tests. The suite of all sinks is in
//! `sinks/conformance`.

mod failover;
mod failures;
mod full_disk;
mod pooler;
mod proxy;
mod rows;
mod server;
mod tls;

use super::stored::{TEST_URL, reader, test_place};
use super::{KIND, Postgres};
use crate::change::{Change, ChangeSource, Operation, Table};
use crate::error::Result;
use crate::sinks::conformance::TestPlace;
use crate::sinks::{Commit, Counts, Location, Place, Progress, Sink, SinkSettings};

/// A sink in a new schema.
struct Case {
    sink: Postgres,
    settings: SinkSettings,
    place: TestPlace,
}

/// None without a database for tests.
fn case() -> Option<Case> {
    let place = test_place()?;
    let settings = settings(place.location.clone());
    let sink = Postgres::open(&settings).expect("opened");
    let mut case = Case { sink, settings, place };
    case.sink.prepare(&[table("{}")]).expect("prepared");
    Some(case)
}

fn settings(location: Location) -> SinkSettings {
    SinkSettings::of_test(&KIND, location)
}

/// The name of a role, the name of a schema for it, and the settings with which the role opens it. Neither is
/// created.
fn of_role(case: &Case) -> (String, String, SinkSettings) {
    let (url, schema) = case.settings.location.as_schema().expect("a schema");
    let (role, own) = (format!("role_{schema}"), format!("{schema}_x"));
    let user = url.strip_prefix("postgres://").and_then(|rest| rest.split_once('@')).expect("a user").0;
    let url = url.replacen(&format!("{user}@"), &format!("{role}@"), 1);
    let place = Place { url: Some(&url), schema: Some(&own), ..Place::default() };
    let location = KIND.locate(&place, std::path::Path::new(""), "acme").expect("a location");
    (role, own, settings(location))
}

/// The same schema through another URL.
fn through(case: &Case, url: &str) -> SinkSettings {
    let (_, schema) = case.settings.location.as_schema().expect("a schema");
    let place = Place { url: Some(url), schema: Some(schema), ..Place::default() };
    let location = KIND.locate(&place, std::path::Path::new(""), "acme").expect("a location");
    SinkSettings { location, ..case.settings.clone() }
}

fn table(properties: &str) -> Table {
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{properties}}}"),
        schema_complete: true,
        attributes: vec![("title".into(), "Things".into())],
    }
}

fn change(id: &str, row: &str, as_of: u64) -> Change {
    Change {
        table: "things".into(),
        operation: Operation::Update,
        key: serde_json::json!({ "id": id }).to_string(),
        before: None,
        after: Some(row.to_owned()),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: Some(5),
        as_of_ms: Some(as_of),
        id: format!("{id}:{row}:{as_of}"),
    }
}

fn commit(sink: &mut dyn Sink, changes: &[Change], cursor: &str) -> Result<Counts> {
    let progress = Progress::Table { name: "things", cursor, generation: None };
    sink.commit(&Commit { changes, progress, as_of_ms: 50, epoch: 0 })
}

impl Case {
    /// The answer to a query as text; `{s}` is the schema.
    fn query(&self, sql: &str) -> String {
        let (url, schema) = self.settings.location.as_schema().expect("a schema");
        let client = reader(url);
        let sql = sql.replace("{s}", &crate::sinks::columns::quote(schema));
        let rows = super::session::wait(async { Ok(client.simple_query(&sql).await?) }).expect("queried");
        let shown = rows.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|column| row.get(column).unwrap_or("null").to_owned());
                Some(cells.collect::<Vec<_>>().join("|"))
            }
            _ => None,
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Opened again, as by another process.
    fn reopened(self) -> Self {
        let Self { sink, settings, place } = self;
        drop(sink);
        let sink = Postgres::open(&settings).expect("opened");
        Self { sink, settings, place }
    }

    fn in_session(&self, sql: &str) {
        let done = self.sink.run(async |session| Ok(session.client.batch_execute(sql).await?));
        done.expect("executed");
    }

    /// Ends the sink's session at the server.
    fn end_session(&self) {
        let process = self.sink.run(async |session| {
            let row = session.client.query_one("SELECT pg_backend_pid()", &[]).await?;
            Ok(row.get::<_, i32>(0))
        });
        let process = process.expect("a number");
        assert_eq!(self.query(&format!("SELECT pg_terminate_backend({process})")), "t");
    }

    fn cursor(&self) -> Option<String> {
        self.sink.table_state("things").expect("a state").and_then(|state| state.cursor)
    }
}
