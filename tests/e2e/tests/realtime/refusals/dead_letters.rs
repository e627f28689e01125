//! Dead letters are shown, taken again, and dropped.

use serde_json::{Value, json};

use super::Receiver;
use crate::support::tables_as_toml;

#[test]
fn a_dead_letter_can_be_shown_dropped_and_taken_again() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    for subject in ["first lie", "second lie"] {
        let status =
            receiver.desk.forge(&receiver.url, &receiver.hook, "wrong-key", &receiver.update_body(subject));
        assert_eq!(status, 200);
    }
    receiver.desk.settle(&receiver.serve);
    let dead = receiver.desk.dead_letters();
    let id = |letter: &Value| letter["id"].to_string();
    let ids: Vec<String> = dead.iter().map(id).collect();
    assert_eq!(ids.len(), 2, "{dead:?}");
    let shown = receiver.desk.setup.host(&["dead-letters", "show", &ids[0]]).exits(0);
    assert!(shown.stdout.contains("first lie"), "{shown}");
    assert!(shown.stdout.contains("it does not match its content"), "{shown}");
    let list = receiver.desk.setup.host(&["dead-letters", "list"]).exits(0);
    assert!(ids.iter().all(|id| list.stdout.contains(id.as_str())), "{list}");
    receiver.desk.setup.host(&["dead-letters", "drop", &ids[0]]).exits(0);
    assert_eq!(receiver.desk.dead_letters().len(), 1);
    // Taken again, it is refused again, under a new number.
    receiver.desk.setup.host(&["dead-letters", "replay", &ids[1]]).exits(0);
    crate::rows::eventually("the delivery to be a dead letter again", || {
        let dead = receiver.desk.dead_letters();
        let is_again = dead.len() == 1 && id(&dead[0]) != ids[1];
        if is_again { Ok(()) } else { Err(format!("{dead:?}")) }
    });
    receiver.applies_change("after");
}

#[test]
fn a_dead_letter_is_applied_once_its_cause_is_removed() {
    let receiver = Receiver::new();
    receiver.applies_change("before");
    let made =
        receiver.desk.mutate(json!({"op": "create", "table": "tickets", "values": {"subject": "kept"}}));
    let sql = format!("SELECT subject FROM tickets WHERE id = '{made}'");
    receiver.desk.rows.until_text(&sql, "kept");
    let mut lost = receiver.update_body("x");
    lost[0]["payload"] = receiver.desk.record("tickets", &made);
    lost[0]["payload"]["subject"] = Value::from("taken after all");
    assert_eq!(receiver.desk.forge(&receiver.url, &receiver.hook, "none", &lost), 200);
    receiver.desk.settle(&receiver.serve);
    let dead = receiver.desk.dead_letters();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let port = receiver.serve.port();
    receiver.serve.stop();
    receiver.desk.setup.reconfigure(|file| {
        let file = file.config("tables", &tables_as_toml()).config_text("signature", "off");
        file.config_text("refetch", "never")
    });
    let serve = receiver.desk.serve_on(port);
    receiver.desk.setup.host(&["dead-letters", "replay", &dead[0]["id"].to_string()]).exits(0);
    receiver.desk.rows.until_text(&sql, "taken after all");
    receiver.desk.settle(&serve);
    assert!(receiver.desk.dead_letters().is_empty());
}

#[test]
fn unknown_numbers_are_refused_in_words() {
    let receiver = Receiver::new();
    for words in [["dead-letters", "show", "424242"], ["dead-letters", "replay", "424242"]] {
        let run = receiver.desk.setup.host(&words);
        assert_ne!(run.code(), 0, "{run}");
        assert!(run.stderr.contains("424242"), "{run}");
    }
}
