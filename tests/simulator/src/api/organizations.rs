//! Organisations, the caller, teams and views.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::ids::{self, Kind};
use crate::world::table::Life;

/// The modules that have views; a view's number is the module's place here.
const VIEW_MODULES: &[&str] =
    &["tickets", "contacts", "events", "activities", "tasks", "contracts", "accounts", "calls", "products"];

fn organization(context: &Context<'_>) -> Value {
    // Booleans are partly text in the documented example.
    let options = &context.shared.options;
    json!({
        "id": options.organization_id, "companyName": "Simulated \"Desk\" & Sons", "portalName": "simulator",
        "alias": "simulator", "edition": options.edition.name(),
        "portalURL": "https://desk.zoho.com/portal/simulator", "customDomain": null, "isDefault": "false",
        "isAdminInOrg": true, "currencyCode": "EUR", "currencySymbol": "€", "primaryContact": "agent0@desk.example",
        "phoneNumber": "", "mobile": "", "fax": "", "website": "", "city": "Lisbon", "state": "", "country": "Portugal",
        "zip": "", "street": "", "description": "", "faviconURL": null, "logoURL": null, "currencyLocale": "pt_PT",
        "employeeCount": "",
    })
}

/// `GET /organizations` and `GET /accessibleOrganizations`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    Ok(Answer::value(&json!({"data": [organization(context)]})))
}

/// `GET /organizations/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    if context.id(0) != context.shared.options.organization_id {
        return Err(ApiError::forbidden());
    }
    Ok(Answer::value(&organization(context)))
}

/// `GET /myinfo`: the first agent, an administrator.
pub(crate) fn my_info(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    Ok(Answer::value(&Value::Object(world.agents.rows[0].document.clone())))
}

/// `GET /teams`, which does not page and has its own envelope.
pub(crate) fn teams(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let rows: Vec<&_> = world.teams.rows.iter().map(|row| &row.document).collect();
    Ok(Answer::value(&json!({"teams": rows})))
}

/// `GET /views`: one view per module, which shows everything.
pub(crate) fn views(context: &Context<'_>) -> Result<Answer, ApiError> {
    let module = context.get("module").unwrap_or("");
    let id = view_id(context.shared.options.seed, module).map(|id| id.to_string());
    let name = format!("All {module}");
    Ok(Answer::value(&json!({"data": [{"id": id, "name": name, "isCustomView": false}]})))
}

fn view_id(seed: u64, module: &str) -> Option<u64> {
    let place = VIEW_MODULES.iter().position(|known| *known == module)?;
    Some(ids::id(seed, Kind::View, place as u64))
}

/// Refuses a `viewId` that is not the module's.
pub(crate) fn check_view(context: &Context<'_>, module: &str) -> Result<(), ApiError> {
    let known = view_id(context.shared.options.seed, module).map(|id| id.to_string());
    match context.get("viewId") {
        Some(given) if known.as_deref() != Some(given) => {
            Err(ApiError::new(422, "INVALID_DATA", "Invalid View Id"))
        }
        _ => Ok(()),
    }
}

/// How many records of a table are in no bin.
pub(crate) fn live<'a>(lives: impl Iterator<Item = &'a Life>) -> usize {
    lives.filter(|life| **life == Life::Live).count()
}
