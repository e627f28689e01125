//! The keys and values of rows and details (reference, §3.3, §4).

use desk_simulator::Edition;
use serde_json::{Value, json};

use crate::support::{INCLUDE, by_id, small, start, start_with};

/// The keys of an object, in alphabetical order.
fn keys(row: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = row.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn list_detail_and_search_of_tickets_have_different_keys() {
    let mut fixture = start(40);
    let row = fixture.rows("tickets?limit=1")[0].clone();
    assert_eq!(keys(&row).len(), 35);
    for absent in ["modifiedTime", "description", "cf", "contact", "isRead", "isTrashed"] {
        assert!(row.get(absent).is_none(), "{absent}");
    }
    let id = row["id"].as_str().expect("an id");
    assert_eq!(id.len(), 18);
    let detail = fixture.get(&format!("tickets/{id}")).json();
    for present in ["modifiedTime", "description", "cf", "customFields", "isTrashed", "layoutDetails"] {
        assert!(detail.get(present).is_some(), "{present}");
    }
    assert!(detail.get("lastThread").is_none() && detail.get("relationshipType").is_none());
    assert!(detail["source"].get("uuid").is_some() && row["source"].get("uuid").is_none());
    let found = fixture.rows(&format!("tickets/search?id={id}"))[0].clone();
    for present in ["modifiedTime", "cf", "contact", "department", "lastThread", "childTicketCount"] {
        assert!(found.get(present).is_some(), "{present}");
    }
    assert!(found.get("isTrashed").is_none());
    assert!(row["commentCount"].is_string() && row["threadCount"].is_string());
}

#[test]
fn the_truth_of_a_ticket_is_its_detail_with_the_keys_that_only_lists_have() {
    let mut fixture = start(60);
    let mut expected = Vec::new();
    for row in fixture.scan(&format!("tickets?{INCLUDE}"), 100) {
        let mut detail = fixture.get(&format!("tickets/{}", row["id"].as_str().expect("id"))).json();
        for (key, value) in row.as_object().expect("an object") {
            if detail.get(key).is_none_or(Value::is_null) {
                detail[key] = value.clone();
            }
        }
        expected.push(detail);
    }
    assert_eq!(by_id(expected), by_id(fixture.truth("tickets", true)));
}

#[test]
fn the_truth_of_other_tables_is_their_detail() {
    let mut fixture = start(5);
    for table in ["products", "contracts", "contacts", "accounts"] {
        for row in fixture.truth(table, true) {
            let detail = fixture.get(&format!("{table}/{}", row["id"].as_str().expect("id"))).json();
            assert_eq!(detail, row, "{table}");
        }
        let listed = fixture.rows(&format!("{table}?limit=1"))[0].clone();
        assert!(listed.get("modifiedTime").is_none() && listed.get("cf").is_none(), "{table}");
    }
}

#[test]
fn the_agents_of_a_department_are_in_its_detail_only() {
    let mut fixture = start(1);
    let department = fixture.first_id("departments");
    assert!(fixture.rows("departments")[0].get("associatedAgentIds").is_none());
    let detail = fixture.get(&format!("departments/{department}")).json();
    assert!(detail["associatedAgentIds"].is_array());
    assert!(fixture.truth("departments", true).contains(&detail));
}

#[test]
fn fields_replaces_the_keys_of_ticket_rows() {
    let mut fixture = start(30);
    let rows = fixture.rows("tickets?fields=modifiedTime");
    assert_eq!(keys(&rows[0]), ["id", "modifiedTime"]);
    let rows = fixture.rows("tickets?fields=cf_severity,cf_is_vip");
    assert_eq!(keys(&rows[0]), ["cf", "id"]);
    assert_eq!(keys(&rows[0]["cf"]), ["cf_is_vip", "cf_severity"]);
    assert_eq!(fixture.rows("tickets?fields=subject,cf")[0]["cf"], Value::Null);
    for unknown in ["nonsense", "isArchived", "cf_nonsense"] {
        assert_eq!(fixture.get(&format!("tickets?fields={unknown}")).status, 500, "{unknown}");
    }
    let names = |count| vec!["subject"; count].join(",");
    assert_eq!(fixture.get(&format!("tickets?fields={}", names(30))).status, 200);
    assert_eq!(fixture.get(&format!("tickets?fields={}", names(31))).status, 422);
}

#[test]
fn custom_fields_of_every_type_hold_text_or_null() {
    let mut fixture = start(300);
    let fields = fixture.rows("organizationFields?module=tickets");
    let custom: Vec<&Value> = fields.iter().filter(|row| row["isCustomField"] == json!(true)).collect();
    assert_eq!(custom.len(), 15);
    let rows = fixture.truth("tickets", true);
    for field in custom {
        let (name, label) = (&field["apiName"], &field["displayLabel"]);
        let (name, label) = (name.as_str().expect("a name"), label.as_str().expect("a label"));
        let values: Vec<&Value> = rows.iter().filter_map(|row| row["cf"].get(name)).collect();
        assert!(values.iter().all(|value| value.is_string() || value.is_null()), "{name}");
        let texts = values.iter().filter(|value| value.is_string()).count();
        assert!(texts > 10 && texts < values.len(), "{name}: {texts} of {}", values.len());
        let labeled = rows.iter().filter(|row| row["customFields"].get(label) == row["cf"].get(name));
        assert_eq!(labeled.count(), 300, "{name} and {label}");
    }
}

#[test]
fn custom_fields_outside_the_layout_of_the_department_have_no_key() {
    let fixture = start(300);
    let rows = fixture.truth("tickets", true);
    let counts: Vec<usize> = rows.iter().map(|row| keys(&row["cf"]).len()).collect();
    assert!(counts.iter().any(|count| *count < 15), "{counts:?}");
}

#[test]
fn generated_texts_hold_characters_that_clients_get_wrong() {
    let fixture = start(300);
    let rows = fixture.truth("tickets", true);
    let texts = rows.iter().flat_map(|row| [row["subject"].as_str(), row["description"].as_str()]);
    let texts: Vec<&str> = texts.flatten().collect();
    for piece in ["😟", "الطلب", "מספר", "注文", "\u{2028}", "C:\\exports\\", "\"night mode\"", "\t", "&lt;"]
    {
        assert!(texts.iter().any(|text| text.contains(piece)), "{piece:?}");
    }
}

#[test]
fn the_fields_of_every_module_are_listed_and_its_custom_ones_counted() {
    let mut fixture = start(1);
    let modules =
        ["tickets", "contacts", "accounts", "tasks", "calls", "events", "contracts", "products", "timeEntry"];
    let mut total = 0;
    for module in modules {
        let rows = fixture.rows(&format!("organizationFields?module={module}"));
        let custom = rows.iter().filter(|row| row["isCustomField"] == json!(true)).count();
        let count = fixture.get(&format!("customFieldCount?module={module}")).json();
        assert_eq!(count, json!({"count": custom}), "{module}");
        total += rows.len();
    }
    assert_eq!(fixture.truth("organization_fields", true).len(), total);
    let rows = fixture.rows("organizationFields?module=tickets&apiNames=status");
    assert_eq!((rows.len(), &rows[0]["allowedValues"][0]["statusType"]), (1, &json!("Open")));
}

#[test]
fn an_unknown_id_is_404_and_for_accounts_403() {
    let mut fixture = start(5);
    for path in
        ["tickets/1", "contacts/1", "products/x", "accounts/abc", "departments/1", "nothing", "tickets/"]
    {
        assert_eq!(fixture.error(path), (404, "URL_NOT_FOUND".to_owned()), "{path}");
    }
    assert_eq!(fixture.error("accounts/123"), (403, "FORBIDDEN".to_owned()));
    assert_eq!(fixture.call("DELETE", "tickets", &json!({})).status, 405);
}

#[test]
fn contracts_require_the_professional_edition() {
    let mut options = small(1);
    options.edition = Edition::Standard;
    let mut fixture = start_with(options.clone());
    let reply = fixture.get("contracts").json();
    assert_eq!(reply["errorCode"], json!("LICENSE_ACCESS_LIMITED"));
    assert_eq!((&reply["editionType"], &reply["isTrial"]), (&json!("STANDARD"), &json!(false)));
    options.edition = Edition::Professional;
    assert_eq!(start_with(options).get("contracts").status, 200);
}

#[test]
fn the_count_of_contracts_is_text_and_that_of_tickets_a_number() {
    let mut fixture = start(7);
    assert_eq!(fixture.get("ticketsCount").json(), json!({"count": 7}));
    let view = fixture.first_id("views?module=contracts");
    let rows = fixture.scan("contracts", 100);
    let department = rows[0]["departmentId"].as_str().expect("an id");
    let count = rows.iter().filter(|row| row["departmentId"] == json!(department)).count();
    let path = format!("contracts/count?viewId={view}&departmentId={department}");
    assert_eq!(fixture.get(&path).json(), json!({"count": count.to_string()}));
}

#[test]
fn the_content_of_a_thread_is_only_in_its_detail() {
    let mut fixture = start(40);
    let truth = fixture.truth("ticket_conversations", true);
    let thread = truth.iter().find(|row| row.get("direction").is_some()).expect("a thread");
    let ticket = thread["ticketId"].as_str().expect("an id");
    let rows = fixture.rows(&format!("tickets/{ticket}/threads"));
    assert!(rows.iter().all(|row| row.get("content").is_none() && row.get("summary").is_some()));
    let mut conversations = Vec::new();
    for row in fixture.rows(&format!("tickets/{ticket}/conversations")) {
        let id = row["id"].as_str().expect("an id").to_owned();
        let path = if row["type"] == json!("thread") { "threads" } else { "comments" };
        let mut detail = fixture.get(&format!("tickets/{ticket}/{path}/{id}")).json();
        detail["ticketId"] = json!(ticket);
        conversations.push(detail);
    }
    let expected = truth.iter().filter(|row| row["ticketId"] == json!(ticket)).cloned().collect();
    assert_eq!(by_id(conversations), by_id(expected));
    assert_eq!(fixture.get("tickets/1/conversations").json(), json!({"data": []}));
}
