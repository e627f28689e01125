//! Parts of tickets other than threads and comments, and parts of teams, accounts and contacts: computed from
//! the record, never stored (reference, §4.1, §4.2, §4.6, §4.8 and appendix).

use serde_json::{Value, json};

use crate::ids::{self, Kind};
use crate::rng::{Rng, hash};
use crate::time::{DAY_MS, iso};
use crate::world::World;
use crate::world::table::{Object, Record, Row, Table, into_object};
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::TicketField;

/// The rows of a list below a ticket, as its URL names it.
pub(crate) fn rows(world: &World, ticket: &Ticket, list: &str) -> Vec<Object> {
    if let Some(rows) = ticket.extra.as_ref().and_then(|extra| extra.parts.get(list)) {
        return rows.clone();
    }
    let counter = match list {
        "tags" => TicketField::TagCount,
        "attachments" => TicketField::AttachmentCount,
        "timeEntry" => TicketField::TimeEntryCount,
        "approvals" => TicketField::ApprovalCount,
        "activities" => {
            let id = ticket.id(world.seed).to_string();
            let tables = ["tasks", "calls", "events"].into_iter().filter_map(|name| world.table(name));
            return tables.flat_map(|table| of_ticket(table, &id)).collect();
        }
        _ => return history(ticket, &agent(world, ticket)),
    };
    let count = world.count_of(ticket, counter) as u32;
    (0..count).map(|at| part(world, ticket, list, at)).collect()
}

/// A generated row of a list: of tags, attachments, time entries or approvals.
pub(crate) fn part(world: &World, ticket: &Ticket, list: &str, at: u32) -> Object {
    let seed = world.seed;
    let child = |kind: Kind| ids::id(seed, kind, u64::from(ticket.index * 4 + at)).to_string();
    let (agent, created) = (agent(world, ticket), iso(ticket.created));
    into_object(match list {
        "tags" => {
            let id = ids::id(seed, Kind::Tag, u64::from(at)).to_string();
            json!({"id": id, "name": format!("tag {at}"), "tagType": "USER"})
        }
        "attachments" => {
            let (id, of) = (child(Kind::Attachment), ticket.id(seed));
            json!({
                "id": id, "name": format!("file {at}.pdf"), "size": bytes_of(at).to_string(),
                "isPublic": true, "creatorId": agent, "createdTime": created, "previewurl": null,
                "href": format!("https://desk.zoho.com/api/v1/tickets/{of}/attachments/{id}/content"),
            })
        }
        "timeEntry" => json!({
            "id": child(Kind::TimeEntry), "ownerId": agent, "hoursSpent": "1", "minutesSpent": "5",
            "secondsSpent": "0", "executedTime": created, "createdTime": created, "isBillable": true,
            "isTrashed": "false", "mode": "MANUAL", "totalCost": "20.17", "invoiceId": null,
            "parent": {"id": ticket.id(seed).to_string(), "type": "TICKETS"}, "cf": {},
        }),
        _ => json!({
            "id": child(Kind::Approval), "subject": "May we?", "description": null,
            "status": "Pending",
            "approver": {"id": agent, "lastName": "A"}, "requester": {"id": agent, "lastName": "R"},
            "requestedTime": created, "processedTime": null,
        }),
    })
}

fn agent(world: &World, ticket: &Ticket) -> String {
    world.agents.rows[(ticket.index % world.population.agents) as usize].text("id").to_owned()
}

/// The size of a ticket's attachment by its place: some are empty, some larger than a piece of a client.
fn bytes_of(at: u32) -> usize {
    [2048, 0, (1 << 20) + 17][at as usize % 3]
}

/// The bytes of a ticket's attachment; none if it has no such attachment. The first one of every fifth ticket
/// is the same file.
pub(crate) fn attachment(world: &World, ticket: &Ticket, id: &str) -> Option<Vec<u8>> {
    let at = rows(world, ticket, "attachments").iter().position(|row| row["id"] == id)? as u32;
    let file = if at == 0 { ticket.index % 5 } else { ticket.index * 4 + at };
    let mut rng = Rng::new(world.seed, hash(b"attachment"), u64::from(file));
    let mut bytes = Vec::with_capacity(bytes_of(at) + 8);
    while bytes.len() < bytes_of(at) {
        bytes.extend_from_slice(&rng.next().to_le_bytes());
    }
    bytes.truncate(bytes_of(at));
    Some(bytes)
}

