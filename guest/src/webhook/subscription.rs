//! The subscription of one webhook URL: found again at Zoho, changed only where it differs, checked, deleted.

use serde::{Deserialize, Serialize};

use super::registration::{self, Registration};
use crate::api::Api;
use crate::check::{Item, Outcome};
use crate::error::{Error, Kind, Result};
use crate::table::Table;
use crate::tables;
use crate::transport::Transport;

const VERSION: u32 = 1;

/// Stored by the host, to verify deliveries and to delete the webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    version: u32,
    /// None for a webhook that a person registered by hand and whose id is not known.
    pub(super) webhook_id: Option<String>,
    url: String,
    events: Vec<String>,
    /// When it was last found missing, disabled or different and repaired: deliveries before that may be
    /// missing.
    #[serde(default)]
    changed_ms: u64,
}

impl Subscription {
    pub(super) fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).ok().filter(|found: &Self| found.version <= VERSION).ok_or_else(|| {
            Error::new(Kind::Config, "subscription: the stored subscription cannot be read")
                .hint("run `webhook subscribe` again")
        })
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Subscribes `url` to the events of the tables `names`, or repairs an existing registration: the webhook of
/// `current`, or else one that this connector created for this URL or for an earlier secret of it.
pub(crate) fn subscribe<T: Transport>(
    api: &mut Api<T>,
    url: &str,
    names: &[String],
    current: Option<&str>,
) -> Result<Subscription> {
    let tables = selected(api, names)?;
    let wanted = registration::events(&tables, &api.config().department_ids);
    if wanted.is_empty() {
        return Err(Error::new(Kind::Unsupported, "none of these tables has webhook events")
            .hint("their changes are found by polling; `tickets` and `departments` have events"));
    }
    // One that cannot be read counts as none: the webhook is found by its URL.
    let current = current.and_then(|current| Subscription::parse(current).ok());
    let known_id = current.as_ref().and_then(|current| current.webhook_id.as_deref());
    let mut registrations = registration::list(api)?;
    let index = index_of(&registrations, known_id, url);
    let found = index.map(|index| registrations.swap_remove(index));
    let is_unchanged = found.as_ref().is_some_and(|found| found.is_as_wanted(url, &wanted));
    let id = match found {
        Some(found) => {
            if !is_unchanged {
                registration::change(api, &found, url, &wanted)?;
            }
            found.id
        }
        None => registration::create(api, url, &wanted)?,
    };
    // Others of this connector for the same URL have earlier secrets: their deliveries would be refused.
    for stale in registrations.iter().filter(|other| other.is_ours_for(url)) {
        registration::delete(api, &stale.id)?;
    }
    let changed_ms = current
        .filter(|current| is_unchanged && current.webhook_id.as_deref() == Some(&id))
        .map_or_else(|| api.transport().now_ms(), |current| current.changed_ms);
    Ok(Subscription {
        version: VERSION,
        webhook_id: Some(id),
        url: url.to_owned(),
        events: wanted.keys().cloned().collect(),
        changed_ms,
    })
}

/// The registration to use, by its id, its URL, or its URL with another secret.
fn index_of(registrations: &[Registration], known_id: Option<&str>, url: &str) -> Option<usize> {
    registrations
        .iter()
        .position(|found| Some(found.id.as_str()) == known_id)
        .or_else(|| registrations.iter().position(|found| found.url == url))
        .or_else(|| registrations.iter().position(|found| found.is_ours_for(url)))
}

fn selected<T: Transport>(api: &Api<T>, names: &[String]) -> Result<Vec<&'static Table>> {
    if names.is_empty() {
        return Ok(api.config().tables.clone());
    }
    let unknown = |name: &String| Error::new(Kind::NotFound, format!("there is no table `{name}`"));
    names.iter().map(|name| tables::find(name).ok_or_else(|| unknown(name))).collect()
}

/// Deletes the webhook; one that does not exist is no failure.
pub(crate) fn unsubscribe<T: Transport>(api: &mut Api<T>, subscription: &str) -> Result<()> {
    match Subscription::parse(subscription)?.webhook_id {
        Some(id) => registration::delete(api, &id),
        None => Ok(()),
    }
}

/// The state of the subscription at Zoho, as an item of the connection test.
pub(crate) fn check<T: Transport>(api: &mut Api<T>, subscription: &str) -> Item {
    let (outcome, message, hint, kind) = match examine(api, subscription) {
        Ok(State::Correct(events)) => {
            (Outcome::Passed, format!("registered and enabled for {events} events"), None, None)
        }
        Ok(State::ByHand) => {
            (Outcome::Skipped, "registered by hand: its id is not known".to_owned(), None, None)
        }
        Ok(State::Different(what)) => {
            let hint = "`webhook subscribe` repairs it; until then changes are found by polling only";
            (Outcome::Failed, what, Some(hint.to_owned()), Some(Kind::NotFound))
        }
        Err(error) => (Outcome::Warning, format!("cannot be checked: {error}"), error.hint, None),
    };
    Item { name: "webhook registration".to_owned(), outcome, message, hint, kind }
}

enum State {
    /// With its number of events.
    Correct(usize),
    ByHand,
    /// With the first difference.
    Different(String),
}

fn examine<T: Transport>(api: &mut Api<T>, subscription: &str) -> Result<State> {
    let subscription = Subscription::parse(subscription)?;
    let Some(id) = &subscription.webhook_id else { return Ok(State::ByHand) };
    let registrations = registration::list(api)?;
    let Some(found) = registrations.iter().find(|registration| registration.id == *id) else {
        return Ok(State::Different(format!("webhook {id} is not registered any more")));
    };
    let is_missing = |event: &&String| !found.events.contains_key(*event);
    let missing: Vec<&str> = subscription.events.iter().filter(is_missing).map(String::as_str).collect();
    Ok(if !found.is_enabled {
        State::Different(format!("webhook {id} is disabled"))
    } else if found.url != subscription.url {
        State::Different(format!("webhook {id} calls another URL"))
    } else if !missing.is_empty() {
        State::Different(format!("webhook {id} lacks the events {}", missing.join(", ")))
    } else {
        State::Correct(found.events.len())
    })
}
