//! Updates records of every module but tickets, and moves records of all modules to the recycle bin.

use http::StatusCode;
use serde_json::Value;

use crate::api::context::Context;
use crate::api::routes::DELETE_CREDITS;
use crate::api::rows::module;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::change::{ChangeError, Transition};
use crate::world::table::Object;

/// `PATCH /{module}/{id}`.
pub(crate) fn update(context: &Context<'_>) -> Result<Answer, ApiError> {
    let values: Object = context.body()?;
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

/// `POST /{module}/moveToTrash`.
pub(crate) fn move_to_trash(context: &Context<'_>) -> Result<Answer, ApiError> {
    let name = module(context);
    let key = context.world().table(name).and_then(|table| table.module.trash_key);
    trash(context, name, key.ok_or_else(ApiError::not_found)?)
}

/// Moves the records whose ids the body lists under a key to the recycle bin. Rejected when the first id is
/// unknown.
pub(crate) fn trash(context: &Context<'_>, name: &str, key: &str) -> Result<Answer, ApiError> {
    let ids = id_list(context, key)?;
    let source = context.call.source_id.as_deref();
    context.shared.change(source, |world, stamp| {
        let mut events = Vec::new();
        for id in &ids {
            match world.transition(name, id, Transition::Trash, stamp) {
                Ok(more) => events.extend(more),
                Err(ChangeError::NotFound) if events.is_empty() => {
                    return Err(ChangeError::Invalid(key.to_owned()));
                }
                // The records before this id have been moved already: an unknown id is skipped.
                Err(_) => {}
            }
        }
        Ok(((), events))
    })?;
    Ok(Answer::empty(StatusCode::NO_CONTENT).with_weight(DELETE_CREDITS * ids.len() as u64))
}

/// The ids that the body lists under a key, as strings or numbers.
pub(crate) fn id_list(context: &Context<'_>, key: &str) -> Result<Vec<String>, ApiError> {
    let body: Object = context.body()?;
    let Some(Value::Array(ids)) = body.get(key) else {
        return Err(ApiError::invalid(key, "missing", "The value is missing."));
    };
    let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    Ok(ids.iter().map(text).collect())
}
