//! Contracts: the endpoints of the other modules, after a check of the license.

use serde_json::json;

use crate::api::context::Context;
use crate::api::{rows, views};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::table::Record;

fn check_license(context: &Context<'_>) -> Result<(), ApiError> {
    let edition = context.shared.options.edition;
    if edition.has_contracts() { Ok(()) } else { Err(ApiError::license("Contracts", edition.name(), 0)) }
}

/// `GET /contracts`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    check_license(context)?;
    rows::list(context)
}

/// `GET /contracts/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    check_license(context)?;
    rows::detail(context)
}

/// `GET /contracts/count`, whose number is text.
pub(crate) fn count(context: &Context<'_>) -> Result<Answer, ApiError> {
    check_license(context)?;
    views::check(context, "contracts")?;
    let world = context.world();
    let meets = |name: &str, value: &str| context.get(name).is_none_or(|wanted| wanted == value);
    let counted = world.contracts.rows.iter().filter(|row| {
        row.is_live()
            && meets("departmentId", row.text("departmentId"))
            && meets("ownerId", row.text("ownerId"))
    });
    Ok(Answer::value(&json!({"count": counted.count().to_string()})))
}
