//! The truth: the rows that a perfect connector holds, one line of JSON each.
//!
//! `{"id":"…","deleted":false,"row":{…}}`. `row` is null for deleted rows, also for those that were deleted
//! before a connector could read them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::api::{organizations, recycle_bin, views};
use crate::shared::Shared;
use crate::world::World;
use crate::world::more::CUSTOM_MODULES;
use crate::world::table::{Object, Record, Row, Table, into_object};
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::{self, TicketField, list_with_included, truth_of_detail};
use crate::world::ticket_more;

/// Records per chunk. The world is locked while one chunk is rendered.
const CHUNK_ROWS: usize = 256;

/// Tables whose rows are rendered a few at a time.
const TABLES: &[&str] = &[
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
) -> Option<Box<dyn FnMut() -> Option<Bytes> + Send>> {
    if let Some(rows) = more(&shared, table) {
        let mut out = Vec::new();
        rows.into_iter().for_each(|(id, row)| line(&mut out, id, row, &query.omit));
        let mut chunk = Some(Bytes::from(out)).filter(|out| !out.is_empty());
        return Some(Box::new(move || chunk.take()));
    }
    let table = TABLES.iter().find(|known| **known == table)?;
    let fields = if query.detail { truth_of_detail() } else { list_with_included() };
    let mut next = 0;
    Some(Box::new(move || {
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
    }))
}

/// Tables of one module each, whose rows are those of its list, with their names in URLs.
const LISTED: &[(&str, &str)] = &[
    ("agents", "agents"),
    ("teams", "teams"),
    ("roles", "roles"),
    ("profiles", "profiles"),
    ("channels", "channels"),
    ("skills", "skills"),
    ("support_plans", "supportPlans"),
    ("business_hours", "businessHours"),
    ("holiday_lists", "holidayList"),
    ("layout_rules", "layoutRules"),
    ("modules", "organizationModules"),
    ("kb_categories", "kbRootCategories"),
    ("kb_sections", "kbSections"),
    // A custom module, for a table that a test makes up.
    ("cm_assets", CUSTOM_MODULES[0]),
];

/// Tables whose rows are completed by their details.
const DETAILED: &[&str] = &["tasks", "calls", "events", "articles", "layouts"];

/// Tables of the parts of each ticket, with the last part of their URLs.
const OF_TICKETS: &[(&str, &str)] = &[
    ("ticket_history", "History"),
    ("ticket_tags", "tags"),
    ("ticket_attachments", "attachments"),
    ("ticket_time_entries", "timeEntry"),
    ("ticket_approvals", "approvals"),
    ("ticket_activities", "activities"),
    ("ticket_metrics", "metrics"),
];

/// Tables of which each has rows of another form.
const OTHERS: &[&str] = &[
    "team_members",
    "slas",
    "contact_account_mapping",
    "custom_records",
    "article_translations",
    "archived_tickets",
    "recycle_bin",
    "organizations",
    "views",
];

/// The names of all tables that have a truth.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let plain = [TABLES, DETAILED, OTHERS].into_iter().flatten().copied();
    plain.chain([LISTED, OF_TICKETS].into_iter().flatten().map(|(name, _)| *name))
}

