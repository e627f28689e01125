//! The vocabulary of changes: their time, their errors, the webhook events they cause, and the
//! transitions that all modules share (into the recycle bin, out of it, permanent deletion).

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::settings::Settings;
use crate::world::World;
use crate::world::table::{Lifecycle, Object, Record};

/// The time of a change, and the settings that changes depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) now: i64,
    /// `now` in the resolution of record times.
    pub(crate) record_time: i64,
    pub(crate) search_lag_ms: u64,
    /// What a new thread does to its ticket's `modifiedTime`.
    pub(crate) after_thread: ModifiedTime,
    /// What a new, changed or deleted comment does to its ticket's `modifiedTime`.
    pub(crate) after_comment: ModifiedTime,
}

/// What a change does to the `modifiedTime` of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModifiedTime {
    Update,
    Keep,
}

impl ModifiedTime {
    fn update_if(condition: bool) -> ModifiedTime {
        if condition { ModifiedTime::Update } else { ModifiedTime::Keep }
    }
}

impl Stamp {
    /// A change that happens now.
    pub(crate) fn new(clock: &Clock, settings: &Settings) -> Stamp {
        let now = clock.now_ms();
        Stamp {
            now,
            record_time: now - now % i64::from(settings.time_resolution_ms.max(1)),
            search_lag_ms: settings.search_lag_ms,
            after_thread: ModifiedTime::update_if(settings.thread_moves_modified_time),
            after_comment: ModifiedTime::update_if(settings.comment_moves_modified_time),
        }
    }
}

/// Why a change was rejected. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// There is no such record, or its lifecycle does not allow the change.
    NotFound,
    /// The value under this key is invalid.
    Invalid(String),
}

/// A webhook event that a change caused.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `eventType`, for example `Ticket_Update`.
    pub(crate) kind: String,
    pub(crate) payload: Value,
    /// `prevState`: the payload before the change.
    pub(crate) previous: Option<Value>,
    /// For deletions: the complete record, which the payload lacks.
    pub(crate) record: Option<Value>,
    pub(crate) department: Option<String>,
    /// The keys that changed.
    pub(crate) fields: Vec<String>,
    /// `in` or `out` for a thread.
    pub(crate) direction: Option<&'static str>,
    pub(crate) at: i64,
}

impl Event {
    /// An event whose payload is a record.
    pub(crate) fn new(kind: String, payload: Object, at: i64) -> Event {
        let department = payload.get("departmentId").and_then(Value::as_str).map(str::to_owned);
        let (previous, record, fields, direction) = (None, None, Vec::new(), None);
        Event { kind, payload: Value::Object(payload), previous, record, department, fields, direction, at }
    }

    /// Adds the previous state, and the keys in which it differs.
    pub(crate) fn since(mut self, before: Object) -> Event {
        if let Value::Object(after) = &self.payload {
            let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
            self.fields = changed.map(|(key, _)| key.clone()).collect();
        }
        self.previous = Some(Value::Object(before));
        self
    }

    /// A deletion: its payload holds the id alone.
    fn deletion(module: &str, record: Object, at: i64) -> Event {
        let mut event = Event::new(format!("{module}_Delete"), record, at);
        let id = event.payload.get("id").cloned();
        event.record = Some(std::mem::replace(&mut event.payload, json!({"id": id})));
        event
    }
}

/// A transition of a record's lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    Trash,
    Restore,
    Purge,
}

impl World {
    /// Moves a record into the recycle bin or out of it, or deletes it permanently. Fails when the record's
    /// lifecycle does not allow it.
    pub(crate) fn transition(
        &mut self,
        table: &str,
        id: &str,
        to: Transition,
        stamp: Stamp,
    ) -> Result<Vec<Event>, ChangeError> {
        let by = self.agents.rows[0].id;
        let before = self.payload(table, id).ok_or(ChangeError::NotFound)?;
        let (lifecycle, module) = self.lifecycle(table, id).ok_or(ChangeError::NotFound)?;
        // Records of other modules are deleted for good.
        let has_bin = self.table(table).is_none_or(|table| table.module.trash_key.is_some());
        if !has_bin && to != Transition::Purge {
            return Err(ChangeError::NotFound);
        }
        let next = match (to, &lifecycle) {
            (Transition::Trash, Lifecycle::Live) => Lifecycle::Trashed { at: stamp.record_time, by },
            (Transition::Restore, Lifecycle::Trashed { .. }) => Lifecycle::Live,
            (Transition::Purge, Lifecycle::Live | Lifecycle::Trashed { .. }) => Lifecycle::Purged,
            _ => return Err(ChangeError::NotFound),
        };
        self.set_lifecycle(table, id, next, stamp);
        let Some(module) = module else { return Ok(Vec::new()) };
        let after = self.payload(table, id);
        Ok(match (to, lifecycle) {
            (Transition::Trash, _) => vec![Event::deletion(module, after.unwrap_or(before), stamp.now)],
            (Transition::Purge, Lifecycle::Live) => vec![Event::deletion(module, before, stamp.now)],
            (Transition::Restore, _) => {
                let after = after.unwrap_or_default();
                vec![Event::new(format!("{module}_Update"), after, stamp.now).since(before)]
            }
            (Transition::Purge, _) => Vec::new(),
        })
    }

    /// A record as webhook payloads show it; none when it was purged or never existed.
    fn payload(&self, table: &str, id: &str) -> Option<Object> {
        if table == "tickets" {
            return self.tickets.find(id).map(|ticket| self.ticket_payload(ticket));
        }
        let table = self.table(table)?;
        table.find(id).map(|row| self.detail(table, row))
    }

    /// A record's lifecycle and the first part of its event types.
    fn lifecycle(&self, table: &str, id: &str) -> Option<(Lifecycle, Option<&'static str>)> {
        if table == "tickets" {
            let ticket = self.tickets.find(id)?;
            return Some((ticket.lifecycle.clone(), self.tickets.module.event));
        }
        let table = self.table(table)?;
        table.find(id).map(|row| (row.lifecycle().clone(), table.module.event))
    }

    fn set_lifecycle(&mut self, table: &str, id: &str, lifecycle: Lifecycle, stamp: Stamp) {
        let modified = ModifiedTime::update_if(lifecycle == Lifecycle::Live);
        if table == "tickets" {
            if let Some(at) = self.tickets.position(id) {
                self.edit_ticket(at, stamp, modified, |ticket| ticket.lifecycle = lifecycle);
            }
            return;
        }
        let Some(at) = self.table(table).and_then(|table| table.position(id)) else { return };
        self.edit_row(table, at, stamp, modified, |row| row.lifecycle = lifecycle);
    }
}
