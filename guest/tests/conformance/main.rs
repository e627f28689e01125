//! One suite over every table that the connector describes: a new table is tested without being named here.
//! The rows are compared with the truth of the simulator, which shares no code with the connector.

mod departments;
mod events;
mod flat;
mod followed;
mod made_up;
mod parts;
mod plan;
mod portal;
mod sink;
mod verification;
mod worlds;

use std::collections::BTreeMap;

use desk_simulator::{Rule, RuleAnswer, Sizes, TruthQuery};
use serde_json::{Map, Value, json};
use zoho_desk::check::Outcome;
use zoho_desk::error::Kind;
use zoho_desk::time;

use crate::portal::{Portal, sizes};
use crate::sink::Sink;

const AFTER_CHANGES: &str = "after changes";
/// Hours between the first read and the one after changes.
const HOURS_AFTER: u64 = 26;

type Rows = BTreeMap<String, Map<String, Value>>;

/// A table as `describe` has it.
struct Table {
    name: String,
    is_core: bool,
    is_searched: bool,
    /// It is read by snapshots alone.
    is_refreshed: bool,
    /// Hours after which a table without a search is read again.
    refresh_hours: u64,
    key: Vec<String>,
    /// The table under whose rows its rows are listed.
    parent: Option<String>,
}

fn tables() -> Vec<Table> {
    made_up::declare();
    let document = zoho_desk::describe::document();
    let text = |table: &Value, member: &str| table[member].as_str().unwrap().to_owned();
    let of = |table: &Value| Table {
        name: text(table, "name"),
        is_core: table["group"] == "core",
        is_searched: table["incremental"] == "search",
        is_refreshed: table["incremental"] == "full-refresh",
        refresh_hours: table["refresh_ms"].as_u64().unwrap_or_default() / 3_600_000,
        parent: table["parent"].as_str().map(str::to_owned),
        key: table["primary_key"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect(),
    };
    document["tables"].as_array().unwrap().iter().map(of).collect()
}

/// The live rows of a table, by the values of its key.
fn truth(portal: &Portal, table: &Table) -> Rows {
    if table.name == "webhooks" {
        return Rows::new();
    }
    let query = TruthQuery { detail: true, omit: Vec::new() };
    let lines = portal.simulator.truth(&table.name, query);
    let lines = lines.unwrap_or_else(|| panic!("{}: the simulator has no truth of it", table.name));
    let parse = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        Some((line["id"].as_str()?.to_owned(), line["row"].as_object()?.clone()))
    };
    lines.iter().filter_map(parse).collect()
}

/// The rows of a sink under the names that the truth gives them.
fn read(sink: &Sink, table: &Table) -> Rows {
    let name = |row: &Map<String, Value>| match table.name.as_str() {
        // Events have no id in the API.
        "ticket_history" => format!(
            "{} {} {} {}",
            row["ticketId"].as_str().unwrap(),
            row["eventName"],
            row["eventTime"],
            row["eventInfo"]
        ),
        _ => {
            let values = table.key.iter().map(|key| match &row[key] {
                Value::String(text) => text.clone(),
                Value::Number(id) => id.to_string(),
                _ => panic!("{key}: {row:?}"),
            });
            values.collect::<Vec<_>>().join("-")
        }
    };
    sink.rows.values().map(|row| (name(row), row.clone())).collect()
}

/// The value with ids and times as text, as one of both readings has them.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::Object(members) => {
            let text = |(name, value): (&String, &Value)| match value {
                Value::Number(id) if name == "id" => (name.clone(), id.to_string().into()),
                Value::Number(ms) if name == "deletedTime" => {
                    (name.clone(), time::format(ms.as_u64().unwrap()).into())
                }
                value => (name.clone(), as_text(value)),
            };
            Value::Object(members.iter().map(text).collect())
        }
        value => value.clone(),
    }
}

