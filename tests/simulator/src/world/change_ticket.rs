//! Creating and updating tickets, with the checks that the service makes.

use serde_json::{Value, json};

use crate::time::parse_iso;
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::World;
use crate::world::change::{Event, Refused, Stamp};
use crate::world::conversation::{Author, Conversation, Sort, conversation_id};
use crate::world::customers::account_of;
use crate::world::table::{Document, Life, Table};
use crate::world::ticket::{NEVER, NONE, Ticket};
use crate::world::ticket_fields::{TicketField, payload};

/// Texts that an update may set.
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

impl World {
    /// A ticket as webhooks show it.
    pub(crate) fn ticket_payload(&self, ticket: &Ticket) -> Document {
        self.ticket_document(ticket, &payload())
    }

    /// Alters a ticket and forgets what was worked out from it.
    pub(crate) fn edit_ticket(
        &mut self,
        at: usize,
        stamp: Stamp,
        moves_modified_time: bool,
        edit: impl FnOnce(&mut Ticket),
    ) {
        let before = self.tickets.rows[at].clone();
        self.tickets.pending.keep(stamp.now, stamp.lag_ms, at, Some(before));
        let ticket = &mut self.tickets.rows[at];
        edit(ticket);
        if moves_modified_time {
            ticket.modified = ticket.modified.max(stamp.cut);
        }
        self.tickets.forget(at);
    }

    /// Creates a ticket from the keys of `POST /tickets`; gives its position.
    pub(crate) fn create_ticket(
        &mut self,
        values: &Document,
        stamp: Stamp,
    ) -> Result<(usize, Vec<Event>), Refused> {
        let index = self.tickets.rows.len() as u32;
        let contact = match values.get("contactId") {
            Some(id) => reference(&self.contacts, "contactId", id)?,
            None => index % self.draw.contacts,
        };
        let mut ticket = Ticket {
            index,
            department: 0,
            contact,
            account: account_of(self.seed, contact, self.draw.accounts).unwrap_or(NONE),
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
            created: stamp.cut,
            modified: stamp.cut,
            due: NEVER,
            response_due: NEVER,
            responded: stamp.cut,
            closed: NEVER,
            on_hold: NEVER,
            last_thread_at: NEVER,
            life: Life::Live,
            extra: None,
        };
        ticket.extra_mut().is_new = true;
        self.set_ticket(&mut ticket, values, stamp)?;
        let content = values.get("description").and_then(Value::as_str).unwrap_or("<div><br></div>");
        let first = Conversation {
            id: conversation_id(self.seed, index, 0, false),
            sort: Sort::Thread { incoming: true },
            author: Author::Contact(contact),
            at: stamp.cut,
            modified: None,
            first: true,
            content: Some(content.to_owned()),
        };
        let talks = vec![first];
        ticket.recount(&talks);
        ticket.extra_mut().conversations = Some(talks.clone());
        let at = self.tickets.rows.len();
        self.tickets.pending.keep(stamp.now, stamp.lag_ms, at, None);
        self.tickets.push(ticket);
        let ticket = &self.tickets.rows[at];
        let mut payload = self.ticket_payload(ticket);
        let mut thread = self.thread_detail(ticket, &talks[0]);
        for absent in ["to", "cc", "bcc", "fromEmailAddress", "replyTo"] {
            thread.remove(absent);
        }
        thread.insert("ticketId".to_owned(), json!(ticket.id(self.seed).to_string()));
        payload.insert("firstThread".to_owned(), Value::Object(thread));
        Ok((at, vec![Event::new("Ticket_Add".to_owned(), payload, stamp.now)]))
    }

    /// Updates a ticket with the keys of `PATCH /tickets/{id}`.
    pub(crate) fn update_ticket(
        &mut self,
        id: &str,
        values: &Document,
        stamp: Stamp,
    ) -> Result<Vec<Event>, Refused> {
        let at = self.tickets.position(id).ok_or(Refused::Missing)?;
        let mut ticket = self.tickets.rows[at].clone();
        if ticket.life != Life::Live {
            return Err(Refused::Missing);
        }
        let before = self.ticket_payload(&ticket);
        self.set_ticket(&mut ticket, values, stamp)?;
        self.edit_ticket(at, stamp, true, |kept| *kept = ticket);
        let after = self.ticket_payload(&self.tickets.rows[at]);
        Ok(vec![Event::new("Ticket_Update".to_owned(), after, stamp.now).since(before)])
    }

    fn set_ticket(&self, ticket: &mut Ticket, values: &Document, stamp: Stamp) -> Result<(), Refused> {
        // The department comes first, because a status belongs to one.
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
    ) -> Result<(), Refused> {
        let invalid = || Refused::Invalid(key.to_owned());
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
                ticket.closed = if kind == "Closed" { stamp.cut } else { NEVER };
                ticket.on_hold = if kind == "On Hold" { stamp.cut } else { NEVER };
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

    /// Custom field values as records show them: text or null. Refuses names that do not exist.
    pub(crate) fn checked_custom_fields(&self, module: &str, cf: &Document) -> Result<Document, Refused> {
        let mut checked = Document::new();
        for (name, value) in cf {
            if self.fields.custom(module).all(|field| field.api_name != *name) {
                return Err(Refused::Invalid(format!("cf/{name}")));
            }
            let value = match value {
                Value::Null | Value::String(_) => value.clone(),
                Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
                Value::Array(_) | Value::Object(_) => {
                    return Err(Refused::Invalid(format!("cf/{name}")));
                }
            };
            checked.insert(name.clone(), value);
        }
        Ok(checked)
    }

    /// The text of a field as searches see it.
    pub(crate) fn ticket_search_text(&self, ticket: &Ticket, field: TicketField) -> Option<String> {
        match ticket.extra.as_ref().and_then(|extra| extra.values.get(field.name())) {
            Some(value) => value.as_str().map(str::to_owned),
            None => self.generated_text(ticket, field),
        }
    }
}

fn reference(table: &Table, key: &str, value: &Value) -> Result<u32, Refused> {
    let id = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let found = table.find(&id).and_then(|_| table.position(&id));
    found.map(|at| at as u32).ok_or_else(|| Refused::Invalid(key.to_owned()))
}
