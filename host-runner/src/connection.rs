//! The connection file: what one tenant wrote, checked, with every reference resolved.
//!
//! Knows the file's own keys. The keys of `[config]` belong to the component and pass through as JSON;
//! only `<key>_file` is resolved here, once the component's schema is known.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::DeTable;

use crate::describe::Describe;
use crate::egress::policy::Target;
use crate::error::{Error, Result};
use crate::limits::{Limits, SETTINGS};
use crate::secret::Redactor;
use crate::sinks::{Deletes, KINDS, SinkKind, SinkSettings};
use crate::toml_tree::{Entry, File, Section};

/// The keys of the file itself.
const KEYS: [&str; 6] = ["name", "component", "config", "sink", "limits", "egress"];
/// Longest name of a connection; it is a folder's name.
const NAME_BYTES_MAX: usize = 64;
/// Names that the data folder uses itself.
const NAMES_TAKEN: [&str; 6] =
    ["cache", "key", "journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"];

/// A checked connection file.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The file.
    pub path: PathBuf,
    /// Names the folder of its state.
    pub name: String,
    /// The component's file.
    pub component: Option<PathBuf>,
    /// `[config]`, for the component.
    pub config: Map<String, Value>,
    /// `[sink]`.
    pub sink: SinkSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[egress] allow`.
    pub allow: Vec<Target>,
    /// `[egress] ca_file`.
    pub ca_file: Option<PathBuf>,
}

impl Connection {
    /// Reads a file. `environment` looks up a variable.
    pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("connection file {}: {error}", path.display()))
                .hint("write one from the component's own schema: host-runner init -o FILE")
        })?;
        Self::parse(path, &text, environment)
    }

    fn parse(path: &Path, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let file = File { path, text, environment };
        let table = DeTable::parse(text).map_err(|error| {
            file.error(error.span().unwrap_or_default(), format!("not TOML: {}", error.message()))
                .hint("text goes in quotes, sections in [brackets]; `init` writes a file to start from")
        })?;
        let root = Section { file: &file, name: String::new(), table: table.get_ref() };
        root.only(&KEYS)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = name(&root)?;
        let component = root.get("component").map(|entry| entry.text()).transpose()?;
        let mut config = Map::new();
        if let Some(entry) = root.get("config") {
            for (key, entry) in entry.section()?.entries() {
                config.insert(key.to_owned(), entry.json()?);
            }
        }
        let sink = sink(&root, &folder, &name)?;
        let limits = limits(&root)?;
        let (allow, ca_file) = egress(&root, &folder)?;
        Ok(Self {
            path: path.to_owned(),
            name,
            component: component.map(|file| folder.join(file)),
            config,
            sink,
            limits,
            allow,
            ca_file,
        })
    }

    /// Replaces `<key>_file` by the content of the file it names, unless the component has a key of that
    /// very name, and tells the redactor what is secret.
    pub fn resolve_secrets(&mut self, describe: &Describe, redactor: &Redactor) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let keys: Vec<String> = self.config.keys().cloned().collect();
        for written in keys {
            let Some(key) = written.strip_suffix("_file") else { continue };
            if describe.properties().any(|(name, _)| *name == written) {
                continue;
            }
            let place = format!("{}: config.{written}", self.path.display());
            if self.config.contains_key(key) {
                return Err(Error::configuration(format!("{place}: `{key}` is set too"))
                    .hint(format!("keep one of `{key}` and `{written}`")));
            }
            let Some(Value::String(file)) = self.config.remove(&written) else {
                return Err(Error::configuration(format!("{place}: the path of a file is needed")));
            };
            let file = folder.join(file);
            let text = std::fs::read_to_string(&file).map_err(|error| {
                Error::configuration(format!("{place}: {}: {error}", file.display())).hint(
                    "the path is relative to the connection file; the file holds the value and nothing else",
                )
            })?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            redactor.learn(text);
            self.config.insert(key.to_owned(), Value::from(text));
        }
        for (key, value) in &self.config {
            if describe.is_secret(key) {
                redactor.learn_config(value);
            }
        }
        if let Some(secret) = self.sink.location.secret() {
            redactor.learn(secret);
        }
        Ok(())
    }

    /// `[config]` as the component gets it.
    pub fn config_text(&self) -> String {
        serde_json::to_string(&self.config).unwrap_or_default()
    }
}

/// The name in a file that cannot be used, as far as it can be read.
pub fn name_in(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let file = File { path, text: &text, environment };
    let (table, errors) = DeTable::parse_recoverable(&text);
    let root = Section { file: &file, name: String::new(), table: table.get_ref() };
    // What is broken in it or before it may be half of another name.
    let end = root.get("name")?.value.span().end;
    let is_sound = errors.iter().all(|error| error.span().is_some_and(|span| span.start > end));
    name(&root).ok().filter(|_| is_sound)
}

fn name(root: &Section<'_>) -> Result<String> {
    let Some(entry) = root.get("name") else {
        return Err(root.file.error(0..0, "name: missing").hint("add a line: name = \"acme\""));
    };
    let name = entry.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let usable = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !NAMES_TAKEN.contains(&name.as_str());
    if usable {
        return Ok(name);
    }
    Err(entry.error(format!("`{name}` cannot name a folder of its own")).hint(format!(
        "use up to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`, other than {}",
        NAMES_TAKEN.join(" and ")
    )))
}

