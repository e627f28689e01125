//! The truth: the rows that a perfect connector holds, one line of JSON each.
//!
//! `{"id":"…","deleted":false,"row":{…}}`. `row` is null for deleted rows, also for those that were deleted
//! before a connector could read them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::shared::Shared;
use crate::world::World;
use crate::world::table::{Object, Record, project};
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::{TicketField, list_with_included, truth_of_detail};

/// Records per chunk. The world is locked while one chunk is rendered.
const CHUNK_ROWS: usize = 256;

/// The tables that have a truth.
pub(crate) const TABLES: &[&str] = &[
    "tickets",
    "departments",
    "products",
    "contracts",
    "organization_fields",
    "contacts",
    "accounts",
    "ticket_conversations",
];

/// The form of the rows.
#[derive(Clone, Debug, Default)]
pub struct TruthQuery {
    /// For tickets: details with the keys that only list rows have, in place of list rows.
    pub detail: bool,
    /// Keys that are left out of every row, for example those that embed other records.
    pub omit: Vec<String>,
}

/// Renders the lines of a table, one chunk per call; none for an unknown table.
pub(crate) fn lines(
    shared: Arc<Shared>,
    table: &str,
    query: TruthQuery,
) -> Option<impl FnMut() -> Option<Bytes> + Send + use<>> {
    let table = TABLES.iter().find(|known| **known == table)?;
    let fields = if query.detail { truth_of_detail() } else { list_with_included() };
    let mut next = 0;
    Some(move || {
        let world = shared.world();
        let length = length(&world, table);
        let mut out = Vec::new();
        while next < length && out.is_empty() {
            for at in next..length.min(next + CHUNK_ROWS) {
                append(&world, table, at, &fields, &query.omit, &mut out);
            }
            next += CHUNK_ROWS;
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    })
}

fn length(world: &World, table: &str) -> usize {
    match table {
        "tickets" | "ticket_conversations" => world.tickets.rows.len(),
        "organization_fields" => world.fields.all().len(),
        name => world.table(name).map_or(0, |table| table.rows.len()),
    }
}

fn append(world: &World, table: &str, at: usize, fields: &[TicketField], omit: &[String], out: &mut Vec<u8>) {
    match table {
        "tickets" => {
            let ticket = &world.tickets.rows[at];
            if !ticket.is_archived {
                append_ticket(world, ticket, fields, omit, out);
            }
        }
        "ticket_conversations" => append_conversations(world, &world.tickets.rows[at], omit, out),
        "organization_fields" => {
            let field = &world.fields.all()[at];
            let mut row = field.to_json();
            row.insert("module".to_owned(), field.module.into());
            line(out, field.id, Some(row), omit);
        }
        name => {
            let Some(table) = world.table(name) else { return };
            let row = &table.rows[at];
            let document = row.is_live().then(|| {
                if name != "departments" {
                    return world.detail(table, row);
                }
                let mut bytes = Vec::new();
                project(&mut bytes, &row.values, table.module.list);
                serde_json::from_slice(&bytes).unwrap_or_default()
            });
            line(out, row.id, document, omit);
        }
    }
}

fn append_ticket(world: &World, ticket: &Ticket, fields: &[TicketField], omit: &[String], out: &mut Vec<u8>) {
    let id = ticket.id(world.seed);
    if !ticket.is_live() {
        return line(out, id, None, omit);
    }
    if !omit.is_empty() {
        return line(out, id, Some(world.ticket_object(ticket, fields)), omit);
    }
    out.extend_from_slice(format!("{{\"id\":\"{id}\",\"deleted\":false,\"row\":").as_bytes());
    world.ticket(out, ticket, fields);
    out.extend_from_slice(b"}\n");
}

fn append_conversations(world: &World, ticket: &Ticket, omit: &[String], out: &mut Vec<u8>) {
    if ticket.is_archived {
        return;
    }
    for item in ticket.conversations(&world.population) {
        let is_live = ticket.is_live();
        let row = is_live.then(|| world.conversation_truth(ticket, &item));
        line(out, item.id, row, omit);
    }
    let deleted = ticket.extra.as_ref().map(|extra| extra.deleted_conversations.as_slice());
    for id in deleted.unwrap_or_default() {
        line(out, *id, None, omit);
    }
}

fn line(out: &mut Vec<u8>, id: u64, row: Option<Object>, omit: &[String]) {
    let row = row.map_or(Value::Null, |mut row| {
        omit.iter().for_each(|key| {
            row.remove(key);
        });
        Value::Object(row)
    });
    let line = format!("{{\"id\":\"{id}\",\"deleted\":{},\"row\":{row}}}\n", row.is_null());
    out.extend_from_slice(line.as_bytes());
}
