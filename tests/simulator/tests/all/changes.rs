//! Mutations, the recycle bin, searches that lag, and the admin API.

use desk_simulator::TruthQuery;
use serde_json::{Value, json};

use crate::support::{small, start, start_with};

fn lines(fixture: &crate::support::Fixture, table: &str) -> Vec<String> {
    let query = TruthQuery { detail: true, omit: Vec::new() };
    fixture.simulator.truth(table, query).expect("a known table")
}

#[test]
fn equal_seeds_give_equal_data_and_equal_mutations() {
    let run = |seed: u64| {
        let mut options = small(150);
        options.seed = seed;
        let fixture = start_with(options);
        let before = lines(&fixture, "tickets");
        fixture.simulator.mutate(json!({"seed": 5, "count": 200})).expect("mutates");
        let ids = |line: &String| -> (Value, Value) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            (line["id"].clone(), line["deleted"].clone())
        };
        (before, lines(&fixture, "tickets").iter().map(ids).collect::<Vec<_>>())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn trash_restore_and_purge_show_everywhere() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    assert_eq!(fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [id]})).status, 204);
    assert_eq!(fixture.scan("tickets", 100).len(), 29);
    assert_eq!(fixture.get(&format!("tickets/search?id={id}")).status, 204);
    assert_eq!(fixture.get(&format!("tickets/{id}")).json()["isTrashed"], json!(true));
    let bin = fixture.rows("recycleBin?include=deletedBy,department");
    assert_eq!((&bin[0]["id"], &bin[0]["type"]), (&json!(id), &json!("Tickets")));
    assert!(
        lines(&fixture, "tickets").contains(&format!("{{\"id\":\"{id}\",\"deleted\":true,\"row\":null}}"))
    );
    let restore = json!({"isChildNeedToBeRestored": "true", "ids": [id]});
    let restored = fixture.call("POST", "recycleBin/restore", &restore);
    assert_eq!(restored.json()["results"][0]["success"], json!(true));
    assert_eq!(fixture.scan("tickets", 100).len(), 30);
    fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": [id]}));
    assert_eq!(fixture.call("POST", "recycleBin/delete", &json!({"ids": [id]})).status, 200);
    assert_eq!(fixture.refusal(&format!("tickets/{id}")), (404, "URL_NOT_FOUND".to_owned()));
    assert_eq!(fixture.get("recycleBin").status, 204);
    let contact = fixture.first_id("contacts");
    assert_eq!(fixture.call("POST", "contacts/moveToTrash", &json!({"contactIds": [contact]})).status, 204);
    assert_eq!(fixture.call("POST", "recycleBin/deleteAll", &json!({})).status, 202);
}

#[test]
fn updates_show_in_row_detail_and_truth_at_once() {
    let mut fixture = start(30);
    let id = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{id}")).json();
    let values = json!({"subject": "changed \u{2028} 😀", "status": "Closed", "cf": {"cf_quantity": 7}});
    let after = fixture.call("PATCH", &format!("tickets/{id}"), &values).json();
    assert_eq!((&after["statusType"], &after["cf"]["cf_quantity"]), (&json!("Closed"), &json!("7")));
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
    assert_eq!(fixture.rows("tickets?limit=1")[0]["subject"], values["subject"]);
    for refused in [json!({"status": "Nonsense"}), json!({"cf": {"cf_none": 1}}), json!({"id": "1"})] {
        let reply = fixture.call("PATCH", &format!("tickets/{id}"), &refused);
        assert_eq!((reply.status, &reply.json()["errorCode"]), (422, &json!("INVALID_DATA")));
    }
    let empty = fixture.client.send("PATCH", &format!("/api/v1/tickets/{id}"), "").expect("answers");
    assert_eq!(empty.json()["errorCode"], json!("EMPTY_PAYLOAD"));
}

#[test]
fn comments_change_counts_but_not_modified_time_unless_told() {
    let mut fixture = start(10);
    let id = fixture.first_id("tickets");
    let before = fixture.get(&format!("tickets/{id}")).json();
    let add = json!({"op": "addComment", "ticket": id, "content": "hello", "public": true});
    let comment = fixture.simulator.mutate(add.clone()).expect("adds")["id"].clone();
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert_ne!(after["commentCount"], before["commentCount"]);
    assert_eq!(after["modifiedTime"], before["modifiedTime"]);
    let path = format!("tickets/{id}/comments/{}", comment.as_str().expect("an id"));
    assert_eq!(fixture.get(&path).json()["content"], json!("hello"));
    assert_eq!(fixture.call("DELETE", &path, &json!({})).status, 204);
    assert_eq!(fixture.get(&path).status, 404);
    let second = fixture.simulator.mutate(add).expect("adds")["id"].clone();
    assert_ne!(comment, second, "ids are never used twice");
    let thread = json!({"op": "addThread", "ticket": id, "content": "<p>hi</p>"});
    fixture.simulator.mutate(thread).expect("adds");
    let after = fixture.get(&format!("tickets/{id}")).json();
    assert!(after["modifiedTime"].as_str() > before["modifiedTime"].as_str());
    assert_eq!(fixture.get(&format!("tickets/{id}/latestThread")).json()["content"], json!("<p>hi</p>"));
}

