//! The component itself: the exports of `wit/source.wit`, by way of [`crate::connection`], and WASI HTTP below it.
//!
//! The only file, with its two below, that knows the bindings: contract types become ours here and go no further.

mod bindings;
mod wasi;

use std::cell::{RefCell, RefMut};

use bindings::exports::connector::source::metadata::Guest as Metadata;
use bindings::exports::connector::source::source as contract;
use bindings::exports::connector::source::types as nouns;
use bindings::exports::connector::source::webhook;
use wasi::Wasi;

use crate::api::Usage;
use crate::check::{Item, Outcome};
use crate::connection::{Connection, Found};
use crate::describe;
use crate::error::{Error, Kind};
use crate::reader::{Batch, Limits};
use crate::row::{Change, ChangeSource, Operation};
use crate::webhook::{Delivery, Receipt};

struct Component;

/// The contract's resource. One call at a time: the component is single-threaded and calls do not nest.
struct Handle(RefCell<Connection<Wasi>>);

impl Handle {
    fn get(&self) -> Result<RefMut<'_, Connection<Wasi>>, nouns::Error> {
        self.0.try_borrow_mut().map_err(|_| {
            to_error(Error::new(Kind::Internal, "the connection is busy with another call"), Usage::default())
        })
    }

    /// Runs one call and reports what it cost, also when it fails.
    fn call<V>(
        &self,
        run: impl FnOnce(&mut Connection<Wasi>) -> crate::error::Result<V>,
    ) -> Result<(V, Usage), nouns::Error> {
        let mut connection = self.get()?;
        let outcome = run(&mut connection);
        let usage = connection.take_usage();
        outcome.map(|value| (value, usage.clone())).map_err(|error| to_error(error, usage))
    }
}

impl Metadata for Component {
    fn describe() -> String {
        describe::document().to_string()
    }
}

impl contract::Guest for Component {
    type Connection = Handle;
}

impl contract::GuestConnection for Handle {
    fn open(config: String, session: Option<String>) -> Result<contract::Connection, nouns::Error> {
        let connection = Connection::open(Wasi, &config, session.as_deref())
            .map_err(|error| to_error(error, Usage::default()))?;
        Ok(contract::Connection::new(Self(RefCell::new(connection))))
    }

    fn session(&self) -> Option<String> {
        self.0.try_borrow().ok().map(|connection| connection.session())
    }

    fn authorize(&self, grant: String) -> Result<(), nouns::Error> {
        self.call(|connection| connection.authorize(&grant)).map(drop)
    }

