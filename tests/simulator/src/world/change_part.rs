//! Changes of attachments, time entries, approvals and tags of a ticket, with their events; tags have none
//! (reference, §6.3, §6.4).

use serde_json::json;

use super::change::{ChangeError, Event, ModifiedTime, Stamp};
use super::table::{Object, Record};
use super::{World, ticket_more};
use crate::ids::{self, Kind};

/// A change of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartChange<'a> {
    Add,
    Update(&'a str),
    Delete(&'a str),
}

/// The list's name in URLs, the prefix of its events, if it has any, and the kind of its ids.
const LISTS: [(&str, &str, Kind); 4] = [
    ("attachments", "Ticket_Attachment", Kind::Attachment),
    ("timeEntry", "TimeEntry", Kind::TimeEntry),
    ("approvals", "Ticket_Approval", Kind::Approval),
    ("tags", "", Kind::Tag),
];

/// Ids of added parts are greater than those of generated ones.
const FIRST_ADDED: u64 = 1 << 40;

impl World {
    /// Changes a part; `what` is the last word of the event. Gives the id of the part.
    pub(crate) fn change_part(
        &mut self,
        ticket: &str,
        list: &str,
        change: PartChange<'_>,
        (what, values): (&str, &Object),
        stamp: Stamp,
    ) -> Result<(String, Vec<Event>), ChangeError> {
        let invalid = || ChangeError::Invalid("list".to_owned());
        let (list, prefix, kind) = LISTS.into_iter().find(|(name, ..)| *name == list).ok_or_else(invalid)?;
        let at = self.tickets.position(ticket).ok_or(ChangeError::NotFound)?;
        let ticket = &self.tickets.rows[at];
        if !ticket.is_live() {
            return Err(ChangeError::NotFound);
        }
        let id = ticket.id(self.seed).to_string();
        let department = self.departments.rows.get(ticket.department as usize);
        let department = department.map(|row| row.text("id").to_owned());
        let mut rows = ticket_more::rows(self, ticket, list);
        let position = |rows: &[Object], id: &str| {
            rows.iter().position(|row| row["id"] == id).ok_or(ChangeError::NotFound)
        };
        let (record, before) = match change {
            PartChange::Add => {
                let added = ticket.extra.as_ref().map_or(0, |extra| extra.added_parts);
                let number = FIRST_ADDED + u64::from(ticket.index) * 1_000 + added;
                let mut row = ticket_more::part(self, ticket, list, 0);
                row.insert("id".to_owned(), ids::id(self.seed, kind, number).to_string().into());
                row.extend(values.clone());
                rows.push(row.clone());
                (row, None)
            }
            PartChange::Update(id) => {
                let at = position(&rows, id)?;
                let row = &mut rows[at];
                let before = row.clone();
                row.extend(values.clone());
                (row.clone(), Some(before))
            }
            PartChange::Delete(id) => {
                let at = position(&rows, id)?;
                (rows.remove(at), None)
            }
        };
        self.edit_ticket(at, stamp, ModifiedTime::Keep, |ticket| {
            let extra = ticket.extra_mut();
            extra.added_parts += u64::from(change == PartChange::Add);
            extra.parts.insert(list, rows);
        });
        let part = record["id"].as_str().unwrap_or_default().to_owned();
        if prefix.is_empty() {
            return Ok((part, Vec::new()));
        }
        // A time entry names its ticket in `parent`; the others as comments do.
        let with_ticket = |mut record: Object| {
            if list != "timeEntry" {
                record.insert("ticketId".to_owned(), json!(id));
            }
            record
        };
        let mut event = Event::new(format!("{prefix}_{what}"), with_ticket(record), stamp.now);
        if let Some(before) = before {
            event = event.since(with_ticket(before));
        }
        if matches!(change, PartChange::Delete(_)) {
            event.record = Some(event.payload.clone());
            event.payload = json!({"id": part});
        }
        event.department = department;
        Ok((part, vec![event]))
    }
}
