//! A reader of PostgreSQL: queries and their rows as text.

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A connection to a database, without TLS.
pub(crate) struct Postgres {
    runtime: Runtime,
    client: Client,
}

impl Postgres {
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let connected = runtime.block_on(tokio_postgres::connect(url, NoTls));
        let (client, connection) = connected.context("cannot connect to PostgreSQL")?;
        runtime.spawn(connection);
        Ok(Self { runtime, client })
    }

    /// The rows of the last statement, NULL as an empty text.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let messages =
            self.runtime.block_on(self.client.simple_query(sql)).with_context(|| sql.to_owned())?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }
}
