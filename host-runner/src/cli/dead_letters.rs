//! `dead-letters`: lists, shows, replays and drops deliveries that could not be applied.
//!
//! Works on the journal, which a server may have open at the same time.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::clock::rfc3339_ms;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::journal::{DeadLetter, DeadRecord, Journal, JournalLimits};
use crate::report::{columns, thousands};
use crate::state::{ConnectionStore, LockedStore};

pub(super) const HELP: &str = "\
Without -c, all connections of the data folder. A replayed delivery is appended to the queue; newer rows
stay.

Examples:
  host-runner dead-letters list -c acme.toml
  host-runner dead-letters show 17
  host-runner dead-letters replay 17 18
  host-runner dead-letters replay --all -c acme.toml      once the cause is fixed
  host-runner dead-letters drop 17
  host-runner dead-letters move acme -c acme-eu.toml      a connection that was renamed
  host-runner dead-letters clear acme                     a connection that was removed";

/// Letters read at a time.
const PAGE: usize = 1_000;

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

pub(super) fn run(command: &DeadLetters, context: &Context) -> Result<Exit> {
    let name = match context.connections.as_slice() {
        [] => None,
        _ => Some(context.connection()?.name),
    };
    context.paths.verify()?;
    let path = context.paths.journal();
    // Opening creates a journal; these commands must not.
    let journal = if path.exists() { Some(Journal::join(path, JournalLimits::default())?) } else { None };
    let Some(journal) = journal else {
        return match command {
            DeadLetters::List
            | DeadLetters::Replay(Which { all: true, .. })
            | DeadLetters::Drop(Which { all: true, .. }) => {
                list(context, &[]);
                Ok(Exit::Success)
            }
            DeadLetters::Show { id } => Err(unknown(*id)),
            DeadLetters::Replay(which) | DeadLetters::Drop(which) => {
                Err(unknown(which.ids.first().copied().unwrap_or(0)))
            }
            DeadLetters::Move(_) | DeadLetters::Clear(_) => {
                counted(context, 0);
                Ok(Exit::Success)
            }
        };
    };
    match command {
        DeadLetters::List => list(context, &all(&journal, name.as_deref())?),
        DeadLetters::Show { id } => {
            show(context, &journal.dead_letter(*id)?.ok_or_else(|| unknown(*id))?);
        }
        DeadLetters::Replay(which) => {
            let ids = selected(which, &journal, name.as_deref())?;
            // Each page is a transaction, so that a server does not wait for all of them.
            for page in ids.chunks(PAGE) {
                journal.replay(page)?;
            }
            done(context, "replayed", &ids);
        }
        DeadLetters::Drop(which) => {
            let ids = selected(which, &journal, name.as_deref())?;
            for page in ids.chunks(PAGE) {
                journal.drop_dead(page)?;
            }
            done(context, "dropped", &ids);
        }
        DeadLetters::Move(Former { name: from }) => {
            let to = context.connection()?.name;
            let _unused = unused(context, from)?;
            counted(context, if *from == to { 0 } else { journal.move_connection(from, &to)? });
        }
        DeadLetters::Clear(Former { name }) => {
            let _unused = unused(context, name)?;
            counted(context, journal.clear_connection(name)?);
        }
    }
    Ok(Exit::Success)
}

fn unknown(id: u64) -> Error {
    Error::new(Origin::Host, Kind::NotFound, format!("dead letter {id}: there is none with this number"))
        .hint("`dead-letters list` shows them")
}

/// Every letter of a connection, or of all.
fn all(journal: &Journal, name: Option<&str>) -> Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.id);
        let page = journal.dead_letters(name, after, PAGE)?;
        if page.is_empty() {
            return Ok(letters);
        }
        letters.extend(page);
    }
}

/// The selected numbers, each once; each must exist.
fn selected(which: &Which, journal: &Journal, name: Option<&str>) -> Result<Vec<u64>> {
    if which.all {
        return Ok(all(journal, name)?.into_iter().map(|letter| letter.id).collect());
    }
    let mut ids = Vec::new();
    for id in &which.ids {
        let found = journal.dead_letter(*id)?;
        let is_selected = found.is_some_and(|found| name.is_none_or(|name| found.letter.connection == name));
        if !is_selected {
            return Err(unknown(*id));
        }
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    Ok(ids)
}

fn letter_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "seq": letter.seq,
        "connection": letter.connection,
        "cause": letter.failure.cause.name(),
        "kind": letter.failure.kind,
        "code": letter.failure.code,
        "reason": letter.failure.reason,
        "hint": letter.failure.hint,
        "attempts": letter.failure.attempts,
        "first_failed_at": rfc3339_ms(letter.failure.first_failed_at_ms),
        "received_at": rfc3339_ms(letter.received_at_ms),
        "dead_at": rfc3339_ms(letter.dead_at_ms),
        "bytes": letter.bytes,
    })
}

fn list(context: &Context, letters: &[DeadLetter]) {
    if context.printer.json {
        let letters: Vec<Value> = letters.iter().map(letter_json).collect();
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
            letter.id.to_string(),
            letter.connection.clone(),
            rfc3339_ms(letter.received_at_ms).unwrap_or_default(),
            thousands(letter.bytes),
            letter.failure.cause.name().to_owned(),
            letter.failure.attempts.to_string(),
            letter.failure.reason.clone(),
        ]);
    }
    context.printer.text(&columns(&rows, &[0, 3, 5]));
}

fn show(context: &Context, record: &DeadRecord) {
    let DeadRecord { letter, delivery, corrupt } = record;
    let body = String::from_utf8_lossy(&delivery.body);
    let headers: Vec<(String, String)> = delivery
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    if context.printer.json {
        let mut value = letter_json(letter);
        value["method"] = json!(delivery.method);
        value["path"] = json!(delivery.path_with_query);
        value["headers"] = json!(headers);
        value["body"] = json!(body);
        value["corrupt"] = json!(corrupt);
        context.printer.value(&value);
        return;
    }
    let time = |ms| rfc3339_ms(ms).unwrap_or_default();
    let failure = &letter.failure;
    let mut text = format!(
        "dead letter {} of {}\n{}: {}\n{}: {}\n",
        letter.id,
        letter.connection,
        failure.cause.name(),
        failure.cause.explanation(),
        failure.kind,
        failure.reason
    );
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text.push_str(&format!(
        "received {}, first failed {}, became a dead letter {} after {} attempts\n",
        time(letter.received_at_ms),
        time(failure.first_failed_at_ms),
        time(letter.dead_at_ms),
        failure.attempts
    ));
    if let Some(corrupt) = corrupt {
        text.push_str(&format!("damaged on disk: {corrupt}\n"));
    }
    text.push_str(&format!("\n{} {}\n", delivery.method, delivery.path_with_query));
    for (name, value) in &headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&format!("\n{body}\n"));
    context.printer.text(&text);
}

/// The lock of a connection that no process may run meanwhile; none if it has no folder.
fn unused(context: &Context, name: &str) -> Result<Option<LockedStore>> {
    let is_name = Path::new(name).components().count() == 1;
    if !is_name || !context.paths.connection(name).is_dir() {
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

fn done(context: &Context, what: &str, ids: &[u64]) {
    if context.printer.json {
        context.printer.value(&json!({ what: ids }));
    } else {
        context.printer.text(&format!("{what}: {}", ids.len()));
    }
}
