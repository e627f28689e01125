//! The truth as an ideal connector should hold it: one line of JSON per row.
//!
//! `{"id":"…","deleted":false,"row":{…}}`; of deleted rows, and of those that a connector may never
//! have seen because they were deleted before, `row` is null.

use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

use crate::shared::Shared;
use crate::world::World;
use crate::world::table::{Document, Life, project};
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::{TicketField, list_with_included, truth_of_detail};

/// Records per piece; the world is locked for one piece at a time.
const PIECE: usize = 256;

/// The tables there is a truth of.
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

/// Which truth is wanted.
#[derive(Clone, Debug, Default)]
pub struct TruthQuery {
    /// Of tickets: detail documents with what only lists have, instead of list rows.
    pub detail: bool,
    /// Keys that are left out of every row, for example those that embed other records.
    pub omit: Vec<String>,
}

/// Makes the lines of a table, piece by piece; none for an unknown table.
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
            for at in next..length.min(next + PIECE) {
                append(&world, table, at, &fields, &query.omit, &mut out);
            }
            next += PIECE;
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
        "ticket_conversations" => append_talks(world, &world.tickets.rows[at], omit, out),
        "organization_fields" => {
            let field = &world.fields.all()[at];
            let mut row = field.document();
            row.insert("module".to_owned(), field.module.into());
            line(out, field.id, Some(row), omit);
        }
        name => {
            let Some(table) = world.table(name) else { return };
            let row = &table.rows[at];
            let document = (row.life == Life::Live).then(|| {
                if name != "departments" {
                    return world.detail(table, row);
                }
                let mut bytes = Vec::new();
                project(&mut bytes, &row.document, table.module.list);
                serde_json::from_slice(&bytes).unwrap_or_default()
            });
            line(out, row.id, document, omit);
        }
    }
}

fn append_ticket(world: &World, ticket: &Ticket, fields: &[TicketField], omit: &[String], out: &mut Vec<u8>) {
    let id = ticket.id(world.seed);
    if ticket.life != Life::Live {
        return line(out, id, None, omit);
    }
    if !omit.is_empty() {
        return line(out, id, Some(world.ticket_document(ticket, fields)), omit);
    }
    out.extend_from_slice(format!("{{\"id\":\"{id}\",\"deleted\":false,\"row\":").as_bytes());
    world.ticket(out, ticket, fields);
    out.extend_from_slice(b"}\n");
}

fn append_talks(world: &World, ticket: &Ticket, omit: &[String], out: &mut Vec<u8>) {
    if ticket.is_archived {
        return;
    }
    for item in ticket.conversations(&world.draw) {
        let is_live = ticket.life == Life::Live;
        let row = is_live.then(|| world.conversation_truth(ticket, &item));
        line(out, item.id, row, omit);
    }
    let removed = ticket.extra.as_ref().map(|extra| extra.removed_talks.as_slice());
    for id in removed.unwrap_or_default() {
        line(out, *id, None, omit);
    }
}

fn line(out: &mut Vec<u8>, id: u64, row: Option<Document>, omit: &[String]) {
    let row = row.map_or(Value::Null, |mut row| {
        omit.iter().for_each(|key| {
            row.remove(key);
        });
        Value::Object(row)
    });
    let line = format!("{{\"id\":\"{id}\",\"deleted\":{},\"row\":{row}}}\n", row.is_null());
    out.extend_from_slice(line.as_bytes());
}
