//! The common part of `airbyte` and `singer`: a tool's configuration, its connection, and one run.
//!
//! A tool runs this program in containers that keep nothing, so that the state of a connection is in memory
//! and its session is in the tool's state, sealed. Reading is that of `sync`: the same actor, with another
//! sink. Does not know what messages look like.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::{Context, input};
use crate::actor::{Actor, ActorConfig, Answer, Command, Mode, Observer, Stopped, answer_with};
use crate::change::CheckItem;
use crate::clock::now_ms;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::key::{Key, VARIABLE};
use crate::loaded::{LoadedConnection, OpenConnection, SharedEngine};
use crate::metrics::Meters;
use crate::policy;
use crate::report::render_error;
use crate::request::{Request, RowCount};
use crate::sinks::Counts;
use crate::sinks::messages::{Level, Message, Messages, Output, Parts, Saved, SealedSession, Status};
use crate::state::{ConnectionStore, LockedStore};
use crate::units::format_wait;

/// The member of a tool's configuration that is the grant; every other one is a key of `[config]`.
const GRANT: &str = "grant";
/// The name of a connection without a connection file.
const NAME: &str = "tool";
/// A read in JSON has at most so many bytes: states of many tables, with a session each.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A JSON file of the tool. An empty one is null.
pub(super) fn file(flag: &str, path: &Path) -> Result<Value> {
    let place = |error: &dyn std::fmt::Display| Error::usage(format!("{flag} {}: {error}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|error| place(&error))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(place(&format!("has {bytes} bytes, and at most {FILE_BYTES_MAX} are read")));
    }
    match input::file(path)?.trim() {
        "" => Ok(Value::Null),
        text => input::json(&format!("{flag} {}", path.display()), text),
    }
}

/// A failure as one line, for tools that show no more.
pub(super) fn with_hint(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| message.to_owned(), |hint| format!("{message}; hint: {hint}"))
}

/// A connection as a tool configures it, ready for calls.
pub(super) struct Tool {
    open: OpenConnection,
    key: SessionKey,
}

/// The key that seals the session in the tool's state; none if nothing about the connection is secret.
type SessionKey = Option<Key>;

impl Tool {
    /// Opens the connection of a configuration. The session is the one in the tool's state; without one that
    /// opens, the grant is exchanged first; without a grant, the session of the connection file counts.
    pub(super) async fn open(context: &Context, config: &Path, session: Option<&str>) -> Result<Self> {
        let mut connection = match context.connections.as_slice() {
            [] => Connection::named(NAME, context.paths.policy.as_ref())?,
            _ => context.connection()?,
        };
        let (members, grant) = members(file("--config", config)?)?;
        let path = context.paths.component(connection.component.as_deref())?;
        let component = SharedEngine::default().component(&path, &context.paths)?;
        let describe = component.describe(&connection.limits).await?;
        for (name, value) in members {
            // A connection file may name files; a tool may be configured by another person, over a form.
            if name.ends_with("_file") && describe.key(&name).is_none() {
                return Err(Error::configuration(format!("config.{name}: a file is not accepted here"))
                    .hint("give the value itself"));
            }
            connection.config.insert(name, value);
        }
        if let Some(grant) = &grant {
            context.paths.redactor.learn_config(&connection.name, grant);
        }
        let loaded = LoadedConnection::with(component, connection, &context.paths).await?;
        let key = session_key(&loaded, grant.as_ref());
        let store = ConnectionStore::in_memory(
            &loaded.connection.name,
            key.clone().map_or_else(Key::random, Ok)?,
            context.paths.redactor.clone(),
        )?;
        let sealed = session.and_then(|session| STANDARD.decode(session).ok()).filter(|_| key.is_some());
        let is_restored = sealed.map_or(Ok(false), |sealed| store.restore_session(&sealed))?;
        if grant.is_none() && !context.connections.is_empty() {
            stored_session(context, &loaded.connection, &store)?;
        }
        let mut open = loaded.open(store)?;
        if let Some(grant) = grant.filter(|_| !is_restored) {
            open.sandbox.authorize(grant.to_string()).await?;
        }
        Ok(Self { open, key })
    }

    /// Has the component answer one request.
    pub(super) async fn answer(&mut self, request: &Request) -> Answer {
        answer_with(&mut self.open, request).await
    }

