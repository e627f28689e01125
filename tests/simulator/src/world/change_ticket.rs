//! Creates and updates tickets, with the checks of `POST /tickets` and `PATCH /tickets/{id}`.

use serde_json::Value;

use crate::time::parse_iso;
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::World;
use crate::world::change::{ChangeError, Event, ModifiedTime, Stamp};
use crate::world::conversation::{Author, Conversation, ConversationKind, conversation_id};
use crate::world::customers::account_of;
use crate::world::table::{Lifecycle, Object, Record, Table};
use crate::world::ticket::{NEVER, NONE, Ticket};
use crate::world::ticket_fields::payload;

/// The text fields that a request can set.
const TEXTS: &[&str] = &[
    "subject",
    "description",
    "resolution",
    "email",
    "phone",
    "category",
    "subCategory",
    "classification",
    "language",
    "sentiment",
];

/// The content of the first thread of a ticket that was created without a description.
const EMPTY_DESCRIPTION: &str = "<div><br></div>";

impl World {
    /// A ticket as webhook payloads show it.
    pub(crate) fn ticket_payload(&self, ticket: &Ticket) -> Object {
        self.ticket_object(ticket, &payload())
    }

    /// Modifies a ticket.
    pub(crate) fn edit_ticket(
        &mut self,
        at: usize,
        stamp: Stamp,
        modified: ModifiedTime,
        edit: impl FnOnce(&mut Ticket),
    ) {
        self.tickets.edit(at, stamp, |ticket| {
            edit(ticket);
            if modified == ModifiedTime::Update {
                ticket.modified = ticket.modified.max(stamp.record_time);
                let at = ticket.modified;
                ticket.extra_mut().updated_at.push(at);
            }
        });
    }

    /// Creates a ticket with one incoming thread and gives its position. The event contains the thread.
    pub(crate) fn create_ticket(
        &mut self,
        values: &Object,
        stamp: Stamp,
    ) -> Result<(usize, Vec<Event>), ChangeError> {
        let index = self.tickets.rows.len() as u32;
        let contact = match values.get("contactId") {
            Some(id) => reference(&self.contacts, "contactId", id)?,
            None => index % self.population.contacts,
        };
        let mut ticket = self.empty_ticket(index, contact, stamp);
        self.set_ticket(&mut ticket, values, stamp)?;
        let content = values.get("description").and_then(Value::as_str).unwrap_or(EMPTY_DESCRIPTION);
        let kind = ConversationKind::Thread { incoming: true };
        let first = Conversation {
            id: conversation_id(self.seed, index, 0, kind),
            kind,
            author: Author::Contact(contact),
            at: stamp.record_time,
            modified: None,
            first: true,
            content: Some(content.into()),
            number: 0,
        };
        ticket.recount(std::slice::from_ref(&first));
        ticket.extra_mut().conversations = Some(vec![first.clone()]);
        let at = self.tickets.insert(ticket, stamp);
        let ticket = &self.tickets.rows[at];
        let mut payload = self.ticket_payload(ticket);
        let thread = self.conversation_payload(ticket, &first);
        payload.insert("firstThread".to_owned(), Value::Object(thread));
        Ok((at, vec![Event::new("Ticket_Add".to_owned(), payload, stamp.now)]))
    }

    fn empty_ticket(&self, index: u32, contact: u32, stamp: Stamp) -> Ticket {
        let mut ticket = Ticket {
            index,
            department: 0,
            contact,
            account: account_of(&self.population, contact).unwrap_or(NONE),
            product: NONE,
            assignee: NONE,
            team: NONE,
            creator: 0,
            modifier: 0,
            comments: 0,
            threads: 0,
            status: 0,
            channel: 1,
            priority: u8::MAX,
            is_read: false,
            is_archived: false,
            last_thread: None,
            created: stamp.record_time,
            modified: stamp.record_time,
            due: NEVER,
            response_due: NEVER,
            responded: stamp.record_time,
            closed: NEVER,
            on_hold: NEVER,
            last_thread_at: NEVER,
            lifecycle: Lifecycle::Live,
            extra: None,
        };
        ticket.extra_mut().is_new = true;
        ticket
    }

