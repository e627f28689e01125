//! Values, names, comments, indexes and columns as a reader of the database finds them.

use super::{Case, case, change, commit, table};
use crate::change::Generation;
use crate::sinks::{Commit, Progress, Sink};

fn prepared(properties: &str) -> Option<Case> {
    let mut case = case()?;
    case.sink.prepare(&[table(properties)]).expect("prepared");
    Some(case)
}

const TYPES: &str = r#"{"id": {}, "n": {"type": "integer"}, "x": {"type": "number"},
    "b": {"type": "boolean"}, "t": {"type": "string", "format": "date-time"},
    "s": {"type": ["string", "null"], "title": "It's", "description": "a text"},
    "o": {"type": "object"}, "accountId": {"type": "string", "x-type": "id"}}"#;

#[test]
fn columns_are_typed_and_what_does_not_fit_is_in_the_json_alone() {
    let Some(mut case) = prepared(TYPES) else { return };
    let row = r#"{"n":"7","x":1.5,"b":true,"t":"2024-02-28T10:20:30+02:00","s":"é","o":{"a": [1]}}"#;
    let odd = r#"{"n":1e99,"x":1e400,"s":"a\u0000b","o":["\ud800"],"t":"-009000-01-01T00:00:00Z"}"#;
    let counts = commit(&mut case.sink, &[change("a", row, 1), change("b", odd, 1)], "c").expect("committed");
    assert_eq!((counts.inserted, counts.unconverted), (2, 5));
    let typed = "SELECT n + 1, x * 2, b AND true, t, s, o -> 'a', _source_updated_at \
                 FROM {s}.things_live WHERE id = 'a'";
    assert_eq!(case.query(typed), "8|3.0|t|2024-02-28 08:20:30+00|é|[1]|1970-01-01 00:00:00.005+00");
    let none = "SELECT n, x, s, o, t, _raw FROM {s}.things WHERE id = 'b'";
    assert_eq!(case.query(none), format!("null|null|null|null|null|{odd}"));
}

/// Numbers as a source may write them: money beyond the 15 digits of a double, and the ends of the range.
fn numbers() -> Vec<String> {
    let mut numbers: Vec<String> =
        ["0", "-0.0", "0.10", "-12345678901234567.89", "100000", "1e300", "-2.50E-7", "1.5e+3", "1e-308"]
            .map(str::to_owned)
            .into();
    numbers.push(format!("0.{}1", "0".repeat(290)));
    numbers.push(format!("{}.{}", "9".repeat(300), "7".repeat(690)));
    let mut number = 1_u64;
    for decimals in 0..100 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (whole, fraction) = (number >> (decimals % 64), number.to_string());
        numbers.push(format!("{whole}.{}", fraction.get(..decimals % 19 + 1).unwrap_or(&fraction)));
    }
    numbers
}

#[test]
fn a_number_has_each_digit_that_the_source_wrote_however_it_is_stored() {
    let Some(mut case) = prepared(TYPES) else { return };
    let of = |ids: &str| {
        let row = |(at, number): (usize, String)| {
            change(&format!("{ids}{at}"), &format!("{{\"x\":{number},\"y\":\"{number}\"}}"), 1)
        };
        numbers().into_iter().enumerate().map(row).collect::<Vec<_>>()
    };
    // As many as are copied, few enough to be upserted, and a column that is filled later.
    commit(&mut case.sink, &of("copied"), "c").expect("committed");
    for some in of("upserted").chunks(20) {
        assert_eq!(commit(&mut case.sink, some, "c").expect("committed").unconverted, 0);
    }
    let wider = TYPES.replacen('{', "{\"y\": {\"type\": \"number\"}, ", 1);
    case.sink.prepare(&[table(&wider)]).expect("prepared");
    let same = |column: &str| {
        let sent = format!("(_raw ->> '{column}')::numeric");
        format!("{column} = {sent} AND scale({column}) = scale({sent})")
    };
    let count = format!(
        "SELECT count(*), count(*) FILTER (WHERE {} AND {}) FROM {{s}}.things_live",
        same("x"),
        same("y")
    );
    let all = 2 * numbers().len();
    assert_eq!(case.query(&count), format!("{all}|{all}"));
    assert_eq!(case.query("SELECT x FROM {s}.things WHERE id = 'upserted3'"), "-12345678901234567.89");
}

#[test]
fn the_widest_rows_of_the_longest_numbers_are_stored() {
    let member = |n: usize| (format!("\"n{n}\":{{\"type\":\"number\"}}"), format!("\"n{n}\":{}", long(n)));
    let (properties, row): (Vec<String>, Vec<String>) = (0..300).map(member).unzip();
    let Some(mut case) = prepared(&format!("{{{}}}", properties.join(","))) else { return };
    let row = format!("{{{}}}", row.join(","));
    assert_eq!(commit(&mut case.sink, &[change("a", &row, 1)], "c").expect("committed").unconverted, 0);
    assert_eq!(case.query("SELECT n279 FROM {s}.things_live"), long(279));
}

