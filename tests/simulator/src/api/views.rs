//! Views: each module has one, which shows all of its records.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::ids::{self, Kind};

/// The modules that have a view; the position of a module is the index of its view's id.
pub(crate) const MODULES: &[&str] =
    &["tickets", "contacts", "events", "activities", "tasks", "contracts", "accounts", "calls", "products"];

/// `GET /views?module=`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let module = context.get("module").unwrap_or("");
    Ok(Answer::value(&json!({"data": [view(context.shared.options.seed, module)]})))
}

/// The view of a module, as it is listed.
pub(crate) fn view(seed: u64, module: &str) -> Value {
    json!({"id": id(seed, module), "name": format!("All {module}"), "isCustomView": false})
}

/// Rejects a `viewId` that is not the module's view.
pub(crate) fn check(context: &Context<'_>, module: &str) -> Result<(), ApiError> {
    match context.get("viewId") {
        Some(given) if id(context.shared.options.seed, module).as_deref() != Some(given) => {
            Err(ApiError::new(422, "INVALID_DATA", "Invalid View Id"))
        }
        _ => Ok(()),
    }
}

fn id(seed: u64, module: &str) -> Option<String> {
    let position = MODULES.iter().position(|known| *known == module)?;
    Some(ids::id(seed, Kind::View, position as u64).to_string())
}
