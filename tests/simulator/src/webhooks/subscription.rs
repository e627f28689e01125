//! What a webhook asks for: the body of `POST /webhooks`, checked (reference, §6.2 and §6.3).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::error::ApiError;
use crate::webhooks::Webhook;
use crate::webhooks::events::{Filters, filters};
use crate::world::change::Event;

const NAME_CHARACTERS_MAX: usize = 200;
const DESCRIPTION_CHARACTERS_MAX: usize = 3_000;
const URL_CHARACTERS_MAX: usize = 500;
const FIELDS_MAX: usize = 5;

/// What stands under one event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventFilter {
    departments: Vec<String>,
    fields: Vec<String>,
    direction: Option<String>,
    pub(crate) include_previous: bool,
}

/// A checked subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) url: String,
    pub(crate) is_enabled: bool,
    events: BTreeMap<String, EventFilter>,
    ignored_source: Option<String>,
    /// The keys as they were sent, for answers.
    document: Map<String, Value>,
}

fn invalid(field: &str, kind: &str) -> ApiError {
    ApiError::invalid(field, kind, "The value does not match the allowed values.")
}

impl Subscription {
    /// Reads the body of a creation.
    pub(crate) fn create(body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        for key in ["subscriptions", "url"] {
            if !body.contains_key(key) {
                return Err(invalid(key, "missing"));
            }
        }
        let empty = Subscription { is_enabled: true, ..Subscription::default() };
        empty.merge(body)
    }

    /// Reads the body of a change, which must have `subscriptions`.
    pub(crate) fn update(&self, body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        if !body.contains_key("subscriptions") {
            return Err(invalid("subscriptions", "missing"));
        }
        self.clone().merge(body)
    }

    /// Every event without filters, as the settings page has it.
    pub(crate) fn manual(url: &str, events: &[String], include_previous: bool) -> Option<Subscription> {
        let filter = EventFilter { include_previous, ..EventFilter::default() };
        let known = events.iter().all(|event| filters(event).is_some());
        let events = events.iter().map(|event| (event.clone(), filter.clone())).collect();
        let url = url.to_owned();
        known.then(|| Subscription { url, is_enabled: true, events, ..Subscription::default() })
    }

    fn merge(mut self, body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        for (key, value) in body {
            let text = |most: usize| {
                let text = value.as_str().filter(|text| text.chars().count() <= most);
                text.ok_or_else(|| invalid(key, "invalid"))
            };
            match key.as_str() {
                "name" => drop(text(NAME_CHARACTERS_MAX)?),
                "description" if value.is_null() => {}
                "description" => drop(text(DESCRIPTION_CHARACTERS_MAX)?),
                "url" => text(URL_CHARACTERS_MAX)?.clone_into(&mut self.url),
                "isEnabled" => {
                    self.is_enabled = value.as_bool().ok_or_else(|| invalid(key, "invalid"))?;
                }
                "includeEventsFrom" if value == &json!(["AUTOMATION"]) || value == &json!([]) => {}
                "ignoreSourceId" => {
                    let id = text(36)?;
                    let fine = id.is_empty() || (id.len() == 36 && id.matches('-').count() == 4);
                    if !fine {
                        return Err(invalid(key, "invalid"));
                    }
                    self.ignored_source = Some(id.to_owned()).filter(|id| !id.is_empty());
                }
                "subscriptions" => self.events = events(value)?,
                _ => return Err(invalid(key, "invalid")),
            }
            self.document.insert(key.clone(), value.clone());
        }
        Ok(self)
    }

    /// The filter that lets an event through; none when it does not pass.
    pub(crate) fn wants(&self, kind: &str, event: &Event, source: Option<&str>) -> Option<&EventFilter> {
        let filter = self.events.get(kind).filter(|_| self.is_enabled)?;
        let ignored = self.ignored_source.as_deref().is_some_and(|ignored| source == Some(ignored));
        let department = event.department.as_ref();
        let in_department =
            filter.departments.is_empty() || department.is_some_and(|id| filter.departments.contains(id));
        let touched =
            filter.fields.is_empty() || filter.fields.iter().any(|field| event.fields.contains(field));
        let direction = filter.direction.is_none() || filter.direction.as_deref() == event.direction;
        (!ignored && in_department && touched && direction).then_some(filter)
    }
}

fn events(value: &Value) -> Result<BTreeMap<String, EventFilter>, ApiError> {
    let Some(object) = value.as_object().filter(|object| !object.is_empty()) else {
        return Err(invalid("subscriptions", "invalid"));
    };
    let mut events = BTreeMap::new();
    for (event, value) in object {
        let path = format!("subscriptions/{event}");
        let allowed = filters(event).ok_or_else(|| invalid(&path, "invalid"))?;
        let filter = match (allowed, value) {
            (_, Value::Null) => EventFilter::default(),
            (Filters::Keys(keys), Value::Object(object)) => event_filter(&path, keys, object)?,
            _ => return Err(invalid(&path, "invalid")),
        };
        events.insert(event.clone(), filter);
    }
    Ok(events)
}

fn event_filter(path: &str, keys: &[&str], object: &Map<String, Value>) -> Result<EventFilter, ApiError> {
    let mut filter = EventFilter::default();
    for (key, value) in object {
        let refused = || invalid(&format!("{path}/{key}"), "invalid");
        if !keys.contains(&key.as_str()) {
            return Err(refused());
        }
        let texts = || -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        match key.as_str() {
            "departmentIds" => filter.departments = texts().ok_or_else(refused)?,
            "departmentId" => {
                filter.departments.push(value.as_str().ok_or_else(refused)?.to_owned());
            }
            "fields" => {
                filter.fields = texts().filter(|names| names.len() <= FIELDS_MAX).ok_or_else(refused)?;
            }
            "direction" => {
                let direction = value.as_str().filter(|text| matches!(*text, "in" | "out"));
                filter.direction = Some(direction.ok_or_else(refused)?.to_owned());
            }
            _ => filter.include_previous = value.as_bool().ok_or_else(refused)?,
        }
    }
    Ok(filter)
}

impl Webhook {
    /// The webhook as the API answers it.
    pub(crate) fn document(&self, creator: &str) -> Value {
        let mut document = self.subscription.document.clone();
        let times = json!({
            "id": self.id.to_string(), "url": self.subscription.url, "type": "CUSTOMER_WEBHOOK",
            "isEnabled": self.subscription.is_enabled, "createdBy": creator,
            "createdTime": self.created, "modifiedTime": self.modified,
        });
        if let Value::Object(times) = times {
            document.extend(times);
        }
        Value::Object(document)
    }
}
