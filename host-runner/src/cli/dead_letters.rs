//! `dead-letters`: lists, shows, replays and drops deliveries that could not be applied.
//!
//! Asks the server that has the data folder, else the journal itself. `move` and `clear` concern connections
//! that no process runs, and open the journal that a server may have.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::connection::is_name;
use crate::dead_letters::{LettersRequest, NoJournal, Selection, answer};
use crate::error::Result;
use crate::exit::Exit;
use crate::journal::Journal;
use crate::report::{columns, thousands};
use crate::serve::control;
use crate::state::{ConnectionStore, LockedStore};

pub(super) const HELP: &str = "\
Without -c, all connections of the data folder. A replayed delivery is appended to the queue; newer rows \
stay.

Examples:
  host-runner dead-letters list -c acme.toml
  host-runner dead-letters show 17
  host-runner dead-letters replay 17 18
  host-runner dead-letters replay --all -c acme.toml      once the cause is fixed
  host-runner dead-letters drop 17
  host-runner dead-letters move acme -c acme-eu.toml      a connection that was renamed
  host-runner dead-letters clear acme                     a connection that was removed";

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List them with cause and reason
    #[command(after_help = HELP)]
    List,
    /// Show one: cause, failure, and the request
    #[command(after_help = HELP)]
    Show {
        /// Its number
        #[arg(value_name = "ID")]
        id: u64,
    },
    /// Queue them again
    #[command(after_help = HELP)]
    Replay(Which),
    /// Delete them
    #[command(after_help = HELP)]
    Drop(Which),
    /// Give the queue and the dead letters of a renamed connection to the one of -c
    #[command(after_help = HELP)]
    Move(Former),
    /// Delete the queue and the dead letters of a removed connection
    #[command(after_help = HELP)]
    Clear(Former),
}

#[derive(Debug, clap::Args)]
pub(super) struct Former {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their numbers
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// All of the connection, or of every connection without -c
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(command: &DeadLetters, context: &Context) -> Result<Exit> {
    let connection = match context.connections.as_slice() {
        [] => None,
        _ => Some(context.connection()?.name),
    };
    context.paths.verify()?;
    match command {
        DeadLetters::List => list(context, &all(context, connection).await?),
        DeadLetters::Show { id } => {
            let shown = ask(context, LettersRequest::Show { connection, id: *id }).await?;
            show(context, &shown);
        }
        DeadLetters::Replay(which) => {
            let request = LettersRequest::Replay(which.selection(connection));
            done(context, "replayed", &ask(context, request).await?);
        }
        DeadLetters::Drop(which) => {
            let request = LettersRequest::Drop(which.selection(connection));
            done(context, "dropped", &ask(context, request).await?);
        }
        DeadLetters::Move(Former { name: from }) => {
            let to = context.connection()?.name;
            let moved = if *from == to {
                0
            } else {
                of_unused(context, from, |journal| journal.move_connection(from, &to))?
            };
            counted(context, moved);
        }
        DeadLetters::Clear(Former { name }) => {
            counted(context, of_unused(context, name, |journal| journal.clear_connection(name))?);
        }
    }
    Ok(Exit::Success)
}

impl Which {
    fn selection(&self, connection: Option<String>) -> Selection {
        Selection { ids: self.ids.clone(), all: self.all, connection }
    }
}

/// The answer of the server that has the data folder, else from its journal.
async fn ask(context: &Context, request: LettersRequest) -> Result<Value> {
    let route = control::Route::Letters(request.clone());
    if let Some(answer) = control::request(&context.paths.data, &route, Duration::ZERO).await {
        return answer;
    }
    match context.journal()? {
        Some(journal) => answer(&journal, &request),
        None => answer(&NoJournal, &request),
    }
}

/// Every letter of a connection, or of all.
async fn all(context: &Context, connection: Option<String>) -> Result<Vec<Value>> {
    let mut letters: Vec<Value> = Vec::new();
    loop {
        let after = letters.last().and_then(|letter| letter["id"].as_u64()).unwrap_or(0);
        let request = LettersRequest::List { connection: connection.clone(), after };
        let mut answer = ask(context, request).await?;
        match answer["dead_letters"].take() {
            Value::Array(page) if !page.is_empty() => letters.extend(page),
            _ => return Ok(letters),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(context: &Context, letters: &[Value]) {
    if context.printer.json {
        context.printer.value(&json!({ "dead_letters": letters }));
        return;
    }
    if letters.is_empty() {
        context.printer.text("no dead letters");
        return;
    }
    let mut rows = vec![
        ["id", "connection", "received", "bytes", "cause", "attempts", "reason"].map(str::to_owned).to_vec(),
    ];
    for letter in letters {
        rows.push(vec![
            text(&letter["id"]),
            text(&letter["connection"]),
            text(&letter["received_at"]),
            thousands(letter["bytes"].as_u64().unwrap_or(0)),
            text(&letter["cause"]),
            text(&letter["attempts"]),
            text(&letter["reason"]),
        ]);
    }
    context.printer.text(&columns(&rows, &[0, 3, 5]));
}

fn show(context: &Context, letter: &Value) {
    if context.printer.json {
        context.printer.value(letter);
        return;
    }
    let of = |member: &str| text(&letter[member]);
    let mut shown = format!(
        "dead letter {} of {}\n{}: {}\n{}: {}\n",
        of("id"),
        of("connection"),
        of("cause"),
        of("explanation"),
        of("kind"),
        of("reason")
    );
    if let Some(hint) = letter["hint"].as_str() {
        shown.push_str(&format!("hint: {hint}\n"));
    }
    shown.push_str(&format!(
        "received {}, first failed {}, became a dead letter {} after {} attempts\n",
        of("received_at"),
        of("first_failed_at"),
        of("dead_at"),
        of("attempts")
    ));
    if let Some(corrupt) = letter["corrupt"].as_str() {
        shown.push_str(&format!("damaged on disk: {corrupt}\n"));
    }
    shown.push_str(&format!("\n{} {}\n", of("method"), of("path")));
    for header in letter["headers"].as_array().into_iter().flatten() {
        shown.push_str(&format!("{}: {}\n", text(&header[0]), text(&header[1])));
    }
    shown.push_str(&format!("\n{}\n", of("body")));
    context.printer.text(&shown);
}

/// Changes the records of a connection that no process runs; 0 without a journal.
fn of_unused(context: &Context, name: &str, change: impl FnOnce(&Journal) -> Result<usize>) -> Result<usize> {
    let Some(journal) = context.journal()? else { return Ok(0) };
    let _unused = unused(context, name)?;
    change(&journal)
}

/// The lock of a connection that no process may run meanwhile; none if it has no folder.
fn unused(context: &Context, name: &str) -> Result<Option<LockedStore>> {
    if !is_name(name) || !context.paths.connection(name).is_dir() {
        return Ok(None);
    }
    ConnectionStore::open(&context.paths, name)?.lock().map(Some)
}

fn counted(context: &Context, records: usize) {
    if context.printer.json {
        context.printer.value(&json!({ "records": records }));
    } else {
        context.printer.text(&format!("records: {records}"));
    }
}

fn done(context: &Context, what: &str, answer: &Value) {
    if context.printer.json {
        context.printer.value(answer);
    } else {
        context.printer.text(&format!("{what}: {}", answer[what].as_array().map_or(0, Vec::len)));
    }
}