fn sink(root: &Section<'_>, folder: &Path, name: &str) -> Result<SinkSettings> {
    let section = root.get("sink").map(|entry| entry.section()).transpose()?;
    let get = |key| section.as_ref().and_then(|section| section.get(key));
    let [default, ..] = KINDS;
    let kind = match get("kind") {
        None => default,
        Some(entry) => {
            let text = entry.text()?;
            SinkKind::named(&text).ok_or_else(|| {
                let names = KINDS.map(|kind| format!("\"{}\"", kind.name)).join(" or ");
                entry.error(format!("`{text}` is not a sink")).hint(format!("use {names}"))
            })?
        }
    };
    if let Some(section) = &section {
        section.only(&["kind", kind.location_key, "deletes"])?;
    }
    let value = get(kind.location_key).map(|entry| entry.text()).transpose()?;
    let location = kind.locate(value.as_deref(), folder, name)?;
    let deletes = match get("deletes") {
        None => Deletes::Soft,
        Some(entry) => {
            let deletes = match entry.text()?.as_str() {
                "soft" => Deletes::Soft,
                "hard" => Deletes::Hard,
                other => {
                    return Err(entry
                        .error(format!("`{other}` is not known"))
                        .hint("use \"soft\" (the row stays, marked) or \"hard\" (it is deleted)"));
                }
            };
            if let Some(why) = kind.refuses(deletes) {
                return Err(entry.error(why));
            }
            deletes
        }
    };
    Ok(SinkSettings { kind, location, deletes, owner: name.to_owned() })
}

fn limits(root: &Section<'_>) -> Result<Limits> {
    let Some(entry) = root.get("limits") else { return Ok(Limits::default()) };
    let section = entry.section()?;
    section.only(&SETTINGS.map(|(key, ..)| key))?;
    let mut settings = Map::new();
    for (key, _, min, max) in SETTINGS {
        if let Some(entry) = section.get(key) {
            let number = entry.number()?;
            if !(min..=max).contains(&number) {
                return Err(entry.error(format!("{number} is not within {min} and {max}")));
            }
            settings.insert(key.to_owned(), Value::from(number));
        }
    }
    Ok(Limits::with(|key| settings.get(key).and_then(Value::as_u64)))
}

fn egress(root: &Section<'_>, folder: &Path) -> Result<(Vec<Target>, Option<PathBuf>)> {
    let Some(entry) = root.get("egress") else { return Ok((Vec::new(), None)) };
    let section = entry.section()?;
    section.only(&["allow", "ca_file"])?;
    let allow = match section.get("allow") {
        Some(entry) => allow(&entry)?,
        None => Vec::new(),
    };
    let ca_file = section.get("ca_file").map(|entry| entry.text()).transpose()?;
    Ok((allow, ca_file.map(|file| folder.join(file))))
}

fn allow(entry: &Entry<'_>) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for text in entry.texts()? {
        let target = Target::parse(&text).ok_or_else(|| {
            entry
                .error(format!("`{text}` is not host:port"))
                .hint("write the port too, for example \"127.0.0.1:8080\"; no scheme, no path")
        })?;
        targets.push(target);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests;
