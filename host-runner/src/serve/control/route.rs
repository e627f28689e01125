//! The requests of the server API and their form in HTTP, in both directions. Pure. `docs/operating.md` has
//! the table for people.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::dead_letters::{LettersRequest, Selection};
use crate::error::{Error, Kind, Origin, Result};
use crate::request::Request;

/// A request to a server.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// The content of the page `/-/health`.
    Health,
    /// The connections that answer requests now.
    Connections,
    /// A request to the actor of a connection.
    Connection(String, Request),
    /// Dead letters.
    Letters(LettersRequest),
}

/// The code of the error for a connection that the server does not have, or that waits before its next start:
/// a command executes the request itself.
pub(crate) const NOT_OPEN: &str = "not-open";

impl Route {
    /// The route of a request.
    pub(super) fn of(method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> Result<Self> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["health"]) => Ok(Self::Health),
            ("GET", ["connections"]) => Ok(Self::Connections),
            ("POST", ["connections", name, kind]) => {
                Ok(Self::Connection((*name).to_owned(), request(kind, body)?))
            }
            ("GET", ["dead-letters"]) => {
                let after = parameter(query, "after").unwrap_or("0");
                let after = after.parse().map_err(|_| Error::usage("after: not a number"))?;
                Ok(Self::Letters(LettersRequest::List { connection: connection(query), after }))
            }
            ("GET", ["dead-letters", id]) => {
                let id = id.parse().map_err(|_| unknown(method, path))?;
                Ok(Self::Letters(LettersRequest::Show { connection: connection(query), id }))
            }
            ("POST", ["dead-letters", "replay"]) => {
                Ok(Self::Letters(LettersRequest::Replay(selection(body)?)))
            }
            ("POST", ["dead-letters", "drop"]) => Ok(Self::Letters(LettersRequest::Drop(selection(body)?))),
            _ => Err(unknown(method, path)),
        }
    }

    /// Method, path with query, and body.
    pub(super) fn parts(&self) -> Result<(Method, String, String)> {
        let of = |connection: &Option<String>| {
            connection.as_ref().map(|name| format!("connection={name}")).unwrap_or_default()
        };
        let get = |path: String| Ok((Method::GET, path, String::new()));
        let post = |path: String, body: &Value| Ok((Method::POST, path, body.to_string()));
        match self {
            Self::Health => get("/health".to_owned()),
            Self::Connections => get("/connections".to_owned()),
            Self::Connection(name, request) => {
                let (kind, body) = match serde_json::to_value(request).map_err(not_json)? {
                    Value::String(kind) => (kind, Value::Object(Map::new())),
                    Value::Object(kinds) => kinds.into_iter().next().unwrap_or_default(),
                    _ => return Err(Error::host("a request is not JSON")),
                };
                post(format!("/connections/{name}/{kind}"), &body)
            }
            Self::Letters(LettersRequest::List { connection, after }) => {
                get(format!("/dead-letters?after={after}&{}", of(connection)))
            }
            Self::Letters(LettersRequest::Show { connection, id }) => {
                get(format!("/dead-letters/{id}?{}", of(connection)))
            }
            Self::Letters(LettersRequest::Replay(selection)) => {
                post("/dead-letters/replay".to_owned(), &json!(selection))
            }
            Self::Letters(LettersRequest::Drop(selection)) => {
                post("/dead-letters/drop".to_owned(), &json!(selection))
            }
        }
    }
}

