//! The configuration: rows to generate, and faults.

use serde::Deserialize;

/// How `read` of the table `things` behaves; the other table has no faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behavior {
    /// Without fault.
    #[default]
    Rows,
    /// Traps.
    Trap,
    /// Never returns.
    Spin,
    /// Allocates memory without end.
    Allocate,
    /// Takes 200 MiB of memory, and waits without end.
    Hold,
    /// Creates resource handles without end.
    Hoard,
    /// Calls a host that `describe` does not declare.
    ForbiddenHost,
    /// Calls its declared host, `url`; the first row has the status and length of the answer.
    Http,
    /// Returns a batch of 160 MiB.
    BigBatch,
    /// Returns the same cursor again.
    StuckCursor,
    /// Returns a row that is not JSON.
    BadJson,
    /// Returns a key that is not a JSON object.
    BadKey,
    /// Returns a row of a table that does not exist.
    WrongTable,
    /// Fails with the kind in `kind`, every time.
    Fail,
    /// Fails with an error that contains every secret of the connection.
    LeakSecrets,
    /// Waits fifty times for longer than the host's unit of processor time.
    Naps,
}

/// A limit of the host's boundary that the component crosses: see `component/hostile.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "named as the limit that each crosses")]
pub enum Crosses {
    Changes,
    Listings,
    ListedKeys,
    Parent,
    Cursor,
    Key,
    ChangeId,
    ChangeTable,
    Attributes,
    Wait,
    Message,
    Methods,
    Authorities,
    Fields,
    Tables,
    TableName,
    TablePath,
    Schema,
    PathParts,
    KeyMembers,
    KeyName,
    Session,
    CheckItems,
    Answer,
    Subscription,
    ReceiptChanges,
    ReceiptAttributes,
    Piece,
    WideRow,
    FileName,
    Clones,
    Responses,
    Dropped,
    Warnings,
    Credits,
    Partial,
    Trailers,
    ColumnNames,
    SessionTexts,
    NestedSecrets,
}

/// How `open` behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// Without fault.
    #[default]
    AtOnce,
    /// Waits without end.
    Waits,
    /// Never returns.
    Spins,
}

/// How `fetch` behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// Without fault.
    #[default]
    Whole,
    /// The files of odd rows end early.
    Short,
    /// The files of odd rows never end.
    Endless,
    /// The files of odd rows fail with the kind in `kind`.
    Fail,
    /// The files of odd rows have no bytes and no end.
    Stuck,
}

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Of `read` of `things`.
    pub behavior: Behavior,
    /// The limit that it crosses.
    pub crosses: Option<Crosses>,
    /// Of `open`.
    pub opens: Opens,
    /// Rows of `things`.
    pub rows: u64,
    /// Rows in a batch.
    pub page: u64,
    /// Bytes added to each row.
    pub padding: usize,
    /// Changes that follow the snapshot: one row each, the last a delete.
    pub changes: u64,
    /// Numbers of deleted rows.
    pub deleted: Vec<u64>,
    /// The kind of `fail`.
    pub kind: String,
    /// `retry-after-ms` of `fail`.
    pub retry_after_ms: Option<u64>,
    /// The declared host.
    pub url: Option<String>,
    /// Write-only in `describe`.
    pub secret: String,
    /// Bytes of headers in a request to `url`.
    pub header_bytes: usize,
    /// Timeout between two reads of an answer's body; the host's when absent.
    pub read_timeout_ms: Option<u64>,
    /// Adds the column `extra` to `things`.
    pub extra_column: bool,
    /// Number of columns added to `things` as `more0`, `more1`, …
    pub columns: u64,
    /// Renews its session in every call.
    pub renew: bool,
    /// `discover` fails with the kind in `kind`.
    pub fails_discover: bool,
    /// How the files of `things` behave; each has as many bytes as its row's number.
    pub files: Files,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            behavior: Behavior::Rows,
            crosses: None,
            opens: Opens::AtOnce,
            rows: 100,
            page: 30,
            padding: 0,
            changes: 0,
            deleted: Vec::new(),
            kind: "unavailable".into(),
            retry_after_ms: None,
            url: None,
            secret: String::new(),
            header_bytes: 0,
            read_timeout_ms: None,
            extra_column: false,
            columns: 0,
            renew: false,
            fails_discover: false,
            files: Files::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Behavior, Config};

    #[test]
    fn every_key_has_a_default_and_unknown_keys_are_refused() {
        let config: Config = serde_json::from_str("{}").expect("a configuration");
        assert_eq!(config.behavior, Behavior::Rows);
        let config = r#"{"behavior": "stuck-cursor", "rows": 3}"#;
        let config: Config = serde_json::from_str(config).expect("a configuration");
        assert_eq!((config.behavior, config.rows), (Behavior::StuckCursor, 3));
        assert!(serde_json::from_str::<Config>(r#"{"color": "red"}"#).is_err());
    }
}
