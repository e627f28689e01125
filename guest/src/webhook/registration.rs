//! Webhooks as Zoho stores them: list, create, change, delete, and compare with the wanted state.
//!
//! Source: `zoho-desk-api.md` §6.2 (API), §6.3 (events and their filters).

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::error::{Error, Kind, Result};
use crate::table::Table;
use crate::transport::{Method, Transport};

const PATH: &str = "/api/v1/webhooks";

/// The name by which this connector recognizes its webhooks.
const NAME: &str = "Source connector";

/// A webhook as the API lists it.
pub(super) struct Registration {
    pub(super) id: String,
    name: String,
    pub(super) url: String,
    pub(super) is_enabled: bool,
    /// Filters by event.
    pub(super) events: Map<String, Value>,
}

impl Registration {
    /// True when it is enabled and calls `url` for exactly the `wanted` events.
    pub(super) fn is_as_wanted(&self, url: &str, wanted: &Map<String, Value>) -> bool {
        let has_event = |(event, filter): (&String, &Value)| {
            self.events.get(event).is_some_and(|found| filters_agree(filter, found))
        };
        self.is_enabled
            && self.url == url
            && self.events.len() == wanted.len()
            && wanted.iter().all(has_event)
    }

    /// True when this connector created it for `url`, with this or another secret, which is the last part of
    /// the path.
    pub(super) fn is_ours_for(&self, url: &str) -> bool {
        let without_secret = |url: &str| url.rsplit_once('/').map(|(rest, _secret)| rest.to_owned());
        self.name == NAME && without_secret(&self.url) == without_secret(url)
    }

    fn parse(raw: &RawValue) -> Option<Self> {
        let row: Value = serde_json::from_str(raw.get()).ok()?;
        Some(Self {
            id: text(&row["id"])?,
            name: text(&row["name"]).unwrap_or_default(),
            url: text(&row["url"]).unwrap_or_default(),
            is_enabled: row["isEnabled"] != false,
            events: row["subscriptions"].as_object().cloned().unwrap_or_default(),
        })
    }
}

/// Every webhook of the portal.
pub(super) fn list<T: Transport>(api: &mut Api<T>) -> Result<Vec<Registration>> {
    let answer = api.get(PATH).map_err(explain)?;
    Ok(answer.rows()?.into_iter().filter_map(Registration::parse).collect())
}

/// Creates a webhook; returns its id.
pub(super) fn create<T: Transport>(
    api: &mut Api<T>,
    url: &str,
    events: &Map<String, Value>,
) -> Result<String> {
    let body = json!({
        "name": NAME, "url": url, "isEnabled": true, "subscriptions": events,
        "includeEventsFrom": ["AUTOMATION"],
    });
    let answer = api.call(Method::Post, PATH, Some(&body)).map_err(explain)?.json()?;
    let no_id = || Error::new(Kind::Data, "POST /api/v1/webhooks: the answer has no `id`");
    text(&answer["id"]).ok_or_else(no_id)
}

/// Enables a webhook for `url` and the `wanted` events.
pub(super) fn change<T: Transport>(
    api: &mut Api<T>,
    found: &Registration,
    url: &str,
    wanted: &Map<String, Value>,
) -> Result<()> {
    let mut body = json!({"subscriptions": wanted, "isEnabled": true});
    // Zoho calls a URL in the body to validate it.
    if found.url != url {
        body["url"] = Value::from(url);
    }
    api.call(Method::Patch, &format!("{PATH}/{}", found.id), Some(&body)).map(drop).map_err(explain)
}

/// Deletes a webhook; one that does not exist is no failure.
pub(super) fn delete<T: Transport>(api: &mut Api<T>, id: &str) -> Result<()> {
    match api.call(Method::Delete, &format!("{PATH}/{id}"), None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        Err(error) => Err(explain(error)),
    }
}

/// The events of `tables` with their filters, as the API takes them.
pub(super) fn events(tables: &[&'static Table], department_ids: &[String]) -> Map<String, Value> {
    let mut events = Map::new();
    for event in tables.iter().flat_map(|table| table.events) {
        let mut filter = Map::new();
        if event.by_department && !department_ids.is_empty() {
            filter.insert("departmentIds".to_owned(), json!(department_ids));
        }
        if event.with_previous_state {
            filter.insert("includePrevState".to_owned(), json!(true));
        }
        let filter = if filter.is_empty() { Value::Null } else { Value::Object(filter) };
        events.insert(event.name.to_owned(), filter);
    }
    events
}

/// True when a filter is as it was registered. The form in which Zoho returns members that were not
/// registered is not documented: a filter may be null or empty, and such members may be there without a
/// value.
fn filters_agree(wanted: &Value, found: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let ids = |value: &Value| -> Option<BTreeSet<String>> { value.as_array()?.iter().map(text).collect() };
    let none = Map::new();
    let (wanted, found) = (wanted.as_object().unwrap_or(&none), found.as_object().unwrap_or(&none));
    let is_same = |name: &String| match (wanted.get(name), found.get(name)) {
        (Some(wanted), Some(found)) => {
            wanted == found || (ids(wanted).is_some() && ids(wanted) == ids(found))
        }
        (Some(only), None) | (None, Some(only)) => is_empty(only),
        (None, None) => true,
    };
    wanted.keys().chain(found.keys()).all(is_same)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// Adds hints to refusals of webhook calls.
fn explain(error: Error) -> Error {
    let hint = match (error.kind, error.code.as_deref()) {
        (Kind::Data, Some("UNPROCESSABLE_ENTITY")) => {
            "Zoho calls the URL before it accepts it: it must answer 200 from the internet, on port 80 or 443"
        }
        (Kind::Permission, Some("SCOPE_MISMATCH")) => {
            "generate a new code with the scopes that `spec` prints for webhooks, or register the URL by \
             hand: Setup > Developer Space > Webhooks"
        }
        (Kind::Permission, _) => {
            "the edition has no webhooks or the user may not create them; Professional and higher have them"
        }
        _ => return error,
    };
    error.hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::filters_agree;

    #[test]
    fn filters_agree_in_every_form_of_absent_members_and_ids() {
        let departments = json!({"departmentIds": ["1", "2"], "includePrevState": true});
        for (wanted, found) in [
            (json!(null), json!({})),
            (json!(null), json!({"departmentIds": [], "fields": null, "includePrevState": false})),
            (
                departments.clone(),
                json!({"departmentIds": [2, "1"], "includePrevState": true, "fields": null}),
            ),
        ] {
            assert!(filters_agree(&wanted, &found), "{wanted} {found}");
        }
    }

    #[test]
    fn filters_differ_in_any_member_with_another_value() {
        let departments = json!({"departmentIds": ["1", "2"], "includePrevState": true});
        for found in [
            json!(null),
            json!({"departmentIds": ["1"], "includePrevState": true}),
            json!({"departmentIds": ["1", "2"], "includePrevState": false}),
            json!({"departmentIds": ["1", "2"], "includePrevState": true, "fields": ["status"]}),
        ] {
            assert!(!filters_agree(&departments, &found), "{found}");
        }
    }
}
