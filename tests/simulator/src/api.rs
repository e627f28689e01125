//! The Desk API (reference, §3): authenticates a call, finds its endpoint, charges its credits, checks its
//! scopes and parameters, and runs its handler. [`routes`] lists the endpoints.

mod context;
mod contracts;
mod conversations;
mod criteria;
mod fields;
mod more;
pub(crate) mod organizations;
mod parameters;
mod readings;
pub(crate) mod recycle_bin;
pub(crate) mod routes;
mod routes_more;
mod routes_records;
mod routes_tickets;
mod row_search;
mod row_write;
mod rows;
mod ticket_filter;
mod ticket_search;
mod ticket_write;
mod tickets;
pub(crate) mod views;
pub(crate) mod webhooks;

use crate::api::context::Context;
use crate::api::parameters::check;
use crate::http::answer::{Answer, JSON};
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::time::DAY_MS;

/// Answers an API call. The first value names the endpoint in `/_admin/stats`.
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
    let weight = route.weight.credits(call, settings);
    let budget = shared.own_credits(settings);
    let Some(_) = shared.meter.charge(now, budget, weight) else {
        let seconds = (DAY_MS - now % DAY_MS) / 1000 + 1;
        return (route.name, ApiError::threshold(seconds as u64).answer());
    };
    if !scopes.satisfy(route.scopes) {
        return (route.name, ApiError::scope_mismatch().answer().with_weight(weight));
    }
    let context = Context { shared, settings, call, route, ids: &ids };
    let result = check(route, call, settings).and_then(|()| (route.handler)(&context));
    let mut answer = result.unwrap_or_else(|error| error.answer());
    if settings.readings.ids_as_numbers && answer.content_type == JSON {
        answer.body = readings::ids_as_numbers(&answer.body).into();
    }
    // Handlers that delete several records set a higher weight; the difference is charged here.
    let credits = answer.weight.unwrap_or(weight);
    shared.meter.charge(now, budget, credits.saturating_sub(weight));
    (route.name, answer.with_weight(credits))
}

/// The name of the endpoint of a call; none for an unknown path.
pub(crate) fn endpoint(call: &Call) -> Option<&'static str> {
    let path = call.path.strip_prefix("/api/v1")?;
    routes::find(&call.method, path).ok().map(|(route, _)| route.name)
}

/// Charges the credits of a call that is refused, as far as there are any, and gives them.
pub(crate) fn charge(shared: &Shared, settings: &Settings, call: &Call) -> u64 {
    let path = call.path.strip_prefix("/api/v1").unwrap_or(&call.path);
    let Ok((route, _)) = routes::find(&call.method, path) else { return 0 };
    let weight = route.weight.credits(call, settings);
    let charged = shared.meter.charge(shared.clock.now_ms(), shared.own_credits(settings), weight);
    charged.map_or(0, |_| weight)
}