#[test]
fn searches_lag_behind_when_told() {
    let mut fixture = start(20);
    fixture.simulator.set(|settings| settings.search_lag_ms = 60_000);
    let id = fixture.first_id("tickets");
    let old = fixture.rows(&format!("tickets/search?id={id}"))[0].clone();
    fixture.call("PATCH", &format!("tickets/{id}"), &json!({"subject": "brand new"}));
    let created = fixture.simulator.mutate(json!({"op": "create", "table": "tickets"})).expect("creates");
    let created = created["id"].as_str().expect("an id").to_owned();
    assert_eq!(fixture.rows(&format!("tickets/search?id={id}"))[0], old, "stale");
    assert_eq!(fixture.get(&format!("tickets/search?id={created}")).status, 204, "not yet there");
    assert_eq!(fixture.rows("tickets?limit=1")[0]["id"], json!(created), "lists do not lag");
    fixture.simulator.advance(std::time::Duration::from_secs(61));
    assert_eq!(fixture.rows(&format!("tickets/search?id={id}"))[0]["subject"], json!("brand new"));
    assert_eq!(fixture.get(&format!("tickets/search?id={created}")).status, 200);
}

#[test]
fn fields_can_be_renamed_and_added() {
    let mut fixture = start(10);
    let rename =
        json!({"op": "renameField", "module": "tickets", "apiName": "cf_quantity", "label": "How many?"});
    fixture.simulator.mutate(rename).expect("renames");
    let add =
        json!({"op": "addField", "module": "tickets", "apiName": "cf_new", "label": "New", "type": "Text"});
    fixture.simulator.mutate(add).expect("adds");
    let names = fixture.rows("organizationFields?module=tickets");
    assert!(names.iter().any(|row| row["displayLabel"] == json!("How many?")));
    let rows = fixture.truth("tickets", true);
    assert!(rows.iter().any(|row| row["customFields"].get("How many?").is_some()));
    assert!(rows.iter().all(|row| row["cf"].get("cf_new").is_none_or(Value::is_null)));
}

#[test]
fn the_admin_api_answers_over_http() {
    let mut fixture = start(10);
    let client = &mut fixture.client;
    let patch =
        client.send("PATCH", "/_admin/settings", "{\"faults\":{\"slow_ms_max\":3}}").expect("answers");
    assert_eq!(patch.json()["faults"]["slow_ms_max"], json!(3));
    let wrong = client.send("PATCH", "/_admin/settings", "{\"no_such\":1}").expect("answers");
    assert_eq!(wrong.status, 422);
    let plan = client.send("POST", "/_admin/faults", "{\"seed\":7,\"dropped\":0.0}").expect("answers").json();
    assert_eq!((&plan["faults"]["seed"], &plan["faults"]["dropped"]), (&json!(7), &json!(0.0)));
    client.send("POST", "/_admin/heal", "").expect("answers");
    let truth =
        client.send("GET", "/_admin/truth/tickets?detail=false&omit=contact,assignee", "").expect("answers");
    let text = String::from_utf8(truth.body).expect("UTF-8");
    assert_eq!(text.lines().count(), 10);
    let row: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert!(row["row"].get("contact").is_none() && row["row"].get("department").is_some());
    assert_eq!(client.send("GET", "/_admin/truth/nothing", "").expect("answers").status, 404);
    let code = client.send("POST", "/_admin/codes", "{}").expect("answers").json()["code"].clone();
    assert!(code.is_string());
    client.send("GET", "/api/v1/tickets?limit=1", "").expect("answers");
    let log = client.send("GET", "/_admin/log", "").expect("answers");
    let log = String::from_utf8(log.body).expect("UTF-8");
    assert!(log.contains("/api/v1/tickets?limit=1") && log.contains("/oauth/v2/token"));
    assert!(!log.contains("simsecret") && !log.contains("1000."), "no secrets");
    let deleted =
        client.send("POST", "/_admin/mutate", "{\"op\":\"purge\",\"table\":\"tickets\",\"id\":\"1\"}");
    assert_eq!(deleted.expect("answers").status, 404);
}