/// Fails when the sink lacks a row, has one too many, or has another value of a member.
fn check(portal: &Portal, sink: &Sink, table: &Table, when: &str) {
    if when == AFTER_CHANGES && table.refresh_hours > HOURS_AFTER {
        return; // It is not read again yet.
    }
    let (expected, found) = (truth(portal, table), read(sink, table));
    let name = &table.name;
    let missing: Vec<&String> = expected.keys().filter(|key| !found.contains_key(*key)).collect();
    let surplus: Vec<&String> = found.keys().filter(|key| !expected.contains_key(*key)).collect();
    let says = || format!("{name}, {when}: {} rows of {}; {:?}", found.len(), expected.len(), sink.warnings);
    // Activities do not modify their ticket, and the verification finds deletes in custom modules.
    let is_missing_late = when == AFTER_CHANGES && name == "ticket_activities";
    let is_late = is_missing_late || (when == AFTER_CHANGES && name == "custom_records");
    assert!(
        (missing.is_empty() || is_missing_late) && (surplus.is_empty() || is_late),
        "{}\nmissing {missing:?}\nsurplus {surplus:?}",
        says()
    );
    assert_eq!(found.len(), sink.rows.len(), "{name}, {when}: keys are not distinct");
    for (key, row) in &sink.rows {
        let pairs: Map<String, Value> = serde_json::from_str(key).unwrap();
        let names: Vec<&String> = pairs.keys().collect();
        assert!(names.iter().copied().eq(&table.key), "{name}: {key}");
        assert!(
            pairs.iter().all(|(name, value)| {
                row.get(name).is_some_and(|found| found == value || value == &found.to_string())
            }),
            "{name}: {key} is not of {row:?}"
        );
    }
    if table.is_core {
        return; // Its members are compared by the tests of `tests/e2e`.
    }
    for (key, expected) in expected.iter().filter(|(key, _)| found.contains_key(*key)) {
        let row = as_text(&Value::Object(found[key].clone()));
        for (member, value) in expected {
            assert_eq!(row.get(member), Some(value), "{name}, {when}: {key}: `{member}`");
        }
        let more: Vec<&String> = found[key].keys().filter(|member| !expected.contains_key(*member)).collect();
        assert!(more.is_empty() || more == ["id"], "{name}, {when}: {key}: {more:?}");
    }
}

#[test]
fn every_table_equals_the_truth_however_small_its_batches_are() {
    let mut portal = Portal::start(sizes(None));
    for table in tables() {
        let mut whole = Sink::default();
        whole
            .read(&mut portal, &table.name, 10_000)
            .unwrap_or_else(|error| panic!("{}: {error}", table.name));
        check(&portal, &whole, &table, "in large batches");
        assert_eq!(whole.snapshots, [true], "{}: {:?}", table.name, whole.warnings);
        let mut resumed = Sink::default();
        resumed.read(&mut portal, &table.name, 3).unwrap();
        check(&portal, &resumed, &table, "resumed at every cursor");
    }
}

#[test]
fn lists_of_every_length_are_read_whole() {
    // None, one, and one less than, exactly and one more than a page of the lists there are.
    for more in [0, 1, 50, 51, 99, 100, 201] {
        let tickets = more.min(60);
        let size = |least: u32| more.max(least);
        let sizes = desk_simulator::Sizes {
            tickets,
            archived_tickets: more,
            departments: 1,
            agents: size(1),
            contacts: size(1),
            accounts: size(1).min(60),
            products: 0,
            contracts: 0,
            ..sizes(Some(more))
        };
        let mut portal = Portal::start(sizes);
        for table in tables().into_iter().filter(|table| !table.is_core) {
            let mut sink = Sink::default();
            sink.read(&mut portal, &table.name, 10_000)
                .unwrap_or_else(|error| panic!("{} of {more}: {error}", table.name));
            check(&portal, &sink, &table, &format!("{more} rows"));
            assert_eq!(sink.snapshots, [true], "{} of {more}: {:?}", table.name, sink.warnings);
        }
    }
}

#[test]
fn lists_that_one_description_pages_and_another_does_not_are_read_whole_in_both() {
    for (page, more) in
        [(Some(50), 49), (Some(50), 50), (Some(50), 51), (Some(50), 120), (Some(100), 100), (None, 50)]
    {
        let sizes = desk_simulator::Sizes { tickets: 3, departments: 1, ..sizes(Some(more)) };
        let mut portal = Portal::start(sizes);
        portal.simulator.set(|settings| settings.readings.unpaged_page = page);
        for name in ["support_plans", "profiles", "channels"] {
            let table = tables().into_iter().find(|table| table.name == name).unwrap();
            let mut sink = Sink::default();
            sink.read(&mut portal, name, 10_000).unwrap();
            check(&portal, &sink, &table, &format!("{more} rows, pages of {page:?}"));
            assert_eq!(sink.snapshots, [true], "{name} of {more}: {:?}", sink.warnings);
        }
    }
}