fn of_ticket(table: &Table, id: &str) -> Vec<Object> {
    let rows = table.rows.iter().filter(|row| row.is_live() && row.text("ticketId") == id);
    let keys = table.module.list.iter();
    let listed = |row: &Row| {
        keys.clone()
            .map(|key| ((*key).to_owned(), row.values.get(*key).cloned().unwrap_or(Value::Null)))
            .collect()
    };
    rows.map(listed).collect()
}

/// Newest first: updates that were made since the simulator started, the generated events, the creation.
fn history(ticket: &Ticket, agent: &str) -> Vec<Object> {
    let event = |name: &str, at: i64, number: u32| {
        let changed =
            json!([{"propertyName": "Status", "propertyValue": {"updatedValue": number.to_string()}}]);
        into_object(json!({
            "eventName": name, "eventTime": iso(at - at % 1000),
            "actor": {"id": agent, "name": "A", "type": "Agent"},
            "source": "Web", "eventInfo": changed,
        }))
    };
    let updates = ticket.extra.as_ref().map(|extra| extra.updated_at.as_slice()).unwrap_or_default();
    let newest = updates.iter().rev().map(|at| event("TicketUpdated", *at, 0));
    // Some tickets have more than a page of events.
    let generated = if ticket.index % 10 == 3 { 60 } else { ticket.index % 4 };
    let older = (1..=generated)
        .rev()
        .map(|number| event("TicketUpdated", ticket.created + i64::from(number) * DAY_MS / 100, number));
    newest.chain(older).chain([event("TicketCreated", ticket.created, 0)]).collect()
}

impl World {
    /// `GET /tickets/{id}/metrics`.
    pub(crate) fn metrics(&self, ticket: &Ticket) -> Object {
        into_object(json!({
            "firstResponseTime": "01:50 hrs", "totalResponseTime": "02:10 hrs", "resolutionTime": null,
            "responseCount": ticket.threads.to_string(), "outgoingCount": "1",
            "threadCount": ticket.threads.to_string(), "reopenCount": "0",
            "reassignCount": ticket.extra.as_ref().map_or(0, |extra| extra.updated_at.len()).to_string(),
            "agentsHandled": [], "stagingData": [],
        }))
    }

    /// The members of a team.
    pub(crate) fn members(&self, team: &Row) -> Vec<Object> {
        let ids = team.values.get("agents").and_then(Value::as_array).into_iter().flatten();
        let agents = ids.filter_map(|id| self.agents.find(id.as_str()?));
        let member = |agent: &Row| {
            let get = |key: &str| agent.values.get(key);
            into_object(json!({
                "id": get("id"), "name": get("name"), "firstName": get("firstName"),
                "lastName": get("lastName"), "email": get("emailId"), "photoURL": get("photoURL"),
            }))
        };
        agents.map(member).collect()
    }

    /// The service level agreements of an account: one or two of three.
    pub(crate) fn slas(&self, account: &Row) -> Vec<Object> {
        let first = account.id / 1000 % 3;
        let sla = |at: u64| {
            let id = ids::id(self.seed, Kind::Sla, at % 3).to_string();
            into_object(
                json!({"id": id, "slaName": format!("SLA {}", at % 3), "isActive": true, "department": null}),
            )
        };
        (first..=first + account.id % 2).map(sla).collect()
    }

    /// The accounts of a contact.
    pub(crate) fn accounts(&self, contact: &Row) -> Vec<Object> {
        let account = self.accounts.find(contact.text("accountId"));
        let row = |account: &Row| {
            let get = |key: &str| account.values.get(key);
            into_object(json!({
                "id": get("id"), "accountName": get("accountName"), "email": get("email"),
                "phone": get("phone"),
                "website": get("website"), "createdTime": get("createdTime"), "mappingType": "Primary",
            }))
        };
        account.map(row).into_iter().collect()
    }
}
