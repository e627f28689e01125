//! What the runner itself knows of a connection's webhooks: subscription, deliveries, dead letters.

use crate::change::{CheckItem, Outcome};
use crate::clock::rfc3339_ms;
use crate::error::Result;
use crate::journal::{DeadLetter, Depth, Journal, JournalLimits};
use crate::report::grouped;
use crate::serve::journal_path;
use crate::sinks::{self, JOURNAL};
use crate::state::subscription::Subscriptions;
use crate::tenant::{Places, Tenant, key};

/// Letters read at a time, to find the last.
const PAGE: usize = 1_000;

/// Items about webhooks; none where there never was one.
pub(super) fn items(tenant: &Tenant, places: &Places) -> Result<Vec<CheckItem>> {
    let connection = &tenant.connection;
    let subscribed = Subscriptions::open(&places.data, &connection.name, key(places)?)?.load()?.is_some();
    // Opening a target makes it; looking must not.
    let applied_at = if connection.sink.path.exists() {
        sinks::open(&connection.sink)?.position(JOURNAL)?.map(|position| position.updated_at)
    } else {
        None
    };
    let (depth, last, percent) = journal(&connection.name, places)?;
    if !subscribed && applied_at.is_none() && depth == Depth::default() {
        return Ok(Vec::new());
    }
    Ok(vec![
        subscription(subscribed),
        deliveries(applied_at.as_deref(), depth),
        dead_letters(depth, last, percent),
    ])
}

/// What waits, the last dead letter, and how much of the room for them is taken, in percent.
fn journal(name: &str, places: &Places) -> Result<(Depth, Option<DeadLetter>, u64)> {
    let path = journal_path(places);
    if !path.exists() {
        return Ok((Depth::default(), None, 0));
    }
    let (journal, _found) = Journal::open(path, JournalLimits::default())?;
    let mut last: Option<DeadLetter> = None;
    loop {
        let after = last.as_ref().map_or(0, |letter| letter.id);
        match journal.dead_letters(Some(name), after, PAGE)?.pop() {
            Some(letter) => last = Some(letter),
            None => return Ok((journal.depth(name)?, last, journal.dead_percent(name))),
        }
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
    let at = rfc3339_ms(last.buried_at_ms).unwrap_or_default();
    let message = format!("{}; the last at {at}: {}: {}", grouped(depth.dead), last.kind, last.reason);
    if percent >= NEARLY_FULL_PERCENT {
        let message = format!("{percent} % full, and webhooks wait when there is no room: {message}");
        let hint = "host-runner dead-letters list, then: dead-letters replay or dead-letters drop";
        return item(name, Outcome::Warning, message, Some(hint));
    }
    item(name, Outcome::Warning, message, Some("host-runner dead-letters list"))
}

#[cfg(test)]
mod tests {
    use super::{dead_letters, deliveries, subscription};
    use crate::change::Outcome;
    use crate::journal::{DeadLetter, Depth};

    #[test]
    fn dead_letters_that_are_nearly_full_say_what_comes_of_it() {
        let letter = DeadLetter {
            id: 1,
            seq: 1,
            connection: "acme".to_owned(),
            kind: "data".to_owned(),
            reason: "not JSON".to_owned(),
            buried_at_ms: 0,
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
}