    /// Updates a ticket.
    pub(crate) fn update_ticket(
        &mut self,
        id: &str,
        values: &Object,
        stamp: Stamp,
    ) -> Result<Vec<Event>, ChangeError> {
        let at = self.tickets.position(id).ok_or(ChangeError::NotFound)?;
        let mut ticket = self.tickets.rows[at].clone();
        if !ticket.is_live() {
            return Err(ChangeError::NotFound);
        }
        let before = self.ticket_payload(&ticket);
        self.set_ticket(&mut ticket, values, stamp)?;
        self.edit_ticket(at, stamp, ModifiedTime::Update, |stored| *stored = ticket);
        let after = self.ticket_payload(&self.tickets.rows[at]);
        Ok(vec![Event::new("Ticket_Update".to_owned(), after, stamp.now).since(before)])
    }

    pub(crate) fn set_ticket(
        &self,
        ticket: &mut Ticket,
        values: &Object,
        stamp: Stamp,
    ) -> Result<(), ChangeError> {
        // The department is set first: the allowed statuses depend on it.
        if let Some(value) = values.get("departmentId") {
            let status = self.status(ticket).name.clone();
            ticket.department = reference(&self.departments, "departmentId", value)?;
            let known = self.statuses(ticket.department).iter().position(|s| s.name == status);
            ticket.status = known.unwrap_or(0) as u8;
        }
        for (key, value) in values {
            self.set_ticket_value(ticket, key, value, stamp)?;
        }
        Ok(())
    }

    fn set_ticket_value(
        &self,
        ticket: &mut Ticket,
        key: &str,
        value: &Value,
        stamp: Stamp,
    ) -> Result<(), ChangeError> {
        let invalid = || ChangeError::Invalid(key.to_owned());
        let optional = |table: &Table| match value {
            Value::Null => Ok(NONE),
            value => reference(table, key, value),
        };
        match key {
            "departmentId" => {}
            "contactId" => ticket.contact = reference(&self.contacts, key, value)?,
            "accountId" => ticket.account = optional(&self.accounts)?,
            "productId" => ticket.product = optional(&self.products)?,
            "assigneeId" => ticket.assignee = optional(&self.agents)?,
            "teamId" => ticket.team = optional(&self.teams)?,
            "status" => {
                let statuses = self.statuses(ticket.department);
                let known = statuses.iter().position(|s| value == s.name.as_str());
                ticket.status = known.ok_or_else(invalid)? as u8;
                let kind = self.status(ticket).kind;
                ticket.closed = if kind == "Closed" { stamp.record_time } else { NEVER };
                ticket.on_hold = if kind == "On Hold" { stamp.record_time } else { NEVER };
            }
            "priority" if value.is_null() => ticket.priority = u8::MAX,
            "priority" => {
                let known = PRIORITIES.iter().position(|name| value == *name);
                ticket.priority = known.ok_or_else(invalid)? as u8;
            }
            "channel" => {
                let known = CHANNELS.iter().position(|(name, _)| value == *name);
                ticket.channel = known.ok_or_else(invalid)? as u8;
            }
            "dueDate" | "responseDueDate" => {
                let at = match value {
                    Value::Null => NEVER,
                    value => value.as_str().and_then(parse_iso).ok_or_else(invalid)?,
                };
                *(if key == "dueDate" { &mut ticket.due } else { &mut ticket.response_due }) = at;
            }
            "isRead" => ticket.is_read = value.as_bool().ok_or_else(invalid)?,
            "cf" => {
                let cf = value.as_object().ok_or_else(invalid)?;
                let cf = self.checked_custom_fields("tickets", cf)?;
                ticket.extra_mut().cf.extend(cf);
            }
            _ if TEXTS.contains(&key) && (value.is_string() || value.is_null()) => {
                ticket.extra_mut().values.insert(key.to_owned(), value.clone());
            }
            _ => return Err(invalid()),
        }
        Ok(())
    }
}

fn reference(table: &Table, key: &str, value: &Value) -> Result<u32, ChangeError> {
    let id = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let found = table.find(&id).and_then(|_| table.position(&id));
    found.map(|at| at as u32).ok_or_else(|| ChangeError::Invalid(key.to_owned()))
}
