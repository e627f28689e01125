//! Requests about dead letters, and their answers as JSON: the same from a server, from the journal of a
//! server that does not run, and without a journal.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::rfc3339_ms;
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::DeadLetters;
use crate::inbox::{DeadLetter, DeadRecord};

/// Letters of one answer, and of one transaction, so that appends do not wait for long.
pub(crate) const PAGE: usize = 1_000;

/// A request about dead letters; a connection limits it to that connection's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LettersRequest {
    /// At most [`PAGE`], those after an id.
    List { connection: Option<String>, after: u64 },
    /// One, with its delivery.
    Show { connection: Option<String>, id: u64 },
    /// Queue them again.
    Replay(Selection),
    /// Delete them.
    Drop(Selection),
}

/// The letters that a change concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// Their numbers; each must exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u64>,
    /// All of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The connection; of every one if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// Answers a request. Blocks.
pub(crate) fn answer(letters: &dyn DeadLetters, request: &LettersRequest) -> Result<Value> {
    match request {
        LettersRequest::List { connection, after } => {
            let page = letters.list(connection.as_deref(), *after, PAGE)?;
            Ok(json!({ "dead_letters": page.iter().map(letter_json).collect::<Vec<_>>() }))
        }
        LettersRequest::Show { connection, id } => {
            Ok(record_json(&find(letters, connection.as_deref(), *id)?))
        }
        LettersRequest::Replay(selection) => {
            let ids = selected(letters, selection)?;
            for page in ids.chunks(PAGE) {
                letters.replay(page)?;
            }
            Ok(json!({ "replayed": ids }))
        }
        LettersRequest::Drop(selection) => {
            let ids = selected(letters, selection)?;
            for page in ids.chunks(PAGE) {
                letters.delete(page)?;
            }
            Ok(json!({ "dropped": ids }))
        }
    }
}

fn find(letters: &dyn DeadLetters, connection: Option<&str>, id: u64) -> Result<DeadRecord> {
    let found = letters.show(id)?;
    let found = found.filter(|found| connection.is_none_or(|name| found.letter.connection == name));
    found.ok_or_else(|| {
        let message = match connection {
            Some(name) => format!("dead letter {id}: connection `{name}` has none with this number"),
            None => format!("dead letter {id}: there is none with this number"),
        };
        Error::new(Origin::Host, Kind::NotFound, message).hint("`dead-letters list` shows them")
    })
}

/// The selected numbers, each once; each must exist.
fn selected(letters: &dyn DeadLetters, selection: &Selection) -> Result<Vec<u64>> {
    let connection = selection.connection.as_deref();
    let mut ids: Vec<u64> = Vec::new();
    if selection.all != selection.ids.is_empty() {
        return Err(Error::usage("dead letters: give either their numbers or all"));
    }
    if selection.all {
        loop {
            let page = letters.list(connection, ids.last().copied().unwrap_or(0), PAGE)?;
            if page.is_empty() {
                return Ok(ids);
            }
            ids.extend(page.iter().map(|letter| letter.id));
        }
    }
    for id in &selection.ids {
        find(letters, connection, *id)?;
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    Ok(ids)
}

fn letter_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "seq": letter.seq,
        "connection": letter.connection,
        "cause": letter.failure.cause.name(),
        "explanation": letter.failure.cause.explanation(),
        "kind": letter.failure.kind,
        "code": letter.failure.code,
        "reason": letter.failure.reason,
        "hint": letter.failure.hint,
        "attempts": letter.failure.attempts,
        "first_failed_at": rfc3339_ms(letter.failure.first_failed_at_ms),
        "received_at": rfc3339_ms(letter.received_at_ms),
        "dead_at": rfc3339_ms(letter.dead_at_ms),
        "bytes": letter.bytes,
    })
}

