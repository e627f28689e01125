//! The webhook endpoints (reference, §6.2). [`validate_url`] runs before the handlers, because handlers are
//! synchronous.

use http::Method;
use serde_json::json;

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::shared::Shared;
use crate::webhooks::subscription::Subscription;
use crate::webhooks::{Origin, Webhook};
use crate::world::table::Object;

/// Webhooks that can be configured, enabled or not (§6.1).
const CONFIGURED_MAX: usize = 20;

/// Whether the URL of a webhook that is about to be created or changed answers 200. None for every other
/// call.
pub(crate) async fn validate_url(shared: &Shared, call: &Call) -> Option<bool> {
    let rest = call.path.strip_prefix("/api/v1/webhooks")?;
    let body: Object = serde_json::from_slice(&call.body).ok()?;
    let token = call.token.as_ref()?;
    shared.accounts().scopes_of(token, shared.clock.now_ms())?;
    let wanted = match call.method {
        Method::POST => Subscription::create(&body).ok()?,
        Method::PATCH => {
            let known = shared.webhooks.find(rest.trim_start_matches('/').parse().ok()?)?;
            let wanted = known.subscription.update(&body).ok()?;
            if wanted.url == known.subscription.url {
                return None;
            }
            wanted
        }
        _ => return None,
    };
    let timeout_ms = shared.settings().webhooks.timeout_ms;
    Some(shared.webhooks.client.validates(&wanted.url, timeout_ms).await)
}

fn creator(context: &Context<'_>) -> String {
    context.world().agents.rows[0].id.to_string()
}

fn known(context: &Context<'_>) -> Result<Webhook, ApiError> {
    let id = context.id(0).parse().map_err(|_| ApiError::not_found())?;
    let found = context.shared.webhooks.find(id).filter(|webhook| webhook.origin == Origin::Api);
    found.ok_or_else(ApiError::not_found)
}

/// Rejects one enabled webhook more than the edition allows, and one configured webhook more than
/// [`CONFIGURED_MAX`]. `own` is the webhook that is being changed.
fn check_plan(context: &Context<'_>, own: Option<u64>, is_enabled: bool) -> Result<(), ApiError> {
    let edition = context.shared.options.edition;
    let mut others = context.shared.webhooks.all();
    others.retain(|webhook| Some(webhook.id) != own);
    let enabled = others.iter().filter(|webhook| webhook.subscription.is_enabled).count();
    let max = edition.webhooks();
    if others.len() >= CONFIGURED_MAX || (is_enabled && enabled >= max) {
        return Err(ApiError::license("Webhooks", edition.name(), max));
    }
    Ok(())
}

fn check_validation(context: &Context<'_>) -> Result<(), ApiError> {
    if context.call.url_is_valid == Some(false) {
        return Err(ApiError::unprocessable(
            "Validation failed for the condition : The endpoint failed to respond with status code 200",
        ));
    }
    Ok(())
}

/// `GET /webhooks`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let creator = creator(context);
    let all = context.shared.webhooks.all();
    let listed = all.iter().filter(|webhook| webhook.origin == Origin::Api);
    let rows: Vec<String> = listed.map(|webhook| webhook.to_json(&creator).to_string()).collect();
    Ok(context.list_answer(rows.join(",").as_bytes(), None))
}

/// `POST /webhooks`.
pub(crate) fn create(context: &Context<'_>) -> Result<Answer, ApiError> {
    let body: Object = context.body()?;
    let subscription = Subscription::create(&body)?;
    check_plan(context, None, subscription.is_enabled)?;
    check_validation(context)?;
    let now = context.shared.clock.now_ms();
    let id = context.shared.webhooks.add(subscription, Origin::Api, now);
    answer(context, id)
}

/// `GET /webhooks/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    let webhook = known(context)?;
    answer(context, webhook.id)
}

/// `PATCH /webhooks/{id}`.
pub(crate) fn update(context: &Context<'_>) -> Result<Answer, ApiError> {
    let webhook = known(context)?;
    let body: Object = context.body()?;
    let subscription = webhook.subscription.update(&body)?;
    check_plan(context, Some(webhook.id), subscription.is_enabled)?;
    check_validation(context)?;
    context.shared.webhooks.replace(webhook.id, subscription, context.shared.clock.now_ms());
    answer(context, webhook.id)
}

/// `DELETE /webhooks/{id}`: 200, as in the OAS.
pub(crate) fn delete(context: &Context<'_>) -> Result<Answer, ApiError> {
    let webhook = known(context)?;
    context.shared.webhooks.remove(webhook.id);
    Ok(Answer::value(&json!({"id": webhook.id.to_string()})))
}

fn answer(context: &Context<'_>, id: u64) -> Result<Answer, ApiError> {
    let webhook = context.shared.webhooks.find(id).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&webhook.to_json(&creator(context))))
}
