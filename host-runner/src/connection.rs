//! The connection file: one connection as a person declares it, checked, with every reference resolved.
//!
//! The file's own keys are declared in [`keys`]. Those of `[config]` belong to the component and pass through
//! as JSON; only `<key>_file` is resolved here, once the component's schema is known.

pub(crate) mod keys;

mod check;
mod document;
mod policy_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::document::{Document, Environment};
pub use self::policy_file::PolicyFile;
use crate::clock::millis;
use crate::describe::Describe;
use crate::egress::policy::Target;
use crate::engine::Component;
use crate::error::{Error, Result};
use crate::limits::{BatchLimits, Limits, RetryLimits, SandboxLimits, ServeLimits};
use crate::secret::Redactor;
use crate::sinks::attachments::{self, AttachmentLimits};
use crate::sinks::{AttachmentSettings, Deletes, KINDS, Load, Location, Place, SinkKind, SinkSettings};
use crate::units::{bytes, duration};

/// A checked connection file.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The file.
    pub path: PathBuf,
    /// Names the folder of its state.
    pub name: String,
    /// The component's file.
    pub component: Option<PathBuf>,
    /// The only content that the component may have, in lower case.
    pub component_sha256: Option<String>,
    /// `[config]`, for the component.
    pub config: Map<String, Value>,
    /// The lines of its keys.
    config_lines: BTreeMap<String, usize>,
    /// The values in it that came from variables.
    referenced: Vec<String>,
    /// `[sink]`.
    pub sink: SinkSettings,
    /// `attachments` under `[sink]`.
    pub attachments: Option<AttachmentSettings>,
    /// `[batch]`, `[retry]`, `[serve]`, `[sandbox]`.
    pub limits: Limits,
    /// `[egress] only`.
    pub only: Option<Vec<Target>>,
    /// `[egress] allow`.
    pub allow: Vec<Target>,
    /// `[egress] ca_file`.
    pub ca_file: Option<PathBuf>,
    /// Bounds on the file.
    pub(crate) policy: Option<Arc<PolicyFile>>,
}

