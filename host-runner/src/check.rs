//! What the runner itself knows of a connection's webhooks, as items of `check`: subscription, deliveries, dead
//! letters. Pure, but for looking into the journal; who has the connection says the rest.

use crate::change::{CheckItem, Outcome};
use crate::clock::rfc3339_ms;
use crate::error::{Kind, Result};
use crate::journal::{DeadLetter, Depth, Journal};
use crate::report::grouped;

/// Letters read at a time, to find the last.
const PAGE: usize = 1_000;

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    /// Registered by this runner.
    pub is_subscribed: bool,
    /// When a delivery was last applied.
    pub applied_at: Option<String>,
    /// What waits.
    pub depth: Depth,
    /// The last dead letter.
    pub dead: Option<DeadLetter>,
    /// How much of the room for dead letters is taken.
    pub dead_percent: u64,
}

impl Webhooks {
    /// Looks into the journal.
    pub fn look(&mut self, journal: &Journal, connection: &str) -> Result<()> {
        loop {
            let after = self.dead.as_ref().map_or(0, |letter| letter.id);
            match journal.dead_letters(Some(connection), after, PAGE)?.pop() {
                Some(letter) => self.dead = Some(letter),
                None => break,
            }
        }
        self.depth = journal.depth(connection)?;
        self.dead_percent = journal.dead_percent(connection);
        Ok(())
    }

    /// Items; none where there never was a webhook.
    pub fn items(self) -> Vec<CheckItem> {
        let Self { is_subscribed, applied_at, depth, dead, dead_percent } = self;
        if !is_subscribed && applied_at.is_none() && depth == Depth::default() {
            return Vec::new();
        }
        vec![
            subscription(is_subscribed),
            deliveries(applied_at.as_deref(), depth),
            dead_letters(depth, dead, dead_percent),
        ]
    }
}

/// What asking the webhook's public URL showed; from this machine, which is as far as can be told.
pub fn public_url(asked: &Result<u16, String>) -> CheckItem {
    let name = "webhook-url";
    let failed = |message: String, hint: &str| {
        let item = item(name, Outcome::Failed, message, Some(hint));
        CheckItem { kind: Some(Kind::Unavailable), ..item }
    };
    match asked {
        Ok(200) => item(name, Outcome::Passed, "answers, as seen from this machine".to_owned(), None),
        Ok(404) => failed(
            "answers 404: this URL is not known there".to_owned(),
            "something else answers under this name, or a `serve` with another data folder",
        ),
        Ok(410) => failed(
            "answers 410: the connection counts as removed there".to_owned(),
            "put its file back where `serve` looks",
        ),
        Ok(status) => {
            failed(format!("answers {status}"), "the proxy must pass /hooks/ on to `serve`, as it is")
        }
        Err(why) => failed(
            format!("cannot be reached from this machine: {why}"),
            "is `serve` running, and the proxy in front of it? sources need it to be reachable from the internet",
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
    let message = "not registered by this runner, but deliveries have arrived".to_owned();
    let hint = "right if it was registered by hand; otherwise: webhook subscribe";
    item("webhook-subscription", Outcome::Warning, message, Some(hint))
}

fn deliveries(applied_at: Option<&str>, depth: Depth) -> CheckItem {
    let last = applied_at.map_or_else(|| "none applied yet".to_owned(), |at| format!("last applied {at}"));
    let name = "webhook-deliveries";
    if depth.count == 0 {
        let outcome = if applied_at.is_some() { Outcome::Passed } else { Outcome::Warning };
        let hint = "change something at the source and look again; is `serve` running and reachable?";
        return item(name, outcome, last, Some(hint));
    }
    let oldest = depth.oldest_ms.and_then(rfc3339_ms).unwrap_or_default();
    let message = format!("{last}; {} wait, the oldest since {oldest}", grouped(depth.count));
    item(name, Outcome::Warning, message, Some("they are applied while `serve` runs"))
}

/// From here on a person is told that dead letters are about to hold up webhooks.
const NEARLY_FULL_PERCENT: u64 = 90;

fn dead_letters(depth: Depth, last: Option<DeadLetter>, percent: u64) -> CheckItem {
    let name = "webhook-dead-letters";
    let Some(last) = last else {
        return item(name, Outcome::Passed, "none".to_owned(), None);
    };
    let at = rfc3339_ms(last.dead_at_ms).unwrap_or_default();
    let message = format!(
        "{}; the last at {at}: {}: {}",
        grouped(depth.dead),
        last.failure.cause.name(),
        last.failure.reason
    );
    if percent >= NEARLY_FULL_PERCENT {
        let message = format!("{percent} % full, and webhooks wait when there is no room: {message}");
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
    use crate::journal::{Cause, DeadLetter, Depth, Failure};

    #[test]
    fn dead_letters_that_are_nearly_full_say_what_comes_of_it() {
        let letter = DeadLetter {
            id: 1,
            seq: 1,
            connection: "acme".to_owned(),
            failure: Failure::of(Cause::Refused, &Error::data("not JSON"), 1, 0),
            dead_at_ms: 0,
            received_at_ms: 0,
            bytes: 1,
        };
        let plain = dead_letters(Depth::default(), Some(letter.clone()), 89);
        assert!(!plain.message.contains("full"), "{}", plain.message);
        let full = dead_letters(Depth::default(), Some(letter), 100);
        assert!(full.message.starts_with("100 % full, and webhooks wait"), "{}", full.message);
        assert!(full.hint.is_some_and(|hint| hint.contains("dead-letters drop")));
    }

    #[test]
    fn what_waits_while_nobody_serves_is_a_warning() {
        let depth = Depth { count: 1_200, bytes: 1, oldest_ms: Some(0), dead: 0 };
        let found = deliveries(Some("2026-01-01T00:00:00.000Z"), depth);
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.message.contains("1,200 wait, the oldest since 1970"), "{}", found.message);
        assert_eq!(deliveries(Some("now"), Depth::default()).outcome, Outcome::Passed);
        assert_eq!(deliveries(None, Depth::default()).outcome, Outcome::Warning);
        assert_eq!(subscription(true).outcome, Outcome::Passed);
    }

    #[test]
    fn only_a_public_url_that_answers_200_is_well() {
        assert_eq!(public_url(&Ok(200)).outcome, Outcome::Passed);
        for asked in [Ok(404), Ok(410), Ok(502), Err("connecting failed".to_owned())] {
            let item = public_url(&asked);
            assert_eq!((item.outcome, item.kind), (Outcome::Failed, Some(Kind::Unavailable)), "{item:?}");
            assert!(item.hint.is_some());
        }
    }
}
