//! Every key of the connection file outside `[config]`: kind, bounds, default, the commands that honor it,
//! and why.
//!
//! The parser, the commented file of `init` and `docs/configuration.md` are made from this table. A new key
//! is a row here and a field where it is used. Knows nothing of files; [`super::document`] reads them.
//!
//! Long because it is one table: a row for each key, with the text of the reference page.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::schema::refresh;
use crate::sinks::{FORMAT_NAMES, KIND_NAMES};
use crate::units::{format_bytes, format_duration, parse_bytes, parse_duration};

/// A key.
pub(crate) struct Key {
    /// Section and name, as in messages: `batch.max_rows`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: DefaultValue,
    pub(crate) honored_by: HonoredBy,
    /// Its effect, and the reason for its default.
    pub(crate) text: &'static str,
}

/// Which values a key takes.
pub(crate) enum Kind {
    /// The name of a connection.
    Name,
    /// A path, relative to the connection file.
    Path,
    /// A text of any form.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Count(RangeInclusive<u64>),
    /// A size in bytes, written with its unit.
    Bytes(RangeInclusive<u64>),
    /// A duration in milliseconds, written with its unit.
    Duration(RangeInclusive<u64>),
    /// When tables are discovered again.
    SchemaRefresh,
    /// A list of `host:port`.
    Hosts,
    /// A SHA-256 in hexadecimal.
    Sha256,
    /// A list of them.
    Sha256s,
    /// A list of texts.
    Texts,
}