/// A number of a thousand characters.
fn long(n: usize) -> String {
    let digits = "0123456789".repeat(100);
    format!("1{n:03}.{}", &digits[..995])
}

#[test]
fn comments_come_from_the_schema() {
    let Some(place) = super::test_place() else { return };
    let settings = super::settings(place.location.clone());
    let mut sink = super::Postgres::open(&settings).expect("opened");
    sink.prepare(&[table(TYPES)]).expect("prepared");
    let case = Case { sink, settings, place };
    let comments = "SELECT obj_description('{s}.things'::regclass), \
                    col_description('{s}.things'::regclass, attnum) FROM pg_attribute \
                    WHERE attrelid = '{s}.things'::regclass AND attname = 's'";
    assert_eq!(case.query(comments), "Things|It's: a text");
}

/// The indexes of the table besides that of its key.
fn indexes(case: &Case) -> String {
    let (_, schema) = case.settings.location.as_schema().expect("a schema");
    case.query(&format!(
        "SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = 'things' \
         AND indexname <> '_sync_key_things' ORDER BY 1"
    ))
}

#[test]
fn indexes_for_readers_come_when_the_first_snapshot_is_complete() {
    let Some(mut case) = prepared(TYPES) else { return };
    let all = "_sync_index_things._source_updated_at _sync_index_things.accountId";
    let batch = |case: &mut Case, complete| {
        let generation = Some(Generation { id: 7, as_of_ms: Some(1), complete });
        let progress = Progress::Table { name: "things", cursor: "c", generation };
        let commit = Commit { changes: &[change("a", "{}", 1)], progress, as_of_ms: 1, epoch: 0 };
        case.sink.commit(&commit).expect("committed");
    };
    batch(&mut case, false);
    assert_eq!(indexes(&case), "");
    batch(&mut case, true);
    assert_eq!(indexes(&case), all);
    // As if the process had ended in between.
    case.query("DROP INDEX {s}.\"_sync_index_things.accountId\"");
    let mut case = case.reopened();
    case.sink.prepare(&[table(TYPES)]).expect("prepared");
    assert_eq!(indexes(&case), all);
}

#[test]
fn indexes_for_readers_come_with_the_first_change_where_no_snapshot_is_ever_complete() {
    let Some(mut case) = prepared(TYPES) else { return };
    commit(&mut case.sink, &[change("a", "{}", 1)], "c").expect("committed");
    assert_eq!(indexes(&case), "_sync_index_things._source_updated_at _sync_index_things.accountId");
}

#[test]
fn a_new_column_is_filled_for_old_rows_also_after_a_crash() {
    let Some(mut case) = case() else { return };
    let rows: Vec<_> = (0..2_500).map(|n| change(&format!("{n}"), &format!("{{\"n\":{n}}}"), 1)).collect();
    commit(&mut case.sink, &rows, "c").expect("committed");
    case.sink.prepare(&[table("{\"n\": {\"type\": \"integer\"}}")]).expect("prepared");
    assert_eq!(case.query("SELECT count(n), sum(n) FROM {s}.things_live"), "2500|3123750");
    // As if the process had ended in between.
    case.query("UPDATE {s}.things SET n = NULL WHERE id > '5'");
    case.query("UPDATE {s}._sync_columns SET filled = 0");
    let written = "SELECT xmin FROM {s}.things WHERE id = '1'";
    let before = case.query(written);
    let Case { sink, settings, place } = case;
    drop(sink);
    let sink = super::Postgres::open(&settings).expect("opened again");
    let case = Case { sink, settings, place };
    assert_eq!(case.query("SELECT count(n), sum(n) FROM {s}.things_live"), "2500|3123750");
    assert_eq!(case.query("SELECT filled FROM {s}._sync_columns"), "1");
    assert_eq!(case.query(written), before, "a filled row is not written again");
}

/// A whole snapshot of one row.
fn snapshot(case: &mut Case) {
    let generation = Some(Generation { id: 7, as_of_ms: Some(1), complete: true });
    let progress = Progress::Table { name: "things", cursor: "c", generation };
    let commit = Commit { changes: &[change("a", "{\"n\":1}", 1)], progress, as_of_ms: 1, epoch: 0 };
    case.sink.commit(&commit).expect("committed");
}