    /// Tests the connection; the failures, as one text.
    pub(super) async fn check(&mut self) -> Result<Option<String>> {
        let items = self.answer(&Request::Check).await?;
        let items: Vec<CheckItem> = serde_json::from_value(items).unwrap_or_default();
        let failed = items.iter().filter(|item| item.outcome == crate::change::Outcome::Failed);
        let text =
            |item: &CheckItem| with_hint(&format!("{}: {}", item.name, item.message), item.hint.as_deref());
        let failed: Vec<String> = failed.map(text).collect();
        Ok((!failed.is_empty()).then(|| failed.join("\n")))
    }

    /// The tables of the connection.
    pub(super) async fn tables(&mut self) -> Result<Vec<crate::change::Table>> {
        let tables = self.answer(&Request::Discover).await?;
        serde_json::from_value(tables).map_err(|error| Error::host(format!("tables: {error}")))
    }

    /// What the component declares.
    pub(super) fn describe(&self) -> &crate::describe::Describe {
        &self.open.describe
    }

    /// The session of this run as the tool is to keep it.
    pub(super) fn session(&self) -> SealedSession {
        let (store, is_sealed) = (self.open.store.clone(), self.key.is_some());
        Box::new(move || {
            let sealed = store.sealed_session().ok().flatten().filter(|_| is_sealed)?;
            Some(STANDARD.encode(sealed))
        })
    }

    /// Reads tables until they are caught up.
    pub(super) async fn read(
        self,
        context: &Context,
        sink: Messages,
        output: &Output,
        run: Run,
    ) -> Result<Exit> {
        let (sender, commands) = mpsc::channel(1);
        let estimating = estimate(&sender, output.clone(), run.counted).await;
        let mut follower = Follower {
            output: output.clone(),
            started: BTreeSet::new(),
            parts: sink.parts(),
            replaced: run.replaced,
            errors: Vec::new(),
        };
        let config = ActorConfig {
            connection: self.open,
            sink: Box::new(sink),
            queue: None,
            public_url: None,
            commands,
            meters: Meters::default(),
            stop: context.stop.clone(),
        };
        let mode = Mode::Sync { tables: run.tables, full_refresh: false };
        let stopped = Actor::new(config, mode, &mut follower).run().await;
        drop(sender);
        if let Some(estimating) = estimating {
            let _said = estimating.await;
        }
        // As text, too: Singer has no message for it, and not every tool shows those of Airbyte.
        for error in &follower.errors {
            context.printer.note(&render_error(error));
        }
        follower.finish(stopped)
    }
}

/// What a run reads.
pub(super) struct Run {
    /// The tables, at least one.
    pub(super) tables: Vec<String>,
    /// The tables whose rows are counted first.
    pub(super) counted: Vec<String>,
    /// The tables that the tool replaces with the rows of this run.
    pub(super) replaced: BTreeSet<String>,
}

impl Run {
    /// These tables; those of which no snapshot ended are counted where the source can.
    pub(super) fn new(
        tables: Vec<String>,
        saved: &Saved,
        describe: &crate::describe::Describe,
        replaced: BTreeSet<String>,
    ) -> Self {
        let counts = |name: &String| {
            let mut infos = describe.tables.iter().filter(|info| info.name == *name);
            infos.any(|info| info.capabilities.iter().any(|capability| capability == "count"))
        };
        let counted = tables.iter().filter(|name| counts(name) && !saved.has_ended(name)).cloned().collect();
        Self { tables, counted, replaced }
    }
}

/// Has the actor count rows before it reads, and says what it found. A failure to count stops nothing.
async fn estimate(
    commands: &mpsc::Sender<Command>,
    output: Output,
    tables: Vec<String>,
) -> Option<tokio::task::JoinHandle<()>> {
    if tables.is_empty() {
        return None;
    }
    let (reply, answer) = oneshot::channel();
    commands.send(Command { request: Request::Count { tables }, reply }).await.ok()?;
    Some(tokio::spawn(async move {
        let Ok(Ok(answer)) = answer.await else { return };
        let counts: Vec<RowCount> = serde_json::from_value(answer).unwrap_or_default();
        for count in counts {
            if let Some(rows) = count.rows {
                let _closed = output.say(Message::Estimate { table: &count.table, rows }, now_ms());
            }
        }
    }))
}

