//! The component: the exports of `wit/source.wit`, implemented by [`crate::connection`] over WASI HTTP.
//!
//! Only this file and `component/` know the bindings: contract types are converted here.

mod bindings;

mod convert;

mod wasi;

use std::cell::{RefCell, RefMut};

use bindings::exports::connector::source::metadata::Guest as Metadata;
use bindings::exports::connector::source::source as contract;
use bindings::exports::connector::source::{types, webhook};
use convert::{from_limits, to_batch, to_error, to_item, to_piece, to_receipt, to_table, usage_attributes};
use wasi::Wasi;

use crate::api::Usage;
use crate::connection::Connection;
use crate::describe;
use crate::error::{Error, Kind};
use crate::webhook::Delivery;

struct Component;

/// The contract's resource. One call at a time: the component is single-threaded, and calls do not nest.
struct Handle(RefCell<Connection<Wasi>>);

impl Handle {
    fn get(&self) -> Result<RefMut<'_, Connection<Wasi>>, types::Error> {
        self.0.try_borrow_mut().map_err(|_| {
            to_error(Error::new(Kind::Internal, "the connection is busy with another call"), Usage::default())
        })
    }

    /// Runs one call.
    fn call<V>(
        &self,
        run: impl FnOnce(&mut Connection<Wasi>) -> crate::error::Result<V>,
    ) -> Result<(V, Usage), types::Error> {
        // An open answer counts as a request in flight, of which the host may allow one alone.
        self.get()?.close_file();
        self.call_beside_file(run)
    }

    /// Runs one call that may continue the file; its cost is reported also when it fails.
    fn call_beside_file<V>(
        &self,
        run: impl FnOnce(&mut Connection<Wasi>) -> crate::error::Result<V>,
    ) -> Result<(V, Usage), types::Error> {
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
    fn open(config: String, session: Option<String>) -> Result<contract::Connection, types::Error> {
        let connection = Connection::open(Wasi, &config, session.as_deref())
            .map_err(|error| to_error(error, Usage::default()))?;
        Ok(contract::Connection::new(Self(RefCell::new(connection))))
    }

    fn session(&self) -> Option<String> {
        self.0.try_borrow().ok().map(|connection| connection.session())
    }

    fn authorize(&self, grant: String) -> Result<(), types::Error> {
        self.call(|connection| connection.authorize(&grant)).map(drop)
    }

    fn check(&self) -> Vec<contract::CheckItem> {
        match self.call(|connection| Ok(connection.check())) {
            Ok((items, _)) => items.into_iter().map(to_item).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn discover(&self) -> Result<Vec<contract::Table>, types::Error> {
        let (found, _) = self.call(Connection::discover)?;
        Ok(found.into_iter().map(to_table).collect())
    }

    fn count(&self, table: String) -> Result<Option<u64>, types::Error> {
        self.call(|connection| connection.count(&table)).map(|(count, _)| count)
    }

    fn cursor_at(&self, table: String, time_ms: u64) -> Result<String, types::Error> {
        self.call(|connection| connection.cursor_at(&table, time_ms)).map(|(cursor, _)| cursor)
    }

    fn read(
        &self,
        table: String,
        cursor: Option<String>,
        limits: types::Limits,
    ) -> Result<types::Batch, types::Error> {
        let limits = from_limits(limits);
        self.call(|connection| connection.read(&table, cursor.as_deref(), limits))
            .map(|(batch, usage)| to_batch(batch, usage))
    }

    fn fetch(
        &self,
        table: String,
        row: String,
        offset: u64,
        limits: types::Limits,
    ) -> Result<types::Piece, types::Error> {
        let limits = from_limits(limits);
        self.call_beside_file(|connection| connection.fetch(&table, &row, offset, limits))
            .map(|(piece, usage)| to_piece(piece, &usage))
    }

    fn command(&self, name: String, arguments: String) -> Result<String, types::Error> {
        self.call(|connection| connection.command(&name, &arguments)).map(|(answer, _)| answer.to_string())
    }
}

impl webhook::Guest for Component {
    fn subscribe(
        connection: contract::ConnectionBorrow<'_>,
        url: String,
        tables: Vec<String>,
        current: Option<String>,
    ) -> Result<String, types::Error> {
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
    ) -> Result<(), types::Error> {
        let handle: &Handle = connection.get();
        handle.call(|connection| connection.unsubscribe(&subscription)).map(drop)
    }

    fn receive(
        connection: contract::ConnectionBorrow<'_>,
        subscription: Option<String>,
        deliveries: Vec<webhook::Delivery>,
    ) -> Vec<Result<webhook::Receipt, types::Error>> {
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
            Ok((receipts, usage)) => {
                // The cost of the call is reported once, with its first receipt or refusal.
                let mut usage = Some(usage);
                let convert = |receipt: crate::error::Result<_>| {
                    let usage = usage.take();
                    match receipt {
                        Ok(receipt) => {
                            let mut receipt = to_receipt(receipt);
                            receipt.attributes.extend(usage.iter().flat_map(usage_attributes));
                            Ok(receipt)
                        }
                        Err(error) => Err(to_error(error, usage.unwrap_or_default())),
                    }
                };
                receipts.into_iter().map(convert).collect()
            }
            Err(error) => deliveries.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}