/// The value when the file does not have the key.
pub(crate) enum DefaultValue {
    /// The file is refused.
    Required,
    /// This value, as it would be written.
    Value(&'static str),
    /// No value.
    Absent {
        /// The behavior without a value.
        means: &'static str,
        /// A value to start from, as it would be written.
        example: &'static str,
    },
}

/// Which commands act on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HonoredBy {
    /// Every command that uses the connection.
    All,
    /// Those that read tables.
    Reading,
    /// `serve` alone.
    Serve,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// The keys, by section, in the order of the commented file.
pub(crate) static KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Name,
        default: DefaultValue::Required,
        honored_by: HonoredBy::All,
        text: "Names the connection in messages, metrics and webhook URLs, and the folder of its state.",
    },
    Key {
        name: "component",
        kind: Kind::Path,
        default: DefaultValue::Absent {
            means: "the only `*.wasm` next to the program",
            example: "connector.wasm",
        },
        honored_by: HonoredBy::All,
        text: "The connector, a WebAssembly component. `--component` overrides it.",
    },
    Key {
        name: "component_sha256",
        kind: Kind::Sha256,
        default: DefaultValue::Absent {
            means: "any content",
            example: "0000000000000000000000000000000000000000000000000000000000000000",
        },
        honored_by: HonoredBy::All,
        text: "The only content that the component's file may have: the SHA-256 that `inspect` shows. \
               Another one is refused.",
    },
    Key {
        name: "sink.kind",
        kind: Kind::Choice(&KIND_NAMES),
        default: DefaultValue::Value("sqlite"),
        honored_by: HonoredBy::All,
        text: "Where rows go. `docs/sinks.md` describes each kind. `airbyte` and `singer` give rows to their \
               tool, and ignore this section.",
    },
    Key {
        name: "sink.path",
        kind: Kind::Path,
        default: DefaultValue::Absent {
            means: "`NAME.db`, or the folder `NAME` for kinds of many files",
            example: "rows.db",
        },
        honored_by: HonoredBy::All,
        text: "The file or folder; with `url` of `parquet` the folder of its log. It belongs to the first \
               connection that uses it: two would apply each other's cursors and deletes.",
    },
    Key {
        name: "sink.url",
        kind: Kind::Text,
        default: DefaultValue::Absent {
            means: "none; `postgres` needs it or `url_file`, `parquet` writes to `path` without",
            example: "${DATABASE_URL}",
        },
        honored_by: HonoredBy::All,
        text: "The database of `postgres`: `postgres://user:password@host/database`. The server's \
               certificate is verified, unless the server is on this machine, or the URL ends with \
               `?sslmode=disable`; `?sslrootcert=FILE` names a private authority. The object store of \
               `parquet`: `s3://bucket/prefix`, with keys from the environment or as \
               `s3://KEY:SECRET@bucket/prefix`; `?endpoint=https://host` names another store than \
               Amazon's, `&region=NAME` its region, `&ca_file=FILE` a private authority.",
    },
    Key {
        name: "sink.url_file",
        kind: Kind::Path,
        default: DefaultValue::Absent { means: "none", example: "/run/secrets/database_url" },
        honored_by: HonoredBy::All,
        text: "A file that holds the URL and nothing else.",
    },
    Key {
        name: "sink.schema",
        kind: Kind::Text,
        default: DefaultValue::Absent {
            means: "the connection's name, in lower case, with `_` for other characters",
            example: "desk",
        },
        honored_by: HonoredBy::All,
        text: "The schema of `postgres`. It is created if it is not there, and belongs to the first \
               connection that uses it.",
    },
    Key {
        name: "sink.format",
        kind: Kind::Choice(FORMAT_NAMES),
        default: DefaultValue::Absent { means: "`changes`", example: "debezium" },
        honored_by: HonoredBy::All,
        text: "The lines of `jsonl`: `changes` as `docs/sinks.md` describes them, `debezium` in the envelope \
               of Debezium.",
    },
    Key {
        name: "sink.max_file_age",
        kind: Kind::Duration(10 * SECOND..=DAY),
        default: DefaultValue::Value("15m"),
        honored_by: HonoredBy::Reading,
        text: "Time after which the rows of `parquet` are in a file, under `serve`; `sync` writes its files \
               when it ends. Longer means fewer, larger files.",
    },
    Key {
        name: "sink.deletes",
        kind: Kind::Choice(&["soft", "hard"]),
        default: DefaultValue::Value("soft"),
        honored_by: HonoredBy::Reading,
        text: "What a deleted row becomes: `soft` keeps it, marked in `_deleted`; `hard` removes it and \
               keeps a tombstone, and is refused by kinds that only record changes.",
    },
    Key {
        name: "sink.attachments",
        kind: Kind::Text,
        default: DefaultValue::Absent { means: "bytes are not read", example: "attachments" },
        honored_by: HonoredBy::Reading,
        text: "A folder for the bytes of attachments, for tables that have any: by their SHA-256, with a \
               manifest. Or a prefix of an object store, as `url` of `parquet`: the manifest is then in the \
               folder `NAME-attachments`. It belongs to this connection alone. Each file costs a call.",
    },
    Key {
        name: "sink.attachments_max_bytes",
        kind: Kind::Bytes(0..=TIB),
        default: DefaultValue::Value("32MiB"),
        honored_by: HonoredBy::Reading,
        text: "Largest attachment that is read; the manifest names those left out. Above 32MiB, raise \
               `sandbox.max_response_bytes` too.",
    },
    Key {
        name: "sink.attachments_types",
        kind: Kind::Texts,
        default: DefaultValue::Absent { means: "all", example: "pdf" },
        honored_by: HonoredBy::Reading,
        text: "Endings of the names of attachments that are read, without the dot.",
    },
    Key {
        name: "batch.max_rows",
        kind: Kind::Count(1..=1_000_000),
        default: DefaultValue::Value("2000"),
        honored_by: HonoredBy::Reading,
        text: "Rows of one batch. Enough to make the cost of a commit small, few enough to lose little work \
               when the process is killed.",
    },
    Key {
        name: "batch.max_bytes",
        kind: Kind::Bytes(64 * KIB..=GIB),
        default: DefaultValue::Value("8MiB"),
        honored_by: HonoredBy::Reading,
        text: "Bytes of one batch. Two batches are in memory at a time; the component needs about three \
               times this under `sandbox.memory`.",
    },
    Key {
        name: "batch.max_time",
        kind: Kind::Duration(1..=HOUR),
        default: DefaultValue::Value("20s"),
        honored_by: HonoredBy::Reading,
        text: "Time after which a batch is committed with the rows it has, so that progress shows. `serve` \
               uses `serve.max_batch_time` if that is shorter.",
    },
    Key {
        name: "retry.max_attempts",
        kind: Kind::Count(1..=1_000),
        default: DefaultValue::Value("8"),
        honored_by: HonoredBy::Reading,
        text: "Consecutive failures of one call that are retried soon, after 0.5 s doubling up to 1 min. \
               After the last, `sync` reports the failure, and `serve` retries the table after 30 s, \
               doubling up to `max_wait`, 15 min at most.",
    },
    Key {
        name: "retry.max_wait",
        kind: Kind::Duration(0..=DAY),
        default: DefaultValue::Value("5m"),
        honored_by: HonoredBy::Reading,
        text: "Longest wait that the source did not ask for. When the source asks for a longer one, `sync` \
               stops and says when to run again; `serve` waits as long as the source asks, up to 6 h.",
    },
    Key {
        name: "serve.poll_interval",
        kind: Kind::Duration(SECOND..=DAY),
        default: DefaultValue::Absent { means: "as often as the connector says, per table", example: "5m" },
        honored_by: HonoredBy::Serve,
        text: "Time between two polls of a table that is caught up.",
    },
    Key {
        name: "serve.schema_refresh",
        kind: Kind::SchemaRefresh,
        default: DefaultValue::Absent {
            means: "every 6h; with more than 1,000 columns daily at 02:30",
            example: "hourly",
        },
        honored_by: HonoredBy::Serve,
        text: "When tables and columns are discovered again; also at each start and by `discover`. A call \
               for each table with custom fields; a new field gets its column then. Changes are in the log, \
               in `host_runner_schema_changes_total` and in `discover --diff`.",
    },
    Key {
        name: "serve.max_batch_time",
        kind: Kind::Duration(1..=HOUR),
        default: DefaultValue::Value("1s"),
        honored_by: HonoredBy::Serve,
        text: "Time of one batch while serving. Deliveries wait for the batch that is being read, so this \
               bounds their latency.",
    },
    Key {
        name: "sandbox.memory",
        kind: Kind::Bytes(MIB..=4 * GIB),
        default: DefaultValue::Value("256MiB"),
        honored_by: HonoredBy::All,
        text: "Linear memory of one component instance. A batch of 8MiB needs about three times its size \
               (response body, scratch, output); the rest is room for wide rows. A 32-bit component has no \
               more than 4GiB.",
    },
    Key {
        name: "sandbox.call_timeout",
        kind: Kind::Duration(SECOND..=HOUR),
        default: DefaultValue::Value("2m"),
        honored_by: HonoredBy::All,
        text: "Wall-clock time of one call. Calls return after `batch.max_time`; this stops one that never \
               returns.",
    },
    Key {
        name: "sandbox.cpu_time",
        kind: Kind::Duration(100..=HOUR),
        default: DefaultValue::Value("30s"),
        honored_by: HonoredBy::All,
        text: "CPU time of one call. A batch takes milliseconds; an endless loop is stopped after this.",
    },
    Key {
        name: "sandbox.max_response_bytes",
        kind: Kind::Bytes(64 * KIB..=4 * GIB),
        default: DefaultValue::Value("32MiB"),
        honored_by: HonoredBy::All,
        text: "Largest response body. `sandbox.memory` bounds it too; this limit fails earlier and names \
               the host.",
    },
    Key {
        name: "sandbox.max_concurrent_requests",
        kind: Kind::Count(1..=1_024),
        default: DefaultValue::Value("16"),
        honored_by: HonoredBy::All,
        text: "Concurrent requests of the connection. Sources count them against the account.",
    },
    Key {
        name: "egress.only",
        kind: Kind::Hosts,
        default: DefaultValue::Absent {
            means: "every host that the component declares",
            example: "api.example.com:443",
        },
        honored_by: HonoredBy::All,
        text: "Ceiling of the hosts that the component declares: of those, it reaches the ones listed here, \
               by exact host and port. Adds none; see `allow`.",
    },
    Key {
        name: "egress.allow",
        kind: Kind::Hosts,
        default: DefaultValue::Absent { means: "none", example: "127.0.0.1:8080" },
        honored_by: HonoredBy::All,
        text: "Hosts that the component may call in addition, by exact host and port. Without this it \
               reaches the hosts that it declares, over https, at public addresses. Needed for a private \
               address or plain http.",
    },
    Key {
        name: "egress.ca_file",
        kind: Kind::Path,
        default: DefaultValue::Absent { means: "none", example: "ca.pem" },
        honored_by: HonoredBy::All,
        text: "Certificates (PEM) to trust in addition to the public ones, for a proxy or a private source.",
    },
];