/// The status of an answer that is an error.
pub(super) const fn status(error: &Error) -> StatusCode {
    match error.kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Config | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::Auth | Kind::Permission => StatusCode::FORBIDDEN,
        Kind::Unavailable | Kind::RateLimited => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Data | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A request to an actor: its kind in the path, its members in the body.
fn request(kind: &str, body: &[u8]) -> Result<Request> {
    let members: Map<String, Value> = match body.trim_ascii() {
        [] => Map::new(),
        body => serde_json::from_slice(body).map_err(|error| unusable(&error))?,
    };
    if members.is_empty()
        && let Ok(request) = serde_json::from_value(Value::from(kind))
    {
        return Ok(request);
    }
    serde_json::from_value(json!({ kind: members })).map_err(|error| {
        let is_unknown = error.to_string().starts_with("unknown variant");
        let kind = if is_unknown { Kind::NotFound } else { Kind::Config };
        Error { kind, ..unusable(&error) }
    })
}

fn selection(body: &[u8]) -> Result<Selection> {
    serde_json::from_slice(body).map_err(|error| unusable(&error))
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

fn connection(query: Option<&str>) -> Option<String> {
    parameter(query, "connection").map(str::to_owned)
}

/// The reason without the request, which may hold a secret.
fn unusable(error: &serde_json::Error) -> Error {
    Error::usage(format!("a request that this server does not know: {error}"))
        .hint("use the command line and the server of one version")
}

fn not_json(error: serde_json::Error) -> Error {
    Error::host(format!("a request is not JSON: {error}"))
}

fn unknown(method: &Method, path: &str) -> Error {
    Error::new(Origin::Usage, Kind::NotFound, format!("{method} {path}: the server has no such request"))
        .hint("docs/operating.md lists them")
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::Route;
    use crate::dead_letters::{LettersRequest, Selection};
    use crate::error::Kind;
    use crate::request::Request;

    fn of(method: &str, target: &str, body: &str) -> Result<Route, crate::error::Error> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Route::of(&method, path, query, body.as_bytes())
    }

    /// Every request of the table in `docs/operating.md`: the example of its line.
    fn documented() -> Vec<(String, String, String)> {
        let text = include_str!("../../../../docs/operating.md");
        let rows = text.lines().filter_map(|line| {
            line.strip_prefix("| `GET /").or(line.strip_prefix("| `POST /")).map(|_| line)
        });
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').skip(1).map(str::trim).collect();
            let (method, path) = cells[0].trim_matches('`').split_once(' ').expect("method and path");
            let path = path.replace("NAME", "acme").replace("ID", "17");
            (method.to_owned(), path, cells[1].trim_matches('`').to_owned())
        })
        .collect()
    }

    #[test]
    fn every_documented_request_is_known_and_every_known_one_is_documented() {
        let documented = documented();
        for (method, path, body) in &documented {
            of(method, path, body).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"));
        }
        let requests = [
            Request::Authorize { grant: String::new() },
            Request::Check,
            Request::Discover,
            Request::Count { tables: Vec::new() },
            Request::Invoke { name: String::new(), arguments: String::new() },
            Request::State,
            Request::Reset { tables: Vec::new() },
            Request::DeleteSession,
            Request::Subscribe { public_url: String::new() },
            Request::Unsubscribe,
            Request::RotateUrl { grace_ms: 0 },
        ];
        let routes = requests.into_iter().map(|request| Route::Connection("acme".into(), request));
        let letters = [
            LettersRequest::Show { connection: None, id: 17 },
            LettersRequest::Replay(Selection::default()),
            LettersRequest::Drop(Selection::default()),
            LettersRequest::List { connection: None, after: 0 },
        ];
        let others = [Route::Health, Route::Connections];
        for route in routes.chain(letters.map(Route::Letters)).chain(others) {
            let (method, path, _) = route.parts().expect("parts");
            let path = path.split('?').next().expect("a path");
            let is_documented = documented
                .iter()
                .any(|(known, at, _)| known == method.as_str() && at.split('?').next() == Some(path));
            assert!(is_documented, "{method} {path}");
        }
    }

    #[test]
    fn a_request_is_the_same_after_a_round_trip() {
        for route in [
            Route::Health,
            Route::Connections,
            Route::Connection("acme".into(), Request::Check),
            Route::Connection("acme".into(), Request::Count { tables: vec!["a b/c?&".into()] }),
            Route::Connection("acme".into(), Request::Reset { tables: Vec::new() }),
            Route::Letters(LettersRequest::List { connection: Some("acme".into()), after: 7 }),
            Route::Letters(LettersRequest::Show { connection: None, id: 7 }),
            Route::Letters(LettersRequest::Drop(Selection { ids: vec![1], ..Selection::default() })),
            Route::Letters(LettersRequest::Replay(Selection { all: true, ..Selection::default() })),
        ] {
            let (method, path, body) = route.parts().expect("parts");
            let again = of(method.as_str(), &path, &body).expect("known");
            assert_eq!(format!("{again:?}"), format!("{route:?}"));
        }
    }

    #[test]
    fn what_no_route_takes_is_refused_without_quoting_it() {
        for (method, path, body, kind) in [
            ("GET", "/", "", Kind::NotFound),
            ("GET", "/connections/acme/check", "", Kind::NotFound),
            ("POST", "/connections/acme/explode", "", Kind::NotFound),
            ("POST", "/connections/acme/url-changed", "", Kind::NotFound),
            ("POST", "/connections/acme/authorize", "{\"grant\": 7}", Kind::Config),
            ("POST", "/connections/acme/authorize", "{\"grunt\": \"top-secret\"}", Kind::Config),
            ("POST", "/connections/acme/check", "top-secret", Kind::Config),
            ("POST", "/dead-letters/drop", "{\"every\": true}", Kind::Config),
            ("POST", "/dead-letters/drop", "", Kind::Config),
            ("GET", "/dead-letters/first", "", Kind::NotFound),
            ("GET", "/dead-letters?after=first", "", Kind::Config),
        ] {
            let error = of(method, path, body).expect_err(path);
            assert_eq!(error.kind, kind, "{path}: {error}");
            assert!(!error.message.contains("top-secret"), "{error}");
        }
        assert!(matches!(
            of("POST", "/connections/acme/count", &json!({ "tables": ["a"] }).to_string()),
            Ok(Route::Connection(name, Request::Count { tables })) if name == "acme" && tables == ["a"]
        ));
    }
}
