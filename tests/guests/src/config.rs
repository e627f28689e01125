//! What the connector can be asked to do.

use serde::Deserialize;

/// How `read` of the table `things` behaves; every other table is always good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// As it should.
    #[default]
    Rows,
    /// Traps at once.
    Trap,
    /// Never returns.
    Spin,
    /// Takes all the memory it can get.
    Allocate,
    /// Takes all the handles it can get.
    Hoard,
    /// Calls a host that it never declared.
    ForbiddenHost,
    /// Calls its declared host, `url`, and makes a row of what it says.
    Http,
    /// Hands over more in one batch than any host should take.
    BigBatch,
    /// Never moves its cursor.
    StuckCursor,
    /// Sends a document that is not JSON.
    BadJson,
    /// Sends a key that is not JSON.
    BadKey,
    /// Sends a row of a table that does not exist.
    WrongTable,
    /// Fails with the kind in `kind`, every time.
    Fail,
    /// Fails with an error that holds every secret it knows.
    LeakSecrets,
}

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What `things` does.
    pub behaviour: Behaviour,
    /// Rows of `things`.
    pub rows: u64,
    /// Rows in a batch.
    pub page: u64,
    /// Bytes added to each row.
    pub padding: usize,
    /// Changes that follow the snapshot: one row each, the last a delete.
    pub changes: u64,
    /// Numbers of rows that are gone.
    pub gone: Vec<u64>,
    /// The kind of `fail`.
    pub kind: String,
    /// What `fail` asks to wait.
    pub retry_after_ms: Option<u64>,
    /// The host it declares.
    pub url: Option<String>,
    /// A secret.
    pub secret: String,
    /// Bytes of headers in a request to it.
    pub header_bytes: usize,
    /// Longest wait for the next piece of its answer; what the host has, if it is not said.
    pub patience_ms: Option<u64>,
    /// Adds a column to `things`.
    pub extra_column: bool,
    /// Adds so many more.
    pub columns: u64,
    /// Renews its session in every call.
    pub renew: bool,
    /// Fails to list its tables with the kind in `kind`.
    pub lists_nothing: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Rows,
            rows: 100,
            page: 30,
            padding: 0,
            changes: 0,
            gone: Vec::new(),
            kind: "unavailable".into(),
            retry_after_ms: None,
            url: None,
            secret: String::new(),
            header_bytes: 0,
            patience_ms: None,
            extra_column: false,
            columns: 0,
            renew: false,
            lists_nothing: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, Config};

    #[test]
    fn everything_has_a_default_and_unknown_keys_are_refused() {
        let config: Config = serde_json::from_str("{}").expect("a configuration");
        assert_eq!(config.behaviour, Behaviour::Rows);
        let config = r#"{"behaviour": "stuck-cursor", "rows": 3}"#;
        let config: Config = serde_json::from_str(config).expect("a configuration");
        assert_eq!((config.behaviour, config.rows), (Behaviour::StuckCursor, 3));
        assert!(serde_json::from_str::<Config>(r#"{"colour": "red"}"#).is_err());
    }
}