#[test]
fn archived_tickets_are_read_to_the_cap_of_their_list() {
    let mut portal =
        Portal::start(Sizes { tickets: 3, archived_tickets: 5_100, departments: 1, ..sizes(Some(0)) });
    let mut sink = Sink::default();
    sink.read(&mut portal, "archived_tickets", 10_000).unwrap();
    assert!((5_000..5_024).contains(&sink.rows.len()), "{}", sink.rows.len());
    assert_eq!(sink.snapshots, [false]);
    assert!(sink.warnings.iter().any(|text| text.contains("behind row 4999")), "{:?}", sink.warnings);
}

#[test]
fn lists_are_read_whole_where_pages_are_shorter_than_asked_for() {
    for more in [29, 30, 31, 99] {
        let sizes = desk_simulator::Sizes { tickets: 3, archived_tickets: more, ..sizes(Some(more)) };
        let mut portal = Portal::start(sizes);
        portal.simulator.set(|settings| {
            settings.readings.limit_is_clamped = true;
            settings.readings.limit_max = Some(30);
        });
        for table in tables().into_iter().filter(|table| !table.is_core) {
            let mut sink = Sink::default();
            sink.read(&mut portal, &table.name, 10_000).unwrap();
            check(&portal, &sink, &table, &format!("{more} rows, 30 of a page"));
            assert_eq!(sink.snapshots, [true], "{} of {more}: {:?}", table.name, sink.warnings);
        }
    }
}

/// Reads until caught up, as a host does that waits and retries.
fn read_through_failures(portal: &mut Portal, sink: &mut Sink, table: &str) {
    for _ in 0..20 {
        match sink.read(portal, table, 10_000) {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind, Kind::Unavailable, "{table}: {error}"),
        }
        portal.advance_hours(1);
    }
    panic!("{table}: the read does not end");
}

#[test]
fn a_module_whose_list_fails_for_ever_costs_its_own_rows_alone() {
    for (table, path) in [
        ("organization_fields", "/organizationFields"),
        ("layouts", "/layouts"),
        ("layout_rules", "/layouts"),
        ("views", "/views"),
    ] {
        let mut portal = Portal::start(sizes(None));
        let rule = Rule {
            path: path.to_owned(),
            query: "module=calls".to_owned(),
            answer: RuleAnswer::Status(500),
            ..Rule::default()
        };
        portal.simulator.add_rule(rule);
        let mut sink = Sink::default();
        read_through_failures(&mut portal, &mut sink, table);
        assert_eq!(sink.snapshots, [false], "{table}");
        let of = tables().into_iter().find(|known| known.name == table).unwrap();
        let others = truth(&portal, &of).into_values().filter(|row| row["module"] != "calls").count();
        assert!(others > 0 && sink.rows.len() == others, "{table}: {:?}", sink.warnings);
        assert!(sink.rows.values().all(|row| row["module"] != "calls"), "{table}");
    }
}

#[test]
fn an_edition_without_a_module_finds_deletes_in_the_others() {
    for (table, code, first) in [
        ("layouts", Some("LICENSE_ACCESS_LIMITED"), true),
        ("layout_rules", Some("LICENSE_ACCESS_LIMITED"), true),
        // Another refusal may be temporary, the first time.
        ("layout_rules", None, false),
    ] {
        let mut portal = Portal::start(sizes(None));
        let rule = Rule {
            path: "/layouts".to_owned(),
            query: "module=timeEntry".to_owned(),
            answer: RuleAnswer::Status(403),
            code: code.map(str::to_owned),
            ..Rule::default()
        };
        portal.simulator.add_rule(rule);
        let mut sink = Sink::default();
        sink.read(&mut portal, table, 10_000).unwrap();
        portal.advance_hours(25);
        sink.read(&mut portal, table, 10_000).unwrap();
        assert_eq!(sink.snapshots, [first, true], "{table}: {:?}", sink.warnings);
    }
}

#[test]
fn activities_that_their_lists_lack_are_read_by_search_and_stay_however_often_they_are_read() {
    // A count of the page does not show that a list is short.
    let mut portal = Portal::as_documented(sizes(Some(150)));
    portal.simulator.set(|settings| settings.readings.list_rows_max = Some(23));
    for table in tables().into_iter().filter(|table| ["tasks", "calls", "events"].contains(&&*table.name)) {
        let mut sink = Sink::default();
        for _ in 0..3 {
            let before = verification::record_calls(&portal);
            sink.cursor = None;
            sink.read(&mut portal, &table.name, 10_000).unwrap();
            let (expected, found) = (truth(&portal, &table), read(&sink, &table));
            assert!(
                expected.len() == 150 && found.keys().eq(expected.keys()),
                "{}: {}",
                table.name,
                found.len()
            );
            let endpoint = format!("GET /{}/{{id}}", table.name);
            let calls = verification::record_calls(&portal)[&endpoint];
            let records = calls - before.get(&endpoint).copied().unwrap_or_default();
            assert_eq!(records, 69, "{}: those of three lists, and no others", table.name);
            portal.advance_hours(1);
        }
        assert_eq!(sink.snapshots, [false; 3], "{}", table.name);
        for text in ["but the source counts 150", "are read by search windows"] {
            assert!(sink.warnings.iter().any(|warning| warning.contains(text)), "{:?}", sink.warnings);
        }
    }
}

