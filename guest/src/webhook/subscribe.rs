//! The webhook registered at Zoho: ours is found again by its URL, and only what differs is changed.
//!
//! Source: `zoho-desk-api.md` §6.2 (API), §6.3 (events and their filters).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::check::{Item, Outcome};
use crate::error::{Error, Kind, Result};
use crate::table::Table;
use crate::tables;
use crate::transport::{Method, Transport};

const VERSION: u32 = 1;
const PATH: &str = "/api/v1/webhooks";
const NAME: &str = "Source connector";

/// What must be kept to verify deliveries and to undo the registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    version: u32,
    /// None for a webhook that a person registered by hand and whose id is not known.
    pub webhook_id: Option<String>,
    pub url: String,
    pub events: Vec<String>,
    /// When it was last found missing, disabled or different and put right: until then changes may have been told to nobody.
    #[serde(default)]
    pub changed_ms: u64,
}

impl Subscription {
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).ok().filter(|found: &Self| found.version <= VERSION).ok_or_else(|| {
            Error::new(Kind::Config, "subscription: what was kept cannot be read")
                .hint("run `webhook subscribe` again")
        })
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Registers `url` for the events of `tables`, or brings what is registered already into that state: the webhook of
/// `current`, or else one that this connector made for this URL or for an earlier secret of it.
pub fn subscribe<T: Transport>(
    api: &mut Api<T>,
    url: &str,
    names: &[String],
    current: Option<&str>,
) -> Result<Subscription> {
    let chosen = chosen(api, names)?;
    let wanted = subscriptions(&chosen, &api.config().department_ids);
    if wanted.is_empty() {
        return Err(Error::new(Kind::Unsupported, "none of these tables has webhook events")
            .hint("they are followed by reading; `tickets` and `departments` have events"));
    }
    // One that cannot be read is as good as none: the webhook is found by its URL.
    let current = current.and_then(|current| Subscription::parse(current).ok());
    let mut hooks = list(api)?;
    let own = current.as_ref().and_then(|current| current.webhook_id.as_deref());
    let index = hooks
        .iter()
        .position(|hook| Some(hook.id.as_str()) == own)
        .or_else(|| hooks.iter().position(|hook| hook.url == url))
        .or_else(|| hooks.iter().position(|hook| hook.is_ours_for(url)));
    let found = index.map(|index| hooks.swap_remove(index));
    let is_right = found.as_ref().is_some_and(|hook| hook.is(url, &wanted));
    let id = match found {
        Some(hook) if is_right => hook.id,
        Some(hook) => {
            let mut body = json!({"subscriptions": wanted, "isEnabled": true});
            if hook.url != url {
                body["url"] = Value::from(url);
            }
            api.call(Method::Patch, &format!("{PATH}/{}", hook.id), Some(&body)).map_err(explain)?;
            hook.id
        }
        None => {
            let body = json!({"name": NAME, "url": url, "isEnabled": true, "includeEventsFrom": ["AUTOMATION"], "subscriptions": wanted});
            let answer = api.call(Method::Post, PATH, Some(&body)).map_err(explain)?.json()?;
            text(&answer["id"])
                .ok_or_else(|| Error::new(Kind::Data, "POST /api/v1/webhooks: the answer has no `id`"))?
        }
    };
    // Others of ours for the same place are left over from earlier secrets: their deliveries would be refused.
    for hook in hooks.iter().filter(|hook| hook.is_ours_for(url)) {
        remove(api, &hook.id)?;
    }
    let events: Vec<String> = wanted.keys().cloned().collect();
    let changed_ms = current
        .filter(|current| is_right && current.webhook_id.as_deref() == Some(&id))
        .map_or_else(|| api.transport().now_ms(), |current| current.changed_ms);
    Ok(Subscription { version: VERSION, webhook_id: Some(id), url: url.to_owned(), events, changed_ms })
}

fn chosen<T: Transport>(api: &Api<T>, names: &[String]) -> Result<Vec<&'static Table>> {
    if names.is_empty() {
        return Ok(api.config().tables.clone());
    }
    let unknown = |name: &String| Error::new(Kind::NotFound, format!("there is no table `{name}`"));
    names.iter().map(|name| tables::find(name).ok_or_else(|| unknown(name))).collect()
}

/// What Zoho says of the webhook.
pub fn check<T: Transport>(api: &mut Api<T>, subscription: &str) -> Item {
    let (outcome, message, hint, kind) = match examine(api, subscription) {
        Ok(Found::Right(events)) => {
            (Outcome::Passed, format!("registered and enabled for {events} events"), None, None)
        }
        Ok(Found::ByHand) => {
            (Outcome::Skipped, "registered by hand: its id is not known".to_owned(), None, None)
        }
        Ok(Found::Wrong(what)) => (
            Outcome::Failed,
            what,
            Some(
                "`webhook subscribe` puts it right; until then changes are found by reading alone".to_owned(),
            ),
            Some(Kind::NotFound),
        ),
        Err(error) => (Outcome::Warning, format!("cannot be looked at: {error}"), error.hint, None),
    };
    Item { name: "webhook registration".to_owned(), outcome, message, hint, kind }
}

enum Found {
    Right(usize),
    ByHand,
    Wrong(String),
}

