//! The programs that are compared: how each is run, continued and read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::rows::Stored;
use super::{Rows, World};
use crate::postgres::Postgres;
use crate::processes::{
    CLIENT_ID, CLIENT_SECRET, CODE, ORGANIZATION_ID, connection_file, connection_file_with,
};
use crate::tools;

/// Requests at the same time that the peers are given: those of the simulator's edition.
const CONCURRENCY: u32 = 25;

/// A program and the place for its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Sqlite,
    Postgres,
    /// The runner's Airbyte output.
    Airbyte,
    /// Airbyte's declarative CDK.
    Cdk,
    Dlt,
}

/// In the order of a round.
pub(super) const ALL: [Program; 5] =
    [Program::Sqlite, Program::Postgres, Program::Airbyte, Program::Cdk, Program::Dlt];

impl Program {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "host-runner into SQLite",
            Self::Postgres => "host-runner into PostgreSQL",
            Self::Airbyte => "host-runner airbyte",
            Self::Cdk => "Airbyte CDK",
            Self::Dlt => "dlt",
        }
    }

    pub(super) fn folder(self, world: &World) -> PathBuf {
        world.folder.join(format!("{self:?}"))
    }

    /// Deletes its rows and progress, and configures it.
    pub(super) fn reset(self, world: &World) -> Result<()> {
        let folder = self.folder(world);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let simulator = &world.simulator;
        let config = format!("tables = [\"tickets\"]\nticket_detail = {}\n", world.rows == Rows::Detailed);
        match self {
            Self::Sqlite => {
                let rows = folder.join("rows.db");
                self.authorize(world, &connection_file(simulator, "bench", &config, "sqlite", &rows))
            }
            Self::Postgres => {
                let url = world.database.as_deref().context("no database")?;
                Postgres::connect(url)?.rows(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))?;
                let sink = format!("kind = \"postgres\"\nurl = {url:?}\nschema = \"{SCHEMA}\"\n");
                self.authorize(world, &connection_file_with(simulator, "bench", &config, &sink))
            }
            Self::Airbyte => {
                // Without the egress exception of a file no tool may call loopback.
                let file = format!("name = \"bench\"\n[egress]\nallow = [{:?}]\n", simulator.authority());
                fs::write(folder.join("a.toml"), file)?;
                let config = json!({
                    "organization_id": ORGANIZATION_ID, "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET, "desk_url": simulator.url,
                    "accounts_url": simulator.url, "tables": ["tickets"],
                    "ticket_detail": world.rows == Rows::Detailed,
                    "grant": {"refresh_token": world.refresh_token},
                });
                fs::write(folder.join("config.json"), config.to_string())?;
                fs::write(folder.join("catalog.json"), catalog("tickets", "incremental"))?;
                // A data folder is warm, as of a runner that is installed.
                let mut check = tools::command("host-runner")?;
                check.args(["inspect", "--data"]).arg(folder.join("data"));
                tools::run(check.stdout(Stdio::null()))
            }
            Self::Cdk | Self::Dlt => self.configure_peer(world, peer_table(world), ""),
        }
    }

    /// Has its next run read the rows that changed since a time; the runner knows it by itself.
    pub(super) fn follow(self, world: &World, since: &str) -> Result<()> {
        match self {
            Self::Sqlite | Self::Postgres | Self::Airbyte => Ok(()),
            Self::Cdk | Self::Dlt => self.configure_peer(world, CHANGED, since),
        }
    }

    fn configure_peer(self, world: &World, stream: &str, since: &str) -> Result<()> {
        let folder = self.folder(world);
        let config = json!({
            "url": world.simulator.url, "organization_id": ORGANIZATION_ID, "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET, "refresh_token": world.refresh_token,
            "concurrency": CONCURRENCY, "since": since, "until": "2100-01-01T00:00:00.000Z",
        });
        fs::write(folder.join("config.json"), config.to_string())?;
        fs::write(folder.join("stream"), stream)?;
        fs::write(folder.join("catalog.json"), catalog(stream, "full_refresh"))?;
        Ok(())
    }

    fn authorize(self, world: &World, connection: &str) -> Result<()> {
        fs::write(self.folder(world).join("a.toml"), connection)?;
        let mut command = self.runner(world, &["authorize", "--code", CODE])?;
        tools::run(command.stdout(Stdio::null()))
    }

    fn runner(self, world: &World, words: &[&str]) -> Result<Command> {
        let folder = self.folder(world);
        let mut command = tools::command("host-runner")?;
        command.args(words).arg("--connection").arg(folder.join("a.toml"));
        command.arg("--data").arg(folder.join("data"));
        Ok(command)
    }

    /// One run, from the progress of the last.
    pub(super) fn command(self, world: &World) -> Result<Command> {
        let folder = self.folder(world);
        let mut command = match self {
            Self::Sqlite | Self::Postgres => self.runner(world, &["sync", "--json"])?,
            Self::Airbyte => {
                let state = folder.join("state.json");
                fs::write(&state, last_states(&outputs(&folder))?.to_string())?;
                let mut command = self.runner(world, &["airbyte", "read"])?;
                command.arg("--config").arg(folder.join("config.json"));
                command.arg("--catalog").arg(folder.join("catalog.json")).arg("--state").arg(state);
                command
            }
            Self::Cdk => {
                let mut command = Command::new(program("airbyte-cdk", "source-declarative-manifest"));
                command.arg("read").arg("--config").arg(folder.join("config.json"));
                command.arg("--catalog").arg(folder.join("catalog.json"));
                command.arg("--manifest-path").arg(peer_file("airbyte.yaml"));
                command
            }
            Self::Dlt => {
                let mut command = Command::new(program("dlt", "python"));
                command.arg(peer_file("dlt_rest_api.py")).arg(folder.join("config.json"));
                command.arg(fs::read_to_string(folder.join("stream"))?).arg(&folder);
                command
            }
        };
        let output = folder.join(format!("{}.jsonl", outputs(&folder).len() + 1));
        command.stdin(Stdio::null()).stdout(File::create(output)?);
        Ok(command)
    }

    /// The rows as its place has them.
    pub(super) fn stored(self, world: &World) -> Result<Stored> {
        let folder = self.folder(world);
        let count = |rows: Vec<(String, String)>| {
            let mut stored = Stored::new();
            for (id, subject) in rows {
                stored.entry(id).or_insert((0, subject)).0 += 1;
            }
            stored
        };
        let merged = || {
            let mut stored = Stored::new();
            for output in outputs(&folder) {
                stored.extend(count(records(&output)?));
            }
            Ok(stored)
        };
        match self {
            Self::Sqlite => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
                let database = Connection::open_with_flags(folder.join("rows.db"), flags)?;
                let mut statement = database.prepare("SELECT id, coalesce(subject, '') FROM tickets_live")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(count(rows.collect::<rusqlite::Result<_>>()?))
            }
            Self::Postgres => {
                let database = Postgres::connect(world.database.as_deref().context("no database")?)?;
                let rows = database.rows(&format!("SELECT id, subject FROM {SCHEMA}.tickets_live"))?;
                let pair = |mut row: Vec<String>| Some((row.first()?.clone(), row.pop()?));
                Ok(count(rows.into_iter().filter_map(pair).collect()))
            }
            // A destination appends and keeps the last record of a key.
            Self::Airbyte => merged(),
            Self::Cdk if fs::read_to_string(folder.join("stream"))? == CHANGED => merged(),
            // A destination replaces the table.
            Self::Cdk => match outputs(&folder).last() {
                Some(output) => Ok(count(records(output)?)),
                None => Ok(Stored::new()),
            },
            Self::Dlt => {
                let mut command = Command::new(program("dlt", "python"));
                command.arg(peer_file("dlt_rows.py")).arg(peer_table(world)).arg(&folder);
                let output = command.stderr(Stdio::inherit()).output()?;
                let lines = String::from_utf8_lossy(&output.stdout).into_owned();
                let pair = |line: &str| serde_json::from_str::<(String, Option<String>)>(line).ok();
                let rows = lines.lines().filter_map(pair);
                Ok(count(rows.map(|(id, subject)| (id, subject.unwrap_or_default())).collect()))
            }
        }
    }
}

