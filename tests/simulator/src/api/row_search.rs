//! `GET /{module}/search` for contacts, accounts and products: 0-based, 5,000 rows, perhaps late.

use crate::api::context::Context;
use crate::api::rows::{module, search_row, sort};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::table::{Life, Row};

/// `GET /{module}/search`.
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let table = world.table(module(context)).ok_or_else(ApiError::not_found)?;
    let now = context.shared.clock.now_ms();
    let select = || {
        let positions = 0..table.rows.len() as u32;
        let matching = positions.filter(|at| {
            let current = &table.rows[*at as usize];
            let seen = table.pending.seen(now, *at as usize, current);
            seen.is_some_and(|row| row.life == Life::Live && is_wanted(context, &world, row))
        });
        let mut selected: Vec<u32> = matching.collect();
        sort(&world, table, &mut selected, Some(context.get("sortBy").unwrap_or("-relevance")));
        selected
    };
    let view = if table.pending.is_lagging(now) {
        std::sync::Arc::new(select())
    } else {
        table.view(&context.selection(), select)
    };
    let mut out = Vec::new();
    for at in context.page(&view) {
        let at = *at as usize;
        if let Some(row) = table.pending.seen(now, at, &table.rows[at]) {
            if !out.is_empty() {
                out.push(b',');
            }
            search_row(&world, table, row, &mut out);
        }
    }
    let answer = context.rows(&out, Some(view.len()));
    // A search by unique id is as cheap as a detail (§5.2).
    Ok(if context.get("id").is_some() { answer.costing(1) } else { answer })
}

fn is_wanted(context: &Context<'_>, world: &World, row: &Row) -> bool {
    context.call.query.iter().all(|(name, value)| match name.as_str() {
        "id" => row.text("id") == value,
        "createdTimeRange" => in_range(context.range(name), row.created),
        "modifiedTimeRange" => in_range(context.range(name), row.modified),
        "firstName" | "lastName" | "email" | "phone" | "productName" | "productCode" => {
            holds(row.text(name), value)
        }
        "fullName" => holds(&format!("{} {}", row.text("firstName"), row.text("lastName")), value),
        "accountName" if row.document.contains_key("accountName") => holds(row.text(name), value),
        "accountName" => {
            world.accounts.find(row.text("accountId")).is_some_and(|a| holds(a.text("accountName"), value))
        }
        "departmentId" => {
            let ids = row.document.get("departmentIds").and_then(serde_json::Value::as_array);
            ids.is_some_and(|ids| ids.iter().any(|id| id == value.as_str()))
        }
        // Products are related to no contact or account here.
        "contactId" | "accountId" => false,
        "_all" => row.document.values().filter_map(|value| value.as_str()).any(|text| holds(text, value)),
        _ => true,
    })
}

/// Whether a text holds what is searched for, without regard to case and wildcards.
pub(crate) fn holds(text: &str, wanted: &str) -> bool {
    match wanted {
        "${Empty}" => text.is_empty(),
        "${NotEmpty}" => !text.is_empty(),
        wanted => text.to_lowercase().contains(&wanted.replace('*', "").to_lowercase()),
    }
}

/// Whether a moment lies in a range, ends included.
pub(crate) fn in_range(range: Option<(i64, i64)>, at: i64) -> bool {
    range.is_some_and(|(from, to)| (from..=to).contains(&at))
}

#[cfg(test)]
mod tests {
    use super::{holds, in_range};

    #[test]
    fn texts_and_ranges_match_as_documented() {
        assert!(holds("Invoice 17", "*voice*") && !holds("Invoice", "order"));
        assert!(holds("", "${Empty}") && holds("x", "${NotEmpty}"));
        assert!(in_range(Some((1, 3)), 3) && !in_range(Some((1, 3)), 4) && !in_range(None, 1));
    }
}
