//! The recycle bin of all modules (reference, §7).

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::row_write::id_list;
use crate::time::iso;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::change::Move;
use crate::world::table::Life;
use crate::world::ticket_fields::TicketField;

/// One record in the bin.
struct Binned {
    table: &'static str,
    id: u64,
    title: String,
    department: Option<String>,
    at: i64,
    by: u64,
}

fn binned(world: &World) -> Vec<Binned> {
    let mut all = Vec::new();
    for ticket in &world.tickets.rows {
        if let Life::Trashed { at, by } = ticket.life {
            let title = world.ticket_search_text(ticket, TicketField::Subject).unwrap_or_default();
            let department = world.departments.rows.get(ticket.department as usize);
            let department = department.map(|row| row.id.to_string());
            all.push(Binned { table: "tickets", id: ticket.id(world.seed), title, department, at, by });
        }
    }
    for table in ["contacts", "accounts", "products", "contracts"] {
        let Some(records) = world.table(table) else { continue };
        for row in &records.rows {
            if let Life::Trashed { at, by } = row.life {
                let title = row.text(records.module.title).to_owned();
                let department = Some(row.text("departmentId").to_owned()).filter(|id| !id.is_empty());
                all.push(Binned { table, id: row.id, title, department, at, by });
            }
        }
    }
    all.sort_by_key(|record| (std::cmp::Reverse(record.at), record.id));
    all
}

/// `GET /recycleBin`, the last deleted first.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let mut all = binned(&world);
    if let Some(wanted) = context.get("departmentId") {
        all.retain(|record| record.department.as_deref() == Some(wanted));
    }
    let included = context.list("include");
    let row = |record: &Binned| {
        let mut row = json!({
            "id": record.id.to_string(), "displayName": record.title, "type": capital(record.table),
            "departmentId": record.department, "deletedById": record.by.to_string(),
            "deletedTime": iso(record.at),
        });
        if included.contains(&"deletedBy") {
            let by = world.agents.find(&record.by.to_string());
            row["deletedBy"] = json!({"id": record.by.to_string(), "name": by.map(|row| row.text("name"))});
        }
        if included.contains(&"department") {
            let department = record.department.as_deref().and_then(|id| world.departments.find(id));
            row["department"] =
                json!(department.map(|row| json!({"id": row.text("id"), "name": row.text("name")})));
        }
        row
    };
    let rows: Vec<String> = context.page(&all).iter().map(|record| row(record).to_string()).collect();
    Ok(context.rows(rows.join(",").as_bytes(), None))
}

fn capital(table: &str) -> String {
    let mut letters = table.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// `POST /recycleBin/restore`.
pub(crate) fn restore(context: &Context<'_>) -> Result<Answer, ApiError> {
    let ids = id_list(context, "ids")?;
    move_out(context, Some(ids), Move::Restore, StatusCode::OK)
}

/// `POST /recycleBin/restoreAll`.
pub(crate) fn restore_all(context: &Context<'_>) -> Result<Answer, ApiError> {
    move_out(context, None, Move::Restore, StatusCode::ACCEPTED)
}

/// `POST /recycleBin/delete`, for ever.
pub(crate) fn delete(context: &Context<'_>) -> Result<Answer, ApiError> {
    let ids = id_list(context, "ids")?;
    move_out(context, Some(ids), Move::Purge, StatusCode::OK)
}

/// `POST /recycleBin/deleteAll`, for ever.
pub(crate) fn delete_all(context: &Context<'_>) -> Result<Answer, ApiError> {
    move_out(context, None, Move::Purge, StatusCode::ACCEPTED)
}

fn move_out(
    context: &Context<'_>,
    ids: Option<Vec<String>>,
    to: Move,
    status: StatusCode,
) -> Result<Answer, ApiError> {
    let source = context.call.source_id.as_deref();
    let results = context.shared.change(source, |world, stamp| {
        let bin: Vec<(String, &str)> =
            binned(world).into_iter().map(|record| (record.id.to_string(), record.table)).collect();
        let ids = ids.unwrap_or_else(|| bin.iter().map(|(id, _)| id.clone()).collect());
        let (mut events, mut results) = (Vec::new(), Vec::new());
        for id in ids {
            let table = bin.iter().find(|(known, _)| *known == id).map(|(_, table)| *table);
            let moved = table.and_then(|table| world.relocate(table, &id, to, stamp).ok());
            results.push(json!({"id": id, "success": moved.is_some(), "errors": null}));
            events.extend(moved.into_iter().flatten());
        }
        Ok((results, events))
    })?;
    let credits = 6 * results.len().max(1) as u64;
    let mut answer = Answer::value(&json!({"results": Value::Array(results)}));
    answer.status = status;
    Ok(answer.costing(credits))
}