fn record_json(record: &DeadRecord) -> Value {
    let DeadRecord { letter, delivery, corrupt } = record;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(&str, String)> =
        delivery.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    let mut value = letter_json(letter);
    value["method"] = json!(delivery.method);
    value["path"] = json!(delivery.path_with_query);
    value["headers"] = json!(headers);
    value["body"] = json!(text(&delivery.body));
    value["corrupt"] = json!(corrupt);
    value
}

/// The dead letters of a data folder without a journal.
pub(crate) struct NoJournal;

impl DeadLetters for NoJournal {
    fn list(&self, _connection: Option<&str>, _after: u64, _max: usize) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    fn show(&self, _id: u64) -> Result<Option<DeadRecord>> {
        Ok(None)
    }

    fn replay(&self, _ids: &[u64]) -> Result<Vec<u64>> {
        Ok(Vec::new())
    }

    fn delete(&self, _ids: &[u64]) -> Result<usize> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{LettersRequest, NoJournal, Selection, answer};
    use crate::error::Error;
    use crate::inbox::conformance::{MemoryInbox, delivery};
    use crate::inbox::{Cause, Failure};
    use crate::inbox::{Consumer, Inbox};

    async fn letters() -> MemoryInbox {
        let inbox = MemoryInbox::default();
        for connection in ["acme", "other", "acme"] {
            let seq = inbox.append(connection, delivery(connection)).await.expect("appended");
            let failure = Failure::of(Cause::Refused, &Error::data("unusable"), 1, 7);
            inbox.of(connection).give_up(seq, failure).expect("given up");
        }
        inbox
    }

    fn of(connection: &str) -> Option<String> {
        Some(connection.to_owned())
    }

    #[tokio::test]
    async fn a_connection_limits_every_request_to_its_own() {
        let inbox = letters().await;
        let all = |connection| Selection { all: true, connection, ..Selection::default() };
        let ids = |ids: &[u64], connection| Selection { ids: ids.to_vec(), connection, all: false };
        let list = answer(&inbox, &LettersRequest::List { connection: of("acme"), after: 1 });
        let list = list.expect("listed")["dead_letters"].clone();
        assert_eq!((list.as_array().map(Vec::len), &list[0]["id"]), (Some(1), &json!(3)));
        let shown = answer(&inbox, &LettersRequest::Show { connection: of("other"), id: 2 }).expect("shown");
        assert_eq!(shown["body"], "other");
        for request in [
            LettersRequest::Show { connection: of("acme"), id: 2 },
            LettersRequest::Drop(ids(&[1, 2], of("acme"))),
            LettersRequest::Replay(ids(&[2], of("acme"))),
        ] {
            let error = answer(&inbox, &request).expect_err("of another connection");
            assert_eq!(error.message, "dead letter 2: connection `acme` has none with this number");
        }
        let replayed = answer(&inbox, &LettersRequest::Replay(ids(&[3, 3], None))).expect("replayed");
        assert_eq!(replayed, json!({ "replayed": [3] }));
        let dropped = answer(&inbox, &LettersRequest::Drop(all(of("acme")))).expect("dropped");
        assert_eq!(dropped, json!({ "dropped": [1] }));
        assert_eq!(answer(&inbox, &LettersRequest::Drop(all(None))).expect("dropped")["dropped"], json!([2]));
    }

    #[test]
    fn without_a_journal_the_answers_have_the_same_shape() {
        let all = Selection { all: true, ..Selection::default() };
        let list = LettersRequest::List { connection: None, after: 0 };
        for (request, expected) in [
            (list, json!({ "dead_letters": [] })),
            (LettersRequest::Replay(all.clone()), json!({ "replayed": [] })),
            (LettersRequest::Drop(all), json!({ "dropped": [] })),
        ] {
            assert_eq!(answer(&NoJournal, &request).expect("answered"), expected);
        }
        answer(&NoJournal, &LettersRequest::Drop(Selection::default())).expect_err("nothing selected");
    }
}
