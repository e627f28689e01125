//! Tests of the boundary that need no component, and the table of `docs/SECURITY.md`.

use super::limits::{self, ALL, Unit};
use super::{batch, clean, clean_lines, error, receipt, tables};
use crate::bindings::{source, types, webhook};
use crate::describe::Describe;
use crate::generated;
use crate::secret::Redactor;
use crate::units::format_bytes;

fn cleaned(text: &str, max: usize) -> String {
    let mut text = text.to_owned();
    clean(&mut text, max);
    text
}

fn empty() -> types::Batch {
    types::Batch {
        changes: Vec::new(),
        cursor: String::new(),
        generation: None,
        listings: Vec::new(),
        caught_up: true,
        wait_ms: None,
        undelivered: None,
        attributes: Vec::new(),
    }
}

#[test]
fn names_are_one_line_and_further_lines_of_messages_are_indented() {
    let mut message = "2 problems\n  a\n2026-11-23 INFO at work\r\u{1b}[2J".to_owned();
    clean_lines(&mut message);
    assert_eq!(message, "2 problems\n  a\n  2026-11-23 INFO at work[2J");
    assert_eq!(cleaned("a\n2026-11-23 INFO\tat work\r\u{1b}[2J\u{85}", 100), "a 2026-11-23 INFO at work[2J");
    assert_eq!(cleaned("grüße 漢字", 100), "grüße 漢字");
}

#[test]
fn a_text_is_cut_between_words_so_that_no_part_of_a_secret_is_left() {
    assert_eq!(cleaned("the token is 1000.abcdef", 20), "the token is…");
    assert_eq!(cleaned("1000.abcdefghijklmnop", 10), "…");
    assert_eq!(cleaned("ü ü ü", 4), "ü…", "not within a character");
    assert_eq!(cleaned("exactly", 7), "exactly");
}

#[test]
fn an_error_is_cut_and_its_wait_is_finite() {
    let long = "word ".repeat(100_000);
    let mut failed = types::Error {
        kind: types::ErrorKind::Data,
        code: Some(long.clone()),
        message: long.clone(),
        hint: Some(long.clone()),
        retry_after_ms: Some(u64::MAX),
        attributes: vec![(long.clone(), long); 100],
    };
    error(&mut failed, &Redactor::default());
    let texts = [failed.message, failed.hint.expect("a hint"), failed.code.expect("a code")];
    assert!(texts.iter().all(|text| text.len() <= limits::TEXT.max + 3), "{texts:?}");
    assert_eq!(failed.attributes.len(), limits::ATTRIBUTES.max);
    assert!(failed.attributes.iter().all(|(name, value)| name.len().max(value.len()) < 1_100));
    assert_eq!(failed.retry_after_ms, Some(31 * 24 * 3600 * 1000));
}

#[test]
fn secrets_are_taken_out_before_a_text_is_cut_or_indented() {
    let redactor = Redactor::default();
    redactor.learn("acme", "correct\nhorse battery");
    let secret = "correct\nhorse battery";
    let failed = |message: String| {
        let mut failed = types::Error {
            kind: types::ErrorKind::Data,
            code: Some(secret.to_owned()),
            message,
            hint: None,
            retry_after_ms: None,
            attributes: vec![("warning".to_owned(), secret.to_owned())],
        };
        error(&mut failed, &redactor);
        failed
    };
    let whole = failed(format!("secret {secret}"));
    assert_eq!(whole.message, "secret [secret]");
    assert_eq!((whole.code.as_deref(), whole.attributes[0].1.as_str()), (Some("[secret]"), "[secret]"));
    for before in limits::TEXT.max - 40..limits::TEXT.max {
        let cut = failed(format!("{} {secret} {}", "x".repeat(before), "word ".repeat(2_000)));
        assert!(!cut.message.contains("correct") && !cut.message.contains("horse"), "{}", cut.message);
    }
}

#[test]
fn a_wait_and_ignored_events_are_bounded() {
    let mut waiting = types::Batch { wait_ms: Some(u64::MAX), ..empty() };
    batch(&mut waiting, 1, &Redactor::default()).expect("accepted");
    assert_eq!(waiting.wait_ms, Some(31 * 24 * 3600 * 1000));
    let ignored = vec![("ignored".to_owned(), "x".repeat(5_000)); 5_000];
    let mut ignoring = webhook::Receipt { changes: Vec::new(), attributes: ignored };
    receipt(&mut ignoring, &Redactor::default()).expect("accepted");
    assert_eq!(ignoring.attributes.len(), limits::RECEIPT_ATTRIBUTES.max);
}

