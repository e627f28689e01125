//! What a change is made with, what it gives, and the moves that all modules share: into the
//! recycle bin, back, and away for ever.

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::settings::Settings;
use crate::world::World;
use crate::world::table::{Document, Life};

/// The moment of a change, and what the settings say about changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Exactly now.
    pub(crate) now: i64,
    /// Now as records show it.
    pub(crate) cut: i64,
    pub(crate) lag_ms: u64,
    pub(crate) thread_moves: bool,
    pub(crate) comment_moves: bool,
}

impl Stamp {
    /// A change that happens now.
    pub(crate) fn new(clock: &Clock, settings: &Settings) -> Stamp {
        let now = clock.now_ms();
        Stamp {
            now,
            cut: now - now % i64::from(settings.time_resolution_ms.max(1)),
            lag_ms: settings.search_lag_ms,
            thread_moves: settings.thread_moves_modified_time,
            comment_moves: settings.comment_moves_modified_time,
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such record.
    Missing,
    /// A value under this key cannot be used.
    Invalid(String),
}

/// What webhooks tell about a change.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// For example `Ticket_Update`.
    pub(crate) kind: String,
    pub(crate) payload: Value,
    pub(crate) previous: Option<Value>,
    /// For deletions: the whole record as it lies in the bin.
    pub(crate) record: Option<Value>,
    pub(crate) department: Option<String>,
    /// The keys that changed.
    pub(crate) fields: Vec<String>,
    /// Of a thread: `in` or `out`.
    pub(crate) direction: Option<&'static str>,
    pub(crate) at: i64,
}

impl Event {
    /// An event about a record in a state.
    pub(crate) fn new(kind: String, payload: Document, at: i64) -> Event {
        let department = payload.get("departmentId").and_then(Value::as_str).map(str::to_owned);
        let (previous, record, fields, direction) = (None, None, Vec::new(), None);
        Event { kind, payload: Value::Object(payload), previous, record, department, fields, direction, at }
    }

    /// The same with the state before.
    pub(crate) fn since(mut self, before: Document) -> Event {
        if let Value::Object(after) = &self.payload {
            let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
            self.fields = changed.map(|(key, _)| key.clone()).collect();
        }
        self.previous = Some(Value::Object(before));
        self
    }

    /// A deletion: only the id is told.
    fn deletion(word: &str, record: Document, at: i64) -> Event {
        let mut event = Event::new(format!("{word}_Delete"), record, at);
        let id = event.payload.get("id").cloned();
        event.record = Some(std::mem::replace(&mut event.payload, json!({"id": id})));
        event
    }
}

/// A move of a record between the lists, the bin and nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Trash,
    Restore,
    Purge,
}

impl World {
    /// Moves a record. Refused when the move makes no sense from where the record is.
    pub(crate) fn relocate(
        &mut self,
        table: &str,
        id: &str,
        to: Move,
        stamp: Stamp,
    ) -> Result<Vec<Event>, Refused> {
        let by = self.agents.rows[0].id;
        let before = self.state(table, id).ok_or(Refused::Missing)?;
        let (life, word) = self.life(table, id).ok_or(Refused::Missing)?;
        let next = match (to, &life) {
            (Move::Trash, Life::Live) => Life::Trashed { at: stamp.cut, by },
            (Move::Restore, Life::Trashed { .. }) => Life::Live,
            (Move::Purge, Life::Live | Life::Trashed { .. }) => Life::Purged,
            _ => return Err(Refused::Missing),
        };
        self.set_life(table, id, next, stamp);
        let Some(word) = word else { return Ok(Vec::new()) };
        let after = self.state(table, id);
        Ok(match (to, life) {
            (Move::Trash, _) => vec![Event::deletion(word, after.unwrap_or(before), stamp.now)],
            (Move::Purge, Life::Live) => vec![Event::deletion(word, before, stamp.now)],
            (Move::Restore, _) => {
                let after = after.unwrap_or_default();
                vec![Event::new(format!("{word}_Update"), after, stamp.now).since(before)]
            }
            (Move::Purge, _) => Vec::new(),
        })
    }

    /// A record as webhooks show it; none when it was purged or never was.
    fn state(&self, table: &str, id: &str) -> Option<Document> {
        if table == "tickets" {
            return self.tickets.find(id).map(|ticket| self.ticket_payload(ticket));
        }
        let table = self.table(table)?;
        table.find(id).map(|row| self.detail(table, row))
    }

    /// A record's life and the word its events begin with.
    fn life(&self, table: &str, id: &str) -> Option<(Life, Option<&'static str>)> {
        if table == "tickets" {
            return self.tickets.find(id).map(|ticket| (ticket.life.clone(), Some("Ticket")));
        }
        let table = self.table(table)?;
        table.module.trash_key?;
        table.find(id).map(|row| (row.life.clone(), table.module.event))
    }

    fn set_life(&mut self, table: &str, id: &str, life: Life, stamp: Stamp) {
        let restored = life == Life::Live;
        if table == "tickets" {
            if let Some(at) = self.tickets.position(id) {
                self.edit_ticket(at, stamp, restored, |ticket| ticket.life = life);
            }
            return;
        }
        let Some(at) = self.table(table).and_then(|table| table.position(id)) else { return };
        self.edit_row(table, at, stamp, restored, |row| row.life = life);
    }
}
