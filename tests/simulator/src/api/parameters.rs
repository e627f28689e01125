//! The query parameters of endpoints, and their validation.
//!
//! Strict, as the API is (reference, §3.4): an unknown parameter, a limit out of range or an undocumented
//! sort key is 422, and never ignored or clamped.

use crate::api::routes::Route;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::settings::Settings;
use crate::time::parse_iso;

/// Most names in `fields=` (§4.1).
const FIELDS_MAX: usize = 30;
/// Fewest characters of a text to search for (§3.4).
const SEARCH_TEXT_MIN: usize = 3;
/// The list whose largest limit is in conflict (§9, conflict 4).
pub(crate) const RECYCLE_BIN: &str = "GET /recycleBin";
/// Largest limit of a search (§3.2).
const SEARCH_LIMIT_MAX: u64 = 100;
/// Rows that a search can reach (§3.2).
pub(crate) const SEARCH_ROWS_MAX: u64 = 5_000;

/// One query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// The values that a parameter accepts.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// Text to search for.
    Search,
    Id,
    /// A comma-separated list of at most this many ids.
    Ids(usize),
    Flag,
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these.
    SomeOf(&'static [&'static str]),
    /// One of these, `-` in front for descending order.
    Sort(&'static [&'static str]),
    /// `from,to`, both ISO 8601 times.
    Range,
    Fields,
}

/// How an endpoint pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paging {
    None,
    /// `from` is 1-based, and 0 equals 1; `limit` is between `min` and `max`.
    List {
        min: u64,
        max: u64,
        default: u64,
    },
    /// `from` is 0-based and at most 4999.
    Search,
}

/// An optional parameter.
pub(crate) const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

/// A required parameter.
pub(crate) const fn required(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

/// Rejects a call whose parameters the endpoint does not accept.
pub(crate) fn check(route: &Route, call: &Call, settings: &Settings) -> Result<(), ApiError> {
    for (name, value) in &call.query {
        check_one(route, name, value, settings)?;
    }
    for parameter in route.parameters.iter().filter(|parameter| parameter.required) {
        if call.get(parameter.name).is_none_or(str::is_empty) {
            let name = parameter.name;
            return Err(ApiError::unprocessable(format!("The query parameter '{name}' is missing.")));
        }
    }
    if let (Paging::List { .. }, Some(max)) = (route.paging, settings.readings.list_rows_max) {
        let (from, _) = window(route, call, settings);
        if from > max {
            let range = format!("0-{}", max.saturating_sub(1));
            let message = format!("The value passed for field 'from' exceeds the range of '{range}'.");
            return Err(ApiError::unprocessable(message));
        }
    }
    if let Paging::Search = route.paging {
        let (from, limit) = window(route, call, settings);
        if from == SEARCH_ROWS_MAX - 1 || from + limit > SEARCH_ROWS_MAX {
            return Err(ApiError::unprocessable("Max search result iterable is 5000"));
        }
    }
    Ok(())
}

/// `from` and `limit`, as sent or by default, cut to the largest. Both have been checked.
pub(crate) fn window(route: &Route, call: &Call, settings: &Settings) -> (u64, u64) {
    let number = |name: &str| call.get(name).and_then(|value| value.parse::<u64>().ok());
    let default = match route.paging {
        Paging::List { default, .. } => default,
        Paging::Search | Paging::None => 10,
    };
    let limit = number("limit").unwrap_or(default);
    (number("from").unwrap_or(0), limit.min(limit_max(route, settings)))
}

/// The largest limit: the documented one, or a smaller one of the settings.
fn limit_max(route: &Route, settings: &Settings) -> u64 {
    let documented = match route.paging {
        Paging::List { .. } if route.name == RECYCLE_BIN && settings.readings.recycle_bin_limit_100 => 100,
        Paging::List { max, .. } => max,
        Paging::Search | Paging::None => SEARCH_LIMIT_MAX,
    };
    settings.readings.limit_max.map_or(documented, |max| max.min(documented))
}

fn check_one(route: &Route, name: &str, value: &str, settings: &Settings) -> Result<(), ApiError> {
    if name == "orgId" {
        return Ok(());
    }
    match (name, route.paging) {
        ("from", Paging::List { .. }) => return whole(name, value, 0, u64::MAX >> 1),
        ("from", Paging::None) if settings.readings.unpaged_page.is_some() => {
            return whole(name, value, 0, u64::MAX >> 1);
        }
        ("limit", Paging::None) if settings.readings.unpaged_page.is_some() => {
            return whole(name, value, 1, settings.readings.unpaged_page.unwrap_or_default());
        }
        ("from", Paging::Search) => return whole(name, value, 0, SEARCH_ROWS_MAX - 1),
        ("limit", Paging::List { .. } | Paging::Search) => {
            let min = if let Paging::List { min, .. } = route.paging { min } else { 1 };
            let is_clamped = settings.readings.limit_is_clamped;
            let max = if is_clamped { u64::MAX >> 1 } else { limit_max(route, settings) };
            return whole(name, value, min, max);
        }
        _ => {}
    }
    let is_refused = match name {
        "include" => settings.refuse_include,
        "sortBy" if settings.readings.lists_refuse_sort_by => !matches!(route.paging, Paging::Search),
        "sortBy" => settings.refuse_sort_by,
        "fields" => settings.refuse_fields,
        "modifiedTimeRange" => {
            settings.readings.articles_refuse_modified_time_range && route.name == "GET /articles"
        }
        _ => false,
    };
    match route.parameters.iter().find(|parameter| parameter.name == name) {
        Some(parameter) if !is_refused => check_value(parameter, value),
        _ => {
            let message = format!("Extra query parameter '{name}' is present in the input.");
            Err(ApiError::unprocessable(message))
        }
    }
}

fn whole(name: &str, value: &str, min: u64, max: u64) -> Result<(), ApiError> {
    match value.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(()),
        _ => {
            let range = if max > 1 << 32 { format!("{min}-∞") } else { format!("{min}-{max}") };
            Err(ApiError::unprocessable(format!(
                "The value passed for field '{name}' exceeds the range of '{range}'."
            )))
        }
    }
}

fn check_value(parameter: &Parameter, value: &str) -> Result<(), ApiError> {
    let name = parameter.name;
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = || value.split(',').map(str::trim);
    let is_valid = match parameter.kind {
        Kind::Text => true,
        Kind::Search if value.chars().count() < SEARCH_TEXT_MIN => {
            return Err(ApiError::unprocessable(format!(
                "The length of the value passed for field '{name}' is less than the specified minimum length \
                 of '{SEARCH_TEXT_MIN}'."
            )));
        }
        Kind::Search => true,
        Kind::Id => is_id(value),
        Kind::Ids(max) => parts().count() <= max && parts().all(is_id),
        Kind::Flag => matches!(value, "true" | "false"),
        Kind::OneOf(allowed) => allowed.contains(&value),
        Kind::SomeOf(allowed) => parts().all(|part| allowed.contains(&part)),
        Kind::Sort(allowed) => allowed.contains(&value.strip_prefix('-').unwrap_or(value)),
        Kind::Range => range(value).is_some(),
        Kind::Fields => parts().count() <= FIELDS_MAX,
    };
    if is_valid {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!("The value passed for field '{name}' is invalid.")))
}

/// Both ends of a `from,to` range in Unix milliseconds; none when one is not a time.
pub(crate) fn range(value: &str) -> Option<(i64, i64)> {
    let (from, to) = value.split_once(',')?;
    Some((parse_iso(from.trim())?, parse_iso(to.trim())?))
}