#[test]
fn a_forbidden_table_names_the_scopes_to_add_and_one_of_a_group_is_skipped() {
    let mut portal = Portal::start(sizes(None));
    let rule = Rule {
        path: "/*".to_owned(),
        answer: RuleAnswer::Status(403),
        code: Some("SCOPE_MISMATCH".to_owned()),
        ..Rule::default()
    };
    portal.simulator.add_rule(rule);
    for table in tables() {
        portal.tables = vec![table.name.clone()];
        let error = Sink::default().read(&mut portal, &table.name, 100).unwrap_err();
        assert_eq!(error.kind, Kind::Permission, "{}: {error}", table.name);
        assert!(error.hint.unwrap_or_default().contains("this table needs Desk."), "{}", table.name);
        portal.tables = vec!["all".to_owned()];
        let mut sink = Sink::default();
        sink.read(&mut portal, &table.name, 100).unwrap();
        assert!(sink.rows.is_empty() && sink.snapshots.is_empty(), "{}: nothing is compared", table.name);
        assert!(sink.warnings.iter().all(|text| text.contains("is skipped")), "{:?}", sink.warnings);
        assert_eq!(sink.warnings.len(), 1, "{}", table.name);
    }
}

/// Modules that change: their table, their name in URLs, a text of their records, and how these are deleted
/// where polling finds it. Articles have no recycle bin to find them in, sections go with their category, and
/// each module has a layout.
const MODULES: &[(&str, &str, &str, &str)] = &[
    ("agents", "agents", "name", ""),
    ("teams", "teams", "name", "purge"),
    ("roles", "roles", "name", "purge"),
    ("profiles", "profiles", "name", "purge"),
    ("skills", "skills", "name", "purge"),
    ("support_plans", "supportPlans", "name", "purge"),
    ("business_hours", "businessHours", "name", "purge"),
    ("holiday_lists", "holidayList", "name", "purge"),
    ("modules", "organizationModules", "displayLabel", ""),
    ("layouts", "layouts", "layoutName", ""),
    ("layout_rules", "layoutRules", "displayLabel", "purge"),
    ("kb_categories", "kbRootCategories", "name", ""),
    ("kb_sections", "kbSections", "name", "purge"),
    ("articles", "articles", "title", ""),
    ("tasks", "tasks", "subject", "moveToTrash"),
    ("calls", "calls", "subject", "moveToTrash"),
    ("events", "events", "subject", "moveToTrash"),
    ("tickets", "tickets", "subject", ""),
    ("contacts", "contacts", "lastName", "moveToTrash"),
    ("accounts", "accounts", "accountName", "moveToTrash"),
    ("products", "products", "productName", "moveToTrash"),
    ("contracts", "contracts", "contractName", "moveToTrash"),
    ("departments", "departments", "name", ""),
];

/// Changes of every kind in every module, also in those of tables that a test makes up.
fn change(portal: &Portal) {
    let is_made_up = |table: &Table| {
        let is_known = MODULES.iter().any(|(known, ..)| *known == table.name);
        !is_known && table.key == ["id"] && portal.simulator.has_module(&table.name)
    };
    for table in tables() {
        let known = MODULES.iter().find(|(known, ..)| *known == table.name);
        let (_, url, title, delete) = match known {
            Some(known) => *known,
            None if is_made_up(&table) => ("", table.name.as_str(), "name", "purge"),
            None => continue,
        };
        let ids: Vec<String> = truth(portal, &table).into_keys().collect();
        portal.mutate(json!({"op": "update", "table": url, "id": ids[0], "values": {title: "changed 🎈"}}));
        portal.mutate(json!({"op": "create", "table": url, "values": {}}));
        if !delete.is_empty() {
            portal.mutate(json!({"op": delete, "table": url, "id": ids[1]}));
        }
    }
}

