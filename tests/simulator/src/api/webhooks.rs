//! The webhook endpoints (reference, §6.2). Whether a URL answers was found out before
//! ([`check_endpoint`]), because handlers do not wait.

use http::Method;
use serde_json::json;

use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::shared::Shared;
use crate::webhooks::Webhook;
use crate::webhooks::subscription::Subscription;
use crate::world::table::Document;

/// Webhooks that may be configured, enabled or not (§6.1).
const CONFIGURED_MAX: usize = 20;

/// Before a webhook is made or changed: whether its URL answers 200 to a GET or else a POST. None
/// when nothing is to be validated.
pub(crate) async fn check_endpoint(shared: &Shared, call: &Call) -> Option<bool> {
    let rest = call.path.strip_prefix("/api/v1/webhooks")?;
    let body: Document = serde_json::from_slice(&call.body).ok()?;
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
    Some(shared.webhooks.outbound.validates(&wanted.url, timeout_ms).await)
}

fn creator(context: &Context<'_>) -> String {
    context.world().agents.rows[0].id.to_string()
}

fn known(context: &Context<'_>) -> Result<Webhook, ApiError> {
    let id = context.id(0).parse().map_err(|_| ApiError::not_found())?;
    let found = context.shared.webhooks.find(id).filter(|hook| !hook.is_manual);
    found.ok_or_else(ApiError::not_found)
}

/// Refuses one more enabled webhook than the edition allows, and the 21st of any.
fn check_plan(context: &Context<'_>, but: Option<u64>, is_enabled: bool) -> Result<(), ApiError> {
    let edition = context.shared.options.edition;
    let mut others = context.shared.webhooks.all();
    others.retain(|hook| Some(hook.id) != but);
    let enabled = others.iter().filter(|hook| hook.subscription.is_enabled).count();
    let most = edition.webhooks();
    if others.len() >= CONFIGURED_MAX || (is_enabled && enabled >= most) {
        return Err(ApiError::license("Webhooks", edition.name(), most));
    }
    Ok(())
}

fn check_answer(context: &Context<'_>) -> Result<(), ApiError> {
    if context.call.endpoint_answers == Some(false) {
        return Err(ApiError::unprocessable(
            "Validation failed for the condition : The endpoint failed to respond with status code 200",
        ));
    }
    Ok(())
}

/// `GET /webhooks`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let creator = creator(context);
    let hooks = context.shared.webhooks.all();
    let listed = hooks.iter().filter(|hook| !hook.is_manual);
    let rows: Vec<String> = listed.map(|hook| hook.document(&creator).to_string()).collect();
    Ok(context.rows(rows.join(",").as_bytes(), None))
}

/// `POST /webhooks`.
pub(crate) fn create(context: &Context<'_>) -> Result<Answer, ApiError> {
    let body: Document = context.body()?;
    let subscription = Subscription::create(&body)?;
    check_plan(context, None, subscription.is_enabled)?;
    check_answer(context)?;
    let now = context.shared.clock.now_ms();
    let id = context.shared.webhooks.add(subscription, false, now);
    answer(context, id)
}

/// `GET /webhooks/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    let hook = known(context)?;
    answer(context, hook.id)
}

/// `PATCH /webhooks/{id}`.
pub(crate) fn update(context: &Context<'_>) -> Result<Answer, ApiError> {
    let hook = known(context)?;
    let body: Document = context.body()?;
    let subscription = hook.subscription.update(&body)?;
    check_plan(context, Some(hook.id), subscription.is_enabled)?;
    check_answer(context)?;
    context.shared.webhooks.replace(hook.id, subscription, context.shared.clock.now_ms());
    answer(context, hook.id)
}

/// `DELETE /webhooks/{id}`: 200, as the OAS says.
pub(crate) fn delete(context: &Context<'_>) -> Result<Answer, ApiError> {
    let hook = known(context)?;
    context.shared.webhooks.remove(hook.id);
    Ok(Answer::value(&json!({"id": hook.id.to_string()})))
}

fn answer(context: &Context<'_>, id: u64) -> Result<Answer, ApiError> {
    let hook = context.shared.webhooks.find(id).ok_or_else(ApiError::not_found)?;
    Ok(Answer::value(&hook.document(&creator(context))))
}
