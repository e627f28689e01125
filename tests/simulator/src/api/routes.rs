//! The endpoints: their parts, the cost of each kind, and how a path is matched to one.

use http::Method;

use crate::api::context::Context;
use crate::api::parameters::{Paging, Parameter};
use crate::api::{routes_more, routes_records, routes_tickets};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::oauth::scopes::RequiredScopes;
use crate::settings::Settings;

/// Credits of a call about one record.
const SINGLE_CREDITS: u64 = 1;
/// Credits of a count. §5.2 does not list counts; a list costs as much.
const COUNT_CREDITS: u64 = 3;
/// Credits per deleted or restored record (§5.2). A route charges one; its handler charges the others.
pub(crate) const DELETE_CREDITS: u64 = 6;

/// What a call costs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    /// This many credits.
    Fixed(u64),
    /// By `from`, as §5.2 lists.
    ByOffset,
}

impl Weight {
    /// The credits of a call.
    pub(crate) fn credits(self, call: &Call, settings: &Settings) -> u64 {
        match self {
            Weight::Fixed(credits) => credits,
            Weight::ByOffset => {
                let from = call.get("from").and_then(|from| from.parse().ok()).unwrap_or(0);
                list_credits(from, settings.readings.older_prices)
            }
        }
    }
}

/// Credits of a list by its offset (§5.2): the newer numbers, or the older ones.
fn list_credits(from: u64, is_older: bool) -> u64 {
    match from {
        0..=2_000 => 3,
        2_001..=10_000 if is_older => 10,
        10_001..=50_000 if is_older => 50,
        2_001..=10_000 => 5,
        10_001..=50_000 => 10,
        50_001..=100_000 => 50,
        _ => 100,
    }
}

/// Computes the answer to a call.
pub(crate) type Handler = fn(&Context<'_>) -> Result<Answer, ApiError>;

/// One endpoint.
pub(crate) struct Route {
    /// `METHOD /path`, with `{id}` for each variable segment.
    pub(crate) name: &'static str,
    pub(crate) scopes: RequiredScopes,
    pub(crate) paging: Paging,
    pub(crate) weight: Weight,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) handler: Handler,
}

/// Pages of 1 to `max` rows, `default` without a limit.
pub(crate) const fn pages(max: u64, default: u64) -> Paging {
    Paging::List { min: 1, max, default }
}

/// An endpoint about one record, or one that writes.
pub(crate) const fn single(
    name: &'static str,
    scopes: RequiredScopes,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging: Paging::None, weight: Weight::Fixed(SINGLE_CREDITS), parameters, handler }
}

/// An endpoint that counts.
pub(crate) const fn count(
    name: &'static str,
    scopes: RequiredScopes,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging: Paging::None, weight: Weight::Fixed(COUNT_CREDITS), parameters, handler }
}

/// An endpoint that lists.
pub(crate) const fn list(
    name: &'static str,
    scopes: RequiredScopes,
    paging: Paging,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging, weight: Weight::ByOffset, parameters, handler }
}

/// An endpoint that searches.
pub(crate) const fn search(
    name: &'static str,
    scopes: RequiredScopes,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    list(name, scopes, Paging::Search, parameters, handler)
}

/// An endpoint that deletes.
pub(crate) const fn delete(name: &'static str, scopes: RequiredScopes, handler: Handler) -> Route {
    let (paging, weight, parameters) = (Paging::None, Weight::Fixed(DELETE_CREDITS), &[]);
    Route { name, scopes, paging, weight, parameters, handler }
}

/// Every endpoint: a literal segment before a placeholder.
pub(crate) static ROUTES: [&[Route]; 3] =
    [routes_tickets::ROUTES, routes_records::ROUTES, routes_more::ROUTES];

/// The endpoint of a path and the values of its placeholders; 405 for a known path with another method.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), ApiError> {
    let mut is_known = false;
    for route in ROUTES.into_iter().flatten() {
        let (route_method, pattern) = route.name.split_once(' ').unwrap_or(("", route.name));
        let Some(ids) = matches(pattern, path) else { continue };
        if route_method == method.as_str() {
            return Ok((route, ids));
        }
        is_known = true;
    }
    Err(if is_known { ApiError::method_not_allowed() } else { ApiError::not_found() })
}

fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let (mut expected, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{id}"), Some(id)) if !id.is_empty() => ids.push(id.to_owned()),
            (Some(expected), Some(given)) if expected == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{find, list_credits};

    fn name(method: Method, path: &str) -> Option<&'static str> {
        find(&method, path).map(|(route, _)| route.name).ok()
    }

    #[test]
    fn the_credits_of_a_list_rise_after_each_documented_offset() {
        let offsets = [0, 2_000, 2_001, 10_000, 10_001, 50_000, 50_001, 100_000, 100_001];
        assert_eq!(offsets.map(|from| list_credits(from, false)), [3, 3, 5, 5, 10, 10, 50, 50, 100]);
        assert_eq!(offsets.map(|from| list_credits(from, true)), [3, 3, 10, 10, 50, 50, 50, 50, 100]);
    }

    #[test]
    fn a_literal_segment_wins_over_a_placeholder() {
        assert_eq!(name(Method::GET, "/tickets/search"), Some("GET /tickets/search"));
        assert_eq!(name(Method::GET, "/tickets/12"), Some("GET /tickets/{id}"));
        assert_eq!(name(Method::GET, "/tickets/"), None);
    }

    #[test]
    fn placeholders_are_given_in_the_order_of_the_path() {
        let found = find(&Method::PATCH, "/tickets/12/comments/34").map(|(route, ids)| (route.name, ids));
        let ids = vec!["12".to_owned(), "34".to_owned()];
        assert_eq!(found.ok(), Some(("PATCH /tickets/{id}/comments/{id}", ids)));
    }

    #[test]
    fn a_known_path_with_another_method_is_405_and_an_unknown_path_404() {
        let status = |method, path| find(&method, path).err().map(|error| error.status.as_u16());
        assert_eq!(status(Method::DELETE, "/tickets"), Some(405));
        assert_eq!(status(Method::GET, "/nothing"), Some(404));
    }
}