/// The rows of a table that is not in [`TABLES`], by the values of their keys; none for an unknown table.
/// Rows have the members that the lists of a parent leave out: the parent's id, the module.
fn more(shared: &Shared, table: &str) -> Option<Vec<(String, Option<Object>)>> {
    let world = shared.world();
    let listed = |name: &str| LISTED.iter().find(|(known, _)| *known == name).map(|(_, url)| *url);
    if let Some(url) = listed(table) {
        let table = world.table(url)?;
        return Some(table.rows.iter().map(|row| listed_row(table, row)).collect());
    }
    if let Some(name) = DETAILED.iter().find(|name| **name == table) {
        let table = world.table(name)?;
        let row = |row: &Row| (row.id.to_string(), row.is_live().then(|| world.detail(table, row)));
        return Some(table.rows.iter().map(row).collect());
    }
    if let Some((_, url)) = OF_TICKETS.iter().find(|(known, _)| *known == table) {
        let tickets = world.tickets.rows.iter().filter(|ticket| ticket.is_live() && !ticket.is_archived);
        return Some(tickets.flat_map(|ticket| of_ticket(&world, ticket, url)).collect());
    }
    if !OTHERS.contains(&table) {
        return None;
    }
    let with = |key: &str, id: &str, rows: Vec<Object>| -> Vec<(String, Option<Object>)> {
        let row = |mut row: Object| {
            row.insert(key.to_owned(), id.into());
            (format!("{id}-{}", row["id"].as_str().unwrap_or_default()), Some(row))
        };
        rows.into_iter().map(row).collect()
    };
    let live = |name: &str| world.table(name).map(|table| table.rows.iter().filter(|row| row.is_live()));
    Some(match table {
        "team_members" => {
            live("teams")?.flat_map(|team| with("teamId", team.text("id"), world.members(team))).collect()
        }
        "slas" => live("accounts")?
            .flat_map(|account| with("accountId", account.text("id"), world.slas(account)))
            .collect(),
        "contact_account_mapping" => live("contacts")?
            .flat_map(|contact| with("contactId", contact.text("id"), world.accounts(contact)))
            .collect(),
        "custom_records" => CUSTOM_MODULES
            .iter()
            .flat_map(|name| {
                let rows = live(name).into_iter().flatten().map(|row| row.values.clone());
                with("module", name, rows.collect())
            })
            .collect(),
        "article_translations" => {
            let id = |row: Object| (row["translationId"].as_str().unwrap_or_default().to_owned(), Some(row));
            world.translations().into_iter().map(id).collect()
        }
        "archived_tickets" => {
            let archived = world.tickets.rows.iter().filter(|ticket| ticket.is_live() && ticket.is_archived);
            let row = |ticket: &Ticket| {
                (ticket.id(world.seed).to_string(), Some(world.ticket_object(ticket, &ticket_fields::list())))
            };
            archived.map(row).collect()
        }
        "recycle_bin" => by_id(recycle_bin::rows(&world)),
        "organizations" => by_id(vec![organizations::organization(&shared.options)]),
        "views" => {
            // Products have a view that no list shows.
            let modules = views::MODULES.iter().filter(|module| **module != "products");
            let view = |module: &&str| {
                let mut view = views::view(world.seed, module);
                view["module"] = (*module).into();
                view
            };
            by_id(modules.map(view).collect())
        }
        _ => return None,
    })
}

fn by_id(rows: Vec<Value>) -> Vec<(String, Option<Object>)> {
    let row = |row: Value| (row["id"].as_str().unwrap_or_default().to_owned(), Some(into_object(row)));
    rows.into_iter().map(row).collect()
}

fn listed_row(table: &Table, row: &Row) -> (String, Option<Object>) {
    let get = |key: &&str| ((*key).to_owned(), row.values.get(*key).cloned().unwrap_or(Value::Null));
    let id = match row.text("code") {
        "" => row.id.to_string(),
        code => code.to_owned(),
    };
    (id, row.is_live().then(|| table.module.list.iter().map(get).collect()))
}

/// The rows of one list below a ticket.
fn of_ticket(world: &World, ticket: &Ticket, url: &str) -> Vec<(String, Option<Object>)> {
    let id = ticket.id(world.seed).to_string();
    let rows = match url {
        "metrics" => vec![world.metrics(ticket)],
        url => ticket_more::rows(world, ticket, url),
    };
    let row = |mut row: Object| {
        let own = row.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        row.insert("ticketId".to_owned(), id.clone().into());
        let key = match url {
            "metrics" => id.clone(),
            "tags" => format!("{id}-{own}"),
            // An event has no id.
            "History" => format!("{id} {} {} {}", row["eventName"], row["eventTime"], row["eventInfo"]),
            _ => own,
        };
        (key, Some(row))
    };
    rows.into_iter().map(row).collect()
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
            line(out, row.id, row.is_live().then(|| world.detail(table, row)), omit);
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

fn line(out: &mut Vec<u8>, id: impl std::fmt::Display, row: Option<Object>, omit: &[String]) {
    let row = row.map_or(Value::Null, |mut row| {
        omit.iter().for_each(|key| {
            row.remove(key);
        });
        Value::Object(row)
    });
    let id = Value::from(id.to_string());
    let line = format!("{{\"id\":{id},\"deleted\":{},\"row\":{row}}}\n", row.is_null());
    out.extend_from_slice(line.as_bytes());
}
