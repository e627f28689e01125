//! The recycle bin of all modules (reference, §7).

use std::cmp::Reverse;

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::routes::DELETE_CREDITS;
use crate::api::row_write::id_list;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::time::iso;
use crate::world::World;
use crate::world::change::Transition;
use crate::world::table::Lifecycle;
use crate::world::ticket_fields::TicketField;

/// The modules besides tickets whose records can be trashed.
const ROW_MODULES: [&str; 7] = ["contacts", "accounts", "products", "contracts", "tasks", "calls", "events"];

/// One record in the recycle bin.
struct Trashed {
    module: &'static str,
    id: u64,
    title: String,
    department: Option<String>,
    at: i64,
    by: u64,
}

/// All records in the recycle bin, the last deleted first.
fn trashed(world: &World) -> Vec<Trashed> {
    let mut all = Vec::new();
    for ticket in &world.tickets.rows {
        if let Lifecycle::Trashed { at, by } = ticket.lifecycle {
            let title = world.ticket_text(ticket, TicketField::Subject).unwrap_or_default();
            let department = world.departments.rows.get(ticket.department as usize);
            let department = department.map(|row| row.id.to_string());
            all.push(Trashed { module: "tickets", id: ticket.id(world.seed), title, department, at, by });
        }
    }
    for module in ROW_MODULES {
        let Some(table) = world.table(module) else { continue };
        for row in &table.rows {
            if let Lifecycle::Trashed { at, by } = row.lifecycle {
                let title = row.text(table.module.title).to_owned();
                let department = Some(row.text("departmentId").to_owned()).filter(|id| !id.is_empty());
                all.push(Trashed { module, id: row.id, title, department, at, by });
            }
        }
    }
    all.sort_by_key(|record| (Reverse(record.at), record.id));
    all
}

/// The rows of the recycle bin.
pub(crate) fn rows(world: &World) -> Vec<Value> {
    trashed(world).iter().map(row_of).collect()
}

fn row_of(record: &Trashed) -> Value {
    json!({
        "id": record.id.to_string(), "displayName": record.title, "type": capitalized(record.module),
        "departmentId": record.department, "deletedById": record.by.to_string(),
        "deletedTime": iso(record.at),
    })
}

/// `GET /recycleBin`, the last deleted first unless a setting reverses it.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let mut all = trashed(&world);
    if let Some(wanted) = context.get("departmentId") {
        all.retain(|record| record.department.as_deref() == Some(wanted));
    }
    let readings = &context.settings.readings;
    if readings.recycle_bin_oldest_first {
        all.reverse();
    }
    let included = context.list("include");
    let row = |record: &Trashed| {
        let mut row = row_of(record);
        if readings.recycle_bin_epoch_times {
            row["deletedTime"] = record.at.into();
        }
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
    Ok(context.list_answer(rows.join(",").as_bytes(), None))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// `POST /recycleBin/restore`.
pub(crate) fn restore(context: &Context<'_>) -> Result<Answer, ApiError> {
    let ids = id_list(context, "ids")?;
    take_out(context, Some(ids), Transition::Restore, StatusCode::OK)
}

/// `POST /recycleBin/restoreAll`.
pub(crate) fn restore_all(context: &Context<'_>) -> Result<Answer, ApiError> {
    take_out(context, None, Transition::Restore, StatusCode::ACCEPTED)
}

/// `POST /recycleBin/delete`, permanently.
pub(crate) fn delete(context: &Context<'_>) -> Result<Answer, ApiError> {
    let ids = id_list(context, "ids")?;
    take_out(context, Some(ids), Transition::Purge, StatusCode::OK)
}

/// `POST /recycleBin/deleteAll`, permanently.
pub(crate) fn delete_all(context: &Context<'_>) -> Result<Answer, ApiError> {
    take_out(context, None, Transition::Purge, StatusCode::ACCEPTED)
}

/// Restores or deletes these records, or all; the answer has a result for each.
fn take_out(
    context: &Context<'_>,
    ids: Option<Vec<String>>,
    to: Transition,
    status: StatusCode,
) -> Result<Answer, ApiError> {
    let source = context.call.source_id.as_deref();
    let results = context.shared.change(source, |world, stamp| {
        let trashed: Vec<(String, &str)> =
            trashed(world).into_iter().map(|record| (record.id.to_string(), record.module)).collect();
        let ids = ids.unwrap_or_else(|| trashed.iter().map(|(id, _)| id.clone()).collect());
        let (mut events, mut results) = (Vec::new(), Vec::new());
        for id in ids {
            let module = trashed.iter().find(|(known, _)| *known == id).map(|(_, module)| *module);
            let moved = module.and_then(|module| world.transition(module, &id, to, stamp).ok());
            results.push(json!({"id": id, "success": moved.is_some(), "errors": null}));
            events.extend(moved.into_iter().flatten());
        }
        Ok((results, events))
    })?;
    let credits = DELETE_CREDITS * results.len().max(1) as u64;
    let mut answer = Answer::value(&json!({"results": Value::Array(results)}));
    answer.status = status;
    Ok(answer.with_weight(credits))
}