/// The members of a tool's configuration that are not null, and the grant.
fn members(config: Value) -> Result<(Map<String, Value>, Option<Value>)> {
    let Value::Object(members) = config else {
        return Err(Error::configuration("--config: a JSON object is required"));
    };
    let mut members = without_nulls(members);
    let grant = members.remove(GRANT).map(|grant| match grant {
        Value::Object(members) => Value::Object(without_nulls(members)),
        other => other,
    });
    let is_empty = |grant: &Value| grant.as_object().is_some_and(Map::is_empty);
    Ok((members, grant.filter(|grant| !is_empty(grant))))
}

fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// A key made from the configuration's secrets, or from `HOST_RUNNER_KEY` where it is set, and the grant:
/// with another grant it is another key, and the session of the former grant does not open.
fn session_key(loaded: &LoadedConnection, grant: Option<&Value>) -> SessionKey {
    let config = &loaded.connection.config;
    let secrets = loaded.describe.keys().into_iter().filter(|key| key.is_secret());
    let mut secrets: Vec<&Value> = secrets.filter_map(|key| config.get(key.name)).collect();
    let variable = std::env::var(VARIABLE).ok().map(Value::from);
    if let Some(key) = &variable {
        secrets = vec![key];
    }
    let secrets: Vec<&Value> = secrets.into_iter().chain(grant).collect();
    if secrets.is_empty() {
        return None;
    }
    let secret = serde_json::to_vec(&secrets).unwrap_or_default();
    Some(Key::derive(&secret, b"host-runner session in a tool's state 1"))
}

/// The session that `authorize` stored for the connection file, if it did.
fn stored_session(context: &Context, connection: &Connection, store: &LockedStore) -> Result<()> {
    if !context.paths.connection(&connection.name).exists() {
        return Ok(());
    }
    let stored = ConnectionStore::open(&context.paths, &connection.name)?.session()?;
    stored.map_or(Ok(()), |session| crate::sandbox::SessionStore::save(store, Some(&session)))
}

/// Says how the reading of tables goes, and keeps their failures.
struct Follower {
    output: Output,
    /// Tables that have not ended, and whether rows of them came.
    started: BTreeSet<String>,
    parts: Parts,
    replaced: BTreeSet<String>,
    errors: Vec<Error>,
}

impl Follower {
    /// A closed output shows at the next commit.
    fn say(&self, message: Message<'_>) {
        let _closed = self.output.say(message, now_ms());
    }

    fn status(&self, table: &str, status: Status) {
        self.say(Message::Status { table, status });
    }

    fn finish(self, stopped: Stopped) -> Result<Exit> {
        for table in &self.started {
            self.status(table, Status::Incomplete);
        }
        match stopped {
            Stopped::Requested => Ok(Exit::Interrupted),
            Stopped::Failed(error) if self.errors.is_empty() => Err(error),
            Stopped::Failed(_) | Stopped::Finished => Ok(Exit::of_all(self.errors.iter().map(Exit::from))),
        }
    }
}

/// The failure of a full refresh that lacks rows, for a tool that would delete them. Another attempt would
/// not bring them.
fn part(table: &str) -> Error {
    let message = format!("table `{table}`: not all of its rows could be read, so they must not replace it");
    Error::new(Origin::Component, Kind::Unsupported, message).hint(
        "a warning says what is missing; read the table in a mode that merges rows by key, or leave it out",
    )
}

impl Observer for Follower {
    fn reading(&mut self, table: &str) {
        if self.started.insert(table.to_owned()) {
            self.status(table, Status::Started);
            self.status(table, Status::Running);
        }
    }

    fn committed(&mut self, table: &str, counts: &Counts) {
        if counts.unconverted > 0 {
            tracing::warn!(table, values = counts.unconverted, "values did not fit their type");
        }
    }

    fn waiting(&mut self, what: &str, wait: Duration, why: &str) {
        let text = format!("{what}: waits {}: {why}", format_wait(wait));
        self.say(Message::Log { level: Level::Info, text: &text });
    }

    fn caught_up(&mut self, table: &str) {
        let is_part = self.parts.has(table);
        if is_part && self.replaced.contains(table) {
            return self.failed(table, &part(table));
        }
        self.started.remove(table);
        self.status(table, if is_part { Status::Incomplete } else { Status::Complete });
    }

    fn failed(&mut self, table: &str, error: &Error) {
        self.started.remove(table);
        self.status(table, Status::Incomplete);
        self.say(Message::Failed { table: Some(table), error, failure: policy::failure(error) });
        self.errors.push(error.clone());
    }
}
