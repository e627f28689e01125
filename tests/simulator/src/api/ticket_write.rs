//! Creates, updates and trashes tickets, and writes comments.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::api::context::Context;
use crate::api::row_write::trash;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::conversation::ConversationKind;
use crate::world::table::Object;
use crate::world::ticket_fields;

/// The body of a comment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewComment {
    content: String,
    #[serde(default)]
    is_public: bool,
}

/// `POST /tickets`: 200 with the detail.
pub(crate) fn create(context: &Context<'_>) -> Result<Answer, ApiError> {
    let values: Object = context.body()?;
    for key in ["subject", "departmentId", "contactId"] {
        if !values.contains_key(key) {
            return Err(ApiError::invalid(key, "missing", "The value is missing."));
        }
    }
    let source = context.call.source_id.as_deref();
    let at = context.shared.change(source, |world, stamp| world.create_ticket(&values, stamp))?;
    Ok(detail(context, at))
}

/// `PATCH /tickets/{id}`: 200 with the detail.
pub(crate) fn update(context: &Context<'_>) -> Result<Answer, ApiError> {
    let values: Object = context.body()?;
    let source = context.call.source_id.as_deref();
    let id = context.id(0);
    let at = context.shared.change(source, |world, stamp| {
        let events = world.update_ticket(id, &values, stamp)?;
        Ok((world.tickets.position(id), events))
    })?;
    at.map(|at| detail(context, at)).ok_or_else(ApiError::not_found)
}

fn detail(context: &Context<'_>, at: usize) -> Answer {
    let world = context.world();
    let mut out = Vec::new();
    world.ticket(&mut out, &world.tickets.rows[at], &ticket_fields::detail());
    Answer::json(out)
}

/// `POST /tickets/moveToTrash`.
pub(crate) fn move_to_trash(context: &Context<'_>) -> Result<Answer, ApiError> {
    trash(context, "tickets", "ticketIds")
}

/// `POST /tickets/{id}/comments`.
pub(crate) fn add_comment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let new: NewComment = context.body()?;
    let (source, ticket) = (context.call.source_id.as_deref(), context.id(0));
    let kind = ConversationKind::Comment { public: new.is_public };
    let id = context
        .shared
        .change(source, |world, stamp| world.add_conversation(ticket, kind, &new.content, stamp))?;
    comment(context, &id.to_string())
}

/// `PATCH /tickets/{id}/comments/{id}`.
pub(crate) fn update_comment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let new: NewComment = context.body()?;
    let (source, ticket) = (context.call.source_id.as_deref(), context.id(0));
    context.shared.change(source, |world, stamp| {
        let events = world.update_comment(ticket, context.id(1), &new.content, stamp)?;
        Ok(((), events))
    })?;
    comment(context, context.id(1))
}

fn comment(context: &Context<'_>, id: &str) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = world.tickets.find(context.id(0)).ok_or_else(ApiError::not_found)?;
    let conversations = ticket.conversations(&world.population);
    let item = conversations.iter().find(|item| item.id.to_string() == id).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(world.comment(ticket, item))))
}

/// `DELETE /tickets/{id}/comments/{id}`.
pub(crate) fn delete_comment(context: &Context<'_>) -> Result<Answer, ApiError> {
    let (ticket, comment) = (context.id(0), context.id(1));
    context.shared.change(None, |world, stamp| {
        world.delete_comment(ticket, comment, stamp).map(|()| ((), Vec::new()))
    })?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
