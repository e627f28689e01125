//! The Desk API: who may call, which endpoint is meant, whether the parameters are right.
//!
//! The endpoints themselves are in the files below; [`routes`] lists them all.

pub(crate) mod context;
pub(crate) mod contracts;
pub(crate) mod conversations;
pub(crate) mod fields;
pub(crate) mod organizations;
pub(crate) mod parameters;
pub(crate) mod recycle_bin;
pub(crate) mod routes;
pub(crate) mod routes_records;
pub(crate) mod routes_tickets;
pub(crate) mod row_search;
pub(crate) mod row_write;
pub(crate) mod rows;
pub(crate) mod ticket_filter;
pub(crate) mod ticket_search;
pub(crate) mod ticket_write;
pub(crate) mod tickets;
pub(crate) mod webhooks;

use crate::api::context::Context;
use crate::api::parameters::check;
use crate::api::routes::Weight;
use crate::time::DAY_MS;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::meter::list_credits;
use crate::http::request::Call;
use crate::settings::Settings;
use crate::shared::Shared;

/// Answers an API call; names the endpoint for the statistics.
pub(crate) fn answer(shared: &Shared, settings: &Settings, call: &Call) -> (&'static str, Answer) {
    let path = call.path.strip_prefix("/api/v1").unwrap_or(&call.path);
    let Some(token) = &call.token else { return ("(auth)", ApiError::unauthorized().answer()) };
    let now = shared.clock.now_ms();
    let Some(scopes) = shared.accounts().scopes_of(token, now) else {
        return ("(auth)", ApiError::invalid_oauth().answer());
    };
    let organization = &shared.options.organization_id;
    if call.organization.as_ref().is_some_and(|given| given != organization) {
        return ("(auth)", ApiError::organization_mismatch().answer());
    }
    let (route, ids) = match routes::find(&call.method, path) {
        Ok(found) => found,
        Err(error) => return ("(unknown)", error.answer()),
    };
    let weight = match route.weight {
        Weight::Fixed(credits) => credits,
        Weight::ByOffset => list_credits(call.get("from").and_then(|from| from.parse().ok()).unwrap_or(0)),
    };
    let budget = shared.daily_credits(settings);
    let Some(_) = shared.meter.charge(now, budget, weight) else {
        let seconds = (DAY_MS - now % DAY_MS) / 1000 + 1;
        return (route.name, ApiError::threshold(seconds as u64).answer());
    };
    if !scopes.meet(route.scopes) {
        return (route.name, ApiError::scope_mismatch().answer().costing(weight));
    }
    let context = Context { shared, settings, call, route, ids: &ids };
    let result = check(route, call, settings).and_then(|()| (route.handler)(&context));
    let answer = result.unwrap_or_else(|error| error.answer());
    // A handler that knows a higher price (six per deleted record) has the rest charged here.
    let credits = answer.weight.unwrap_or(weight);
    shared.meter.charge(now, budget, credits.saturating_sub(weight));
    (route.name, answer.costing(credits))
}
