//! Which endpoints there are, and how a path leads to one.

use http::Method;

use crate::api::context::Context;
use crate::api::parameters::{Paging, Parameter};
use crate::api::{routes_records, routes_tickets};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::oauth::scopes::Demand;

/// What a call costs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    /// So many credits.
    Fixed(u64),
    /// As §5.2 says for the offset.
    ByOffset,
}

/// Makes the answer.
pub(crate) type Handler = fn(&Context<'_>) -> Result<Answer, ApiError>;

/// One endpoint.
pub(crate) struct Route {
    /// `METHOD /path`, with `{id}` for what varies.
    pub(crate) name: &'static str,
    pub(crate) scopes: Demand,
    pub(crate) paging: Paging,
    pub(crate) weight: Weight,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) handler: Handler,
}

/// Pages of 1 to `max` rows, `default` if not said.
pub(crate) const fn pages(max: u64, default: u64) -> Paging {
    Paging::List { min: 1, max, default }
}

/// The endpoint of a path and the values of its placeholders.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), ApiError> {
    let mut known_path = false;
    for route in routes_tickets::ROUTES.iter().chain(routes_records::ROUTES) {
        let (route_method, pattern) = route.name.split_once(' ').unwrap_or(("", route.name));
        let Some(ids) = matches(pattern, path) else { continue };
        if route_method == method.as_str() {
            return Ok((route, ids));
        }
        known_path = true;
    }
    Err(if known_path { ApiError::method_not_allowed() } else { ApiError::not_found() })
}

fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{id}"), Some(id)) if !id.is_empty() => ids.push(id.to_owned()),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::find;

    #[test]
    fn paths_lead_to_their_endpoints() {
        let name = |method: Method, path: &str| find(&method, path).map(|(route, _)| route.name).ok();
        assert_eq!(name(Method::GET, "/tickets/search"), Some("GET /tickets/search"));
        assert_eq!(name(Method::GET, "/tickets/12"), Some("GET /tickets/{id}"));
        assert_eq!(name(Method::GET, "/tickets/"), None);
        let refused = find(&Method::DELETE, "/tickets").err().map(|error| error.status.as_u16());
        assert_eq!(refused, Some(405));
    }
}