#[test]
fn a_batch_may_be_as_large_as_twice_what_was_asked_for() {
    let change = types::Change {
        table: "things".to_owned(),
        operation: types::Operation::Read,
        key: "{}".to_owned(),
        before: None,
        after: None,
        partial: false,
        source: types::ChangeSource::Snapshot,
        source_updated_at_ms: None,
        as_of_ms: None,
        id: String::new(),
        attributes: Vec::new(),
    };
    let mut large = types::Batch { changes: vec![change; 30_000], ..empty() };
    assert!(batch(&mut large, 15_000, &Redactor::default()).is_ok());
    let refused = batch(&mut large, 14_999, &Redactor::default()).expect_err("too many");
    assert_eq!(refused.message, "read: changes of a batch: 30000, and at most 29998 are accepted");
}

#[test]
fn listings_are_refused_beyond_their_limits() {
    let listing = |keys: usize| types::Listing {
        parent: "{\"of\":\"1\"}".to_owned(),
        keys: vec!["{\"id\":\"1\"}".to_owned(); keys],
        as_of_ms: 1,
    };
    let taken = |listings: Vec<types::Listing>, max_rows| {
        let taken = batch(&mut types::Batch { listings, ..empty() }, max_rows, &Redactor::default());
        taken.map_err(|error| error.message)
    };
    assert_eq!(taken(vec![listing(1); 10_000], 1), Ok(()));
    assert_eq!(taken(vec![listing(0); 30_000], 15_000), Ok(()));
    assert_eq!(taken(vec![listing(10_000); 2], 1), Ok(()));
    let long = || format!("{{\"of\":\"{}\"}}", "x".repeat(limits::KEY.max));
    for (listings, refused) in [
        (vec![listing(0); 10_001], "listings of a batch: 10001, and at most 10000 are accepted"),
        (vec![listing(20_001)], "keys of the listings of a batch: 20001, and at most 20000 are accepted"),
        (
            vec![types::Listing { parent: long(), ..listing(1) }],
            "parent of a listing: 17KiB, and at most 16KiB are accepted",
        ),
        (
            vec![types::Listing { keys: vec![long()], ..listing(0) }],
            "key of a row: 17KiB, and at most 16KiB are accepted",
        ),
    ] {
        assert_eq!(taken(listings, 1), Err(format!("read: {refused}")));
    }
}

#[test]
fn names_of_tables_that_a_sink_may_use_itself_are_refused() {
    let named = |name: &str| {
        let schema = "{}".to_owned();
        let (name, primary_key, attributes) = (name.to_owned(), vec!["id".to_owned()], Vec::new());
        let table = source::Table { name, primary_key, schema, schema_complete: true, attributes };
        tables(&mut [table], &Redactor::default())
    };
    for name in ["things", "things_live", "7-things.v2"] {
        named(name).expect("plain");
    }
    for name in ["_sync_state", "_SYNC_rows_things", "_", ".", "..", ".hidden"] {
        let refused = named(name).expect_err("the sink's");
        assert_eq!(
            refused.message,
            format!("discover: table `{name}`: a name starts with a letter, a digit or `-`")
        );
    }
}

#[test]
fn a_description_is_measured_before_it_is_parsed() {
    // No configuration changes a description; this is the text that a component would return.
    let text = format!("{{\"name\":\"x\",\"configuration\":[{}0]}}", "0,".repeat(600_000));
    let refused = Describe::parse(&text).expect_err("too long");
    assert_eq!(refused.message, "describe: description: 1172KiB, and at most 1MiB are accepted");
}

#[test]
fn the_page_lists_every_limit_of_the_boundary_as_it_is() {
    let mut made = "| what | at most | reason |\n|---|---|---|\n".to_owned();
    for limit in ALL {
        let max = match limit.unit {
            Unit::Bytes => format_bytes(limit.max as u64),
            Unit::Count => limit.max.to_string(),
        };
        made.push_str(&format!("| {} | {max} | {} |\n", limit.what, limit.reason));
    }
    generated::compare("SECURITY.md", "limits of the boundary", &made);
}
