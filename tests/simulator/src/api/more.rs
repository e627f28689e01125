//! Lists of other forms than `{"data":[…]}` pages, and lists below a record of another module (reference,
//! §4.3, §4.7, §4.8 and appendix).

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::parameters::range;
use crate::api::rows::{is_match, list_object, module};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::time::parse_iso;
use crate::world::World;
use crate::world::table::{Object, Record, Row};
use crate::world::ticket_more;

/// The content type of a file.
const FILE: &str = "application/octet-stream";

/// A list without paging: all rows in one answer, or a page of them in the other reading.
pub(crate) fn whole(context: &Context<'_>) -> Result<Answer, ApiError> {
    let name = module(context);
    let world = context.world();
    let table = world.table(name).ok_or_else(ApiError::not_found)?;
    let rows = table.rows.iter().filter(|row| row.is_live() && is_match(context, row));
    let number = |name: &str| context.get(name).and_then(|value| value.parse::<usize>().ok());
    let page = context.settings.readings.unpaged_page.map(|page| page as usize);
    let rows = rows.skip(number("from").unwrap_or_default());
    let rows = rows.take(number("limit").or(page).unwrap_or(usize::MAX));
    let rows: Vec<Object> = rows.map(|row| list_object(table, row, &[])).collect::<Result<_, _>>()?;
    let member = match name {
        "organizationModules" => "modules",
        "teams" => "teams",
        _ => "data",
    };
    Ok(Answer::value(&json!({ member: rows })))
}

/// `GET /kbRootCategories/{id}/categoryTree`: the sections, each with those below it.
pub(crate) fn tree(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let root = world.table("kbRootCategories").and_then(|table| table.find(context.id(0)));
    let root = root.filter(|row| row.is_live()).ok_or_else(ApiError::not_found)?;
    let mut tree = root.values.clone();
    tree.insert("children".to_owned(), children(&world, root.text("id")));
    Ok(Answer::value(&Value::Object(tree)))
}

fn children(world: &World, parent: &str) -> Value {
    let sections = world.table("kbSections").map(|table| table.rows.as_slice()).unwrap_or_default();
    let below = sections.iter().filter(|row| row.is_live() && row.text("parentCategoryId") == parent);
    let with_children = |row: &Row| {
        let mut section = row.values.clone();
        section.insert("children".to_owned(), children(world, row.text("id")));
        Value::Object(section)
    };
    below.map(with_children).collect()
}

/// `GET /teams/{id}/members`.
pub(crate) fn members(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let team = world.teams.find(context.id(0)).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&json!({"members": world.members(team)})))
}

/// `GET /accounts/{id}/sla`.
pub(crate) fn slas(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let account = live(&world, "accounts", context.id(0))?;
    Ok(page(context, world.slas(account)))
}

/// `GET /contacts/{id}/accounts`.
pub(crate) fn accounts(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let contact = live(&world, "contacts", context.id(0))?;
    Ok(page(context, world.accounts(contact)))
}

/// `GET /articleTranslations`: all but the texts.
pub(crate) fn translations(context: &Context<'_>) -> Result<Answer, ApiError> {
    let mut rows = context.world().translations();
    if let Some((from, to)) = context.get("modifiedTimeRange").and_then(range) {
        rows.retain(|row| {
            row["modifiedTime"].as_str().and_then(parse_iso).is_some_and(|at| (from..=to).contains(&at))
        });
    }
    if context.get("sortBy") == Some("modifiedTime") {
        rows.sort_by_key(|row| row["modifiedTime"].as_str().map(str::to_owned));
    }
    rows.iter_mut().for_each(|row| drop(row.remove("answer")));
    Ok(page(context, rows))
}

/// `GET /articles/{id}/translations/{locale}`.
pub(crate) fn translation(context: &Context<'_>) -> Result<Answer, ApiError> {
    let rows = context.world().translations().into_iter();
    let is_it = |row: &Object| row["id"] == context.id(0) && row["locale"] == context.id(1);
    let found = rows.into_iter().find(is_it).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(found)))
}

fn live<'w>(world: &'w World, table: &str, id: &str) -> Result<&'w Row, ApiError> {
    let row = world.table(table).and_then(|table| table.find(id)).filter(|row| row.is_live());
    row.ok_or_else(ApiError::not_found)
}

/// A list below a ticket: history, tags, attachments, time entries, approvals or activities.
pub(crate) fn of_ticket(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = world.tickets.find(context.id(0)).filter(|ticket| ticket.is_live());
    let ticket = ticket.ok_or_else(ApiError::not_found)?;
    if context.is_hidden_ticket(&world, ticket) {
        return Err(ApiError::forbidden());
    }
    let what = context.route.name.rsplit('/').next().unwrap_or_default();
    Ok(match what {
        "metrics" => Answer::value(&Value::Object(world.metrics(ticket))),
        "tags" => Answer::value(&json!({"tags": ticket_more::rows(&world, ticket, what)})),
        _ => page(context, ticket_more::rows(&world, ticket, what)),
    })
}

/// `GET /tickets/{id}/attachments/{id}/content`: from a byte on, where a range is asked for and supported.
pub(crate) fn attachment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = world.tickets.find(context.id(0)).filter(|ticket| ticket.is_live());
    let ticket = ticket.ok_or_else(ApiError::not_found)?;
    if context.is_hidden_ticket(&world, ticket) {
        return Err(ApiError::forbidden());
    }
    let bytes = ticket_more::attachment(&world, ticket, context.id(1)).ok_or_else(ApiError::not_found)?;
    let range = context.call.range.as_deref().filter(|_| context.settings.readings.attachment_ranges);
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(start) = start.filter(|start: &usize| *start < bytes.len()) else {
        return Ok(Answer::of(StatusCode::OK, FILE, bytes));
    };
    let whole = bytes.len();
    let mut answer = Answer::of(StatusCode::PARTIAL_CONTENT, FILE, bytes[start..].to_vec());
    answer.content_range = Some(format!("bytes {start}-{}/{whole}", whole - 1));
    Ok(answer)
}

/// `GET /tickets/{id}/approvals/{id}` and `GET /tickets/{id}/timeEntry/{id}`.
pub(crate) fn part(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = world.tickets.find(context.id(0)).filter(|ticket| ticket.is_live());
    let ticket = ticket.ok_or_else(ApiError::not_found)?;
    let list = if context.route.name.contains("timeEntry") { "timeEntry" } else { "approvals" };
    let mut rows = ticket_more::rows(&world, ticket, list).into_iter();
    let found = rows.find(|row| row["id"] == context.id(1)).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(found)))
}

fn page(context: &Context<'_>, rows: Vec<Object>) -> Answer {
    let page: Vec<String> =
        context.page(&rows).iter().map(|row| Value::Object(row.clone()).to_string()).collect();
    context.list_answer(page.join(",").as_bytes(), None)
}