#[test]
fn a_table_that_a_user_dropped_is_created_again_and_read_from_its_start() {
    let Some(mut case) = prepared(TYPES) else { return };
    snapshot(&mut case);
    case.query("DROP TABLE {s}.things CASCADE");
    let error = commit(&mut case.sink, &[change("b", "{\"n\":2}", 2)], "d").expect_err("committed");
    assert_eq!((error.kind, error.code.as_deref()), (crate::error::Kind::Config, Some("42P01")), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("A table is created again")));
    let mut case = case.reopened();
    assert_eq!(case.cursor(), None);
    case.sink.prepare(&[table(TYPES)]).expect("prepared");
    snapshot(&mut case);
    assert_eq!(case.query("SELECT id, n FROM {s}.things_live"), "a|1");
    assert_eq!(case.cursor().as_deref(), Some("c"));
}

#[test]
fn a_view_that_a_user_dropped_comes_back() {
    let Some(mut case) = prepared(TYPES) else { return };
    snapshot(&mut case);
    case.query("DROP VIEW {s}.things_live");
    let mut case = case.reopened();
    case.sink.prepare(&[table(TYPES)]).expect("prepared");
    assert_eq!(case.query("SELECT id, n FROM {s}.things_live"), "a|1");
    assert_eq!(case.cursor().as_deref(), Some("c"));
}

#[test]
fn long_names_and_the_widest_rows_are_stored() {
    let name =
        |n: usize| format!("{}{n}", "a_name_of_a_member_that_is_longer_than_a_name_of_a_column_".repeat(2));
    let (mut properties, mut row) = (Vec::new(), Vec::new());
    for n in 0..2_000 {
        properties.push(format!("\"{}\":{{\"type\":\"string\"}}", name(n)));
        // As long as a value can be that stays in the page.
        row.push(format!("\"{}\":\"{n:023}\"", name(n)));
    }
    let Some(mut case) = prepared(&format!("{{{}}}", properties.join(","))) else { return };
    let row = format!("{{{}}}", row.join(","));
    commit(&mut case.sink, &[change("a", &row, 1)], "c").expect("committed");
    let columns = "SELECT count(*) FROM pg_attribute \
                   WHERE attrelid = '{s}.things'::regclass AND attname LIKE 'a_name%'";
    assert_eq!(case.query(columns), "280");
    assert_eq!(case.query("SELECT length(_raw::text) FROM {s}.things_live"), row.len().to_string());
}

#[test]
fn a_row_of_a_user_with_the_key_of_a_new_one_is_replaced() {
    let Some(mut case) = case() else { return };
    case.query("INSERT INTO {s}.things (id, _change_source, _raw) VALUES ('7', 'mine', '{}')");
    let rows: Vec<_> = (0..200).map(|n| change(&format!("{n}"), &format!("{{\"n\":{n}}}"), 1)).collect();
    assert_eq!(commit(&mut case.sink, &rows, "c").expect("committed").inserted, 200);
    assert_eq!(case.query("SELECT count(*) FROM {s}.things_live"), "200");
    assert_eq!(case.query("SELECT _raw FROM {s}.things WHERE id = '7'"), "{\"n\":7}");
}

#[test]
fn rows_that_cannot_be_stored_are_refused_with_their_key() {
    let Some(mut case) = case() else { return };
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let error = commit(&mut case.sink, &[change("a", &deep, 1)], "c").expect_err("stored");
    assert_eq!(error.message, "table `things`: row a: nests too deep for PostgreSQL");
    let error = commit(&mut case.sink, &[change(&"k".repeat(3_000), "{}", 1)], "c").expect_err("stored");
    assert!(error.message.ends_with("3000 bytes, and PostgreSQL indexes at most 2400"), "{error}");
    let longest: String = (0..2_400_u32).map(|n| char::from(b'a' + (n.wrapping_mul(n) % 26) as u8)).collect();
    let deepest = format!("{{\"a\":{}{}}}", "[".repeat(999), "]".repeat(999));
    commit(&mut case.sink, &[change(&longest, &deepest, 1)], "c").expect("committed");
}

#[test]
fn a_value_that_an_index_cannot_hold_is_a_matter_of_the_database() {
    let Some(mut case) = case() else { return };
    case.sink.prepare(&[table("{\"accountId\": {\"type\": \"string\"}}")]).expect("prepared");
    case.query("CREATE INDEX mine ON {s}.things (\"accountId\")");
    // Nothing that compresses.
    let mut number = 1_u64;
    let mut letter = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'A' + (number >> 33) as u8 % 26)
    };
    let long: String = (0..6_000).map(|_| letter()).collect();
    let row = [change("a", &format!("{{\"accountId\":\"{long}\"}}"), 1)];
    let error = commit(&mut case.sink, &row, "c").expect_err("stored");
    assert_eq!((error.kind, error.code.as_deref()), (crate::error::Kind::Config, Some("54000")), "{error}");
    assert!(error.message.contains("\"mine\""), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("drop the one that the message names")));
    case.query("DROP INDEX {s}.mine");
    commit(&mut case.sink, &row, "c").expect("committed");
}
