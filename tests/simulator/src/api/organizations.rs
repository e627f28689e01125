//! The organization, the calling agent and the teams.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;

fn organization(context: &Context<'_>) -> Value {
    let options = &context.shared.options;
    // `isDefault` is text and `isAdminInOrg` a boolean, as in the documented example (§4.3).
    json!({
        "id": options.organization_id, "companyName": "Simulated \"Desk\" & Sons", "portalName": "simulator",
        "alias": "simulator", "edition": options.edition.name(),
        "portalURL": "https://desk.zoho.com/portal/simulator", "customDomain": null, "isDefault": "false",
        "isAdminInOrg": true, "currencyCode": "EUR", "currencySymbol": "€",
        "primaryContact": "agent0@desk.example", "phoneNumber": "", "mobile": "", "fax": "", "website": "",
        "city": "Lisbon", "state": "", "country": "Portugal", "zip": "", "street": "", "description": "",
        "faviconURL": null, "logoURL": null, "currencyLocale": "pt_PT", "employeeCount": "",
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
    Ok(Answer::value(&Value::Object(world.agents.rows[0].values.clone())))
}

/// `GET /teams`, without paging and in its own envelope.
pub(crate) fn teams(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let rows: Vec<&_> = world.teams.rows.iter().map(|row| &row.values).collect();
    Ok(Answer::value(&json!({"teams": rows})))
}
