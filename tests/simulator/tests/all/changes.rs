//! Changes in lists, details, searches, the recycle bin and the truth (reference, §3.5, §7).

use std::time::Duration;

use desk_simulator::TruthQuery;
use serde_json::{Value, json};

use crate::support::{small, start, start_with};

/// The keys whose values depend on the time of a change.
const TIMES: [&str; 7] = [
    "createdTime",
    "modifiedTime",
    "closedTime",
    "onholdTime",
    "customerResponseTime",
    "commentedTime",
    "dueDate",
];

/// The truth of all tables after random mutations, without times.
fn mutated(seed: u64, mutation_seed: u64) -> Vec<String> {
    let mut options = small(150);
    options.seed = seed;
    let fixture = start_with(options);
    let tables = ["tickets", "ticket_conversations", "contacts", "accounts", "products", "contracts"];
    fixture.mutate(json!({"seed": mutation_seed, "count": 200, "tables": tables}));
    let omit: Vec<String> = TIMES.iter().map(|key| (*key).to_owned()).collect();
    let lines = tables
        .iter()
        .filter_map(|table| fixture.simulator.truth(table, TruthQuery { detail: true, omit: omit.clone() }));
    lines.flatten().collect()
}

#[test]
fn equal_seeds_give_equal_data_and_equal_mutations_and_other_seeds_do_not() {
    let lines = mutated(3, 5);
    assert!(lines == mutated(3, 5), "equal seeds differ");
    assert!(lines != mutated(4, 5), "another seed gives the same data");
    assert!(lines != mutated(3, 6), "another seed makes the same mutations");
}

#[test]
fn a_trashed_ticket_leaves_list_and_search_and_stays_readable_by_id() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    assert_eq!(fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [id]})).status, 204);
    assert_eq!(fixture.scan("tickets", 100).len(), 29);
    assert_eq!(fixture.get(&format!("tickets/search?id={id}")).status, 204);
    assert_eq!(fixture.get(&format!("tickets/{id}")).json()["isTrashed"], json!(true));
    let trashed = fixture.rows("recycleBin?include=deletedBy,department");
    assert_eq!((&trashed[0]["id"], &trashed[0]["type"]), (&json!(id), &json!("Tickets")));
    assert!(trashed[0]["deletedBy"]["name"].is_string() && trashed[0]["department"]["name"].is_string());
    let line = format!("{{\"id\":\"{id}\",\"deleted\":true,\"row\":null}}");
    assert!(fixture.truth_lines("tickets").contains(&line));
}

#[test]
fn a_restored_ticket_is_listed_again_with_a_new_modified_time() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{id}")).json();
    fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [id]}));
    let body = json!({"isChildNeedToBeRestored": "true", "ids": [id, "1"]});
    let restored = fixture.call("POST", "recycleBin/restore", &body).json();
    assert_eq!(restored["results"][0], json!({"id": id, "success": true, "errors": null}));
    assert_eq!(restored["results"][1]["success"], json!(false), "an unknown id");
    assert_eq!(fixture.scan("tickets", 100).len(), 30);
    assert_eq!(fixture.get("recycleBin").status, 204);
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
}

#[test]
fn records_deleted_from_the_recycle_bin_are_404_and_stay_in_the_truth_as_deleted() {
    let mut fixture = start(30);
    let ticket = fixture.first_id("tickets");
    fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [ticket]}));
    assert_eq!(fixture.call("POST", "recycleBin/delete", &json!({"ids": [ticket]})).status, 200);
    let contact = fixture.first_id("contacts");
    fixture.call("POST", "contacts/moveToTrash", &json!({"contactIds": [contact]}));
    assert_eq!(fixture.call("POST", "recycleBin/deleteAll", &json!({})).status, 202);
    assert_eq!(fixture.get("recycleBin").status, 204);
    for (table, id) in [("tickets", ticket), ("contacts", contact)] {
        assert_eq!(fixture.error(&format!("{table}/{id}")), (404, "URL_NOT_FOUND".to_owned()));
        let line = format!("{{\"id\":\"{id}\",\"deleted\":true,\"row\":null}}");
        assert!(fixture.truth_lines(table).contains(&line), "{table}");
    }
}