/// The file as it is written, defaults included: a field for every key of [`keys`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    component: Option<PathBuf>,
    component_sha256: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
    sink: SinkSection,
    batch: BatchLimits,
    retry: RetryLimits,
    serve: ServeLimits,
    sandbox: SandboxLimits,
    egress: EgressSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkSection {
    kind: String,
    path: Option<String>,
    url: Option<String>,
    url_file: Option<PathBuf>,
    schema: Option<String>,
    format: Option<String>,
    #[serde(deserialize_with = "duration")]
    max_file_age: Duration,
    deletes: Deletes,
    attachments: Option<String>,
    #[serde(deserialize_with = "bytes")]
    attachments_max_bytes: u64,
    #[serde(default)]
    attachments_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EgressSection {
    only: Option<Vec<String>>,
    #[serde(default)]
    allow: Vec<String>,
    ca_file: Option<PathBuf>,
}

impl Connection {
    /// Reads a file. `environment` looks up a variable.
    pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        Self::load_within(path, environment, None)
    }

    /// Reads a file that may ask for no more than the policy admits.
    pub fn load_within(
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
        policy: Option<&Arc<PolicyFile>>,
    ) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("connection file {}: {error}", path.display()))
                .hint("write one from the component's own schema: host-runner init -o FILE")
        })?;
        Self::parse(path, &text, environment, policy)
    }

    /// A connection of that name with the defaults of every key, and an empty `[config]`.
    pub(crate) fn named(name: &str, policy: Option<&Arc<PolicyFile>>) -> Result<Self> {
        Self::parse(Path::new(name), &format!("name = \"{name}\"\n"), &|_| None, policy)
    }

    fn parse(
        path: &Path,
        text: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        policy: Option<&Arc<PolicyFile>>,
    ) -> Result<Self> {
        let environment = Environment { lookup, policy: policy.map(AsRef::as_ref) };
        let mut document = Document::parse(path, text, environment)?;
        check::check(&mut document, &check::Schema::connection());
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let kind = text("sink.kind").map_or(Some(KINDS[0]), SinkKind::named);
        if text("sink.deletes") == Some("hard")
            && let Some(why) = kind.and_then(|kind| kind.refuses(Deletes::Hard))
        {
            document.problem("sink.deletes", why, None);
        }
        if let Some(kind) = kind {
            check::check_sink(&mut document, kind);
        }
        if let Some(policy) = policy {
            policy.check_limits(&mut document);
        }
        document.finish()?;
        let referenced = std::mem::take(&mut document.referenced);
        let config_lines = document.lines_of("config").map(|(key, line)| (key.to_owned(), line)).collect();
        let values = check::with_defaults(document.values);
        let file = File::deserialize(Value::Object(values))
            .map_err(|error| Error::configuration(format!("{}: {error}", path.display())))?;
        let connection = Self { referenced, ..Self::of(path, file, config_lines, policy)? };
        connection.admit_paths()?;
        Ok(connection)
    }

    /// Fails if a path in the file is beyond the policy.
    fn admit_paths(&self) -> Result<()> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if let Some(component) = &self.component {
            policy.admit_component(&self.path, component)?;
        }
        if let Some(ca_file) = &self.ca_file {
            policy.admit_file(&self.path, "egress.ca_file", ca_file)?;
        }
        if let Some((parameter, file)) = self.sink.location.authority_file() {
            policy.admit_file(&self.path, &format!("sink.url: {parameter}"), &file)?;
        }
        if let Some(AttachmentSettings { location, .. }) = &self.attachments {
            if let Some((parameter, file)) = location.authority_file() {
                policy.admit_file(&self.path, &format!("sink.attachments: {parameter}"), &file)?;
            }
            policy.admit_sink(&self.path, "sink.attachments", location)?;
        }
        policy.admit_sink(&self.path, "sink.path", &self.sink.location)
    }

    fn of(
        path: &Path,
        file: File,
        config_lines: BTreeMap<String, usize>,
        policy: Option<&Arc<PolicyFile>>,
    ) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let File { name, component, component_sha256, config, sink, batch, retry, serve, sandbox, egress } =
            file;
        // The table of keys has admitted every host.
        let targets = |texts: &[String]| texts.iter().filter_map(|text| Target::parse(text)).collect();
        // The table of keys has admitted the name.
        let kind = SinkKind::named(&sink.kind).unwrap_or(KINDS[0]);
        let kind = sink.format.and_then(|format| kind.in_format(&format)).unwrap_or(kind);
        let url = match &sink.url_file {
            Some(file) => {
                let file = folder.join(file);
                if let Some(policy) = policy {
                    policy.admit_file(path, "sink.url_file", &file)?;
                }
                Some(secret_of(&file, &format!("{}: sink.url_file", path.display()))?)
            }
            None => sink.url,
        };
        let place = Place { path: sink.path.as_deref(), url: url.as_deref(), schema: sink.schema.as_deref() };
        let limits = AttachmentLimits {
            bytes_max: sink.attachments_max_bytes,
            types: sink.attachments_types.iter().map(|ending| ending.to_lowercase()).collect(),
        };
        let attachments =
            sink.attachments.as_deref().map(|written| attachments::locate(written, folder, &name));
        let attachments = attachments.transpose()?.map(|location| AttachmentSettings { location, limits });
        Ok(Self {
            path: path.to_owned(),
            component: component.map(|file| folder.join(file)),
            component_sha256: component_sha256.map(|sha256| sha256.to_ascii_lowercase()),
            config,
            config_lines,
            referenced: Vec::new(),
            sink: SinkSettings {
                kind,
                location: kind.locate(&place, folder, &name)?,
                deletes: sink.deletes,
                load: Load::Live,
                file_age_ms: millis(sink.max_file_age),
                owner: name.clone(),
            },
            attachments,
            limits: Limits { batch, retry, serve, sandbox },
            only: egress.only.as_deref().map(targets),
            allow: targets(&egress.allow),
            ca_file: egress.ca_file.map(|file| folder.join(file)),
            policy: policy.cloned(),
            name,
        })
    }

    /// Replaces `<key>_file` by the content of the file it names, unless the component has a key of that
    /// very name, and adds every secret to the redactor.
    pub fn resolve_secrets(&mut self, describe: &Describe, redactor: &Redactor) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let keys: Vec<String> = self.config.keys().cloned().collect();
        for written in keys {
            let Some(key) = written.strip_suffix("_file") else { continue };
            if describe.key(&written).is_some() {
                continue;
            }
            let place = format!("{}: config.{written}", self.path.display());
            if self.config.contains_key(key) {
                return Err(Error::configuration(format!("{place}: `{key}` is set too"))
                    .hint(format!("keep one of `{key}` and `{written}`")));
            }
            let Some(Value::String(file)) = self.config.remove(&written) else {
                return Err(Error::configuration(format!("{place}: the path of a file is required")));
            };
            let file = folder.join(file);
            if let Some(policy) = &self.policy {
                policy.admit_file(&self.path, &format!("config.{written}"), &file)?;
            }
            let text = secret_of(&file, &place)?;
            redactor.learn(&self.name, &text);
            self.config.insert(key.to_owned(), Value::from(text));
        }
        // A value is kept out of the file for a reason, which the component may not declare.
        for value in &self.referenced {
            redactor.learn_referenced(&self.name, value);
        }
        for key in describe.keys().iter().filter(|key| key.is_secret()) {
            if let Some(value) = self.config.get(key.name) {
                redactor.learn_config(&self.name, value);
            }
        }
        let attachments = self.attachments.iter().map(|attachments| &attachments.location);
        for secret in attachments.chain([&self.sink.location]).flat_map(Location::secrets) {
            redactor.learn(&self.name, &secret);
        }
        Ok(())
    }

    /// The component's refusal of `[config]`, with the place of each key that it names. A message that
    /// lists problems has one line for each after the first (`docs/CONTRACT.md`, Life of a connection).
    pub fn locate(&self, error: Error) -> Error {
        let keys: Vec<&str> =
            error.attributes.iter().filter(|(name, _)| name == "key").map(|(_, key)| key.as_str()).collect();
        let place = |key: &str| {
            let line = self.config_lines.get(key).or_else(|| self.config_lines.get(&format!("{key}_file")));
            let path = self.path.display();
            line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
        };
        let lines: Vec<&str> = error.message.lines().collect();
        match (keys.as_slice(), lines.split_first()) {
            ([key], _) => {
                let place = place(key);
                error.about(place)
            }
            (keys, Some((first, problems))) if problems.len() == keys.len() => {
                let mut message = (*first).to_owned();
                for (key, problem) in keys.iter().zip(problems) {
                    message.push_str(&format!("\n  {}: {}", place(key), problem.trim_start()));
                }
                Error { message, ..error }.about(self.path.display())
            }
            _ => error.about(self.path.display()),
        }
    }

    /// Fails if the component's content is not the pinned one, or beyond the policy.
    pub(crate) fn admit(&self, component: &Component) -> Result<()> {
        if let Some(policy) = &self.policy {
            policy.admit_content(&self.path, &component.sha256)?;
        }
        match &self.component_sha256 {
            Some(pinned) if *pinned != component.sha256 => {
                let (file, path) = (self.path.display(), component.path.display());
                let message = format!(
                    "{file}: component_sha256: {path} has other content, its SHA-256 is {}",
                    component.sha256
                );
                Err(Error::configuration(message)
                    .hint("inspect the component before you write its sha256 into the file"))
            }
            _ => Ok(()),
        }
    }

    /// `[config]` as the component gets it.
    pub fn config_text(&self) -> String {
        serde_json::to_string(&self.config).unwrap_or_default()
    }
}

/// Whether a connection can have this name.
pub fn is_name(name: &str) -> bool {
    check::is_name(name)
}

/// The value that a file holds, without the line break at its end. `place` is the key that names the file.
fn secret_of(file: &Path, place: &str) -> Result<String> {
    let mut text = std::fs::read_to_string(file).map_err(|error| {
        Error::configuration(format!("{place}: {}: {error}", file.display()))
            .hint("the path is relative to the connection file; the file holds the value and nothing else")
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

/// A variable of this process's environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The name in a file that is not usable, as far as it can be read.
pub fn name_in(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
    policy: Option<&PolicyFile>,
) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    check::name(&Document::parse_for_name(path, &text, Environment { lookup, policy })?)
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