#[test]
fn changes_and_deletes_reach_every_table() {
    let mut portal = Portal::start(sizes(None));
    let mut sinks: Vec<(Table, Sink)> = tables().into_iter().map(|table| (table, Sink::default())).collect();
    for (table, sink) in &mut sinks {
        sink.read(&mut portal, &table.name, 10_000).unwrap();
    }
    portal.advance_hours(25);
    change(&portal);
    portal.advance_hours(1);
    for (table, sink) in &mut sinks {
        let cursor = sink.cursor.clone();
        sink.read(&mut portal, &table.name, 50).unwrap();
        check(&portal, sink, table, AFTER_CHANGES);
        let is_due = !table.is_searched && table.refresh_hours <= HOURS_AFTER;
        assert!(!is_due || cursor != sink.cursor, "{}: no second snapshot", table.name);
    }
}

#[test]
fn an_unchanged_portal_costs_little_on_the_second_day() {
    let mut portal = Portal::start(desk_simulator::Sizes { contacts: 400, accounts: 200, ..sizes(None) });
    for table in tables() {
        let mut sink = Sink::default();
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        let spent = |portal: &Portal| portal.simulator.credits()["total"].as_u64().unwrap();
        let first = spent(&portal);
        portal.advance_hours(25);
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        let second = spent(&portal) - first;
        // 600 contacts and accounts have a list each in some tables.
        assert!(second <= 150, "{}: {second} credits", table.name);
    }
}

#[test]
fn a_delete_is_found_whichever_number_the_recycle_bin_starts_from() {
    for from_zero in [false, true] {
        let mut portal = Portal::start(sizes(None));
        portal.simulator.set(|settings| settings.readings.recycle_bin_from_zero = from_zero);
        let of = |name: &str| tables().into_iter().find(|table| table.name == name).unwrap();
        let names = ["contacts", "tasks", "recycle_bin"];
        let mut sinks = names.map(|_| Sink::default());
        for (name, sink) in names.iter().zip(&mut sinks) {
            sink.read(&mut portal, name, 10_000).unwrap();
        }
        // More than a page of the recycle bin.
        let ids: Vec<String> = truth(&portal, &of("contacts")).into_keys().take(60).collect();
        for id in ids {
            portal.mutate(json!({"op": "moveToTrash", "table": "contacts", "id": id}));
        }
        portal.advance_hours(6);
        let last = truth(&portal, &of("tasks")).into_keys().next().unwrap();
        portal.mutate(json!({"op": "moveToTrash", "table": "tasks", "id": last}));
        for _ in 0..2 {
            portal.advance_hours(6);
            for (name, sink) in names.iter().zip(&mut sinks) {
                sink.read(&mut portal, name, 10_000).unwrap();
                check(&portal, sink, &of(name), if from_zero { "from 0" } else { "from 1" });
            }
        }
    }
}

#[test]
fn departments_have_the_agents_that_only_their_details_show() {
    let mut portal = Portal::start(sizes(None));
    let table = tables().into_iter().find(|table| table.name == "departments").unwrap();
    let mut sink = Sink::default();
    sink.read(&mut portal, "departments", 100).unwrap();
    let (expected, found) = (truth(&portal, &table), read(&sink, &table));
    assert!(
        expected.values().any(|row| row["associatedAgentIds"].as_array().is_some_and(|ids| !ids.is_empty()))
    );
    for (id, row) in expected {
        assert_eq!(found[&id]["associatedAgentIds"], row["associatedAgentIds"], "{id}");
    }
}

