//! Values beyond what a host accepts, one kind for each limit of its boundary.

use super::bindings::exports::connector::source::source::{CheckItem, Outcome, Table};
use super::bindings::exports::connector::source::types::{Batch, Change, Error, ErrorKind, Listing};
use super::bindings::exports::connector::source::webhook::Receipt;
use super::bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse};
use crate::config::Crosses;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a terminal or a log would take for something else.
const FORGED: &str = "\n2026-11-23T12:00:00Z  INFO at work connection=bank\u{1b}[2J";

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn listing(parent: String, keys: usize) -> Listing {
    Listing { parent, keys: vec!["{\"id\":\"1\"}".into(); keys], as_of_ms: 1 }
}

/// `read` crosses a limit of a batch, of an error, or of the host's memory.
pub(super) fn read(crosses: Crosses, batch: &mut Batch) -> Result<(), Error> {
    match crosses {
        Crosses::Changes => multiply(&mut batch.changes, 10_001),
        Crosses::Listings => batch.listings = vec![listing("{\"id\":\"0\"}".into(), 0); 10_001],
        Crosses::ListedKeys => batch.listings = vec![listing("{\"id\":\"0\"}".into(), 20_001)],
        Crosses::Parent => batch.listings = vec![listing(format!("{{\"id\":\"{}\"}}", long(16 * KIB)), 0)],
        Crosses::Cursor => batch.cursor = format!("{{\"x\":\"{}\"}}", long(4096 * KIB)),
        Crosses::Key => {
            first(&mut batch.changes, |change| change.key = format!("{{\"id\":\"{}\"}}", long(16 * KIB)))
        }
        Crosses::ChangeId => first(&mut batch.changes, |change| change.id = long(3 * KIB)),
        Crosses::ChangeTable => first(&mut batch.changes, |change| change.table = FORGED.into()),
        Crosses::Attributes => {
            batch.attributes = vec![("warning".into(), format!("{FORGED}{}", long(4 * KIB))); 4_000];
        }
        Crosses::Wait => batch.wait_ms = Some(u64::MAX),
        Crosses::Message => return Err(message()),
        Crosses::Methods => {
            let refused = keep(|request| request.set_method(&Method::Other(long(4 * MIB))).is_err());
            return Err(outcome(refused, "a method"));
        }
        Crosses::Authorities => {
            let refused = keep(|request| request.set_authority(Some(&long(4 * MIB))).is_err());
            return Err(outcome(refused, "an authority"));
        }
        Crosses::Fields => {
            let mut kept = Vec::new();
            loop {
                let fields = Fields::new();
                let _set = fields.append("x", long(30 * KIB).as_bytes());
                kept.push(fields);
            }
        }
        Crosses::Clones => {
            let fields = Fields::new();
            let _set = fields.append("x", long(30 * KIB).as_bytes());
            let mut kept = Vec::new();
            loop {
                let copy = fields.clone();
                let _set = copy.append("y", b"z");
                kept.push(copy);
            }
        }
        Crosses::Responses => {
            let mut kept = Vec::new();
            loop {
                let response = OutgoingResponse::new(Fields::new());
                kept.push((response.body(), response));
            }
        }
        // Far more than the limit in all, and little at a time: nothing is refused.
        Crosses::Dropped => {
            for _ in 0..10_000 {
                let fields = Fields::new();
                let _set = fields.append("x", long(30 * KIB).as_bytes());
                let request = OutgoingRequest::new(fields);
                drop(request.body());
            }
        }
        // Different ones in each batch, without end.
        Crosses::Warnings => {
            let warning = |number| ("warning".into(), format!("{} {number} {}", batch.cursor, long(KIB)));
            batch.attributes = (0..32).map(warning).collect();
        }
        Crosses::Credits => {
            let count = |name: &str| (name.to_owned(), u64::MAX.to_string());
            batch.attributes = vec![count("credits-used"), count("partial-rows")];
        }
        Crosses::NestedSecrets => {
            batch.attributes = vec![("warning".into(), "a".repeat(124 * KIB)); 32];
        }
        // Each is laid over the row before it.
        Crosses::Partial => {
            multiply(&mut batch.changes, 200);
            for (number, change) in batch.changes.iter_mut().enumerate() {
                let member = |member: usize| format!("\"m{member}\":{number},");
                let members: String = (0..2_000).map(member).collect();
                change.partial = number > 0;
                change.as_of_ms = Some(number as u64);
                change.after = Some(format!("{{{members}\"id\":\"0\"}}"));
            }
        }
        // Given to the host with a body that is complete, and never to be sent.
        Crosses::Trailers => {
            for _ in 0..100_000 {
                let request = OutgoingRequest::new(Fields::new());
                let Ok(body) = request.body() else { continue };
                let trailers = Fields::new();
                let _set = trailers.append("x", long(30 * KIB).as_bytes());
                let _finished = OutgoingBody::finish(body, Some(trailers));
            }
        }
        Crosses::WideRow => each(&mut batch.changes, |change| {
            change.after = Some(format!("{{\"id\":\"0\",\"a\":[0{}]}}", ",0".repeat(12 * MIB)));
        }),
        Crosses::FileName => each(&mut batch.changes, |change| {
            let name = "word ".repeat(200 * KIB);
            change.after =
                change.after.take().map(|row| row.replacen("\"name\":\"", &format!("\"name\":\"{name}"), 1));
        }),
        _ => {}
    }
    Ok(())
}