#[test]
fn an_update_shows_in_row_detail_search_and_truth_at_once() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{id}")).json();
    let values = json!({"subject": "changed \u{2028} 😀", "status": "Closed", "cf": {"cf_quantity": 7}});
    let after = fixture.update_ticket(&id, &values);
    assert_eq!((&after["statusType"], &after["cf"]["cf_quantity"]), (&json!("Closed"), &json!("7")));
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
    assert_eq!(fixture.get(&format!("tickets/{id}")).json(), after);
    let truth = fixture.truth("tickets", true).into_iter().find(|row| row["id"] == json!(id));
    let shown = [
        fixture.rows("tickets?limit=1")[0].clone(),
        fixture.rows(&format!("tickets/search?id={id}"))[0].clone(),
        truth.expect("a row"),
    ];
    for row in shown {
        assert_eq!((&row["id"], &row["subject"]), (&json!(id), &values["subject"]));
    }
}

#[test]
fn an_invalid_update_is_422_and_changes_nothing() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{id}")).json();
    for values in [
        json!({"subject": "x", "status": "Nonsense"}),
        json!({"subject": "x", "cf": {"cf_none": 1}}),
        json!({"subject": "x", "id": "1"}),
    ] {
        let reply = fixture.call("PATCH", &format!("tickets/{id}"), &values);
        assert_eq!((reply.status, &reply.json()["errorCode"]), (422, &json!("INVALID_DATA")), "{values}");
    }
    let empty = fixture.client.send("PATCH", &format!("/api/v1/tickets/{id}"), "").expect("an answer");
    assert_eq!((empty.status, &empty.json()["errorCode"]), (422, &json!("EMPTY_PAYLOAD")));
    assert_eq!(fixture.get(&format!("tickets/{id}")).json(), before);
}

#[test]
fn a_comment_changes_the_count_and_the_modified_time_only_if_set() {
    let mut fixture = start(10);
    let id = fixture.first_id("tickets");
    let add = json!({"op": "addComment", "ticket": id, "content": "hello", "public": true});
    let before = fixture.get(&format!("tickets/{id}")).json();
    fixture.mutate(add.clone());
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert_ne!(after["commentCount"], before["commentCount"]);
    assert_eq!(after["modifiedTime"], before["modifiedTime"]);
    fixture.simulator.set(|settings| settings.comment_moves_modified_time = true);
    fixture.mutate(add);
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
}

#[test]
fn a_thread_updates_the_modified_time_unless_switched_off() {
    let mut fixture = start(10);
    let id = fixture.first_id("tickets");
    let add = json!({"op": "addThread", "ticket": id, "content": "<p>hi</p>"});
    let before = fixture.get(&format!("tickets/{id}")).json();
    fixture.simulator.set(|settings| settings.thread_moves_modified_time = false);
    fixture.mutate(add.clone());
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert_eq!(after["modifiedTime"], before["modifiedTime"]);
    assert_ne!(after["threadCount"], before["threadCount"]);
    fixture.simulator.set(|settings| settings.thread_moves_modified_time = true);
    fixture.mutate(add);
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
    assert_eq!(fixture.get(&format!("tickets/{id}/latestThread")).json()["content"], json!("<p>hi</p>"));
}

#[test]
fn a_deleted_comment_is_404_and_its_id_is_not_used_again() {
    let mut fixture = start(10);
    let id = fixture.first_id("tickets");
    let add = json!({"op": "addComment", "ticket": id, "content": "hello", "public": true});
    let comment = fixture.mutate(add.clone())["id"].as_str().expect("an id").to_owned();
    let path = format!("tickets/{id}/comments/{comment}");
    assert_eq!(fixture.get(&path).json()["content"], json!("hello"));
    assert_eq!(fixture.call("DELETE", &path, &json!({})).status, 204);
    assert_eq!(fixture.get(&path).status, 404);
    let line = format!("{{\"id\":\"{comment}\",\"deleted\":true,\"row\":null}}");
    assert!(fixture.truth_lines("ticket_conversations").contains(&line));
    assert_ne!(fixture.mutate(add)["id"], json!(comment));
}