fn examine<T: Transport>(api: &mut Api<T>, subscription: &str) -> Result<Found> {
    let subscription = Subscription::parse(subscription)?;
    let Some(id) = &subscription.webhook_id else { return Ok(Found::ByHand) };
    let hooks = list(api)?;
    let Some(hook) = hooks.iter().find(|hook| hook.id == *id) else {
        return Ok(Found::Wrong(format!("webhook {id} is not registered any more")));
    };
    if !hook.is_enabled {
        return Ok(Found::Wrong(format!("webhook {id} is disabled")));
    }
    if hook.url != subscription.url {
        return Ok(Found::Wrong(format!("webhook {id} calls another URL")));
    }
    let missing: Vec<&str> = subscription
        .events
        .iter()
        .filter(|event| !hook.subscriptions.contains_key(*event))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Ok(Found::Wrong(format!("webhook {id} is not told of {}", missing.join(", "))));
    }
    Ok(Found::Right(hook.subscriptions.len()))
}

/// Removes the webhook; one that is gone already is no failure.
pub fn unsubscribe<T: Transport>(api: &mut Api<T>, subscription: &str) -> Result<()> {
    let subscription = Subscription::parse(subscription)?;
    let Some(id) = subscription.webhook_id else { return Ok(()) };
    remove(api, &id)
}

fn remove<T: Transport>(api: &mut Api<T>, id: &str) -> Result<()> {
    match api.call(Method::Delete, &format!("{PATH}/{id}"), None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        Err(error) => Err(explain(error)),
    }
}

/// Events with their filters, as the API takes them.
fn subscriptions(chosen: &[&'static Table], department_ids: &[String]) -> Map<String, Value> {
    let mut wanted = Map::new();
    for table in chosen {
        for event in table.events {
            let mut filter = Map::new();
            if event.by_department && !department_ids.is_empty() {
                filter.insert("departmentIds".to_owned(), json!(department_ids));
            }
            if event.has_previous {
                filter.insert("includePrevState".to_owned(), json!(true));
            }
            wanted.insert(
                event.name.to_owned(),
                if filter.is_empty() { Value::Null } else { Value::Object(filter) },
            );
        }
    }
    wanted
}

/// A webhook as the API lists it.
struct Hook {
    id: String,
    name: String,
    url: String,
    is_enabled: bool,
    subscriptions: Map<String, Value>,
}

impl Hook {
    fn is(&self, url: &str, wanted: &Map<String, Value>) -> bool {
        let is_told = |(event, filter): (&String, &Value)| {
            self.subscriptions.get(event).is_some_and(|found| agrees(filter, found))
        };
        self.is_enabled
            && self.url == url
            && self.subscriptions.len() == wanted.len()
            && wanted.iter().all(is_told)
    }

    /// Whether it is one of ours for this URL with this or another secret, which is the last part of the path.
    fn is_ours_for(&self, url: &str) -> bool {
        let place = |url: &str| url.rsplit_once('/').map(|(place, _secret)| place.to_owned());
        self.name == NAME && place(&self.url) == place(url)
    }
}

/// Whether a filter is as it was asked for. How Zoho spells back what was left out is not documented: no filter may be
/// null or empty, and members that were not asked for may be there with nothing in them.
fn agrees(wanted: &Value, found: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let ids = |value: &Value| -> Option<BTreeSet<String>> { value.as_array()?.iter().map(text).collect() };
    let none = Map::new();
    let (wanted, found) = (wanted.as_object().unwrap_or(&none), found.as_object().unwrap_or(&none));
    let same = |name: &String| match (wanted.get(name), found.get(name)) {
        (Some(wanted), Some(found)) => {
            wanted == found || (ids(wanted).is_some() && ids(wanted) == ids(found))
        }
        (Some(only), None) | (None, Some(only)) => is_nothing(only),
        (None, None) => true,
    };
    wanted.keys().chain(found.keys()).all(same)
}

fn list<T: Transport>(api: &mut Api<T>) -> Result<Vec<Hook>> {
    let answer = api.get(PATH).map_err(explain)?;
    let rows = answer.rows()?;
    let hook = |raw: &&serde_json::value::RawValue| {
        let row: Value = serde_json::from_str(raw.get()).ok()?;
        Some(Hook {
            id: text(&row["id"])?,
            name: text(&row["name"]).unwrap_or_default(),
            url: text(&row["url"]).unwrap_or_default(),
            is_enabled: row["isEnabled"] != false,
            subscriptions: row["subscriptions"].as_object().cloned().unwrap_or_default(),
        })
    };
    Ok(rows.iter().filter_map(hook).collect())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// What Zoho's refusals mean for a webhook.
fn explain(error: Error) -> Error {
    let hint = match (error.kind, error.code.as_deref()) {
        (Kind::Data, Some("UNPROCESSABLE_ENTITY")) => {
            "Zoho calls the URL before it accepts it: it must answer 200 from the internet, on port 80 or 443"
        }
        (Kind::Permission, Some("SCOPE_MISMATCH")) => {
            "generate a new code with the scopes that `spec` prints for webhooks, or register the URL by hand: Setup > \
             Developer Space > Webhooks"
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

    use super::agrees;

    #[test]
    fn a_filter_is_the_same_however_what_was_left_out_is_spelt() {
        let departments = json!({"departmentIds": ["1", "2"], "includePrevState": true});
        for (wanted, found) in [
            (json!(null), json!({})),
            (json!(null), json!({"departmentIds": [], "fields": null, "includePrevState": false})),
            (
                departments.clone(),
                json!({"departmentIds": [2, "1"], "includePrevState": true, "fields": null}),
            ),
        ] {
            assert!(agrees(&wanted, &found), "{wanted} {found}");
        }
        for found in [
            json!(null),
            json!({"departmentIds": ["1"], "includePrevState": true}),
            json!({"departmentIds": ["1", "2"], "includePrevState": false}),
            json!({"departmentIds": ["1", "2"], "includePrevState": true, "fields": ["status"]}),
        ] {
            assert!(!agrees(&departments, &found), "{found}");
        }
    }
}
