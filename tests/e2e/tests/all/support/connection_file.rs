//! The connection file of a test, as a builder.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use desk_simulator::{Options, Simulator};

/// A connection file; values are TOML text.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionFile {
    name: String,
    top: BTreeMap<String, String>,
    config: BTreeMap<String, String>,
    sink: BTreeMap<String, String>,
    sections: BTreeMap<String, BTreeMap<String, String>>,
    allow: Vec<String>,
}

fn text(value: &str) -> String {
    format!("{value:?}")
}

fn host_and_port(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

impl ConnectionFile {
    /// A file that works with a simulator, into `out.db`.
    pub(crate) fn of(simulator: &Simulator) -> ConnectionFile {
        ConnectionFile::at(&simulator.url(), simulator.options())
    }

    /// A file for a simulator of these options at an address.
    pub(crate) fn at(url: &str, options: &Options) -> ConnectionFile {
        let Options { organization_id, client_id, client_secret, .. } = options;
        let file = ConnectionFile::empty().allow(&host_and_port(url));
        file.config_text("organization_id", organization_id)
            .config_text("client_id", client_id)
            .config_text("client_secret", client_secret)
            .config_text("desk_url", url)
            .config_text("accounts_url", url)
            .config("tables", &format!("{:?}", crate::compare::TABLES))
    }

    /// A file with nothing but a name and a sink.
    pub(crate) fn empty() -> ConnectionFile {
        let empty = BTreeMap::new;
        let file = ConnectionFile {
            name: "demo".to_owned(),
            top: empty(),
            config: empty(),
            sink: empty(),
            sections: BTreeMap::new(),
            allow: Vec::new(),
        };
        file.sink("sqlite", "out.db")
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// A key before the sections, its value as TOML.
    pub(crate) fn top(mut self, key: &str, toml: &str) -> Self {
        self.top.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// A key of `[config]`, its value as TOML.
    pub(crate) fn config(mut self, key: &str, toml: &str) -> Self {
        self.config.insert(key.to_owned(), toml.to_owned());
        self
    }

    pub(crate) fn config_text(self, key: &str, value: &str) -> Self {
        self.config(key, &text(value))
    }

    /// Takes a key of `[config]` away.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.config.remove(key);
        self
    }

    pub(crate) fn sink(mut self, kind: &str, path: &str) -> Self {
        self.sink.insert("kind".to_owned(), text(kind));
        self.sink.insert("path".to_owned(), text(path));
        self
    }

    /// A key of `[sink]` with a text.
    pub(crate) fn sink_text(mut self, key: &str, value: &str) -> Self {
        self.sink.insert(key.to_owned(), text(value));
        self
    }

    /// Rows in a schema of a database.
    pub(crate) fn postgres(mut self, url: &str, schema: &str) -> Self {
        self.sink = ["kind", "url", "schema"]
            .map(str::to_owned)
            .into_iter()
            .zip([text("postgres"), text(url), text(schema)])
            .collect();
        self
    }

    /// Rows as JSON lines in the folder `rows`.
    pub(crate) fn jsonl(self) -> Self {
        self.sink("jsonl", "rows")
    }

    /// Rows as Parquet files in the folder `rows`.
    #[allow(dead_code, reason = "the other binaries of tests do not use it")]
    pub(crate) fn parquet(self) -> Self {
        self.sink("parquet", "rows")
    }

    /// Sets a key of the runner, for example `batch.max_rows`.
    pub(crate) fn set(mut self, key: &str, value: impl Display) -> Self {
        let (section, name) = key.split_once('.').expect("section.key");
        let section = self.sections.entry(section.to_owned()).or_default();
        section.insert(name.to_owned(), value.to_string());
        self
    }

    pub(crate) fn allow(mut self, target: &str) -> Self {
        self.allow.push(target.to_owned());
        self
    }

    /// No exception from the egress policy.
    pub(crate) fn deny_all(mut self) -> Self {
        self.allow.clear();
        self
    }

    /// The file.
    pub(crate) fn render(&self) -> String {
        let mut file = format!("name = {}\n", text(&self.name));
        let section = |title: &str, entries: &BTreeMap<String, String>| {
            let lines = entries.iter().fold(String::new(), |mut lines, (key, value)| {
                let _infallible = writeln!(lines, "{key} = {value}");
                lines
            });
            if title.is_empty() || lines.is_empty() { lines } else { format!("\n[{title}]\n{lines}") }
        };
        file.push_str(&section("", &self.top));
        file.push_str(&section("config", &self.config));
        file.push_str(&section("sink", &self.sink));
        self.sections.iter().for_each(|(title, keys)| file.push_str(&section(title, keys)));
        if !self.allow.is_empty() {
            let _infallible = write!(file, "\n[egress]\nallow = {:?}\n", self.allow);
        }
        file
    }
}
