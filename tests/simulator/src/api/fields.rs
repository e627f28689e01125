//! `organizationFields` and `customFieldCount` (reference, §4.8).

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;

/// `GET /organizationFields?module=`, without paging.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let module = context.get("module").unwrap_or("");
    let names = context.list("apiNames");
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let fields = world.fields.of(module).filter(|field| wanted(&field.api_name));
    let rows: Vec<Value> = fields.map(|field| Value::Object(field.to_json())).collect();
    Ok(Answer::value(&json!({"data": rows})))
}

/// `GET /organizationFields/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let mut fields = world.fields.all().iter();
    let field = fields.find(|field| field.id.to_string() == context.id(0));
    let field = field.ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&Value::Object(field.to_json())))
}

/// `GET /customFieldCount?module=`.
pub(crate) fn count(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let count = world.fields.custom(context.get("module").unwrap_or("")).count();
    Ok(Answer::value(&json!({"count": count})))
}
