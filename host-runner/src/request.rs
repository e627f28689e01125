//! What the command line wants of one connection, and what it gets: the same whether the command does it itself
//! or the server that has the connection does it between two batches.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::describe::Describe;
use crate::error::{Error, Result};
use crate::sandbox::Sandbox;
use crate::sinks::TableState;

/// Something to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Exchange a grant for a session.
    Authorize {
        /// The grant, a JSON text; secret.
        grant: String,
    },
    /// Test what works: items.
    Check,
    /// Look at the tables: they.
    Discover,
    /// Count rows at the source: a [`Counted`] for each table.
    Count {
        /// Of these tables, of all if it is empty.
        tables: Vec<String>,
    },
    /// Run one of the component's own commands: its answer.
    Command {
        /// Its name.
        name: String,
        /// A JSON text.
        arguments: String,
    },
    /// Say how far the tables are: a [`Standing`].
    State,
    /// Forget cursors, so that tables are read from the start: the names of these.
    Reset {
        /// Of these tables, of all if it is empty.
        tables: Vec<String>,
    },
    /// Register the connection's URL at the source.
    Subscribe {
        /// The outside name under which the source is to call.
        public_url: String,
    },
    /// Undo that.
    Unsubscribe,
    /// The secret of the URL was changed: whether the source is told of it too.
    HooksChanged,
}

/// Rows of a table at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The table.
    pub table: String,
    /// How many; none if the source cannot count them, or failed.
    pub rows: Option<u64>,
    /// The failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it has a session.
    pub authorized: bool,
    /// Its tables.
    pub tables: Vec<TableState>,
}

/// Counts rows; a table that fails does not stop the others.
pub async fn count(sandbox: &mut Sandbox, describe: &Describe, wanted: &[String]) -> Result<Vec<Counted>> {
    let tables: Vec<String> = if wanted.is_empty() {
        sandbox.discover().await?.into_iter().map(|table| table.name).collect()
    } else {
        wanted.iter().map(|name| describe.table_name(name)).collect()
    };
    let mut counted = Vec::new();
    for table in tables {
        let (rows, error) = match sandbox.count(table.clone()).await {
            Ok(rows) => (rows, None),
            Err(error) => (None, Some(error.about(format_args!("table `{table}`")))),
        };
        counted.push(Counted { table, rows, error });
    }
    Ok(counted)
}

/// Runs one of the component's own commands.
pub async fn command(sandbox: &mut Sandbox, name: &str, arguments: &str) -> Result<Value> {
    let answer = sandbox.command(name.to_owned(), arguments.to_owned()).await?;
    serde_json::from_str(&answer)
        .map_err(|error| Error::data(format!("command `{name}`: its answer is not JSON: {error}")))
}