/// Whether one of many requests refuses a long text; all are kept.
fn keep(refuses: impl Fn(&OutgoingRequest) -> bool) -> bool {
    let requests: Vec<OutgoingRequest> = (0..64).map(|_| OutgoingRequest::new(Fields::new())).collect();
    requests.iter().any(refuses)
}

fn outcome(refused: bool, what: &str) -> Error {
    let said = if refused { "the host refused" } else { "the host kept" };
    super::error(ErrorKind::Data, &format!("{said} {what} of 4 MiB"))
}

/// An error with everything too long, and forged lines.
pub(super) fn message() -> Error {
    let text = format!("it failed{FORGED} {}", "word ".repeat(200 * KIB));
    let mut failed = super::error(ErrorKind::Data, &text);
    failed.hint = Some(text.clone());
    failed.code = Some(text.clone());
    failed.attributes = vec![(text.clone(), text)];
    failed
}

/// `discover` crosses a limit of tables.
pub(super) fn discover(crosses: Crosses, tables: &mut Vec<Table>) {
    let Some(table) = tables.first_mut() else { return };
    match crosses {
        Crosses::Tables => {
            let copy = |number: usize| Table { name: format!("t{number}"), ..table.clone() };
            *tables = (0..1_001).map(copy).collect();
        }
        Crosses::TableName => table.name = "x".repeat(129),
        Crosses::TablePath => table.name = "../outside".into(),
        Crosses::Schema => table.schema = format!("{{\"x\":\"{}\"}}", long(MIB)),
        Crosses::PathParts => {
            let path = "/a".repeat(100_000);
            table.schema = format!("{{\"properties\":{{\"deep\":{{\"x-path\":\"{path}\"}}}}}}");
        }
        // One name to most databases.
        Crosses::ColumnNames => {
            let letter = |bit: bool| if bit { 'A' } else { 'a' };
            let spelling =
                |number: usize| -> String { (0..11).map(|bit| letter(number >> bit & 1 == 1)).collect() };
            let properties: Vec<String> =
                (0..1_900).map(|number| format!("\"{}\":{{}}", spelling(number))).collect();
            table.schema = format!("{{\"properties\":{{{}}}}}", properties.join(","));
            let copy = |number: usize| Table { name: format!("t{number}"), ..table.clone() };
            *tables = std::iter::once(table.clone()).chain((0..20).map(copy)).collect();
        }
        Crosses::KeyMembers => table.primary_key = (0..17).map(|number| format!("k{number}")).collect(),
        Crosses::KeyName => table.primary_key = vec![long(129)],
        _ => {}
    }
}

/// A session of many secrets: too many, or others in each call, or such that each contains the ones before.
pub(super) fn session(crosses: Crosses, now_ms: u64) -> Option<String> {
    let secrets: Vec<String> = match crosses {
        Crosses::Session => (0..10_000).map(|number| format!("secret-{number}")).collect(),
        Crosses::SessionTexts => (0..1_500).map(|number| format!("secret-{now_ms}-{number:012}")).collect(),
        Crosses::NestedSecrets => {
            let quotes = "\"".repeat(28 * KIB);
            (8..71).map(|bytes| "a".repeat(bytes)).chain([quotes]).collect()
        }
        _ => return None,
    };
    Some(serde_json::json!(secrets).to_string())
}

/// Check items, and words in them.
pub(super) fn check_items(crosses: Crosses) -> Vec<CheckItem> {
    let item = CheckItem {
        name: "item".into(),
        outcome: Outcome::Passed,
        message: format!("{FORGED}{}", "word ".repeat(KIB)),
        hint: None,
        kind: None,
    };
    match crosses {
        Crosses::CheckItems => vec![item; 101],
        Crosses::Message => vec![item],
        _ => Vec::new(),
    }
}

/// The answer of a command, or a subscription.
pub(super) fn answer(bytes: usize) -> String {
    format!("\"{}\"", long(bytes))
}

/// `receive` crosses a limit of a receipt.
pub(super) fn receive(crosses: Crosses, receipt: &mut Receipt) -> Result<(), Error> {
    match crosses {
        Crosses::ReceiptChanges => multiply(&mut receipt.changes, 10_001),
        Crosses::ReceiptAttributes => {
            receipt.attributes = (0..20_000).map(|number| ("ignored".into(), format!("e{number}"))).collect();
        }
        Crosses::Message => return Err(message()),
        Crosses::NestedSecrets => {
            receipt.attributes = vec![("ignored".into(), "a".repeat(124 * KIB)); 64];
        }
        _ => {}
    }
    Ok(())
}

fn first(changes: &mut [Change], change: impl FnOnce(&mut Change)) {
    if let Some(first) = changes.first_mut() {
        change(first);
    }
}

fn each(changes: &mut [Change], change: impl FnMut(&mut Change)) {
    changes.iter_mut().for_each(change);
}

fn multiply(changes: &mut Vec<Change>, count: usize) {
    if let Some(one) = changes.first().cloned() {
        *changes = vec![one; count];
    }
}