/// The section of the component's own keys.
pub(crate) const CONFIG: &str = "config";

impl Key {
    /// The section, empty for a key at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name within its section.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }
}

impl HonoredBy {
    /// The commands, in words.
    pub(crate) const fn commands(self) -> &'static str {
        match self {
            Self::All => "every command",
            Self::Reading => "commands that read tables",
            Self::Serve => "serve",
        }
    }
}

impl Kind {
    /// The JSON of a value that is written as this text.
    pub(crate) fn value(&self, text: &str) -> Value {
        match self {
            Self::Count(_) => text.parse::<u64>().map_or(Value::Null, Value::from),
            Self::Hosts | Self::Sha256s | Self::Texts => Value::from(vec![text]),
            _ => Value::from(text),
        }
    }

    /// A written value as a number, to compare it: a count, bytes or milliseconds.
    pub(crate) fn amount(&self, value: &Value) -> Option<u64> {
        match self {
            Self::Count(_) => value.as_u64(),
            Self::Bytes(_) => parse_bytes(value.as_str()?).ok(),
            Self::Duration(_) => parse_duration(value.as_str()?).ok()?.as_millis().try_into().ok(),
            _ => None,
        }
    }

    /// The accepted values, in words.
    pub(crate) fn range(&self) -> String {
        let between = |low: String, high: String| format!("{low} to {high}");
        match self {
            Self::Name => "letters, digits, `-`, `_`, `.`".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Choice(choices) => {
                choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ")
            }
            Self::Count(range) => between(range.start().to_string(), range.end().to_string()),
            Self::Bytes(range) => between(format_bytes(*range.start()), format_bytes(*range.end())),
            Self::Duration(range) => {
                let text = |ms: &u64| format_duration(std::time::Duration::from_millis(*ms));
                between(text(range.start()), text(range.end()))
            }
            Self::Sha256 => "64 hexadecimal digits".to_owned(),
            Self::Sha256s => "a list of 64 hexadecimal digits each".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Hosts => "a list of \"host:port\"".to_owned(),
            Self::SchemaRefresh => refresh::FORMS.to_owned(),
        }
    }
}
