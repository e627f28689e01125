//! Threads and comments of a ticket. The body of a thread is only in its detail (reference, §4.2).

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::conversation::Conversation;
use crate::world::table::{Document, Life};
use crate::world::ticket::Ticket;

fn ticket<'w>(context: &Context<'_>, world: &'w World) -> Result<&'w Ticket, ApiError> {
    let ticket = world.tickets.find(context.id(0)).ok_or_else(ApiError::not_found)?;
    if ticket.life == Life::Live { Ok(ticket) } else { Err(ApiError::not_found()) }
}

fn answer(context: &Context<'_>, rows: &[Document]) -> Answer {
    let rows: Vec<String> =
        context.page(rows).iter().map(|row| Value::Object(row.clone()).to_string()).collect();
    context.rows(rows.join(",").as_bytes(), None)
}

/// `GET /tickets/{id}/conversations`, newest first. Unknown tickets have an empty list: 200, not 404.
pub(crate) fn conversations(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let Ok(ticket) = ticket(context, &world) else {
        return Ok(Answer::value(&json!({"data": []})));
    };
    let mut talks = ticket.conversations(&world.draw);
    talks.reverse();
    let row = |item: &Conversation| {
        let (mut row, kind) = if item.is_thread() {
            (world.thread_row(ticket, item), "thread")
        } else {
            (world.comment(ticket, item), "comment")
        };
        row.insert("type".to_owned(), kind.into());
        row
    };
    let rows: Vec<Document> = talks.iter().map(row).collect();
    Ok(answer(context, &rows))
}

/// `GET /tickets/{id}/threads`, newest first unless sorted.
pub(crate) fn threads(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = ticket(context, &world)?;
    let talks = ticket.conversations(&world.draw);
    let threads = talks.iter().filter(|item| item.is_thread());
    let mut rows: Vec<Document> = threads.map(|item| world.thread_row(ticket, item)).collect();
    if context.get("sortBy") != Some("sendDateTime") {
        rows.reverse();
    }
    Ok(answer(context, &rows))
}

/// `GET /tickets/{id}/latestThread`.
pub(crate) fn latest_thread(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = ticket(context, &world)?;
    let talks = ticket.conversations(&world.draw);
    let last = talks.iter().rfind(|item| item.is_thread()).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(world.thread_detail(ticket, last))))
}

/// `GET /tickets/{id}/threads/{id}`, with the body.
pub(crate) fn thread(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = ticket(context, &world)?;
    let talks = ticket.conversations(&world.draw);
    let mut threads = talks.iter().filter(|item| item.is_thread());
    let item = threads.find(|item| item.id.to_string() == context.id(1));
    let item = item.ok_or_else(ApiError::not_found)?;
    let mut document = world.thread_detail(ticket, item);
    if context.list("include").contains(&"plainText") {
        let text = document.get("summary").cloned().unwrap_or(Value::Null);
        document.insert("plainText".to_owned(), text);
    }
    Ok(Answer::value(&Value::Object(document)))
}

/// `GET /tickets/{id}/comments`, newest first unless sorted.
pub(crate) fn comments(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = ticket(context, &world)?;
    let talks = ticket.conversations(&world.draw);
    let comments = talks.iter().filter(|item| !item.is_thread());
    let mut rows: Vec<Document> = comments.map(|item| world.comment(ticket, item)).collect();
    if context.get("sortBy") != Some("commentedTime") {
        rows.reverse();
    }
    Ok(answer(context, &rows))
}

/// `GET /tickets/{id}/comments/{id}`.
pub(crate) fn comment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = ticket(context, &world)?;
    let talks = ticket.conversations(&world.draw);
    let mut comments = talks.iter().filter(|item| !item.is_thread());
    let item = comments.find(|item| item.id.to_string() == context.id(1));
    let item = item.ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(world.comment(ticket, item))))
}
