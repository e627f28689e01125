//! The requests of the command line to a connection's actor, and their answers: plain data, sent as JSON.
//!
//! Does not know the actor: that of a running server, or one that lives for a single request.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sinks::TableState;

/// A request to the actor of one connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Exchange a grant for a session. Answer: nothing.
    Authorize {
        /// The grant, a JSON text; secret.
        grant: String,
    },
    /// Test hosts, credentials, permissions and webhooks. Answer: a list of [`crate::change::CheckItem`].
    Check,
    /// List the tables. Answer: a list of [`crate::change::Table`].
    Discover,
    /// Count rows at the source. Answer: a list of [`RowCount`].
    Count {
        /// Names or aliases; empty for all tables.
        #[serde(default)]
        tables: Vec<String>,
    },
    /// Run a command of the component. Answer: its JSON.
    Invoke {
        /// The command's name.
        name: String,
        /// A JSON text.
        arguments: String,
    },
    /// Show how far the tables are. Answer: a [`ConnectionState`].
    State,
    /// Delete cursors, so that the next read of their tables is a new snapshot. Answer: the names of these
    /// tables.
    Reset {
        /// Names or aliases; empty for all tables.
        #[serde(default)]
        tables: Vec<String>,
    },
    /// Delete the session. Answer: whether there was one.
    DeleteSession,
    /// Register the webhook URL at the source. Answer: nothing.
    Subscribe {
        /// The URL under which the source reaches `serve`.
        public_url: String,
    },
    /// Remove the registration. Answer: nothing.
    Unsubscribe,
    /// Generate another secret for the webhook URL. Answer: a [`Registration`].
    RotateUrl {
        /// How long the previous secret stays valid, in milliseconds.
        grace_ms: u64,
    },
    /// Register the webhook URL again, because its secret has changed; sent to an actor by its server.
    /// Answer: nothing.
    #[serde(skip)]
    UrlChanged,
}

/// The rows of a table at the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowCount {
    /// The table.
    pub table: String,
    /// None if the source cannot count them, or failed.
    pub rows: Option<u64>,
    /// The failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectionState {
    /// Whether it has a session.
    pub authorized: bool,
    /// Its tables.
    pub tables: Vec<TableState>,
}

/// Where a rotated webhook URL stands at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Registration {
    /// This runner has registered no URL.
    None,
    /// The source delivers to the previous URL until `webhook subscribe` runs.
    Outdated,
    /// The server registers the new URL.
    Renewing,
}