/// The schema in PostgreSQL.
const SCHEMA: &str = "bench_peers";

/// The stream of a peer's second run.
const CHANGED: &str = "changed";

fn peer_table(world: &World) -> &'static str {
    match world.rows {
        Rows::Listed => "tickets",
        Rows::Detailed => "details",
    }
}

/// A program of a tool's environment.
fn program(tool: &str, name: &str) -> PathBuf {
    let tools = tools::release().map(|release| release.with_file_name("tools")).unwrap_or_default();
    tools.join(tool).join("bin").join(name)
}

fn peer_file(name: &str) -> PathBuf {
    tools::root().join("tests/tools/peers").join(name)
}

/// A configured catalog.
fn catalog(stream: &str, mode: &str) -> String {
    let stream = json!({"name": stream, "json_schema": {}, "supported_sync_modes": [mode]});
    json!({"streams": [{"stream": stream, "sync_mode": mode, "destination_sync_mode": "overwrite"}]})
        .to_string()
}

/// What the runs printed so far, in their order.
fn outputs(folder: &Path) -> Vec<PathBuf> {
    (1..).map(|number| folder.join(format!("{number}.jsonl"))).take_while(|path| path.exists()).collect()
}

/// Takes the messages of a kind among the lines of a run. The last line of one that was killed may be cut
/// off.
fn messages(output: &Path, kind: &str, mut take: impl FnMut(Value)) -> Result<()> {
    let marked = format!("\"type\":\"{kind}\"");
    for line in BufReader::new(File::open(output)?).lines() {
        let line = line?;
        if line.contains(&marked)
            && let Ok(message) = serde_json::from_str::<Value>(&line)
            && message["type"] == kind
        {
            take(message);
        }
    }
    Ok(())
}

/// Ids and subjects of the records.
fn records(output: &Path) -> Result<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut pairs = Vec::new();
    messages(output, "RECORD", |message| {
        let data = &message["record"]["data"];
        pairs.push((text(&data["id"]), text(&data["subject"])));
    })?;
    Ok(pairs)
}

/// The last state of each stream.
fn last_states(outputs: &[PathBuf]) -> Result<Value> {
    let mut last = BTreeMap::new();
    for output in outputs {
        messages(output, "STATE", |mut message| {
            let state = message["state"].take();
            last.insert(state["stream"]["stream_descriptor"].to_string(), state);
        })?;
    }
    Ok(last.into_values().collect())
}
