//! A subscription: the checked body of `POST /webhooks`, and the events it selects (reference, §6.2, §6.3).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::error::ApiError;
use crate::webhooks::events::{Filters, filters};
use crate::world::change::Event;

// Limits of §6.2 and §6.3; that of the name is not documented.
const NAME_CHARACTERS_MAX: usize = 200;
const DESCRIPTION_CHARACTERS_MAX: usize = 3_000;
const URL_CHARACTERS_MAX: usize = 500;
const FIELDS_MAX: usize = 5;
const UUID_CHARACTERS: usize = 36;

/// The filter of one event type.
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
    pub(crate) sent: Map<String, Value>,
}

fn invalid(field: &str, kind: &str) -> ApiError {
    ApiError::invalid(field, kind, "The value does not match the allowed values.")
}

impl Subscription {
    /// Parses the body of `POST /webhooks`.
    pub(crate) fn create(body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        for key in ["subscriptions", "url"] {
            if !body.contains_key(key) {
                return Err(invalid(key, "missing"));
            }
        }
        let empty = Subscription { is_enabled: true, ..Subscription::default() };
        empty.merge(body)
    }

    /// Applies the body of `PATCH /webhooks/{id}`, in which `subscriptions` is required.
    pub(crate) fn update(&self, body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        if !body.contains_key("subscriptions") {
            return Err(invalid("subscriptions", "missing"));
        }
        self.clone().merge(body)
    }

    /// These events without filters, as Desk's setup page subscribes; none when one of them does not exist.
    pub(crate) fn manual(url: &str, events: &[String], include_previous: bool) -> Option<Subscription> {
        let filter = EventFilter { include_previous, ..EventFilter::default() };
        let known = events.iter().all(|event| filters(event).is_some());
        let events = events.iter().map(|event| (event.clone(), filter.clone())).collect();
        let url = url.to_owned();
        known.then(|| Subscription { url, is_enabled: true, events, ..Subscription::default() })
    }

    fn merge(mut self, body: &Map<String, Value>) -> Result<Subscription, ApiError> {
        for (key, value) in body {
            let text = |max: usize| {
                let text = value.as_str().filter(|text| text.chars().count() <= max);
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
                    let id = text(UUID_CHARACTERS)?;
                    let is_valid =
                        id.is_empty() || (id.len() == UUID_CHARACTERS && id.matches('-').count() == 4);
                    if !is_valid {
                        return Err(invalid(key, "invalid"));
                    }
                    self.ignored_source = Some(id.to_owned()).filter(|id| !id.is_empty());
                }
                "subscriptions" => self.events = events(value)?,
                _ => return Err(invalid(key, "invalid")),
            }
            self.sent.insert(key.clone(), value.clone());
        }
        Ok(self)
    }

    /// The filter that selects an event; none when the event is not selected.
    pub(crate) fn filter(&self, kind: &str, event: &Event, source: Option<&str>) -> Option<&EventFilter> {
        let filter = self.events.get(kind).filter(|_| self.is_enabled)?;
        let is_ignored = self.ignored_source.as_deref().is_some_and(|ignored| source == Some(ignored));
        let department = event.department.as_ref();
        let in_department =
            filter.departments.is_empty() || department.is_some_and(|id| filter.departments.contains(id));
        let is_touched =
            filter.fields.is_empty() || filter.fields.iter().any(|field| event.fields.contains(field));
        let has_direction = filter.direction.is_none() || filter.direction.as_deref() == event.direction;
        (!is_ignored && in_department && is_touched && has_direction).then_some(filter)
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
        let rejected = || invalid(&format!("{path}/{key}"), "invalid");
        if !keys.contains(&key.as_str()) {
            return Err(rejected());
        }
        let texts = || -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        match key.as_str() {
            "departmentIds" => filter.departments = texts().ok_or_else(rejected)?,
            "departmentId" => {
                filter.departments.push(value.as_str().ok_or_else(rejected)?.to_owned());
            }
            "fields" => {
                filter.fields = texts().filter(|names| names.len() <= FIELDS_MAX).ok_or_else(rejected)?;
            }
            "direction" => {
                let direction = value.as_str().filter(|text| matches!(*text, "in" | "out"));
                filter.direction = Some(direction.ok_or_else(rejected)?.to_owned());
            }
            _ => filter.include_previous = value.as_bool().ok_or_else(rejected)?,
        }
    }
    Ok(filter)
}
