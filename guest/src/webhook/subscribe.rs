//! The webhook registered at Zoho: ours is found again by its URL, and only what differs is changed.
//!
//! Source: `zoho-desk-api.md` §6.2 (API), §6.3 (events and their filters).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::Api;
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

/// Registers `url` for the events of `tables`, or brings what is registered already into that state.
pub fn subscribe<T: Transport>(api: &mut Api<T>, url: &str, names: &[String]) -> Result<Subscription> {
    let mut chosen: Vec<&'static Table> = Vec::new();
    for name in names {
        let table = tables::find(name)
            .ok_or_else(|| Error::new(Kind::NotFound, format!("there is no table `{name}`")))?;
        chosen.push(table);
    }
    if chosen.is_empty() {
        chosen.clone_from(&api.config().tables);
    }
    let wanted = subscriptions(&chosen, &api.config().department_ids);
    if wanted.is_empty() {
        return Err(Error::new(Kind::Unsupported, "none of these tables has webhook events")
            .hint("they are followed by reading; `tickets` and `departments` have events"));
    }
    let events: Vec<String> = wanted.keys().cloned().collect();
    let existing = find(api, url)?;
    let id = match existing {
        Some(hook) if hook.is_enabled && hook.subscriptions == wanted => hook.id,
        Some(hook) => {
            let body = json!({"subscriptions": wanted, "isEnabled": true});
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
    Ok(Subscription { version: VERSION, webhook_id: Some(id), url: url.to_owned(), events })
}

/// Removes the webhook; one that is gone already is no failure.
pub fn unsubscribe<T: Transport>(api: &mut Api<T>, subscription: &str) -> Result<()> {
    let subscription = Subscription::parse(subscription)?;
    let Some(id) = subscription.webhook_id else { return Ok(()) };
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
    is_enabled: bool,
    subscriptions: Map<String, Value>,
}

fn find<T: Transport>(api: &mut Api<T>, url: &str) -> Result<Option<Hook>> {
    let answer = api.get(PATH).map_err(explain)?;
    for raw in answer.rows()? {
        let row: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        if row["url"] == url
            && let Some(id) = text(&row["id"])
        {
            let is_enabled = row["isEnabled"] != false;
            let subscriptions = row["subscriptions"].as_object().cloned().unwrap_or_default();
            return Ok(Some(Hook { id, is_enabled, subscriptions }));
        }
    }
    Ok(None)
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