#[test]
fn a_ticket_takes_4096_threads_and_comments_and_not_one_more() {
    let mut fixture = start(1);
    let id = fixture.first_id("tickets");
    fixture.mutate(json!({"op": "addThreads", "ticket": id, "count": 4_050, "bytes": 10}));
    let add = json!({"op": "addComment", "ticket": id, "content": "x"});
    let mut added = fixture.scan(&format!("tickets/{id}/conversations"), 200).len();
    while fixture.simulator.mutate(add.clone()).is_ok() {
        added += 1;
    }
    assert_eq!(added, 4_096);
}

#[test]
fn searches_show_changes_only_after_the_lag() {
    let mut options = small(20);
    options.settings.search_lag_ms = 3_600_000;
    options.settings.token_life_seconds = 7_200;
    let mut fixture = start_with(options);
    let id = fixture.first_id("tickets");
    let old = fixture.rows(&format!("tickets/search?id={id}"))[0].clone();
    fixture.update_ticket(&id, &json!({"subject": "brand new"}));
    let created = fixture.mutate(json!({"op": "create", "table": "tickets"}))["id"].clone();
    let created = created.as_str().expect("an id");
    assert_eq!(fixture.rows(&format!("tickets/search?id={id}"))[0], old);
    assert_eq!(fixture.get(&format!("tickets/search?id={created}")).status, 204);
    assert_eq!(fixture.rows("tickets?limit=1")[0]["id"], json!(created), "lists do not lag");
    fixture.simulator.advance(Duration::from_secs(3_601));
    assert_eq!(fixture.rows(&format!("tickets/search?id={id}"))[0]["subject"], json!("brand new"));
    assert_eq!(fixture.get(&format!("tickets/search?id={created}")).status, 200);
}

#[test]
fn a_renamed_field_changes_its_label_in_fields_and_tickets() {
    let mut fixture = start(10);
    let label = "How many?";
    let is_named = |row: &Value| row["customFields"].get(label).is_some();
    assert!(!fixture.truth("tickets", true).iter().any(is_named));
    fixture
        .mutate(json!({"op": "renameField", "module": "tickets", "apiName": "cf_quantity", "label": label}));
    let field = fixture.rows("organizationFields?module=tickets&apiNames=cf_quantity")[0].clone();
    assert_eq!(field["displayLabel"], json!(label));
    assert!(fixture.truth("tickets", true).iter().any(is_named));
}

#[test]
fn an_added_field_is_listed_null_in_existing_records_and_can_be_set() {
    let mut fixture = start(100);
    let add =
        json!({"op": "addField", "module": "tickets", "apiName": "cf_new", "label": "New", "type": "Text"});
    fixture.mutate(add);
    let field = fixture.rows("organizationFields?module=tickets&apiNames=cf_new")[0].clone();
    assert_eq!((&field["displayLabel"], &field["isCustomField"]), (&json!("New"), &json!(true)));
    let rows = fixture.truth("tickets", true);
    let values: Vec<&Value> = rows.iter().filter_map(|row| row["cf"].get("cf_new")).collect();
    assert!(values.len() > 10 && values.iter().all(|value| value.is_null()), "{values:?}");
    let id = fixture.first_id("tickets");
    let updated = fixture.update_ticket(&id, &json!({"cf": {"cf_new": "set"}}));
    assert_eq!(updated["cf"]["cf_new"], json!("set"));
}

#[test]
fn a_field_of_another_type_has_no_values_and_a_removed_one_is_gone() {
    let mut fixture = start(100);
    for change in [
        json!({"op": "retypeField", "module": "contacts", "apiName": "cf_quantity", "type": "Text"}),
        json!({"op": "removeField", "module": "contacts", "apiName": "cf_is_vip"}),
    ] {
        fixture.mutate(change);
    }
    let fields = fixture.rows("organizationFields?module=contacts");
    let of = |name: &str| fields.iter().find(|field| field["apiName"] == name);
    assert_eq!(of("cf_quantity").map(|field| &field["type"]), Some(&json!("Text")));
    assert!(of("cf_is_vip").is_none());
    for row in fixture.truth("contacts", true) {
        assert!(row["cf"]["cf_quantity"].is_null() && row["cf"].get("cf_is_vip").is_none(), "{row}");
    }
}
