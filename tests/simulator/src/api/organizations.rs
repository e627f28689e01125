//! The organization and the calling agent.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::options::Options;

/// The organization, as it is listed.
pub(crate) fn organization(options: &Options) -> Value {
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
    Ok(Answer::value(&json!({"data": [organization(&context.shared.options)]})))
}

/// `GET /organizations/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    if context.id(0) != context.shared.options.organization_id {
        return Err(ApiError::forbidden());
    }
    Ok(Answer::value(&organization(&context.shared.options)))
}

/// `GET /myinfo`: the first agent, an administrator.
pub(crate) fn my_info(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    Ok(Answer::value(&Value::Object(world.agents.rows[0].values.clone())))
}
