//! Threads and comments of a ticket. The content of a thread is only in its detail (reference, §4.2).

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::conversation::Conversation;
use crate::world::table::{Object, Record};
use crate::world::ticket::Ticket;

fn live_ticket<'w>(context: &Context<'_>, world: &'w World) -> Result<&'w Ticket, ApiError> {
    let ticket = world.tickets.find(context.id(0)).filter(|ticket| ticket.is_live());
    let ticket = ticket.ok_or_else(ApiError::not_found)?;
    if context.is_hidden_ticket(world, ticket) { Err(ApiError::forbidden()) } else { Ok(ticket) }
}

/// `GET /tickets/{id}/conversations`, newest first. An unknown ticket has an empty list: 200, not 404.
pub(crate) fn conversations(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let Ok(ticket) = live_ticket(context, &world) else {
        return Ok(Answer::value(&json!({"data": []})));
    };
    let row = |item: &Conversation| {
        let (mut row, kind) = if item.is_thread() {
            (world.thread_row(ticket, item), "thread")
        } else {
            (world.comment(ticket, item), "comment")
        };
        row.insert("type".to_owned(), kind.into());
        row
    };
    let rows = ticket.conversations(&world.population).iter().rev().map(row).collect();
    Ok(page(context, rows))
}

/// `GET /tickets/{id}/threads`, newest first unless sorted by `sendDateTime`.
pub(crate) fn threads(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = live_ticket(context, &world)?;
    let all = ticket.conversations(&world.population);
    let threads = all.iter().filter(|item| item.is_thread());
    Ok(sorted(context, "sendDateTime", threads.map(|item| world.thread_row(ticket, item)).collect()))
}

/// `GET /tickets/{id}/comments`, newest first unless sorted by `commentedTime`.
pub(crate) fn comments(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = live_ticket(context, &world)?;
    let all = ticket.conversations(&world.population);
    let comments = all.iter().filter(|item| !item.is_thread());
    Ok(sorted(context, "commentedTime", comments.map(|item| world.comment(ticket, item)).collect()))
}

fn sorted(context: &Context<'_>, key: &str, mut rows: Vec<Object>) -> Answer {
    if context.get("sortBy") != Some(key) {
        rows.reverse();
    }
    page(context, rows)
}

fn page(context: &Context<'_>, rows: Vec<Object>) -> Answer {
    let page: Vec<String> =
        context.page(&rows).iter().map(|row| Value::Object(row.clone()).to_string()).collect();
    context.list_answer(page.join(",").as_bytes(), None)
}

/// `GET /tickets/{id}/latestThread`.
pub(crate) fn latest_thread(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = live_ticket(context, &world)?;
    let all = ticket.conversations(&world.population);
    let last = all.iter().rfind(|item| item.is_thread()).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(world.thread_detail(ticket, last))))
}

/// `GET /tickets/{id}/threads/{id}`, with the content.
pub(crate) fn thread(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = live_ticket(context, &world)?;
    let thread = named(context, &world, ticket, Conversation::is_thread)?;
    let mut detail = world.thread_detail(ticket, &thread);
    if context.list("include").contains(&"plainText") {
        let text = detail.get("summary").cloned().unwrap_or(Value::Null);
        detail.insert("plainText".to_owned(), text);
    }
    Ok(Answer::value(&Value::Object(detail)))
}

/// `GET /tickets/{id}/comments/{id}`.
pub(crate) fn comment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = live_ticket(context, &world)?;
    let comment = named(context, &world, ticket, |item| !item.is_thread())?;
    Ok(Answer::value(&Value::Object(world.comment(ticket, &comment))))
}

/// The thread or comment that the second placeholder of the path names.
fn named(
    context: &Context<'_>,
    world: &World,
    ticket: &Ticket,
    is_kind: impl Fn(&Conversation) -> bool,
) -> Result<Conversation, ApiError> {
    let mut all = ticket.conversations(&world.population).into_iter();
    let found = all.find(|item| is_kind(item) && item.id.to_string() == context.id(1));
    found.ok_or_else(ApiError::not_found)
}
