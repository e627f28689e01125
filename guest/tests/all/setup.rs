//! A connection to the scripted server, and reading to the end.

use serde_json::{Value, json};
use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;
use zoho_desk::reader::{Batch, Limits};
use zoho_desk::transport::Transport;

use crate::desk::Desk;

pub(crate) const LIMITS: Limits = Limits { max_changes: 1000, max_bytes: 8 << 20, max_ms: 60_000 };

/// An authorized connection with these configuration keys in addition to the required ones.
pub(crate) fn connect(desk: &Desk, more: Value) -> Connection<Desk> {
    connect_over(desk.clone(), more)
}

/// The same over any transport.
pub(crate) fn connect_over<T: Transport>(transport: T, more: Value) -> Connection<T> {
    let mut config = json!({"organization_id": "42", "client_id": "id", "client_secret": "secret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut connection = Connection::open(transport, &config.to_string(), None).unwrap();
    connection.authorize(r#"{"code":"good"}"#).unwrap();
    connection
}

/// Reads until caught up and retries temporary failures, as a host does. Answers the rows and the last
/// cursor.
pub(crate) fn read_all(
    connection: &mut Connection<Desk>,
    table: &str,
    limits: Limits,
) -> (Vec<Value>, String) {
    let (mut rows, mut cursor) = (Vec::new(), None);
    for _ in 0..1000 {
        match connection.read(table, cursor.as_deref(), limits) {
            Ok(batch) => {
                let documents = batch.changes.iter().map(|change| change.after.as_ref().unwrap());
                rows.extend(documents.map(|row| serde_json::from_str::<Value>(row).unwrap()));
                cursor = Some(batch.cursor);
                if batch.caught_up {
                    return (rows, cursor.unwrap());
                }
            }
            Err(error) => assert!(matches!(error.kind, Kind::Unavailable | Kind::RateLimited), "{error}"),
        }
    }
    panic!("the read does not end");
}

/// One round of incremental reading: batches until caught up, as one. The recycle bin is read by a call of
/// its own when changes were found before.
pub(crate) fn read_round(connection: &mut Connection<Desk>, table: &str, cursor: &str) -> Batch {
    let mut round = Batch { cursor: cursor.to_owned(), ..Batch::default() };
    for _ in 0..100 {
        let batch = connection.read(table, Some(&round.cursor), LIMITS).unwrap();
        round.changes.extend(batch.changes);
        round.listings.extend(batch.listings);
        round.warnings.extend(batch.warnings);
        round.generation = batch.generation;
        round.undelivered = round.undelivered.or(batch.undelivered);
        (round.cursor, round.wait_ms) = (batch.cursor, batch.wait_ms);
        if batch.caught_up {
            return round;
        }
    }
    panic!("the round does not end");
}
