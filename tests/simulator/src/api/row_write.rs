//! Writing records of modules other than tickets: update and move to the bin.

use http::StatusCode;
use serde_json::Value;

use crate::api::context::Context;
use crate::api::rows::module;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::change::{Move, Refused};
use crate::world::table::Document;

/// `PATCH /{module}/{id}`.
pub(crate) fn update(context: &Context<'_>) -> Result<Answer, ApiError> {
    let values: Document = context.body()?;
    let (name, id) = (module(context), context.id(0));
    let source = context.call.source_id.as_deref();
    context.shared.change(source, |world, stamp| {
        world.update_row(name, id, &values, stamp).map(|events| ((), events))
    })?;
    let world = context.world();
    let table = world.table(name).ok_or_else(ApiError::not_found)?;
    let row = table.find(id).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(world.detail(table, row))))
}

/// `POST /{module}/moveToTrash`: all or nothing.
pub(crate) fn move_to_trash(context: &Context<'_>) -> Result<Answer, ApiError> {
    let name = module(context);
    let key = context.world().table(name).and_then(|table| table.module.trash_key);
    trash(context, name, key.ok_or_else(ApiError::not_found)?)
}

/// Moves the records whose ids are under a key of the body to the bin; six credits each.
pub(crate) fn trash(context: &Context<'_>, name: &str, key: &str) -> Result<Answer, ApiError> {
    let ids = id_list(context, key)?;
    let source = context.call.source_id.as_deref();
    context.shared.change(source, |world, stamp| {
        let mut events = Vec::new();
        for id in &ids {
            match world.relocate(name, id, Move::Trash, stamp) {
                Ok(more) => events.extend(more),
                Err(Refused::Missing) if events.is_empty() => {
                    return Err(Refused::Invalid(key.to_owned()));
                }
                // Those before it are in the bin already; the unknown one is passed over.
                Err(_) => {}
            }
        }
        Ok(((), events))
    })?;
    Ok(Answer::empty(StatusCode::NO_CONTENT).costing(6 * ids.len() as u64))
}

/// The ids under a key of the body, as strings or numbers.
pub(crate) fn id_list(context: &Context<'_>, key: &str) -> Result<Vec<String>, ApiError> {
    let body: Document = context.body()?;
    let Some(Value::Array(ids)) = body.get(key) else {
        return Err(ApiError::invalid(key, "missing", "The value is missing."));
    };
    let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    Ok(ids.iter().map(text).collect())
}
