//! `GET /{module}/search` of contacts, accounts and products, which shows changes after the search lag.

use crate::api::context::Context;
use crate::api::criteria::{contains, in_range};
use crate::api::rows::{is_in_department, module, search_row, sort};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::table::{Record, Row};

/// `GET /{module}/search`.
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let table = world.table(module(context)).ok_or_else(ApiError::not_found)?;
    let now = context.shared.clock.now_ms();
    let select = || {
        let positions = 0..table.rows.len() as u32;
        let matching = positions.filter(|at| {
            let visible = table.visible(now, *at as usize);
            visible.is_some_and(|row| row.is_live() && is_match(context, &world, row))
        });
        let mut selected: Vec<u32> = matching.collect();
        sort(&world, table, &mut selected, Some(context.get("sortBy").unwrap_or("-relevance")));
        selected
    };
    let selection = table.search_selection(now, &context.selection_key(), select);
    let mut out = Vec::new();
    let page = context.page(&selection);
    for at in page {
        if let Some(row) = table.visible(now, *at as usize) {
            if !out.is_empty() {
                out.push(b',');
            }
            search_row(&world, table, row, &mut out);
        }
    }
    let answer = context.list_answer(&out, context.search_count(selection.len(), page.len()));
    // A search by unique id costs as much as a detail (§5.2).
    Ok(if context.get("id").is_some() { answer.with_weight(1) } else { answer })
}

fn is_match(context: &Context<'_>, world: &World, row: &Row) -> bool {
    context.call.query.iter().all(|(name, value)| match name.as_str() {
        "id" => row.text("id") == value,
        "createdTimeRange" => in_range(context.range(name), row.created),
        "modifiedTimeRange" => in_range(context.range(name), row.modified),
        "firstName" | "lastName" | "email" | "phone" | "productName" | "productCode" => {
            contains(row.text(name), value)
        }
        "fullName" => contains(&format!("{} {}", row.text("firstName"), row.text("lastName")), value),
        "accountName" if row.values.contains_key("accountName") => contains(row.text(name), value),
        "accountName" => {
            world.accounts.find(row.text("accountId")).is_some_and(|a| contains(a.text("accountName"), value))
        }
        "departmentId" => is_in_department(row, value),
        // Not simulated: no product belongs to a contact or account.
        "contactId" | "accountId" => false,
        "_all" => row.values.values().filter_map(|value| value.as_str()).any(|text| contains(text, value)),
        _ => true,
    })
}
