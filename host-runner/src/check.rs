//! The runner's own items of `check`: subscription, deliveries, dead letters, public URL. Pure; the
//! connection's actor provides the facts.

use crate::change::{CheckItem, Outcome};
use crate::clock::rfc3339_ms;
use crate::error::Kind;
use crate::inbox::{Depth, Summary};
use crate::report::thousands;

/// The facts about a connection's webhooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Webhooks {
    /// This runner has registered the URL at the source.
    pub is_subscribed: bool,
    /// When a delivery last brought changes.
    pub applied_at: Option<String>,
    /// The queue and the dead letters.
    pub journal: Summary,
}

impl Webhooks {
    /// The items; none for a connection that never had a webhook.
    pub(crate) fn items(self) -> Vec<CheckItem> {
        let Self { is_subscribed, applied_at, journal } = self;
        if !is_subscribed && applied_at.is_none() && journal.depth == Depth::default() {
            return Vec::new();
        }
        vec![
            subscription(is_subscribed),
            deliveries(applied_at.as_deref(), journal.depth),
            dead_letters(&journal),
        ]
    }
}

/// The item for the status that the public URL answered to a request from this machine, or why it did not.
pub(crate) fn public_url(answered: &Result<u16, String>) -> CheckItem {
    let name = "webhook-url";
    let failed = |message: String, hint: &str| {
        let item = item(name, Outcome::Failed, message, Some(hint));
        CheckItem { kind: Some(Kind::Unavailable), ..item }
    };
    match answered {
        Ok(200) => item(name, Outcome::Passed, "answers a request from this machine".to_owned(), None),
        Ok(404) => failed(
            "answers 404: the server there does not know this URL".to_owned(),
            "another server answers at this host name, or a `serve` with another data folder",
        ),
        Ok(410) => failed(
            "answers 410: the connection was removed there".to_owned(),
            "put its file back where `serve` looks",
        ),
        Ok(status) => {
            failed(format!("answers {status}"), "the proxy must forward /hooks/ to `serve` unchanged")
        }
        Err(why) => failed(
            format!("cannot be reached from this machine: {why}"),
            "start `serve` and the proxy in front of it; sources must reach it from the internet",
        ),
    }
}

fn item(name: &str, outcome: Outcome, message: String, hint: Option<&str>) -> CheckItem {
    CheckItem { name: name.to_owned(), outcome, message, hint: hint.map(str::to_owned), kind: None }
}

fn subscription(subscribed: bool) -> CheckItem {
    if subscribed {
        return item("webhook-subscription", Outcome::Passed, "registered by this runner".to_owned(), None);
    }
    let message = "not registered by this runner, but there were deliveries".to_owned();
    let hint = "expected if it was registered by hand; otherwise run: webhook subscribe";
    item("webhook-subscription", Outcome::Warning, message, Some(hint))
}

fn deliveries(applied_at: Option<&str>, depth: Depth) -> CheckItem {
    let last = applied_at.map_or_else(|| "none applied yet".to_owned(), |at| format!("last applied {at}"));
    let name = "webhook-deliveries";
    if depth.count == 0 {
        let outcome = if applied_at.is_some() { Outcome::Passed } else { Outcome::Warning };
        let hint = "change a record at the source and check again; `serve` must be running and reachable";
        return item(name, outcome, last, Some(hint));
    }
    let oldest = depth.oldest_ms.and_then(rfc3339_ms).unwrap_or_default();
    let message = format!("{last}; {} queued, the oldest since {oldest}", thousands(depth.count));
    item(name, Outcome::Warning, message, Some("`serve` applies queued deliveries"))
}

/// From here on the item warns: once dead letters are full, deliveries that would become some wait.
const NEARLY_FULL_PERCENT: u64 = 90;

fn dead_letters(journal: &Summary) -> CheckItem {
    let name = "webhook-dead-letters";
    let Some(last) = &journal.last_dead else {
        return item(name, Outcome::Passed, "none".to_owned(), None);
    };
    let at = rfc3339_ms(last.dead_at_ms).unwrap_or_default();
    let count = thousands(journal.depth.dead);
    let message =
        format!("{count}; the last at {at}: {}: {}", last.failure.cause.name(), last.failure.reason);
    if journal.dead_percent >= NEARLY_FULL_PERCENT {
        let percent = journal.dead_percent;
        let message = format!(
            "{percent} % full; while they are full, deliveries that would become dead letters wait, and \
             others are applied: {message}"
        );
        let hint = "host-runner dead-letters list, then: dead-letters replay or dead-letters drop";
        return item(name, Outcome::Warning, message, Some(hint));
    }
    item(name, Outcome::Warning, message, Some("host-runner dead-letters list"))
}

#[cfg(test)]
mod tests {
    use super::{dead_letters, deliveries, public_url, subscription};
    use crate::change::Outcome;
    use crate::error::{Error, Kind};
    use crate::inbox::{Cause, DeadLetter, Depth, Failure, Summary};

    #[test]
    fn nearly_full_dead_letters_warn_that_those_to_come_will_wait() {
        let letter = DeadLetter {
            id: 1,
            seq: 1,
            connection: "acme".to_owned(),
            failure: Failure::of(Cause::Refused, &Error::data("not JSON"), 1, 0),
            dead_at_ms: 0,
            received_at_ms: 0,
            bytes: 1,
        };
        let item = |dead_percent| {
            dead_letters(&Summary { last_dead: Some(letter.clone()), dead_percent, ..Summary::default() })
        };
        let plain = item(89);
        assert!(!plain.message.contains("full"), "{}", plain.message);
        let full = item(100);
        assert!(
            full.message.starts_with("100 % full; while they are full, deliveries that would"),
            "{full:?}"
        );
        assert!(full.hint.is_some_and(|hint| hint.contains("dead-letters drop")));
    }

    #[test]
    fn queued_deliveries_are_a_warning() {
        let depth = Depth { count: 1_200, bytes: 1, oldest_ms: Some(0), dead: 0 };
        let found = deliveries(Some("2026-01-01T00:00:00.000Z"), depth);
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.message.contains("1,200 queued, the oldest since 1970"), "{}", found.message);
        assert_eq!(deliveries(Some("now"), Depth::default()).outcome, Outcome::Passed);
        assert_eq!(deliveries(None, Depth::default()).outcome, Outcome::Warning);
        assert_eq!(subscription(true).outcome, Outcome::Passed);
    }

    #[test]
    fn a_public_url_passes_only_with_200() {
        assert_eq!(public_url(&Ok(200)).outcome, Outcome::Passed);
        for answered in [Ok(404), Ok(410), Ok(502), Err("connecting failed".to_owned())] {
            let item = public_url(&answered);
            assert_eq!((item.outcome, item.kind), (Outcome::Failed, Some(Kind::Unavailable)), "{item:?}");
            assert!(item.hint.is_some());
        }
    }
}