    fn check(&self) -> Vec<contract::CheckItem> {
        match self.call(|connection| Ok(connection.check())) {
            Ok((items, _)) => items.into_iter().map(to_item).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn discover(&self) -> Result<Vec<contract::Table>, nouns::Error> {
        let (found, _) = self.call(Connection::discover)?;
        Ok(found.into_iter().map(to_table).collect())
    }

    fn count(&self, table: String) -> Result<Option<u64>, nouns::Error> {
        self.call(|connection| connection.count(&table)).map(|(count, _)| count)
    }

    fn cursor_at(&self, table: String, time_ms: u64) -> Result<String, nouns::Error> {
        self.call(|connection| connection.cursor_at(&table, time_ms)).map(|(cursor, _)| cursor)
    }

    fn read(
        &self,
        table: String,
        cursor: Option<String>,
        limits: nouns::Limits,
    ) -> Result<nouns::Batch, nouns::Error> {
        let limits =
            Limits { max_changes: limits.max_changes, max_bytes: limits.max_bytes, max_ms: limits.max_ms };
        self.call(|connection| connection.read(&table, cursor.as_deref(), limits))
            .map(|(batch, usage)| to_batch(batch, usage))
    }

    fn command(&self, name: String, arguments: String) -> Result<String, nouns::Error> {
        self.call(|connection| connection.command(&name, &arguments)).map(|(answer, _)| answer.to_string())
    }
}

impl webhook::Guest for Component {
    fn subscribe(
        connection: contract::ConnectionBorrow<'_>,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String, nouns::Error> {
        let handle: &Handle = connection.get();
        handle
            .call(|connection| connection.subscribe(&url, &tables, current.as_deref()))
            .map(|(subscription, _)| subscription)
    }

    fn check(connection: contract::ConnectionBorrow<'_>, subscription: String) -> Vec<contract::CheckItem> {
        let handle: &Handle = connection.get();
        match handle.call(|connection| Ok(connection.check_subscription(&subscription))) {
            Ok((items, _)) => items.into_iter().map(to_item).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn unsubscribe(
        connection: contract::ConnectionBorrow<'_>,
        subscription: String,
    ) -> Result<(), nouns::Error> {
        let handle: &Handle = connection.get();
        handle.call(|connection| connection.unsubscribe(&subscription)).map(drop)
    }

    fn receive(
        connection: contract::ConnectionBorrow<'_>,
        subscription: Option<String>,
        deliveries: Vec<webhook::Delivery>,
    ) -> Vec<Result<webhook::Receipt, nouns::Error>> {
        let handle: &Handle = connection.get();
        let deliveries: Vec<Delivery> = deliveries
            .into_iter()
            .map(|delivery| Delivery {
                received_at_ms: delivery.received_at_ms,
                method: delivery.method,
                headers: delivery.headers,
                body: delivery.body,
            })
            .collect();
        match handle.call(|connection| Ok(connection.receive(subscription.as_deref(), &deliveries))) {
            Ok((receipts, usage)) => receipts
                .into_iter()
                .map(|receipt| receipt.map(to_receipt).map_err(|error| to_error(error, Usage::default())))
                .enumerate()
                .map(|(index, receipt)| with_usage(index, receipt, &usage))
                .collect(),
            Err(error) => deliveries.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// What the call cost is told once, with its first receipt.
fn with_usage(
    index: usize,
    receipt: Result<webhook::Receipt, nouns::Error>,
    usage: &Usage,
) -> Result<webhook::Receipt, nouns::Error> {
    receipt.map(|mut receipt| {
        if index == 0 {
            receipt.attributes.extend(usage_attributes(usage));
        }
        receipt
    })
}

fn to_receipt(receipt: Receipt) -> webhook::Receipt {
    webhook::Receipt {
        changes: receipt.changes.into_iter().map(to_change).collect(),
        attributes: receipt.ignored.into_iter().map(|name| ("ignored".to_owned(), name)).collect(),
    }
}

fn to_error(error: Error, usage: Usage) -> nouns::Error {
    let mut attributes = error.attributes;
    attributes.extend(usage_attributes(&usage));
    nouns::Error {
        kind: to_kind(error.kind),
        code: error.code.map(String::from),
        message: error.message,
        hint: error.hint,
        retry_after_ms: error.retry_after_ms,
        attributes,
    }
}

fn to_kind(kind: Kind) -> nouns::ErrorKind {
    match kind {
        Kind::Config => nouns::ErrorKind::Config,
        Kind::Auth => nouns::ErrorKind::Auth,
        Kind::Permission => nouns::ErrorKind::Permission,
        Kind::NotFound => nouns::ErrorKind::NotFound,
        Kind::RateLimited => nouns::ErrorKind::RateLimited,
        Kind::Unavailable => nouns::ErrorKind::Unavailable,
        Kind::Data => nouns::ErrorKind::Data,
        Kind::Unsupported => nouns::ErrorKind::Unsupported,
        Kind::Internal => nouns::ErrorKind::Internal,
    }
}

fn usage_attributes(usage: &Usage) -> Vec<(String, String)> {
    let mut attributes = vec![
        ("requests".to_owned(), usage.requests.to_string()),
        ("credits-used".to_owned(), usage.credits_used.to_string()),
    ];
    attributes.extend(usage.credits_left.map(|left| ("credits-left".to_owned(), left.to_string())));
    attributes
}

fn to_item(item: Item) -> contract::CheckItem {
    contract::CheckItem {
        name: item.name,
        outcome: match item.outcome {
            Outcome::Passed => contract::Outcome::Passed,
            Outcome::Warning => contract::Outcome::Warning,
            Outcome::Failed => contract::Outcome::Failed,
            Outcome::Skipped => contract::Outcome::Skipped,
        },
        message: item.message,
        hint: item.hint,
        kind: item.kind.map(to_kind),
    }
}

fn to_table(found: Found) -> contract::Table {
    let mut attributes = vec![("title".to_owned(), found.table.title.to_owned())];
    if found.table.count.is_some() {
        attributes.push(("count".to_owned(), "true".to_owned()));
    }
    contract::Table {
        name: found.table.name.to_owned(),
        primary_key: vec!["id".to_owned()],
        schema: found.schema.to_string(),
        attributes,
    }
}

fn to_batch(batch: Batch, usage: Usage) -> nouns::Batch {
    let mut attributes = usage_attributes(&usage);
    attributes.extend(batch.warnings.into_iter().map(|warning| ("warning".to_owned(), warning)));
    nouns::Batch {
        changes: batch.changes.into_iter().map(to_change).collect(),
        cursor: batch.cursor,
        generation: batch.generation.map(|snapshot| nouns::Generation {
            id: snapshot.id,
            as_of_ms: snapshot.as_of_ms,
            complete: snapshot.complete,
        }),
        caught_up: batch.caught_up,
        wait_ms: batch.wait_ms,
        attributes,
    }
}

fn to_change(change: Change) -> nouns::Change {
    nouns::Change {
        table: change.table.to_owned(),
        operation: match change.operation {
            Operation::Read => nouns::Operation::Read,
            Operation::Create => nouns::Operation::Create,
            Operation::Update => nouns::Operation::Update,
            Operation::Delete => nouns::Operation::Delete,
        },
        key: change.key,
        before: change.before,
        after: change.after,
        partial: change.partial,
        source: match change.source {
            ChangeSource::Snapshot => nouns::ChangeSource::Snapshot,
            ChangeSource::Incremental => nouns::ChangeSource::Incremental,
            ChangeSource::Webhook => nouns::ChangeSource::Webhook,
            ChangeSource::Refetch => nouns::ChangeSource::Refetch,
        },
        source_updated_at_ms: change.source_updated_at_ms,
        as_of_ms: change.as_of_ms,
        id: change.id,
        attributes: Vec::new(),
    }
}