#[test]
fn list_fields_answers_the_fields_of_a_module_as_the_api_does() {
    let mut portal = Portal::start(sizes(Some(1)));
    let fields = tables().into_iter().find(|table| table.name == "organization_fields").unwrap();
    let expected = truth(&portal, &fields);
    for (arguments, module) in [
        ("{}", "tickets"),
        (r#"{"module":"contacts"}"#, "contacts"),
        (r#"{"module":"timeEntry"}"#, "timeEntry"),
    ] {
        let mut connection = portal.connect();
        let answer = connection.command("list-fields", arguments).unwrap();
        portal.keep(&connection);
        let names = |rows: &mut dyn Iterator<Item = &Value>| {
            rows.map(|row| row["apiName"].as_str().unwrap().to_owned())
                .collect::<std::collections::BTreeSet<_>>()
        };
        let found = names(&mut answer["data"].as_array().unwrap().iter());
        let of_module: Vec<Value> =
            expected.values().filter(|row| row["module"] == module).cloned().map(Value::Object).collect();
        assert!(!found.is_empty() && found == names(&mut of_module.iter()), "{module}: {answer}");
    }
}

#[test]
fn the_connection_test_finds_a_row_in_whichever_department_has_one() {
    let of = |name: &str| tables().into_iter().find(|table| table.name == name).unwrap();
    let departments: Vec<String> =
        truth(&Portal::start(sizes(None)), &of("departments")).into_keys().collect();
    for department in departments {
        let mut portal = Portal::start(sizes(None));
        for (id, row) in truth(&portal, &of("tasks")) {
            if row["departmentId"] != department {
                portal.mutate(json!({"op": "purge", "table": "tasks", "id": id}));
            }
        }
        assert!(!truth(&portal, &of("tasks")).is_empty(), "{department}");
        portal.tables = vec!["tasks".to_owned()];
        let item = |portal: &mut Portal| {
            let mut connection = portal.connect();
            let items = connection.check();
            portal.keep(&connection);
            items.into_iter().find(|item| item.name == "table tasks").unwrap()
        };
        let found = item(&mut portal);
        assert!(!found.message.contains("no rows"), "{department}: {}", found.message);
        let code = Some("SCOPE_MISMATCH".to_owned());
        portal.simulator.add_rule(Rule { code, ..Rule::new("/tasks/{id}", 403) });
        let refused = item(&mut portal);
        assert_eq!(refused.outcome, Outcome::Failed, "{department}: its record: {}", refused.message);
    }
}

#[test]
fn a_parent_deleted_while_parents_are_listed_skips_no_other() {
    let mut portal = Portal::start(Sizes { accounts: 150, ..sizes(None) });
    let table = tables().into_iter().find(|table| table.name == "slas").unwrap();
    let mut sink = Sink::default();
    let is_caught_up = sink.read_at_most(&mut portal, "slas", 10, 2).unwrap();
    assert!(!is_caught_up);
    let accounts = portal.simulator.truth("accounts", TruthQuery::default()).unwrap();
    // One of those before the page boundary, whose lists are read.
    let ids: Vec<Value> =
        accounts.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    portal.mutate(json!({"op": "purge", "table": "accounts", "id": ids[50]}));
    sink.read(&mut portal, "slas", 10).unwrap();
    check(&portal, &sink, &table, AFTER_CHANGES);
    assert_eq!(sink.snapshots, [true]);
}

#[test]
fn a_detail_that_fails_costs_no_other_one_again() {
    let mut portal = Portal::start(Sizes { more: Some(60), ..sizes(None) });
    let mut usual = Sink::default();
    usual.read(&mut portal, "tasks", 1_000).unwrap();
    let calls = |portal: &Portal| {
        let is_task = |entry: &&Value| entry["url"].as_str().is_some_and(|url| url.contains("/tasks/"));
        portal.simulator.log().iter().filter(is_task).count()
    };
    let before = calls(&portal);
    assert!(before > 40, "{before} details");
    let key = usual.rows.keys().nth(20).unwrap();
    let id = serde_json::from_str::<Value>(key).unwrap()["id"].as_str().unwrap().to_owned();
    portal.simulator.add_rule(Rule::new(&format!("/tasks/{id}"), 500));
    let mut sink = Sink::default();
    for _ in 0..6 {
        // A failure that leaves the cursor where it is ends the read.
        drop(sink.read_at_most(&mut portal, "tasks", 1_000, 6));
    }
    let after = calls(&portal) - before;
    assert!(after < before + 40, "{after} calls for details, {before} usually");
    portal.simulator.heal();
    sink.read(&mut portal, "tasks", 1_000).unwrap();
    assert_eq!(sink.rows.len(), usual.rows.len());
}

#[test]
fn a_table_that_became_empty_keeps_its_rows_for_a_lost_right_looks_the_same() {
    let mut portal = Portal::start(sizes(Some(1)));
    let mut sink = Sink::default();
    for round in 0..3 {
        if round == 1 {
            let truth = portal.simulator.truth("profiles", TruthQuery::default()).unwrap();
            let id = serde_json::from_str::<Value>(&truth[0]).unwrap()["id"].clone();
            portal.mutate(json!({"op": "purge", "table": "profiles", "id": id}));
        }
        sink.read(&mut portal, "profiles", 100).unwrap();
        assert_eq!(sink.rows.len(), 1, "round {round}: {:?}", sink.warnings);
        portal.advance_hours(30);
    }
    assert_eq!(sink.snapshots, [true, false, false]);
}
